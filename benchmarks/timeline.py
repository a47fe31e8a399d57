"""Where a training's time goes, and how much of the emulation hides behind the learning.

    python benchmarks/timeline.py                    # a DQN on breakout, on the CPU
    python benchmarks/timeline.py --device cuda --trace trace.json

The emulators step on the pool's own threads between ``send`` and ``recv``, while the loop learns;
only the wait in ``recv`` costs time. The command times each part of the loop's steps, then the same
pool stepping alone; the share hidden is 1 - wait / alone. ``--trace`` writes 20 steps in the format
of chrome://tracing and Perfetto, the GPU's kernels beside the loop where there is one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from actormimic.config import LearningSettings, resolve
from actormimic.devices import choose_device
from actormimic.games import minimal_actions
from actormimic.learners.dqn import DqnLearner
from actormimic.networks import PRECISIONS, seeded_network
from actormimic.training import Training


class Parts:
    """Times calls by name; each is a span of a profiler's trace as well."""

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._wait: Callable[[], None] = (
            torch.cuda.synchronize if device.startswith("cuda") else lambda: None
        )
        self.synchronize = False

    def time(self, owner: Any, method: str, name: str) -> None:
        """Replace ``owner.method`` by itself with a clock around it."""
        inner = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            with torch.profiler.record_function(name):
                result = inner(*args, **kwargs)
                if self.synchronize:
                    self._wait()
            self.seconds[name].append(time.perf_counter() - begin)
            return result

        setattr(owner, method, timed)


def make_training(arguments: argparse.Namespace) -> Training:
    values = {
        "task": "dqn",
        "preset": "paper",
        "game": arguments.game,
        "precision": arguments.precision,
        "environment": {"num_envs": arguments.num_envs, "threads": arguments.env_threads},
        "training": {"learn_start": 1_000, "batch": 32, "update_period": 4},
        "exploration": {"start": 0.1, "end": 0.1, "anneal_agent_steps": 0},
        "replay": {"capacity": 50_000},
    }
    settings = resolve(values)
    assert isinstance(settings, LearningSettings)
    actions = [minimal_actions(arguments.game)]
    precision = PRECISIONS[arguments.precision]
    network = seeded_network(settings.network, actions, 0, precision=precision)
    learner = DqnLearner(
        network.to(choose_device(arguments.device)),
        settings.games,
        actions,
        settings.dqn,
        settings.optimizer,
    )
    return Training(settings, learner)


def emulation_alone(training: Training, steps: int) -> float:
    """Seconds of one step of the pool, random actions, nothing beside it."""
    env, rng = training.env, np.random.default_rng(0)
    actions = minimal_actions(training.settings.games[0])
    times = []
    for _ in range(steps):
        chosen = rng.choice(actions, env.num_envs).astype(np.int64)
        begin = time.perf_counter()
        env.send(chosen)
        env.recv()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--game", default="breakout")
    parser.add_argument("--precision", default="float32", choices=sorted(PRECISIONS))
    parser.add_argument("--num-envs", type=int, default=8)
    parser.add_argument("--env-threads", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="torch's")
    parser.add_argument("--steps", type=int, default=300, help="of the pool, after a warm-up")
    parser.add_argument("--trace", metavar="FILE", help="write a trace of 20 steps")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    training = make_training(arguments)
    parts = Parts(arguments.device)
    parts.time(training.learner, "act", "act")
    parts.time(training, "_update", "update")
    parts.time(training.env, "recv", "wait for the emulators")
    parts.time(training, "_store", "store")
    steps = training.steps()
    while training.updates < 50:
        next(steps)
    parts.seconds.clear()
    # Kernels still running when a part returns would be billed to the next one that waits.
    parts.synchronize = True
    whole = []
    for _ in range(arguments.steps):
        begin = time.perf_counter()
        next(steps)
        whole.append(time.perf_counter() - begin)
    parts.synchronize = False
    wait = statistics.median(parts.seconds["wait for the emulators"])
    if arguments.trace:
        with torch.profiler.profile() as profile:
            for _ in range(20):
                next(steps)
        profile.export_chrome_trace(arguments.trace)
    medians = {name: statistics.median(times) for name, times in parts.seconds.items()}
    alone = emulation_alone(training, arguments.steps)
    step = statistics.median(whole)
    report = {
        "device": torch.cuda.get_device_name() if arguments.device != "cpu" else "cpu",
        **{key: getattr(arguments, key) for key in ("game", "precision", "num_envs", "threads")},
        "ms_per_step": {
            "whole": round(step * 1e3, 2),
            **{name: round(value * 1e3, 2) for name, value in medians.items()},
            "emulation alone": round(alone * 1e3, 2),
        },
        "share_of_emulation_hidden": round(max(0.0, 1 - wait / alone), 3),
        "agent_steps_per_second": round(arguments.num_envs / step, 1),
    }
    print(json.dumps(report, indent=2))
    training.close()


if __name__ == "__main__":
    main()
