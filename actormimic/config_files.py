"""From a config file and ``key=value`` overrides to checked settings, and back to a file.

Every mistake a user can make here is a ``ValueError`` of one line that names the key, the value and
what is allowed, with the nearest name where one was mistyped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from actormimic.bundled import bundled_games
from actormimic.config import (
    ActorMimicRun,
    DqnRun,
    EvaluateRun,
    GamesSettings,
    OneGameSettings,
    PipelineRun,
    RunSettings,
    TransferRun,
    merge,
    resolve,
)
from actormimic.config_errors import one_line, show
from actormimic.config_yaml import (
    SHIPPED,
    apply_overrides,
    at_scale,
    find_config,
    flat_values,
    laid_over,
    read_extended,
)
from actormimic.sections import ExpertFile, ExpertTrainingSettings, expert_file, refuse_idle

RESERVED_SOURCES = ("random", "bundled")
"""Sources of weights that are no paths."""

STAGE_SOURCE = "stage:"
"""Begins a source that is the run of a pipeline's earlier stage."""

FREE = (
    "resume",
    "folder",
    "device",
    "threads",
    "processes",
    "environment.threads",
    "environment.emulation",
    "replay.residence",
    "replay.shared",
    "checkpoint.compress_rings",
    "checkpoint.keep",
    "expert_training.processes",
)
"""What may differ between runs that are one and the same: none of it changes what is learned, but
for the order in which another device or another number of threads adds up its sums."""


def load_settings(config: str, overrides: Sequence[str] = (), folder: Path = Path()) -> RunSettings:
    """The checked settings of the config named ``config`` under ``overrides``.

    ``folder`` is where the name is seen from (`find_config`).

    ``scale=NAME`` among them lays that one of the file's ``scales`` over the file, under the other
    overrides. The stages of a pipeline are checked too.

    Raises:
        ValueError: one line that names the mistake.
    """
    scales = [text for text in overrides if text.partition("=")[0].strip() == "scale"]
    others = [text for text in overrides if text not in scales]
    scale = scales[-1].partition("=")[2].strip() if scales else None
    values = at_scale(read_extended(find_config(config, folder)), scale, f"config {config}")
    settings = check_settings(apply_overrides(values, others))
    _refuse_idle_words(settings, flat_values(apply_overrides({}, others)))
    return settings


def _refuse_idle_words(settings: RunSettings, typed: Iterable[str]) -> None:
    """Refuse what was typed and changes nothing. In a file it may: under other settings that are
    typed, as those of the batched protocol under ``evaluation.protocol=paper``."""
    names = {tuple(key.split(".")[:2]) for key in typed}
    if (
        ("evaluation", "lanes") in names
        and isinstance(settings, GamesSettings)
        and settings.evaluation.protocol == "paper"
    ):
        why = "evaluation.protocol is 'paper'"
        refuse_idle(settings.evaluation, "lanes", why, "evaluation.")
    if isinstance(settings, ActorMimicRun) and given_experts(settings).keys() >= {*settings.games}:
        for name in ExpertTrainingSettings.model_fields:
            if ("expert_training", name) in names:
                why = "there is an expert of each game"
                refuse_idle(settings.expert_training, name, why, "expert_training.")


def check_settings(values: dict[str, Any]) -> RunSettings:
    """`actormimic.config.resolve` with its complaints in one line.

    Raises:
        ValueError: the first mistake, and how many more there are.
    """
    try:
        settings = resolve(values)
    except ValidationError as error:
        raise ValueError(one_line(error, values)) from error
    if isinstance(settings, PipelineRun):
        pipeline_stages(settings)
    return settings


@dataclass(frozen=True)
class StageRun:
    """One run of a pipeline."""

    stage: str
    settings: RunSettings


_INHERITED = ("seed", "device", "threads", "precision")


