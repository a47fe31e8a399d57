"""Figures 1 to 7 from made-up runs: what they hold, what their captions say, how they look."""

import csv
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from test_paper_tables import made

from actormimic.paper_figures import draw_paper
from actormimic.plots import Bars, draw_bars
from actormimic.records import Group

GAMES = ["breakout", "pong"]


def runs_of(tmp_path: Path, kind: str, count: int = 1, epochs: int = 20) -> list:
    """Runs of one kind on both games, each a little better than the one before."""
    made_runs = []
    for number in range(count):
        label = f"{kind}-{number}"
        if kind == "expert":
            made_runs += [
                made(tmp_path, "dqn", game, range(epochs), f"{label}-{game}") for game in GAMES
            ]
            continue
        tasks = {
            "AMN": ("actor_mimic", {"actor_mimic": {"beta": 0.0}}),
            "AMN-feature": ("actor_mimic", {"actor_mimic": {"beta": [[0, 0.01], [9, 0.0]]}}),
            "MDQN": ("multitask_dqn", {"heads": "shared"}),
            "MCDQN": ("multitask_dqn", {"heads": "separate"}),
        }
        task, config = tasks[kind]
        run = made(tmp_path, task, GAMES[0], np.arange(epochs) / 2 + number, label, **config)
        run.config.pop("game", None)
        run.config["games"] = GAMES
        for line in run.metrics:
            line[f"test/return/{GAMES[1]}"] = line[f"test/return/{GAMES[0]}"] - 3
        made_runs.append(run)
    return made_runs


def drawn(tmp_path: Path, shows: str, *runs) -> tuple[list, list[dict[str, str]]]:
    """The pictures of a group that shows one figure, and the rows of that one's CSV."""
    pictures = draw_paper(Group("g", tmp_path, (shows,), runs), tmp_path)
    path = tmp_path / f"{shows}.csv"
    rows = list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []
    return pictures, rows


@pytest.mark.parametrize(
    ("name", "kinds", "networks"),
    [
        ("figure1", ["AMN", "expert"], {"AMN", "DQN"}),
        ("figure2", ["AMN", "expert", "MDQN"], {"AMN", "DQN", "MDQN"}),
        ("figure3", ["AMN", "expert", "MCDQN"], {"AMN", "DQN", "MCDQN"}),
        ("figure4", ["AMN", "expert"], {"AMN-policy"}),
        ("figure5", ["AMN-feature", "expert"], {"AMN-feature"}),
    ],
)
def test_training_curves_have_their_networks_and_the_experts_lines(
    name: str, kinds: list[str], networks: set[str], tmp_path: Path
):
    runs = [run for kind in kinds for run in runs_of(tmp_path, kind, 2 if "AMN" in kind else 1)]
    (picture,), rows = drawn(tmp_path, name, *runs)
    lines = {"DQN mean", "DQN max"}
    assert {row["network"] for row in rows} == networks | lines
    assert {row["game"] for row in rows} == set(GAMES)
    own = next(label for label in networks if label.startswith("AMN"))
    curve = [row for row in rows if row["network"] == own and row["game"] == "breakout"]
    # Two networks, half a point apart at each of twenty test epochs.
    assert [float(row["mean"]) for row in curve] == [n / 2 + 0.5 for n in range(20)]
    assert [float(row["low"]) for row in curve] == [n / 2 for n in range(20)]
    assert int(curve[0]["agent_steps"]) == 11
    of_experts = {row["network"]: float(row["mean"]) for row in rows if row["network"] in lines}
    assert of_experts == {"DQN mean": 14.5, "DQN max": 19.0}
    assert picture.path == tmp_path / f"{name}.png"
    assert picture.caption.startswith(f"Figure {name[-1]}: ")
    assert f"{own} over 2 networks" in picture.caption
    assert "shaded: 95% bootstrap interval" in picture.caption
    assert "Experts that were trained for less than the paper's" in picture.caption
    shown = matplotlib.image.imread(picture.path)
    assert shown.std() > 0.05


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("figure2", "MDQN"),
        ("figure3", "MCDQN"),
        ("figure5", "AMN-feature"),
        ("figure6", "AMN"),
        ("figure7", "transfer"),
    ],
)
def test_a_figure_without_its_runs_is_not_drawn_and_an_earlier_one_goes(
    name: str, missing: str, tmp_path: Path
):
    for suffix in ("png", "csv"):
        (tmp_path / f"{name}.{suffix}").write_text("of an earlier report")
    kinds = ["expert"] if missing == "AMN" else ["AMN", "expert"]
    pictures, rows = drawn(tmp_path, name, *(r for k in kinds for r in runs_of(tmp_path, k)))
    assert pictures == rows == []
    assert not (tmp_path / f"{name}.png").exists()


