"""What `actormimic.envs.AtariVectorEnv` is given: checked, and turned into the core's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

HIGHEST_SEED = 2**31 - 1


def require_frameskip(frameskip: object) -> None:
    """Refuse a frameskip with ale-py's error and its words.

    Raises:
        gymnasium.error.Error: it is no positive int.
    """
    if type(frameskip) is not int:
        raise gymnasium.error.Error(f"Invalid frameskip type: {type(frameskip)}.")
    if frameskip <= 0:
        raise gymnasium.error.Error(
            f"Invalid frameskip of {frameskip}, frameskip must be positive."
        )


def require_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a value that is none of those allowed.

    Raises:
        ValueError: names the argument, the value and what is allowed.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(map(repr, allowed))}")


def one_per_env(name: str, value: int | Sequence[int] | None, num_envs: int) -> list[int]:
    """The value of each environment; -1, the core's word for the game's default, for None.

    Raises:
        ValueError: as many values as environments are not there, or one is negative.
    """
    if value is None:
        return [-1] * num_envs
    values = [value] * num_envs if isinstance(value, int) else [int(v) for v in value]
    if len(values) != num_envs:
        raise ValueError(f"{name} has {len(values)} entries; allowed: one, or {num_envs}")
    for v in values:
        if v < 0:
            raise ValueError(f"{name} is {v}; allowed: 0 or more")
    return values


def environments_to_reset(options: dict[str, Any] | None, num_envs: int) -> NDArray[np.int64]:
    """The numbers of the environments that ``options["reset_mask"]`` picks; all without one.

    Raises:
        TypeError, ValueError: a mask of another type or shape than ``bool [num_envs]``.
    """
    if options is None or "reset_mask" not in options:
        return np.arange(num_envs)
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(
            f"`reset_mask` must be a boolean numpy array, got {type(mask)} "
            f"with dtype {getattr(mask, 'dtype', None)}"
        )
    if mask.shape != (num_envs,):
        raise ValueError(f"`reset_mask` must have shape {(num_envs,)}, got {mask.shape}")
    return np.flatnonzero(mask)


def seeds_of(seed: int | NDArray[Any] | None, count: int) -> NDArray[np.int64]:
    """The seeds of ``count`` environments that are reset, ``int64 [count]``; -1 for no new seed.

    Raises:
        TypeError, ValueError: a seed of the wrong type, shape or range.
    """
    if seed is None:
        return np.full(count, -1, dtype=np.int64)
    if isinstance(seed, (int, np.integer)):
        seeds = [int(seed) + i for i in range(count)]
    elif isinstance(seed, np.ndarray):
        if seed.shape != (count,):
            raise ValueError(
                "`seed` must have one entry per sub-environment being reset, expected "
                f"shape {(count,)}, got {seed.shape}"
            )
        seeds = [int(value) for value in seed]
    else:
        raise TypeError(f"`seed` must be an int, an array or None, got {type(seed)}")
    for value in seeds:
        if not 0 <= value <= HIGHEST_SEED:
            raise ValueError(f"`seed` is {value}; allowed: 0 to {HIGHEST_SEED}")
    return np.array(seeds, dtype=np.int64)