def pipeline_stages(pipeline: PipelineRun) -> list[StageRun]:
    """The runs of a pipeline's stages with their checked settings, in order.

    Raises:
        ValueError: a stage without a config, one whose settings are wrong, or two runs in a folder.
    """
    # What is said of the whole pipeline holds for its stages, where they do not say otherwise; but
    # not resume: of a pipeline that is to go on, some stages have begun and others have not.
    inherited = {
        key: getattr(pipeline, key) for key in _INHERITED if key in pipeline.model_fields_set
    }
    runs: list[StageRun] = []
    taken = {os.path.abspath(pipeline.run_folder): "the pipeline's own"}
    for name, stage in pipeline.stages.items():
        overrides = dict(stage)
        config, each = overrides.pop("config", None), overrides.pop("each", {})
        if not isinstance(config, str):
            found = "is missing" if config is None else f"is {show(config)}"
            raise ValueError(f"stages.{name}.config {found}; allowed: a YAML file")
        try:
            path = find_config(config, SHIPPED)
            file = at_scale(read_extended(path), pipeline.scale, f"config {config}")
            for combination in _combinations(each):
                values = merge(merge(file, inherited), overrides)
                for key, value in combination.items():
                    values = laid_over(values, key.split("."), value)
                settings = check_settings(_stage_sources(values, runs))
                if isinstance(settings, PipelineRun):
                    raise ValueError("a pipeline holds no pipelines")
                if settings.resume != "auto":
                    raise ValueError(
                        f"resume is {settings.resume!r}; allowed for a stage: auto (the pipeline "
                        f"has a resume of its own)"
                    )
                if pipeline.shared_folder is not None and settings.folder is None:
                    folder = Path(pipeline.shared_folder) / _digest_name(settings)
                    settings = settings.model_copy(update={"folder": str(folder)})
                place = os.path.abspath(settings.run_folder)
                if place in taken:
                    raise ValueError(
                        f"its folder {settings.run_folder} is {taken[place]}; allowed: a folder "
                        f"(or name) of its own"
                    )
                taken[place] = "an earlier stage's"
                runs.append(StageRun(name, settings))
        except ValueError as error:
            raise ValueError(f"stages.{name} ({config}): {error}") from error
    return runs


def _combinations(each: Any) -> list[dict[str, Any]]:
    if isinstance(each, dict):  # null takes out what the file below had
        each = {key: values for key, values in each.items() if values is not None}
    if not isinstance(each, dict) or not all(isinstance(v, list) and v for v in each.values()):
        raise ValueError(
            f"each is {show(each)}; allowed: settings, each with a list of values, not empty"
        )
    return [dict(zip(each, values, strict=True)) for values in product(*each.values())]


def _stage_sources(values: dict[str, Any], runs: Sequence[StageRun]) -> dict[str, Any]:
    """``values`` with the folders of earlier runs in the place of ``stage:NAME``."""
    values = dict(values)
    if isinstance(values.get("source"), str):
        values["source"] = _stage_folder(values["source"], values, None, runs)
    games = values.get("games", [])
    # Of games that are no names the check of the settings tells.
    named = isinstance(games, list) and all(isinstance(game, str) for game in games)
    if named and str(values.get("experts")).startswith(STAGE_SOURCE):
        values["experts"] = dict.fromkeys(games, values["experts"])
    if isinstance(values.get("experts"), dict):
        values["experts"] = {
            game: _stage_folder(source, values, game, runs) if isinstance(source, str) else source
            for game, source in values["experts"].items()
        }
    return values


def _stage_folder(
    source: str, values: dict[str, Any], game: str | None, runs: Sequence[StageRun]
) -> str:
    if not source.startswith(STAGE_SOURCE):
        return source
    wanted = source.removeprefix(STAGE_SOURCE)
    found = [run.settings for run in runs if run.stage == wanted]
    if not found:
        known = ", ".join(dict.fromkeys(run.stage for run in runs)) or "none before this one"
        raise ValueError(f"{source} names no earlier stage; allowed: {known}")
    if game is not None:
        found = [run for run in found if isinstance(run, GamesSettings) and run.games == [game]]
    if len(found) > 1:
        found = [run for run in found if run.seed == values.get("seed", 0)]
    if len(found) != 1:
        raise ValueError(
            f"{source} means {len(found)} runs; allowed: a stage with one run"
            + (f" on {game}" if game else "")
            + ", or with one of the same seed"
        )
    return found[0].run_folder


def settings_digest(settings: RunSettings, but: tuple[str, ...] = ()) -> str:
    """Eight hexadecimal digits, the same for settings that differ in `FREE` ones at most.

    Nor do settings count that ``but`` names, or that lie in a section which it names.
    """
    values = flat_values(plain_values(settings))
    told = {k: v for k, v in values.items() if k not in FREE and k.partition(".")[0] not in but}
    # Folders were named before there was this setting; its default is what they hold.
    if told.get("network.initialization") == "torch":
        del told["network.initialization"]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]


def _digest_name(settings: RunSettings) -> str:
    """A folder's name that is the same for the same settings, and for no others."""
    games = settings.games if isinstance(settings, GamesSettings) else []
    game = games if len(games) == 1 else []
    return "-".join([settings.name, *game, f"s{settings.seed}", settings_digest(settings)])


