"""How a report's figures are drawn, as PNG: curves by game, losses, bars.

Drawn without pyplot: no global state, no display, any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

# Okabe and Ito's palette, which color-blind readers can tell apart; black is kept for the lines
# that are no run's own: experts and random play.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_EXPERT, _RANDOM, _GRID = "#222222", "#8a8a8a", "#e4e4e4"
DPI = 130


@dataclass(frozen=True)
class Curves:
    """What one run logged."""

    label: str
    metrics: list[dict[str, Any]]
    """The lines of ``metrics.jsonl``."""
    experts: dict[str, float] = field(default_factory=dict)
    """Game -> the expert's mean return."""
    random: dict[str, float] = field(default_factory=dict)
    """Game -> random play's mean return."""
    order: tuple[str, ...] = ()
    """The run's games, in the order in which it has them."""

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """agent_steps and values of one metric, unlogged and non-finite values left out."""
        points = [
            (line["agent_steps"], line[name]) for line in self.metrics if line.get(name) is not None
        ]
        return [x for x, _ in points], [y for _, y in points]

    def games(self) -> list[str]:
        """The games with training or test returns: as in ``order``, then as they appear."""
        names = [name for line in self.metrics for name in line]
        found = dict.fromkeys(
            n.rpartition("/")[2] for n in names if n.split("/")[1:2] == ["return"]
        )
        ordered = [game for game in self.order if game in found]
        return ordered + [game for game in found if game not in ordered]


def draw_returns(path: Path, runs: Sequence[Curves], *, one_length: bool = True) -> bool:
    """Training and test returns of each game against agent_steps; False where there are none.

    ``one_length``: all panels have the same x axis, from 0 to the longest run's end.
    """
    games = list(dict.fromkeys(game for run in runs for game in run.games()))
    if not games:
        return False
    figure, panels = panels_of(len(games))
    for game, axes in zip(games, panels, strict=True):
        axes.set_title(title(game))
        several = len(runs) > 1
        for color, run in zip(_cycle(len(runs)), runs, strict=True):
            train = run.series(f"train/return/{game}")
            test = run.series(f"test/return/{game}")
            name = f"{run.label}: " if several else ""
            axes.plot(*train, color=color, alpha=0.4, linewidth=1.2, label=f"{name}training")
            _plot_test(axes, run, game, test, color, f"{name}test")
        _reference_line(axes, [run.experts.get(game) for run in runs], "expert", _EXPERT, "--")
        _reference_line(axes, [run.random.get(game) for run in runs], "random", _RANDOM, ":")
        axes.set_ylabel("return (raw reward per episode)")
        axes.set_xlim(left=0)
    if one_length:
        ends = [line["agent_steps"] for run in runs for line in run.metrics]
        for axes in panels:
            axes.set_xlim(right=1.03 * max(1, *ends))  # room for the last point
    _finish(figure, panels, path)
    return True


def draw_losses(path: Path, runs: Sequence[Curves]) -> bool:
    """Each logged loss against agent_steps; False where there are none."""
    names = {
        "update/loss": "Loss",
        "update/policy_loss": "Policy loss",
        "update/feature_loss": "Feature loss",
        "test/divergence": "Divergence from the experts in test epochs (nats)",
    }
    logged = [name for name in names if any(run.series(name)[0] for run in runs)]
    if not logged:
        return False
    figure, panels = panels_of(len(logged))
    for name, axes in zip(logged, panels, strict=True):
        axes.set_title(names[name])
        for color, run in zip(_cycle(len(runs)), runs, strict=True):
            axes.plot(*run.series(name), color=color, linewidth=1.4, label=run.label)
        axes.set_ylabel(names[name].lower())
    _finish(figure, panels, path, legend=len(runs) > 1)
    return True


