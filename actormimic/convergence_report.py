"""The page of ``task: convergence``: its table and what its measurements look like.

Everything is drawn from the run's ``metrics.jsonl`` and ``results.json``.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actormimic.metrics import duration
from actormimic.pages import (
    Picture,
    Section,
    csv_text,
    document,
    folded,
    markdown,
    picture_html,
    section_html,
)
from actormimic.plots import COLORS, DPI, add_legend, panels_of
from actormimic.run_files import CONFIG_NAME, METRICS_NAME, REPORT_NAME, RESULTS_NAME

Lines = list[dict[str, Any]]

_DRAWN = {"iteration", "rate", "contraction", "feedback"}
_DRAWN |= {"argmax", "descent", "growth", "horizon"}

_GRAY = "#555555"


def write_convergence_report(folder: Path, out: Path | None = None) -> Path:
    """Write plots, tables and page of the run in ``folder`` to ``out``; returns the page.

    Without ``out`` they lie with the run.

    Raises:
        ValueError: the run is not complete, or its files are damaged.
        OSError: ``out`` cannot be written.
    """
    if not (folder / RESULTS_NAME).is_file():
        raise ValueError(f"{folder} holds no complete run; allowed: one with a results.json")
    try:
        results = json.loads((folder / RESULTS_NAME).read_text("utf-8"))
        text = (folder / METRICS_NAME).read_text("utf-8")
        lines: Lines = [json.loads(line) for line in text.splitlines()]
        by_name = _groups(lines, "experiment")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}: metrics.jsonl or results.json is damaged") from error
    if missing := _DRAWN - set(by_name):
        raise ValueError(f"{folder}: metrics.jsonl is damaged: it lacks {sorted(missing)[0]}")
    out = out or folder / REPORT_NAME
    out.mkdir(parents=True, exist_ok=True)
    for name, measured in by_name.items():
        columns = [column for column in measured[0] if column != "experiment"]
        cells = [[line[column] for column in columns] for line in measured]
        path = out / f"{name.replace(' ', '_')}.csv"
        path.write_text(csv_text(columns, cells), encoding="utf-8")
    for name, (draw, _) in _PLOTS.items():
        draw(by_name).savefig(out / name, dpi=DPI)
    found = Section(
        "What was found",
        results["caption"],
        ["claim", "in the paper", "computed here"],
        [[row["claim"], row["source"], row["found"]] for row in results["rows"]],
    )
    (out / "table.md").write_text(markdown([found]), encoding="utf-8")
    title = "Convergence of Actor-Mimic in the linear case"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>Section 4 and appendix A; {duration(results['seconds'])} of running time.</p>",
        section_html(found),
        *(picture_html(Picture(out / name, caption)) for name, (_, caption) in _PLOTS.items()),
        folded("Settings", (folder / CONFIG_NAME).read_text("utf-8")),
    ]
    (out / "index.html").write_text(document(title, body), encoding="utf-8")
    return out / "index.html"


def _groups(lines: Iterable[dict[str, Any]], key: str) -> dict[Any, Lines]:
    groups: dict[Any, Lines] = {}
    for line in lines:
        groups.setdefault(line[key], []).append(line)
    return groups


def _column(lines: Lines, name: str) -> list[Any]:
    return [line[name] for line in lines]


def _draw_fixed_points(by_name: dict[str, Lines]) -> Figure:
    processes = _groups(by_name["iteration"], "process")
    predicted = {line["process"]: line["predicted"] for line in by_name["rate"]}
    figure, panels = panels_of(len(processes))
    for (number, lines), axes in zip(processes.items(), panels, strict=True):
        for path in _groups(lines, "start").values():
            shown = [line for line in path if line["distance"] > 0]
            axes.semilogy(
                _column(shown, "iteration"),
                _column(shown, "distance"),
                color=COLORS[0],
                alpha=0.4,
                linewidth=1,
                label="one start",
            )
        first = max(line["distance"] for line in lines if line["iteration"] == 1)
        steps = range(1, 1 + max(_column(lines, "iteration")))
        slope = [first * predicted[number] ** (step - 1) for step in steps]
        axes.semilogy(
            steps, slope, color=_GRAY, linestyle="--", label="slope of the spectral radius"
        )
        axes.set_ylim(1e-13, 10)
        axes.set_title(f"Process {number}")
        axes.set_xlabel("iteration")
        axes.set_ylabel("distance from the limit")
    add_legend(figure, panels)
    return figure


def _draw_contraction(by_name: dict[str, Lines]) -> Figure:
    processes = _groups(by_name["contraction"], "process")
    figure, panels = panels_of(len(processes))
    for (number, lines), axes in zip(processes.items(), panels, strict=True):
        decays = _column(lines, "decay")
        axes.loglog(
            decays, _column(lines, "measured"), color=COLORS[0], marker="o", markersize=3,
            label="measured, a lower bound",
        )  # fmt: skip
        axes.loglog(
            decays, _column(lines, "convex"), color=COLORS[1], linestyle="--",
            label="proof, convexity used",
        )  # fmt: skip
        printed = [line for line in lines if line["printed"] is not None]
        axes.loglog(
            _column(printed, "decay"), _column(printed, "printed"), color=COLORS[2],
            linestyle=":", label="proof as printed",
        )  # fmt: skip
        broken = [line for line in lines if line["settled"] < 1 or line["limits"] > 1]
        axes.loglog(
            _column(broken, "decay"), _column(broken, "measured"), color=COLORS[1], marker="x",
            linestyle="none", markersize=8, label="several limits, or none",
        )  # fmt: skip
        axes.axhline(1.0, color=_GRAY, linewidth=1)
        axes.set_title(f"Process {number}")
        axes.set_xlabel("$\\lambda$")
        axes.set_ylabel("factor of one iteration")
    add_legend(figure, panels)
    return figure


def _draw_feedback(by_name: dict[str, Lines]) -> Figure:
    signs = _groups(by_name["feedback"], "feedback")
    figure, panels = panels_of(len(signs))
    for (feedback, lines), axes in zip(signs.items(), panels, strict=True):
        for settled, color, label in (
            (True, COLORS[0], "fixed point"),
            (False, COLORS[1], "still moving (its last two policies)"),
        ):
            shown = [line for line in lines if line["settled"] == settled]
            axes.semilogx(
                _column(shown, "decay"), _column(shown, "probability"), color=color,
                marker="o", markersize=3, linestyle="none", label=label,
            )  # fmt: skip
        axes.set_ylim(0, 1)
        axes.set_title(_habit(feedback))
        axes.set_xlabel("$\\lambda$")
        axes.set_ylabel("probability of action 0")
    add_legend(figure, panels)
    return figure


def _draw_argmax(by_name: dict[str, Lines]) -> Figure:
    cases = {
        (operator, feedback): chosen
        for operator, lines in _groups(by_name["argmax"], "operator").items()
        for feedback, chosen in _groups(lines, "feedback").items()
    }
    figure, panels = panels_of(len(cases))
    for ((operator, feedback), lines), axes in zip(cases.items(), panels, strict=True):
        color = COLORS[1] if operator == "argmax" else COLORS[0]
        for path in _groups(lines, "start").values():
            axes.plot(
                _column(path, "iteration"), _column(path, "probability"), color=color, alpha=0.4,
                linewidth=1, label=f"epsilon-{operator}, one start",
            )  # fmt: skip
        axes.set_ylim(0, 1)
        axes.set_title(f"{operator}: {_habit(feedback).lower()}")
        axes.set_xlabel("iteration")
        axes.set_ylabel("probability of action 0")
    add_legend(figure, panels)
    return figure


def _habit(feedback: float) -> str:
    return "Habits confirm themselves" if feedback > 0 else "Habits undermine themselves"


def _draw_descent(by_name: dict[str, Lines]) -> Figure:
    figure, (axes,) = panels_of(1)
    for number, (process, lines) in enumerate(_groups(by_name["descent"], "process").items()):
        axes.loglog(
            _column(lines, "updates"), _column(lines, "error"),
            color=COLORS[number % len(COLORS)], label=f"process {process}",
        )  # fmt: skip
    updates = _column(by_name["descent"], "updates")
    last = [line["error"] for line in by_name["descent"] if line["updates"] == max(updates)]
    level = max(last) * max(updates) ** 0.5
    _power_law(axes, sorted(set(updates)), -0.5, level, "$t^{-1/2}$")
    axes.set_xlabel("updates t from single states")
    axes.set_ylabel("distance from $\\theta^*$")
    add_legend(figure, [axes])
    return figure


def _draw_horizon(by_name: dict[str, Lines]) -> Figure:
    figure, (axes,) = panels_of(1)
    fits = {line["expert_share"]: line for line in by_name["growth"]}
    for number, (share, lines) in enumerate(_groups(by_name["horizon"], "expert_share").items()):
        color = COLORS[number % len(COLORS)]
        who = {0.0: "student acts", 1.0: "expert acts"}.get(share, f"mixture, {share:g} expert")
        horizons = _column(lines, "horizon")
        axes.loglog(
            horizons, _column(lines, "cost"), color=color, marker="o", linestyle="none", label=who
        )
        fit = fits[share]
        _power_law(
            axes, horizons, fit["exponent"], fit["factor"], f"fit: $T^{{{fit['exponent']:.2f}}}$",
            color,
        )  # fmt: skip
        if share == 0:
            axes.loglog(
                horizons, _column(lines, "bound"), color=color, linestyle=":",
                label="bound of proposition 1, student acts",
            )  # fmt: skip
    axes.set_xlabel("horizon T (decisions)")
    axes.set_ylabel("expected cost of an episode")
    add_legend(figure, [axes])
    return figure


def _power_law(
    axes: Axes, x: list[int], exponent: float, factor: float, label: str, color: str = _GRAY
) -> None:
    y = [factor * value**exponent for value in x]
    axes.loglog(x, y, color=color, linestyle="--", linewidth=1.2, label=label)


_PLOTS: dict[str, tuple[Callable[[dict[str, Lines]], Figure], str]] = {
    "fixed_points.png": (
        _draw_fixed_points,
        "Theorem 1: from many starts the iteration comes to one fixed point, at the rate that the "
        "derivative at the fixed point predicts",
    ),
    "contraction.png": (
        _draw_contraction,
        "The largest norm of the iteration's derivative that was found over many policies while "
        "lambda sweeps: from 1 on the iteration is no contraction, below 1 no expansion was found; "
        "the constants of the proof bound it from above",
    ),
    "feedback.png": (
        _draw_feedback,
        "Three states that the student cannot tell apart: where the iteration ends as lambda falls "
        "past the point where the contraction is lost",
    ),
    "argmax.png": (
        _draw_argmax,
        "The same example under the epsilon-greedy argmax, which is not Lipschitz continuous: no "
        "fixed point, or several, at a lambda where the epsilon-softmax has one",
    ),
    "descent.png": (
        _draw_descent,
        "Lemma 1: eq. 8 from single states under a fixed policy, learning rate 1/(lambda (t + t0))",
    ),
    "horizon.png": (
        _draw_horizon,
        "Proposition 1: the cost of a student over the horizon, by who acted while it learned",
    ),
}
