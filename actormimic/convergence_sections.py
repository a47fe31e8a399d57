"""The sections of ``task: convergence``: what is generated, iterated and measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from actormimic.sections import Positive, PositiveFloat, Probability, Section

# Beyond these float64 no longer tells the minimum of eq. 7, or distances from it, well enough apart
# for an iteration over it to settle.
Decay = Annotated[float, Field(ge=1e-6, le=1e8)]


class ProcessSettings(Section):
    """The Markov decision processes that ``task: convergence`` generates."""

    count: Positive = 4
    """How many."""
    states: Annotated[int, Field(ge=2)] = 8
    """Size of S."""
    actions: Annotated[int, Field(ge=2)] = 3
    """Size of A."""
    features: Positive = 2
    """K, the width of Phi: with K < S the expert is out of the student's reach."""
    concentration: PositiveFloat = 0.1
    """Of the Dirichlet distribution of the transitions' rows; small makes actions matter."""
    mixing: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    """Share of the uniform distribution in each row, which makes every chain irreducible."""
    discount: Annotated[float, Field(ge=0.0, le=0.999)] = 0.9
    """gamma of the experts' Q-values, whose iteration takes about 28 / (1 - gamma) sweeps."""
    expert_temperature: PositiveFloat = 0.1
    """tau of eq. 3."""


class IterationSettings(Section):
    """The iteration of section 4.2 and where its contraction is measured."""

    epsilon: Probability = 0.1
    """Share of random actions in Gamma."""
    temperature: PositiveFloat = 0.1
    """Of Gamma's softmax; towards 0 it becomes the argmax and its Lipschitz constant grows."""
    decay: Decay = 30.0
    """lambda of eq. 8 at which the iteration is shown from many starts."""
    starts: Annotated[int, Field(ge=2)] = 24
    """Policies that the iteration starts from."""
    iterations: Positive = 200
    """The most iterations from each start."""
    sweep_from: Decay = 1e-3
    """The smallest lambda at which the contraction is measured."""
    sweep_to: Decay = 1e4
    """The largest."""
    sweep_points: Annotated[int, Field(ge=2)] = 29
    """How many, evenly spaced in the logarithm."""
    policies: Positive = 200
    """Policies at which the iteration's derivative is taken; the largest norm is reported."""
    feedback: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Strength of the feedback in the three-state example whose argmax has no fixed point."""

    @model_validator(mode="after")
    def _sweep_rises(self) -> IterationSettings:
        if self.sweep_from >= self.sweep_to:
            raise ValueError(
                f"sweep_from is {self.sweep_from}; allowed: less than sweep_to ({self.sweep_to})"
            )
        return self


class DescentSettings(Section):
    """Stochastic gradient descent under a fixed policy (lemma 1)."""

    updates: Annotated[int, Field(ge=100)] = 20_000
    """Updates from single states."""
    repeats: Positive = 16
    """Independent runs."""


class HorizonSettings(Section):
    """The chain of proposition 1."""

    horizons: Annotated[list[Positive], Field(min_length=2)] = Field(
        default=[8, 16, 32, 64, 128, 256, 512]
    )
    """Lengths T of the episodes, in decisions: each at least 2 and more than the one before."""
    decay: Decay = 1e-4
    """lambda of eq. 8; the student's error rate is of the same order."""
    expert_shares: Annotated[list[Probability], Field(min_length=1)] = Field(
        default=[0.0, 0.5, 1.0]
    )
    """Who acts while learning: 0 the student, 1 the expert, between them a mixture."""

    @field_validator("horizons")
    @classmethod
    def _horizons_rise(cls, horizons: list[int]) -> list[int]:
        # An exponent is fitted to the costs: it takes two lengths at least, and an episode of one
        # decision costs nothing, whose logarithm is none.
        if horizons[0] < 2 or any(late <= early for early, late in pairwise(horizons)):
            raise ValueError(
                f"{horizons} does not rise from 2 or more; allowed: each at least 2 and more than "
                "the one before"
            )
        return horizons
