"""From a config file and ``key=value`` overrides to checked settings, and back to a file.

Every mistake a user can make here is a ``ValueError`` of one line that names the key, the value and
what is allowed, with the nearest name where one was mistyped.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from actormimic.config import (
    ActorMimicRun,
    EvaluateRun,
    ExpertFile,
    GamesSettings,
    OneGameSettings,
    PipelineRun,
    RunSettings,
    TransferRun,
    merge,
    resolve,
)
from actormimic.config_errors import nearest, one_line, show

SHIPPED = Path(__file__).parent / "configs"

RESERVED_SOURCES = ("random", "bundled")
"""Sources of weights that are no paths."""

STAGE_SOURCE = "stage:"
"""Begins a source that is the run of a pipeline's earlier stage."""

FULL = "full"
"""The scale of a file as it stands."""

FREE = (
    *("resume", "folder", "device", "threads", "environment.threads", "environment.emulation"),
    *(
        "replay.residence",
        "replay.shared",
        "checkpoint.compress_rings",
        "processes",
        "expert_training.processes",
    ),
)
"""What may differ between runs that are one and the same: none of it changes what is learned, but
for the order in which another device or another number of threads adds up its sums."""

_EXPONENT = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+")


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ``1e-4`` is a number, ``1e6`` a whole one, a key occurs once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is not text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} occurs twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _construct_exponent(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    number = float(loader.construct_scalar(node).replace("_", ""))
    # Counts are written like this too (1e6), and they are checked as whole numbers.
    return int(number) if number.is_integer() else number


_Loader.add_implicit_resolver(
    "!exponent", re.compile(f"^(?:{_EXPONENT.pattern})$"), list("-+0123456789")
)
_Loader.add_constructor("!exponent", _construct_exponent)


def shipped_configs() -> list[str]:
    """The configs that come with the package, as they are named on the command line."""
    return sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """The config file ``name``: a path, or one of the package's own.

    Raises:
        ValueError: there is no such file; the line lists the package's own.
    """
    given = Path(name).expanduser()
    if given.is_dir():
        raise ValueError(f"config {name} is a folder; allowed: a YAML file")
    if given.exists():
        return given
    known = shipped_configs()
    for candidate in (name, f"{name}.yaml"):
        if candidate in known:
            return SHIPPED / candidate
    raise ValueError(
        f"config {name} is neither a file nor one of the package's: {', '.join(known)}"
        + nearest(name, known)
    )


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; nothing but plain data is ever constructed from it.

    Raises:
        ValueError: the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"config {path} cannot be read: {reason}") from error
    values = _parse_yaml(text, f"config {path}")
    if not isinstance(values, dict):
        found = "is empty" if values is None else f"holds {show(values)}"
        raise ValueError(f"config {path} {found}; allowed: a mapping of settings, key: value")
    return values