def test_one_network_is_said_to_be_one_and_has_no_band(tmp_path: Path):
    (picture,), rows = drawn(
        tmp_path, "figure1", *runs_of(tmp_path, "AMN"), *runs_of(tmp_path, "expert")
    )
    assert " One network each. Experts" in picture.caption
    assert all(row["low"] == row["mean"] == row["high"] for row in rows if row["agent_steps"])


def test_bars_are_table_1_s_percentages_with_whiskers_over_networks(tmp_path: Path):
    runs = [*runs_of(tmp_path, "AMN", 2), *runs_of(tmp_path, "expert")]
    (picture,), rows = drawn(tmp_path, "figure6", *runs)
    breakout = next(row for row in rows if row["game"] == "breakout")
    # Last ten test epochs: 7.25 and 8.25 of the expert's 14.5; the best: 9.5 and 10.5 of 19.
    assert float(breakout["mean_percent"]) == pytest.approx(100 * 7.75 / 14.5)
    assert float(breakout["mean_percent_low"]) == pytest.approx(50.0)
    assert float(breakout["mean_percent_high"]) == pytest.approx(100 * 8.25 / 14.5)
    assert float(breakout["max_percent"]) == pytest.approx(100 * 10 / 19)
    assert (breakout["paper_mean_percent"], breakout["paper_max_percent"]) == ("127.0", "97.98")
    assert "whiskers: 95% bootstrap interval" in picture.caption
    assert "shaded" not in picture.caption


def test_a_figure_stands_clear_of_the_line_at_a_hundred(tmp_path: Path):
    """Of a bar that ends just before the line, the figure is as readable as of any other."""
    dark = {}
    for value in (97.0, 60.0):
        path = tmp_path / f"{value}.png"
        bars = [Bars("", {"ours": [value, 160.0]})]
        draw_bars(path, ["pong", "boxing"], bars, x_label="", reference=100)
        rows = matplotlib.image.imread(path)[..., :3].max(axis=2) < 0.5
        # The dashed line is the column with the most dark pixels; across the first bar's figure
        # it is hidden where the figure stands on it.
        column = int(rows.sum(axis=0).argmax())
        upper = rows[: rows.shape[0] // 2, column - 1 : column + 2]
        dark[value] = int(upper.sum())
    assert dark[97.0] < dark[60.0]


def test_transfer_curves_say_how_many_networks_each_start_has(tmp_path: Path):
    runs = [
        made(tmp_path, "transfer", "krull", range(n, 20 + n), f"r{n}", source="random")
        for n in range(3)
    ]
    amn = made(tmp_path, "actor_mimic", "pong", [0], "amn")
    runs.append(made(tmp_path, "transfer", "krull", range(20), "p", source=str(amn.folder)))
    (picture,), rows = drawn(tmp_path, "figure7", amn, *runs)
    assert {row["network"] for row in rows} == {"Random", "AMN-policy"}
    assert "Random over 3 networks, AMN-policy over 1 network;" in picture.caption
    first = next(row for row in rows if row["network"] == "Random")
    assert float(first["mean"]) == 1.0
    assert 0 <= float(first["low"]) < 1.0 < float(first["high"]) <= 2.0
