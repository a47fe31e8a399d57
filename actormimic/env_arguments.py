"""What `actormimic.envs.AtariVectorEnv` is given: checked, and turned into the core's numbers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = -(2**31), 2**31 - 1
"""What the core's ``int`` holds."""
HIGHEST_SEED = HIGHEST


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


def require_whole_numbers(**values: object) -> None:
    """Refuse what the core's ``int`` would not take, or take only cut off.

    Raises:
        ValueError: names the argument, the value and what is allowed.
    """
    for name, value in values.items():
        number = _whole_number(value)
        if number is None or not LOWEST <= number <= HIGHEST:
            shown = value if number is None else number
            raise ValueError(f"{name} is {shown!r}; allowed: whole numbers, {LOWEST} to {HIGHEST}")


def require_num_envs(num_envs: int, games: int) -> None:
    """Refuse a number of environments that so many games cannot share evenly.

    Raises:
        ValueError: names the argument, the value and what is allowed.
    """
    if num_envs < 1:
        raise ValueError(f"num_envs is {num_envs}; allowed: 1 or more")
    if not games or num_envs % games:
        raise ValueError(
            f"num_envs is {num_envs}; allowed: multiples of the number of games, {games}"
        )


def one_per_env(
    name: str, value: int | Sequence[int] | NDArray[Any] | None, num_envs: int
) -> list[int]:
    """The value of each environment; -1, the core's word for the game's default, for None.

    Raises:
        ValueError: as many values as environments are not there, or one is no whole number or
            negative.
    """
    if value is None:
        return [-1] * num_envs
    several = isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.ndim > 0)
    values: list[Any] = list(value) if several else [value] * num_envs  # type: ignore[arg-type]
    if len(values) != num_envs:
        raise ValueError(f"{name} has {len(values)} entries; allowed: one, or {num_envs}")
    numbers = []
    for v in values:
        number = _whole_number(v)
        if number is None or not 0 <= number <= HIGHEST:
            shown = v if number is None else number
            raise ValueError(f"{name} is {shown!r}; allowed: whole numbers, 0 to {HIGHEST}")
        numbers.append(number)
    return numbers


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
        if not np.issubdtype(seed.dtype, np.integer):
            raise TypeError(f"`seed` has the dtype {seed.dtype}; allowed: integers")
        seeds = [int(value) for value in seed]
    else:
        raise TypeError(f"`seed` must be an int, an array or None, got {type(seed)}")
    for value in seeds:
        if not 0 <= value <= HIGHEST_SEED:
            raise ValueError(f"`seed` is {value}; allowed: 0 to {HIGHEST_SEED}")
    return np.array(seeds, dtype=np.int64)


def _whole_number(value: object) -> int | None:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def view_of(name: str, memory: Any) -> NDArray[Any]:
    """``memory`` as an array of the same bytes.

    Raises:
        TypeError: numpy can only copy it, as a list: what is written to the copy, nobody sees.
    """
    view = np.asarray(memory)
    if view is not memory and view.flags.owndata:
        raise TypeError(
            f"{name} is a {type(memory).__name__}, which numpy can only copy; allowed: an array, "
            "or memory that numpy can view"
        )
    return view
