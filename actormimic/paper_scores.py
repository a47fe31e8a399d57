"""From runs to the paper's figures of merit: who is which network, means, maxima, areas.

Table 1: a network's "mean" is that of its last ten test epochs, its "max" that of the best one.
Table 2: a column is the mean of the test epochs within a tenth of the training (a million
agent_steps at the paper's scale).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actormimic.aggregates import Pooled, pooled
from actormimic.config_files import FREE, check_settings, plain_values
from actormimic.config_yaml import flat_values, read_config
from actormimic.published import EXPERT_AGENT_STEPS, INITIALIZATIONS
from actormimic.records import EpochScore, Group, Run
from actormimic.run_files import CHECKPOINTS_NAME, CONFIG_NAME
from actormimic.schedules import largest

LAST_EPOCHS = 10
COLUMNS = 10


@dataclass(frozen=True)
class NetworkScore:
    """One kind of network on one game, over separately trained networks."""

    means: tuple[float, ...]
    """Each network's mean over its last ten test epochs."""
    maxima: tuple[float, ...]
    """Each network's best test epoch."""
    last: Pooled
    """All of those last test epochs seen as one."""

    @property
    def mean(self) -> float:
        """Mean over the networks."""
        return sum(self.means) / len(self.means)

    @property
    def highest(self) -> float:
        """Mean of the networks' maxima."""
        return sum(self.maxima) / len(self.maxima)


def network_score(networks: Sequence[Sequence[EpochScore]]) -> NetworkScore | None:
    """The score of networks with these test epochs; None where none has any."""
    tested = [epochs for epochs in networks if epochs]
    lasts = [epochs[-LAST_EPOCHS:] for epochs in tested]
    every = [epoch for last in lasts for epoch in last]
    together = pooled(
        [epoch.mean for epoch in every],
        [epoch.std for epoch in every],
        [epoch.episodes for epoch in every],
    )
    if together is None:
        return None
    return NetworkScore(
        tuple(sum(epoch.mean for epoch in last) / len(last) for last in lasts),
        tuple(max(epoch.mean for epoch in epochs) for epochs in tested),
        together,
    )


def kind(run: Run, others: Sequence[Run] = ()) -> str:
    """What the paper calls the network of a run; ``""`` for what it has no name for.

    Args:
        run: The run.
        others: Where a transfer's source is looked for before the disk is asked.
    """
    if run.task == "dqn":
        return "DQN"
    if run.task == "multitask_dqn":
        return "MDQN" if run.config.get("heads") == "shared" else "MCDQN"
    if run.task == "actor_mimic":
        return "AMN-feature" if largest(run.config["actor_mimic"]["beta"]) > 0 else "AMN"
    if run.task == "transfer":
        return _initialization(run, others)
    return ""


def _initialization(run: Run, others: Sequence[Run]) -> str:
    """Random, AMN-policy or AMN-feature; from another network, its folder's name."""
    source = str(run.config["source"])
    if source == "random":
        return "Random"
    place = Path(source).expanduser()
    if place.name == CHECKPOINTS_NAME or place.suffix == ".safetensors":
        place = place.parent.parent if place.suffix else place.parent
    place = place.resolve()
    config = {other.folder.resolve(): other.config for other in others}.get(place)
    if config is None and (place / CONFIG_NAME).is_file():
        config = read_config(place / CONFIG_NAME)
    if config is None:  # runs that were moved together know each other by their names
        moved = [run.config for run in others if run.folder.resolve().name == place.name]
        config = moved[0] if len(moved) == 1 else None
    if config is None or config.get("task") != "actor_mimic":
        return f"from {place.name}"
    return "AMN-feature" if largest(config["actor_mimic"]["beta"]) > 0 else "AMN-policy"


