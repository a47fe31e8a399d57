"""The optimizers of the published code, where libraries' versions differ from them.

Both keep epsilon inside the square root; torch's own optimizers add it outside. A step runs over
all parameters at once through torch's foreach kernels and allocates nothing after the first.

On a GPU the step size lies in the device's memory, where a captured update reads what the schedule
has put there; on the CPU it is a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from actormimic.schedules import is_scheduled, value_at
from actormimic.sections import OptimizerSettings


class _TwoMoments(torch.optim.Optimizer):
    """Running means of the gradient d and of its square, and ``epsilon`` inside the root.

    ``m = beta1 m + (1 - beta1) d`` and ``v = beta2 v + (1 - beta2) d^2``; weight decay adds
    ``weight_decay * theta`` to d first (eq. 8).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float | Tensor = 2.5e-4,
        *,
        beta1: float = 0.95,
        beta2: float = 0.95,
        epsilon: float = 0.01,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta1": beta1,
            "beta2": beta2,
            "epsilon": epsilon,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)
        # No part of the state, which a checkpoint writes: it holds nothing from step to step.
        self._work: dict[nn.Parameter, Tensor] = {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Apply one update from the parameters' gradients."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads: list[Tensor] = [p.grad for p in params]
            mean, square = self._moments(params, "mean"), self._moments(params, "square")
            work = [self._scratch(param) for param in params]
            if group["weight_decay"] != 0:
                torch._foreach_copy_(work, params)
                torch._foreach_mul_(work, group["weight_decay"])
                torch._foreach_add_(grads, work)
            torch._foreach_mul_(mean, group["beta1"])
            torch._foreach_add_(mean, grads, alpha=1 - group["beta1"])
            torch._foreach_mul_(square, group["beta2"])
            torch._foreach_addcmul_(square, grads, grads, 1 - group["beta2"])
            torch._foreach_copy_(work, square)
            self._descend(group, params, grads, mean, work)

    def _descend(
        self,
        group: dict[str, Any],
        params: list[Any],
        grads: list[Tensor],
        mean: list[Tensor],
        work: list[Tensor],
    ) -> None:
        """Move ``params``; ``work`` holds a copy of v that may be overwritten."""
        raise NotImplementedError

    def _scratch(self, param: nn.Parameter) -> Tensor:
        if param not in self._work:
            self._work[param] = torch.empty_like(param)
        return self._work[param]

    def _moments(self, params: list[Any], name: str) -> list[Tensor]:
        for param in params:
            if name not in self.state[param]:
                self.state[param][name] = torch.zeros_like(param)
        return [self.state[param][name] for param in params]


class CenteredRMSProp(_TwoMoments):
    """RMSProp as in the released code of Mnih et al. 2015; no momentum.

    ``theta -= lr d / sqrt(v - m^2 + epsilon)``.
    """

    def _descend(
        self,
        group: dict[str, Any],
        params: list[Any],
        grads: list[Tensor],
        mean: list[Tensor],
        work: list[Tensor],
    ) -> None:
        torch._foreach_addcmul_(work, mean, mean, -1.0)
        # Of a gradient that hardly changes, rounding can leave a variance just below 0: with a
        # small epsilon the root would be that of a negative number.
        torch._foreach_clamp_min_(work, 0.0)
        torch._foreach_add_(work, group["epsilon"])
        torch._foreach_sqrt_(work)
        _add_quotients(params, grads, work, -group["lr"])


class AuthorsAdam(_TwoMoments):
    """Adam as in the Actor-Mimic authors' code, its bias correction frozen at the first step.

    ``theta -= lr sqrt(1 - beta2) / (1 - beta1) * m / sqrt(v + epsilon)``.
    """

    def _descend(
        self,
        group: dict[str, Any],
        params: list[Any],
        grads: list[Tensor],
        mean: list[Tensor],
        work: list[Tensor],
    ) -> None:
        torch._foreach_add_(work, group["epsilon"])
        torch._foreach_sqrt_(work)
        rate = group["lr"] * (1 - group["beta2"]) ** 0.5 / (1 - group["beta1"])
        _add_quotients(params, mean, work, -rate)


def _add_quotients(
    params: list[Any], numerators: list[Tensor], denominators: list[Tensor], factor: float | Tensor
) -> None:
    """``params += factor * numerators / denominators``; the denominators may be overwritten."""
    if not isinstance(factor, Tensor):
        torch._foreach_addcdiv_(params, numerators, denominators, factor)
        return
    torch._foreach_reciprocal_(denominators)
    torch._foreach_mul_(denominators, numerators)
    torch._foreach_mul_(denominators, factor)
    torch._foreach_add_(params, denominators)


def make_optimizer(
    params: Iterable[nn.Parameter], settings: OptimizerSettings
) -> torch.optim.Optimizer:
    """The optimizer that ``settings`` describes, over ``params``, with its first step size.

    Its step can be captured in a CUDA graph: the others count nothing, and Adam's counter lies on
    the GPU where the parameters do.
    """
    params = list(params)
    start = value_at(settings.learning_rate, 0)
    rate = torch.tensor(start, device=params[0].device) if params[0].is_cuda else start
    if settings.kind == "adam":
        # One fused pass over weights, gradients and moments; L2 is added to the gradient (eq. 8).
        return torch.optim.Adam(
            params,
            lr=rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            fused=True,
            capturable=any(param.is_cuda for param in params),
        )
    kinds = {"centered_rmsprop": CenteredRMSProp, "authors_adam": AuthorsAdam}
    return kinds[settings.kind](
        params,
        rate,
        beta1=settings.beta1,
        beta2=settings.beta2,
        epsilon=settings.epsilon,
        weight_decay=settings.weight_decay,
    )


def schedule_rate(
    optimizer: torch.optim.Optimizer, settings: OptimizerSettings, agent_steps: int
) -> dict[str, float]:
    """Put a scheduled step size to where it stands after ``agent_steps`` per game; its value."""
    if not is_scheduled(settings.learning_rate):
        return {}
    rate = value_at(settings.learning_rate, agent_steps)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
    return {"learning_rate": rate}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as named tensors: ``optimizer/<parameter number>/<name>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer/{number}/{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for number, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` gave; other names in ``tensors`` are passed over."""
    kept = {"mean", "square"} if isinstance(optimizer, _TwoMoments) else None
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, number, name = key.split("/")
            if kept is not None and name not in kept:
                continue  # scratch memory that earlier versions wrote, too
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    for param, entries in optimizer.state.items():
        for name, value in entries.items():
            if value.shape == param.shape:
                # In the parameter's own memory format again: files keep rows contiguous, and the
                # fused steps fall back to slow ones where weights and moments are laid out apart.
                entries[name] = torch.empty_like(param).copy_(value)
