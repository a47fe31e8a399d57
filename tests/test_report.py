"""Tables and plots from run folders, while a run goes and when it is done."""

import base64
import csv
import json
import re
from io import StringIO
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from actormimic import report
from actormimic.config_files import check_settings, to_yaml
from actormimic.records import Group, read_runs

GAMES = ["pong", "freeway"]
PNG = b"\x89PNG\r\n\x1a\n"


def score(mean):
    return {"mean": mean, "std": 1.5, "max": mean + 2, "episodes": 9}


def results(**changes):
    row = {
        "game": "pong",
        "random": score(-20.5),
        "expert": score(10.0),
        "student": score(5.0),
        "percent": 83.6,
        "agreement": 0.75,
        "cross_entropy": 0.5,
        "expert_entropy": 0.25,
    }
    return {
        "task": "actor_mimic",
        "caption": "Nine episodes",
        "agent_steps": 3000,
        "seconds": 125.0,
        "rows": [
            row,
            {**row, "game": "freeway", "student": score(21.0), "percent": None, "expert": None},
        ],
        **changes,
    }


def make_run(folder, *, done=True, seed=0):
    folder.mkdir(parents=True)
    settings = check_settings({"task": "actor_mimic", "games": GAMES, "seed": seed})
    (folder / "config.yaml").write_text(to_yaml(settings))
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(1, 4):
            line = {"agent_steps": 1000 * step, "seconds": 1.0, "update/loss": 1 / step}
            for game in GAMES:
                line[f"train/return/{game}"] = step + seed
                line[f"test/return/{game}"] = None if step == 2 else 2.0 * step
                line[f"test/return_std/{game}"] = None if step == 2 else 0.5
            file.write(json.dumps(line) + "\n")
    if done:
        (folder / "results.json").write_text(json.dumps(results()))
    return folder


def test_the_table_is_aligned_and_complete():
    text = report.table(results())
    lines = text.splitlines()
    assert lines[0] == "Nine episodes"
    assert lines[1].split() == [
        *["game", "random", "expert", "student", "percent", "agreement", "cross-entropy"],
        *["expert's", "entropy"],
    ]
    assert lines[3].split("  ")[0] == "pong"
    assert [cell.strip() for cell in re.split(r"\s{2,}", lines[3])] == [
        *["pong", "-20.5 ± 1.5 (9)", "10.0 ± 1.5 (9)", "5.0 ± 1.5 (9)"],
        *["83.6%", "0.750", "0.5000", "0.2500"],
    ]
    assert [cell.strip() for cell in re.split(r"\s{2,}", lines[4])][2:5] == [
        *["-", "21.0 ± 1.5 (9)", "-"]
    ]
    assert len({len(line) for line in lines[2:]}) == 1


def test_columns_without_values_are_left_out():
    rows = [{"game": "pong", "random": score(-20.5), "expert": None, "student": score(2345.6)}]
    header, row = (report.table(results(task="dqn", rows=rows)).splitlines()[i] for i in (1, 3))
    assert header.split() == ["game", "random", "network"]
    assert row.endswith("2,346 ± 1.5 (9)")


def test_the_report_of_one_run_lies_with_it(tmp_path, capsys):
    folder = make_run(tmp_path / "amn")
    assert report.main([str(folder)]) == 0
    out = capsys.readouterr().out
    assert report.table(results()) in out
    assert out.splitlines()[-1] == str(folder / "report" / "index.html")
    assert sorted(path.name for path in (folder / "report").iterdir()) == [
        *["index.html", "loss.png", "returns.png", "shares.png", "table.csv", "table.md"]
    ]


def test_the_page_needs_no_other_file(tmp_path):
    page = report.write_report([make_run(tmp_path / "a<b")]).read_text()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 3
    assert all(base64.b64decode(picture).startswith(PNG) for picture in pictures)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<h1>a&lt;b</h1>" in page
    assert "learning_rate: 0.00025" in page
    assert "2m05s of running time" in page


def test_the_paper_stands_beside_the_games_it_has(tmp_path):
    page = report.write_report([make_run(tmp_path / "amn")]).parent / "table.md"
    section = page.read_text().partition("## amn beside the paper")[2]
    # (5 + 20.7) / (9.3 + 20.7); freeway is none of the paper's games
    assert "| pong | 5.0 | 85.7% | 19.6 / 20.1 | 15.3 / 18.8 |" in section
    assert "freeway" not in section


