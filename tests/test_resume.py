"""Runs killed with SIGKILL at random moments, and files that cannot be written: the very same end.

The runs that are killed are processes of their own, started by the command line; nothing in them
knows of the test.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import actormimic
from actormimic.checkpoint import Checkpoint, CheckpointStore, load_weights
from actormimic.run import main

pytestmark = pytest.mark.usefixtures("no_pictures_in_module")

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(actormimic.__file__).parents[1])}

# On a GPU sums may come in another order from run to run; the very same end is the CPU's promise.
TINY = [
    *(
        "device=cpu",
        "environment.num_envs=2",
        "replay.capacity=2000",
        "network.size=nips2013",
        "threads=1",
    ),
    *("training.agent_steps=240", "training.learn_start=20", "training.batch=4"),
    *("training.log_every_agent_steps=35", "evaluation.agent_steps=10"),
    *("evaluation.every_agent_steps=60", "evaluation.protocol=paper"),
    *("checkpoint.every_agent_steps=25", "checkpoint.keep=2"),
]
RUNS = {
    "dqn": [
        *("dqn.yaml", "game=breakout", "preset=fast", "exploration.anneal_agent_steps=100"),
        "optimizer.learning_rate=[[0, 1e-4], [150, 1e-4], [240, 1e-6]]",
    ],
    "actor_mimic": [
        *("amn.yaml", "games=[atlantis, seaquest]", "experts=bundled"),
        *("actor_mimic.beta=[[0, 0.1], [200, 0.01]]", "actor_mimic.acting=mixture"),
        *("actor_mimic.expert_share=[[0, 1], [200, 0]]", "early_stopping.patience=2"),
        "early_stopping.min_improvement=1000",  # so it stops with the third test epoch
    ],
}
ENDS = {"dqn": 240, "actor_mimic": 180}


def start(task: str, folder: Path) -> subprocess.Popen:
    words = [*RUNS[task], *TINY, f"folder={folder}"]
    return subprocess.Popen(
        [sys.executable, "-m", "actormimic.run", *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def go_on(task: str, folder: Path, *more: str) -> None:
    """To the run's end, in this process: nothing is to kill it, and imports take longer than it."""
    assert main([*RUNS[task], *TINY, f"folder={folder}", *more]) == 0


def end(folder: Path) -> dict:
    """What a complete run leaves, but for times: weights, newest checkpoint and log."""
    tensors, _ = load_weights(folder / "checkpoints" / "final.safetensors")
    newest = CheckpointStore(folder / "checkpoints", 2).newest()
    assert newest is not None
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "weights": {name: tensor.numpy().tobytes() for name, tensor in tensors.items()},
        "agent_steps": newest.agent_steps,
        "tensors": {name: tensor.numpy().tobytes() for name, tensor in newest.tensors.items()},
        "counters": {name: value for name, value in newest.values.items() if name != "log"},
        "log": [{name: line[name] for name in line if name != "seconds"} for line in lines],
    }


def same(found: dict, expected: dict) -> None:
    """Part by part, so that a difference names its part and tensors print no bytes."""
    for part in ("agent_steps", "counters", "log"):
        assert found[part] == expected[part]
    for part in ("weights", "tensors"):
        assert set(found[part]) == set(expected[part])
        differing = [name for name in expected[part] if found[part][name] != expected[part][name]]
        assert not differing, part


def opened_logs(folder: Path) -> set[Path]:
    """The file of TensorBoard's that a process makes anew as its training begins."""
    return set((folder / "tensorboard").glob("*"))


def wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Until the condition holds or the process is through."""
    deadline = time.monotonic() + 300
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@dataclass(frozen=True)
class Whole:
    """A run that nothing stopped."""

    end: dict
    seconds: float
    """Of the command in this process, where all is imported: no more than one of its own takes from
    the beginning of its training on."""


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, no_pictures_in_module: None
) -> dict[str, Whole]:
    found = {}
    for task in RUNS:
        folder = tmp_path_factory.mktemp(task)
        began = time.monotonic()
        go_on(task, folder)
        found[task] = Whole(end(folder), time.monotonic() - began)
        assert found[task].end["agent_steps"] == ENDS[task]
    return found


def newest_number(folder: Path) -> int:
    names = [p.name for p in (folder / "checkpoints").glob("*-at-*") if p.name[0].isdigit()]
    return max((int(name.partition("-")[0]) for name in names), default=0)


def killed(task: str, folder: Path, seconds: float) -> bool:
    """Kill a run so long after its training began; whether it was not through before."""
    before = opened_logs(folder)
    process = start(task, folder)
    wait_until(lambda: bool(opened_logs(folder) - before), process)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("task", RUNS)
def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_bytes(
    task: str, uninterrupted: dict[str, Whole], tmp_path: Path
):
    # As its training begins, mostly before the first checkpoint. A machine that is so busy that
    # the run is through before this process has its turn again gets another attempt.
    folder = next(f for n in range(10) if killed(task, f := tmp_path / str(n), 0.0))
    # Then at any moment of the whole: within an update, a test epoch, a checkpoint that is being
    # written, as it happens. Where it was through before, there is nothing to go on from.
    moment = random.uniform(0.0, uninterrupted[task].seconds)
    print(f"killed as it began and then after {moment:.3f} s")  # shown where the test fails
    killed(task, folder, moment)
    go_on(task, folder)
    same(end(folder), uninterrupted[task].end)


def test_a_run_that_is_made_longer_ends_as_one_that_was_so_long_from_the_start(
    uninterrupted: dict[str, Whole], tmp_path: Path, capfd
):
    """But for its log, which has a line more where the shorter run ended. Nor does it matter
    whether the step size's fall, which begins later, was known by then."""
    go_on("dqn", tmp_path, "training.agent_steps=130", "optimizer.learning_rate=1e-4")
    assert end(tmp_path)["agent_steps"] == 130
    for other, allowed in (
        ("training.agent_steps=120", "has 130; allowed: at least 130, or another folder"),
        (
            "optimizer.learning_rate=[[129, 1e-4], [240, 1e-6]]",
            "has 0.0001; allowed: the same up to agent step 130, or another folder",
        ),
    ):
        assert main([*RUNS["dqn"], *TINY, f"folder={tmp_path}", other]) == 2
        assert f"the run in {tmp_path} {allowed}" in capfd.readouterr().err
    go_on("dqn", tmp_path)
    found, expected = end(tmp_path), uninterrupted["dqn"].end
    assert found["agent_steps"] == expected["agent_steps"]
    for part in ("weights", "tensors"):
        assert found[part].keys() == expected[part].keys()
        assert all(found[part][name] == expected[part][name] for name in expected[part])
    assert json.loads((tmp_path / "results.json").read_text())["agent_steps"] == 240


def interrupted(folder: Path) -> Checkpoint | None:
    """Where a run went to that was asked to end after two checkpoints; None if it was through."""
    process = start("dqn", folder)
    wait_until(lambda: newest_number(folder) >= 2, process)
    process.terminate()
    process.communicate()
    newest = CheckpointStore(folder / "checkpoints", 2).newest()
    assert newest is not None
    return newest if process.returncode == 130 and newest.agent_steps < ENDS["dqn"] else None


@pytest.fixture(scope="module")
def half_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was asked to end in the middle; tests go on in copies of it."""
    attempts = (interrupted(tmp_path_factory.mktemp("half")) for _ in range(10))
    return next(found for found in attempts if found is not None).folder.parents[1]


def copy_of(half_done: Path, folder: Path) -> Checkpoint:
    """The newest checkpoint in ``folder``, which gets all that the run left."""
    shutil.copytree(half_done, folder)
    newest = CheckpointStore(folder / "checkpoints", 2).newest()
    assert newest is not None
    return newest


def test_a_run_that_is_made_shorter_ends_sooner(half_done: Path, tmp_path: Path):
    folder = tmp_path / "run"
    wanted = copy_of(half_done, folder).agent_steps + 1
    go_on("dqn", folder, f"training.agent_steps={wanted}")
    assert wanted <= end(folder)["agent_steps"] <= wanted + 2  # both lanes step at once


@contextmanager
def no_file_over(most: int) -> Iterator[None]:
    """The system refuses to let a file grow, as where a disk is full, half-way through it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal that comes with the error; a host of this process may not.
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_checkpoint_that_cannot_be_written_loses_no_earlier_one(
    half_done: Path, uninterrupted: dict[str, Whole], tmp_path: Path, capfd
):
    folder = tmp_path / "run"
    newest = copy_of(half_done, folder)
    before = {path: path.stat().st_mtime_ns for path in newest.folder.iterdir()}
    for too_large in ("tensors.safetensors", "ring-breakout.bin"):
        with no_file_over((newest.folder / too_large).stat().st_size - 4096):
            assert main([*RUNS["dqn"], *TINY, f"folder={folder}"]) == 2
        error = capfd.readouterr().err
        assert "cannot be written" in error
        assert "earlier ones are untouched" in error
        assert {path: path.stat().st_mtime_ns for path in newest.folder.iterdir()} == before
        assert not list(newest.folder.parent.glob("unfinished-*"))
    go_on("dqn", folder)
    same(end(folder), uninterrupted["dqn"].end)
