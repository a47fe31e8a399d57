"""Early stopping: which value is the lowest, how long it waits, and what a checkpoint keeps."""

import json
from pathlib import Path

import pytest
import torch
from test_training import make_learner, settings, weights

from actormimic.checkpoint import load_weights
from actormimic.metrics import Progress
from actormimic.run import main
from actormimic.sections import EarlyStoppingSettings
from actormimic.stopping import EarlyStopping
from actormimic.training_run import STOPPING_MEASURE, train


def stopping(**settings) -> EarlyStopping:
    return EarlyStopping(EarlyStoppingSettings(**settings))


def test_it_waits_for_so_many_values_without_a_new_lowest():
    subject = stopping(patience=2)
    found = [(subject.observe(value), subject.due) for value in (3.0, 2.0, 2.0, 1.0, 1.5, 1.2)]
    assert found == [
        *[(True, False), (True, False), (False, False)],
        *[(True, False), (False, False), (False, True)],
    ]


def test_an_improvement_has_to_be_large_enough():
    subject = stopping(patience=1, min_improvement=0.5)
    assert subject.observe(3.0)
    assert not subject.observe(2.6)
    assert subject.due
    assert subject.observe(2.4)
    assert not subject.due


def test_without_patience_it_never_stops():
    subject = stopping()
    for _ in range(50):
        subject.observe(1.0)
    assert not subject.due


def test_a_checkpoint_s_state_goes_on():
    before, after = stopping(patience=2), stopping(patience=2)
    for value in (1.0, 2.0):
        before.observe(value)
    after.restore(json.loads(json.dumps(before.state())))
    assert not after.observe(2.0)
    assert after.due
    assert after.lowest == 1.0


MEASURES = {20: 3.0, 40: 1.0, 60: 2.0, 80: 2.0}


def measured(agent_steps, asked_to_stop):
    return {STOPPING_MEASURE: MEASURES[agent_steps]}


def training(folder: Path, test=measured, agent_steps=200, patience=2):
    """A tiny DQN with these measures: what it came to, its weights, what it saved."""
    run = settings(
        evaluation={"every_agent_steps": 20},
        training={"agent_steps": agent_steps, "overlap": False, "log_every_agent_steps": 50},
    )
    learner, saved = make_learner(run), []
    try:
        stops = stopping(patience=patience)
        trained = train(run, learner, folder, test, lambda *what: saved.append(what), "", stops)
    except (Killed, KeyboardInterrupt):
        trained = None
    return trained, weights(learner), saved


class Killed(Exception):
    """Stands for SIGKILL."""


def logged(folder: Path) -> list[dict]:
    """The lines of the log, without their time."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if name != "seconds"} for line in lines]


def test_a_training_ends_where_it_stops_early_and_keeps_its_best(tmp_path: Path):
    trained, _, saved = training(tmp_path)
    assert (trained.agent_steps, trained.stopped_early) == (80, True)
    assert [what for what in saved if what[0] == "best"] == [("best", 20), ("best", 40)]
    assert saved[-1] == ("newest", 80)


def test_a_run_that_stopped_takes_no_further_step(tmp_path: Path):
    _, before, _ = training(tmp_path)
    trained, after, saved = training(tmp_path)
    assert (trained.agent_steps, trained.stopped_early) == (80, True)
    assert after == before
    assert saved == []


def test_what_was_not_logged_yet_is_where_a_training_stops_early(tmp_path: Path, monkeypatch):
    """Lines come every 50 agent_steps, the stop at 80: the same lines as of a run that long."""
    shown = []
    monkeypatch.setattr(Progress, "update", lambda self, now, scores: shown.append(now))
    training(tmp_path / "stopped")
    assert shown[-1] == 80
    training(tmp_path / "whole", agent_steps=80, patience=0)
    lines = logged(tmp_path / "stopped")
    averages = [line for line in lines if "update/loss" in line]
    assert [line["agent_steps"] for line in averages] == [50, 80]
    assert averages == [line for line in logged(tmp_path / "whole") if "update/loss" in line]
    assert sorted(map(str, lines)) == sorted(map(str, logged(tmp_path / "whole")))


@pytest.mark.parametrize("how", [Killed, KeyboardInterrupt])
@pytest.mark.parametrize("killed_at", [40, 60, 80])
def test_an_interrupted_run_stops_where_the_whole_one_does(killed_at: int, how, tmp_path: Path):
    _, expected, _ = training(tmp_path / "whole")

    def killing(agent_steps, asked_to_stop):
        if agent_steps == killed_at:
            raise how
        return measured(agent_steps, asked_to_stop)

    assert training(tmp_path / "part", killing)[0] is None
    trained, found, saved = training(tmp_path / "part")
    assert (trained.agent_steps, trained.stopped_early) == (80, True)
    assert found == expected
    assert saved[-1] == ("newest", 80)
    assert logged(tmp_path / "part") == logged(tmp_path / "whole")


def test_a_student_that_stops_early_ends_with_its_best_weights(
    tmp_path: Path, capsys, no_pictures: None
):
    """The measure has to fall by more than it can, so that the second test epoch ends the run."""
    tiny = [
        *(
            "device=cpu",
            "environment.num_envs=2",
            "replay.capacity=400",
            "training.agent_steps=400",
        ),
        *("training.learn_start=10", "evaluation.agent_steps=10", "threads=1"),
        *("evaluation.every_agent_steps=30", "checkpoint.every_agent_steps=50"),
        *("games=[atlantis]", "experts=bundled", f"folder={tmp_path}"),
        *("early_stopping.patience=1", "early_stopping.min_improvement=1000"),
    ]
    assert main(["amn.yaml", *tiny]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["agent_steps"], results["weights_agent_steps"]) == (60, 30)
    said = "the weights are those of the best test epoch, number 1, after 30 agent steps"
    assert said in capsys.readouterr().out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "60 agent_steps per game (its network: the best, after 30)" in page
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    tests = [line for line in lines if STOPPING_MEASURE in line]
    assert [line["agent_steps"] for line in tests] == [30, 60]
    for line in tests:
        assert line[STOPPING_MEASURE] == line["test/divergence/atlantis"] > 0
        assert 0 <= line["test/agreement/atlantis"] <= 1
    final, header = load_weights(tmp_path / "checkpoints" / "final.safetensors")
    best, _ = load_weights(tmp_path / "checkpoints" / "best.safetensors")
    newest, _ = load_weights(tmp_path / "checkpoints" / "newest.safetensors")
    assert header.agent_steps == 30
    assert all(torch.equal(final[name], best[name]) for name in best)
    assert not all(torch.equal(final[name], newest[name]) for name in newest)