# What may differ between networks that are averaged over: their seeds, where they and their
# teachers lie, and what changes nothing that is learned.
_INCIDENTAL = {*FREE, "seed", "name", "preset", "checkpoint", "training.log_every_agent_steps"}
_INCIDENTAL |= {"experts", "expert_training", "source"}


_EVERY = "evaluation.every_agent_steps"


def alike(group: Group) -> list[Group]:
    """The group in parts in which networks of one kind differ in their seeds alone.

    A mean and its interval are over separately trained networks, never over settings. Runs that
    have no unlike one of their kind (for a transfer: on its game) are in every part; a part's
    label names the others.
    """
    settings: dict[tuple[str, ...], dict[str, None]] = {}
    keys: dict[Path, list[tuple[tuple[str, ...], str]]] = {}
    for run in group.runs:
        keys[run.folder] = _settings_by_kind(run, group.runs)
        for slot, key in keys[run.folder]:
            settings.setdefault(slot, {})[key] = None
    variants: dict[tuple[str, ...], list[Run]] = {}
    common = []
    for run in group.runs:
        unlike = tuple(key for slot, key in keys[run.folder] if len(settings[slot]) > 1)
        if unlike:
            variants.setdefault(unlike, []).append(run)
        else:
            common.append(run)
    if not variants:
        return [group]
    parts = []
    for runs in variants.values():
        label = " and ".join(run.label for run in runs)
        kept = tuple(run for run in group.runs if run in common or run in runs)
        parts.append(replace(group, label=label, runs=kept))
    return parts


def _settings_by_kind(run: Run, others: Sequence[Run]) -> list[tuple[tuple[str, ...], str]]:
    """What must agree with other runs, each with whom: (kind and perhaps game, settings)."""
    flat = _resolved(run.config)
    kept = {
        key: value
        for key, value in flat.items()
        if key not in _INCIDENTAL and key.partition(".")[0] not in _INCIDENTAL
    }
    name = kind(run, others)
    slots = [((name, *(run.games if run.task in ("dqn", "transfer") else ())), str(kept))]
    if run.task == "transfer":  # whatever it started from: the columns of Table 2 are alike
        columns = [flat.get(key) for key in ("training.agent_steps", _EVERY)]
        slots.append((("transfer", *run.games), str(columns)))
    return slots if name else []


def _resolved(config: dict[str, Any]) -> dict[str, Any]:
    """With the defaults of settings that the run's version had not, where this one reads it."""
    try:
        return flat_values(plain_values(check_settings(config)))
    except ValueError:
        return flat_values(config)


def by_kind(group: Group) -> dict[str, list[Run]]:
    """The runs of each kind of network; transfers' kinds are those of Table 2."""
    found: dict[str, list[Run]] = {}
    for run in group.runs:
        if run.task != "transfer" and (name := kind(run)):
            found.setdefault(name, []).append(run)
    return found


def still_training(runs: Sequence[Run]) -> str:
    """A sentence for a caption about those of the runs that are not complete; mostly empty."""
    going = []
    for run in runs:
        if run.results is None:
            done = run.metrics[-1]["agent_steps"] if run.metrics else 0
            total = run.config["training"]["agent_steps"]
            going.append(f"{run.label} ({done:,} of {total:,} agent_steps)")
    return f" Not complete, and counted as far as they are: {', '.join(going)}." if going else ""


def young_experts(group: Group, games: Iterable[str]) -> str:
    """A sentence for a caption about those of the games' experts that were trained for less than
    the paper's; empty where there are none."""
    young = []
    for game in games:
        found = {steps for run in group.runs for steps in _behind_expert(run, game)}
        if found and min(found) < EXPERT_AGENT_STEPS:
            ends = [f"{steps:,}" for steps in sorted({min(found), max(found)})]
            young.append(f"{game} {' to '.join(ends)}")
    if not young:
        return ""
    return (
        f" Experts that were trained for less than the paper's (up to {EXPERT_AGENT_STEPS:,} "
        f"agent_steps): {', '.join(young)}."
    )


