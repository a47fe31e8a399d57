"""What a run measures: one JSON object per line, the same in TensorBoard, and a progress line.

``metrics.jsonl`` is the record; TensorBoard's events are drawn from it again when a run goes on, so
that an interrupted run leaves the same log as an uninterrupted one (its ``seconds`` aside).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from actormimic.run_files import METRICS_NAME


class RunLog:
    """The log of a run in ``folder``: ``metrics.jsonl`` and ``tensorboard/``.

    A line is ``{"agent_steps": n, "seconds": s, "train/return/pong": 3.5, ...}``: agent_steps per
    game, seconds of running time over all the run's processes, then the values logged together. A
    value that is not finite is ``null``.
    """

    def __init__(self, folder: Path, state: Mapping[str, Any] | None = None) -> None:
        """Go on from ``state`` (a `state` of this log), or begin anew where it is None.

        Lines written after ``state`` was taken are removed: the run writes them again.

        Raises:
            ValueError: the file is shorter than ``state`` says.
            OSError: the files cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / METRICS_NAME
        size = int(state["bytes"]) if state else 0
        found = self.path.stat().st_size if self.path.exists() else 0
        if found < size:
            raise ValueError(f"{self.path} has {found} bytes; the checkpoint knows of {size}")
        self._file = self.path.open("ab")
        self._file.truncate(size)
        self._file.seek(size)
        self._seconds_before = float(state["seconds"]) if state else 0.0
        self._began = time.monotonic()
        # Here, since it brings torch: reports read logs without it.
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self._events = SummaryWriter(str(folder / "tensorboard"))
        for entry in read_metrics(self.path):
            self._add_events(entry)

    @property
    def seconds(self) -> float:
        """Running time so far, interruptions aside."""
        return self._seconds_before + time.monotonic() - self._began

    def write(self, agent_steps: int, values: Mapping[str, float]) -> None:
        """Add a line; it is in the file when this returns."""
        entry: dict[str, Any] = {"agent_steps": agent_steps, "seconds": round(self.seconds, 3)}
        for name, value in values.items():
            entry[name] = float(value) if math.isfinite(value) else None
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        self._add_events(entry)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: JSON values. The log is on the disk when this returns."""
        os.fsync(self._file.fileno())
        return {"bytes": self._file.tell(), "seconds": self.seconds}

    def close(self) -> None:
        """Write everything out; the log takes no more lines."""
        self._file.close()
        self._events.close()

    def _add_events(self, entry: Mapping[str, Any]) -> None:
        for name, value in entry.items():
            if name not in ("agent_steps", "seconds") and value is not None:
                self._events.add_scalar(name, value, entry["agent_steps"])


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a ``metrics.jsonl``; a last line cut off by an interruption is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


class Progress:
    """How far a run is: a bar on a terminal, elsewhere a line now and then."""

    def __init__(
        self,
        total: int,
        *,
        done: int = 0,
        label: str = "",
        stream: TextIO | None = None,
        every_seconds: float = 30.0,
    ) -> None:
        """``total`` and ``done`` are agent_steps per game; ``done`` lie behind a resumed run.

        Without a terminal behind ``stream`` (default: stderr) a line is written every
        ``every_seconds`` at the most.
        """
        self._stream = stream or sys.stderr
        self._label = label
        self._total = total
        self._first = self._done = done
        self._began = self._written = time.monotonic()
        self._every_seconds = every_seconds
        self._scores = ""
        self._bar: tqdm[Any] | None = None
        if self._stream.isatty():
            self._bar = tqdm(
                total=total,
                initial=done,
                desc=label or None,
                file=self._stream,
                unit=" agent steps",
                unit_scale=True,
                dynamic_ncols=True,
            )

    def update(self, agent_steps: int, scores: Mapping[str, float] | None = None) -> None:
        """``agent_steps`` per game are done in all; ``scores`` are the games' latest returns."""
        if scores:
            self._scores = "  ".join(f"{game} {score:.4g}" for game, score in scores.items())
        if self._bar is not None:
            self._bar.set_postfix_str(self._scores, refresh=False)
            self._bar.update(agent_steps - self._done)
        self._done = agent_steps
        now = time.monotonic()
        if self._bar is None and now - self._written >= self._every_seconds:
            self._written = now
            self._stream.write(self.line(now - self._began) + "\n")
            self._stream.flush()

    def line(self, seconds: float) -> str:
        """The line written without a terminal, ``seconds`` after this process began."""
        rate = (self._done - self._first) / seconds if seconds > 0 else 0.0
        left = duration((self._total - self._done) / rate) + " left" if rate > 0 else ""
        share = 100 * self._done / self._total if self._total else 100.0
        parts = [
            self._label,
            f"{self._done:,}/{self._total:,} agent steps ({share:.0f}%)",
            self._scores,
            f"{rate:,.0f}/s",
            left,
        ]
        return "  ".join(part for part in parts if part)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """``seconds`` as people say it: ``2h05m``, ``3m20s`` or ``12s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"
