"""Where the weights of an expert come from: the commands that train it, and what they went through.

An expert is of one run, or of a run of ``task: dqn`` and a ``task: transfer`` in which it goes on
with its own game.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np

from actormimic.cards import LearningCurve, read_card
from actormimic.checkpoint import load_weights
from actormimic.config import DqnRun, TransferRun
from actormimic.config_files import check_settings, load_settings, plain_values
from actormimic.config_yaml import SHIPPED, flat_values, one_line_yaml, read_config, shipped_configs
from actormimic.metrics import read_metrics
from actormimic.policy import weights_path
from actormimic.run_files import METRICS_NAME

_CURVE_POINTS = 100
# What says where a run lies, not what it learns.
_PLACE = ("name", "folder", "resume")


def recipe(settings: DqnRun | TransferRun, agent_steps: int) -> str:
    """The shortest command that gives ``settings``, ended after ``agent_steps``.

    A transfer begins from where a card's first command leaves its expert.
    """
    ended = settings.training.model_copy(update={"agent_steps": agent_steps})
    wanted = flat_values(plain_values(settings.model_copy(update={"training": ended})))
    if wanted.get("source", "random") != "random":
        wanted["source"] = first_folder(settings.games[0])
    if wanted["evaluation.protocol"] == "paper":  # then lanes mean nothing, and are not to be typed
        del wanted["evaluation.lanes"]
    commands: list[list[str]] = []
    for config in shipped_configs():
        own = read_config(SHIPPED / config)
        if own.get("task") != settings.task:
            continue
        start = [f"game={settings.games[0]}"]
        if own.get("preset") != settings.preset:
            start.append(f"preset={one_line_yaml(settings.preset)}")
        try:
            base = flat_values(plain_values(load_settings(config, start, SHIPPED)))
        except ValueError:
            continue  # what the config is meant for does not go with that preset
        changes = [
            f"{key}={one_line_yaml(value)}"
            for key, value in wanted.items()
            if key not in _PLACE and base.get(key) != value
        ]
        commands.append(["python", "-m", "actormimic.run", config, *start, *changes])
    shortest = min(commands, key=len)
    return shlex.join(shortest)


class History(NamedTuple):
    """What lies behind weights."""

    agent_steps: int
    seconds: float
    returns: list[tuple[int, float]]
    """agent_steps and mean return of the training's episodes then."""

    def followed_by(self, later: History) -> History:
        """This one, and ``later`` on top."""
        moved = [(self.agent_steps + steps, value) for steps, value in later.returns]
        return History(
            self.agent_steps + later.agent_steps,
            self.seconds + later.seconds,
            self.returns + moved,
        )

    def thinned(self) -> LearningCurve:
        """Means over equal numbers of points."""
        if not self.returns:
            return LearningCurve(agent_steps=[], mean_return=[])
        parts = np.array_split(np.array(self.returns), min(_CURVE_POINTS, len(self.returns)))
        return LearningCurve(
            agent_steps=[int(part[-1, 0]) for part in parts],
            mean_return=[round(float(part[:, 1].mean()), 3) for part in parts],
        )


def learning_history(run: Path, game: str, agent_steps: int) -> History:
    """What the log says, up to where the weights were saved."""
    lines = [
        line for line in read_metrics(run / METRICS_NAME) if line["agent_steps"] <= agent_steps
    ]
    if not lines:
        raise ValueError(f"{run} has no metrics.jsonl; allowed: the run folder of an expert")
    returns = [
        (line["agent_steps"], line[key])
        for line in lines
        if line.get(key := f"train/return/{game}") is not None
    ]
    return History(agent_steps, float(lines[-1]["seconds"]), returns)


class FirstPart(NamedTuple):
    """The expert that a transfer went on from."""

    recipe: str
    history: History


def first_folder(game: str) -> str:
    """Where a card's first command leaves the expert that its second one goes on from."""
    return f"runs/{game}-first"


def first_part(settings: DqnRun | TransferRun) -> FirstPart | None:
    """Where a run's network came from; None where it began with random weights."""
    if isinstance(settings, DqnRun) or settings.source == "random":
        return None
    source = Path(settings.source).expanduser()
    path = weights_path(source)
    _, header = load_weights(path)
    first = check_settings(header.settings)
    if not isinstance(first, DqnRun) or first.games != settings.games:
        raise ValueError(
            f"source {path} is of task {header.kind} for {', '.join(header.games)}; allowed: an "
            f"expert of {settings.games[0]} by task dqn"
        )
    if source.is_dir():
        history = learning_history(source, header.games[0], header.agent_steps)
    else:  # a file that was shipped, with its card beside it
        card = read_card(path.with_suffix(".yaml"))
        curve = card.learning_curve
        points = list(zip(curve.agent_steps, curve.mean_return, strict=True))
        history = History(card.agent_steps, 3600 * card.training_hours, points)
    return FirstPart(recipe(first, header.agent_steps), history)