def test_csv_holds_the_unrounded_figures(tmp_path):
    page = report.write_report([make_run(tmp_path / "amn")])
    rows = list(csv.DictReader(StringIO((page.parent / "table.csv").read_text())))
    assert [row["game"] for row in rows] == GAMES
    assert float(rows[0]["student_mean"]) == 5.0
    assert float(rows[0]["expert_max"]) == 12.0
    assert rows[1]["expert_mean"] == ""
    assert rows[1]["percent"] == ""


def test_several_runs_stand_side_by_side(tmp_path, monkeypatch, capsys):
    folders = [make_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    monkeypatch.chdir(tmp_path)
    assert report.main([*map(str, folders), "--out", "both"]) == 0
    text = (tmp_path / "both" / "table.md").read_text()
    assert "| game | a | b |" in text
    assert "| pong | 5.0 ± 1.5 (9), 83.6% | 5.0 ± 1.5 (9), 83.6% |" in text
    assert report.main([*map(str, folders)]) == 0
    assert (tmp_path / "report" / "index.html").is_file()


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path):
    folders = [make_run(tmp_path / parent / "amn") for parent in "ab"]
    assert [run.label for run in read_runs(folders)] == [str(f) for f in folders]


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ({"agent_steps": 3000, "weights_agent_steps": 1000}, [2.0, 6.0]),  # it stopped early
        ({"agent_steps": 3000}, [2.0, 6.0]),
        ({"agent_steps": 4000, "weights_agent_steps": 4000}, [2.0, 6.0, 5.0]),
    ],
)
def test_a_curve_goes_on_to_the_right_and_keeps_each_test_epoch(tmp_path, ended, expected):
    folder = make_run(tmp_path / "amn")
    (folder / "results.json").write_text(json.dumps(results(**ended)))
    (run,) = read_runs([folder])
    places, means = run.curves().series("test/return/pong")
    assert (places, means) == ([1000, 3000, 4000][: len(means)], expected)
    assert run.curves().series("test/return_std/pong") == (places, [0.5, 0.5, 1.5][: len(means)])


def test_a_run_that_is_going_has_curves_and_an_interrupted_line_is_no_matter(tmp_path, capsys):
    folder = make_run(tmp_path / "amn", done=False)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"agent_steps": 4000, "upd')
    assert report.main([str(folder)]) == 0
    assert "amn: 3,000 agent_steps so far" in capsys.readouterr().out
    assert (folder / "report" / "returns.png").read_bytes().startswith(PNG)
    assert not (folder / "report" / "shares.png").exists()


def test_a_file_that_lacks_something_is_named(tmp_path, capsys):
    for name, text in (("metrics.jsonl", "null\n"), ("results.json", "{}")):
        folder = make_run(tmp_path / name)
        (folder / name).write_text(text)
        assert report.main([str(folder)]) == 2
        assert "metrics.jsonl or results.json is damaged" in capsys.readouterr().err


def test_a_plot_that_is_no_longer_true_goes(tmp_path):
    folder = make_run(tmp_path / "amn")
    report.write_report([folder])
    (folder / "results.json").unlink()
    report.write_report([folder])
    assert not (folder / "report" / "shares.png").exists()


def test_more_data_changes_the_plot(tmp_path):
    folder = make_run(tmp_path / "amn")
    before = matplotlib.image.imread(report.write_report([folder]).parent / "returns.png")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"agent_steps": 4000, "seconds": 2.0, "train/return/pong": 9.0}\n')
    after = matplotlib.image.imread(report.write_report([folder]).parent / "returns.png")
    assert after.shape == before.shape
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "RUN_DIR is missing; usage:"),
        (["nowhere"], "nowhere holds no run; allowed: a folder with a config.yaml"),
        (["amn", "--out"], "--out names no folder"),
        (["amn", "--outt"], "option --outt is unknown"),
        (["damaged"], "damaged: metrics.jsonl or results.json is damaged"),
        (["amn", "--out", "amn/config.yaml"], "File exists"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "amn")
    (make_run(tmp_path / "damaged") / "results.json").write_text("{")
    assert report.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


