"""Numbers as the paper's tables print them, and the words for the intervals beside them."""

from __future__ import annotations

from actormimic.paper_scores import NetworkScore

INTERVALS = "95% intervals are from a bootstrap over seeds, 2,000 draws, each game's by itself"


def with_spread(score: NetworkScore | None) -> str:
    """Mean ± the standard deviation over episodes (number of episodes)."""
    if score is None:
        return "-"
    return f"{digits(score.mean)} ± {digits(score.last.std)} ({score.last.episodes})"


def bracketed(ends: tuple[float, float] | None) -> str:
    """What stands after a number that has an interval."""
    return "" if ends is None else f" [{digits(ends[0])}, {digits(ends[1])}]"


def digits(value: float) -> str:
    """Four significant digits, as the paper prints scores; whole numbers from a thousand on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def percentage(value: float) -> str:
    """One decimal, and no negative zero."""
    return f"{round(value, 1) + 0.0:.1f}%"  # adding 0.0 turns -0.0 into 0.0


def short_count(count: float) -> str:
    """agent_steps as a heading: 1M, 250k, 3.6k, 3,610; one decimal at most."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size and count * 10 % size == 0:
            return f"{count / size:g}{letter}"
    return f"{count:,.0f}"
