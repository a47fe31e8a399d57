"""The feature regression networks f_i of equation 5, one per game, computed together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["GroupedLinear", "GroupedMlp"]


class GroupedLinear(nn.Module):
    """One linear map per game, all in one batched matrix product: ``[B, in] -> [B, out]``.

    The rows of a batch are ordered by game, the same number for each: rows 0 to B/G - 1 belong to
    game 0 and so on. Experts may have features of different widths: the maps are as wide as the
    widest, and what is past a game's own width is 0 and stays 0, because it regresses on zeros.

    Args:
        groups: G, the number of games.
        in_features: width of the student's features h_AMN.
        out_features: width of the experts' features h_E, for all games or one for each.

    Weights ``[G, out, in]`` and biases ``[G, out]`` start uniform in +-1/sqrt(in_features).

    Raises:
        ValueError: a size is not positive, or the widths are not one for each game.
    """

    def __init__(self, groups: int, in_features: int, out_features: int | Sequence[int]) -> None:
        super().__init__()
        widths = [out_features] * groups if isinstance(out_features, int) else list(out_features)
        for name, size in (("groups", groups), ("in_features", in_features)):
            if size < 1:
                raise ValueError(f"{name} is {size}; allowed: 1 or more")
        if len(widths) != groups or min(widths) < 1:
            raise ValueError(
                f"out_features is {out_features}; allowed: a positive width or {groups} of them"
            )
        self.groups = groups
        self.in_features = in_features
        self.out_features = max(widths)
        self.widths = tuple(widths)
        self.weight = nn.Parameter(torch.empty(groups, self.out_features, in_features))
        self.bias = nn.Parameter(torch.empty(groups, self.out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and biases anew."""
        bound = self.in_features**-0.5
        with torch.no_grad():
            self.weight.uniform_(-bound, bound)
            self.bias.uniform_(-bound, bound)
            for group, width in enumerate(self.widths):
                self.weight[group, width:] = 0
                self.bias[group, width:] = 0

    def forward(self, features: Tensor) -> Tensor:
        """Project ``[B, in_features]`` to ``[B, out_features]``, each row by its game's map.

        Raises:
            ValueError: the width is another, or B is no multiple of the number of games.
        """
        if features.dim() != 2 or features.shape[1] != self.in_features:
            raise ValueError(
                f"features has shape {tuple(features.shape)}; allowed: (B, {self.in_features})"
            )
        if features.shape[0] % self.groups:
            raise ValueError(
                f"features has {features.shape[0]} rows; allowed: multiples of {self.groups} games"
            )
        by_group = features.reshape(self.groups, -1, self.in_features)
        projected = torch.baddbmm(self.bias.unsqueeze(1), by_group, self.weight.transpose(1, 2))
        return projected.reshape(-1, self.out_features)

    def extra_repr(self) -> str:
        return f"groups={self.groups}, in_features={self.in_features}, widths={self.widths}"


class GroupedMlp(nn.Module):
    """Per game a hidden layer (ReLU) and a linear map, for rows ordered as in `GroupedLinear`.

    Args:
        groups, in_features, out_features: As there.
        hidden_features: width of the hidden layer; None for that of ``in_features``.
    """

    def __init__(
        self,
        groups: int,
        in_features: int,
        out_features: int | Sequence[int],
        hidden_features: int | None = None,
    ) -> None:
        super().__init__()
        width = in_features if hidden_features is None else hidden_features
        self.hidden = GroupedLinear(groups, in_features, width)
        self.output = GroupedLinear(groups, width, out_features)

    def forward(self, features: Tensor) -> Tensor:
        """Project ``[B, in_features]`` to ``[B, out_features]``, each row by its game's network."""
        projected: Tensor = self.output(torch.relu(self.hidden(features)))
        return projected