def make_pipeline(folder, *stages):
    """A pipeline's folder whose stages are the run folders ``stages``."""
    folder.mkdir()
    (folder / "config.yaml").write_text("task: pipeline\nshows: [figure2]\n")
    entries = [{"stage": stage.name, "folder": f"../{stage.name}"} for stage in stages]
    (folder / "stages.json").write_text(json.dumps(entries))
    return folder


def test_the_runs_of_a_pipeline_say_which_are_complete_and_what_time_all_took(tmp_path):
    runs = [make_run(tmp_path / "whole"), make_run(tmp_path / "part", done=False)]
    with (runs[1] / "metrics.jsonl").open("a") as file:
        file.write('{"agent_steps": 4000, "seconds": 70.0, "train/return/pong": 9.0}\n')
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "config.yaml").write_text((runs[0] / "config.yaml").read_text())
    page = report.write_report([make_pipeline(tmp_path / "all", *runs, tmp_path / "fresh")])
    text = (page.parent / "table.md").read_text()
    assert (
        "3 runs, 1 of them complete; 3m15s of running time in all (their experts' aside), that of "
        "the others up to their last log line." in text
    )
    assert "| whole | actor_mimic | 0 | 3,000 | 2m05s | - |" in text
    assert "| part | actor_mimic | 0 | 4,000 | 1m10s so far | - |" in text
    assert "| fresh | actor_mimic | 0 | 0 | 0s so far | - |" in text
    page = report.write_report([make_pipeline(tmp_path / "done", runs[0])])
    text = (page.parent / "table.md").read_text()
    assert "1 run; 2m05s of running time in all (their experts' aside).\n" in text


def test_a_pipeline_reports_beside_a_stage_of_convergence(tmp_path, capsys):
    """The lines of such a stage's log have no agent_steps; it has a page of its own."""
    computed = tmp_path / "computed"
    computed.mkdir()
    (computed / "config.yaml").write_text("task: convergence\n")
    (computed / "metrics.jsonl").write_text('{"experiment": "equation 8", "apart": 0.0}\n')
    both = make_pipeline(tmp_path / "both", make_run(tmp_path / "amn"), computed)
    assert report.main([str(both)]) == 0
    assert "1 run; 2m05s of running time" in (both / "report" / "table.md").read_text()
    alone = make_pipeline(tmp_path / "alone", computed)
    assert report.main([str(alone)]) == 0
    assert (alone / "report" / "index.html").is_file()
    assert capsys.readouterr().err == ""


def test_pipelines_with_a_baseline_each_have_tables_of_different_names(tmp_path):
    folders = []
    for name, heads in (("mdqn", "shared"), ("mcdqn", "separate")):
        run = make_run(tmp_path / name)
        settings = check_settings({"task": "multitask_dqn", "games": GAMES, "heads": heads})
        (run / "config.yaml").write_text(to_yaml(settings))
        folders.append(make_pipeline(tmp_path / f"with-{name}", run))
    page = report.write_report(folders, tmp_path / "both").read_text()
    headings = re.findall("<h2>(Multitask DQN.*)</h2>", page)
    assert headings == [f"Multitask DQN (appendix C): {name}" for name in ("MDQN", "MCDQN")]


def test_pipelines_of_one_name_keep_their_plots_apart(tmp_path):
    folders = [tmp_path / place for place in ("a/table", "b/table", "b/more-table")]
    for number, folder in enumerate(folders):
        make_run(folder / "run", seed=number)
        (folder / "config.yaml").write_text("task: pipeline\n")
        (folder / "stages.json").write_text('[{"stage": "amn", "folder": "run"}]')
    page = report.write_report(folders, tmp_path / "out").read_text()
    drawn = [path.read_bytes() for path in (tmp_path / "out").glob("*returns.png")]
    assert len(set(drawn)) == len(drawn) == 3
    assert f"Runs of {folders[0]} and {folders[1]} and more-table" in page


def test_file_prefixes_never_coincide():
    labels = ["a/b", "a-b", "a-b", "a-b-2"]
    prefixes = report._file_prefixes([Group(label, Path(), (), ()) for label in labels])
    assert prefixes == ["a-b-", "a-b-2-", "a-b-3-", "a-b-2-2-"]
    assert report._file_prefixes([Group("a", Path(), (), ())]) == [""]
