"""The pool against ale-py's own, and what it adds: several games, masks, buffers, checks."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing

from actormimic.envs import AtariVectorEnv


def test_every_argument_of_ale_pys_pool_is_there_with_its_default() -> None:
    ours, theirs = (
        inspect.signature(pool.__init__).parameters
        for pool in (AtariVectorEnv, ale_py.AtariVectorEnv)
    )
    assert list(ours)[: len(theirs)] == list(theirs)
    for name, parameter in theirs.items():
        assert (ours[name].kind, ours[name].default) == (parameter.kind, parameter.default)


def rollouts_agree(
    game: str, steps: int, num_envs: int = 4, emulation: Any = "fast", **settings: Any
) -> None:
    """Steps our pool and ale-py's with the same seeds and actions, comparing every byte."""
    ours = AtariVectorEnv(game, num_envs, emulation=emulation, **settings)
    theirs = ale_py.AtariVectorEnv(game, num_envs, **settings)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    assert ours.single_action_space == theirs.single_action_space
    assert ours.action_space == theirs.action_space
    results = [ours.reset(seed=5), theirs.reset(seed=5)]
    ours.action_space.seed(1)
    for t in range(steps):
        (*mine, my_infos), (*yours, your_infos) = results
        assert my_infos.keys() == your_infos.keys(), t
        for key, value in your_infos.items():
            if key != "final_obs":
                np.testing.assert_array_equal(my_infos[key], value, err_msg=f"{key} at {t}")
        if "final_obs" in your_infos:
            over = yours[2] | yours[3]
            np.testing.assert_array_equal(
                my_infos["final_obs"][over], your_infos["final_obs"][over]
            )
        for a, b in zip(mine, yours, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=f"at {t}")
        actions = ours.action_space.sample()
        results = [ours.step(actions), theirs.step(actions)]
    ours.close()
    theirs.close()


@pytest.mark.parametrize("emulation", ["fast", "stock"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"noop_max": 0, "use_fire_reset": False, "reward_clipping": False},
        {"episodic_life": True, "repeat_action_probability": 0.25},
        {"life_loss_info": True, "full_action_space": True},
        {"autoreset_mode": "SameStep", "episodic_life": True},
        {"max_num_frames_per_episode": 203, "frameskip": 4},
        {"max_num_frames_per_episode": 203, "frameskip": 1, "maxpool": False},
        {"grayscale": False, "img_height": 96, "img_width": 72, "stack_num": 2},
        {"img_height": 210, "img_width": 160, "frameskip": 3},
        {"img_height": 105, "img_width": 80},
        {"img_height": 42, "img_width": 40, "maxpool": False},
    ],
    ids=str,
)
def test_equals_ale_py(settings: dict[str, Any], emulation: str) -> None:
    rollouts_agree("breakout", 120, 3, emulation=emulation, **settings)


@pytest.mark.parametrize("emulation", ["fast", "stock"])
def test_equals_ale_py_with_continuous_actions(emulation: str) -> None:
    settings = {"continuous": True, "continuous_action_threshold": 0.3}
    rollouts_agree("breakout", 100, 2, emulation=emulation, **settings)


@pytest.mark.parametrize("emulation", ["fast", "stock"])
@pytest.mark.parametrize("game", ["pong", "space_invaders", "seaquest", "tic_tac_toe_3d"])
def test_equals_ale_py_in_other_games(game: str, emulation: str) -> None:
    rollouts_agree(game, 100, 1, emulation=emulation, repeat_action_probability=0.25)


