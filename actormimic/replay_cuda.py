"""The content of replay rings mirrored in a device's memory, so that batches never cross the bus.

The rings stay on the host: they are what is saved, shared and inspected, and they settle which rows
are valid. A `ReplayMirror` holds the same frames, extras and bookkeeping on the device, where rows
are drawn by a counter that lies there too; what it draws is what the rings would draw. A frame of
84x84 takes 7,056 bytes: eight games of 100,000 frames take 5.7 GB.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actormimic.device_frames import STACK, gather_frames
from actormimic.kernels import launch, module_of
from actormimic.replay import ReplayRing

__all__ = ["ReplayMirror"]

Integers = npt.NDArray[np.int64]

# Words of a LaneControl of csrc/replay/ring_layout.hpp.
_LANE_WORDS, _COMMITTED, _VALID_TAIL, _VALID_HEAD = 16, 1, 3, 4
# What one appended row changes: its own and the previous row's facts, the last two entries of its
# lane's queue, each with its place, and the lane's cursors with theirs.
_CHANGES = 11


class _Tables:
    """A ring's memory as arrays, by the offsets in its header (csrc/replay/ring_layout.hpp)."""

    def __init__(self, ring: ReplayRing) -> None:
        memory = ring._core.memory
        lanes_at, rows_at, queues_at, frames_at = (int(n) for n in memory[72:104].view("<u8"))

        def table(offset: int, dtype: Any, count: int, shape: tuple[int, ...]) -> Any:
            size = count * int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            return memory[offset : offset + size].view(dtype).reshape(count, *shape)

        self.lanes: Integers = table(lanes_at, "<i8", ring.lanes, (_LANE_WORDS,))
        self.rows: Integers = table(rows_at, "<i8", ring.capacity, ())
        self.queues: Integers = table(queues_at, "<i8", ring.capacity, ())
        arrays = {"frames": table(frames_at, np.uint8, ring.capacity, ring.frame_shape)}
        for number, (name, (shape, dtype)) in enumerate(ring.extras.items()):
            (offset,) = memory[104 + 80 * number + 72 :][:8].view("<u8")
            arrays[name] = table(int(offset), dtype, ring.capacity, shape)
        self.arrays: dict[str, npt.NDArray[Any]] = arrays
        """The frames and the extras, [capacity, ...] each."""


class _Stage:
    """Rows on their way to the device: pinned memory, and when its copies are done."""

    def __init__(self, room: int, like: dict[str, Tensor], device: torch.device) -> None:
        pinned = device.type == "cuda"
        self.changes = torch.empty((room, _CHANGES), dtype=torch.int64, pin_memory=pinned)
        self.arrays = {
            name: torch.empty((room, *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=pinned)
            for name, tensor in like.items()
        }
        self.copied = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]