def draw_shares(path: Path, labels: Sequence[str], shares: Sequence[dict[str, float]]) -> bool:
    """Bars: how far from random play (0) to its expert (100) each run came on each game.

    ``shares`` holds game -> percent for each of ``labels``. False where there are none.
    """
    games = list(dict.fromkeys(game for share in shares for game in share))
    if not games:
        return False
    figure = Figure(figsize=(7.5, 1.3 + 0.5 * len(games) * max(1.0, 0.5 * len(labels))))
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    _style(axes)
    axes.grid(visible=False, axis="y")
    _bars(
        axes,
        games,
        Bars(
            "",
            {
                label: [share.get(game) for game in games]
                for label, share in zip(labels, shares, strict=True)
            },
        ),
    )
    axes.axvline(100, color=_EXPERT, linestyle="--", linewidth=1.2)
    axes.axvline(0, color=_RANDOM, linewidth=1.2)
    axes.set_xlabel("percent of the way from random play (0) to the expert (100)")
    if len(labels) > 1:
        add_legend(figure, [axes])
    figure.savefig(path, dpi=DPI)
    return True


@dataclass(frozen=True)
class Band:
    """A curve with what it may vary by."""

    label: str
    x: list[float]
    y: list[float]
    spread: tuple[list[float], list[float]] | None = None
    """Lower and upper ends at each point."""
    of: str = ""
    """The label of another curve, whose color it takes; it is then dashed: the same, published."""


@dataclass(frozen=True)
class Panel:
    """Curves in one game."""

    game: str
    bands: list[Band]
    lines: dict[str, float]
    """Label -> level of a horizontal line."""


@dataclass(frozen=True)
class Bars:
    """One panel of bars."""

    heading: str
    series: dict[str, list[float | None]]
    """Label -> value for each game; None for no bar."""
    intervals: dict[str, list[tuple[float, float] | None]] = field(default_factory=dict)
    """Label -> whisker for each game; None, or no list, for none."""


def draw_panels(
    path: Path, panels: Sequence[Panel], *, x_label: str, y_label: str, x_unit: float = 1.0
) -> None:
    """Curves by game, one panel each; ``x_unit`` is what 1 on the x axis stands for."""
    labels = dict.fromkeys(band.of or band.label for panel in panels for band in panel.bands)
    colors = dict(zip(labels, _cycle(len(labels)), strict=True))
    figure, axes_of = panels_of(len(panels))
    for panel, axes in zip(panels, axes_of, strict=True):
        axes.set_title(title(panel.game))
        for band in panel.bands:
            color = colors[band.of or band.label]
            style, marker = ("--", "") if band.of else ("-", "o")
            x = [value / x_unit for value in band.x]
            axes.plot(
                *(x, band.y),
                color=color,
                linestyle=style,
                marker=marker,
                markersize=3,
                linewidth=1.6,
                label=band.label,
            )
            if band.spread:
                axes.fill_between(x, *band.spread, color=color, alpha=0.18, linewidth=0)
        for (label, level), style in zip(panel.lines.items(), ("--", ":"), strict=False):
            axes.axhline(level, color=_EXPERT, linestyle=style, linewidth=1.2, label=label)
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        place = axes.get_subplotspec()
        if place is not None and place.is_first_col():
            axes.set_ylabel(y_label)
    _finish(figure, axes_of, path, x_label=x_label)


def draw_bars(
    path: Path, games: Sequence[str], panels: Sequence[Bars], *, x_label: str, reference: float
) -> None:
    """Horizontal bars by game, panel beside panel, with a line at ``reference``."""
    count = max(len(panel.series) for panel in panels)
    figure = Figure(figsize=(5.2 * len(panels), 1.5 + 0.3 * len(games) * max(2, count)))
    figure.set_layout_engine("constrained")
    axes_of = [figure.add_subplot(1, len(panels), n + 1) for n in range(len(panels))]
    for panel, axes in zip(panels, axes_of, strict=True):
        _style(axes)
        axes.grid(visible=False, axis="y")
        _bars(axes, games, panel)
        axes.axvline(reference, color=_EXPERT, linestyle="--", linewidth=1.2)
        axes.set_title(panel.heading)
        axes.set_xlabel(x_label)
    add_legend(figure, axes_of)
    figure.savefig(path, dpi=DPI)


