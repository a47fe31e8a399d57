"""``python -m actormimic.report RUN_DIR [RUN_DIR ...]``: what runs came to, as tables and plots.

Reads ``config.yaml``, ``metrics.jsonl`` and ``results.json`` of each run folder and writes a page
that needs no other file (``index.html``), the tables alone (``table.md``, ``table.csv``) and the
plots (``returns.png``, ``loss.png``, ``shares.png``). A run that is still going has curves only.
"""

from __future__ import annotations

import csv
import html
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actormimic.config_files import read_config
from actormimic.convergence_report import write_convergence_report
from actormimic.games import REFERENCE_SCORES, human_normalized
from actormimic.metrics import duration, read_metrics
from actormimic.pages import document, folded, picture, section
from actormimic.plots import Curves, draw_losses, draw_returns, draw_shares

USAGE = "usage: python -m actormimic.report RUN_DIR [RUN_DIR ...] [--out FOLDER]"
_PLOTS = {
    "shares.png": "How far each network came from random play to its experts",
    "returns.png": "Returns while training (light) and in the test epochs (strong, ± one "
    "standard deviation over episodes)",
    "loss.png": "Loss of the updates",
}


@dataclass(frozen=True)
class Run:
    """A run folder as read."""

    label: str
    folder: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    results: dict[str, Any] | None
    """``results.json``; None while the run is going."""

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the results, one for each game."""
        rows: list[dict[str, Any]] = self.results["rows"] if self.results else []
        return rows

    def curves(self) -> Curves:
        """What the plots draw of it."""
        means = {
            who: {row["game"]: row[who]["mean"] for row in self.rows() if row.get(who)}
            for who in ("expert", "random")
        }
        return Curves(self.label, self.metrics, means["expert"], means["random"])


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in ``folders``; each is labeled by its name, or by its path where names coincide.

    Raises:
        ValueError: a folder holds no run, or one of its files is damaged.
    """
    runs = []
    names = [folder.resolve().name for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        if not (folder / "config.yaml").is_file():
            raise ValueError(f"{folder} holds no run; allowed: a folder with a config.yaml")
        config = read_config(folder / "config.yaml")
        results = folder / "results.json"
        try:
            metrics = list(read_metrics(folder / "metrics.jsonl"))
            read = json.loads(results.read_text("utf-8")) if results.exists() else None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{folder}: metrics.jsonl or results.json is damaged") from error
        label = name if names.count(name) == 1 else str(folder)
        runs.append(Run(label, folder, config, metrics, read))
    return runs


def table(results: dict[str, Any]) -> str:
    """``results.json`` as the aligned text that a run prints at its end."""
    header, rows = _cells(results)
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [header, *rows]
    ]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join([results["caption"], *lines])


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of the runs in ``folders`` to the folder ``out``; returns its page.

    Without ``out`` one run's report lies with it, and that of several in ``./report``.

    Raises:
        ValueError: a folder holds no run, or a damaged one.
        OSError: ``out`` cannot be written.
    """
    if any(_is_convergence(folder) for folder in folders):
        if len(folders) > 1:
            raise ValueError("a run of task convergence has a page of its own; allowed: it alone")
        return write_convergence_report(folders[0], out)
    runs = read_runs(folders)
    out = out or (folders[0] / "report" if len(folders) == 1 else Path("report"))
    out.mkdir(parents=True, exist_ok=True)
    curves = [run.curves() for run in runs]
    shares = [
        {row["game"]: row["percent"] for row in run.rows() if row.get("percent") is not None}
        for run in runs
    ]
    drawn = {
        "shares.png": draw_shares(out / "shares.png", [run.label for run in runs], shares),
        "returns.png": draw_returns(out / "returns.png", curves),
        "loss.png": draw_losses(out / "loss.png", curves),
    }
    for name, done in drawn.items():
        if not done:  # an earlier report's plot must not outlive what it showed
            (out / name).unlink(missing_ok=True)
    sections = _sections(runs)
    (out / "table.md").write_text(_markdown(sections), encoding="utf-8")
    (out / "table.csv").write_text(_csv(runs), encoding="utf-8")
    plots = {out / name: caption for name, caption in _PLOTS.items() if drawn[name]}
    (out / "index.html").write_text(_html(runs, sections, plots), encoding="utf-8")
    return out / "index.html"


def _is_convergence(folder: Path) -> bool:
    config = folder / "config.yaml"
    return config.is_file() and read_config(config).get("task") == "convergence"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(f"{USAGE}\n\n{__doc__}")
        return 0
    try:
        out = None
        if "--out" in words:
            at = words.index("--out")
            if at + 1 == len(words):
                raise ValueError(f"--out names no folder; {USAGE}")
            out = Path(words[at + 1]).expanduser()
            del words[at : at + 2]
        if unknown := [word for word in words if word.startswith("-")]:
            raise ValueError(f"option {unknown[0]} is unknown; {USAGE}")
        if not words:
            raise ValueError(f"RUN_DIR is missing; {USAGE}")
        folders = [Path(word).expanduser() for word in words]
        page = write_report(folders, out)
        runs = [] if any(map(_is_convergence, folders)) else read_runs(folders)
    except (ValueError, OSError) as error:
        print(f"actormimic.report: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for run in runs:
        done = run.metrics[-1]["agent_steps"] if run.metrics else 0
        print(table(run.results) if run.results else f"{run.label}: {done:,} agent_steps so far")
        print()
    print(page)
    return 0


Section = tuple[str, str, list[str], list[list[str]]]
"""Heading, caption, the header's cells and the rows' cells of one table."""


def _sections(runs: Sequence[Run]) -> list[Section]:
    sections: list[Section] = []
    if len(runs) > 1:
        sections.append(_side_by_side(runs))
    for run in runs:
        if run.results:
            sections.append((run.label, run.results["caption"], *_cells(run.results)))
            if paper := _beside_the_paper(run):
                sections.append(paper)
    return sections


def _cells(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the main table; columns that no game has a value for are left out."""
    trained = "student" if results["task"] == "actor_mimic" else "network"
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "game": lambda row: row["game"],
        "random": lambda row: _score(row.get("random")),
        "expert": lambda row: _score(row.get("expert")),
        trained: lambda row: _score(row.get("student")),
        "percent": lambda row: _number(row.get("percent"), ".1f", "%"),
        "agreement": lambda row: _number(row.get("agreement"), ".3f"),
        "cross-entropy": lambda row: _number(row.get("cross_entropy"), ".4f"),
        "its floor": lambda row: _number(row.get("floor"), ".4f"),
    }
    cells = {name: [cell(row) for row in results["rows"]] for name, cell in columns.items()}
    kept = [name for name in columns if any(cells[name])]
    rows = [[cells[name][i] or "-" for name in kept] for i in range(len(results["rows"]))]
    return kept, rows