class ReplayMirror:
    """Mirrors rings of one shape in a device's memory.

    Whoever appends to a ring calls `appended` for the rows, then `flush`; draws see what was
    flushed before, since all of it is enqueued on the device's current stream. Nothing waits for
    the device unless the host runs two flushes ahead. For one thread.

    Args:
        rings: of one shape, with stacks of four frames ``(H, W)``, H * W a multiple of 8. What they
            hold already is copied.
        device: where the mirror lies.

    Raises:
        ValueError: there is no ring, their shapes differ, or it is another than that.
    """

    def __init__(self, rings: Sequence[ReplayRing], device: torch.device | str) -> None:
        if not rings:
            raise ValueError("rings is empty; allowed: one or more")
        first = rings[0]
        shape = (first.capacity, first.lanes, first.frame_shape, first.stack, first.extras)
        for ring in rings[1:]:
            other = (ring.capacity, ring.lanes, ring.frame_shape, ring.stack, ring.extras)
            if other != shape:
                raise ValueError(f"rings have shapes {shape} and {other}; allowed: one shape")
        if first.stack != STACK:
            raise ValueError(f"rings have stacks of {first.stack}; allowed: {STACK}")
        sizes = first.frame_shape
        if len(sizes) != 2 or sizes[0] * sizes[1] % 8 != 0:
            raise ValueError(
                f"frame_shape is {sizes}; allowed: two sizes whose product is a multiple of 8"
            )
        self.device = torch.device(device)
        self.lanes = first.lanes
        self._tables = [_Tables(ring) for ring in rings]
        self._capacity = first.capacity
        self._rows_per_lane = first.capacity // first.lanes
        total = len(rings) * first.capacity
        self.arrays = {
            name: torch.zeros(
                (total, *array.shape[1:]),
                dtype=torch.from_numpy(np.empty(0, array.dtype)).dtype,
                device=self.device,
            )
            for name, array in self._tables[0].arrays.items()
        }
        """``frames`` uint8 ``[rings * capacity, H, W]``, and the extras alike."""
        self._rows = torch.zeros(total, dtype=torch.int64, device=self.device)
        self._queues = torch.zeros_like(self._rows)
        self._cursors = torch.zeros(
            (len(rings) * first.lanes, 2), dtype=torch.int64, device=self.device
        )
        room = len(rings) * first.lanes
        self._stages = itertools.cycle(_Stage(room, self.arrays, self.device) for _ in range(2))
        self._stage = next(self._stages)
        self._staged = np.zeros(room, np.bool_)
        self._count = 0
        self.reload()

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        tensors = (*self.arrays.values(), self._rows, self._queues, self._cursors)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def reload(self) -> None:
        """Copy all rows anew, as after the rings were loaded; what was not flushed is dropped."""
        self._count = 0
        self._staged[:] = False
        for number, tables in enumerate(self._tables):
            own = slice(number * self._capacity, (number + 1) * self._capacity)
            self._rows[own] = torch.tensor(tables.rows)
            self._queues[own] = torch.tensor(tables.queues)
            self._cursors[number * self.lanes : (number + 1) * self.lanes] = torch.tensor(
                tables.lanes[:, _VALID_TAIL : _VALID_HEAD + 1]
            )
            # Of frames and extras only what was written: the rest is most of a young ring's memory.
            for lane, committed in enumerate(tables.lanes[:, _COMMITTED]):
                first = lane * self._rows_per_lane
                last = first + min(int(committed), self._rows_per_lane)
                for name, array in tables.arrays.items():
                    for begin in range(first, last, 4096):
                        end = min(begin + 4096, last)
                        target = self.arrays[name][own][begin:end]
                        target.copy_(torch.tensor(array[begin:end]))

    def appended(self, ring: int, lanes: npt.NDArray[np.integer[Any]]) -> None:
        """Note the newest row of each of ``lanes`` of ring number ``ring``, for the next flush."""
        places = ring * self.lanes + np.asarray(lanes, np.int64)
        if self._staged[places].any():
            self.flush()  # of two rows of one lane, the second changes what the first one wrote
        if self._count == 0:
            self._stage = next(self._stages)
            if self._stage.copied is not None:
                self._stage.copied.synchronize()
        self._staged[places] = True
        tables, rows_per_lane = self._tables[ring], self._rows_per_lane
        at = slice(self._count, self._count + len(places))
        self._count += len(places)
        first = np.asarray(lanes, np.int64) * rows_per_lane
        control = tables.lanes[lanes]
        newest = control[:, _COMMITTED] - 1
        head = control[:, _VALID_HEAD]
        changes = self._stage.changes.numpy()[at]
        offset = ring * self._capacity
        entries = (
            (tables.rows, newest),
            (tables.rows, newest - 1),
            (tables.queues, head - 1),
            (tables.queues, head - 2),
        )
        for column, (table, entry) in enumerate(entries):
            # Before the first row there is none: entry 0 is written as it stands.
            element = first + np.maximum(entry, 0) % rows_per_lane
            changes[:, 2 * column] = element + offset
            changes[:, 2 * column + 1] = table[element]
        changes[:, 8] = places
        changes[:, 9:] = control[:, _VALID_TAIL : _VALID_HEAD + 1]
        element = first + newest % rows_per_lane
        for name, array in tables.arrays.items():
            np.take(array, element, axis=0, out=self._stage.arrays[name].numpy()[at], mode="clip")

    def flush(self) -> None:
        """Enqueue the copies of all rows noted since the last flush."""
        if self._count == 0:
            return
        stage, count = self._stage, self._count
        self._count = 0
        self._staged[:] = False
        changes = stage.changes[:count].to(self.device, non_blocking=True).unbind(1)
        for table, column in (
            (self._rows, 2),
            (self._rows, 0),
            (self._queues, 6),
            (self._queues, 4),
        ):
            table.index_copy_(0, changes[column], changes[column + 1])
        self._cursors.index_copy_(0, changes[8], torch.stack(changes[9:], 1))
        for name, rows in stage.arrays.items():
            moved = rows[:count].to(self.device, non_blocking=True)
            self.arrays[name].index_copy_(0, changes[0], moved)
        if stage.copied is not None:
            # On the stream of the copies: without one it would be the current device's, and the
            # rows would be overwritten while another device still copies them.
            stage.copied.record(torch.cuda.current_stream(self.device))

    def draw(
        self,
        counter: Tensor,
        prefixes: Tensor,
        out: dict[str, Tensor],
        *,
        n_step: int = 1,
        gamma: float = 1.0,
    ) -> None:
        """Draw transitions from every ring into ``out``; adds 1 to ``counter``.

        From the same content, and with the seed that ``prefixes`` and ``counter`` give
        (`actormimic.randomness.seed_prefix`), these are the draws of `ReplayRing.sample`.

        Args:
            counter: ``int64 [1]``.
            prefixes: ``int64 [rings]``.
            out: what to write, all of it optional, contiguous on the mirror's device; B is a
                multiple of the number of rings, whose draws lie one after the other. ``index``
                ``int64 [B]``, elements of `arrays`; ``frames`` and ``next_frames`` ``int64
                [B, 4]``, indices for `gather_frames`; ``actions int64 [B]``; ``rewards`` and
                ``discounts`` ``float32 [B]``. A ring without a valid row gives -1 and zeros.

        Raises:
            ValueError, TypeError: a tensor is not as above, or a number out of range.
        """
        rings = len(self._tables)
        batch = len(next(iter(out.values()))) if out else 0
        if batch == 0 or batch % rings:
            raise ValueError(f"out has {batch} rows; allowed: a positive multiple of {rings}")
        self._check("counter", counter, torch.int64, (1,))
        self._check("prefixes", prefixes, torch.int64, (rings,))
        draw = module_of(self._rows).TransitionDraw()
        draw.rows, draw.queues = self._rows.data_ptr(), self._queues.data_ptr()
        draw.cursors = self._cursors.data_ptr()
        draw.rings, draw.lanes, draw.rows_per_lane = rings, self.lanes, self._rows_per_lane
        draw.per_ring, draw.n_step, draw.gamma = batch // rings, n_step, gamma
        draw.prefixes, draw.counter = prefixes.data_ptr(), counter.data_ptr()
        for name, tensor in out.items():
            if name not in _DRAWN:
                raise ValueError(f"out has {name!r}; allowed: {', '.join(_DRAWN)}")
            dtype, row = _DRAWN[name]
            self._check(f"out[{name!r}]", tensor, dtype, (batch, *row))
            setattr(draw, name, tensor.data_ptr())
        launch("draw_transitions", self._rows, draw)

    def _check(self, name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        if tensor.dtype != dtype:
            raise TypeError(f"{name} has dtype {tensor.dtype}; allowed: {dtype}")
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}; allowed: {shape}")
        if tensor.device != self._rows.device:
            raise ValueError(f"{name} is on {tensor.device}; allowed: {self._rows.device}")
        if not tensor.is_contiguous():
            raise ValueError(f"{name} is not contiguous; allowed: contiguous tensors")

    def gather(
        self,
        index: Tensor,
        *,
        dtype: torch.dtype,
        memory_format: torch.memory_format = torch.contiguous_format,
        out: Tensor | None = None,
    ) -> Tensor:
        """The stacks of drawn ``frames``, as `gather_frames` gives them."""
        return gather_frames(
            self.arrays["frames"], index, dtype=dtype, memory_format=memory_format, out=out
        )


_DRAWN: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
    "index": (torch.int64, ()),
    "frames": (torch.int64, (STACK,)),
    "next_frames": (torch.int64, (STACK,)),
    "actions": (torch.int64, ()),
    "rewards": (torch.float32, ()),
    "discounts": (torch.float32, ()),
}
