"""The Atari pool beside ale-py's and EnvPool's, on the same work.

    python -m pytest benchmarks/bench_envs.py --benchmark-only -o addopts="" -s

Every round times the peer and then our pool, so that both meet the machine in the same mood; a
ratio is the median over rounds of peer time / our time (above 1: ours is faster). Times are
processor seconds of the whole process, all threads, which leaves out what a shared machine gives to
others in between; wall times are printed beside them. A peer that is not installed is skipped.
Everything runs on both of our emulations; ``-k stock`` or ``-k fast`` chooses one.
With ``ACTORMIMIC_BENCH_RESULT=FILE`` the rows also go to FILE as JSON.
"""

import collections
import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import resource
import time
from pathlib import Path

import ale_py
import numpy as np
import pytest
from machine import processor

from actormimic.envs import AtariVectorEnv

GAMES = ("pong", "breakout", "seaquest", "space_invaders", "enduro", "atlantis")
ENVS, FRAMESKIP, STEPS, ROUNDS = 16, 4, 25, 7
SHARED = {"repeat_action_probability": 0.0, "noop_max": 30, "frameskip": FRAMESKIP}
rows: list[dict[str, object]] = []


both_emulations = pytest.mark.parametrize("emulation", ["fast", "stock"])


@pytest.fixture(scope="module", autouse=True)
def report():
    yield
    ratios = collections.defaultdict(list)
    for row in rows:
        if "ratio" in row:
            ratios[f"{row['peer']}, {row['emulation']}, {row['threads']} threads"].append(
                row["ratio"]
            )
    means = {key: round(float(np.exp(np.mean(np.log(ratios[key])))), 3) for key in sorted(ratios)}
    for key, mean in means.items():
        print(f"{key}: geometric mean {mean:.3f}")
    path = os.environ.get("ACTORMIMIC_BENCH_RESULT")
    if path:
        packages = [name for name in ("ale-py", "envpool") if importable(name)]
        result = {
            "machine": {"processors": os.cpu_count(), "processor": processor()},
            "command": "ACTORMIMIC_BENCH_RESULT=FILE python -m pytest benchmarks/bench_envs.py "
            '--benchmark-only -o addopts="" -s',
            "versions": {name: importlib.metadata.version(name) for name in packages},
            "geometric_means": means,
            "rows": rows,
        }
        Path(path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def importable(package):
    return importlib.util.find_spec(package.replace("-", "_")) is not None


def ale_py_pool(game, threads, envs=ENVS):
    return ale_py.AtariVectorEnv(game, envs, num_threads=threads, **SHARED)


def envpool_pool(game, threads, envs=ENVS, **options):
    envpool = pytest.importorskip("envpool")
    name = "".join(part.capitalize() for part in game.split("_"))
    return envpool.make_gymnasium(
        f"{name}-v5", num_envs=envs, num_threads=threads, seed=0, **options
    )


def own_pool(game, threads, envs=ENVS, **options):
    return AtariVectorEnv(game, envs, num_threads=threads, **SHARED, **options)


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


def noise(choices, envs=ENVS, dtype=np.int64, steps=STEPS):
    return np.random.default_rng(0).integers(0, choices, (steps, envs)).astype(dtype)


def paired(benchmark, ours, theirs, rounds=ROUNDS):
    """Median ratios of peer to own processor and wall time, and our median times."""
    peer, own = [], []
    benchmark.pedantic(
        lambda: own.append(ours()), setup=lambda: peer.append(theirs()), rounds=rounds
    )
    ratios = np.median(np.array(peer) / np.array(own), axis=0)
    return ratios, np.median(np.array(own), axis=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("game", GAMES)
@both_emulations
@pytest.mark.parametrize("make", [ale_py_pool, envpool_pool], ids=["ale-py", "envpool"])
def test_frames_per_second(benchmark, make, emulation, game, threads):
    peer = make(game, threads)
    env = own_pool(game, threads, emulation=emulation)
    dtype = np.int32 if make is envpool_pool else np.int64
    actions = noise(env.single_action_space.n)
    ratios, times = paired(benchmark, runner(env, actions), runner(peer, actions.astype(dtype)))
    env.close()
    frames = STEPS * ENVS * FRAMESKIP
    row = {
        "what": "emulator frames per processor second",
        "peer": "ale-py" if make is ale_py_pool else "envpool",
        "emulation": emulation,
        "game": game,
        "threads": threads,
        "ratio": round(float(ratios[0]), 3),
        "wall_ratio": round(float(ratios[1]), 3),
        "frames_per_processor_second": round(frames / times[0]),
    }
    rows.append(row)
    print(row)


@both_emulations
@pytest.mark.parametrize("order", ["in turn", "one after the other"])
def test_mixed_games_lose_nothing(benchmark, order, emulation):
    """One pool of six games beside six pools of one, two environments of each.

    In turn, each pool makes a step before the first makes its next, as a loop over games would:
    both sides then go through the memory of twelve environments. One after the other, a pool makes
    all of its steps before the next begins, which shows what having twelve costs: the memory of two
    stays in a processor's second-level cache, that of twelve does not.
    """
    make = functools.partial(own_pool, threads=1, emulation=emulation, full_action_space=True)
    mixed = make(GAMES, envs=12)
    apart = [make(game, envs=2) for game in GAMES]
    actions = noise(18, 12)
    alone = [runner(env, actions[:, 2 * i : 2 * i + 2]) for i, env in enumerate(apart)]

    def step_in_turn():
        begin, begin_wall = time.process_time(), time.perf_counter()
        for row in actions:
            for i, env in enumerate(apart):
                env.step(row[2 * i : 2 * i + 2])
        return time.process_time() - begin, time.perf_counter() - begin_wall

    def step_one_after_the_other():
        return tuple(np.sum([run() for run in alone], axis=0))

    theirs = step_in_turn if order == "in turn" else step_one_after_the_other
    ratios, _ = paired(benchmark, runner(mixed, actions), theirs, rounds=3 * ROUNDS)
    row = {"what": "six games mixed against apart", "peer": f"apart, {order}", "threads": 1}
    row |= {
        "emulation": emulation,
        "ratio": round(float(ratios[0]), 3),
        "wall_ratio": round(float(ratios[1]), 3),
    }
    rows.append(row)
    print(row)
    for env in (mixed, *apart):
        env.close()


@both_emulations
def test_own_cost_of_a_step(benchmark, emulation):
    """Microseconds per environment step beyond emulation, ours and the peers'.

    A step with ``frameskip`` n costs n frames and one observation, so two frame skips give both.
    What a pool does on each frame, such as copying screens, counts as a frame's cost.
    """
    makers = {
        "own": lambda skip: AtariVectorEnv(
            "pong", ENVS, num_threads=1, frameskip=skip, emulation=emulation
        ),
        "ale_py": lambda skip: ale_py.AtariVectorEnv("pong", ENVS, num_threads=1, frameskip=skip),
    }
    if importable("envpool"):
        makers["envpool"] = lambda skip: envpool_pool("pong", 1, frame_skip=skip)
    actions = {name: noise(6, dtype=np.int32 if name == "envpool" else np.int64) for name in makers}
    runs = {
        (name, skip): runner(make(skip), actions[name])
        for name, make in makers.items()
        for skip in (2, 8)
    }
    times = {key: [] for key in runs}

    def measure():
        for key, run in runs.items():
            times[key].append(run()[0] / (STEPS * ENVS) * 1e6)

    benchmark.pedantic(measure, rounds=3 * ROUNDS)
    row = {"what": "microseconds of processor time in pong", "emulation": emulation}
    row |= {"peer": "", "threads": 1}
    for name in makers:
        short, long = np.array(times[name, 2]), np.array(times[name, 8])
        frames = (long - short) / 6
        row[f"{name}_cost_per_env_step"] = round(float(np.median(short - 2 * frames)), 1)
        row[f"{name}_cost_per_frame"] = round(float(np.median(frames)), 1)
    rows.append(row)
    print(row)


def resident_kib(make, envs):
    """What a process that holds a pool of `envs` environments has in memory."""
    env = make("pong", 1, envs)
    env.reset()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    env.close()
    return pages * resource.getpagesize() // 1024


@pytest.mark.parametrize(
    ("pool", "emulation"),
    [("own", "fast"), ("own", "stock"), ("ale-py", "stock"), ("envpool", "stock")],
)
def test_memory_of_an_environment(benchmark, pool, emulation):
    """From processes of their own, so that none lives off what another gave back."""
    if pool == "envpool":
        pytest.importorskip("envpool")
    makers = {"ale-py": ale_py_pool, "envpool": envpool_pool}
    make = makers.get(pool, functools.partial(own_pool, emulation=emulation))

    def measure():
        sizes = []
        for envs in (1, 256):
            with multiprocessing.get_context("spawn").Pool(1) as process:
                sizes.append(process.apply(resident_kib, (make, envs)))
        return (sizes[1] - sizes[0]) / 255

    kib = benchmark.pedantic(measure, rounds=1)
    row = {"what": "KiB of memory per environment", "pool": pool, "emulation": emulation}
    rows.append(row | {"kib": round(kib), "peer": "", "threads": 1})
    print(rows[-1])


@both_emulations
@pytest.mark.parametrize("envs", [1, 2, 4, 8, 16, 32, 64, 128, 256])
def test_cost_grows_linearly(benchmark, envs, emulation):
    env = own_pool("pong", 1, envs, emulation=emulation)
    steps = max(2, 128 // envs)
    run = runner(env, noise(6, envs, steps=steps))
    times = []
    benchmark.pedantic(lambda: times.append(run()), rounds=ROUNDS)
    row = {
        "what": "microseconds of processor time per environment step in pong",
        "emulation": emulation,
        "envs": envs,
        "microseconds": round(float(np.median([t[0] for t in times])) / (steps * envs) * 1e6, 1),
    }
    rows.append(row | {"peer": "", "threads": 1})
    print(row)
    env.close()
