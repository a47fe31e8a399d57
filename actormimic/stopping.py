"""When a training stops early: a measure that no longer falls, whatever it measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actormimic.sections import EarlyStoppingSettings


class EarlyStopping:
    """Keeps the lowest value of a measure and counts how long ago that was.

    Args:
        settings: ``patience`` and ``min_improvement``; patience 0 never stops.
    """

    def __init__(self, settings: EarlyStoppingSettings) -> None:
        self._settings = settings
        self.lowest: float | None = None
        self.waited = 0
        """Values since the lowest one."""

    @property
    def due(self) -> bool:
        """Whether it is time to stop."""
        return 0 < self._settings.patience <= self.waited

    def observe(self, value: float) -> bool:
        """Take the next value; whether it is a new lowest one."""
        if self.lowest is None or value < self.lowest - self._settings.min_improvement:
            self.lowest, self.waited = value, 0
            return True
        self.waited += 1
        return False

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: JSON values."""
        return {"lowest": self.lowest, "waited": self.waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``."""
        self.lowest, self.waited = state["lowest"], state["waited"]
