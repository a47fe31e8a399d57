"""Run folders as reports read them: settings, curves, test epochs, results, and who taught whom.

Reads ``config.yaml``, ``metrics.jsonl``, ``results.json`` and ``experts.json`` of a run, and the
``stages.json`` of a pipeline, which stands for its stages' runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actormimic.config_yaml import read_config
from actormimic.metrics import read_metrics
from actormimic.plots import Curves
from actormimic.run_files import (
    CONFIG_NAME,
    EXPERTS_NAME,
    METRICS_NAME,
    RESULTS_NAME,
    SIMILARITY_NAME,
    STAGES_NAME,
)


@dataclass(frozen=True)
class EpochScore:
    """What one test epoch gave in one game."""

    number: int
    """Which test epoch of its run, from 1 on."""
    agent_steps: int
    """agent_steps per game of training behind it."""
    mean: float
    """Mean return over its episodes."""
    std: float
    episodes: int
    """0 where none was completed, and ``mean`` is the partial return."""


@dataclass(frozen=True)
class Run:
    """A run folder as read."""

    label: str
    folder: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    results: dict[str, Any] | None
    """``results.json``; None while the run is going."""
    experts: dict[str, Run | None] = field(default_factory=dict)
    """Game -> the run that trained its teacher; None for a teacher that is only a file."""
    similarity: list[dict[str, Any]] = field(default_factory=list)
    """Of a transfer: how like its target each source game is, the most similar first."""

    @property
    def task(self) -> str:
        """The config's task."""
        return str(self.config["task"])

    @property
    def games(self) -> list[str]:
        """The run's games."""
        if "game" in self.config:
            return [str(self.config["game"])]
        return list(self.config.get("games", []))

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the results, one for each game."""
        rows: list[dict[str, Any]] = self.results["rows"] if self.results else []
        return rows

    def curves(self) -> Curves:
        """What the plots draw of it: its log and, once it is complete, its last test epoch, where
        the log has none as late."""
        means = {
            who: {row["game"]: row[who]["mean"] for row in self.rows() if row.get(who)}
            for who in ("expert", "random")
        }
        last: dict[str, Any] = {}
        for row in self.rows():
            if self.metrics and (score := row.get("student")):
                last[f"test/return/{row['game']}"] = score["mean"]
                last[f"test/return_std/{row['game']}"] = score["std"]
        lines = self.metrics
        if last and self.results:
            # Fewer than the run's where it stopped early: the log has a test epoch of those weights
            # then, and later ones. A curve goes on to the right, with one point at each place.
            behind = self.results.get("weights_agent_steps", self.results["agent_steps"])
            tested = [
                line["agent_steps"]
                for line in lines
                if any(line.get(name) is not None for name in last)
            ]
            if behind > max(tested, default=0):
                lines = [*lines, {**last, "agent_steps": behind}]
        return Curves(self.label, lines, means["expert"], means["random"], tuple(self.games))

    def test_epochs(self, game: str) -> list[EpochScore]:
        """The test epochs while training, in order."""
        period = self.config.get("evaluation", {}).get("every_agent_steps", 1)
        name = f"return/{game}"
        return [
            EpochScore(
                line["agent_steps"] // period,
                line["agent_steps"],
                line[f"test/{name}"],
                line.get(f"test/return_std/{game}") or 0.0,
                int(line.get(f"test/episodes/{game}") or 0),
            )
            for line in self.metrics
            if line.get(f"test/{name}") is not None
        ]

    def expert_epochs(self, game: str) -> list[EpochScore]:
        """The test epochs of the teacher's training; for a teacher that has none, the one at the
        end of this run."""
        teacher = self.experts.get(game)
        if teacher is not None and (epochs := teacher.test_epochs(game)):
            return epochs
        row = {row["game"]: row for row in self.rows()}.get(game, {})
        if not (score := row.get("expert")):
            return []
        return [EpochScore(1, 0, score["mean"], score["std"], int(score["episodes"]))]


@dataclass(frozen=True)
class Group:
    """Runs that are reported together: a pipeline's, or those given one by one."""

    label: str
    """A pipeline's name, or its path where names coincide."""
    folder: Path | None
    """The pipeline's; None for runs given one by one."""
    shows: tuple[str, ...]
    """The paper's tables and figures to draw; empty for all that the runs have."""
    runs: tuple[Run, ...]


def read_groups(folders: Sequence[Path]) -> list[Group]:
    """The runs in ``folders``: each pipeline's as a group, the others together as the first.

    Raises:
        ValueError: a folder holds no run, or one of its files is damaged.
    """
    configs = [_read_config(folder) for folder in folders]
    single = [f for f, config in zip(folders, configs, strict=True) if config["task"] != "pipeline"]
    groups = [Group("runs", None, (), tuple(read_runs(single)))] if single else []
    for folder, config, label in zip(folders, configs, _labels(folders), strict=True):
        if config["task"] == "pipeline":
            stages = _stage_folders(folder)
            # Convergence is computed, not trained: its page is another, in its own folder, and its
            # log has no agent_steps.
            trained = [f for f in stages if _read_config(f)["task"] != "convergence"]
            shows = tuple(config.get("shows", []))
            groups.append(Group(label, folder, shows, tuple(read_runs(trained))))
    return groups


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in ``folders``; each is labeled by its name, or by its path where names coincide.

    Raises:
        ValueError: a folder holds no run, or one of its files is damaged.
    """
    return [
        _read_run(folder, label) for folder, label in zip(folders, _labels(folders), strict=True)
    ]


def _labels(folders: Sequence[Path]) -> list[str]:
    """The folders' names; a folder's path where others have its name."""
    names = [folder.resolve().name for folder in folders]
    return [
        name if names.count(name) == 1 else str(folder)
        for folder, name in zip(folders, names, strict=True)
    ]


def _read_run(folder: Path, label: str) -> Run:
    config = _read_config(folder)
    results = folder / RESULTS_NAME
    try:
        metrics = list(read_metrics(folder / METRICS_NAME))
        read = json.loads(results.read_text("utf-8")) if results.exists() else None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder}: metrics.jsonl or results.json is damaged") from error
    whole = all(isinstance(line, dict) and "agent_steps" in line for line in metrics)
    if not whole or (read is not None and not {"caption", "rows"} <= set(read)):
        raise ValueError(
            f"{folder}: metrics.jsonl or results.json is damaged: something is missing"
        )
    experts = {}
    for game, source in _read_json(folder / EXPERTS_NAME, {}).items():
        place = folder / source
        # A teacher's folder that is not there any more leaves its last test epoch in the results.
        trained = (place / CONFIG_NAME).is_file()
        experts[game] = _read_run(place, place.resolve().name) if trained else None
    similarity = _read_json(folder / SIMILARITY_NAME, {"rows": []})["rows"]
    return Run(label, folder, config, metrics, read, experts, similarity)


def _read_config(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG_NAME).is_file():
        raise ValueError(f"{folder} holds no run; allowed: a folder with a config.yaml")
    config = read_config(folder / CONFIG_NAME)
    if "task" not in config:
        raise ValueError(f"{folder}: config.yaml has no task")
    return config


def _stage_folders(pipeline: Path) -> list[Path]:
    """Of the pipeline's runs, those that have begun."""
    entries: Iterable[dict[str, str]] = _read_json(pipeline / STAGES_NAME, [])
    folders = [pipeline / entry["folder"] for entry in entries]
    return [folder for folder in folders if (folder / CONFIG_NAME).is_file()]


def _read_json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged") from error
