"""Our emulation against ALE's own: the same bytes from every game, through any pool."""

from typing import Any

import numpy as np
import pytest

from actormimic.envs import AtariVectorEnv

# Cartridges of 2 and 4 KiB, with banks, slices, RAM, no fixed banks at all, and a chip of their
# own; a PAL game, one whose frames end early, one that does not finish frames; paddles.
GAMES = (
    "pong",
    "breakout",
    "asteroids",
    "frogger",
    "elevator_action",
    "crossbow",
    "robotank",
    "pitfall2",
    "air_raid",
    "journey_escape",
    "tic_tac_toe_3d",
    "video_pinball",
)


def both(games: str | tuple[str, ...], num_envs: int, **settings: Any) -> list[AtariVectorEnv]:
    """The same pool on our emulation and on ALE's, and no game that falls back to ALE's."""
    envs = [
        AtariVectorEnv(games, num_envs, emulation=emulation, **settings)
        for emulation in ("fast", "stock")
    ]
    assert [env.emulations for env in envs] == [("fast",) * num_envs, ("stock",) * num_envs]
    return envs


def assert_equal(mine: Any, theirs: Any, what: str) -> None:
    # The short way tells of no difference, and the one that does takes longer than the games.
    if not np.array_equal(mine, theirs):
        np.testing.assert_array_equal(mine, theirs, err_msg=what)


def assert_same(fast: tuple[Any, ...], stock: tuple[Any, ...], at: int) -> None:
    for mine, theirs in zip(fast[:-1], stock[:-1], strict=True):
        assert_equal(mine, theirs, f"at {at}")
    assert fast[-1].keys() == stock[-1].keys()
    for key, value in stock[-1].items():
        assert_equal(fast[-1][key], value, f"{key} at {at}")


def play_alike(fast: AtariVectorEnv, stock: AtariVectorEnv, steps: int, seed: int) -> None:
    actions = np.random.default_rng(seed)
    for t in range(steps):
        if fast.continuous:
            low, high = fast.single_action_space.low, fast.single_action_space.high
            action = actions.uniform(low, high, (fast.num_envs, 3)).astype(np.float32)
        else:
            action = actions.integers(0, 18, fast.num_envs)
        assert_same(fast.step(action), stock.step(action), t)


@pytest.mark.parametrize("frameskip", [1, 4])
def test_many_games_in_one_process_and_two_threads(frameskip: int) -> None:
    """Whole pictures in color, so that every pixel counts, and the RAM."""
    fast, stock = both(
        GAMES,
        2 * len(GAMES),
        num_threads=2,
        frameskip=frameskip,
        maxpool=frameskip > 1,
        grayscale=False,
        img_height=210,
        img_width=160,
        stack_num=1,
        full_action_space=True,
        repeat_action_probability=0.25,
        ram=True,
        max_num_frames_per_episode=150 * frameskip,
    )
    assert_same(fast.reset(seed=7), stock.reset(seed=7), -1)
    play_alike(fast, stock, 200, seed=1)
    assert fast.clone_state() == stock.clone_state()
    fast.close()
    stock.close()


def test_paddles_turn_as_far() -> None:
    fast, stock = both("breakout", 3, continuous=True, ram=True)
    assert_same(fast.reset(seed=3), stock.reset(seed=3), -1)
    play_alike(fast, stock, 150, seed=2)
    fast.close()
    stock.close()


@pytest.mark.parametrize("game", ["seaquest", "frogger", "robotank", "journey_escape"])
def test_saved_states_move_both_ways(game: str) -> None:
    fast, stock = both(game, 2, full_action_space=True, repeat_action_probability=0.25, ram=True)
    fast.reset(seed=1)
    stock.reset(seed=2)
    for seed in range(3):
        stock.restore_state(fast.clone_state())
        play_alike(fast, stock, 40, seed)
        # Apart, so that the next state is news to the other one.
        for env in (fast, stock):
            env.step(np.full(2, 1 if env is fast else 4))
        fast.restore_state(stock.clone_state())
        play_alike(fast, stock, 40, seed + 10)
        assert fast.clone_state() == stock.clone_state()
    fast.close()
    stock.close()


@pytest.mark.parametrize("mode", [{"mode": 1}, {"difficulty": 3}], ids=str)
def test_modes_and_difficulties(mode: dict[str, int]) -> None:
    fast, stock = both("pong", 2, full_action_space=True, ram=True, **mode)
    assert_same(fast.reset(seed=4), stock.reset(seed=4), -1)
    play_alike(fast, stock, 100, seed=5)
    fast.close()
    stock.close()
