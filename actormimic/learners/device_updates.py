"""Updates that need nothing from the host: rings mirrored on the device, one graph for all of it.

Draw, gather, forward, loss, backward and optimizer are enqueued on one stream; on a GPU they are
captured as one CUDA graph that is replayed for every update. Which rows are drawn follows from a
counter that lies on the device, and only new frames and labels are copied to it. What does not
happen at every update stays outside: target networks are copied, and test epochs run, between two
replays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actormimic.learners.batches import Draws, Extras
from actormimic.randomness import Stream, seed_prefix
from actormimic.replay import ReplayRing
from actormimic.replay_cuda import ReplayMirror

_LAYOUT = torch.channels_last


class DeviceBatches:
    """What `ReplayBatches` draws, from rings mirrored on ``device``, into tensors made once.

    ``obs`` and ``next_obs`` are byte / 255 in ``dtype``, laid out channels-last; the rest is as
    there. `draw` enqueues and waits for nothing.
    """

    def __init__(
        self,
        rings: Sequence[ReplayRing],
        rows: int,
        draws: Draws,
        extras: Extras,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.mirror = ReplayMirror(rings, device)
        self._draws = draws
        self._dtype = dtype
        batch = rows * len(rings)
        prefixes = [seed_prefix(seed, Stream.REPLAY, game) for game in range(len(rings))]
        self._prefixes = torch.tensor(prefixes, device=device)
        self.counter = torch.zeros(1, dtype=torch.int64, device=device)
        """The number of the next update."""

        def empty(shape: tuple[int, ...], of: torch.dtype) -> Tensor:
            return torch.empty((batch, *shape), dtype=of, device=device)

        known = {"actions": torch.int64, "rewards": torch.float32, "discounts": torch.float32}
        plain = {name: empty((), known[name]) for name in draws.fields if name in known}
        self._drawn = {"index": empty((), torch.int64), **plain}
        self._batch: dict[str, Tensor] = {
            **plain,
            "game": torch.arange(len(rings)).repeat_interleave(rows).to(device),
        }
        self._stacks: dict[str, Tensor] = {}
        for name, indices in (("obs", "frames"), ("next_obs", "next_frames")):
            if name in draws.fields:
                self._drawn[indices] = self._stacks[name] = empty((4,), torch.int64)
                shape = (4, *rings[0].frame_shape)
                self._batch[name] = empty(shape, dtype).contiguous(memory_format=_LAYOUT)
        self._extras = [name for name in draws.fields if name in extras]
        for name in self._extras:
            source = self.mirror.arrays[name]
            self._batch[name] = empty(tuple(source.shape[1:]), source.dtype)

    def draw(self) -> dict[str, Tensor]:
        """The batch of the update that the counter stands at; the same tensors each time."""
        self.mirror.draw(
            self.counter,
            self._prefixes,
            self._drawn,
            n_step=self._draws.n_step,
            gamma=self._draws.discount,
        )
        for name, index in self._stacks.items():
            self.mirror.gather(
                index, dtype=self._dtype, memory_format=_LAYOUT, out=self._batch[name]
            )
        for name in self._extras:
            source = self.mirror.arrays[name]
            torch.index_select(source, 0, self._drawn["index"], out=self._batch[name])
        return dict(self._batch)


class CapturedUpdate:
    """An update on static tensors that is captured as a CUDA graph and replayed from then on.

    The first three calls run it as it is, on a stream of its own, so that libraries and optimizer
    make what they keep; they are updates like all others. Whatever ``update`` reads from the host
    is frozen when it is captured. On other devices, or with ``capture`` False, every call runs it.

    Args:
        update: enqueues one update and returns its metrics.
        device: where.
        capture: whether to capture it, which takes one that waits for nothing.
    """

    _WARM_UPS = 3

    def __init__(
        self,
        update: Callable[[], Mapping[str, Tensor]],
        device: torch.device,
        *,
        capture: bool = True,
    ) -> None:
        self._update = update
        self._device = device
        self._captures = capture and device.type == "cuda"
        self._calls = 0
        # One for all warm-ups: memory and workspaces belong to the stream that used them first.
        self._side: torch.cuda.Stream | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._metrics: Mapping[str, Tensor] = {}

    def __call__(self) -> Mapping[str, Tensor]:
        """One update; its metrics, which the next call overwrites."""
        if not self._captures:
            return self._update()
        with torch.cuda.device(self._device):
            self._calls += 1
            if self._calls <= self._WARM_UPS:
                here = torch.cuda.current_stream()
                if self._side is None:
                    self._side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
                side = self._side
                side.wait_stream(here)
                with torch.cuda.stream(side):
                    metrics = self._update()
                here.wait_stream(side)
                for value in metrics.values():
                    value.record_stream(here)
                return metrics
            if self._graph is None:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    self._metrics = self._update()
                self._graph = graph  # only now: a capture that failed leaves an empty one
            self._graph.replay()
            return self._metrics


class DeviceUpdates:
    """The updates of a learner whose rings are mirrored on its device; see `HostUpdates`."""

    def __init__(
        self,
        update: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
        batches: DeviceBatches,
    ) -> None:
        self._batches = batches
        self._run = CapturedUpdate(lambda: update(batches.draw()), batches.mirror.device)

    def stored(self, game: int, lanes: npt.NDArray[np.integer[Any]]) -> None:
        """Note that the ring of ``game`` got a row in each of ``lanes``."""
        self._batches.mirror.appended(game, lanes)

    def flush(self) -> None:
        """Enqueue the copies of what was stored."""
        self._batches.mirror.flush()

    def restored(self, updates: int) -> None:
        """The rings were loaded, and ``updates`` is the number of the next update."""
        self._batches.mirror.reload()
        self._batches.counter.fill_(updates)

    def run(self, update: int) -> Mapping[str, Tensor]:
        """Update number ``update``, which the device has counted for itself."""
        return self._run()
