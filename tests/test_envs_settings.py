"""Every setting beyond ale-py's changes what it says, and every mistake in one is named."""

import os
from typing import Any

import gymnasium
import numpy as np
import pytest
from ale_py import ALEInterface, LoggerMode, roms
from gymnasium.vector import AutoresetMode

from actormimic.environments import make_env
from actormimic.envs import AtariVectorEnv
from actormimic.sections import EnvironmentSettings


def frames_after_reset(**settings: Any) -> int:
    with AtariVectorEnv("pong", 1, use_fire_reset=False, **settings) as env:
        return int(env.reset(seed=0)[1]["episode_frame_number"][0])


def until_a_life_is_lost(env: AtariVectorEnv) -> tuple[Any, ...]:
    """Serves in breakout and lets the ball drop."""
    fire = np.ones(env.num_envs, dtype=np.int64)
    for _ in range(200):
        result = env.step(fire)
        if result[4]["life_lost"][0]:
            return result
    raise AssertionError("no life was lost")


def test_a_run_s_range_of_noops_has_both_ends() -> None:
    for most in (0, 2):
        settings = EnvironmentSettings(noop_min=0, noop_max=most, noop_unit="emulator_frames")
        with make_env(["breakout"], 40, settings) as env:
            _, infos = env.reset(seed=0)
        assert set(infos["episode_frame_number"]) == set(range(most + 1))


def test_range_and_unit_of_the_noops() -> None:
    assert frames_after_reset(noop_max=0) == 0
    assert frames_after_reset(noop_max=1) == 0  # ale-py's range ends one earlier
    assert frames_after_reset(noop_min=7, noop_max=7) == 7
    assert frames_after_reset(noop_min=7, noop_max=7, noop_unit="agent_steps") == 28


def test_flags_tell_a_lost_life_from_the_games_end() -> None:
    env = AtariVectorEnv("breakout", 1, life_loss_info=True, extra_infos=True, noop_max=0)
    _, infos = env.reset(seed=0)
    assert not infos["autoreset"][0]
    lives = int(infos["lives"][0])
    for left in range(lives - 1, 0, -1):
        _, _, terminations, _, infos = until_a_life_is_lost(env)
        assert terminations[0]
        assert infos["lives"][0] == left
        assert not infos["game_over"][0]
        infos = env.step(np.ones(1, dtype=np.int64))[4]
        assert not infos["autoreset"][0]
        assert not infos["life_lost"][0]
    while not infos["game_over"][0]:
        _, _, terminations, _, infos = env.step(np.ones(1, dtype=np.int64))
    assert terminations[0]
    assert not infos["life_lost"][0]
    infos = env.step(np.ones(1, dtype=np.int64))[4]
    assert infos["autoreset"][0]
    assert infos["lives"][0] == lives
    assert not env.step(np.ones(1, dtype=np.int64))[4]["autoreset"][0]
    env.close()


@pytest.mark.parametrize("clear", [False, True])
def test_the_stack_after_a_lost_life(clear: bool) -> None:
    env = AtariVectorEnv(
        "breakout", 1, life_loss_info=True, extra_infos=True, clear_stack_on_life_loss=clear
    )
    env.reset(seed=0)
    obs = until_a_life_is_lost(env)[0]
    assert obs[0, 3].any()
    assert obs[0, :3].any() != clear
    env.close()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("clear", [False, True])
def test_noops_after_a_lost_life(mode: str, clear: bool) -> None:
    env = AtariVectorEnv(
        "breakout",
        1,
        life_loss_info=True,
        extra_infos=True,
        noop_after_life_loss=True,
        clear_stack_on_life_loss=clear,
        noop_min=9,
        noop_max=9,
        autoreset_mode=mode,
    )
    env.reset(seed=0)
    obs, _, terminations, _, infos = until_a_life_is_lost(env)
    assert terminations[0]
    lives, frame = int(infos["lives"][0]), int(infos["episode_frame_number"][0])
    if mode == "SameStep":
        assert infos["autoreset"][0]
        assert infos["final_obs"][0, :3].any()
    else:
        assert not infos["autoreset"][0]
        assert obs[0, :3].any()
        obs, rewards, terminations, _, infos = env.step(np.ones(1, dtype=np.int64))
        assert infos["autoreset"][0]
        assert infos["episode_frame_number"][0] == frame + 9
        assert rewards[0] == 0
        assert not terminations[0]
    assert infos["lives"][0] == lives
    assert obs[0, :3].any() != clear
    assert not env.step(np.ones(1, dtype=np.int64))[4]["autoreset"][0]
    env.close()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_a_game_that_ends_in_the_noops_after_a_lost_life_is_told(mode: str) -> None:
    """Or the next game's score would be added to its."""
    env = AtariVectorEnv(
        "space_invaders",
        1,
        life_loss_info=True,
        extra_infos=True,
        noop_after_life_loss=True,
        noop_min=10_000,
        noop_max=10_000,  # long enough to be shot three times
        autoreset_mode=mode,
    )
    noop = np.zeros(1, dtype=np.int64)
    infos = env.reset(seed=0)[1]
    while not infos["life_lost"][0]:
        assert not infos["game_over"][0]
        infos = env.step(noop)[4]
    if mode == "NextStep":
        assert not infos["game_over"][0]
        infos = env.step(noop)[4]
    assert infos["autoreset"][0]
    assert infos["game_over"][0]
    assert not env.step(noop)[4]["game_over"][0]
    env.close()