def test_several_games_share_a_pool() -> None:
    names = ("pong", "breakout", "boxing")
    env = AtariVectorEnv(names, 6, full_action_space=True, use_fire_reset=False)
    assert env.games == names
    assert env.game_index.dtype == np.int32
    np.testing.assert_array_equal(env.game_index, [0, 0, 1, 1, 2, 2])
    assert env.action_mask.shape == (6, 18)
    assert env.action_mask.dtype == np.bool_
    np.testing.assert_array_equal(env.action_mask.sum(1), [6, 6, 4, 4, 18, 18])
    np.testing.assert_array_equal(env.action_set(2), [0, 1, 3, 4])
    env.reset(seed=np.arange(6))
    alone = AtariVectorEnv("breakout", 2, full_action_space=True, use_fire_reset=False)
    alone.reset(seed=np.array([2, 3]))
    for action in [0, 1, 3, 4, 3, 1, 17, 5]:
        obs = env.step(np.full(6, action))[0]
        np.testing.assert_array_equal(obs[2:4], alone.step(np.full(2, action))[0])
    with pytest.raises(IndexError, match="env_id 6 is out of range"):
        env.action_set(6)
    env.close()
    alone.close()


def test_minimal_sets_of_different_sizes() -> None:
    env = AtariVectorEnv(["pong", "breakout"], 2)
    np.testing.assert_array_equal(env.action_space.nvec, [6, 4])
    env.reset()
    env.step(np.array([5, 3]))
    with pytest.raises(
        ValueError, match=r"action 4 of env 1 \(breakout\) is out of range \[0, 4\)"
    ):
        env.step(np.array([0, 4]))
    env.close()


@pytest.mark.parametrize("emulation", ["fast", "stock"])
@pytest.mark.parametrize("game", ["air_raid", "journey_escape", "tic_tac_toe_3d"])
def test_equals_ale_and_opencv_by_hand(game: str, emulation: str) -> None:
    """The odd ones: a PAL game, one whose frames end early, one that does not finish frames."""
    pytest.importorskip("cv2")
    program = Path(__file__).parents[1] / "benchmarks" / "exact_envs.py"
    arguments = ["--emulation", emulation, "--games", game, "--steps", "150"]
    result = subprocess.run(
        [sys.executable, str(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["emulation"] == emulation


@pytest.mark.parametrize("emulation", ["fast", "stock"])
@pytest.mark.parametrize("game", ["breakout", "pong"])
def test_equals_gymnasiums_preprocessing(game: str, emulation: Any) -> None:
    """Gymnasium's ``AtariPreprocessing`` draws its no-ops otherwise, so both have none."""
    pytest.importorskip("cv2")
    limit = 1600
    gymnasium.register_envs(ale_py)
    theirs = AtariPreprocessing(
        gymnasium.make(
            "ALE/Breakout-v5" if game == "breakout" else "ALE/Pong-v5",
            frameskip=1,
            repeat_action_probability=0.0,
            max_num_frames_per_episode=limit,
        ),
        noop_max=0,
    )
    ours = AtariVectorEnv(
        game,
        1,
        max_num_frames_per_episode=limit,
        stack_num=1,
        noop_max=0,
        reward_clipping=False,
        use_fire_reset=False,
        emulation=emulation,
    )
    # The wrapped environment draws ALE's seed from this one.
    frame, infos = theirs.reset(seed=1)
    obs, my_infos = ours.reset(seed=theirs.unwrapped.ale.getInt("random_seed"))
    np.testing.assert_array_equal(obs[0, 0], frame)
    rng = np.random.default_rng(0)
    rewarded, ends, over = 0, 0, False
    for t in range(450):
        action = int(rng.integers(theirs.action_space.n))
        obs, rewards, terminations, truncations, my_infos = ours.step(np.array([action]))
        if over:  # our step after an end is the reset
            frame, infos = theirs.reset()
            reward, terminated, truncated = 0.0, False, False
        else:
            frame, reward, terminated, truncated, infos = theirs.step(action)
        np.testing.assert_array_equal(obs[0, 0], frame, err_msg=f"at {t}")
        mine = (rewards[0], terminations[0], truncations[0], my_infos["lives"][0])
        assert mine == (reward, terminated, truncated, infos["lives"]), t
        over = terminated or truncated
        rewarded += reward != 0
        ends += over
    assert rewarded
    assert ends
    theirs.close()
    ours.close()
