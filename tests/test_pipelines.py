"""Pipelines on real ROMs with tiny settings: sharing, side by side, interruption, report."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

import actormimic
from actormimic import pipelines
from actormimic.checkpoint import CheckpointStore, load_weights
from actormimic.config_files import load_settings
from actormimic.report import write_report
from actormimic.run import main
from actormimic.run_folder import is_complete, open_run_folder

TINY = {
    "device": "cpu",  # where runs that are to end alike do so to the last bit
    "threads": 1,
    "environment": {"num_envs": 2},
    "replay": {"capacity": 400},
    "training": {
        "agent_steps": 60,
        "learn_start": 16,
        "batch": 4,
        "log_every_agent_steps": 20,
    },
    "evaluation": {
        "agent_steps": 8,
        "protocol": "paper",
        "every_agent_steps": 6,
    },
    "checkpoint": {"every_agent_steps": 20, "keep": 1},
}
GAMES = ["breakout", "pong"]

# The paper's figures are looked at, those of single runs are not.
pytestmark = pytest.mark.usefixtures("no_pictures_in_module")


def experiment(base: Path, **changes) -> Path:
    """Table 1 and Table 2 in one pipeline, tiny; its config file."""
    transfer = {"config": "transfer.yaml", "network": {"size": "nips2013"}, **TINY}
    each = {"game": ["krull"], "seed": [0, 1]}
    stages = {
        "experts": {"config": "expert.yaml", **TINY, "each": {"game": GAMES}},
        "amn": {"config": "amn.yaml", "games": GAMES, "experts": "stage:experts", **TINY},
        "random": {**transfer, "source": "random", "each": each},
        "policy": {**transfer, "source": "stage:amn", "each": each},
    }
    values = {
        "task": "pipeline",
        "folder": str(base / "pipeline"),
        "shared_folder": str(base / "shared"),
        "shows": ["table1", "figure1", "figure6", "table2", "figure7"],
        "stages": stages,
        **changes,
    }
    path = base / "pipeline.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, no_pictures_in_module: None) -> Path:
    # One run after the other in this process; others below run side by side in their own.
    base = tmp_path_factory.mktemp("experiment")
    assert main([str(experiment(base, processes=1))]) == 0
    return base


def state(base: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in (base / "shared").rglob("checkpoints/**/*")}


def test_every_stage_ran_and_taught_the_next(done: Path):
    entries = json.loads((done / "pipeline" / "stages.json").read_text())
    assert [entry["stage"] for entry in entries] == (
        ["experts"] * 2 + ["amn"] + ["random"] * 2 + ["policy"] * 2
    )
    folders = [(done / "pipeline" / entry["folder"]).resolve() for entry in entries]
    assert all((folder / "results.json").is_file() for folder in folders)
    amn = folders[2]
    experts = json.loads((amn / "experts.json").read_text())
    assert {game: (amn / place).resolve() for game, place in experts.items()} == {
        "breakout": folders[0],
        "pong": folders[1],
    }
    assert yaml.safe_load((folders[5] / "config.yaml").read_text())["source"] == str(amn)


def test_the_report_has_the_paper_s_tables_and_figures(done: Path):
    report = done / "pipeline" / "report"
    page = (report / "index.html").read_text()
    for heading in ("<h2>Table 1</h2>", "<h2>Table 2: krull</h2>", "<h2>Transfer in short</h2>"):
        assert heading in page
    for name in ("figure1", "figure7"):
        assert (report / f"{name}.csv").is_file()
        assert (report / f"{name}.png").is_file()
    # There are no bars where no expert's score is positive.
    assert (report / "figure6.csv").is_file() == (report / "figure6.png").is_file()
    assert page.count("<img src=") >= 2
    with (report / "figure7.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["network"] for row in rows} == {"Random", "AMN-policy"}
    assert {row["game"] for row in rows} == {"krull"}


def test_the_same_command_runs_nothing_again(done: Path, capfd, monkeypatch):
    drawn: list[Path] = []
    # What the page shows and where is the test above's; figures take seconds.
    monkeypatch.setattr(pipelines, "write_report", lambda folders: drawn.extend(folders))
    before = state(done)
    assert main([str(done / "pipeline.yaml")]) == 0
    assert state(done) == before
    assert drawn == [done / "pipeline"]
    assert capfd.readouterr().out.count("is complete") == 7


def test_another_pipeline_takes_the_runs_they_share(done: Path, capfd):
    before = state(done)
    path = done / "pipeline.yaml"
    values = yaml.safe_load(path.read_text())
    values["folder"] = str(done / "other")
    del values["stages"]["random"], values["stages"]["policy"]
    other = done / "other.yaml"
    other.write_text(yaml.safe_dump(values, sort_keys=False))
    assert main([str(other), "shows=[table1]"]) == 0
    assert state(done) == before
    assert capfd.readouterr().out.count("is complete") == 3
    assert not (done / "other" / "report" / "figure7.png").exists()


def test_pipelines_together_have_each_table_and_each_run_once(done: Path):
    folders = []
    for name in ("first", "second"):
        folders.append(done / name)
        folders[-1].mkdir()
        values = yaml.safe_load((done / "pipeline" / "config.yaml").read_text())
        (folders[-1] / "config.yaml").write_text(yaml.safe_dump({**values, "shows": ["table1"]}))
        entries = json.loads((done / "pipeline" / "stages.json").read_text())
        (folders[-1] / "stages.json").write_text(json.dumps(entries))
    page = write_report(folders, done / "both").read_text()
    assert page.count("<h2>Table 1</h2>") == 1
    assert page.count("<h2>Runs of first and second</h2>") == 1
    assert page.count("<summary>Settings of ") == 7
    with (done / "both" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({(row["run"], row["game"]) for row in rows}) == len(rows) > 0


def complete(stage: dict) -> None:
    """The folder of a run as its end leaves it, as far as pipelines ask."""
    settings = load_settings(
        stage["config"], [f"folder={stage['folder']}", f"game={stage['game']}"]
    )
    with open_run_folder(settings) as folder:
        (folder / "results.json").write_text("{}")


def test_a_stage_s_folder_with_another_run_is_refused_before_anything_is_made(
    tmp_path: Path, capfd
):
    stage = {"config": "expert.yaml", "folder": str(tmp_path / "expert"), "game": "pong"}
    complete(stage)
    path = experiment(tmp_path, stages={"experts": {**stage, "game": "breakout"}}, shows=[])
    assert main([str(path)]) == 2
    assert "game is 'breakout', but the run in" in capfd.readouterr().err
    assert not (tmp_path / "pipeline").exists()


def test_a_complete_run_that_is_to_be_longer_goes_on(tmp_path: Path):
    stage = {"config": "expert.yaml", "folder": str(tmp_path / "expert"), "game": "pong"}
    complete(stage)
    longer = {**stage, "training": {"agent_steps": 99_000}}
    taken: list[int] = []

    def run_task(settings, folder, say):
        assert (folder / "results.json").exists()  # until it is known that it can go on
        assert not is_complete(settings)
        taken.append(settings.training.agent_steps)
        raise KeyboardInterrupt

    pipeline = load_settings(str(experiment(tmp_path, stages={"experts": longer}, shows=[])))
    (tmp_path / "pipeline").mkdir()
    with pytest.raises(KeyboardInterrupt):
        pipelines.run_pipeline(pipeline, tmp_path / "pipeline", lambda line: None, run_task)
    assert taken == [99_000]


def test_complete_runs_that_are_to_be_longer_go_on_in_processes_of_their_own(
    tmp_path: Path, monkeypatch
):
    places = [str(tmp_path / name) for name in ("a", "b")]
    stage = {"config": "expert.yaml", "game": "pong"}
    for place in places:
        complete({**stage, "folder": place})
    stage["each"] = {"folder": places}
    falling = [[0.0, 2e-4], [99_000.0, 1e-5]]
    more = {**stage, "training": {"agent_steps": 99_000}, "optimizer": {"learning_rate": falling}}
    longer = load_settings(str(experiment(tmp_path, stages={"experts": more}, processes=2)))
    started = []
    monkeypatch.setattr(
        "actormimic.pipelines.run_side_by_side", lambda waiting, *_: started.extend(waiting)
    )
    (tmp_path / "pipeline").mkdir()
    monkeypatch.setattr("actormimic.pipelines.write_report", lambda folders: tmp_path)
    monkeypatch.setattr("actormimic.pipelines.summary", lambda folders: "")
    pipelines.run_pipeline(longer, tmp_path / "pipeline", lambda line: None, None)
    assert [str(waiting.folder) for waiting in started] == places
    for waiting in started:
        wanted = load_settings(waiting.command[3], waiting.command[4:])
        assert wanted.training.agent_steps == 99_000
        assert [list(point) for point in wanted.optimizer.learning_rate] == falling
        assert not is_complete(wanted)


def test_a_run_that_fails_stops_the_pipeline_and_is_said(tmp_path: Path, capfd):
    each = {"game": GAMES, "replay.capacity": [2**32]}  # 30 TB
    stages = {"experts": {"config": "expert.yaml", **TINY, "each": each}}
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**40, limits[1]))  # where the system allows anything
    try:
        assert main([str(experiment(tmp_path, processes=2, stages=stages))]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    error = capfd.readouterr().err
    assert "the run of experts (expert-" in error
    assert "private ring cannot be made" in error


def test_a_stage_s_device_that_is_not_there_is_refused_before_anything_is_made(
    tmp_path: Path, capfd
):
    stages = {"experts": {"config": "expert.yaml", **TINY, "game": "pong", "device": "cuda:77"}}
    assert main([str(experiment(tmp_path, stages=stages, shows=[]))]) == 2
    assert "device is 'cuda:77'" in capfd.readouterr().err
    assert not (tmp_path / "pipeline").exists()


def agent_steps_in(folder: Path) -> int:
    return CheckpointStore(folder / "checkpoints", 1).agent_steps


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def interrupted(path: Path, shared: Path, number: signal.Signals) -> list[Path] | None:
    """The folders of the pipeline's runs, which a signal to it ended in the middle; None if one was
    through before."""
    words = [sys.executable, "-m", "actormimic.run", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(actormimic.__file__).parents[1])}
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

    def both_run() -> bool:
        # The pipeline makes the folders and holds them until the runs do.
        held = [lock.read_text() for lock in shared.glob("*/.lock")]
        saved = any(shared.glob("*/checkpoints/*-at-*"))
        return saved and len(held) == 2 and all(held) and str(process.pid) not in held

    wait_until(lambda: process.poll() is not None or both_run())
    folders = sorted(shared.glob("*"))
    before = sum(map(agent_steps_in, folders))
    runs = [int((folder / ".lock").read_text()) for folder in folders]
    process.send_signal(number)
    out, _ = process.communicate(timeout=300)
    # Of SIGKILL nobody tells the runs; they notice, save and free their folders.
    wait_until(lambda: not any(map(is_there, runs)))
    if any((folder / "results.json").is_file() for folder in folders):
        return None
    assert process.returncode == (130 if number == signal.SIGTERM else -number), out
    assert ("To go on: python -m actormimic.run" in out) == (number == signal.SIGTERM)
    assert sum(map(agent_steps_in, folders)) > before
    assert len(folders) == 2
    return folders


@pytest.mark.parametrize(
    ("number", "processes"),
    [(signal.SIGTERM, 2), (signal.SIGKILL, 1)],  # the rest need not be side by side twice
)
def test_an_interrupted_pipeline_goes_on(tmp_path: Path, number: signal.Signals, processes: int):
    """A signal in the middle of two runs side by side: the same command ends them as they end one
    after the other in one process."""
    long = {**TINY, "training": {**TINY["training"], "agent_steps": 400}}
    long["evaluation"] = {**TINY["evaluation"], "every_agent_steps": 100_000}
    each = {"game": ["pong"], "seed": [0, 1]}
    stages = {"experts": {"config": "expert.yaml", **long, "each": each}}
    # A machine that is so busy that one is through before this process has its turn again gets
    # another attempt.
    for attempt in range(10):
        base = tmp_path / str(attempt)
        base.mkdir()
        path = experiment(base, processes=2, stages=stages, shows=[])
        folders = interrupted(path, base / "shared", number)
        if folders:
            break
    assert folders
    assert main([str(path), f"processes={processes}"]) == 0
    assert all((folder / "results.json").is_file() for folder in folders)
    if number == signal.SIGKILL:
        return  # they saved as they do when asked, and that ends alike

    (tmp_path / "whole").mkdir()
    whole = experiment(tmp_path / "whole", processes=1, stages=stages, shows=[])
    assert main([str(whole)]) == 0
    for folder in folders:
        uninterrupted = tmp_path / "whole" / "shared" / folder.name
        tensors, expected = (
            load_weights(place / "checkpoints" / "final.safetensors")[0]
            for place in (folder, uninterrupted)
        )
        assert set(tensors) == set(expected)
        assert all(torch.equal(tensors[name], expected[name]) for name in expected)


def test_stages_json_is_relative_so_that_the_runs_may_move(done: Path):
    entries = json.loads((done / "pipeline" / "stages.json").read_text())
    assert all(entry["folder"].startswith("../shared/") for entry in entries)
