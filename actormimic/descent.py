"""Lemma 1 of section 4.1: stochastic gradient descent on eq. 7 under a fixed policy, as run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actormimic.convergence import stationary_point
from actormimic.linear_case import Array, LinearCase, softmax
from actormimic.randomness import Stream, generator


class Descent(NamedTuple):
    """Stochastic gradient descent on eq. 7 under a fixed policy (lemma 1)."""

    updates: npt.NDArray[np.int64]
    """[N]: the counts of updates at which theta was looked at."""
    errors: Array
    """[N, repeats]: the distance from theta*."""


def stochastic_descent(
    case: LinearCase,
    states: Array,
    decay: float,
    *,
    updates: int,
    repeats: int,
    seed: int,
) -> Descent:
    """Lemma 1: eq. 8 from single states drawn from ``states`` [S], ``repeats`` independent runs.

    The learning rate is ``1 / (lambda (t + t0))``, whose sum diverges and whose squares' sum does
    not; ``t0`` keeps the first steps below the reciprocal of eq. 7's largest curvature.
    """
    rng = generator(seed, Stream.PROCESSES, 2)
    exact = stationary_point(case, states, decay)
    curvature = 0.5 * float((case.features**2).sum(axis=1).max()) + decay
    offset = curvature / decay
    theta = np.zeros((repeats, *exact.shape))
    looked = np.unique(np.geomspace(1, updates, 60).astype(np.int64))
    errors: list[Array] = []
    cumulative = np.cumsum(states)
    for t in range(1, updates + 1):
        drawn = np.minimum(np.searchsorted(cumulative, rng.random(repeats)), len(states) - 1)
        phi = case.features[drawn]
        wrong = softmax(np.einsum("rk,rka->ra", phi, theta)) - case.expert[drawn]
        rate = 1.0 / (decay * (t + offset))
        theta -= rate * (phi[:, :, None] * wrong[:, None, :] + decay * theta)
        if t == looked[len(errors)]:
            errors.append(np.sqrt(((theta - exact) ** 2).sum(axis=(-1, -2))))
    return Descent(looked, np.stack(errors))
