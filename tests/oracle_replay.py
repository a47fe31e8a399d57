"""The replay ring as lists: every row ever appended, and the rules of the docstrings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Row:
    frame: np.ndarray
    action: int
    reward: float
    terminal: bool
    start: bool
    extras: dict[str, np.ndarray] = field(default_factory=dict)


class ListRing:
    def __init__(self, capacity: int, lanes: int, stack: int) -> None:
        self.held = capacity // lanes
        self.stack = stack
        self.rows: list[list[Row]] = [[] for _ in range(lanes)]

    def append(self, lane, frame, action, reward, terminal, start=None, **extras) -> None:
        rows = self.rows[lane]
        if not rows:
            start = True
        elif start is None:
            start = rows[-1].terminal or rows[-1].action < 0
        rows.append(
            Row(np.array(frame), int(action), float(reward), bool(terminal), bool(start), extras)
        )

    def stack_rows(self, lane: int, t: int) -> list[int]:
        """The rows whose frames make up the state of row t, oldest first."""
        found = [t]
        while len(found) < self.stack and not self.rows[lane][found[0]].start:
            found.insert(0, found[0] - 1)
        return found

    def state(self, lane: int, t: int) -> np.ndarray:
        frames = [self.rows[lane][i].frame for i in self.stack_rows(lane, t)]
        zeros = [np.zeros_like(frames[0])] * (self.stack - len(frames))
        return np.stack(zeros + frames)

    def is_transition(self, lane: int, t: int) -> bool:
        rows = self.rows[lane]
        if rows[t].action < 0:
            return False
        return rows[t].terminal or (t + 1 < len(rows) and not rows[t + 1].start)

    def is_valid(self, lane: int, t: int) -> bool:
        oldest = len(self.rows[lane]) - self.held
        return self.is_transition(lane, t) and self.stack_rows(lane, t)[0] >= oldest

    def valid(self) -> set[tuple[int, int]]:
        return {
            (lane, t)
            for lane, rows in enumerate(self.rows)
            for t in range(len(rows))
            if self.is_valid(lane, t)
        }

    def index(self, lane: int, t: int) -> int:
        return lane * self.held + t % self.held

    def transition(self, lane: int, t: int, n_step: int, gamma: float) -> dict[str, Any]:
        rows = self.rows[lane]
        value, discount, end = 0.0, 1.0, t
        while end == t or (
            end - t < n_step and not rows[end - 1].terminal and self.is_transition(lane, end)
        ):
            value += discount * rows[end].reward
            discount *= gamma
            end += 1
        terminal = rows[end - 1].terminal
        state = self.state(lane, t)
        return {
            "obs": state,
            "actions": rows[t].action,
            "rewards": np.float32(value),
            "next_obs": np.zeros_like(state) if terminal else self.state(lane, end),
            "terminals": terminal,
            "discounts": np.float32(0.0 if terminal else discount),
            "index": self.index(lane, t),
            **rows[t].extras,
        }
