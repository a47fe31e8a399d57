"""Proposition 1: how a student's cost grows with the horizon, by who finds the states it learns.

A chain of T decisions with two places. On the road the expert drives *ahead*, at no cost; anything
else is an error and ends in the ditch, where each decision costs 1 and *ahead* leads nowhere: only
*back*, which the expert would do there, leads out. The features are those of a student that
generalizes: ``(1, 0)`` on the road and ``(1, 1)`` in the ditch, so that a habit of the road holds
in a ditch that the student never saw, and an error is as good as absorbing.

The expert is certain, the student's errors come from the regularizer (lambda keeps theta finite),
and everything is computed exactly, with no sampling: the distribution of the states of an episode
(Ross et al. 2011), theta* under it (`actormimic.convergence`), and the expected cost.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from actormimic.convergence import chain, distance, stationary_point
from actormimic.linear_case import Array, LinearCase, softmax

ROAD, DITCH = 0, 1
AHEAD, BACK = 0, 1


def road_case() -> LinearCase:
    """The two places, their features and the expert."""
    ways = np.zeros((2, 2, 2))
    ways[ROAD, AHEAD, ROAD] = ways[ROAD, BACK, DITCH] = 1.0
    ways[DITCH, AHEAD, DITCH] = ways[DITCH, BACK, ROAD] = 1.0
    return LinearCase(ways, np.array([[1.0, 0.0], [1.0, 1.0]]), np.eye(2))


def state_distributions(case: LinearCase, policy: Array, horizon: int) -> Array:
    """[T, S]: where an episode that starts in state 0 is at each of its decisions."""
    states = np.zeros((horizon, len(case.expert)))
    states[0, 0] = 1.0
    step = chain(case, policy)
    for t in range(1, horizon):
        states[t] = states[t - 1] @ step
    return states


class Growth(NamedTuple):
    """A student after the iteration of section 4.2 on episodes of one horizon."""

    horizon: int
    cost: float
    """J_T: the expected number of decisions taken in the ditch."""
    loss: float
    """epsilon of proposition 1: mean cross-entropy over the states that it was trained on."""
    error_rate: float
    """Probability of an error on the road, per decision."""
    recovery_rate: float
    """Probability of leaving the ditch, per decision spent there."""
    own_loss: float
    """The same cross-entropy over the states that the student itself visits."""
    bound: float
    """``J_T(expert) + u T epsilon / log 2`` with the loss over the student's own states.

    u is that of Ross et al. 2011, theorem 2.2, on which the proposition rests: the most that one
    action other than the expert's costs if the expert acts from then on. (The proposition as
    printed has the difference the other way round, and a lower bound where an upper one is needed.)
    """


def student_cost(
    horizon: int,
    expert_share: float,
    decay: float,
    *,
    iterations: int = 2000,
    tolerance: float = 1e-12,
) -> Growth:
    """Iterate to the fixed point for one horizon and give what the student then costs.

    Args:
        horizon: T, decisions of an episode.
        expert_share: Who acts while learning: 1 the expert, 0 the student, between them a mixture
            that asks the expert with this probability (Ross et al. 2011).
        decay: lambda of eq. 7.
        iterations: The most iterations; each moves half the way, which leaves the fixed points
            where they are and keeps the iteration from swinging about them.

    Raises:
        ValueError: a horizon below 1 or a share outside [0, 1].
        RuntimeError: the iteration did not settle.
    """
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; allowed: at least 1")
    if not 0 <= expert_share <= 1:
        raise ValueError(f"expert_share is {expert_share}; allowed: 0 to 1")
    case = road_case()
    student = np.full((2, 2), 0.5)
    for _ in range(iterations):
        acting = expert_share * case.expert + (1 - expert_share) * student
        seen = state_distributions(case, acting, horizon).mean(axis=0)
        learned = softmax(case.features @ stationary_point(case, seen, decay))
        moved = float(distance(learned, student))
        student = learned if expert_share == 1 else (learned + student) / 2
        if moved < tolerance:
            break
    else:
        raise RuntimeError(f"no fixed point within {iterations} iterations at horizon {horizon}")
    visited = state_distributions(case, student, horizon)
    cross = -np.log(np.take_along_axis(student, np.array([[AHEAD], [BACK]]), axis=1))[:, 0]
    own_loss = float(visited.mean(axis=0) @ cross)
    return Growth(
        horizon=horizon,
        cost=float(visited[:, DITCH].sum()),
        loss=float(seen @ cross),
        error_rate=float(student[ROAD, BACK]),
        recovery_rate=float(student[DITCH, BACK]),
        own_loss=own_loss,
        bound=_regret(case, horizon) * horizon * own_loss / math.log(2),
    )


def _regret(case: LinearCase, horizon: int) -> float:
    """u: the most that one decision other than the expert's costs, if the expert acts then."""
    price = np.array([0.0, 1.0])
    step = chain(case, case.expert)
    after = np.zeros(2)
    most = 0.0
    for _ in range(horizon):
        by_action = case.transitions @ after
        best = (case.expert * by_action).sum(axis=1)
        most = max(most, float((by_action - best[:, None]).max()))
        after = price + step @ after
    return most