def test_exact_pooling_differs_where_a_skip_ends_early() -> None:
    settings: dict[str, Any] = {"max_num_frames_per_episode": 46, "noop_max": 0}
    stock = AtariVectorEnv("breakout", 1, **settings)
    exact = AtariVectorEnv("breakout", 1, pooling="exact", **settings)
    stock.reset(seed=0)
    exact.reset(seed=0)
    for step in range(12):
        a, b = (env.step(np.array([3])) for env in (stock, exact))
        assert a[3][0] == b[3][0] == (step == 11)
        assert np.array_equal(a[0], b[0]) == (step < 11)
    stock.close()
    exact.close()


def test_maximum_on_rgb_differs_from_maximum_on_gray() -> None:
    plain = AtariVectorEnv("seaquest", 1, pooling="exact")
    on_rgb = AtariVectorEnv("seaquest", 1, pooling="exact", maxpool_rgb=True)
    plain.reset(seed=0)
    on_rgb.reset(seed=0)
    brighter = 0
    for t in range(60):
        a, b = (env.step(np.array([t % 18]))[0].astype(int) for env in (plain, on_rgb))
        assert (b >= a).all()
        brighter += int((b > a).sum())
    assert brighter > 0
    plain.close()
    on_rgb.close()


def test_mode_and_difficulty_of_each_environment() -> None:
    env = AtariVectorEnv("pong", 4, mode=[0, 1, 0, 0], difficulty=[0, 0, 3, 0], noop_max=0)
    env.reset(seed=np.zeros(4, dtype=int))
    for _ in range(20):
        obs = env.step(np.full(4, 2))[0]
    assert np.array_equal(obs[0], obs[3])
    assert not np.array_equal(obs[0], obs[1])
    assert not np.array_equal(obs[0], obs[2])
    env.close()


def test_ram_is_that_of_ale() -> None:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setInt("random_seed", 4)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(roms.get_rom_path("boxing"))
    ale.reset_game()
    env = AtariVectorEnv("boxing", 1, ram=True, noop_max=0, use_fire_reset=False)
    _, infos = env.reset(seed=4)
    np.testing.assert_array_equal(infos["ram"][0], ale.getRAM())
    for action in (2, 5, 9):
        infos = env.step(np.array([action]))[4]
        for _ in range(4):
            ale.act(ale.getMinimalActionSet()[action])
        assert infos["ram"].dtype == np.uint8
        np.testing.assert_array_equal(infos["ram"][0], ale.getRAM())
    env.close()


@pytest.mark.parametrize("offset", [0, 1])
def test_workers_stay_on_their_processor(offset: int) -> None:
    processors = os.cpu_count() or 1
    if processors < 2:
        pytest.skip("one processor")
    if os.sched_getaffinity(0) != set(range(processors)):
        pytest.skip("not every processor is this process's")
    wanted = [{(offset + worker) % processors} for worker in range(2)]
    before = {int(thread) for thread in os.listdir("/proc/self/task")}
    env = AtariVectorEnv("pong", 2, num_threads=2, thread_affinity_offset=offset)
    workers = sorted({int(thread) for thread in os.listdir("/proc/self/task")} - before)
    assert [os.sched_getaffinity(worker) for worker in workers] == wanted
    env.close()


