"""The Actor-Mimic loss as the paper prints it: one row and one action at a time, in float64.

Slow on purpose, and differentiated by autograd, so that it shares nothing with the fused kernels.
"""

import torch
from torch import Tensor


def expert_policy(q: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """Equation 3: the Boltzmann distribution over the expert's action space, ``[n]``."""
    return torch.softmax(q[valid] / temperature, dim=0)


def policy_loss(z: Tensor, q: Tensor, valid: Tensor, temperature: float, objective: str) -> Tensor:
    """One row's policy loss: equation 4 with the sign of a loss, or an alternative to it."""
    if objective == "mse":
        return ((z[valid] - q[valid]) ** 2).mean()
    log_pi = torch.log_softmax(z[valid], dim=0)
    log_pi_expert = torch.log_softmax(q[valid] / temperature, dim=0)
    pi_expert = expert_policy(q, valid, temperature)
    if objective == "cross_entropy":
        return -(pi_expert * log_pi).sum()
    if objective == "kl":
        return (pi_expert * (log_pi_expert - log_pi)).sum()
    assert objective == "reverse_kl"
    return (log_pi.exp() * (log_pi - log_pi_expert)).sum()


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
) -> tuple[Tensor, Tensor, Tensor]:
    """Equation 6 and its two parts: ``total, policy, feature`` in float64."""
    rows = logits.shape[0]
    z, q = logits.double(), expert_q.double()
    w = torch.ones(rows, dtype=torch.float64) if weight is None else weight.double()
    policy = feature = torch.zeros((), dtype=torch.float64)
    for row in range(rows):
        policy = policy + w[row] * policy_loss(
            z[row], q[row], action_mask[row], temperature, objective
        )
        if predicted_features is not None and expert_features is not None:
            difference = predicted_features[row].double() - expert_features[row].double()
            feature = feature + w[row] * (difference**2).sum()  # equation 5
    if reduction == "mean":
        policy, feature = policy / rows, feature / rows
    return policy + beta * feature_factor * feature, policy, feature
