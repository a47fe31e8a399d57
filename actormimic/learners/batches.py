"""The replay rings of all games, and batches gathered from them straight into one tensor."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actormimic.networks import FRAME_SHAPE, STACK
from actormimic.randomness import Stream, derive_seed
from actormimic.replay import ReplayRing, list_rings, remove_ring

#: Named fields beside each frame in a ring: name -> (shape, dtype).
Extras = dict[str, tuple[tuple[int, ...], Any]]


class Draws(NamedTuple):
    """What a learner wants of each row that it draws."""

    fields: tuple[str, ...]
    n_step: int = 1
    """Steps of the return."""
    discount: float = 1.0
    """gamma of the return."""


def ring_names(folder: Path, games: Sequence[str]) -> list[str]:
    """Names for the shared rings of a run folder; no other folder has them."""
    whole = folder.expanduser().resolve()
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", whole.name)[:64]
    return [f"{readable}-{zlib.crc32(bytes(whole)):08x}-{game}" for game in games]


def make_rings(
    capacity: int, lanes: int, extras: Extras, names: Sequence[str | None]
) -> list[ReplayRing]:
    """One ring per name, each of ``capacity`` frames over ``lanes`` lanes; private without a name.

    A ring that a killed run left under a name is removed first: a run folder has one process.
    """
    for left_behind in set(list_rings()).intersection(names):
        remove_ring(left_behind)
    rings: list[ReplayRing] = []
    try:
        for name in names:
            rings.append(
                ReplayRing(
                    capacity, lanes, frame_shape=FRAME_SHAPE, stack=STACK, extras=extras, name=name
                )
            )
    except BaseException:
        free_rings(rings)  # a named one would keep its memory beyond this process
        raise
    return rings


def free_rings(rings: Sequence[ReplayRing]) -> None:
    """Close them and free their names, those too that somebody has freed meanwhile."""
    for ring in rings:
        ring.close()
        if ring.name is not None:
            with suppress(FileNotFoundError):
                ring.unlink()


class Updates(Protocol):
    """Where a training's batches come from and how its updates run."""

    def stored(self, game: int, lanes: npt.NDArray[np.integer[Any]]) -> None:
        """Called when the ring of ``game`` got a row in each of ``lanes``."""

    def flush(self) -> None:
        """Called when all rows of a step are stored."""

    def restored(self, updates: int) -> None:
        """Called when the rings were loaded; ``updates`` is the number of the next update."""

    def run(self, update: int) -> Mapping[str, Tensor]:
        """Update number ``update``; its metrics, left on the device."""


class HostUpdates:
    """Updates whose batches are gathered by the rings, on the host."""

    def __init__(
        self,
        update: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
        batches: ReplayBatches,
    ) -> None:
        self._update = update
        self._batches = batches

    def stored(self, game: int, lanes: npt.NDArray[np.integer[Any]]) -> None:
        """The ring has it; nothing else is to know."""

    def flush(self) -> None:
        """Nothing is waiting."""

    def restored(self, updates: int) -> None:
        """Draws follow from the update's number alone."""

    def run(self, update: int) -> Mapping[str, Tensor]:
        """One update from the batch of that number."""
        return self._update(self._batches.draw(update))


class ReplayBatches:
    """Draws one batch over all games: ``rows`` rows from each ring, in the order of the games.

    Each ring gathers into its slice of buffers that are allocated once (pinned where a GPU
    follows). What update number u draws depends on the seed, u and the rings' content alone.
    """

    def __init__(
        self,
        rings: Sequence[ReplayRing],
        rows: int,
        draws: Draws,
        extras: Extras,
        seed: int,
        device: torch.device,
    ) -> None:
        self._rings = list(rings)
        self._rows = rows
        self._draws = draws
        self._seed = seed
        self._device = device
        # Channels last, as the convolutions read them: the ring gathers in that order at nearly the
        # same cost, while reordering a batch of bytes afterwards costs as much as a layer.
        frames = ((*FRAME_SHAPE, STACK), np.uint8)
        known: Extras = {
            "obs": frames,
            "next_obs": frames,
            "actions": ((), np.int64),
            "rewards": ((), np.float32),
            "discounts": ((), np.float32),
            **extras,
        }
        self._buffers = {
            name: torch.from_numpy(np.zeros((rows * len(rings), *shape), dtype))
            for name, (shape, dtype) in known.items()
            if name in draws.fields
        }
        if device.type == "cuda":
            self._buffers = {name: buffer.pin_memory() for name, buffer in self._buffers.items()}
        self._slices = [
            {
                name: buffer[game * rows : (game + 1) * rows].numpy()
                for name, buffer in self._buffers.items()
            }
            for game in range(len(rings))
        ]
        # Copies to a GPU read the pinned buffers after draw() has returned; the next draw waits for
        # them before it writes there again.
        self._copied = torch.cuda.Event() if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._game = torch.arange(len(rings)).repeat_interleave(rows).to(device)

    def draw(self, update: int) -> dict[str, Tensor]:
        """The batch of update number ``update``: per field a tensor [games * rows, ...].

        ``game`` [games * rows] says whose each row is. On the CPU the tensors are the buffers
        themselves: used up before the next draw.
        """
        if self._copied is not None:
            self._copied.synchronize()
        for game, (ring, out) in enumerate(zip(self._rings, self._slices, strict=True)):
            ring.sample(
                self._rows,
                fields=self._draws.fields,
                n_step=self._draws.n_step,
                gamma=self._draws.discount,
                seed=derive_seed(self._seed, Stream.REPLAY, game, update),
                out=out,
                channels_last=True,
            )
        batch = {
            name: buffer.to(self._device, non_blocking=True)
            for name, buffer in self._buffers.items()
        }
        if self._copied is not None:
            # Of the batch's device, which need not be the current one.
            self._copied.record(torch.cuda.current_stream(self._device))
        for name in ("obs", "next_obs"):
            if name in batch:
                batch[name] = batch[name].permute(0, 3, 1, 2)
        batch["game"] = self._game
        return batch
