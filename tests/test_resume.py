"""Runs killed with SIGKILL at random moments, and files that cannot be written: the very same end.

The runs are processes of their own, started by the command line; nothing in them knows of the test.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import actormimic
from actormimic.checkpoint import CheckpointStore, load_weights

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(actormimic.__file__).parents[1])}

TINY = [
    *("environment.num_envs=2", "replay.capacity=2000", "network.size=nips2013", "threads=1"),
    *("training.agent_steps=240", "training.learn_start=20", "training.batch=4"),
    *("training.log_every_agent_steps=20", "evaluation.agent_steps=10"),
    *("evaluation.every_agent_steps=60", "evaluation.protocol=paper"),
    *("checkpoint.every_agent_steps=25", "checkpoint.keep=2"),
]
RUNS = {
    "dqn": ["dqn.yaml", "game=breakout", "preset=fast", "exploration.anneal_agent_steps=100"],
    "actor_mimic": [
        *("amn.yaml", "games=[atlantis, seaquest]", "experts=bundled"),
        *("actor_mimic.beta=[[0, 0.1], [200, 0.01]]", "actor_mimic.acting=mixture"),
        *("actor_mimic.expert_share=[[0, 1], [200, 0]]", "early_stopping.patience=50"),
    ],
}


def start(task: str, folder: Path, **how) -> subprocess.Popen:
    words = [*RUNS[task], *TINY, f"folder={folder}"]
    return subprocess.Popen(
        [sys.executable, "-m", "actormimic.run", *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **how,
    )


def finish(process: subprocess.Popen) -> str:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return out


def final_bytes(folder: Path) -> bytes:
    tensors, _ = load_weights(folder / "checkpoints" / "final.safetensors")
    return b"".join(tensor.contiguous().numpy().tobytes() for _, tensor in sorted(tensors.items()))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The final weights of each run as nothing stopped it."""
    found = {}
    for task in RUNS:
        folder = tmp_path_factory.mktemp(task)
        finish(start(task, folder))
        found[task] = final_bytes(folder)
    return found


def newest_number(folder: Path) -> int:
    names = [p.name for p in (folder / "checkpoints").glob("*-at-*") if p.name[0].isdigit()]
    return max((int(name.partition("-")[0]) for name in names), default=0)


@pytest.mark.parametrize("task", RUNS)
def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_bytes(
    task: str, uninterrupted: dict[str, bytes], tmp_path: Path
):
    rng = random.Random()
    killed, moments = 0, []
    while killed < 2:
        process = start(task, tmp_path / "part")
        # At any moment once it has come further than the process before: within an update, a test
        # epoch or a checkpoint that is being written, as it happens.
        before = newest_number(tmp_path / "part")
        deadline = time.monotonic() + 120
        while newest_number(tmp_path / "part") == before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        moments.append(rng.uniform(0.0, 0.15))
        time.sleep(moments[-1])
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            break  # it was through
        killed += 1
    finish(start(task, tmp_path / "part"))
    assert killed, "the first one is killed long before its end"
    assert final_bytes(tmp_path / "part") == uninterrupted[task], moments


def test_a_checkpoint_that_cannot_be_written_loses_no_earlier_one(
    uninterrupted: dict[str, bytes], tmp_path: Path
):
    """The system refuses to let a file grow, as where a disk is full, half-way through it."""
    process = start("dqn", tmp_path)
    deadline = time.monotonic() + 120
    while newest_number(tmp_path) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.terminate()
    process.communicate()
    assert process.returncode == 130
    checkpoints = tmp_path / "checkpoints"
    newest = CheckpointStore(checkpoints, 2).newest()
    assert newest is not None
    before = {path: path.stat().st_mtime_ns for path in newest.folder.iterdir()}
    for too_large in ("tensors.safetensors", "ring-breakout.bin"):
        limit = (newest.folder / too_large).stat().st_size - 4096

        def refuse(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = start("dqn", tmp_path, preexec_fn=refuse)
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 2, out
        assert "cannot be written" in out
        assert "earlier ones are untouched" in out
        assert {path: path.stat().st_mtime_ns for path in newest.folder.iterdir()} == before
        assert not list(checkpoints.glob("unfinished-*"))
    finish(start("dqn", tmp_path))
    assert final_bytes(tmp_path) == uninterrupted["dqn"]
