"""The frame gather: stacks of frames into a normalized batch, against indexing in torch.

    python -m pytest benchmarks/bench_device_frames.py --benchmark-only -o addopts=""

The figures on a CUDA device are part of ``python benchmarks/bench_losses.py --device cuda``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from actormimic.device_frames import gather_frames

PIXELS = 84 * 84


def make_ring(stacks: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    # No frame is drawn twice, and four times as many lie around: what came from a cache would be
    # counted as traffic otherwise.
    count = max(20_000, 4 * 4 * stacks)
    frames = torch.randint(0, 256, (count, 84, 84), dtype=torch.uint8, device=device)
    oldest = 4 * torch.randperm(count // 4, device=device)[:stacks, None]
    return frames, oldest + torch.arange(4, device=device)


def by_indexing(frames: Tensor, index: Tensor) -> Tensor:
    return frames[index].to(torch.bfloat16) / 255


@pytest.mark.parametrize("stacks", [64, 256])
@pytest.mark.parametrize("gather", [gather_frames, by_indexing])
def test_gather(benchmark, gather: Callable[..., Tensor], stacks: int) -> None:
    frames, index = make_ring(stacks)
    benchmark.group = f"{stacks} stacks"
    benchmark(gather, frames, index)


def report_gather(
    device_seconds: Callable[..., float],
    copy_of: Callable[..., object],
    report: Callable[..., None],
) -> None:
    for stacks in (64, 1024, 4096, 8192):
        frames, index = make_ring(stacks, "cuda")
        size = stacks * 4 * PIXELS * 3  # a byte read and two written for each pixel
        copy = device_seconds(copy_of(size, "cuda"))
        for memory_format in (torch.contiguous_format, torch.channels_last):
            out = torch.empty(
                (stacks, 4, 84, 84),
                dtype=torch.bfloat16,
                device="cuda",
                memory_format=memory_format,
            )
            ours = device_seconds(
                lambda frames=frames, index=index, out=out, layout=memory_format: gather_frames(
                    frames, index, memory_format=layout, out=out
                )
            )
            report(
                "gather",
                stacks=stacks,
                layout=str(memory_format),
                us=round(ours * 1e6, 2),
                share_of_copy_bandwidth=round(copy / ours, 3),
            )
