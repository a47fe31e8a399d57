"""The networks of the paper: convolutions, hidden layers, and 18 masked outputs (appendices B-D).

Every network maps frames ``uint8 [B, 4, 84, 84]`` to ``[B, 18]`` outputs in ALE's action numbers
and ``[B, D]`` features, the activations of the layer before the output (section 3.2). Weights and
biases start as in Torch7 and PyTorch alike, uniform within 1/sqrt(fan_in), unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from actormimic.games import NUM_ACTIONS
from actormimic.sections import NetworkSettings

FRAME_SHAPE = (84, 84)
STACK = 4


class Architecture(NamedTuple):
    """Layers of a network: convolutions as (filters, kernel, stride), hidden layers' widths."""

    convolutions: tuple[tuple[int, int, int], ...]
    hidden: tuple[int, ...]


PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

ARCHITECTURES = {
    "small": Architecture(((32, 8, 4), (64, 4, 2), (64, 3, 1)), (512,)),
    "large": Architecture(((256, 8, 4), (512, 4, 2), (512, 3, 1), (512, 3, 1)), (2048, 1024)),
    "nips2013": Architecture(((16, 8, 4), (32, 4, 2)), (256,)),
}


class NetworkOutput(NamedTuple):
    """``outputs [B, 18]`` float32 (Q-values or logits) and ``features [B, D]``."""

    outputs: Tensor
    features: Tensor


