"""Agent steps per second of a learning DQN, beside stable-baselines3's and a loop like CleanRL's.

    python -m pytest benchmarks/bench_dqn.py --benchmark-only -o addopts="" -s

All train the 2015 network on the same game with batches of 32 and one update per four agent steps,
on the CPU and two of torch's threads. They take turns, a few hundred agent steps each, in one
process; the ratio printed is the median over rounds of our rate / the peer's (above 1: ours is
faster). The peers compute in float32, also beside our bfloat16. A peer that is not installed is
skipped.

stable-baselines3 runs as it comes (one environment) and with as many environments as ours, two
updates per step of them. CleanRL's DQN is a script and no package, so its loop is written here: its
wrappers and its buffer are stable-baselines3's, one environment, and the target network is
copied every 1,000 agent steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from actormimic.config import resolve
from actormimic.games import minimal_actions
from actormimic.learners.dqn import DqnLearner
from actormimic.networks import PRECISIONS, seeded_network
from actormimic.training import Training

pytestmark = pytest.mark.benchmark(timer=time.perf_counter)

GAME, ROM = "breakout", "BreakoutNoFrameskip-v4"
THREADS, ENVS, BATCH, PERIOD = 2, 8, 32, 4
CAPACITY = 20_000
CHUNK = 400
"""agent_steps between turns."""
ROUNDS = 9

Advance = Callable[[], None]


def ours(precision: str) -> tuple[Advance, Callable[[], None]]:
    """The project's own loop: what does ``CHUNK`` agent steps of it, and what ends it."""
    settings = resolve(
        {
            "task": "dqn",
            "preset": "paper",
            "game": GAME,
            "precision": precision,
            "optimizer": {"kind": "adam", "learning_rate": 1e-4, "epsilon": 1e-8},
            "environment": {"num_envs": ENVS},
            "training": {"learn_start": 1_000, "batch": BATCH, "update_period": PERIOD},
            "exploration": {"start": 0.1, "end": 0.1, "anneal_agent_steps": 0},
            "replay": {"capacity": CAPACITY},
        }
    )
    actions = [minimal_actions(GAME)]
    network = seeded_network(settings.network, actions, 0, precision=PRECISIONS[precision])
    learner = DqnLearner(network, [GAME], actions, settings.dqn, settings.optimizer)
    training = Training(settings, learner)
    steps = training.steps()

    def advance() -> None:
        end = training.agent_steps + CHUNK
        while training.agent_steps < end:
            next(steps)

    while training.updates < 20:
        advance()
    return advance, training.close


def atari_env(seed: int) -> Any:
    """One environment as stable-baselines3 and CleanRL wrap it; frames stacked last."""
    gymnasium = pytest.importorskip("gymnasium")
    import ale_py

    wrappers = pytest.importorskip("stable_baselines3.common.atari_wrappers")
    gymnasium.register_envs(ale_py)
    env = wrappers.AtariWrapper(gymnasium.make(ROM))
    env.reset(seed=seed)
    return env


def stable_baselines3(envs: int) -> Advance:
    module = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    stacked = vec_env.VecFrameStack(
        vec_env.DummyVecEnv([lambda seed=seed: atari_env(seed) for seed in range(envs)]), 4
    )
    model = module.DQN(
        "CnnPolicy",
        stacked,
        learning_rate=1e-4,
        buffer_size=CAPACITY,
        learning_starts=1_000,
        batch_size=BATCH,
        train_freq=(max(1, PERIOD // envs), "step"),
        gradient_steps=max(1, envs // PERIOD),
        target_update_interval=1_000,
        exploration_fraction=1e-6,
        exploration_final_eps=0.1,
        device="cpu",
        seed=0,
    )
    model.learn(1_000 + CHUNK)

    def advance() -> None:
        model.learn(CHUNK, reset_num_timesteps=False)

    return advance


def like_cleanrl() -> Advance:
    pytest.importorskip("stable_baselines3", reason="its wrappers and buffer are not installed")
    steps = _cleanrl_steps()

    def advance(count: int = CHUNK) -> None:
        for _ in range(count):
            next(steps)

    advance(1_000 + CHUNK)
    return advance


def _cleanrl_network(actions: int) -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(4, 32, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(3136, 512),
        nn.ReLU(),
        nn.Linear(512, actions),
    )


def _cleanrl_steps() -> Iterator[None]:
    from gymnasium.spaces import Box
    from gymnasium.wrappers import FrameStackObservation, TransformObservation
    from stable_baselines3.common.buffers import ReplayBuffer

    planes = Box(0, 255, (84, 84), np.uint8)
    env = TransformObservation(atari_env(0), lambda obs: obs[..., 0], planes)
    env = FrameStackObservation(env, 4)
    actions = int(env.action_space.n)
    online, target = _cleanrl_network(actions), _cleanrl_network(actions)
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-4)
    replay = ReplayBuffer(
        CAPACITY,
        env.observation_space,
        env.action_space,
        "cpu",
        optimize_memory_usage=True,
        handle_timeout_termination=False,
    )
    rng = np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    step = 0
    while True:
        if rng.random() < 0.1:
            action = int(rng.integers(actions))
        else:
            with torch.no_grad():
                action = int(online(torch.from_numpy(obs)[None] / 255.0).argmax(dim=1))
        following, reward, terminated, truncated, info = env.step(action)
        replay.add(
            obs[None], following[None], np.array([action]), reward, np.array([terminated]), [info]
        )
        obs = env.reset()[0] if terminated or truncated else following
        step += 1
        if step > 1_000 and step % PERIOD == 0:
            data = replay.sample(BATCH)
            with torch.no_grad():
                best = target(data.next_observations / 255.0).amax(dim=1)
                wanted = data.rewards.flatten() + 0.99 * best * (1 - data.dones.flatten())
            taken = online(data.observations / 255.0).gather(1, data.actions).squeeze(1)
            loss = torch.nn.functional.mse_loss(wanted, taken)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 1_000 == 0:
                target.load_state_dict(online.state_dict())
        yield


PEERS = {
    "stable-baselines3": lambda: stable_baselines3(1),
    f"stable-baselines3, {ENVS} environments": lambda: stable_baselines3(ENVS),
    "a loop like CleanRL's": like_cleanrl,
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("peer", PEERS)
def test_learning(benchmark: Any, peer: str, precision: str) -> None:
    torch.set_num_threads(THREADS)
    theirs = PEERS[peer]()
    own, close = ours(precision)
    times: list[float] = []

    def setup() -> None:
        begin = time.perf_counter()
        theirs()
        times.append(time.perf_counter() - begin)

    own()
    benchmark.pedantic(own, setup=setup, rounds=ROUNDS)
    mine = np.array(benchmark.stats.stats.data)
    ratios = np.array(times[-len(mine) :]) / mine
    report = {
        "agent_steps_per_second": round(CHUNK / float(np.median(mine)), 1),
        "peer_agent_steps_per_second": round(CHUNK / float(np.median(times)), 1),
        "ratio": round(float(np.median(ratios)), 2),
    }
    benchmark.extra_info.update(report)
    close()
    print(f"\n{precision} beside {peer}: {report}")
