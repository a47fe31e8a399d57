"""The Atari pool beside ale-py's and EnvPool's, on the same work.

    python -m pytest benchmarks/bench_envs.py --benchmark-only -o addopts="" -s

Every round times the peer and then our pool, so that both meet the machine in the same mood; a
ratio is the median over rounds of peer time / our time (above 1: ours is faster). Times are
processor seconds of the whole process, all threads, which leaves out what a shared machine gives to
others in between; wall times are printed beside them. A peer that is not installed is skipped.
With ``ACTORMIMIC_BENCH_RESULT=FILE`` the rows also go to FILE as JSON.
"""

import json
import os
import platform
import resource
import time

import ale_py
import numpy as np
import pytest

from actormimic.envs import AtariVectorEnv

GAMES = ("pong", "breakout", "seaquest", "space_invaders", "enduro", "atlantis")
ENVS, FRAMESKIP, STEPS, ROUNDS = 16, 4, 25, 7
SHARED = {"repeat_action_probability": 0.0, "noop_max": 30, "frameskip": FRAMESKIP}
rows: list[dict[str, object]] = []


@pytest.fixture(scope="module", autouse=True)
def report():
    yield
    for peer in sorted({str(row["peer"]) for row in rows if "ratio" in row}):
        for threads in sorted({row["threads"] for row in rows if row.get("peer") == peer}):
            ratios = [r["ratio"] for r in rows if r["peer"] == peer and r["threads"] == threads]
            print(
                f"{peer}, {threads} threads: geometric mean {np.exp(np.mean(np.log(ratios))):.3f}"
            )
    path = os.environ.get("ACTORMIMIC_BENCH_RESULT")
    if path:
        machine = {"processors": os.cpu_count(), "processor": platform.processor() or "unknown"}
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
        machine["processor"] = names[0] if names else machine["processor"]
        with open(path, "w", encoding="utf-8") as out:
            json.dump(
                {"machine": machine, "ale_py": ale_py.__version__, "rows": rows}, out, indent=1
            )


def ale_py_pool(game, threads, envs=ENVS):
    return ale_py.AtariVectorEnv(game, envs, num_threads=threads, **SHARED)


def envpool_pool(game, threads, envs=ENVS):
    envpool = pytest.importorskip("envpool")
    name = "".join(part.capitalize() for part in game.split("_"))
    return envpool.make_gymnasium(f"{name}-v5", num_envs=envs, num_threads=threads, seed=0)


def runner(env, actions):
    """Steps `env` through `actions` and gives the processor and the wall seconds that it took."""
    env.reset()
    for row in actions[:5]:
        env.step(row)

    def run():
        begin, begin_wall = time.process_time(), time.perf_counter()
        for row in actions:
            env.step(row)
        return time.process_time() - begin, time.perf_counter() - begin_wall

    return run


def noise(choices, envs=ENVS, dtype=np.int64):
    return np.random.default_rng(0).integers(0, choices, (STEPS, envs)).astype(dtype)


def paired(benchmark, ours, theirs):
    """Median ratios of peer to own processor and wall time, and our median times."""
    peer, own = [], []
    benchmark.pedantic(
        lambda: own.append(ours()), setup=lambda: peer.append(theirs()), rounds=ROUNDS
    )
    ratios = np.median(np.array(peer) / np.array(own), axis=0)
    return ratios, np.median(np.array(own), axis=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("make", [ale_py_pool, envpool_pool], ids=["ale-py", "envpool"])
def test_frames_per_second(benchmark, make, game, threads):
    peer = make(game, threads)
    env = AtariVectorEnv(game, ENVS, num_threads=threads, **SHARED)
    dtype = np.int32 if make is envpool_pool else np.int64
    actions = noise(env.single_action_space.n)
    ratios, times = paired(benchmark, runner(env, actions), runner(peer, actions.astype(dtype)))
    env.close()
    frames = STEPS * ENVS * FRAMESKIP
    row = {
        "what": "emulator frames per processor second",
        "peer": "ale-py" if make is ale_py_pool else "envpool",
        "game": game,
        "threads": threads,
        "ratio": round(float(ratios[0]), 3),
        "wall_ratio": round(float(ratios[1]), 3),
        "frames_per_processor_second": round(frames / times[0]),
    }
    rows.append(row)
    print(row)


def test_mixed_games_lose_nothing(benchmark):
    """One pool of six games beside six pools of one, two environments of each."""
    mixed = AtariVectorEnv(GAMES, 12, num_threads=1, full_action_space=True, **SHARED)
    apart = [
        AtariVectorEnv(game, 2, num_threads=1, full_action_space=True, **SHARED) for game in GAMES
    ]
    actions = noise(18, 12)
    together = runner(mixed, actions)
    alone = [runner(env, actions[:, 2 * i : 2 * i + 2]) for i, env in enumerate(apart)]
    ratios, _ = paired(benchmark, together, lambda: tuple(np.sum([run() for run in alone], axis=0)))
    row = {"what": "six games mixed against apart", "peer": "apart", "threads": 1}
    row |= {"ratio": round(float(ratios[0]), 3), "wall_ratio": round(float(ratios[1]), 3)}
    rows.append(row)
    print(row)


def test_own_cost_of_a_step(benchmark):
    """Microseconds per environment step beyond emulation, ours and ale-py's.

    The emulation is timed as the same frames with no screen taken: a step of one agent step with
    ``frameskip`` n costs n frames and one observation, so two frame skips give both.
    """

    def cost(make):
        seconds = {}
        for skip in (2, 8):
            env = make("pong", ENVS, num_threads=1, frameskip=skip, noop_max=0)
            run = runner(env, noise(6))
            seconds[skip] = np.median([run()[0] for _ in range(ROUNDS)]) / (STEPS * ENVS)
            env.close()
        frame = (seconds[8] - seconds[2]) / 6
        return (seconds[2] - 2 * frame) * 1e6, frame * 1e6

    ours, theirs = benchmark.pedantic(
        lambda: (cost(AtariVectorEnv), cost(ale_py.AtariVectorEnv)), rounds=1
    )
    row = {
        "what": "microseconds of processor time in pong",
        "own_cost_per_env_step": round(ours[0], 1),
        "own_cost_per_frame": round(ours[1], 1),
        "ale_py_cost_per_env_step": round(theirs[0], 1),
        "ale_py_cost_per_frame": round(theirs[1], 1),
    }
    rows.append(row | {"peer": "", "threads": 1})
    print(row)


@pytest.mark.parametrize("envs", [1, 4, 16, 64, 256])
def test_cost_grows_linearly(benchmark, envs):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    env = AtariVectorEnv("pong", envs, num_threads=1, **SHARED)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    run = runner(env, noise(6, envs)[: max(2, 64 // envs)])
    times = []
    benchmark.pedantic(lambda: times.append(run()), rounds=3)
    steps = max(2, 64 // envs) * envs
    row = {
        "what": "microseconds of processor time per environment step in pong",
        "envs": envs,
        "microseconds": round(float(np.median([t[0] for t in times])) / steps * 1e6, 1),
        "peak_memory_growth_kib": grown,
    }
    rows.append(row | {"peer": "", "threads": 1})
    print(row)
    env.close()
