"""A run's folder: checked before it is made, held by one process, its settings written down."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actormimic.config import PipelineRun, RunSettings
from actormimic.config_files import (
    FREE,
    check_settings,
    pipeline_stages,
    plain_values,
    to_yaml,
)
from actormimic.config_yaml import flat_values, read_config
from actormimic.run_files import (
    CHECKPOINTS_NAME,
    CONFIG_NAME,
    METRICS_NAME,
    OUTPUT_NAME,
    REPORT_NAME,
    RESULTS_NAME,
    SIMILARITY_NAME,
    STAGES_NAME,
    weights_name,
)
from actormimic.schedules import agree_until

_LOCK_NAME = ".lock"
_LENGTH = "training.agent_steps"
_RATE = "optimizer.learning_rate"


@contextmanager
def open_run_folder(settings: RunSettings, wait: bool = False) -> Iterator[Path]:
    """The folder of this run, made, locked and with its config.yaml; an unfit one is left alone.

    A complete run that is now to be of another length stays as it was until `reopen` is called,
    when it is known that it can go on. With ``wait``, another process that is in the folder is
    waited for.

    Raises:
        ValueError: as `check_run_folder`, or another process is in it and is not waited for.
        OSError: it cannot be written.
    """
    folder = Path(settings.run_folder)
    check_run_folder(folder, settings)
    if isinstance(settings, PipelineRun):
        # Before the pipeline's own folder is made, which would refuse the corrected command.
        for run in pipeline_stages(settings):
            check_run_folder(Path(run.settings.run_folder), run.settings)
    with _locked(folder, wait):
        if (folder / CONFIG_NAME).exists():  # another process may have begun a run meanwhile
            check_run_folder(folder, settings)
        if not _has_begun(folder):
            # Of a command that was refused later, and perhaps of other settings.
            (folder / SIMILARITY_NAME).unlink(missing_ok=True)
        if not (folder / RESULTS_NAME).exists() or _is_as_long(folder, settings):
            _write_config(folder, settings)
        yield folder


def reopen(folder: Path, settings: RunSettings) -> None:
    """Take a shorter run's end away, its results and final weights: this run goes on from it."""
    if (folder / RESULTS_NAME).exists() and not _is_as_long(folder, settings):
        for end in (RESULTS_NAME, weights_name("final")):
            (folder / end).unlink(missing_ok=True)
        _write_config(folder, settings)


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
    if not _has_begun(folder):
        if settings.resume == "always" and not config.exists():
            raise ValueError(f"resume is 'always', but {folder} holds no run")
        strangers = sorted({p.name for p in folder.glob("*")} - _BEFORE_A_RUN)
        if strangers and not config.exists():
            raise ValueError(
                f"folder {folder} holds {strangers[0]} but no run; allowed: a new or empty folder, "
                f"or a run's"
            )
        return
    if settings.resume == "never":
        raise ValueError(f"resume is 'never', but {folder} holds a run; allowed: a new folder")
    before, now = _recorded(folder), _compared(settings)
    for key in dict.fromkeys([*now, *before]):
        if key in FREE or now.get(key) == before.get(key):
            continue
        # What has been learned depends neither on how long the run is to be nor on step sizes that
        # are still to come.
        allowed = "the same"
        if key in (_LENGTH, _RATE) and key in now and key in before:
            done = _agent_steps_done(folder)
            if key == _LENGTH:
                allowed, fits = f"at least {done}", now[key] >= done
            else:
                allowed += f" up to agent step {done}"
                fits = agree_until(now[key], before[key], done)
            if fits:
                continue
        raise ValueError(
            f"{key} is {now.get(key)!r}, but the run in {folder} has {before.get(key)!r}; "
            f"allowed: {allowed}, or another folder (folder=...)"
        )


def is_complete(settings: RunSettings) -> bool:
    """Whether the run's folder holds this very run, at this length, to its end.

    Raises:
        ValueError: as `check_run_folder`.
    """
    folder = Path(settings.run_folder)
    check_run_folder(folder, settings)
    return (folder / RESULTS_NAME).is_file() and _is_as_long(folder, settings)


def _has_begun(folder: Path) -> bool:
    """Whether there is anything to go on from, and not only what a command leaves that was refused
    after it had made the folder: the corrected one is not to be held to its settings."""
    log = folder / METRICS_NAME
    return (folder / CONFIG_NAME).exists() and (
        (log.is_file() and log.stat().st_size > 0)
        or any((folder / CHECKPOINTS_NAME).glob("*"))
        or any((folder / name).exists() for name in (RESULTS_NAME, STAGES_NAME, REPORT_NAME))
    )


def _is_as_long(folder: Path, settings: RunSettings) -> bool:
    return bool(_recorded(folder).get(_LENGTH) == _compared(settings).get(_LENGTH))


def _compared(settings: RunSettings) -> dict[str, Any]:
    return flat_values(plain_values(settings))


def _agent_steps_done(folder: Path) -> int:
    from actormimic.checkpoint import CheckpointStore  # brings torch, which takes seconds

    return CheckpointStore(folder / CHECKPOINTS_NAME, 1).agent_steps


def _recorded(folder: Path) -> dict[str, Any]:
    """The settings of the run that ``folder`` holds."""
    config = folder / CONFIG_NAME
    try:
        return _compared(check_settings(read_config(config)))
    except ValueError as error:
        raise ValueError(f"{config} is not of this version: {error}") from error


@contextmanager
def _locked(folder: Path, wait: bool) -> Iterator[None]:
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
            in_use = f"folder {folder} is in use by process {owner}"
            if not wait:
                raise ValueError(in_use) from error
            print(f"{in_use}; waiting for its end", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def write_json(path: Path, values: Any) -> None:
    """Write ``values`` aside and rename: the file is whole or not there."""
    _write_whole(path, json.dumps(values, indent=1) + "\n")


def _write_config(folder: Path, settings: RunSettings) -> None:
    _write_whole(folder / CONFIG_NAME, to_yaml(settings))


def _write_whole(path: Path, text: str) -> None:
    unfinished = _unfinished(path)
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.unfinished")


# What a run may leave that ended before it was one: killed, or for want of room for its config.
_BEFORE_A_RUN = {_LOCK_NAME, OUTPUT_NAME, _unfinished(Path(CONFIG_NAME)).name}
