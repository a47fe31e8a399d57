"""Runs side by side, each in a process of its own.

One small network's update does not fill two cores, two networks' updates do; so runs that do not
need each other share the machine as processes with one thread each.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actormimic.command_line import Say
from actormimic.run_files import OUTPUT_NAME

_PARENT = "ACTORMIMIC_PARENT"
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class _WhileHeard:
    """A stream whose reader may die: what is written after that is dropped."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(BrokenPipeError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def has_parent() -> bool:
    """Whether a `RunProcess` started this run, which has not asked yet to be stopped with it."""
    return _PARENT in os.environ


def stop_with_parent() -> None:
    """Called by a run at its start: one that a `RunProcess` started is asked to stop when its
    parent dies, of a SIGKILL too.

    Otherwise it would learn on in a folder that nobody else can go on with, until it writes a line
    to a pipe that nobody reads and dies with all it learned since its last checkpoint.
    """
    parent = os.environ.pop(_PARENT, None)
    if parent is None:
        return
    sys.stdout, sys.stderr = _WhileHeard(sys.stdout), _WhileHeard(sys.stderr)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before
        os.kill(os.getpid(), signal.SIGTERM)


class RunProcess:
    """A run in a process of its own; its output goes to the folder's output.log."""

    def __init__(self, command: list[str], folder: Path, say: Say) -> None:
        self.folder = folder
        self.last_line = "it said nothing"
        self._say = say
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Apart from the terminal's Ctrl-C: it is told to stop once, by us, and saves in peace.
            start_new_session=True,
            env={**os.environ, _PARENT: str(os.getpid())},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None  # Popen was given a pipe
        lines: list[str] = []
        with self._process.stdout as stream:
            for line in stream:
                self.last_line = line.strip() or self.last_line
                if "agent steps (" in line:
                    self._say(line.rstrip())
                lines.append(line)
                # A process that refuses its settings makes no folder, and is heard by last_line.
                if self.folder.is_dir():
                    with (self.folder / OUTPUT_NAME).open("a", encoding="utf-8") as log:
                        log.writelines(lines)
                    lines.clear()

    def exit_code(self, wait_seconds: float) -> int | None:
        """The exit code, or None while it runs on."""
        try:
            code = self._process.wait(timeout=wait_seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join()
        return code

    def ask_to_stop(self) -> None:
        """Ask it to save and end; does not wait."""
        self._process.terminate()

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()
        self._reader.join()


@dataclass(frozen=True)
class Waiting:
    """A run that is to be started."""

    what: str
    """What messages call it."""
    folder: Path
    command: list[str]


def run_side_by_side(waiting: Sequence[Waiting], together: int, say: Say) -> None:
    """Run the commands, ``together`` at a time, passing their progress lines on.

    Raises:
        KeyboardInterrupt: after a Ctrl-C, once the runs are saved.
        ValueError: a run refused its settings or its files; says its last words. The others are
            saved.
        RuntimeError: one failed otherwise; likewise.
    """
    running: list[tuple[Waiting, RunProcess]] = []
    queue = list(waiting)
    try:
        while queue or running:
            while queue and len(running) < together:
                next_one = queue.pop(0)
                running.append((next_one, RunProcess(next_one.command, next_one.folder, say)))
            for entry in list(running):
                run, process = entry
                code = process.exit_code(wait_seconds=0.2)
                if code is None:
                    continue
                running.remove(entry)
                if code == 130:
                    raise KeyboardInterrupt
                if code != 0:
                    kind = ValueError if code == 2 else RuntimeError
                    raise kind(
                        f"the run of {run.what} ended with exit code {code}: {process.last_line}"
                    )
                say(f"{run.what}: {run.folder}")
    finally:
        for _, process in running:
            process.ask_to_stop()
        for _, process in running:
            process.wait()
