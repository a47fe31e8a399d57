"""The paper's figures 1 to 7 from runs, each as PNG and as the CSV of what it shows.

Figures 1 to 5 are learning curves by game with the experts' mean and max as lines, figure 6 is
Table 1's percentages as bars, figure 7 the learning curves behind Table 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actormimic.aggregates import bootstrap_interval
from actormimic.pages import Picture, csv_text
from actormimic.paper_scores import (
    by_kind,
    expert_networks,
    network_score,
    still_training,
    transfers,
    young_experts,
)
from actormimic.paper_tables import amn_runs, table1_scores
from actormimic.plots import Band, Bars, Panel, draw_bars, draw_panels
from actormimic.published import TABLE1_PERCENT, TABLE2, TABLE2_AGENT_STEPS
from actormimic.records import EpochScore, Group

_EVERY_FIGURE = tuple(f"figure{number}" for number in range(1, 8))


@dataclass(frozen=True)
class _CurveFigure:
    """What figures 1 to 5 differ in."""

    networks: tuple[tuple[str, str], ...]
    """Kinds of networks, each with its label."""
    about: str


_CURVES = {
    "figure1": _CurveFigure(
        (("AMN", "AMN"), ("DQN", "DQN")), "Actor-Mimic network and expert DQNs"
    ),
    "figure2": _CurveFigure(
        (("AMN", "AMN"), ("DQN", "DQN"), ("MDQN", "MDQN")),
        "Actor-Mimic network, expert DQNs and the Multitask DQN",
    ),
    "figure3": _CurveFigure(
        (("AMN", "AMN"), ("DQN", "DQN"), ("MCDQN", "MCDQN")),
        "Actor-Mimic network, expert DQNs and the Multitask Convolutions DQN",
    ),
    "figure4": _CurveFigure(
        (("AMN", "AMN-policy"),), "the network trained with the policy regression objective alone"
    ),
    "figure5": _CurveFigure(
        (("AMN-feature", "AMN-feature"),),
        "the network trained with both the feature and the policy regression objective",
    ),
}
# What a figure is about; it is not drawn where no run has it.
_NEEDED = {"figure1": "AMN", "figure2": "MDQN", "figure3": "MCDQN", "figure4": "AMN"}
_NEEDED["figure5"] = "AMN-feature"


def draw_paper(group: Group, out: Path, prefix: str = "") -> list[Picture]:
    """Draw those of the paper's figures that the group shows, or all that its runs have.

    Writes ``<prefix>figure1.png`` and ``.csv`` and so on to ``out``.
    """
    pictures = []
    for name in group.shows or _EVERY_FIGURE:
        if name not in _EVERY_FIGURE:
            continue
        if not group.shows and name == "figure4":
            continue  # the same curves as figure 1: which of the two they are is the pipeline's say
        path = out / f"{prefix}{name}.png"
        if name == "figure6":
            caption = _bars(group, path)
        elif name == "figure7":
            caption = _transfer_curves(group, path)
        else:
            caption = _training_curves(group, name, path)
        if caption:
            pictures.append(Picture(path, f"Figure {name[-1]}: {caption}"))
        else:  # an earlier report's plot must not outlive what it showed
            path.unlink(missing_ok=True)
            path.with_suffix(".csv").unlink(missing_ok=True)
    return pictures


def _training_curves(group: Group, name: str, path: Path) -> str:
    figure = _CURVES[name]
    kinds = by_kind(group)
    needed = kinds.get(_NEEDED[name], [])
    games = list(dict.fromkeys(game for run in needed for game in run.games))
    panels = []
    counts: dict[str, int] = {}
    length = max((run.config["training"]["agent_steps"] for run in needed), default=0)
    for game in games:
        bands = []
        for kind, label in figure.networks:
            if kind == "DQN":
                networks = expert_networks(group, game)
                networks = [epochs for epochs in networks if epochs[-1].agent_steps > 0]
            else:
                networks = [run.test_epochs(game) for run in kinds.get(kind, [])]
            # The experts' training is longer than what is compared with it.
            cut = [[e for e in epochs if e.agent_steps <= 1.01 * length] for epochs in networks]
            if band := _band(label, cut):
                bands.append(band)
                counts[label] = max(counts.get(label, 0), sum(1 for epochs in cut if epochs))
        lines = {}
        if expert := network_score(expert_networks(group, game)):
            lines = {"DQN mean": expert.mean, "DQN max": expert.highest}
        if any(band.label != "DQN" for band in bands):
            panels.append(Panel(game, bands, lines))
    if not panels:
        return ""
    epoch = needed[0].config["evaluation"]["every_agent_steps"]
    draw_panels(
        path,
        panels,
        x_label=f"training epoch ({epoch:,} agent_steps per game)",
        y_label="average reward per episode",
        x_unit=epoch,
    )
    _write_csv(path, panels)
    return (
        f"{figure.about}: test reward after each training epoch, with the mean (last ten test "
        f"epochs) and the max of the experts. {_networks(counts)}"
        + young_experts(group, games)
        + still_training([run for name, _ in figure.networks for run in kinds.get(name, [])])
    )


def _transfer_curves(group: Group, path: Path) -> str:
    panels = []
    counts: dict[str, int] = {}
    for game, of_game in transfers(group).items():
        bands = []
        for name, runs in of_game.items():
            tested = [run.test_epochs(game) for run in runs]
            if band := _band(name, tested):
                bands.append(band)
                counts[name] = max(counts.get(name, 0), sum(1 for epochs in tested if epochs))
        if not bands:
            continue
        longest = max(band.x[-1] for band in bands)
        if game in TABLE2 and longest >= TABLE2_AGENT_STEPS:
            steps = [float(TABLE2_AGENT_STEPS * (number + 1)) for number in range(10)]
            for name, values in TABLE2[game].items():
                bands.append(Band(f"{name} (paper)", steps, list(values), of=name))
        panels.append(Panel(game, bands, {}))
    if not panels:
        return ""
    draw_panels(path, panels, x_label="agent_steps", y_label="average reward per episode")
    _write_csv(path, panels)
    return (
        f"learning curves of the DQNs of Table 2 by what they started from. {_networks(counts)}"
        + still_training([run for run in group.runs if run.task == "transfer"])
    )


def _bars(group: Group, path: Path) -> str:
    shares: dict[str, list[_Share]] = {}
    for game, (expert, student) in table1_scores(group).items():
        if expert is not None and expert.mean > 0 and expert.highest > 0:
            shares[game] = [
                _share(student.means, expert.mean),
                _share(student.maxima, expert.highest),
            ]
    games = list(shares)
    if not games:
        return ""
    panels = []
    for side, what in enumerate(("mean", "max")):
        series: dict[str, list[float | None]] = {"ours": [shares[g][side].value for g in games]}
        published = [TABLE1_PERCENT[g][side] if g in TABLE1_PERCENT else None for g in games]
        if any(value is not None for value in published):
            series["paper"] = published
        intervals = {"ours": [shares[game][side].interval for game in games]}
        panels.append(Bars(f"relative {what} reward", series, intervals))
    draw_bars(path, games, panels, x_label="100% x AMN / DQN", reference=100)
    rows = [
        [
            game,
            *(
                part
                for share in shares[game]
                for part in (share.value, *(share.interval or [None] * 2))
            ),
            *TABLE1_PERCENT.get(game, (None, None)),
        ]
        for game in games
    ]
    header = ["game"]
    for what in ("mean_percent", "max_percent"):
        header += [what, f"{what}_low", f"{what}_high"]
    header += ["paper_mean_percent", "paper_max_percent"]
    path.with_suffix(".csv").write_text(csv_text(header, rows), encoding="utf-8")
    return (
        "mean (left) and max (right) reward of the Actor-Mimic network in percent of the expert's, "
        f"as in Table 1. {_networks({'AMN': len(amn_runs(group))}, 'whiskers')}"
        + young_experts(group, games)
        + still_training(amn_runs(group))
    )


@dataclass(frozen=True)
class _Share:
    """A bar of figure 6: percent of the expert, and its interval over networks."""

    value: float
    interval: tuple[float, float] | None


def _share(student: Sequence[float], expert: float) -> _Share:
    shares = [100 * value / expert for value in student]
    return _Share(sum(shares) / len(shares), bootstrap_interval([shares]))


def _band(label: str, networks: Sequence[Sequence[EpochScore]]) -> Band | None:
    """Mean over networks at each test epoch that all of them have, with its interval."""
    tested = [epochs for epochs in networks if epochs]
    if not tested:
        return None
    count = min(len(epochs) for epochs in tested)
    steps, means, lows, highs = [], [], [], []
    for number in range(count):
        values = [epochs[number].mean for epochs in tested]
        interval = bootstrap_interval([values], repeats=500) if len(values) > 1 else None
        steps.append(float(tested[0][number].agent_steps))
        means.append(sum(values) / len(values))
        lows.append(interval[0] if interval else means[-1])
        highs.append(interval[1] if interval else means[-1])
    spread = (lows, highs) if len(tested) > 1 else None
    return Band(label, steps, means, spread)


def _networks(counts: Mapping[str, int], drawn: str = "shaded") -> str:
    """How many networks each curve or bar averages, and how their interval is drawn, if it is."""
    if all(count < 2 for count in counts.values()):
        return "One network each." if len(counts) > 1 else "One network."
    averaged = ", ".join(
        f"{name} over {count} network{'s' if count > 1 else ''}" for name, count in counts.items()
    )
    return f"Averaged: {averaged}; {drawn}: 95% bootstrap interval over several networks."


def _write_csv(path: Path, panels: Sequence[Panel]) -> None:
    rows: list[list[object]] = []
    for panel in panels:
        for band in panel.bands:
            low, high = band.spread or (band.y, band.y)
            for point in zip(band.x, band.y, low, high, strict=True):
                rows.append([panel.game, band.label, int(point[0]), *point[1:]])
        rows += [
            [panel.game, label, None, value, None, None] for label, value in panel.lines.items()
        ]
    header = ["game", "network", "agent_steps", "mean", "low", "high"]
    path.with_suffix(".csv").write_text(csv_text(header, rows), encoding="utf-8")
