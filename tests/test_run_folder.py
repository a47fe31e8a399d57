"""What a run's folder keeps when its run is to go on and cannot. Real runs, tiny."""

import shutil
from pathlib import Path

import pytest

from actormimic.checkpoint import CheckpointStore
from actormimic.run import main

TINY = [
    *("dqn.yaml", "game=breakout", "preset=fast", "device=cpu", "threads=1"),
    *("network.size=nips2013", "environment.num_envs=2", "replay.capacity=400"),
    *("training.agent_steps=60", "training.learn_start=16", "training.batch=4"),
    *("training.log_every_agent_steps=20", "evaluation.agent_steps=8"),
    *("evaluation.every_agent_steps=1000", "checkpoint.every_agent_steps=20", "checkpoint.keep=1"),
]
LONGER = "training.agent_steps=80"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("complete") / "run"
    assert main([*TINY, f"folder={folder}"]) == 0
    return folder


def end(folder: Path) -> dict[str, bytes]:
    names = ("results.json", "checkpoints/final.safetensors", "metrics.jsonl", "config.yaml")
    return {name: (folder / name).read_bytes() for name in names}


def test_a_complete_run_without_checkpoints_is_not_begun_anew(complete, tmp_path, capfd):
    folder = shutil.copytree(complete, tmp_path / "run")
    for path in (folder / "checkpoints").glob("*-at-*"):
        shutil.rmtree(path)
    assert main([*TINY, f"folder={folder}", LONGER]) == 2
    assert (
        f"the run in {folder} is complete, but its checkpoints are gone" in capfd.readouterr().err
    )
    assert end(folder) == end(complete)
    assert main([*TINY, f"folder={folder}"]) == 0  # as long as it was: shown again


def test_a_complete_run_whose_log_is_gone_keeps_its_results(complete, tmp_path, capfd):
    folder = shutil.copytree(complete, tmp_path / "run")
    (folder / "metrics.jsonl").unlink()
    assert main([*TINY, f"folder={folder}", LONGER]) == 2
    assert "metrics.jsonl has 0 bytes; the checkpoint knows of" in capfd.readouterr().err
    kept = end(complete)
    del kept["metrics.jsonl"]
    assert kept == {name: (folder / name).read_bytes() for name in kept}


def test_a_complete_run_whose_rings_are_damaged_keeps_its_results(complete, tmp_path, capfd):
    folder = shutil.copytree(complete, tmp_path / "run")
    ring = CheckpointStore(folder / "checkpoints", 1).newest().path("ring-breakout.bin")
    content = bytearray(ring.read_bytes())
    content[len(content) // 2] ^= 1
    ring.write_bytes(content)
    assert main([*TINY, f"folder={folder}", LONGER]) == 2
    assert "ring-breakout.bin' is damaged; the ring is empty now" in capfd.readouterr().err
    assert end(folder) == end(complete)


def test_a_complete_run_that_can_go_on_does(complete, tmp_path):
    folder = shutil.copytree(complete, tmp_path / "run")
    assert main([*TINY, f"folder={folder}", LONGER]) == 0
    assert CheckpointStore(folder / "checkpoints", 1).agent_steps == 80
    assert (folder / "metrics.jsonl").read_bytes().startswith(end(complete)["metrics.jsonl"])
    assert "agent_steps: 80" in (folder / "config.yaml").read_text()


def test_a_training_that_diverges_ends_in_one_line_and_keeps_its_last_checkpoint(
    complete, tmp_path, capfd
):
    folder = shutil.copytree(complete, tmp_path / "run")
    before = CheckpointStore(folder / "checkpoints", 1).newest().folder
    rate = "optimizer.learning_rate=[[60, 1e-4], [61, 1e30]]"
    assert main([*TINY, f"folder={folder}", "training.agent_steps=400", rate]) == 2
    err = capfd.readouterr().err
    assert "the training has diverged: update/loss is not finite by agent step" in err
    assert err.count("\n") == 1
    assert CheckpointStore(folder / "checkpoints", 1).newest().folder == before
