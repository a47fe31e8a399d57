"""Frames that lie where the network runs: stacks gathered into a normalized batch.

One launch on the current stream of the tensors' device, which waits for nothing and needs nothing
from the host, so that it can be part of a CUDA graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from actormimic.kernels import ELEMENT_TYPES, launch, module_of

__all__ = ["gather_frames"]

STACK = 4


def _check(name: str, tensor: Tensor, dtype: torch.dtype, dimensions: int, like: Tensor) -> None:
    if tensor.dtype != dtype:
        raise TypeError(f"{name} has dtype {tensor.dtype}; allowed: {dtype}")
    if tensor.dim() != dimensions:
        raise ValueError(f"{name} has {tensor.dim()} dimensions; allowed: {dimensions}")
    if not tensor.is_contiguous():
        raise ValueError(f"{name} is not contiguous; allowed: contiguous tensors")
    if tensor.device != like.device:
        raise ValueError(f"{name} is on {tensor.device}; allowed: {like.device}, as the first one")


def _output(
    out: Tensor | None,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    memory_format: torch.memory_format,
    like: Tensor,
) -> Tensor:
    """``out`` once it is checked, or a new tensor."""
    if out is None:
        return torch.empty(shape, dtype=dtype, device=like.device, memory_format=memory_format)
    if tuple(out.shape) != shape:
        raise ValueError(f"out has shape {tuple(out.shape)}; allowed: {shape}")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}; allowed: {dtype}")
    if out.device != like.device:
        raise ValueError(f"out is on {out.device}; allowed: {like.device}, as the first one")
    if not out.is_contiguous(memory_format=memory_format):
        raise ValueError(f"out is not laid out as {memory_format}")
    return out


def gather_frames(
    frames: Tensor,
    index: Tensor,
    *,
    dtype: torch.dtype = torch.bfloat16,
    memory_format: torch.memory_format = torch.contiguous_format,
    out: Tensor | None = None,
) -> Tensor:
    """Gather stacks of four frames into a normalized batch, ``[B, 4, H, W]`` in [0, 1].

    Args:
        frames: ``uint8 [N, H, W]``, the ring; H * W a multiple of 8.
        index: ``int64 [B, 4]``, which frame, oldest first; -1 is a frame of zeros, as before the
            start of an episode.
        dtype: of the batch: bfloat16, float16 or float32.
        memory_format: of the batch: ``torch.contiguous_format`` or ``torch.channels_last``, which
            convolutions in half precision prefer.
        out: write here instead, into a tensor of that shape, type and format.

    Raises:
        TypeError, ValueError: a type, shape, layout or device is not as above.
        IndexError: on the CPU, an index outside [-1, N), before anything is written. On CUDA such
            an index gives a frame of NaN, because nothing waits for the device.
    """
    _check("frames", frames, torch.uint8, 3, frames)
    _check("index", index, torch.int64, 2, frames)
    if index.shape[1] != STACK:
        raise ValueError(f"index has shape {tuple(index.shape)}; allowed: (B, {STACK})")
    if dtype not in (torch.bfloat16, torch.float16, torch.float32):
        raise TypeError(f"dtype is {dtype}; allowed: torch.bfloat16, torch.float16, torch.float32")
    if memory_format not in (torch.contiguous_format, torch.channels_last):
        raise ValueError(
            f"memory_format is {memory_format}; allowed: torch.contiguous_format, "
            "torch.channels_last"
        )
    count, height, width = frames.shape
    shape = (index.shape[0], STACK, height, width)
    out = _output(out, shape, dtype, memory_format, frames)
    gather = module_of(frames).FrameGather()
    gather.frames, gather.frame_count, gather.pixels = frames.data_ptr(), count, height * width
    gather.index, gather.stacks = index.data_ptr(), index.shape[0]
    gather.out, gather.type = out.data_ptr(), ELEMENT_TYPES[dtype]
    gather.channels_last = memory_format == torch.channels_last
    launch("gather_frames", frames, gather)
    return out
