"""Where an operator runs: the CPU kernels of ``_core`` or the CUDA kernels of ``_cuda``."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from actormimic._binding import core

__all__ = ["ELEMENT_TYPES", "launch", "module_of", "why_no_cuda_kernels"]

_CORE: ModuleType = core

# The numbers of ElementType in csrc/ops/element.hpp.
ELEMENT_TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2, torch.float64: 3}


@cache
def _cuda() -> ModuleType:
    try:
        module = importlib.import_module("actormimic._cuda")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "actormimic was built without CUDA: put nvcc on PATH and install it again with "
            "-C cmake.define.ACTORMIMIC_CUDA=ON"
        ) from error
    except ImportError as error:
        # It is there, and a library that it needs is not, or is another one.
        raise RuntimeError(f"actormimic._cuda cannot be loaded: {error}") from error
    if module.__version__ != core.__version__:
        raise RuntimeError(
            f"actormimic._cuda is of version {module.__version__}, _core of {core.__version__}: "
            "install actormimic again"
        )
    if module.bindings_digest != core.bindings_digest:
        raise RuntimeError(
            "actormimic._cuda and _core were built from different sources: install actormimic again"
        )
    return module


def why_no_cuda_kernels(device: torch.device) -> str | None:
    """Why operators cannot run on a CUDA device, and what to do; None where they can."""
    try:
        _cuda()
    except RuntimeError as error:
        return str(error)
    return _why_not(torch.cuda.current_device() if device.index is None else device.index)


@cache
def _why_not(index: int) -> str | None:
    module = _cuda()
    reason = module.why_not(index)
    if reason is None:
        return None
    major, minor = torch.cuda.get_device_capability(index)
    return (
        f"actormimic._cuda, built for architectures {module.architectures}, does not run on "
        f"{torch.cuda.get_device_name(index)} (compute capability {major}.{minor}): {reason}; what "
        "may help is a newer driver, or to install actormimic again on this machine with "
        "-C cmake.define.ACTORMIMIC_CUDA_ARCHITECTURES=native"
    )


def module_of(tensor: Tensor) -> ModuleType:
    """The compiled module that computes on the tensor's device.

    Raises:
        ValueError: the device is neither a CPU nor a CUDA device.
        RuntimeError: it is a CUDA device and the package was built without CUDA, or that part of it
            from other sources, or it does not run on that device.
    """
    if tensor.is_cpu:
        return _CORE
    if tensor.is_cuda:
        if reason := why_no_cuda_kernels(tensor.device):
            raise RuntimeError(f"a tensor is on a CUDA device, but {reason}")
        return _cuda()
    raise ValueError(f"a tensor is on {tensor.device}; allowed: cpu and cuda devices")


def launch(name: str, tensor: Tensor, *arguments: object) -> None:
    """Run an operator where ``tensor`` lies; on CUDA on the current stream of that device."""
    function = getattr(module_of(tensor), name)
    if tensor.is_cuda:
        stream = torch.cuda.current_stream(tensor.device)
        function(*arguments, tensor.device.index, stream.cuda_stream)
    else:
        function(*arguments)
