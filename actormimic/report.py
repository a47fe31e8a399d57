"""``python -m actormimic.report RUN_DIR [RUN_DIR ...]``: what runs came to, as tables and plots.

Writes a page that needs no other file (``index.html``), its tables (``table.md``, and ``table.csv``
with every run's unrounded figures) and its plots. Of a pipeline's folder, and of several runs
together, it draws the paper's tables and figures that their test epochs have (``figure1.png`` with
``figure1.csv`` beside it and so on). A run that is still going has curves only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from actormimic.command_line import command
from actormimic.config_yaml import read_config
from actormimic.convergence_report import write_convergence_report
from actormimic.games import REFERENCE_SCORES, human_normalized
from actormimic.metrics import duration
from actormimic.pages import (
    Picture,
    Section,
    csv_text,
    html_page,
    markdown,
    plain_text,
    score_text,
)
from actormimic.paper_figures import draw_paper
from actormimic.paper_scores import alike
from actormimic.paper_tables import all_sections
from actormimic.plots import draw_losses, draw_returns, draw_shares
from actormimic.records import Group, Run, read_groups
from actormimic.run_files import CONFIG_NAME, REPORT_NAME

USAGE = "usage: python -m actormimic.report RUN_DIR [RUN_DIR ...] [--out FOLDER]"
_PLOTS = {
    "shares.png": "How far each network came from random play to its experts",
    "returns.png": "Returns while training (light) and in the test epochs (strong, ± one "
    "standard deviation over episodes)",
    "loss.png": "Loss of the updates",
}


def table(results: dict[str, Any]) -> str:
    """``results.json`` as the aligned text that a run prints at its end."""
    return plain_text(Section("", results["caption"], *_cells(results)))


def summary(folders: Sequence[Path]) -> str:
    """The tables of the runs in ``folders`` as aligned text."""
    return _summary(read_groups(folders))


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
    groups = read_groups(folders)
    out = out or (folders[0] / REPORT_NAME if len(folders) == 1 else Path("report"))
    out.mkdir(parents=True, exist_ok=True)
    sections, pictures = [], []
    for group, prefix in zip(groups, _file_prefixes(groups), strict=True):
        if not group.shows:
            sections += _sections(group.runs)
            pictures += _draw_runs(group.runs, out, prefix)
        paper, drawn = _of_the_paper(group, out, prefix)
        sections += paper
        pictures += drawn
    # Pipelines that have runs in common have tables in common.
    sections = [section for n, section in enumerate(sections) if section not in sections[:n]]
    sections += _what_ran([group for group in groups if group.folder])
    runs = _each_once(groups)
    (out / "table.md").write_text(markdown(sections, pictures), encoding="utf-8")
    (out / "table.csv").write_text(_csv(runs), encoding="utf-8")
    names = [g.label if g.folder else " and ".join(r.label for r in g.runs) for g in groups]
    details = [
        (f"Settings of {run.label}", (run.folder / CONFIG_NAME).read_text("utf-8")) for run in runs
    ]
    about = [_about(run) for group in groups if not group.folder for run in group.runs]
    page = html_page(" and ".join(names), about, sections, pictures, details)
    (out / "index.html").write_text(page, encoding="utf-8")
    return out / "index.html"


def _of_the_paper(group: Group, out: Path, prefix: str) -> tuple[list[Section], list[Picture]]:
    """The paper's tables and figures, of each part of the group that is alike."""
    sections: list[Section] = []
    pictures: list[Picture] = []
    for number, (part, whose) in enumerate(_parts(group), 1):
        if not group.folder and len(part.runs) == 1:
            continue
        drawn = draw_paper(part, out, f"{prefix}{number}-" if whose else prefix)
        pictures += [Picture(picture.path, picture.caption + whose) for picture in drawn]
        sections += _paper_sections(part, whose)
    return sections, pictures


def _parts(group: Group) -> list[tuple[Group, str]]:
    """The group's `alike` parts, and how each is told apart where there are several."""
    parts = alike(group)
    return [(part, f" ({part.label})" if len(parts) > 1 else "") for part in parts]


def _paper_sections(part: Group, whose: str) -> list[Section]:
    return [replace(found, heading=found.heading + whose) for found in all_sections(part)]


def _file_prefixes(groups: Sequence[Group]) -> list[str]:
    """What the files of each group begin with, so that none has another's; of one group nothing."""
    if len(groups) == 1:
        return [""]
    prefixes: list[str] = []
    for group in groups:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", group.label).strip("-") if group.folder else ""
        prefix, number = f"{stem}-" if stem else "", 1
        while prefix in prefixes:
            number += 1
            prefix = f"{stem}-{number}-"
        prefixes.append(prefix)
    return prefixes


def _is_convergence(folder: Path) -> bool:
    config = folder / CONFIG_NAME
    return config.is_file() and read_config(config).get("task") == "convergence"


@command("actormimic.report")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(f"{USAGE}\n\n{__doc__}")
        return 0
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
    groups = [] if any(map(_is_convergence, folders)) else read_groups(folders)
    if groups:
        print(f"{_summary(groups)}\n")
    print(page)
    return 0


