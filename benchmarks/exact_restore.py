"""A restored pool against the one that it was cloned from, over many steps.

    python benchmarks/exact_restore.py [--emulation fast|stock] [--games pong breakout ...]

plays random actions in one pool with an environment of each game (those of the paper's Table 1 by
default) and sticky actions of probability 0.25, saves it after 1,000 agent steps, restores that
into a pool made anew, and steps both with the same actions. At each agent step, resets among them,
every byte of the observations, of the RAM and of the other results must be equal, and every 1,000
steps the bytes that ``clone_state`` gives. Prints a summary as JSON and exits with 1 where anything
differs.
"""

from __future__ import annotations

import argparse
import json
import sys

import ale_py
import numpy as np
from machine import processor

from actormimic import games
from actormimic.envs import AtariVectorEnv

BEFORE, CHECKPOINT = 1000, 1000


def differing(one: tuple, other: tuple) -> np.ndarray:
    """Which environments' results differ in anything, as bools."""
    *arrays, infos = one
    *others, other_infos = other
    pairs = list(zip(arrays, others, strict=True))
    pairs += [(infos[key], other_infos[key]) for key in infos]
    differs = np.zeros(len(arrays[1]), bool)
    for a, b in pairs:
        differs |= (a != b).reshape(len(differs), -1).any(1)
    return differs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emulation", choices=["fast", "stock"], default="fast")
    parser.add_argument("--games", nargs="+", default=list(games.MULTITASK_GAMES))
    parser.add_argument("--steps", type=int, default=100_000, help="agent steps after the restore")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    count = len(options.games)

    def make() -> AtariVectorEnv:
        return AtariVectorEnv(
            options.games,
            count,
            full_action_space=True,
            repeat_action_probability=0.25,
            ram=True,
            reward_clipping=False,
            emulation=options.emulation,
        )

    rng = np.random.default_rng(options.seed)
    pool = make()
    pool.reset(seed=options.seed)
    for _ in range(BEFORE):
        pool.step(rng.integers(0, 18, count))
    restored = make()
    restored.restore_state(pool.clone_state())
    steps_that_differ = np.zeros(count, int)
    episodes = np.zeros(count, int)
    states_that_differ = 0
    for t in range(1, options.steps + 1):
        actions = rng.integers(0, 18, count)
        for env in (pool, restored):
            env.send(actions)
        results, others = pool.recv(), restored.recv()
        steps_that_differ += differing(results, others)
        episodes += results[2] | results[3]
        if t % CHECKPOINT == 0 or t == options.steps:
            states_that_differ += pool.clone_state() != restored.clone_state()
            print(f"{t:,} agent steps per game", file=sys.stderr, flush=True)
    pool.close()
    restored.close()
    summary = {
        "command": " ".join(["python", *sys.argv]),
        "processor": processor(),
        "ale_py": ale_py.__version__,
        "emulation": options.emulation,
        "repeat_action_probability": 0.25,
        "agent_steps_before_the_clone": BEFORE,
        "agent_steps_per_game_after_the_restore": options.steps,
        "episodes_that_ended": dict(zip(options.games, episodes.tolist(), strict=True)),
        "differing_steps": dict(zip(options.games, steps_that_differ.tolist(), strict=True)),
        "differing_states": states_that_differ,
    }
    print(json.dumps(summary, indent=1))
    sys.exit(bool(steps_that_differ.any() or states_that_differ))


if __name__ == "__main__":
    main()
