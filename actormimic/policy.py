"""epsilon-greedy acting for the lanes of all games in one forward pass (section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actormimic.checkpoint import load_weights
from actormimic.games import NUM_ACTIONS
from actormimic.networks import AtariNetwork, described_network
from actormimic.run_files import Weights, weights_name

Frames = npt.NDArray[np.uint8]
Actions = npt.NDArray[np.int64]
GameIndex = npt.NDArray[np.int32]


class Policy(Protocol):
    """Whatever picks actions for lanes of several games."""

    games: tuple[str, ...]

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """Actions in ALE's numbers, int64 [N], for frames uint8 [N, 4, 84, 84].

        ``game_index`` int32 [N] counts in ``games``.
        """
        ...


def action_masks(action_sets: Sequence[Sequence[int]]) -> npt.NDArray[np.bool_]:
    """bool [games, 18]: which of ALE's actions each game has."""
    masks = np.zeros((len(action_sets), NUM_ACTIONS), dtype=np.bool_)
    for row, actions in zip(masks, action_sets, strict=True):
        row[list(actions)] = True
    return masks


def to_device(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """The array on ``device``; on the CPU itself. Nothing waits for the copy: it is made of pinned
    memory, which torch keeps until the device has read it, and what follows is queued behind it."""
    tensor = torch.from_numpy(array)
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def mix_random(
    actions: Actions,
    masks: npt.NDArray[np.bool_],
    epsilon: float,
    rng: np.random.Generator,
) -> Actions:
    """Replace each action, with probability ``epsilon``, by a uniform one of its row of ``masks``.

    ``masks`` is bool [N, 18]. Always draws 2 N numbers, so that what is drawn later does not depend
    on epsilon.
    """
    draws = rng.random((2, len(actions)))
    counts = masks.sum(axis=1)
    rank = np.minimum((draws[1] * counts).astype(np.int64), counts - 1)
    # The rank-th valid action of a row is where its running count first exceeds the rank.
    chosen = (np.cumsum(masks, axis=1) > rank[:, None]).argmax(axis=1)
    return np.where(draws[0] < epsilon, chosen, actions).astype(np.int64)


class RandomPolicy:
    """Uniform play over each game's valid actions."""

    def __init__(self, games: Sequence[str], action_sets: Sequence[Sequence[int]]) -> None:
        self.games = tuple(games)
        self._masks = action_masks(action_sets)

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """Uniform valid actions; ``epsilon`` and ``frames`` do not matter."""
        masks = self._masks[game_index]
        return mix_random(np.zeros(len(masks), dtype=np.int64), masks, 1.0, rng)


class NetworkPolicy:
    """A network that plays its games.

    Args:
        network: On the device where it is to act; its weights may go on changing.
        games: What ``game_index`` counts.
        action_sets: For each game its valid actions in ALE's numbers.
        selection: The non-random action: ``argmax``, or ``sample`` from the softmax of the outputs.
    """

    def __init__(
        self,
        network: AtariNetwork,
        games: Sequence[str],
        action_sets: Sequence[Sequence[int]],
        selection: str = "argmax",
    ) -> None:
        self.network = network
        self.games = tuple(games)
        self.action_sets = [list(actions) for actions in action_sets]
        self.device = next(network.parameters()).device
        self._selection = selection
        self._masks = action_masks(action_sets)
        # Which of the network's games each of ours is: a restricted policy keeps their heads.
        self._heads = torch.arange(len(self.games), device=self.device)
        self._device_masks = torch.from_numpy(self._masks).to(self.device)

    def restricted(self, games: Sequence[str]) -> NetworkPolicy:
        """The same network for some of its games, in the order of ``games``.

        Raises:
            ValueError: a game that it does not play.
        """
        for game in games:
            if game not in self.games:
                raise ValueError(f"no {game} in this network; it plays {', '.join(self.games)}")
        rows = [self.games.index(game) for game in games]
        policy = NetworkPolicy(
            self.network, games, [self.action_sets[row] for row in rows], self._selection
        )
        policy._heads = self._heads[rows]
        return policy

    @torch.no_grad()
    def outputs(self, frames: Frames, game_index: GameIndex) -> Tensor:
        """The network's outputs [N, 18], -inf where an action is not the game's."""
        rows = to_device(np.asarray(game_index, dtype=np.int64), self.device)
        values: Tensor = self.network(to_device(frames, self.device), self._heads[rows]).outputs
        return values.masked_fill(~self._device_masks[rows], -torch.inf)

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """epsilon-greedy actions in ALE's numbers, int64 [N]."""
        values = self.outputs(frames, game_index)
        if self._selection == "sample":
            # The largest of logits plus Gumbel noise is a draw from their softmax.
            noise = rng.gumbel(size=tuple(values.shape)).astype(np.float32)
            values = values + to_device(noise, self.device)
        actions: Actions = values.argmax(dim=1).cpu().numpy()
        return mix_random(actions, self._masks[game_index], epsilon, rng)


def load(
    source: str | Path, device: str = "cpu", precision: torch.dtype = torch.float32
) -> NetworkPolicy:
    """The policy kept in a weights file or in a run folder (its final or newest weights).

    Raises:
        ValueError: the file is damaged or foreign, or the folder holds no weights.
    """
    path = weights_path(Path(source))
    tensors, header = load_weights(path)
    network = described_network(header.network, header.action_sets, precision)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the network that it describes: {error}") from error
    network.to(device).eval()
    return NetworkPolicy(network, header.games, header.action_sets)


def weights_path(source: Path) -> Path:
    """The weights file that ``source`` means: itself, or a run folder's.

    Raises:
        ValueError: nothing there.
    """
    if source.is_dir():
        choices: tuple[Weights, ...] = ("final", "newest")
        for which in choices:
            if (source / weights_name(which)).is_file():
                return source / weights_name(which)
        raise ValueError(f"{source} holds no weights ({weights_name('final')})")
    if not source.is_file():
        raise ValueError(f"{source} does not exist; a weights file or a run folder is needed")
    return source