def _summary(groups: Sequence[Group]) -> str:
    parts = []
    for group in groups:
        if group.folder:
            found = [s for part, whose in _parts(group) for s in _paper_sections(part, whose)]
            found += [] if group.shows else _sections(group.runs)
            texts = [f"{section.heading}\n{plain_text(section)}" for section in found]
            parts += [text for text in texts if text not in parts]
            continue
        for run in group.runs:
            done = run.metrics[-1]["agent_steps"] if run.metrics else 0
            so_far = f"{run.label}: {done:,} agent_steps so far"
            parts.append(table(run.results) if run.results else so_far)
    return "\n\n".join(parts)


def _draw_runs(runs: Sequence[Run], out: Path, prefix: str) -> list[Picture]:
    """The plots that any runs have."""
    curves = [run.curves() for run in runs]
    shares = [
        {row["game"]: row["percent"] for row in run.rows() if row.get("percent") is not None}
        for run in runs
    ]
    paths = {name: out / f"{prefix}{name}" for name in _PLOTS}
    drawn = {
        "shares.png": draw_shares(paths["shares.png"], [run.label for run in runs], shares),
        "returns.png": draw_returns(paths["returns.png"], curves),
        "loss.png": draw_losses(paths["loss.png"], curves),
    }
    for name, done in drawn.items():
        if not done:  # an earlier report's plot must not outlive what it showed
            paths[name].unlink(missing_ok=True)
    return [Picture(paths[name], caption) for name, caption in _PLOTS.items() if drawn[name]]


def _sections(runs: Sequence[Run]) -> list[Section]:
    sections: list[Section] = []
    if len(runs) > 1:
        sections.append(_side_by_side(runs))
    for run in runs:
        if run.results:
            sections.append(Section(run.label, run.results["caption"], *_cells(run.results)))
            if paper := _beside_the_paper(run):
                sections.append(paper)
    return sections


def _each_once(groups: Sequence[Group]) -> list[Run]:
    """The groups' runs; one that several have is there once."""
    return list({run.folder.resolve(): run for group in groups for run in group.runs}.values())


def _what_ran(groups: Sequence[Group]) -> list[Section]:
    """The groups' runs, each once, with their length, time and machine."""
    runs = _each_once(groups)
    if not runs:
        return []
    rows, total, complete = [], 0.0, 0
    for run in runs:
        latest = run.metrics[-1] if run.metrics else {"agent_steps": 0, "seconds": 0.0}
        results = run.results or {"seconds": latest["seconds"]}
        total += results["seconds"]
        complete += run.results is not None
        spent = duration(results["seconds"]) + ("" if run.results else " so far")
        rows.append(
            [
                *(run.label, run.task, str(run.config.get("seed"))),
                *(f"{latest['agent_steps']:,}", spent, results.get("machine", "-")),
            ]
        )
    counted = "" if complete == len(runs) else f", {complete} of them complete"
    caption = (
        f"{len(runs)} run{'s' if len(runs) > 1 else ''}{counted}; {duration(total)} of running "
        "time in all (their experts' aside)"
        + (", that of the others up to their last log line." if counted else ".")
    )
    header = ["run", "task", "seed", "agent_steps per game", "running time", "machine"]
    heading = f"Runs of {' and '.join(group.label for group in groups)}"
    return [Section(heading, caption, header, rows)]


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
        "expert's entropy": lambda row: _number(row.get("expert_entropy"), ".4f"),
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
        "Mean ± standard deviation over episodes (their number; 0: one, unfinished), and percent "
        "of the way from random to expert"
    )
    return Section("Side by side", caption, ["game", *(run.label for run in runs)], rows)


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
                score_text(student["mean"]),
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
    return Section(f"{run.label} beside the paper", caption, header, rows)


def _csv(runs: Sequence[Run]) -> str:
    players = ("random", "expert", "student")
    figures = ("mean", "std", "max", "episodes")
    header = ["run", "game", *(f"{player}_{figure}" for player in players for figure in figures)]
    header += ["percent", "agreement", "cross_entropy", "expert_entropy"]
    lines = []
    for run in runs:
        for row in run.rows():
            scores = [(row.get(p) or {}).get(f) for p in players for f in figures]
            lines.append([run.label, row["game"], *scores, *(row.get(n) for n in header[-4:])])
    return csv_text(header, lines)


def _about(run: Run) -> str:
    parts = [f"{run.label}: task {run.config.get('task')}, seed {run.config.get('seed')}"]
    if run.results:
        done = run.results["agent_steps"]
        behind = run.results.get("weights_agent_steps", done)  # absent from older runs
        best = f" (its network: the best, after {behind:,})" if behind < done else ""
        parts.append(f"{done:,} agent_steps per game{best}")
        parts.append(f"{duration(run.results['seconds'])} of running time")
    elif run.metrics:
        parts.append(f"still going: {run.metrics[-1]['agent_steps']:,} agent_steps per game")
    return ", ".join(parts)


def _score(score: dict[str, Any] | None) -> str:
    if not score:
        return ""
    return f"{score_text(score['mean'])} ± {score_text(score['std'])} ({score['episodes']:.0f})"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _pair(mean: float | None, highest: float | None) -> str:
    return "-" if mean is None or highest is None else f"{score_text(mean)} / {score_text(highest)}"


if __name__ == "__main__":
    sys.exit(main())
