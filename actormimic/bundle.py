"""``python -m actormimic.bundle RUN_DIR [RUN_DIR ...]``: put trained experts into the package.

Takes the weights of a run of ``task: dqn``, or of a ``task: transfer`` in which such an expert goes
on with its own game (the final ones, or the newest of a run that is still going), rounds them to
half precision, plays a test epoch of the paper's protocol with what was rounded (episodes as long
as the run's settings allow), and writes weights, card (``actormimic.cards``) and the page over all
cards. Run folders are only read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor

from actormimic.bundled import BUNDLED
from actormimic.cards import (
    CURVES_NAME,
    INDEX_NAME,
    LARGEST_BYTES,
    Card,
    CardEvaluation,
    PlayedEpisodes,
    WeightsFile,
    index_page,
    read_cards,
    write_card,
)
from actormimic.checkpoint import WeightsHeader, load_weights, save_weights
from actormimic.command_line import Parser, Say, command
from actormimic.config import DqnRun, OneGameSettings, TransferRun
from actormimic.config_files import check_settings
from actormimic.devices import device_of, machine_in_words
from actormimic.evaluation import GameScore, epoch_in_words, evaluate
from actormimic.experts import ExpertsPolicy, load
from actormimic.plots import Curves, draw_returns
from actormimic.policy import Policy, RandomPolicy, weights_path
from actormimic.provenance import History, first_folder, first_part, learning_history, recipe
from actormimic.run_files import RESULTS_NAME
from actormimic.sections import EnvironmentSettings, EvaluationSettings

_EPSILON = 0.05  # the paper's, for every test epoch


def bundle(run: Path, out: Path, agent_steps: int, seed: int, say: Say = print) -> Card:
    """Make the expert in the run folder ``run`` one of the experts in the folder ``out``.

    Args:
        run: A run of ``task: dqn``, or one that goes on from such an expert, complete or not.
        out: Where weights and card go; an earlier expert of that game is replaced.
        agent_steps: Length of the test epoch.
        seed: Of the test epoch.
        say: Gets a line before what takes long.

    Raises:
        ValueError: ``run`` holds no expert of one game, or one that does not fit half precision or
            `LARGEST_BYTES`; nothing was written then.
        OSError: a file cannot be written.
    """
    trained = _read(run)
    game, settings, header = trained.game, trained.settings, trained.header
    out.mkdir(parents=True, exist_ok=True)
    # Complete or absent: written aside, and moved when the test epochs are played.
    with TemporaryDirectory(prefix=".unfinished-", dir=out) as scratch:
        weights = Path(scratch) / f"{game}.safetensors"
        save_weights(weights, trained.halves, header)
        weights.chmod(0o644)  # safetensors keeps it to its owner; this one is to be shipped
        size = weights.stat().st_size
        if size > LARGEST_BYTES:
            raise ValueError(
                f"{weights.name} takes {size:,} bytes; allowed: at most {LARGEST_BYTES:,}"
            )
        say(f"{game}: {header.agent_steps:,} agent steps; test epoch of {agent_steps:,}")
        card = Card(
            game=game,
            recipe=trained.recipe,
            agent_steps=header.agent_steps,
            training_hours=round(trained.history.seconds / 3600, 2),
            machine=_machine(run, settings),
            seed=settings.seed,
            network=settings.network.size,
            weights=WeightsFile(
                name=weights.name,
                bytes=size,
                sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
                dtype="float16",
                parameters=sum(tensor.numel() for tensor in trained.halves.values()),
            ),
            evaluation=_test_epoch(weights, game, settings.environment, agent_steps, seed),
            learning_curve=trained.history.thinned(),
            actormimic_version=header.actormimic_version,
            torch_version=header.torch_version,
        )
        write_card(Path(scratch) / f"{game}.yaml", card)
        for name in (weights.name, f"{game}.yaml"):
            (Path(scratch) / name).replace(out / name)
    return card


def play_again(game: str, out: Path, agent_steps: int, seed: int, say: Say = print) -> Card:
    """Give the card of ``game`` in the folder ``out`` a new test epoch; all else stays.

    Raises:
        ValueError: there is no such card, or it is not that of the weights beside it.
        OSError: the card cannot be written.
    """
    cards = {card.game: card for card in read_cards(out)}
    if game not in cards:
        raise ValueError(f"{out} has no expert of {game}; allowed: {', '.join(cards) or 'none'}")
    weights = out / cards[game].weights.name
    settings = check_settings(load_weights(weights)[1].settings)
    assert isinstance(settings, OneGameSettings)  # it was bundled once
    say(f"{game}: test epoch of {agent_steps:,}")
    evaluation = _test_epoch(weights, game, settings.environment, agent_steps, seed)
    card = cards[game].model_copy(update={"evaluation": evaluation})
    write_card(out / f"{game}.yaml", card)
    return card


class _Trained(NamedTuple):
    """An expert in a run folder, as it is to be shipped."""

    game: str
    settings: DqnRun | TransferRun
    header: WeightsHeader
    halves: dict[str, Tensor]
    recipe: str
    history: History


def _read(run: Path) -> _Trained:
    if not run.is_dir():
        raise ValueError(f"{run} is no folder; allowed: the run folder of an expert")
    path = weights_path(run)
    tensors, header = load_weights(path)
    if header.kind not in ("dqn", "transfer") or len(header.games) != 1:
        raise ValueError(
            f"{path} is of task {header.kind} for {', '.join(header.games)}; allowed: the weights "
            "of task dqn, an expert of one game, or of a transfer of such an expert to its own game"
        )
    (game,) = header.games
    settings = check_settings(header.settings)
    assert isinstance(settings, DqnRun | TransferRun)  # as the header's kind says
    first = first_part(settings)
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    for name, tensor in halves.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path}: {name} has values that half precision cannot hold")
    history = learning_history(run, game, header.agent_steps)
    recipes = [recipe(settings, header.agent_steps)]
    if first is not None:
        history = first.history.followed_by(history)
        recipes = [f"{first.recipe} folder={first_folder(game)}", *recipes]
    shipped = _to_ship(header, game, history.agent_steps)
    return _Trained(game, settings, shipped, halves, " && ".join(recipes), history)


def _test_epoch(
    weights: Path, game: str, environment: EnvironmentSettings, agent_steps: int, seed: int
) -> CardEvaluation:
    expert = load(weights, game)
    epoch = EvaluationSettings(agent_steps=agent_steps, epsilon=_EPSILON, protocol="paper")

    def played(policy: Policy) -> PlayedEpisodes:
        return _episodes(evaluate(policy, epoch, environment, seed)[game])

    return CardEvaluation(
        protocol=epoch_in_words(epoch, environment),
        agent_steps=agent_steps,
        seed=seed,
        expert=played(ExpertsPolicy([expert])),
        random=played(RandomPolicy([game], [expert.actions])),
    )


def write_index(out: Path) -> None:
    """Write the page over the cards in ``out`` and the picture of their learning curves.

    Raises:
        ValueError: a card or its weights are damaged.
    """
    cards = read_cards(out)
    (out / INDEX_NAME).write_text(index_page(cards), encoding="utf-8")
    lines: list[dict[str, Any]] = [
        {"agent_steps": steps, f"train/return/{card.game}": value}
        for card in cards
        for steps, value in zip(
            card.learning_curve.agent_steps, card.learning_curve.mean_return, strict=True
        )
    ]
    means = {card.game: card.evaluation.expert.mean for card in cards}
    random = {card.game: card.evaluation.random.mean for card in cards}
    curves = Curves("experts", lines, means, random)
    # The shortest training is a tenth of the longest: on one axis nothing of it would be seen.
    draw_returns(out / CURVES_NAME, [curves], one_length=False)


def _to_ship(header: WeightsHeader, game: str, agent_steps: int) -> WeightsHeader:
    """Without the places of this machine, and with what lies behind the weights in all."""
    settings = {**header.settings, "name": game, "folder": None}
    if settings.get("source", "random") != "random":
        settings["source"] = first_folder(game)
    return replace(header, settings=settings, agent_steps=agent_steps)


def _machine(run: Path, settings: OneGameSettings) -> str:
    """What the run says that it ran on; one that is still going runs on this machine."""
    results = run / RESULTS_NAME
    if not results.is_file():
        return machine_in_words(device_of(settings))
    return str(json.loads(results.read_text(encoding="utf-8"))["machine"])


def _episodes(score: GameScore) -> PlayedEpisodes:
    summary = score.summary()
    return PlayedEpisodes(
        mean=round(summary["mean"], 3),
        deviation=round(summary["std"], 3),
        best=summary["max"],
        episodes=int(summary["episodes"]),
    )


@command("actormimic.bundle")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(arguments)
    made = [partial(bundle, run) for run in options.runs]
    made += [partial(play_again, game) for game in options.again]
    for make in made:
        card = make(options.out, options.agent_steps, options.seed)
        played = card.evaluation
        print(
            f"{card.game}: {played.expert.mean:g} ± {played.expert.deviation:g} over "
            f"{played.expert.episodes} episodes (random play {played.random.mean:g}); "
            f"{options.out / card.weights.name}, {card.weights.bytes:,} bytes"
        )
    write_index(options.out)
    print(f"page: {options.out / INDEX_NAME}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m actormimic.bundle",
        description="Put trained experts into the package: weights in half precision and cards.",
    )
    parser.add_argument(
        "runs", type=Path, nargs="*", help="run folders of experts; none: write the page anew"
    )
    parser.add_argument(
        "--again",
        metavar="GAME",
        nargs="+",
        default=[],
        help="experts in the package (or --out) whose cards get a new test epoch",
    )
    parser.add_argument(
        "--out", type=Path, default=BUNDLED, help="folder of weights and cards (%(default)s)"
    )
    parser.add_argument(
        "--agent-steps", type=int, default=125_000, help="length of the test epoch (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the test epoch (%(default)s)")
    options = parser.parse_args(arguments)
    if options.agent_steps < 1:
        raise ValueError(f"--agent-steps is {options.agent_steps}; allowed: 1 or more")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; allowed: 0 or more")
    return options


if __name__ == "__main__":
    torch.set_num_threads(1)  # batches of one state: more threads only wait for each other
    sys.exit(main())
