"""The replay ring: each frame stored once, stacks rebuilt when sampled, shared between processes.

``ReplayRing`` holds what the agents of several lanes (environments) saw and did. One uint8 frame is
stored per lane and agent step; stacks and next stacks are gathered when sampled. A ring lives in
private memory, in POSIX shared memory (``name=``) or in a file (``path=``); a process that is
killed at any moment costs the row that it was writing and nothing else. This module imports no
torch.

``python -m actormimic.replay --list`` names this machine's shared rings, ``--inspect NAME`` shows
what one holds while it is in use, and ``--remove NAME`` removes one that a dead run left behind.
"""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from actormimic._binding import core

__all__ = ["ReplayRing", "list_rings", "remove_ring"]

Array = npt.NDArray[Any]
ExtraSpecs = Mapping[str, tuple[Sequence[int], npt.DTypeLike]]

FIELDS = ("obs", "actions", "rewards", "next_obs", "terminals", "discounts", "index")
"""What `ReplayRing.sample` can give, beside a ring's extras."""

_APPEND_ARGUMENTS = ("frames", "actions", "rewards", "terminals", "starts", "lanes", "self")


class ReplayRing:
    """A ring of frames and of what followed each of them.

    Args:
        capacity: frames held over all lanes. Each lane holds ``capacity // lanes`` rows, at least
            ``stack + 1``; the remainder is not allocated (`capacity` says what is).
        lanes: independent histories, each written by one thread or process at a time.
        frame_shape: sizes of one frame, one to four.
        stack: frames in a sampled state.
        extras: arrays stored beside each frame, ``{name: (shape, dtype)}``: say
            ``{"q": ((18,), "float32"), "features": ((512,), "float16")}``. Booleans, integers and
            float16 to float64, at most 16 of them.
        name: puts the ring in POSIX shared memory, readable by this user alone. Letters, digits,
            ``._-``.
        path: puts the ring in a new file.

    Shared memory and files are reserved when the ring is made, so that a full device is an
    ``OSError`` here. A name or a path that exists is a ``FileExistsError``.

    Threads and processes: any number of them may sample while each lane is appended to by at most
    one; no call waits for another. Copies run without the interpreter's lock. A shared ring can be
    handed to another process as an argument (pickled, it is joined there).
    """

    def __init__(
        self,
        capacity: int,
        lanes: int,
        *,
        frame_shape: Sequence[int] = (84, 84),
        stack: int = 4,
        extras: ExtraSpecs | None = None,
        name: str | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        specs = []
        for extra, (shape, dtype) in (extras or {}).items():
            if extra in FIELDS or extra in _APPEND_ARGUMENTS:
                raise ValueError(f"extra {extra!r} has the name of a field or of an argument")
            specs.append((extra, np.dtype(dtype).str, [operator.index(size) for size in shape]))
        location = _location(name, path)
        self._set(
            core.ReplayRing.create(
                operator.index(capacity),
                operator.index(lanes),
                [operator.index(size) for size in frame_shape],
                operator.index(stack),
                specs,
                *location,
            ),
            name,
            path,
        )

    def _set(
        self, joined: core.ReplayRing, name: str | None, path: str | os.PathLike[str] | None
    ) -> None:
        self._core = joined
        self.name = name
        self.path = None if path is None else os.fspath(path)
        self.capacity: int = joined.capacity
        self.lanes: int = joined.lanes
        self.stack: int = joined.stack
        self.frame_shape: tuple[int, ...] = joined.frame_shape
        self.extras: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
            extra: (shape, np.dtype(dtype)) for extra, dtype, shape in joined.extras
        }
        self.nbytes: int = joined.nbytes
        """Bytes of memory or of the file, all told."""

    @classmethod
    def attach(
        cls,
        *,
        name: str | None = None,
        path: str | os.PathLike[str] | None = None,
        capacity: int | None = None,
        lanes: int | None = None,
        frame_shape: Sequence[int] | None = None,
        stack: int | None = None,
        extras: ExtraSpecs | None = None,
    ) -> ReplayRing:
        """Joins a ring that another process (or this one) made.

        What is given beside `name` or `path` must match, with `capacity` as its maker gave it.

        A writer that takes over lanes whose writer died marks its first rows as `starts`.

        Raises:
            OSError: there is no such ring or it may not be opened (``FileNotFoundError``, ...).
            ValueError: it has another shape than the one asked for.
            RuntimeError: it is unfinished, of another layout version, damaged, truncated or
                another user's.
        """
        joined = core.ReplayRing.attach(*_location(name, path))
        ring = cls.__new__(cls)
        ring._set(joined, name, path)
        expected = {
            "lanes": lanes,
            "capacity": None if capacity is None else capacity // ring.lanes * ring.lanes,
            "frame_shape": None if frame_shape is None else tuple(frame_shape),
            "stack": stack,
            "extras": None
            if extras is None
            else {key: (tuple(shape), np.dtype(dtype)) for key, (shape, dtype) in extras.items()},
        }
        for key, value in expected.items():
            if value is not None and getattr(ring, key) != value:
                found = getattr(ring, key)
                ring.close()
                raise ValueError(f"ring {name or path!r} has {key} {found}; asked for: {value}")
        return ring

    def append(
        self,
        frames: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        terminals: npt.ArrayLike,
        *,
        starts: npt.ArrayLike | None = None,
        lanes: npt.ArrayLike | None = None,
        **extras: npt.ArrayLike,
    ) -> None:
        """Appends one row to each lane, or to each of `lanes`.

        A row says: on this frame (the newest of the state) this action was taken, this reward
        followed, and the episode ended there or not.

        A row becomes valid, which means that it can be sampled, when its outcome is known: at once
        if terminal, else when its successor arrives, provided that the successor begins no history.

        Args:
            frames: uint8 ``[N, *frame_shape]``. Rows may be strided (``obs[:, -1]`` of a stack) as
                long as each frame is contiguous; no copy is made then but the one into the ring.
            actions: integers ``[N]``, 0 to 32767; -1 stores a row that is a successor only and is
                never sampled, as after a truncation or to keep a final observation.
            rewards: ``[N]``, finite, stored as float32.
            terminals: bool ``[N]``.
            starts: bool ``[N]``: the frame begins a history, and stacks have zeros before it. By
                default those after a terminal or after an action of -1. A lane's very first row
                always does. ``starts=False`` after a terminal keeps the history (a lost life that
                is terminal for the learner only).
            lanes: integers ``[N]``, distinct.
            extras: ``[N, *shape]`` for each of the ring's extras; floats are converted to narrower
                floats, and so on within a kind.

        Raises:
            ValueError, IndexError, TypeError: nothing has been stored.
            RuntimeError: a live thread or process is appending to one of the lanes at this moment
                (nothing has been stored), or the ring is closed.
        """
        self._core.append((frames, actions, rewards, terminals), starts, lanes, extras)

    def sample(
        self,
        batch: int,
        *,
        lanes: npt.ArrayLike | None = None,
        fields: Sequence[str] | None = None,
        n_step: int = 1,
        gamma: float = 1.0,
        seed: int | None = None,
        out: dict[str, Array] | None = None,
        obs_dtype: str = "uint8",
        channels_last: bool = False,
    ) -> dict[str, Array]:
        """Draws `batch` rows uniformly, with replacement, from the valid rows.

        A draw from row t of a lane gives the k-step transition that begins there, where k is the
        largest number up to `n_step` such that rows t to t+k-1 are valid transitions of one
        history. The window ends early at a terminal, where a history ends without one (a
        truncation, whose last frame bootstraps) and at the newest row, so that validity does not
        depend on `n_step`::

            rewards   = r_t + gamma r_{t+1} + ... + gamma^(k-1) r_{t+k-1}
            terminals = row t+k-1 is terminal
            next_obs  = zeros if terminal, else the state of row t+k
            discounts = 0 if terminal, else gamma^k

        so a target is ``rewards + discounts * value(next_obs)`` in every case. Sums and powers are
        computed in float64 and rounded to float32 once.

        Fields (B is `batch`, S is `stack`):

        - ``obs``, ``next_obs``: uint8 ``[B, S, *frame_shape]``, oldest frame first, zeros before a
          start
        - ``actions``: int64 ``[B]``; ``rewards``, ``discounts``: float32 ``[B]``; ``terminals``:
          bool ``[B]``
        - ``index``: int64 ``[B]``, the row's slot in ``[0, capacity)``; its lane is
          ``index // (capacity // lanes)``
        - each extra: ``[B, *shape]``, as stored beside row t

        Args:
            lanes: draws from these lanes only, uniformly over their valid rows.
            fields: the fields wanted; by default all, or those of `out`. What is left out is not
                read either.
            seed: 0 to 2^64-1. Draw i is a function of the seed, i and the ring's content: the same
                seed on the same content, also after `save` and `load`, gives the same rows. None
                takes a fresh seed from the operating system.
            out: arrays to write into, C-contiguous, of the dtypes and shapes above; nothing is
                allocated then, and `out` is returned. For a GPU, make them of pinned memory:
                ``torch.empty(..., pin_memory=True).numpy()``.
            obs_dtype: ``uint8`` as stored, or ``float16`` or ``bfloat16`` for byte / 255. numpy has
                no bfloat16: its bits come as uint16 (int16 is accepted in `out`).
            channels_last: ``obs`` and ``next_obs`` are ``[B, *frame_shape, S]``.

        Raises:
            ValueError, IndexError, TypeError: a bad argument, or nothing to sample.
            RuntimeError: the ring is closed, or so small that its writers overtake every copy.
        """
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        seed = operator.index(seed)
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"seed is {seed}; allowed: 0 to 2^64-1")
        return self._core.sample(  # type: ignore[no-any-return]
            batch, (lanes, n_step, gamma, seed), fields, out, (obs_dtype, channels_last)
        )

    def __len__(self) -> int:
        """The number of valid rows."""
        return self._core.valid_rows()  # type: ignore[no-any-return]

    @property
    def rows_written(self) -> npt.NDArray[np.int64]:
        """``[lanes]``: rows ever appended to each lane."""
        return np.array([self._core.rows_written(lane) for lane in range(self.lanes)], np.int64)

    def save(self, path: str | os.PathLike[str], *, compress: bool = False) -> None:
        """Writes content and cursors to a file, which appears when it is complete.

        Only what has been written is stored. Memory needed does not grow with the ring.

        Args:
            compress: deflates the content (zlib's fastest level); frames of games shrink many
                times over.

        Raises:
            OSError: the file cannot be written.
            RuntimeError: a lane was appended to in the meantime; samplers may go on.
        """
        self._core.save(os.fspath(path), compress)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Makes content and cursors equal to those saved; the ring must have the same shape.

        To resume: make the ring as before, then load. No other thread or process may use the ring
        meanwhile, and where the process is killed meanwhile the ring has to be loaded again.
        Histories go on where they stood: the next row of a lane continues the last one.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds a ring of another shape; this one is unchanged.
            RuntimeError: it is truncated, of another version or no saved ring, and this one is
                unchanged; or its content fails its checksum, and this one is empty.
        """
        self._core.load(os.fspath(path))

    def close(self) -> None:
        """Lets go of the memory; a name or a file stays. Calls in other threads finish first."""
        self._core.close()

    def unlink(self) -> None:
        """Removes the name or the file; those who hold the ring keep it. Also after `close`."""
        if self.name is None and self.path is None:
            raise ValueError("a private ring has no name to remove")
        core.remove_ring(*_location(self.name, self.path))

    def __enter__(self) -> ReplayRing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.name is None and self.path is None:
            raise TypeError("a private ring cannot be pickled; give it a name or a path")
        return _attach, (self.name, self.path)

    def __repr__(self) -> str:
        where = (
            f", name={self.name!r}" if self.name else f", path={self.path!r}" if self.path else ""
        )
        state = "closed" if self._core.closed else f"{len(self)} valid rows"
        return f"<ReplayRing capacity={self.capacity}, lanes={self.lanes}{where}: {state}>"


def _attach(name: str | None, path: str | None) -> ReplayRing:
    return ReplayRing.attach(name=name, path=path)


def _location(name: str | None, path: str | os.PathLike[str] | None) -> tuple[str, str]:
    if name == "" or path == "":
        raise ValueError("name and path must not be empty")
    return name or "", "" if path is None else os.fspath(path)


def list_rings() -> list[str]:
    """The names of the rings in this machine's shared memory, in use or left behind."""
    return list(core.list_rings())


def remove_ring(name: str) -> None:
    """Removes a ring's name from shared memory; processes that hold the ring keep it.

    Raises:
        FileNotFoundError: there is no such ring.
    """
    core.remove_ring(*_location(name, None))


if __name__ == "__main__":
    from actormimic.replay_command import main

    sys.exit(main())
