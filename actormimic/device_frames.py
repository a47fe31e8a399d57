"""Frames that lie where the network runs: rows to draw, and stacks gathered into a batch.

Both operators are one launch on the current stream of the tensors' device, wait for nothing and
need nothing from the host, so that a whole update can be captured once as a CUDA graph and
replayed::

    counter = torch.zeros(1, dtype=torch.int64, device="cuda")
    with torch.cuda.graph(graph):
        draw_rows(counts, 8, counter, seed=seed, out=rows)   # moves the counter on
        index = table.gather(1, rows)                        # the ring's own bookkeeping, in torch
        gather_frames(frames, index.view(-1, 4), out=batch)
        loss = actor_mimic_loss(network(batch), ...)
        loss.total.backward()
        optimizer.step()                                     # with capturable=True
    graph.replay()                                           # draws other rows every time

``counts`` and the ring's tables are read when the graph is replayed: writing frames and counts
between two replays, on the same stream, is all that the host has to do. What must stay outside of
the graph: copies of a target network and evaluation, because they do not happen every time. The
tensors that the graph reads and writes must live as long as the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from actormimic.kernels import ELEMENT_TYPES, launch, module_of

__all__ = ["draw_rows", "gather_frames"]

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


def draw_rows(
    counts: Tensor, per_group: int, counter: Tensor, *, seed: int, out: Tensor | None = None
) -> Tensor:
    """Draw positions uniformly and with replacement, ``int64 [G, per_group]``; moves ``counter``.

    The numbers (Philox 4x32-10) depend on ``seed``, ``counter`` and ``counts`` alone, on the CPU as
    on CUDA.

    Args:
        counts: ``int64 [G]``: group g draws from [0, counts[g]); -1 where that is empty.
        per_group: numbers per group, for Actor-Mimic 8 for each game.
        counter: ``int64 [1]``, the number of draws so far; 1 is added.
        seed: 0 to 2**64 - 1.
        out: write here instead, into a contiguous tensor of that shape and type.

    Raises:
        TypeError, ValueError: a type, shape, layout, device or number is not as above.
    """
    _check("counts", counts, torch.int64, 1, counts)
    _check("counter", counter, torch.int64, 1, counts)
    if counter.shape[0] != 1:
        raise ValueError(f"counter has shape {tuple(counter.shape)}; allowed: (1,)")
    if per_group < 0:
        raise ValueError(f"per_group is {per_group}; allowed: 0 or more")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed}; allowed: 0 to 2**64 - 1")
    shape = (counts.shape[0], per_group)
    out = _output(out, shape, torch.int64, torch.contiguous_format, counts)
    draw = module_of(counts).RowDraw()
    draw.counts, draw.groups, draw.per_group = counts.data_ptr(), counts.shape[0], per_group
    draw.seed, draw.counter, draw.out = seed, counter.data_ptr(), out.data_ptr()
    launch("draw_rows", counts, draw)
    return out