def given_experts(settings: ActorMimicRun) -> dict[str, str | ExpertFile]:
    """The experts that are not to be trained: where each of their games' is."""
    if settings.experts == "bundled":
        return dict.fromkeys(settings.games, "bundled")
    if settings.experts == "auto":
        in_the_box = bundled_games()
        return {game: "bundled" for game in settings.games if game in in_the_box}
    return dict(settings.experts) if isinstance(settings.experts, dict) else {}


_OF_AN_EXPERT = ("game", "games", "name", "folder", "resume")


def expert_overrides(settings: ActorMimicRun, game: str) -> list[str]:
    """What is laid over ``expert_training.config`` where the expert of ``game`` is trained."""
    own = [f"game={game}", f"seed={settings.seed}", f"device={settings.device}", "threads=1"]
    return own + list(settings.expert_training.overrides)


def expert_settings(settings: ActorMimicRun, game: str) -> DqnRun:
    """The checked settings of the training of the expert of ``game``.

    Raises:
        ValueError: one line that names ``expert_training.config`` or ``expert_training.overrides``
            and the mistake.
    """
    wanted = settings.expert_training
    overrides = expert_overrides(settings, game)
    try:
        expert = load_settings(wanted.config, overrides, SHIPPED)
    except ValueError as error:
        without = overrides[: len(overrides) - len(wanted.overrides)]
        place = "overrides" if _loads(wanted.config, without) else "config"
        raise ValueError(f"expert_training.{place}: {error}") from error
    if not isinstance(expert, DqnRun):
        raise ValueError(
            f"expert_training.config is {wanted.config!r}, a task other than dqn; allowed: dqn"
        )
    if expert.resume != "auto":
        raise ValueError(
            f"expert_training.config has resume: {expert.resume}; allowed: auto (the run that "
            f"needs the expert goes on as often as it has to)"
        )
    for word in wanted.overrides:
        key = word.partition("=")[0].strip()
        if key in _OF_AN_EXPERT:
            raise ValueError(
                f"expert_training.overrides has {word!r}; allowed: settings other than "
                f"{', '.join(_OF_AN_EXPERT)}, which follow from the run that needs the expert"
            )
    return expert


def _loads(config: str, overrides: Sequence[str]) -> bool:
    try:
        load_settings(config, overrides, SHIPPED)
    except ValueError:
        return False
    return True


def check_sources(settings: RunSettings) -> None:
    """Refuse files that the settings name and that are not there, and experts' wrong settings.

    Experts are trained once the run's folder is made: a mistake in their settings that is found
    only then would leave a folder that refuses the corrected command.

    Raises:
        ValueError: names the setting and the path or the mistake.
    """
    if isinstance(settings, PipelineRun):
        runs = pipeline_stages(settings)
        made = {run.settings.run_folder for run in runs}
        for run in runs:
            _check_sources(run.settings, made, f"stages.{run.stage}.")
    else:
        _check_sources(settings, set(), "")


def _check_sources(settings: RunSettings, made: set[str], prefix: str) -> None:
    named: dict[str, str] = {}
    if isinstance(settings, TransferRun | EvaluateRun):
        named["source"] = expert_file(settings.source)
    if isinstance(settings, ActorMimicRun) and isinstance(settings.experts, dict):
        named = {
            f"experts.{game}": expert_file(source) for game, source in settings.experts.items()
        }
    for key, source in named.items():
        known = source in RESERVED_SOURCES or source in made
        if not known and not Path(source).exists():
            raise ValueError(
                f"{prefix}{key} is {source!r}, which does not exist; allowed: a file or folder"
            )
    if isinstance(settings, ActorMimicRun):
        given = given_experts(settings)
        for game in [game for game in settings.games if game not in given]:
            try:
                expert_settings(settings, game)
            except ValueError as error:
                raise ValueError(f"{prefix}{error}") from error


def plain_values(settings: RunSettings) -> dict[str, Any]:
    """The resolved settings as plain data; `check_settings` of it gives ``settings`` again."""
    values = settings.model_dump(mode="json")
    if isinstance(settings, PipelineRun):
        # What was said of the pipeline overrides its stages' files; a default must not.
        for key in _INHERITED:
            if key not in settings.model_fields_set:
                del values[key]
    if isinstance(settings, OneGameSettings):
        # As a user writes it, so that ``game=...`` can be laid over a run's config.yaml as well.
        values = {"game" if key == "games" else key: value for key, value in values.items()}
        values["game"] = settings.games[0]
    return {"task": values.pop("task"), **values}


def to_yaml(settings: RunSettings) -> str:
    """The resolved settings as the text of a config file that gives them again."""
    return yaml.dump(plain_values(settings), Dumper=yaml.SafeDumper, sort_keys=False, width=100)
