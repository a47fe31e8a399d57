"""A replay ring whose frames live on a device, so that batches never cross the bus.

The bookkeeping is a ``ReplayRing`` on the host that stores each frame's slot in place of the frame:
what it samples as a stack is the list of slots that the device gathers. Both rings therefore agree
on every row, draw, n-step return and truncation. At 84x84 a million frames take 7.1 GB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actormimic.device_frames import STACK, gather_frames
from actormimic.replay import ExtraSpecs, ReplayRing

__all__ = ["DeviceReplayRing"]


class DeviceReplayRing:
    """A ring of frames in a device's memory; see `ReplayRing` for what rows, lanes and extras are.

    Stacks have four frames. For one thread, and one stream at a time: `append` and `sample` enqueue
    on the device's current stream and rely on its order. Private to its process; it is neither
    saved nor shared.

    Args:
        capacity, lanes, extras: as for `ReplayRing`.
        device: where the frames live; what is sampled lies there too.
        frame_shape: height and width; their product is a multiple of 8.
        dtype: of sampled states, byte / 255: bfloat16, float16 or float32.
        memory_format: of sampled states: ``torch.contiguous_format`` or ``torch.channels_last``.
    """

    def __init__(
        self,
        capacity: int,
        lanes: int,
        *,
        device: torch.device | str = "cuda",
        frame_shape: tuple[int, int] = (84, 84),
        extras: ExtraSpecs | None = None,
        dtype: torch.dtype = torch.bfloat16,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        if len(frame_shape) != 2 or frame_shape[0] * frame_shape[1] % 8 != 0:
            raise ValueError(
                f"frame_shape is {frame_shape}; allowed: two sizes whose product is a multiple of 8"
            )
        # Eight bytes a frame: its slot plus 1, so that the zeros before a start mean "no frame".
        self._slots = ReplayRing(capacity, lanes, frame_shape=(8,), stack=STACK, extras=extras)
        self.capacity = self._slots.capacity
        self.lanes = self._slots.lanes
        self.dtype = dtype
        self.memory_format = memory_format
        self.frames = torch.zeros(
            (self.capacity, *frame_shape), dtype=torch.uint8, device=torch.device(device)
        )
        """uint8 ``[capacity, H, W]``"""
        self._gather(np.full((1, STACK, 8), 0, np.uint8))  # refuses a dtype or a format at once

    def append(
        self,
        frames: npt.NDArray[np.uint8] | Tensor,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        terminals: npt.ArrayLike,
        *,
        starts: npt.ArrayLike | None = None,
        lanes: npt.ArrayLike | None = None,
        **extras: npt.ArrayLike,
    ) -> None:
        """Appends one row to each lane, or to each of `lanes`, as `ReplayRing.append` does.

        `frames` may be a tensor, on this device or on another one.
        """
        tensor = torch.as_tensor(frames)
        if tensor.dtype != torch.uint8:
            raise TypeError(f"frames has dtype {tensor.dtype}; allowed: torch.uint8")
        count = self.lanes if lanes is None else len(np.atleast_1d(lanes))
        shape = (count, *self.frames.shape[1:])
        if tuple(tensor.shape) != shape:
            raise ValueError(f"frames has shape {tuple(tensor.shape)}; allowed: {shape}")
        chosen = np.arange(self.lanes) if lanes is None else np.atleast_1d(np.asarray(lanes))
        # The host's ring refuses lanes out of range, whatever is computed for them here.
        known = chosen.clip(0, self.lanes - 1).astype(np.int64)
        rows_per_lane = self.capacity // self.lanes
        slots = known * rows_per_lane + self._slots.rows_written[known] % rows_per_lane
        stored = (slots + 1).view(np.uint8).reshape(count, 8)
        self._slots.append(
            stored, actions, rewards, terminals, starts=starts, lanes=lanes, **extras
        )
        device = self.frames.device
        self.frames.index_copy_(0, torch.from_numpy(slots).to(device), tensor.to(device))

    def sample(
        self,
        batch: int,
        *,
        lanes: npt.ArrayLike | None = None,
        fields: Sequence[str] | None = None,
        n_step: int = 1,
        gamma: float = 1.0,
        seed: int | None = None,
    ) -> dict[str, Tensor]:
        """Draws `batch` rows; the same ones as `ReplayRing.sample` for the same seed and content.

        ``obs`` and ``next_obs`` are ``[B, 4, H, W]`` in [0, 1], of the ring's dtype and memory
        format; everything else is as there. All tensors are on the ring's device.
        """
        drawn = self._slots.sample(
            batch, lanes=lanes, fields=fields, n_step=n_step, gamma=gamma, seed=seed
        )
        return {
            name: self._gather(array)
            if name in ("obs", "next_obs")
            else torch.from_numpy(array).to(self.frames.device)
            for name, array in drawn.items()
        }

    def _gather(self, stored: npt.NDArray[Any]) -> Tensor:
        index = torch.from_numpy(stored.view(np.int64).reshape(-1, STACK) - 1)
        return gather_frames(
            self.frames,
            index.to(self.frames.device),
            dtype=self.dtype,
            memory_format=self.memory_format,
        )

    def __len__(self) -> int:
        """The number of valid rows."""
        return len(self._slots)

    @property
    def nbytes(self) -> int:
        """Bytes on the device and on the host."""
        return self.frames.numel() + self._slots.nbytes
