"""The teachers: one fixed DQN per game, loaded from a file and asked for its Q-values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from actormimic.bundled import bundled_path
from actormimic.checkpoint import load_weights, tensors_digest
from actormimic.foreign_weights import read_foreign
from actormimic.games import NUM_ACTIONS, OLDER_MINIMAL_ACTIONS, canonical_name, minimal_actions
from actormimic.networks import AtariNetwork, described_network
from actormimic.policy import (
    Actions,
    Frames,
    GameIndex,
    action_masks,
    mix_random,
    to_device,
    weights_path,
)
from actormimic.sections import ExpertFile, NetworkSettings

_ALL_ACTIONS = tuple(range(NUM_ACTIONS))


@dataclass(frozen=True)
class Expert:
    """A teacher of one game.

    ``network`` maps frames uint8 [B, 4, 84, 84] to Q-values [B, 18] in ALE's action numbers and
    features [B, D]; its weights never change. ``actions`` are the game's minimal set, or fewer
    where the network has outputs for some of them only; the other Q-values mean nothing.
    ``agent_steps`` of training lie behind it; None where its file does not say. ``environment`` are
    the settings it was trained with, as far as its file says.
    """

    game: str
    actions: tuple[int, ...]
    network: AtariNetwork
    agent_steps: int | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)

    @torch.no_grad()
    def q(self, frames: Tensor) -> Tensor:
        """Q-values float32 [B, 18]."""
        values: Tensor = self.network(frames).outputs
        return values


def load(
    source: str | Path | ExpertFile,
    game: str,
    device: str = "cpu",
    precision: torch.dtype = torch.float32,
) -> Expert:
    """Read an expert of ``game``. Nothing in the file is executed, whoever wrote it.

    Args:
        source: A weights file of this project, a run folder, ``bundled`` for the package's own, or
            a file of another library: a Stable-Baselines3 DQN ``.zip`` or a state dict (CleanRL's
            or a plain one) of the 2013 or the 2015 network. An `ExpertFile` says of the latter what
            it does not say itself.
        game: The game in ALE's name.
        device: Where it is to compute.
        precision: Arithmetic of its hidden layers.

    Raises:
        ValueError: no such file, a damaged or foreign one, or an expert of another game.
    """
    game = canonical_name(game)
    wanted = source if isinstance(source, ExpertFile) else ExpertFile(file=str(source))
    if wanted.file == "bundled":
        path = bundled_path(game)
    else:
        path = weights_path(Path(wanted.file).expanduser())
    read = _read_own if path.suffix == ".safetensors" else _read_foreign
    expert = read(path, wanted, game, precision)
    expert.network.to(device).eval().requires_grad_(False)
    return expert


def _read_own(path: Path, wanted: ExpertFile, game: str, precision: torch.dtype) -> Expert:
    tensors, header = load_weights(path)
    if list(header.games) != [game]:
        raise ValueError(
            f"{path} plays {', '.join(header.games)}; an expert of {game} alone is expected"
        )
    for name in ("pixels", "actions"):
        if getattr(wanted, name) is not None:
            raise ValueError(f"{name} is given for {path}, which says so itself; allowed: null")
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path}: {name} holds values that are no finite numbers")
    actions = header.action_sets[0]
    if not set(actions) <= set(minimal_actions(game)):
        raise ValueError(f"{path} has actions that {game} has not; allowed: {_listed(game)}")
    try:
        network = described_network(header.network, [actions], precision)
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (RuntimeError, TypeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ValueError(f"{path} does not hold the network it describes: {message}") from error
    environment = header.settings.get("environment", {})
    return Expert(game, actions, network, header.agent_steps, environment)


def _read_foreign(path: Path, wanted: ExpertFile, game: str, precision: torch.dtype) -> Expert:
    weights = read_foreign(path)
    if None not in (weights.pixels, wanted.pixels) and weights.pixels != wanted.pixels:
        raise ValueError(
            f"pixels is {wanted.pixels!r}, but {path} says {weights.pixels!r}; allowed: null"
        )
    actions = _head_actions(path, weights.outputs, wanted.actions, game)
    settings = NetworkSettings.model_validate(
        {"size": weights.size, "outputs": "all" if actions == _ALL_ACTIONS else "valid"}
    )
    network = AtariNetwork(settings, [actions], precision=precision)
    tensors = dict(weights.tensors)
    if (wanted.pixels or weights.pixels) == "bytes":
        first = next(name for name in tensors if name.endswith("conv1.weight"))
        tensors[first] = tensors[first] * 255  # AtariNetwork takes pixels in [0, 1]
    network.load_state_dict(tensors)
    valid = set(minimal_actions(game))
    return Expert(game, tuple(sorted(set(actions) & valid)), network)


def _head_actions(
    path: Path, outputs: int, given: Sequence[int] | None, game: str
) -> tuple[int, ...]:
    """ALE's number of each output of a head that does not say which actions it has."""
    minimal = minimal_actions(game)
    if given is not None:
        if len(given) != outputs:
            raise ValueError(
                f"actions has {len(given)} entries, but {path} has {outputs} outputs; "
                "allowed: one for each"
            )
        if len(set(given)) < outputs or not set(given) <= set(minimal):
            raise ValueError(
                f"actions is {list(given)}; allowed for {game}: each once of {_listed(game)}"
            )
        return tuple(given)
    if outputs == len(minimal):
        return minimal
    if outputs == NUM_ACTIONS:
        return _ALL_ACTIONS
    hint = "actions: [...]"
    older = OLDER_MINIMAL_ACTIONS.get(game, ())
    if outputs == len(older):
        hint += f" (the emulator of the paper's authors had {list(older)})"
    raise ValueError(
        f"{path} has {outputs} outputs; expected for {game}: {len(minimal)} ({_listed(game)}) or "
        f"{NUM_ACTIONS}, or their numbers in ALE as {hint}"
    )