class AtariNetwork(nn.Module):
    """One network for one or several games. Frames laid out channels-last are taken as they are.

    Args:
        settings: Size, first padding, whether only a game's valid actions have output units, and
            the distribution of the first weights.
        action_sets: For each game its valid actions in ALE's numbers.
        heads: ``shared``: one hidden part and output for all games (AMN, MDQN, expert);
            ``separate``: only the convolutions are shared (MCDQN, appendix C).
        precision: Arithmetic of convolutions and hidden layers. The output layer is always
            float32: bfloat16 resolves 1/256 near 1, and gaps of Pong's action values are as small.

    Raises:
        ValueError: ``outputs: valid`` for several games with one shared head.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        action_sets: Sequence[Sequence[int]],
        *,
        heads: str = "shared",
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        architecture = ARCHITECTURES[settings.size]
        valid_only = settings.outputs == "valid"
        if valid_only and heads == "shared" and len(action_sets) > 1:
            raise ValueError(
                f"network.outputs is 'valid' for {len(action_sets)} games with one output layer; "
                "allowed: all"
            )
        self.settings = settings
        self.heads = heads
        self.precision = precision
        self.num_games = len(action_sets)
        channels, side = STACK, FRAME_SHAPE[0]
        self.convolutions = nn.ModuleDict()
        for number, (filters, kernel, stride) in enumerate(architecture.convolutions, 1):
            padding = settings.conv1_padding if number == 1 else 0
            layer = nn.Conv2d(channels, filters, kernel, stride, padding)
            _initialize(layer, settings.initialization)
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
            self.convolutions[f"conv{number}"] = layer
            channels, side = filters, (side + 2 * padding - kernel) // stride + 1
        self.feature_size = architecture.hidden[-1]
        parts = self.num_games if heads == "separate" else 1
        self.hidden = nn.ModuleList()
        self.output = nn.ModuleList()
        for part in range(parts):
            width = channels * side * side
            stack = nn.ModuleDict()
            for number, units in enumerate(architecture.hidden, 1):
                stack[f"fc{number}"] = hidden = nn.Linear(width, units)
                _initialize(hidden, settings.initialization)
                width = units
            self.hidden.append(stack)
            units = len(action_sets[part]) if valid_only else NUM_ACTIONS
            self.output.append(nn.Linear(width, units))
        # Where a head has units for the valid actions only, this says which of the 18 they are.
        for part, actions in enumerate(action_sets if valid_only else ()):
            self.register_buffer(f"_columns{part}", torch.tensor(actions), persistent=False)
        self._valid_only = valid_only

    def description(self) -> dict[str, Any]:
        """What :func:`described_network` builds it from again."""
        return {**self.settings.model_dump(exclude={"initialization"}), "heads": self.heads}

    def forward(
        self, frames: Tensor, game_index: Tensor | None = None, *, by_game: bool = False
    ) -> NetworkOutput:
        """Outputs and features of ``frames`` [B, 4, 84, 84]: uint8, or floats of byte / 255.

        ``game_index`` [B] says whose head each row takes; only ``separate`` heads need it. With
        ``by_game`` the rows are in the games' order, equally many of each, as batches are that the
        rings gather: nothing is looked up then, which on a GPU the host would have to wait for.
        Outputs of actions without a unit are 0: mask them, as all outputs of invalid actions.
        """
        with torch.autocast(
            frames.device.type, self.precision, enabled=self.precision != torch.float32
        ):
            hidden = self._convolve(frames)
            if self.heads == "shared":
                features = self._features(0, hidden)
                return NetworkOutput(self._outputs(0, features), features)
            if by_game:
                each = hidden.view(self.num_games, -1, hidden.shape[1])
                parts = [self._features(game, own) for game, own in enumerate(each)]
                played = [self._outputs(game, part) for game, part in enumerate(parts)]
                return NetworkOutput(torch.cat(played), torch.cat(parts))
            if game_index is None:
                raise ValueError("game_index is missing; separate heads need one per row")
            features = hidden.new_empty(len(frames), self.feature_size)
            outputs = torch.zeros(len(frames), NUM_ACTIONS, device=frames.device)
            for game in range(self.num_games):
                rows = torch.nonzero(game_index == game).flatten()
                part = self._features(game, hidden[rows])
                features = features.index_copy(0, rows, part)
                outputs = outputs.index_copy(0, rows, self._outputs(game, part))
            return NetworkOutput(outputs, features)

    def _convolve(self, frames: Tensor) -> Tensor:
        if not frames.is_contiguous(memory_format=torch.channels_last):
            # Bytes interleaved plane by plane: three times as fast as torch's own reordering.
            frames = torch.stack(frames.unbind(1), dim=-1).permute(0, 3, 1, 2)
        normalized = frames.is_floating_point()
        x = frames if normalized else frames.to(torch.float32)
        for number, layer in enumerate(self.convolutions.values()):
            assert isinstance(layer, nn.Conv2d)
            # Scaling a few thousand weights by 1/255 is the same as scaling every pixel.
            weight = layer.weight * (1 / 255) if number == 0 and not normalized else layer.weight
            x = functional.conv2d(x, weight, layer.bias, layer.stride, layer.padding)
            x = functional.relu(x)
        # Flattened in (channel, row, column) order, as weights written by other libraries expect.
        return x.contiguous().flatten(1)

    def _features(self, part: int, x: Tensor) -> Tensor:
        for layer in self.hidden[part].values():  # type: ignore[operator]
            x = functional.relu(layer(x))
        return x

    def _outputs(self, part: int, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            values: Tensor = self.output[part](features.float())
        if not self._valid_only:
            return values
        scattered = values.new_zeros(len(values), NUM_ACTIONS)
        return scattered.index_copy(1, self.get_buffer(f"_columns{part}"), values)


def _initialize(layer: nn.Conv2d | nn.Linear, initialization: str) -> None:
    """First weights of a layer before a rectifier; the output layer keeps PyTorch's."""
    if initialization == "he":
        # Activations keep their size from layer to layer; PyTorch's bound, smaller by a factor of
        # sqrt(6), shrinks them.
        assert layer.bias is not None
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def seeded_network(
    settings: NetworkSettings,
    action_sets: Sequence[Sequence[int]],
    seed: int,
    *,
    heads: str = "shared",
    precision: torch.dtype = torch.float32,
) -> AtariNetwork:
    """A network whose initial weights depend on ``seed`` alone, not on torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AtariNetwork(settings, action_sets, heads=heads, precision=precision)


def described_network(
    description: Mapping[str, Any],
    action_sets: Sequence[Sequence[int]],
    precision: torch.dtype = torch.float32,
) -> AtariNetwork:
    """The network of a weights file's header, with fresh weights.

    Raises:
        ValueError: a description of another version.
    """
    settings = dict(description)
    heads = settings.pop("heads", "shared")
    return AtariNetwork(NetworkSettings(**settings), action_sets, heads=heads, precision=precision)
