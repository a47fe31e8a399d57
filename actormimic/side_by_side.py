"""Runs side by side, each in a process of its own.

One small network's update does not fill two cores, two networks' updates do; so runs that do not
need each other share the machine as processes with one thread each.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actormimic.command_line import Say


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
                    with (self.folder / "output.log").open("a", encoding="utf-8") as log:
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
