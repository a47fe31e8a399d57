"""Figures over seeds, games and episodes: pooled deviations, interquartile means, intervals.

Aggregates over games follow Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice": the interquartile mean of all scores beside the median of the games' means,
intervals from a bootstrap that draws seeds anew within each game. Each game counts alike, however
many seeds it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = Sequence[npt.ArrayLike]
"""For each game its seeds' scores."""
Statistic = Callable[[Scores], float]

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


def interquartile_mean(games: Scores) -> float:
    """Mean of the middle half of all games' scores: a quarter of them, rounded down, is cut off at
    either end. Where games have different numbers of seeds, each seed's score of a game stands for
    as many as give every game the same number.
    """
    scores = [np.asarray(game, dtype=np.float64).ravel() for game in games]
    if not scores or not all(len(game) for game in scores):
        raise ValueError("games has none, or one without scores; allowed: at least one score each")
    each = math.lcm(*(len(game) for game in scores))
    ordered = np.sort(np.concatenate([np.repeat(game, each // len(game)) for game in scores]))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def median(games: Scores) -> float:
    """The median of the games' means."""
    return float(np.median(_game_means(games)))


def mean(games: Scores) -> float:
    """The mean of the games' means."""
    return float(np.mean(_game_means(games)))


def _game_means(games: Scores) -> list[float]:
    return [float(np.mean(np.asarray(game, dtype=np.float64))) for game in games]


def bootstrap_interval(
    groups: Sequence[Sequence[float]],
    statistic: Statistic = mean,
    *,
    repeats: int = REPEATS,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile interval of ``statistic`` over seeds, by a bootstrap stratified by game.

    Args:
        groups: For each game its seeds' scores; each is drawn anew with replacement, by itself.
        statistic: Of the scores drawn, by game.
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

    def draw() -> Scores:
        return [group[rng.integers(len(group), size=len(group))] for group in scores]

    drawn = [statistic(draw()) for _ in range(repeats)]
    tail = 50 * (1 - level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