def _bars(axes: Axes, games: Sequence[str], panel: Bars) -> None:
    """Bars of each series side by side, each with its percentage behind bar and whisker."""
    height = 0.8 / len(panel.series)
    for number, (color, (label, given)) in enumerate(
        zip(_cycle(len(panel.series)), panel.series.items(), strict=True)
    ):
        places = [index + (number + 0.5) * height - 0.4 for index, _ in enumerate(games)]
        values = [math.nan if value is None else value for value in given]
        axes.barh(places, values, height=0.92 * height, color=color, label=label)
        whiskers = panel.intervals.get(label) or [None] * len(games)
        for place, value, whisker in zip(places, values, whiskers, strict=True):
            if math.isnan(value):
                continue
            ends = whisker or (value, value)
            if whisker:
                axes.plot(whisker, [place, place], color=_EXPERT, linewidth=1.2)
            left = value < 0
            axes.annotate(
                f"{value:.0f}%",
                (min(value, *ends) if left else max(value, *ends), place),
                xytext=(-4 if left else 4, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=9,
                # The line at 100 passes behind the figures instead of through them.
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 2.0},
                zorder=4,
            )
    axes.set_yticks(range(len(games)), [title(game) for game in games])
    axes.set_ylim(len(games) - 0.5, -0.5)
    # Annotations do not count for the limits: the longest needs room.
    axes.margins(x=0.18)


def title(game: str) -> str:
    """A game's name as a heading: ``space_invaders`` -> ``Space Invaders``."""
    return game.replace("_", " ").title()


def panels_of(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` empty panels in the project's style."""
    columns = min(count, 3 if count not in (2, 4) else 2)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(max(6.4, 4.3 * columns), 3.1 * rows + 0.6))
    figure.set_layout_engine("constrained")
    panels = [figure.add_subplot(rows, columns, index + 1) for index in range(count)]
    for axes in panels:
        _style(axes)
    return figure, panels


def _style(axes: Axes) -> None:
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.tick_params(color="#999999", labelsize=9)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    axes.title.set_fontsize(11)


def _plot_test(
    axes: Axes,
    run: Curves,
    game: str,
    test: tuple[list[int], list[float]],
    color: str,
    label: str,
) -> None:
    steps, means = test
    if not steps:
        return
    axes.plot(steps, means, color=color, linewidth=2, marker="o", markersize=4, label=label)
    deviations = dict(zip(*run.series(f"test/return_std/{game}"), strict=True))
    spread = [deviations.get(step, 0.0) for step in steps]
    low = [mean - std for mean, std in zip(means, spread, strict=True)]
    high = [mean + std for mean, std in zip(means, spread, strict=True)]
    if len(steps) == 1:  # no area between one point and itself
        axes.vlines(steps, low, high, color=color, alpha=0.4, linewidth=2)
    axes.fill_between(steps, low, high, color=color, alpha=0.12, linewidth=0)


def _reference_line(
    axes: Axes, values: Iterable[float | None], label: str, color: str, style: str
) -> None:
    for value in dict.fromkeys(value for value in values if value is not None):
        axes.axhline(value, color=color, linestyle=style, linewidth=1.2, label=label)


def _finish(
    figure: Figure,
    panels: list[Axes],
    path: Path,
    *,
    legend: bool = True,
    x_label: str = "agent_steps per game",
) -> None:
    for axes in panels:
        # There is no epoch 2.5 and no half agent step.
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel(x_label)
    if legend:
        add_legend(figure, panels)
    figure.savefig(path, dpi=DPI)


def add_legend(figure: Figure, panels: list[Axes]) -> None:
    """One legend under the figure for the labels of all its panels, each once."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=min(5, len(entries)),
            frameon=False,
            fontsize=9,
        )


def _cycle(count: int) -> list[str]:
    return [COLORS[index % len(COLORS)] for index in range(count)]
