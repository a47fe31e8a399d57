"""The fused loss operator behind `actormimic.losses`, as torch knows it.

The kernel computes the losses and both gradients in one pass; the backward pass only scales them.
The operator is registered for traces, compilers and exported graphs; eager calls take a shorter way
to the same kernel, and `operator_for` chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor

from actormimic.games import NUM_ACTIONS
from actormimic.kernels import ELEMENT_TYPES, launch, module_of

OBJECTIVES = ("cross_entropy", "kl", "reverse_kl", "mse")


def _check_tensor(
    name: str, tensor: Tensor, shape: tuple[int | None, ...], like: Tensor | None
) -> None:
    """Check kind, dtype, shape (None: any size) and that the device is that of ``like``."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} is a {type(tensor).__name__}; allowed: a torch.Tensor")
    if name == "action_mask":
        if tensor.dtype != torch.bool:
            raise TypeError(f"{name} has dtype {tensor.dtype}; allowed: torch.bool")
    elif tensor.dtype not in ELEMENT_TYPES:
        names = ", ".join(str(dtype) for dtype in ELEMENT_TYPES)
        raise TypeError(f"{name} has dtype {tensor.dtype}; allowed: {names}")
    sizes = tensor.shape
    if sizes != shape and (
        len(sizes) != len(shape)
        or any(want is not None and want != size for size, want in zip(sizes, shape, strict=True))
    ):
        wanted_sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} has shape {tuple(sizes)}; allowed: ({wanted_sizes})")
    if like is not None and tensor.device != like.device:
        raise ValueError(f"{name} is on {tensor.device}; allowed: {like.device}, as logits are")


def check_tensors(
    logits: Tensor,
    expert_q: Tensor,
    action_mask: Tensor,
    predicted_features: Tensor | None,
    expert_features: Tensor | None,
    weight: Tensor | None,
) -> None:
    """Check what `actormimic.losses.actor_mimic_loss` documents of its tensors.

    Raises:
        ValueError: shapes or devices disagree, or one kind of features is missing.
        TypeError: an argument is no tensor or has the wrong dtype.
    """
    _check_tensor("logits", logits, (None, NUM_ACTIONS), None)
    rows = logits.shape[0]
    _check_tensor("expert_q", expert_q, (rows, NUM_ACTIONS), logits)
    _check_tensor("action_mask", action_mask, (rows, NUM_ACTIONS), logits)
    if (predicted_features is None) != (expert_features is None):
        missing = "predicted" if predicted_features is None else "expert"
        raise ValueError(f"{missing}_features is missing; allowed: both features or neither")
    if predicted_features is not None and expert_features is not None:
        _check_tensor("predicted_features", predicted_features, (rows, None), logits)
        width = predicted_features.shape[1]
        _check_tensor("expert_features", expert_features, (rows, width), logits)
    if weight is not None:
        _check_tensor("weight", weight, (rows,), logits)


@lru_cache(maxsize=256)
def _settings(
    module: ModuleType, objective: str, temperature: float, feature_scale: float, mean: bool
) -> Any:
    return module.DistillationSettings(
        objective=OBJECTIVES.index(objective),
        temperature=temperature,
        feature_scale=feature_scale,
        mean=mean,
    )


