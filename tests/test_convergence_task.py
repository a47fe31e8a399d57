"""``task: convergence`` end to end at a tiny size: what it leaves, and that settings matter."""

import csv
import json

import numpy as np
import pytest

from actormimic import convergence_report, convergence_task, report
from actormimic.config_files import load_settings
from actormimic.config_yaml import flat_values
from actormimic.convergence_report import write_convergence_report
from actormimic.convergence_task import crossing, gradient_by_autograd, processes
from actormimic.run import main

TINY = [
    "process.count=2",
    "process.states=4",
    "iteration.starts=4",
    "iteration.iterations=30",
    "iteration.sweep_points=6",
    "iteration.sweep_from=0.01",
    "iteration.policies=10",
    "descent.updates=300",
    "descent.repeats=2",
    "horizon.horizons=[8, 16, 32]",
]
PNG = b"\x89PNG\r\n\x1a\n"


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convergence") / "run"
    assert main(["convergence.yaml", f"folder={folder}", *TINY]) == 0
    return folder


def test_it_leaves_data_plots_and_a_page(run):
    experiments = {line["experiment"] for line in lines_of(run)}
    assert experiments == {
        "equation 8",
        "descent",
        "iteration",
        "rate",
        "contraction",
        "feedback",
        "argmax",
        "horizon",
        "growth",
    }
    pictures = sorted(path.name for path in (run / "report").glob("*.png"))
    assert pictures == [
        "argmax.png",
        "contraction.png",
        "descent.png",
        "feedback.png",
        "fixed_points.png",
        "horizon.png",
    ]
    for name in pictures:
        assert (run / "report" / name).read_bytes().startswith(PNG)
    page = (run / "report" / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 6
    assert "process:" in page, "the settings lie with it"
    with (run / "report" / "contraction.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 6
    claims = json.loads((run / "results.json").read_text())["rows"]
    table = (run / "report" / "table.md").read_text()
    assert all(row["found"] in table for row in claims)
    # A largest value over some policies bounds the contraction's factor from below only.
    assert "| No expansion was found at 14 policies while lambda is above | theorem 1 |" in table


def test_the_measurements_say_what_the_theorem_says(run):
    lines = lines_of(run)
    assert max(line["apart"] for line in lines if line["experiment"] == "equation 8") < 1e-12
    for line in lines:
        if line["experiment"] == "contraction":
            assert line["measured"] <= line["convex"]
            assert line["printed"] is None or line["convex"] <= line["printed"]
            if line["measured"] < 1:
                assert line["settled"] == 1
                assert line["limits"] == 1
    growth = {
        line["expert_share"]: line["exponent"] for line in lines if line["experiment"] == "growth"
    }
    assert growth[0.0] < 1.3 < 1.7 < growth[1.0]


def test_the_same_command_draws_it_again_without_computing(run, capsys, monkeypatch):
    drawn = []

    def write(folder):  # the real one takes seconds, and the command below writes with it
        drawn.append(folder)
        return folder / "report" / "index.html"

    monkeypatch.setattr(convergence_task, "write_convergence_report", write)
    before = (run / "metrics.jsonl").stat().st_mtime_ns
    assert main(["convergence.yaml", f"folder={run}", *TINY]) == 0
    assert (run / "metrics.jsonl").stat().st_mtime_ns == before
    assert drawn == [run]
    out = capsys.readouterr().out
    assert "proposition" not in out.lower(), "no experiment ran"
    assert "grows as T^" in out
    assert str(run / "report" / "index.html") in out


def test_the_report_command_knows_it(run, tmp_path, capsys, monkeypatch):
    # The run has drawn all six, which takes seconds.
    one = {"contraction.png": convergence_report._PLOTS["contraction.png"]}
    monkeypatch.setattr(convergence_report, "_PLOTS", one)
    assert report.main([str(run), "--out", str(tmp_path / "page")]) == 0
    assert capsys.readouterr().out.strip().endswith(str(tmp_path / "page" / "index.html"))
    assert (tmp_path / "page" / "contraction.png").is_file()
    assert report.main([str(run), str(run)]) == 2
    assert "has a page of its own" in capsys.readouterr().err


def test_an_incomplete_or_damaged_run_is_named(run, tmp_path):
    with pytest.raises(ValueError, match="holds no complete run"):
        write_convergence_report(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        write_convergence_report(tmp_path)
    (tmp_path / "results.json").write_text((run / "results.json").read_text())
    first, *_ = (run / "metrics.jsonl").read_text().splitlines()
    for text, message in (("null\n", "is damaged"), (first + "\n", "is damaged: it lacks argmax")):
        (tmp_path / "metrics.jsonl").write_text(text)
        with pytest.raises(ValueError, match=message):
            write_convergence_report(tmp_path)


LEAST = [
    "iteration.starts=2",
    "iteration.sweep_points=2",
    "horizon.horizons=[4, 8]",
    "horizon.expert_shares=[1]",  # where the expert acts, a cost takes one iteration
]


@pytest.fixture
def no_pages(monkeypatch):
    """Drawing takes twice as long as all experiments, and here only what is measured counts."""
    monkeypatch.setattr(convergence_task, "present_convergence", lambda folder, say: None)


def measured(folder, *overrides):
    assert main(["convergence.yaml", f"folder={folder}", *TINY, *overrides]) == 0
    return (folder / "metrics.jsonl").read_text()


@pytest.fixture(scope="module")
def least(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(convergence_task, "present_convergence", lambda folder, say: None)
        return measured(tmp_path_factory.mktemp("least") / "run", *LEAST)


def test_a_run_is_its_seeds(least, tmp_path, no_pages):
    assert measured(tmp_path / "again", *LEAST) == least
    assert measured(tmp_path / "other", *LEAST, "seed=1") != least


CHANGES = [
    "process.count=1",
    "process.states=3",
    "process.actions=2",
    "process.features=1",
    "process.concentration=2.0",
    "process.mixing=0.3",
    "process.discount=0.5",
    "process.expert_temperature=1.0",
    "iteration.epsilon=0.5",
    "iteration.temperature=1.0",
    "iteration.decay=5.0",
    "iteration.starts=3",
    "iteration.iterations=2",
    "iteration.sweep_from=0.1",
    "iteration.sweep_to=100.0",
    "iteration.sweep_points=3",
    "iteration.policies=3",
    "iteration.feedback=0.5",
    "descent.updates=200",
    "descent.repeats=1",
    "horizon.horizons=[4, 9]",
    "horizon.decay=1e-3",
    "horizon.expert_shares=[0]",
]


def test_every_setting_is_looked_at():
    sections = {"process", "iteration", "descent", "horizon"}
    known = flat_values(load_settings("convergence.yaml").model_dump(include=sections))
    assert {change.partition("=")[0] for change in CHANGES} == set(known)


@pytest.mark.parametrize("override", CHANGES)
def test_each_setting_changes_what_is_measured(least, tmp_path, override, no_pages):
    assert measured(tmp_path / "run", *LEAST, override) != least


@pytest.mark.parametrize("decay", [1e-6, 1e8])
def test_every_lambda_that_is_allowed_is_one_to_work_with(tmp_path, decay, no_pages):
    names = ["iteration.decay", "horizon.decay", "iteration.sweep_from", "iteration.sweep_to"]
    ends = [f"{name}={decay}" for name in (names[:3] if decay < 1 else [*names[:2], names[3]])]
    lines = measured(tmp_path / "run", *LEAST, *ends).splitlines()
    for line in map(json.loads, lines):
        assert all(np.isfinite(v) for v in line.values() if isinstance(v, float))


def test_where_the_contraction_is_lost_is_interpolated():
    decays = np.array([0.1, 1.0, 10.0])
    assert crossing(decays, np.array([0.9, 0.5, 0.1])) is None
    assert crossing(decays, np.array([100.0, 10.0, 0.1])) == pytest.approx(10**0.5)
    assert crossing(decays, np.array([0.5, 2.0, 0.1])) > 1.0, "the last crossing counts"
    assert crossing(decays, np.array([9.0, 5.0, 2.0])) == float("inf")


def test_autograd_sees_a_wrong_update():
    """The comparison can fail: the regularizer of eq. 7 as printed has twice eq. 8's gradient."""
    _, case = next(processes(load_settings("convergence.yaml", TINY)))
    theta = np.ones((2, 3))
    states = np.full(4, 0.25)
    halved = gradient_by_autograd(case, states, theta, 1.0)
    printed = gradient_by_autograd(case, states, theta, 2.0)
    np.testing.assert_allclose(printed - halved, theta)


def test_a_sweep_that_does_not_rise_is_refused(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["convergence.yaml", f"folder={folder}", "iteration.sweep_from=1e5"]) == 2
    assert "sweep_from is 100000" in capsys.readouterr().err
    assert not folder.exists()
