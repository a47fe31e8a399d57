"""The tabular, linear case of section 4: finite decision processes, experts, and Gamma's policies.

A finite Markov decision process, features Phi ``[S, K]`` of its states and an expert policy Pi_E
``[S, A]`` make a `LinearCase`; `Gamma` turns Q-values into the policy that acts.
`actormimic.convergence` iterates on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actormimic.randomness import Stream, generator

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearCase:
    """A Markov decision process, its features and the expert to be imitated.

    Raises:
        ValueError: shapes that do not fit, or rows that are no distributions.
    """

    transitions: Array
    """[S, A, S]: T(s' | s, a)."""
    features: Array
    """Phi [S, K]."""
    expert: Array
    """Pi_E [S, A]."""

    def __post_init__(self) -> None:
        states, actions = self.expert.shape
        if self.transitions.shape != (states, actions, states):
            raise ValueError(
                f"transitions has shape {self.transitions.shape}; allowed: "
                f"{(states, actions, states)} (states, actions, states of expert)"
            )
        if self.features.ndim != 2 or len(self.features) != states:
            raise ValueError(
                f"features has shape {self.features.shape}; allowed: ({states}, any width)"
            )
        for name, rows in (("transitions", self.transitions), ("expert", self.expert)):
            if rows.min() < 0 or not np.allclose(rows.sum(axis=-1), 1.0, atol=1e-9):
                raise ValueError(f"{name} has rows that are no distributions; allowed: sums of 1")


@dataclass(frozen=True)
class Gamma:
    """The operator from Q-values to the policy that acts (section 4.2).

    ``(1 - epsilon) softmax(Q / temperature) + epsilon / A``, which is Lipschitz continuous; with a
    temperature of 0 the epsilon-greedy argmax, which is not continuous at ties.

    Raises:
        ValueError: epsilon outside [0, 1] or a negative temperature.
    """

    epsilon: float
    temperature: float

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon is {self.epsilon}; allowed: 0 to 1")
        if not self.temperature >= 0:
            raise ValueError(f"temperature is {self.temperature}; allowed: 0 (argmax) or more")

    def __call__(self, values: Array) -> Array:
        """The policy [..., S, A] for Q-values of that shape; argmax takes the first of equals."""
        actions = values.shape[-1]
        if self.temperature == 0:
            chosen = np.eye(actions)[values.argmax(axis=-1)]
        else:
            chosen = softmax(values / self.temperature)
        mixed: Array = (1 - self.epsilon) * chosen + self.epsilon / actions
        return mixed

    @property
    def lipschitz(self) -> float:
        """c_epsilon of theorem 1, in Euclidean norms; infinite for the argmax.

        The Jacobian of a softmax, ``diag(p) - p p^T``, has norm 1/2 at most: two actions, 1/2 each.
        """
        if self.temperature == 0:
            return math.inf
        return (1 - self.epsilon) / (2 * self.temperature)


def softmax(values: Array) -> Array:
    """Softmax over the last axis (eq. 12)."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def generated_case(
    seed: int,
    *,
    states: int,
    actions: int,
    features: int,
    concentration: float = 0.1,
    mixing: float = 0.05,
    discount: float = 0.9,
    expert_temperature: float = 0.1,
) -> LinearCase:
    """A random process whose expert is the softmax (eq. 3) of its own optimal Q-values (eq. 1).

    Args:
        seed: Everything random follows from it.
        concentration: Of the Dirichlet distribution of each row of T; small makes actions matter.
        mixing: Share of the uniform distribution in each row of T, in (0, 1]: every state can
            follow every other, so any policy's chain is irreducible and aperiodic.
        discount: gamma of the expert.
        expert_temperature: tau of eq. 3; rewards are uniform in [0, 1].

    Raises:
        ValueError: mixing outside (0, 1].
    """
    if not 0 < mixing <= 1:
        raise ValueError(f"mixing is {mixing}; allowed: more than 0 and at most 1")
    rng = generator(seed, Stream.PROCESSES, 0)
    rows = rng.dirichlet(np.full(states, concentration), size=(states, actions))
    transitions = (1 - mixing) * rows + mixing / states
    rewards = rng.random((states, actions))
    phi = rng.standard_normal((states, features)) / math.sqrt(features)
    values = np.zeros((states, actions))
    while True:
        after = rewards + discount * transitions @ values.max(axis=1)
        if np.abs(after - values).max() < 1e-12:
            break
        values = after
    return LinearCase(transitions, phi, softmax(values / expert_temperature))


def feedback_case(feedback: float, *, mixing: float = 0.05) -> LinearCase:
    """Three states that a student cannot tell apart: what it does decides what it is taught.

    From the hub (state 0) action 0 leads to room 1 and action 1 to room 2, and any action back from
    there. The hub's expert does not mind; in room 1 the expert takes action 0 with probability
    ``(1 + feedback) / 2``, in room 2 action 1 with the same. With ``feedback > 0`` a habit confirms
    itself, with ``feedback < 0`` it undermines itself: the argmax then has no fixed point at all.

    Raises:
        ValueError: feedback outside [-1, 1], or mixing outside (0, 1].
    """
    if not -1 <= feedback <= 1:
        raise ValueError(f"feedback is {feedback}; allowed: -1 to 1")
    if not 0 < mixing <= 1:
        raise ValueError(f"mixing is {mixing}; allowed: more than 0 and at most 1")
    ways = np.zeros((3, 2, 3))
    ways[0, 0, 1] = ways[0, 1, 2] = 1.0
    ways[1:, :, 0] = 1.0
    likely, rare = (1 + feedback) / 2, (1 - feedback) / 2
    expert = np.array([[0.5, 0.5], [likely, rare], [rare, likely]])
    return LinearCase((1 - mixing) * ways + mixing / 3, np.ones((3, 1)), expert)


def random_policies(case: LinearCase, count: int, seed: int) -> Array:
    """Policies [count, S, A], from nearly uniform to nearly deterministic ones."""
    rng = generator(seed, Stream.PROCESSES, 1)
    scale = np.geomspace(0.1, 10.0, count)[:, None, None]
    return softmax(scale * rng.standard_normal((count, *case.expert.shape)))