def _launch(
    logits: Tensor,
    expert_q: Tensor,
    action_mask: Tensor,
    predicted_features: Tensor | None,
    expert_features: Tensor | None,
    weight: Tensor | None,
    objective: str,
    temperature: float,
    feature_scale: float,
    mean: bool,
    logits_gradient: bool,
    features_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run the kernel: the three losses, then the two gradients, empty where not wanted.

    The logits' gradient is that of ``policy``. The features' gradient is that of ``total``, or
    of ``feature`` if ``feature_scale`` is 0.
    """
    module = module_of(logits)
    outputs = _outputs(logits, predicted_features, logits_gradient, features_gradient)
    # The inputs are kept by name until the kernel has run: `contiguous` may have made copies.
    logits, expert_q, action_mask = map(Tensor.contiguous, (logits, expert_q, action_mask))
    batch = module.DistillationBatch()
    batch.rows = logits.shape[0]
    batch.logits = logits.data_ptr(), ELEMENT_TYPES[logits.dtype]
    batch.expert_q = expert_q.data_ptr(), ELEMENT_TYPES[expert_q.dtype]
    batch.action_mask = action_mask.data_ptr()
    if predicted_features is not None and expert_features is not None:
        predicted_features, expert_features = map(
            Tensor.contiguous, (predicted_features, expert_features)
        )
        batch.features = predicted_features.shape[1]
        batch.predicted_features = (
            predicted_features.data_ptr(),
            ELEMENT_TYPES[predicted_features.dtype],
        )
        batch.expert_features = expert_features.data_ptr(), ELEMENT_TYPES[expert_features.dtype]
    if weight is not None:
        weight = weight.to(outputs[0].dtype).contiguous()
        batch.weight = weight.data_ptr()
    (
        batch.total,
        batch.policy,
        batch.feature,
        batch.logits_gradient,
        batch.features_gradient,
    ) = (output.data_ptr() for output in outputs)
    settings = _settings(module, objective, temperature, feature_scale, mean)
    launch("distillation_loss", logits, settings, batch)
    return outputs


def _outputs(
    logits: Tensor,
    predicted_features: Tensor | None,
    logits_gradient: bool,
    features_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Memory for the three losses and the two gradients; a gradient not wanted is empty."""
    compute = torch.float64 if logits.dtype == torch.float64 else torch.float32
    total = torch.empty((), dtype=compute, device=logits.device)
    return (
        total,
        torch.empty_like(total),
        torch.empty_like(total),
        _memory_like(logits if logits_gradient else None, logits),
        _memory_like(predicted_features if features_gradient else None, logits),
    )


def _memory_like(tensor: Tensor | None, device_of: Tensor) -> Tensor:
    if tensor is None:
        return device_of.new_empty(0)
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _checked_launch(*inputs: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    check_tensors(*inputs[:6])
    return _launch(*inputs)


# What `_launch` does, registered: this is what traces, compilers and exported graphs see.
distillation_loss = torch.library.custom_op(
    "actormimic::distillation_loss",
    _checked_launch,
    mutates_args=(),
    schema="(Tensor logits, Tensor expert_q, Tensor action_mask, Tensor? predicted_features, "
    "Tensor? expert_features, Tensor? weight, str objective, float temperature, "
    "float feature_scale, bool mean, bool logits_gradient, bool features_gradient) "
    "-> (Tensor total, Tensor policy, Tensor feature, Tensor by_logits, Tensor by_features)",
)


@distillation_loss.register_fake
def _fake_launch(*inputs: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    check_tensors(*inputs[:6])
    return _outputs(inputs[0], inputs[3], *inputs[-2:])


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[3:])
    ctx.feature_scale = inputs[8]


_UNITS: dict[torch.device, Tensor] = {}


def unit_gradient(loss: Tensor) -> Tensor:
    """The 1 to differentiate ``loss`` with: ``loss.backward(unit_gradient(loss))``.

    The backward pass knows it by its address and leaves the gradients as they are. Of another 1
    only the CPU can tell the value: on a GPU, where looking at it would wait for the device, every
    backward pass would read and write whole gradients to multiply them by it. Not to be written to.
    """
    if loss.device not in _UNITS:
        _UNITS[loss.device] = torch.ones((), device=loss.device)
    return _UNITS[loss.device]


def _is_one(factor: Tensor) -> bool:
    """Whether an upstream gradient is known to be 1: then nothing is to be scaled."""
    if type(factor) is not Tensor or torch.compiler.is_compiling():
        return False
    unit = _UNITS.get(factor.device)
    try:
        if unit is not None and factor.data_ptr() == unit.data_ptr():
            return True  # no other tensor lies there, since this one is kept
        return factor.is_cpu and factor.item() == 1.0
    except RuntimeError:  # what vmap passes here stands for many numbers and has none itself
        return False


def _backward(ctx: Any, *by_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
    by_total, by_policy, by_feature = by_outputs[:3]
    by_logits, by_features = ctx.saved_tensors
    if by_policy is None and by_feature is None and by_total is not None and _is_one(by_total):
        to_logits, to_features = by_logits, by_features
        if ctx.feature_scale == 0.0:
            to_features = torch.zeros_like(by_features)
    else:
        to_logits = _scaled(by_logits, by_total, by_policy)
        if ctx.feature_scale == 0.0:
            to_features = _scaled(by_features, by_feature, None)
        else:
            share = None if by_feature is None else by_feature / ctx.feature_scale
            to_features = _scaled(by_features, by_total, share)
    wanted = ctx.needs_input_grad
    return (
        to_logits if wanted[0] else None,
        None,
        None,
        to_features if wanted[3] else None,
        *_NO_GRADIENTS,
    )


_NO_GRADIENTS = (None,) * 8


def _scaled(gradient: Tensor, factor: Tensor | None, other: Tensor | None) -> Tensor:
    """The gradient times the sum of the factors."""
    if factor is None or other is None:
        factor = other if factor is None else factor
        if factor is None:
            return torch.zeros_like(gradient)
        return gradient if _is_one(factor) else gradient * factor
    return gradient * (factor + other)


distillation_loss.register_autograd(_backward, setup_context=_setup_context)


def _over_batch(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> Any:
    """``vmap``, over several experts for example: one launch for each, the results stacked."""
    each = [
        distillation_loss(
            *(
                value if dim is None else value.select(dim, i)
                for value, dim in zip(inputs, in_dims, strict=True)
            )
        )
        for i in range(info.batch_size)
    ]
    return tuple(torch.stack(parts) for parts in zip(*each, strict=True)), (0,) * 5


distillation_loss.register_vmap(_over_batch)


class _DistillationLoss(torch.autograd.Function):
    """The short way for eager calls."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        outputs = _launch(*inputs)
        _setup_context(ctx, inputs, outputs)
        return outputs[:3]

    @staticmethod
    def backward(ctx: Any, *by_outputs: Any) -> Any:
        # The kernel's gradients are constants: differentiating them again would silently give 0.
        if torch.is_grad_enabled():
            raise RuntimeError("actor_mimic_loss can be differentiated once, not with create_graph")
        return _backward(ctx, *by_outputs)


class _TransformableLoss(torch.autograd.Function):
    """The same for ``torch.func``, whose transforms ask for a setup_context.

    With one, ``apply`` looks the signature of ``forward`` up at every call, which takes longer than
    the kernel: hence the two.
    """

    forward = staticmethod(_launch)
    vmap = staticmethod(_over_batch)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[3:])
        _setup_context(ctx, inputs, output)

    @staticmethod
    def backward(ctx: Any, *by_outputs: Any) -> Any:
        return _backward(ctx, *by_outputs)


_PLAIN_TENSORS = (Tensor, torch.nn.Parameter)


def operator_for(tensor: Tensor) -> Callable[..., tuple[Tensor, ...]]:
    """The registered operator, or an autograd function: an empty one costs a fraction of it."""
    if type(tensor) not in _PLAIN_TENSORS or torch.compiler.is_compiling():
        return distillation_loss  # traces, and tensor subclasses such as their fake tensors
    if torch._C._are_functorch_transforms_active():
        return cast(Callable[..., tuple[Tensor, ...]], _TransformableLoss.apply)
    return cast(Callable[..., tuple[Tensor, ...]], _DistillationLoss.apply)
