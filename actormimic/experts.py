"""The teachers: one fixed DQN per game, loaded from a file and asked for its Q-values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from actormimic.checkpoint import load_weights
from actormimic.games import canonical_name
from actormimic.networks import NUM_ACTIONS, AtariNetwork, described_network
from actormimic.policy import (
    Actions,
    Frames,
    GameIndex,
    action_masks,
    mix_random,
    weights_path,
)


@dataclass(frozen=True)
class Expert:
    """A teacher of one game.

    ``network`` maps frames uint8 [B, 4, 84, 84] to Q-values [B, 18] in ALE's action numbers (0 for
    actions that are not the game's) and features [B, D]. Its weights never change.
    """

    game: str
    actions: tuple[int, ...]
    network: AtariNetwork

    @torch.no_grad()
    def q(self, frames: Tensor) -> Tensor:
        """Q-values float32 [B, 18]."""
        values: Tensor = self.network(frames).outputs
        return values


def load(
    source: str | Path,
    game: str,
    device: str = "cpu",
    precision: torch.dtype = torch.float32,
) -> Expert:
    """Read an expert of ``game``.

    Args:
        source: A weights file of this project, a run folder, or ``bundled`` for the package's own.
        game: The game in ALE's name.
        device: Where it is to compute.
        precision: Arithmetic of its hidden layers.

    Raises:
        ValueError: no such file, a damaged or foreign one, or an expert of another game.
    """
    game = canonical_name(game)
    path = bundled_path(game) if str(source) == "bundled" else weights_path(Path(source))
    tensors, header = load_weights(path)
    if list(header.games) != [game]:
        raise ValueError(
            f"{path} plays {', '.join(header.games)}; an expert of {game} alone is expected"
        )
    network = described_network(header.network, header.action_sets, precision)
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        message = " ".join(str(error).split())
        raise ValueError(f"{path} does not hold the network it describes: {message}") from error
    network.to(device).eval().requires_grad_(False)
    return Expert(game, tuple(header.action_sets[0]), network)


def bundled_games() -> list[str]:
    """Games that have an expert in the package."""
    folder = resources.files("actormimic") / "weights"
    if not folder.is_dir():
        return []
    return sorted(
        entry.name.removesuffix(".safetensors")
        for entry in folder.iterdir()
        if entry.name.endswith(".safetensors")
    )


def bundled_path(game: str) -> Path:
    """The file of the package's own expert of ``game``.

    Raises:
        ValueError: there is none; names those there are.
    """
    path = Path(str(resources.files("actormimic") / "weights")) / f"{game}.safetensors"
    if not path.is_file():
        known = ", ".join(bundled_games()) or "none yet"
        raise ValueError(f"no bundled expert of {game}; bundled: {known}")
    return path


class ExpertsPolicy:
    """The experts of several games as one policy: each row is asked of its game's expert."""

    def __init__(self, experts: Sequence[Expert]) -> None:
        self.games = tuple(expert.game for expert in experts)
        self._experts = list(experts)
        self._masks = action_masks([expert.actions for expert in experts])
        self._device = next(experts[0].network.parameters()).device
        self._valid = torch.from_numpy(self._masks).to(self._device)
        self.feature_widths = [expert.network.feature_size for expert in experts]
        self.feature_size = max(self.feature_widths)

    @torch.no_grad()
    def label(self, frames: Frames, game_index: GameIndex) -> tuple[Tensor, Tensor]:
        """Q-values [N, 18] and features [N, D], narrower experts' padded with zeros."""
        values = torch.zeros(len(frames), NUM_ACTIONS, device=self._device)
        features = torch.zeros(len(frames), self.feature_size, device=self._device)
        for game, expert in enumerate(self._experts):
            rows = np.flatnonzero(game_index == game)
            if len(rows) == 0:
                continue
            # Lanes of a game are neighbors in the pool, so their rows are a slice, not a copy.
            block = (
                slice(int(rows[0]), int(rows[-1]) + 1)
                if rows[-1] - rows[0] + 1 == len(rows)
                else rows
            )
            batch = torch.from_numpy(frames[block]).to(self._device)
            output = expert.network(batch)
            values[block] = output.outputs
            features[block, : output.features.shape[1]] = output.features.float()
        return values, features

    def outputs(self, frames: Frames, game_index: GameIndex) -> Tensor:
        """Q-values [N, 18], -inf where an action is not the game's."""
        rows = torch.from_numpy(np.asarray(game_index, dtype=np.int64)).to(self._device)
        return self.label(frames, game_index)[0].masked_fill(~self._valid[rows], -torch.inf)

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """epsilon-greedy actions in ALE's numbers, int64 [N]."""
        greedy: Actions = self.outputs(frames, game_index).argmax(dim=1).cpu().numpy()
        return mix_random(greedy, self._masks[game_index], epsilon, rng)


def experts_policy(
    sources: Mapping[str, str | Path],
    device: str = "cpu",
    precision: torch.dtype = torch.float32,
) -> ExpertsPolicy:
    """Load one expert per game of ``sources``."""
    return ExpertsPolicy(
        [load(source, game, device, precision) for game, source in sources.items()]
    )