def _side_by_side(runs: Sequence[Run]) -> Section:
    games = list(dict.fromkeys(row["game"] for run in runs for row in run.rows()))
    rows = []
    for game in games:
        found = [{row["game"]: row for row in run.rows()}.get(game, {}) for run in runs]
        cells = [
            [_score(row.get("student")), _number(row.get("percent"), ".1f", "%")] for row in found
        ]
        rows.append([game, *(", ".join(filter(None, cell)) or "-" for cell in cells)])
    caption = (
        "Mean ± standard deviation over episodes, and percent of the way from random to expert"
    )
    return "Side by side", caption, ["game", *(run.label for run in runs)], rows


def _beside_the_paper(run: Run) -> Section | None:
    rows = []
    for row in run.rows():
        published = REFERENCE_SCORES.get(row["game"])
        student = row.get("student")
        if published is None or not student:
            continue
        rows.append(
            [
                row["game"],
                _plain(student["mean"]),
                f"{100 * human_normalized(row['game'], student['mean']):.1f}%",
                _pair(published.expert_mean, published.expert_max),
                _pair(published.amn_mean, published.amn_max),
            ]
        )
    if not rows:
        return None
    header = [
        "game",
        "mean return",
        "human-normalized",
        "paper's expert, mean / max",
        "paper's AMN, mean / max",
    ]
    caption = (
        "Human-normalized: 100 (score - random) / (human - random), with the random and human "
        "scores of Mnih et al. 2015. The paper's: Table 1 of Parisotto et al. 2016, after 100 "
        "epochs of 250,000 agent_steps per game."
    )
    return f"{run.label} beside the paper", caption, header, rows


def _markdown(sections: Sequence[Section]) -> str:
    parts = []
    for heading, caption, header, rows in sections:
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
        parts.append(f"## {heading}\n\n{caption}\n")
        escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in escaped) + "\n")
    return "\n".join(parts)


def _csv(runs: Sequence[Run]) -> str:
    players = ("random", "expert", "student")
    figures = ("mean", "std", "max", "episodes")
    header = ["run", "game", *(f"{player}_{figure}" for player in players for figure in figures)]
    header += ["percent", "agreement", "cross_entropy", "floor"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for run in runs:
        for row in run.rows():
            scores = [(row.get(p) or {}).get(f, "") for p in players for f in figures]
            rest = [row.get(name) for name in header[-4:]]
            writer.writerow(
                [run.label, row["game"], *scores, *("" if v is None else v for v in rest)]
            )
    return text.getvalue()


def _html(runs: Sequence[Run], sections: Sequence[Section], plots: dict[Path, str]) -> str:
    name = " and ".join(run.label for run in runs)
    body = [f"<h1>{html.escape(name)}</h1>", *(f"<p>{_about(run)}</p>" for run in runs)]
    body += [section(*parts) for parts in sections]
    body += [picture(path, caption) for path, caption in plots.items()]
    for run in runs:
        text = (run.folder / "config.yaml").read_text("utf-8")
        body.append(folded(f"Settings of {run.label}", text))
    return document(name, body)


def _about(run: Run) -> str:
    parts = [f"{run.label}: task {run.config.get('task')}, seed {run.config.get('seed')}"]
    if run.results:
        parts.append(f"{run.results['agent_steps']:,} agent_steps per game")
        parts.append(f"{duration(run.results['seconds'])} of running time")
    elif run.metrics:
        parts.append(f"still going: {run.metrics[-1]['agent_steps']:,} agent_steps per game")
    return html.escape(", ".join(parts))


def _score(score: dict[str, Any] | None) -> str:
    if not score:
        return ""
    return f"{_plain(score['mean'])} ± {_plain(score['std'])}"


def _plain(value: float) -> str:
    """One decimal for small scores, none for those in the thousands."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _pair(mean: float | None, highest: float | None) -> str:
    return "-" if mean is None or highest is None else f"{_plain(mean)} / {_plain(highest)}"


if __name__ == "__main__":
    sys.exit(main())
