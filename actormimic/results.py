"""A complete run's ``results.json``, whose being there says so, and how it is presented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actormimic.command_line import Say
from actormimic.config import GamesSettings
from actormimic.devices import device_of, machine_in_words
from actormimic.evaluation import Summary, epoch_in_words
from actormimic.experts import ExpertsPolicy
from actormimic.report import table, write_report
from actormimic.run_files import RESULTS_NAME, weights_name
from actormimic.run_folder import write_json


def score_rows(
    games: list[str],
    scores: Mapping[str, Mapping[str, Summary]],
    experts: ExpertsPolicy | None = None,
) -> list[dict[str, Any]]:
    """A row for each game: its scores, and 100 (student - random) / (expert - random), or None
    where the expert is no better than random play and there is no way to go."""
    rows = []
    for number, game in enumerate(games):
        row: dict[str, Any] = {"game": game, "expert": None, "student": None}
        for name, of_games in scores.items():
            row[name] = dict(of_games[game])
        if experts is not None:
            # Reports say which experts are young: what imitates them cannot be better founded.
            row["expert"]["trained_agent_steps"] = experts.agent_steps[number]
        row["percent"] = None
        if row["expert"] and row["student"]:
            span = row["expert"]["mean"] - row["random"]["mean"]
            if span > 0:
                row["percent"] = 100 * (row["student"]["mean"] - row["random"]["mean"]) / span
        rows.append(row)
    return rows


def finish_run(
    settings: GamesSettings,
    folder: Path,
    rows: list[dict[str, Any]],
    seconds: float,
    say: Say,
    agent_steps: int = 0,
    weights_agent_steps: int = 0,
    note: str = "",
) -> None:
    """Write results.json and present the run.

    ``agent_steps`` lie behind the run and ``weights_agent_steps``, fewer where it stopped early,
    behind the network that it gives and that the rows are about. ``note`` ends the caption.
    """
    epoch = epoch_in_words(settings.evaluation, settings.environment)
    results = {
        "task": getattr(settings, "task", ""),
        "caption": f"Mean raw return ± standard deviation (episodes; 0: one, unfinished); {epoch}"
        f"{'; ' if note else ''}{note}.",
        "agent_steps": agent_steps,
        "weights_agent_steps": weights_agent_steps,
        "seconds": round(seconds, 1),
        "machine": machine_in_words(device_of(settings)),
        "rows": rows,
    }
    # A results.json means that the run is complete.
    write_json(folder / RESULTS_NAME, results)
    present_run(folder, say)


def present_run(folder: Path, say: Say) -> None:
    """Draw the report of a complete run, print its table and where everything is."""
    path = folder / RESULTS_NAME
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; without it the run ends anew") from error
    report = write_report([folder])
    say(table(results))
    weights = folder / weights_name("final")
    if weights.is_file():
        game = results["rows"][0]["game"]
        watch = f"python -m actormimic.play {folder} --game {game} --out {game}.mp4"
        say(f"weights: {weights}; report: {report}; to watch: {watch}")
    else:
        say(f"report: {report}")