def _behind_expert(run: Run, game: str) -> list[int]:
    """agent_steps of training behind the game's expert, where the run is it or knows it."""
    if run.task == "dqn" and run.games == [game]:
        return [run.metrics[-1]["agent_steps"]] if run.metrics else []
    if teacher := run.experts.get(game):
        return _behind_expert(teacher, game)
    rows = [row for row in run.rows() if row["game"] == game and row.get("expert")]
    known = [row["expert"].get("trained_agent_steps") for row in rows]  # not in older runs
    return [steps for steps in known if steps is not None]


def transfers(group: Group) -> dict[str, dict[str, list[Run]]]:
    """Target game -> what the DQN started from -> its runs, Random first."""
    found: dict[str, dict[str, list[Run]]] = {}
    for run in group.runs:
        if run.task == "transfer":
            of_game = found.setdefault(run.games[0], {})
            of_game.setdefault(kind(run, group.runs), []).append(run)
    return {
        game: {
            name: runs[name] for name in dict.fromkeys([*INITIALIZATIONS, *runs]) if name in runs
        }
        for game, runs in found.items()
    }


def expert_networks(group: Group, game: str) -> list[list[EpochScore]]:
    """The test epochs of each of the game's experts in a group.

    They are those of the experts' training. Where the runs have none, they are the experts' own
    test epochs: of ``task: evaluate``, or at the end of the student's run.
    """
    trained: dict[Path, list[EpochScore]] = {}
    for run in group.runs:
        teacher = run if run.task == "dqn" and run.games == [game] else run.experts.get(game)
        if teacher is not None and (epochs := teacher.test_epochs(game)):
            trained[teacher.folder.resolve()] = epochs
    if trained:
        return list(trained.values())
    for task in ("evaluate", "actor_mimic"):
        of_task = [run for run in group.runs if run.task == task]
        if tested := [epoch for run in of_task for epoch in run.expert_epochs(game)]:
            return [tested]
    return []


@dataclass(frozen=True)
class LearningCurve:
    """Table 2's row of one run."""

    columns: tuple[float | None, ...]
    """Mean of the test epochs within each tenth of the training; None where there is none."""
    period: float
    """agent_steps between columns."""
    pooled: tuple[Pooled | None, ...]
    """The same epochs, with deviation and number of episodes."""

    @property
    def area(self) -> float | None:
        """Area under the curve divided by its length: the mean of the columns there are."""
        values = [value for value in self.columns if value is not None]
        return sum(values) / len(values) if values else None


def learning_curve(run: Run, game: str) -> LearningCurve:
    """The run's test epochs by tenths of its training."""
    every = run.config["evaluation"]["every_agent_steps"]
    period = run.config["training"]["agent_steps"] / COLUMNS
    columns: list[list[EpochScore]] = [[] for _ in range(COLUMNS)]
    for epoch in run.test_epochs(game):
        # Epoch n comes with the first step at or beyond n * every, and belongs there.
        place = -int(-(epoch.number * every) // period) - 1
        if 0 <= place < COLUMNS:
            columns[place].append(epoch)
    together = tuple(
        pooled([e.mean for e in part], [e.std for e in part], [e.episodes for e in part])
        for part in columns
    )
    return LearningCurve(tuple(p.mean if p else None for p in together), period, together)


def mean_columns(curves: Sequence[LearningCurve]) -> list[float | None]:
    """Column by column the mean over the runs that have it."""
    means: list[float | None] = []
    for column in zip(*(curve.columns for curve in curves), strict=True):
        there = [value for value in column if value is not None]
        means.append(sum(there) / len(there) if there else None)
    return means


def reaches(columns: Sequence[float | None], threshold: float) -> int | None:
    """The number of the first column at or above ``threshold``, from 1 on; or None."""
    for number, value in enumerate(columns, start=1):
        if value is not None and value >= threshold:
            return number
    return None
