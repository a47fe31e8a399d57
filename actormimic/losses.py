"""The Actor-Mimic loss, equations 3 to 6 of the paper.

One pass over the inputs computes the losses and the gradients with respect to the student's logits
and predicted features (`actormimic.distillation_loss`). On the CPU it runs on the calling thread;
on CUDA it is one kernel launch on the current stream of the tensors' device and waits for nothing,
so that it can be captured in a CUDA graph.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from actormimic.distillation_loss import OBJECTIVES, check_tensors, operator_for

__all__ = ["ActorMimicLoss", "actor_mimic_loss"]

REDUCTIONS = ("sum", "mean")


class ActorMimicLoss(NamedTuple):
    """The three losses, scalars of float32 (float64 for float64 inputs).

    ``total`` is equation 6, ``policy`` equation 4 with the sign of a loss (or the objective asked
    for) and ``feature`` equation 5, unscaled. All three can be differentiated once.
    """

    total: Tensor
    policy: Tensor
    feature: Tensor


def actor_mimic_loss(
    logits: Tensor,
    expert_q: Tensor,
    action_mask: Tensor,
    *,
    temperature: float = 1.0,
    objective: str = "cross_entropy",
    predicted_features: Tensor | None = None,
    expert_features: Tensor | None = None,
    beta: float = 0.0,
    feature_factor: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "sum",
) -> ActorMimicLoss:
    """Distill experts into the student: ``total = policy + beta * feature_factor * feature``.

    Args:
        logits: ``[B, 18]``, the student's outputs in ALE's action numbers. float32, bfloat16,
            float16 or float64, like all other tensors but the mask; types mix at will. Arithmetic
            is float32, or float64 as soon as logits, action values or features are float64.
        expert_q: ``[B, 18]``, the experts' action values, of any scale. A constant: gradients
            reach ``logits`` and ``predicted_features`` only.
        action_mask: ``bool [B, 18]``, the actions valid in the row's game; rows of several games
            share a batch. Values in masked places are ignored, their gradient is exactly 0.
        temperature: tau of equation 3, > 0, on the expert's side only; without effect on ``mse``.
        objective: ``cross_entropy`` (equation 4), ``kl`` (expert to student, the same gradient),
            ``reverse_kl`` (student to expert) or ``mse``, the mean over a row's valid actions of
            ``(logits - expert_q)**2``, which section 3.1 of the paper rejects.
        predicted_features: ``[B, D]``, f_i(h_AMN) of equation 5.
        expert_features: ``[B, D]``, h_E of equation 5; given together with the predicted ones.
            Where widths mix, pad both with zeros.
        beta: the weight of the feature loss in equation 6, >= 0; the paper's is 0.01.
        feature_factor: 1 for the paper's ``beta * ||.||^2``, 0.5 for the authors' ``beta / 2``.
        weight: ``[B]``, multiplies the row's policy and feature losses; a constant.
        reduction: ``sum`` over rows, or ``mean``, which divides the sum by B.

    In float16 the gradients are kept in float16 before the upstream gradient scales them: prefer
    ``sum``, whose gradients are of order 1, and scale the loss afterwards.

    Raises:
        ValueError: shapes or devices disagree, a number is out of range, an option is unknown, and,
            on the CPU, a row has no valid action. On CUDA such a row gives NaN, because nothing
            waits for the device.
        TypeError: an argument is no tensor or has the wrong dtype.
        RuntimeError: the tensors are on a CUDA device and the package was built without CUDA.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}; allowed: {', '.join(OBJECTIVES)}")
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}; allowed: {', '.join(REDUCTIONS)}")
    _check_numbers(temperature, beta, feature_factor)
    check_tensors(logits, expert_q, action_mask, predicted_features, expert_features, weight)
    if beta and predicted_features is None:
        raise ValueError(f"beta is {beta} without predicted_features; allowed: 0, or give them")
    if torch.float64 in (
        logits.dtype,
        expert_q.dtype,
        predicted_features.dtype if predicted_features is not None else None,
        expert_features.dtype if expert_features is not None else None,
    ):
        logits, expert_q = logits.double(), expert_q.double()
        if predicted_features is not None and expert_features is not None:
            predicted_features = predicted_features.double()
            expert_features = expert_features.double()
    tracked = torch.is_grad_enabled()
    outputs = operator_for(logits)(
        logits,
        expert_q,
        action_mask,
        predicted_features,
        expert_features,
        weight,
        objective,
        float(temperature),
        float(beta * feature_factor),
        reduction == "mean",
        tracked and logits.requires_grad,
        tracked and predicted_features is not None and predicted_features.requires_grad,
    )
    return ActorMimicLoss(*outputs[:3])


def _check_numbers(temperature: float, beta: float, feature_factor: float) -> None:
    # Comparisons only: under torch.compile a number that changes from call to call is symbolic.
    if not 0.0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; allowed: finite numbers > 0")
    for name, value in (("beta", beta), ("feature_factor", feature_factor)):
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name} is {value}; allowed: finite numbers >= 0")
