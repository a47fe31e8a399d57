"""Figures over seeds, games and episodes: pooled deviations, interquartile means, intervals.

Aggregates over games follow Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice": interquartile means beside medians, intervals from a bootstrap that draws
seeds anew within each game.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Statistic = Callable[[Values], float]

REPEATS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Pooled:
    """Several test epochs seen as one."""

    mean: float
    """Mean of the epochs' means, each epoch counting once, as the paper averages."""
    std: float
    """Deviation over all their episodes."""
    episodes: int


def pooled(
    means: Sequence[float], stds: Sequence[float], episodes: Sequence[float]
) -> Pooled | None:
    """The epochs with these ``means``, ``stds`` (over episodes) and numbers of ``episodes``.

    An epoch without a completed episode counts as one episode of the deviation: its partial return.
    None where there is no epoch.
    """
    if not means:
        return None
    weights = np.maximum(np.asarray(episodes, dtype=np.float64), 1.0)
    values = np.asarray(means, dtype=np.float64)
    center = float(np.average(values, weights=weights))
    squares = np.asarray(stds, dtype=np.float64) ** 2 + (values - center) ** 2
    variance = float(np.average(squares, weights=weights))
    return Pooled(float(values.mean()), variance**0.5, int(sum(episodes)))


def interquartile_mean(values: npt.ArrayLike) -> float:
    """Mean of the middle half: a quarter of the values, rounded down, is cut off at either end."""
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if len(ordered) == 0:
        raise ValueError("values is empty; an interquartile mean needs at least one")
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def median(values: npt.ArrayLike) -> float:
    """The median."""
    return float(np.median(np.asarray(values, dtype=np.float64)))


def mean(values: npt.ArrayLike) -> float:
    """The mean."""
    return float(np.mean(np.asarray(values, dtype=np.float64)))


def bootstrap_interval(
    groups: Sequence[Sequence[float]],
    statistic: Statistic = mean,
    *,
    repeats: int = REPEATS,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile interval of ``statistic`` over seeds, by a bootstrap stratified by group.

    Args:
        groups: For each game its seeds' scores; each is drawn anew with replacement, by itself.
        statistic: Of all the scores drawn, one array.
        repeats: Draws.
        level: Share of the draws within the interval.
        seed: Of the draws.

    Returns:
        Its ends; None where no group has two seeds, so that nothing is known of the spread.

    Raises:
        ValueError: no group, or an empty one.
    """
    if not groups or any(len(group) == 0 for group in groups):
        raise ValueError("groups has a group without scores; allowed: at least one score in each")
    if all(len(group) == 1 for group in groups):
        return None
    rng = np.random.default_rng(seed)
    scores = [np.asarray(group, dtype=np.float64) for group in groups]

    def draw() -> Values:
        return np.concatenate(
            [group[rng.integers(len(group), size=len(group))] for group in scores]
        )

    drawn = [statistic(draw()) for _ in range(repeats)]
    tail = 50 * (1 - level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
