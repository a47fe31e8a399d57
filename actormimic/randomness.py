"""Counter-based random numbers: what is drawn depends on (seed, purpose, counters) alone.

Nothing here has a state, so a resumed run draws what an uninterrupted one would have drawn, and the
order in which threads finish changes nothing.
"""

from __future__ import annotations

import enum

import numpy as np

_MASK = (1 << 64) - 1


class Stream(enum.IntEnum):
    """Purposes that draw random numbers, each independent of the others."""

    WEIGHTS = 1
    ACTING = 2
    REPLAY = 3
    ENVIRONMENT = 4
    EVALUATION = 5
    FEATURE_HEADS = 6
    PROCESSES = 7
    SIMILARITY = 9


def derive_seed(seed: int, stream: Stream, *counters: int) -> int:
    """A 63-bit seed for one purpose and counter (splitmix64 over all of them)."""
    return _mixed(seed, stream, *counters) >> 1


def seed_prefix(seed: int, stream: Stream, *counters: int) -> int:
    """What :func:`derive_seed` mixes one more counter into, where a device counts that one itself.

    Signed, since it fills 64 bits of a tensor; ``derived_seed`` of csrc/common/random.hpp goes on.
    """
    value = _mixed(seed, stream, *counters)
    return value - (1 << 64) if value >> 63 else value


def _mixed(seed: int, stream: Stream, *counters: int) -> int:
    value = seed & _MASK
    for part in (int(stream), *counters):
        value = (value ^ (part & _MASK)) & _MASK
        value = (value + 0x9E3779B97F4A7C15) & _MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        value ^= value >> 31
    return value


def derive_pool_seed(seed: int, lanes: int, stream: Stream, *counters: int) -> int:
    """A seed for a pool whose lane i takes ``seed + i``, all of them below 2**31, as ALE's are."""
    return derive_seed(seed, stream, *counters) % 2**31 % (2**31 - lanes + 1)


def generator(seed: int, stream: Stream, *counters: int) -> np.random.Generator:
    """numpy's generator seeded by :func:`derive_seed`."""
    return np.random.Generator(np.random.Philox(key=derive_seed(seed, stream, *counters)))
