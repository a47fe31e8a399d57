"""``python -m actormimic.run CONFIG [key=value ...]``: check a config, then run what it describes.

Everything a user can get wrong is checked before torch is imported or a file is made, and ends in
one line on stderr and exit code 2. An interrupted run (Ctrl-C or SIGTERM) exits with 130.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shlex
import signal
import sys
import textwrap
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from tqdm import tqdm

from actormimic.config import GamesSettings, OneGameSettings, RunSettings, task_models
from actormimic.config_files import (
    SHIPPED,
    check_settings,
    describe_allowed,
    load_settings,
    plain_values,
    read_config,
    shipped_configs,
    to_yaml,
)

USAGE = "usage: python -m actormimic.run CONFIG [key=value ...] [--traceback] | --help | --list"
CONFIG_NAME = "config.yaml"
_LOCK_NAME = ".lock"

# What may change when a run goes on: none of it changes what the run computes.
_FREE = ("resume", "folder", "device", "threads", "environment.threads")


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
        return _refuse(f"option {unknown[0]} is unknown; allowed: --help, --list, --traceback")
    if not words:
        return _refuse(f"CONFIG is missing; {USAGE}; --list names the package's configs")
    config, *overrides = words
    try:
        settings = load_settings(config, overrides)
        folder = Path(settings.run_folder).expanduser()
        check_run_folder(folder, settings)
        with _locked(folder):
            if (folder / CONFIG_NAME).exists():  # another process may have begun a run meanwhile
                check_run_folder(folder, settings)
            _write_config(folder, settings)
            return _run(settings, folder, [config, *overrides])
    except (ValueError, OSError) as error:
        # Both say what the caller can mend: a file that is missing or foreign, a disk that is full.
        if "--traceback" in options:
            traceback.print_exc()
        return _refuse(_reason(error))


def check_run_folder(folder: Path, settings: RunSettings) -> None:
    """Refuse a folder that this run cannot use; makes nothing.

    Raises:
        ValueError: it is no folder, is not writable, holds something else than this very run, or
            holds a run where ``resume`` is ``never``, or none where it is ``always``.
    """
    standing = folder
    while not standing.exists() and standing != standing.parent:
        standing = standing.parent
    if not standing.is_dir():
        raise ValueError(f"folder {folder} cannot be made: {standing} is a file")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise ValueError(f"folder {folder} is not writable; allowed: one that is")
    config = folder / CONFIG_NAME
    if not config.exists():
        if settings.resume == "always":
            raise ValueError(f"resume is 'always', but {folder} holds no run")
        strangers = sorted({p.name for p in folder.glob("*")} - {_LOCK_NAME})
        if strangers:
            raise ValueError(
                f"folder {folder} holds {strangers[0]} but no run; allowed: a new or empty folder, "
                f"or a run's"
            )
        return
    if settings.resume == "never":
        raise ValueError(f"resume is 'never', but {folder} holds a run; allowed: a new folder")
    try:
        before = _flat(plain_values(check_settings(read_config(config))))
    except ValueError as error:
        raise ValueError(f"{config} is not of this version: {error}") from error
    now = _flat(plain_values(settings))
    for key in dict.fromkeys([*now, *before]):
        if key not in _FREE and now.get(key) != before.get(key):
            raise ValueError(
                f"{key} is {now.get(key)!r}, but the run in {folder} has {before.get(key)!r}; "
                f"allowed: the same, or another folder (folder=...)"
            )


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
    parts += ["", "Settings of every task but pipeline (dqn and transfer have one, as game: pong):"]
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
    return "\n".join(parts)


def _run(settings: RunSettings, folder: Path, words: list[str]) -> int:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        from actormimic.tasks import run_task  # brings torch, so only once everything is checked

        run_task(settings, folder, _say)
    except KeyboardInterrupt:
        again = [word for word in words if not word.startswith("resume=")]
        command = shlex.join(["python", "-m", "actormimic.run", *again])
        _say(f"interrupted; what is done lies in {folder}. To go on: {command}")
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _say(text: str) -> None:
    tqdm.write(text)  # a progress bar that is up is moved out of the way
    sys.stdout.flush()


def _refuse(reason: str) -> int:
    print(f"actormimic.run: {' '.join(reason.split())}", file=sys.stderr)
    return 2


def _reason(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the run folder, which is made, against other processes; freed with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK_NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            file.seek(0)
            owner = file.read().strip() or "another"
            raise ValueError(f"folder {folder} is in use by process {owner}") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _write_config(folder: Path, settings: RunSettings) -> None:
    unfinished = folder / f".{CONFIG_NAME}.unfinished"
    unfinished.write_text(to_yaml(settings), encoding="utf-8")
    os.replace(unfinished, folder / CONFIG_NAME)


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return flat


def _first_sentence(path: Path) -> str:
    """Of the comment that a config begins with."""
    comment = takewhile(lambda line: line.startswith("#"), path.read_text("utf-8").splitlines())
    text = " ".join(line.lstrip("# ") for line in comment)
    return re.split(r"\. (?=[A-Z])|: ", text)[0].rstrip(".")


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
        default = "required" if field.default is PydanticUndefined else _yaml(field.default)
        lines.append(f"  {prefix}{name} = {default}    ({allowed})")
        text = (field.description or "").replace("``", "")
        lines += textwrap.wrap(text, 98, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


if __name__ == "__main__":
    sys.exit(main())
