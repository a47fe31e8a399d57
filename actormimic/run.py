"""``python -m actormimic.run CONFIG [key=value ...]``: check a config, then run what it describes.

Everything a user can get wrong is checked before a file is made (and before torch is imported, but
for networks that the settings name), and ends in one line on stderr and exit code 2. An interrupted
run (Ctrl-C, SIGTERM, or its terminal closed) exits with 130, a fault in the program with a
traceback and 1.
"""

from __future__ import annotations

import re
import shlex
import signal
import sys
import textwrap
import traceback
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from tqdm import tqdm

from actormimic.command_line import INTERRUPTED, command
from actormimic.config import (
    ActorMimicRun,
    EvaluateRun,
    GamesSettings,
    OneGameSettings,
    PipelineRun,
    RunSettings,
    TransferRun,
    task_models,
)
from actormimic.config_errors import describe_allowed
from actormimic.config_files import check_sources, load_settings
from actormimic.config_yaml import SHIPPED, flat_values, one_line_yaml, shipped_configs
from actormimic.faults import Diverged
from actormimic.interruption import handled
from actormimic.presets import PRESETS
from actormimic.run_folder import open_run_folder
from actormimic.side_by_side import has_parent, stop_with_parent

USAGE = "usage: python -m actormimic.run CONFIG [key=value ...] [--traceback] | --help | --list"


@command("actormimic.run")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = {word for word in words if word.startswith("-")}
    words = [word for word in words if word not in options]
    if options & {"--help", "-h"}:
        print(help_text())
        return 0
    if "--list" in options:
        print(
            "\n".join(f"{name:24} {_first_sentence(SHIPPED / name)}" for name in shipped_configs())
        )
        return 0
    if unknown := sorted(options - {"--traceback"}):
        raise ValueError(f"option {unknown[0]} is unknown; allowed: --help, --list, --traceback")
    if not words:
        raise ValueError(f"CONFIG is missing; {USAGE}; --list names the package's configs")
    config, *overrides = words
    try:
        settings = load_settings(config, overrides)
        check_sources(settings)
        if _needs_a_look(settings):
            from actormimic.tasks import check_machine_and_networks  # torch: only where needed

            check_machine_and_networks(settings)
        # What several commands have in common, as an expert that is to be trained first, is run by
        # the first; the others' processes wait and find it complete.
        with open_run_folder(settings, wait=has_parent()) as folder:
            return _run(settings, folder, [config, *overrides])
    except (ValueError, OSError, Diverged):
        # What the caller can mend: a file that is missing or foreign, a full disk, the step size.
        if "--traceback" in options:
            traceback.print_exc()
        raise


def help_text() -> str:
    """The page behind ``--help``: usage, tasks and every setting."""
    parts = [
        USAGE,
        "",
        *textwrap.wrap(
            "CONFIG is a path or one of the package's configs (--list). key=value overrides a "
            "setting by its dotted name, as in replay.capacity=50000; values are YAML. The same "
            "command on the same folder goes on where it stopped. --traceback shows where in the "
            "code a refusal arose.",
            98,
        ),
        "",
        *textwrap.wrap(
            "A config may lie over another (extends: FILE, one beside it or of the package's) and "
            "may have scales, variants of itself of which scale=NAME takes one. preset: NAME lays "
            "a named set of values under the file's own; without one a task has the defaults "
            "below, which are no publication's.",
            98,
        ),
        "",
        "Tasks, each with its own settings:",
    ]
    models = task_models()
    common = set.intersection(*(set(model.model_fields) for model in models.values())) - {"task"}
    for task, model in models.items():
        parts.append(f"  {task:16} {_summary(model)}")
        own = [name for name in model.model_fields if name not in common | {"task"}]
        listed = ", ".join(_own_name(model, name) for name in own)
        parts += textwrap.wrap(listed, 98, initial_indent=" " * 19, subsequent_indent=" " * 19)
    parts += ["", "Settings of every task:"]
    parts += _explain_fields(RunSettings, sorted(common, key=list(RunSettings.model_fields).index))
    parts += [
        "",
        "Settings of every task that plays (dqn and transfer have one game, as game: pong):",
    ]
    parts += _explain_fields(GamesSettings, ["games"])
    shown = {*common, "task", "games"}
    for task, model in models.items():
        new = [name for name in model.model_fields if name not in shown]
        plain = [name for name in new if not _section(model, name)]
        if plain:
            parts += ["", f"Settings of {task}:", *_explain_fields(model, plain)]
        for name in new:
            if section := _section(model, name):
                shown.add(name)
                parts += ["", f"{name}: {_summary(section)}"]
                parts += _explain_fields(section, list(section.model_fields), f"{name}.")
    parts += ["", "Presets, by task, and what each sets:", *_explain_presets()]
    return "\n".join(parts)


def _explain_presets() -> list[str]:
    lines = []
    for task, presets in PRESETS.items():
        for name, values in presets.items():
            listed = ", ".join(
                f"{key}={one_line_yaml(value)}" for key, value in flat_values(values).items()
            )
            lines.append(f"  {task}, {name}:")
            lines += textwrap.wrap(listed, 98, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _run(settings: RunSettings, folder: Path, words: list[str]) -> int:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with handled({signal.SIGTERM, signal.SIGHUP}, interrupt):
        try:
            stop_with_parent()
            from actormimic.tasks import run_task  # brings torch, so only once the rest is checked

            run_task(settings, folder, _say)
        except KeyboardInterrupt:
            again = [word for word in words if not word.startswith("resume=")]
            command = shlex.join(["python", "-m", "actormimic.run", *again])
            _say(f"interrupted; what is done lies in {folder}. To go on: {command}")
            return INTERRUPTED
    return 0


def _needs_a_look(settings: RunSettings) -> bool:
    """Whether the settings may mean a GPU that lacks something, or name a network that is there."""
    if settings.device.startswith("cuda"):
        return True
    if isinstance(settings, ActorMimicRun):
        return settings.experts != "train"
    if isinstance(settings, EvaluateRun | TransferRun):
        return settings.source != "random"
    return isinstance(settings, PipelineRun)


def _say(text: str) -> None:
    tqdm.write(text)  # a progress bar that is up is moved out of the way
    sys.stdout.flush()


def _first_sentence(path: Path) -> str:
    """Of the comment that a config begins with."""
    comment = takewhile(lambda line: line.startswith("#"), path.read_text("utf-8").splitlines())
    text = " ".join(line.lstrip("# ") for line in comment)
    return textwrap.shorten(re.split(r"\. (?=[A-Z])", text)[0].rstrip("."), 98, placeholder=" ...")


def _own_name(model: type[BaseModel], name: str) -> str:
    return "game" if name == "games" and issubclass(model, OneGameSettings) else name


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    annotation: Any = model.model_fields[name].annotation
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_section else None


def _summary(model: type[BaseModel]) -> str:
    text = " ".join((model.__doc__ or "").split()).replace("``", "")
    return text.split(": ", 2)[2] if text.startswith("task: ") else text


def _explain_fields(model: type[BaseModel], names: Sequence[str], prefix: str = "") -> list[str]:
    lines = []
    for name in names:
        field = model.model_fields[name]
        allowed = describe_allowed(field.annotation, field.metadata)
        default = "required" if field.default is PydanticUndefined else one_line_yaml(field.default)
        lines.append(f"  {prefix}{name} = {default}    ({allowed})")
        text = (field.description or "").replace("``", "")
        lines += textwrap.wrap(text, 98, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


if __name__ == "__main__":
    sys.exit(main())
