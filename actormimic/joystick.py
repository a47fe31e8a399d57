"""Continuous joystick actions: polar coordinates and a button to ALE's 18 actions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actormimic.games import ACTIONS

__all__ = ["HIGH", "LOW", "to_actions"]

LOW = np.array([0, -np.pi, 0], dtype=np.float32)
"""Smallest (radius, angle, fire)."""
HIGH = np.array([1, np.pi, 1], dtype=np.float32)
"""Largest (radius, angle, fire)."""


def to_actions(
    sticks: NDArray[Any], batch_size: int, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """ALE's action numbers ``[batch_size]`` and how far a paddle turns, the radius.

    Args:
        sticks: (radius, angle, fire), ``float32 [batch_size, 3]``, from LOW to HIGH.
        batch_size: rows that ``sticks`` must have.
        threshold: a direction counts where its coordinate is beyond it, fire where it is.

    Raises:
        TypeError, ValueError: a wrong dtype or shape, or a value out of range or NaN.
    """
    if sticks.dtype != np.float32:
        raise TypeError(f"actions must be an array of dtype float32, got {sticks.dtype}")
    if sticks.shape != (batch_size, 3):
        raise ValueError(f"actions must have shape {(batch_size, 3)}, got {sticks.shape}")
    inside = (sticks >= LOW) & (sticks <= HIGH)  # NaN is outside
    if not inside.all():
        row, column = np.argwhere(~inside)[0]
        raise ValueError(
            f"action {sticks[row, column]} in row {row} is out of range; allowed for "
            f"{('radius', 'angle', 'fire')[column]}: {LOW[column]} to {HIGH[column]}"
        )
    radius, angle, fire = sticks.T
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    across = (x > threshold).astype(np.int64) - (x < -threshold) + 1
    up = (y > threshold).astype(np.int64) - (y < -threshold) + 1
    pressed = (fire > threshold).astype(np.int64)
    return _TABLE[across, up, pressed], np.ascontiguousarray(radius)


def _table() -> NDArray[np.int64]:
    """Actions of (left, middle, right) x (down, middle, up) x (no fire, fire)."""
    table = np.zeros((3, 3, 2), dtype=np.int64)
    for (x, across), (y, up), fire in itertools.product(
        enumerate(("left", "", "right")), enumerate(("down", "", "up")), (0, 1)
    ):
        name = up + across + ("fire" if fire else "")
        table[x, y, fire] = ACTIONS.index(name or "noop")
    return table


_TABLE = _table()
