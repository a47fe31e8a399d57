"""Settings that may change while a run goes on: a number, or points with lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field


@dataclass(frozen=True)
class Words:
    """What a setting of a type takes, where its parts would say it badly."""

    words: str


Points = Sequence[Sequence[float]]
"""``[agent_steps, value]`` each, agent_steps rising."""

Schedule = float | Points
"""A constant, or points: linear between them, constant before the first and after the last."""


def _rising(points: list[list[float]]) -> list[list[float]]:
    steps = [step for step, _ in points]
    if steps[0] < 0 or not all(step.is_integer() for step in steps):
        raise ValueError("agent_steps are whole numbers, at least 0")
    if any(after <= before for before, after in pairwise(steps)):
        raise ValueError("agent_steps rise from point to point")
    return points


def _not_all_zero(points: list[list[float]]) -> list[list[float]]:
    if not any(value for _, value in points):
        raise ValueError("a value is more than 0")
    return points


def _values_within(highest: float | None) -> AfterValidator:
    def check(points: list[list[float]]) -> list[list[float]]:
        for _, value in points:
            if value < 0 or (highest is not None and value > highest):
                raise ValueError(f"value {value} is out of range")
        return points

    return AfterValidator(check)


_Point = Annotated[list[float], Field(min_length=2, max_length=2)]
_Rising = Annotated[list[_Point], Field(min_length=1), AfterValidator(_rising)]

ScheduledWeight = Annotated[
    Annotated[float, Field(ge=0.0)] | Annotated[_Rising, _values_within(None)],
    Words("a number, at least 0, or rising points [agent_steps, number]"),
]
ScheduledRate = Annotated[
    Annotated[float, Field(gt=0.0)]
    | Annotated[_Rising, _values_within(None), AfterValidator(_not_all_zero)],
    Words("a number, more than 0, or rising points [agent_steps, number], not all 0"),
]
ScheduledProbability = Annotated[
    Annotated[float, Field(ge=0.0, le=1.0)] | Annotated[_Rising, _values_within(1.0)],
    Words("a number, 0 to 1, or rising points [agent_steps, number]"),
]


def is_scheduled(schedule: Schedule) -> bool:
    """Whether it may change."""
    return not isinstance(schedule, int | float)


def value_at(schedule: Schedule, agent_steps: int) -> float:
    """Its value after ``agent_steps`` per game."""
    if isinstance(schedule, int | float):
        return float(schedule)
    if agent_steps <= schedule[0][0]:
        return float(schedule[0][1])
    for (start, low), (end, high) in pairwise(schedule):
        if agent_steps < end:
            return low + (high - low) * (agent_steps - start) / (end - start)
    return float(schedule[-1][1])


def agree_until(one: Schedule, other: Schedule, agent_steps: int) -> bool:
    """Whether both have the same values up to ``agent_steps`` per game, that one included."""
    looked = {0, agent_steps}
    for schedule in (one, other):
        if not isinstance(schedule, int | float):
            looked.update(int(step) for step, _ in schedule if step < agent_steps)
    # Both are straight between neighbours among these.
    return all(value_at(one, step) == value_at(other, step) for step in looked)


def largest(schedule: Schedule) -> float:
    """The highest value it takes."""
    if isinstance(schedule, int | float):
        return float(schedule)
    return float(max(value for _, value in schedule))
