"""From an Actor-Mimic network to a new game (section 3.4), and how like its games that one is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from actormimic.checkpoint import load_weights
from actormimic.evaluation import evaluate
from actormimic.games import NUM_ACTIONS, minimal_actions
from actormimic.networks import AtariNetwork
from actormimic.policy import Frames, GameIndex, NetworkPolicy, Policy, RandomPolicy, weights_path
from actormimic.randomness import Stream, derive_seed
from actormimic.sections import EnvironmentSettings, EvaluationSettings, SimilaritySettings

Matrix = npt.NDArray[np.float64]


def transfer_weights(
    network: AtariNetwork,
    source: Path,
    output_layer: str,
    actions: tuple[int, ...],
    reinitialize: Sequence[str] = (),
) -> None:
    """Put an Actor-Mimic network's layers into ``network`` (section 3.4).

    Args:
        network: What the new game starts from; the layers that are taken are replaced.
        source: The Actor-Mimic network's weights file or run folder.
        output_layer: ``reinitialize`` leaves the output as it is, ``keep`` takes it over; a head
            with units for the valid ``actions`` only takes their rows.
        reinitialize: Hidden layers that stay as they are, whatever the source has there.

    Raises:
        ValueError: the two networks differ in a taken layer's shape or in the first padding, or an
            output layer is to be kept that has no unit for one of the actions.
    """
    tensors, header = load_weights(weights_path(source))
    padding = header.network.get("conv1_padding")
    if padding != network.settings.conv1_padding:
        raise ValueError(
            f"{source} has network.conv1_padding {padding}; expected "
            f"{network.settings.conv1_padding}, or its first layer would compute something else"
        )
    units = list(range(NUM_ACTIONS))
    if header.network.get("outputs") == "valid":
        units = list(header.action_sets[0])
    wanted = list(actions) if network.settings.outputs == "valid" else list(range(NUM_ACTIONS))
    if output_layer == "keep" and not set(wanted) <= set(units):
        raise ValueError(
            f"output_layer is 'keep', but {source} has output units for {len(units)} actions only; "
            "allowed: reinitialize"
        )
    own = network.state_dict()
    taken = {}
    for name, tensor in tensors.items():
        if not set(reinitialize).isdisjoint(name.split(".")):
            continue
        if name.startswith("output."):
            if output_layer == "reinitialize":
                continue
            tensor = tensor[[units.index(action) for action in wanted]]
        if name not in own or own[name].shape != tensor.shape:
            expected = tuple(own[name].shape) if name in own else "no such layer"
            raise ValueError(
                f"{source}: {name} has shape {tuple(tensor.shape)}; expected {expected} "
                f"(network.size {network.settings.size})"
            )
        taken[name] = tensor.float()
    own.update(taken)
    network.load_state_dict(own)


def covariance_similarity(source: Matrix, target: Matrix) -> float:
    """Linear CKA of two covariance matrices [D, D] of the same D features: 0 to 1.

    Linear CKA (Kornblith et al. 2019, "Similarity of Neural Network Representations Revisited"; the
    RV coefficient of Robert and Escoufier 1976) compares what two sets of vectors say of the same
    items. Two games have no states in common but, in one network, the features; so these are the
    items here: <source, target> / (|source| |target|), Frobenius. 1: the features vary together in
    both games alike, up to a factor; 0: where they vary in one they do not in the other. 0 too
    where a game leaves all features constant.
    """
    norms = float(np.linalg.norm(source) * np.linalg.norm(target))
    return float((source * target).sum()) / norms if norms > 0 else 0.0


def explained_variance(source: Matrix, target: Matrix, share: float) -> float:
    """Share of the target's variance within the source's principal directions, 0 to 1.

    Those are the fewest eigenvectors of ``source`` that hold ``share`` of its variance; 1 minus
    this is the relative error of projecting the target's centered features onto them.
    """
    total = float(np.trace(target))
    values, vectors = np.linalg.eigh(source)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if total <= 0 or values.sum() <= 0:
        return 0.0
    # The sum of the shares may end just below 1.
    held = np.cumsum(values) / values.sum()
    count = min(int(np.searchsorted(held, share - 1e-12)) + 1, len(values))
    directions = vectors[:, :count]
    return float(np.trace(directions.T @ target @ directions)) / total


class FeatureMoments:
    """Covariances by game of a network's features over states that are visited; an ``observer``."""

    def __init__(self, network: AtariNetwork, heads: torch.Tensor) -> None:
        """``heads`` int64 [games]: which of the network's games' head each game takes."""
        self._network = network
        self._heads = heads
        width = network.feature_size
        self._count = np.zeros(len(heads))
        self._sums = np.zeros((len(heads), width))
        self._products = np.zeros((len(heads), width, width))

    @torch.no_grad()
    def __call__(self, frames: Frames, game_index: GameIndex) -> None:
        """Add these states."""
        rows = torch.from_numpy(np.asarray(game_index, dtype=np.int64))
        device = next(self._network.parameters()).device
        heads = self._heads[rows].to(device)
        output = self._network(torch.from_numpy(frames).to(device), heads)
        features = output.features.double().cpu().numpy()
        for game in np.unique(game_index):
            of_game = features[game_index == game]
            self._count[game] += len(of_game)
            self._sums[game] += of_game.sum(axis=0)
            self._products[game] += of_game.T @ of_game

    def covariance(self, game: int) -> Matrix:
        """Of the game's features, [D, D]."""
        mean = self._sums[game] / self._count[game]
        found: Matrix = self._products[game] / self._count[game] - np.outer(mean, mean)
        return found


def source_similarities(
    source: NetworkPolicy,
    target: str,
    settings: SimilaritySettings,
    evaluation: EvaluationSettings,
    environment: EnvironmentSettings,
    seed: int,
) -> list[dict[str, Any]]:
    """How like ``target`` each game of ``source`` is, the most similar first.

    ``settings.agent_steps`` states of each source game, as the network plays it with
    ``evaluation.epsilon``, and as many of the target under random play, which is how a DQN meets it
    first; compared are the features of the network's last hidden layer.

    Returns:
        A row for each source game: ``game``, ``cka`` (`covariance_similarity`) and ``explained``
        (`explained_variance`).
    """
    heads = torch.arange(len(source.games))
    played = FeatureMoments(source.network, heads)
    met = FeatureMoments(source.network, heads[:1])
    unknown = RandomPolicy([target], [minimal_actions(target)])
    length = evaluation.model_copy(
        update={"agent_steps": settings.agent_steps, "protocol": "paper"}
    )
    policies: list[tuple[Policy, FeatureMoments]] = [(source, played), (unknown, met)]
    for number, (policy, moments) in enumerate(policies):
        states = derive_seed(seed, Stream.SIMILARITY, number)
        evaluate(policy, length, environment, states, moments)
    there = met.covariance(0)
    rows = []
    for number, game in enumerate(source.games):
        here = played.covariance(number)
        rows.append(
            {
                "game": game,
                "cka": covariance_similarity(here, there),
                "explained": explained_variance(here, there, settings.variance),
            }
        )
    return sorted(rows, key=lambda row: -float(row["cka"]))
