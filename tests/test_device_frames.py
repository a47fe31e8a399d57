"""Gathered batches on the CPU; tests/test_cuda.py compares CUDA with these."""

import pytest
import torch
from torch import Tensor

from actormimic.device_frames import gather_frames

DTYPES = [torch.bfloat16, torch.float16, torch.float32]


def make_frames(count: int = 6, height: int = 84, width: int = 84) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    size = (count, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


def expected_batch(frames: Tensor, index: Tensor, dtype: torch.dtype) -> Tensor:
    batch = frames[index.clamp(min=0)].float() * (1.0 / 255.0)
    batch[index < 0] = 0
    return batch.to(dtype)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", DTYPES)
def test_stacks_are_gathered_and_normalized(
    dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    frames = make_frames()
    index = torch.tensor([[-1, -1, 0, 1], [2, 3, 4, 5], [5, 5, 0, 0], [-1, -1, -1, -1]])
    batch = gather_frames(frames, index, dtype=dtype, memory_format=memory_format)
    assert batch.shape == (4, 4, 84, 84)
    assert batch.dtype == dtype
    assert batch.is_contiguous(memory_format=memory_format)
    assert torch.equal(batch, expected_batch(frames, index, dtype))
    out = torch.full_like(batch, 7)
    assert gather_frames(frames, index, dtype=dtype, memory_format=memory_format, out=out) is out
    assert torch.equal(out, batch)


def test_the_range_is_zero_to_one() -> None:
    frames = torch.tensor([0, 255], dtype=torch.uint8).repeat_interleave(64).view(2, 8, 8)
    batch = gather_frames(frames, torch.tensor([[0, 1, 0, 1]]))
    assert batch.unique().tolist() == [0.0, 1.0]


def test_an_empty_batch() -> None:
    index = torch.empty(0, 4, dtype=torch.int64)
    assert gather_frames(make_frames(), index).shape == (0, 4, 84, 84)


FRAMES, INDEX = make_frames(), torch.zeros(2, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"frames": FRAMES.float()}, TypeError, "frames has dtype torch.float32; allowed: torch.u"),
        ({"frames": FRAMES[0]}, ValueError, "frames has 2 dimensions; allowed: 3"),
        ({"frames": FRAMES[:, ::2]}, ValueError, "frames is not contiguous"),
        ({"frames": FRAMES[:, :3, :3].clone()}, ValueError, "a frame has 9 pixels; allowed: pos"),
        ({"index": INDEX.int()}, TypeError, "index has dtype torch.int32; allowed: torch.int64"),
        ({"index": INDEX[:, :3].clone()}, ValueError, r"index has shape \(2, 3\); allowed: \(B, 4"),
        ({"index": INDEX.to("meta")}, ValueError, "index is on meta; allowed: cpu"),
        ({"index": INDEX + 6}, IndexError, r"index 6 is out of range \[0, 6\)"),
        ({"index": INDEX - 2}, IndexError, r"index -2 is out of range \[0, 6\)"),
        ({"dtype": torch.float64}, TypeError, "dtype is torch.float64; allowed: torch.bfloat16"),
        ({"memory_format": torch.preserve_format}, ValueError, "memory_format is torch.preserve"),
        ({"out": torch.empty(3)}, ValueError, r"out has shape \(3,\); allowed: \(2, 4, 84, 84\)"),
        ({"out": torch.empty(2, 4, 84, 84)}, TypeError, "out has dtype torch.float32; allowed: "),
        (
            {"out": torch.empty(2, 4, 84, 84, dtype=torch.bfloat16, device="meta")},
            ValueError,
            "out is on meta; allowed: cpu",
        ),
        (
            {"out": torch.empty(2, 84, 84, 4, dtype=torch.bfloat16).permute(0, 3, 1, 2)},
            ValueError,
            "out is not laid out as torch.contiguous_format",
        ),
        (
            {"frames": FRAMES.to("meta"), "index": INDEX.to("meta")},
            ValueError,
            "a tensor is on meta; allowed: cpu and cuda devices",
        ),
    ],
)
def test_bad_gathers_are_refused(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gather_frames(**{"frames": FRAMES, "index": INDEX, **arguments})