def read_extended(path: Path, above: Sequence[Path] = ()) -> dict[str, Any]:
    """`read_config`, laid over the config that its ``extends`` names.

    Raises:
        ValueError: as `read_config`; ``extends`` is no config's name, or leads back to ``path``.
    """
    values = read_config(path)
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ValueError(f"config {path}: extends is {show(base)}; allowed: a YAML file")
    below = find_config(base)
    if below.resolve() in (p.resolve() for p in (path, *above)):
        raise ValueError(f"config {path}: extends leads back to {below}")
    return merge(read_extended(below, (path, *above)), values)


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """``values`` with each ``dotted.key=value`` laid on top; values are read as YAML.

    Raises:
        ValueError: an override without a key or ``=``, or whose value is not YAML.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ValueError(f"override {override!r} is not understood; allowed: key=value")
        value = _parse_yaml(text, f"the value of {key.strip()}")
        values = _laid_over(values, parts, value)
    return values


def load_settings(config: str, overrides: Sequence[str] = ()) -> RunSettings:
    """The checked settings of the config named ``config`` (`find_config`) under ``overrides``.

    ``scale=NAME`` among them lays that one of the file's ``scales`` over the file, under the other
    overrides. The stages of a pipeline are checked too.

    Raises:
        ValueError: one line that names the mistake.
    """
    scales = [text for text in overrides if text.partition("=")[0].strip() == "scale"]
    others = [text for text in overrides if text not in scales]
    scale = scales[-1].partition("=")[2].strip() if scales else None
    values = at_scale(read_extended(find_config(config)), scale, f"config {config}")
    return check_settings(apply_overrides(values, others))


def at_scale(values: dict[str, Any], scale: str | None, what: str) -> dict[str, Any]:
    """``values`` of a file with one of its ``scales`` laid over the rest.

    Args:
        values: As read.
        scale: Its name, ``full`` for the file as it stands; None for the one the file names, or
            ``full``.
        what: The file's name, for the message.

    Raises:
        ValueError: the file has no such scale.
    """
    values = dict(values)
    scales = values.pop("scales", {})
    if not isinstance(scales, dict) or not all(isinstance(s, dict) for s in scales.values()):
        raise ValueError(f"{what}: scales is {show(scales)}; allowed: names, each with settings")
    standing = values.pop("scale", FULL)
    wanted = standing if scale is None else scale
    if wanted in scales:
        values = merge(values, scales[wanted])
    elif wanted != (FULL if scales else standing):
        known = [FULL, *scales] if scales else [standing]
        raise ValueError(
            f"scale is {show(wanted)}, which {what} has not; allowed: {', '.join(known)}"
            + nearest(wanted, known)
        )
    if values.get("task") == "pipeline":
        values["scale"] = wanted
    return values


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


def pipeline_stages(pipeline: PipelineRun) -> list[StageRun]:
    """The runs of a pipeline's stages with their checked settings, in order.

    Raises:
        ValueError: a stage without a config, one whose settings are wrong, or two runs in a folder.
    """
    # What is said of the whole pipeline holds for its stages, where they do not say otherwise.
    common = ("seed", "device", "threads", "precision", "resume")
    inherited = {key: getattr(pipeline, key) for key in common if key in pipeline.model_fields_set}
    runs: list[StageRun] = []
    for name, stage in pipeline.stages.items():
        overrides = dict(stage)
        config, each = overrides.pop("config", None), overrides.pop("each", {})
        if not isinstance(config, str):
            found = "is missing" if config is None else f"is {show(config)}"
            raise ValueError(f"stages.{name}.config {found}; allowed: a YAML file")
        try:
            path = find_config(config)
            file = at_scale(read_extended(path), pipeline.scale, f"config {config}")
            for combination in _combinations(each):
                values = merge(merge(file, inherited), overrides)
                for key, value in combination.items():
                    values = _laid_over(values, key.split("."), value)
                settings = check_settings(_stage_sources(values, runs))
                if isinstance(settings, PipelineRun):
                    raise ValueError("a pipeline holds no pipelines")
                if pipeline.shared_folder is not None and settings.folder is None:
                    folder = Path(pipeline.shared_folder) / _digest_name(settings)
                    settings = settings.model_copy(update={"folder": str(folder)})
                if settings.run_folder in (run.settings.run_folder for run in runs):
                    raise ValueError(
                        f"its folder {settings.run_folder} is an earlier stage's; allowed: a "
                        f"folder (or name) of its own"
                    )
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
    if str(values.get("experts")).startswith(STAGE_SOURCE):
        values["experts"] = dict.fromkeys(values.get("games", []), values["experts"])
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


def _digest_name(settings: RunSettings) -> str:
    """A folder's name that is the same for the same settings, and for no others."""
    values = flat_values(plain_values(settings))
    told = json.dumps({key: v for key, v in values.items() if key not in FREE}, sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    games = settings.games if isinstance(settings, GamesSettings) else []
    parts = [settings.name, *(games if len(games) == 1 else []), f"s{settings.seed}", digest]
    return "-".join(parts)


def check_sources(settings: RunSettings) -> None:
    """Refuse files that the settings name and that are not there.

    Raises:
        ValueError: names the setting and the path.
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
        named["source"] = settings.source
    if isinstance(settings, ActorMimicRun) and isinstance(settings.experts, dict):
        named = {
            f"experts.{game}": source.file if isinstance(source, ExpertFile) else source
            for game, source in settings.experts.items()
        }
    for key, source in named.items():
        known = source in RESERVED_SOURCES or source in made
        if not known and not Path(source).expanduser().exists():
            raise ValueError(
                f"{prefix}{key} is {source!r}, which does not exist; allowed: a file or folder"
            )


def plain_values(settings: RunSettings) -> dict[str, Any]:
    """The resolved settings as plain data; `check_settings` of it gives ``settings`` again."""
    values = settings.model_dump(mode="json")
    if isinstance(settings, OneGameSettings):
        # As a user writes it, so that ``game=...`` can be laid over a run's config.yaml as well.
        values = {"game" if key == "games" else key: value for key, value in values.items()}
        values["game"] = settings.games[0]
    return {"task": values.pop("task"), **values}


def flat_values(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings of settings as one mapping of dotted names."""
    if not isinstance(values, dict):
        return {prefix: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flat_values(value, f"{prefix}.{key}" if prefix else key)
    return flat


def to_yaml(settings: RunSettings) -> str:
    """The resolved settings as the text of a config file that gives them again."""
    return yaml.dump(plain_values(settings), Dumper=yaml.SafeDumper, sort_keys=False, width=100)


def _parse_yaml(text: str, what: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{what} is not YAML{where}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{what} is not YAML: {str(error).splitlines()[0]}") from error


def _laid_over(values: Any, parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    head, *rest = parts
    if isinstance(values, list) and head.isdecimal() and int(head) < len(values):
        copy = list(values)
        copy[int(head)] = _laid_over(copy[int(head)], rest, value)
        return copy
    below = values if isinstance(values, dict) else {}
    return {**below, head: _laid_over(below.get(head), rest, value)}