def test_record_episode_statistics_in_a_cleanrl_style_loop() -> None:
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        AtariVectorEnv("pong", 4, max_num_frames_per_episode=200, extra_infos=True)
    )
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    returns, agent_steps = [], 0
    for _ in range(120):
        _, _, terminations, truncations, infos = env.step(rng.integers(0, 6, 4))
        agent_steps += int((~infos["autoreset"]).sum())
        for i in np.flatnonzero(terminations | truncations):
            returns.append(infos["episode"]["r"][i])
            assert infos["episode"]["l"][i] == 50
    assert len(returns) == 8
    assert agent_steps == 120 * 4 - 8
    env.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs is 0"),
        ({"num_envs": -2}, "num_envs is -2"),
        ({"batch_size": 3}, "batch_size is 3; allowed: 0 to 2"),
        ({"num_threads": -1}, "num_threads is -1"),
        ({"thread_affinity_offset": -2}, "thread_affinity_offset is -2"),
        ({"game": "pogn"}, "did you mean 'pong'"),
        ({"game": ["pong", "boxing", "enduro"]}, "multiples of the number of games, 3"),
        ({"game": []}, "multiples of the number of games, 0"),
        ({"img_height": 0}, "img_height is 0"),
        ({"img_width": 9999}, "img_width is 9999"),
        ({"stack_num": 0}, "stack_num is 0"),
        ({"noop_max": -1}, "noop_max is -1"),
        ({"noop_min": 31}, "noop_min is 31; allowed: 0 to 30"),
        ({"max_num_frames_per_episode": 0}, "max_num_frames_per_episode is 0"),
        ({"repeat_action_probability": 1.5}, "repeat_action_probability is 1.5; allowed: 0 to 1"),
        ({"repeat_action_probability": float("nan")}, "repeat_action_probability is nan"),
        ({"pooling": "none"}, "pooling is 'none'; allowed: 'stock', 'exact'"),
        ({"noop_unit": "frames"}, "noop_unit is 'frames'"),
        ({"emulation": "magic"}, "emulation is 'magic'; allowed: 'fast', 'stock'"),
        ({"autoreset_mode": AutoresetMode.DISABLED}, "autoreset_mode is"),
        ({"maxpool_rgb": True}, "maxpool_rgb=True needs"),
        ({"noop_after_life_loss": True}, "needs life_loss_info=True"),
        ({"clear_stack_on_life_loss": True, "episodic_life": True}, "clear_stack_on_life_loss"),
        ({"mode": 77}, r"env 0 \(pong\): mode is 77; this game allows: 0, 1"),
        ({"difficulty": [0, 9]}, r"env 1 \(pong\): difficulty is 9; this game allows: 0, 1, 2, 3"),
        ({"mode": [0, 1, 0]}, "mode has 3 entries; allowed: one, or 2"),
        ({"mode": -1}, "mode is -1; allowed: whole numbers, 0 to 2147483647"),
        ({"mode": 0.5}, "mode is 0.5; allowed: whole numbers"),
        ({"mode": [0.7, 1.9]}, "mode is 0.7; allowed: whole numbers"),
        ({"mode": np.array(0.5)}, r"mode is array\(0.5\); allowed: whole numbers"),
        ({"difficulty": np.array([0, 2**40])}, f"difficulty is {2**40}; allowed: whole numbers"),
        ({"num_envs": 2.0}, "num_envs is 2.0; allowed: whole numbers"),
        ({"batch_size": "2"}, "batch_size is '2'; allowed: whole numbers"),
        ({"num_threads": 1.5}, "num_threads is 1.5; allowed: whole numbers"),
        ({"thread_affinity_offset": 0.0}, "thread_affinity_offset is 0.0; allowed: whole"),
        ({"frameskip": 2**40}, f"frameskip is {2**40}; allowed: whole numbers"),
        ({"img_height": 84.5}, "img_height is 84.5; allowed: whole numbers"),
        ({"img_width": None}, "img_width is None; allowed: whole numbers"),
        ({"stack_num": 4.0}, "stack_num is 4.0; allowed: whole numbers"),
        ({"max_num_frames_per_episode": 1e5}, "max_num_frames_per_episode is 100000.0; allowed"),
        ({"noop_min": 0.5}, "noop_min is 0.5; allowed: whole numbers"),
        ({"noop_max": 3.5}, "noop_max is 3.5; allowed: whole numbers, -2147483648 to 2147483647"),
        ({"noop_max": np.int64(2**40)}, f"noop_max is {2**40}; allowed: whole numbers"),
    ],
    ids=str,
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AtariVectorEnv(**{"game": "pong", "num_envs": 2, **settings})


def test_whole_numbers_may_be_numpys() -> None:
    two = np.int64(2)
    with AtariVectorEnv("pong", two, mode=np.int64(1), stack_num=two, noop_max=two) as env:
        assert env.reset(seed=np.int64(3))[0].shape == (2, 2, 84, 84)


def test_seeds_are_checked() -> None:
    env = AtariVectorEnv("pong", 2)
    with pytest.raises(ValueError, match="`seed` is -3; allowed: 0 to 2147483647"):
        env.reset(seed=-3)
    with pytest.raises(ValueError, match=f"`seed` is {2**70}; allowed: 0 to 2147483647"):
        env.reset(seed=2**70)
    with pytest.raises(ValueError, match="one entry per sub-environment"):
        env.reset(seed=np.array([1]))
    for seeds in ([1.7, 2.9], [np.nan, 1.0], [True, False]):
        with pytest.raises(TypeError, match=r"`seed` has the dtype .*; allowed: integers"):
            env.reset(seed=np.array(seeds))
    with pytest.raises(TypeError, match="`seed` must be an int"):
        env.reset(seed=float("nan"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`seed` must be an int"):
        env.reset(seed="1")  # type: ignore[arg-type]
    env.close()