def _listed(game: str) -> str:
    return ", ".join(map(str, minimal_actions(game)))


class ExpertsPolicy:
    """The experts of several games as one policy: each row is asked of its game's expert."""

    def __init__(self, experts: Sequence[Expert]) -> None:
        self.games = tuple(expert.game for expert in experts)
        self.action_sets = [expert.actions for expert in experts]
        self.agent_steps = [expert.agent_steps for expert in experts]
        self.environments = [expert.environment for expert in experts]
        self._experts = list(experts)
        self._masks = action_masks(self.action_sets)
        self._device = next(experts[0].network.parameters()).device
        self._valid = torch.from_numpy(self._masks).to(self._device)
        self.feature_widths = [expert.network.feature_size for expert in experts]
        self.feature_size = max(self.feature_widths)

    @cached_property
    def digests(self) -> dict[str, str]:
        """For each game the SHA-256 of its expert's weights, which never change."""
        return {
            expert.game: tensors_digest(expert.network.state_dict(), {"actions": expert.actions})
            for expert in self._experts
        }

    @torch.no_grad()
    def label(self, frames: Frames, game_index: GameIndex) -> tuple[Tensor, Tensor]:
        """Q-values [N, 18] and features [N, D], narrower experts' padded with zeros."""
        values = torch.zeros(len(frames), NUM_ACTIONS, device=self._device)
        features = torch.zeros(len(frames), self.feature_size, device=self._device)
        batch = to_device(frames, self._device)  # once for all games
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
            output = expert.network(batch[block])
            values[block] = output.outputs
            features[block, : output.features.shape[1]] = output.features.float()
        return values, features

    def outputs(self, frames: Frames, game_index: GameIndex) -> Tensor:
        """Q-values [N, 18], -inf where an action is not the game's."""
        rows = to_device(np.asarray(game_index, dtype=np.int64), self._device)
        return self.label(frames, game_index)[0].masked_fill(~self._valid[rows], -torch.inf)

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """epsilon-greedy actions in ALE's numbers, int64 [N]."""
        greedy: Actions = self.outputs(frames, game_index).argmax(dim=1).cpu().numpy()
        return mix_random(greedy, self._masks[game_index], epsilon, rng)


def experts_policy(
    sources: Mapping[str, str | Path | ExpertFile],
    device: str = "cpu",
    precision: torch.dtype = torch.float32,
) -> ExpertsPolicy:
    """Load one expert per game of ``sources``."""
    return ExpertsPolicy(
        [load(source, game, device, precision) for game, source in sources.items()]
    )
