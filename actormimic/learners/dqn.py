"""Deep Q-learning (eq. 1 and 2; Mnih et al. 2015), for one game or, masked, for several.

A single-game learner is the paper's expert; with several games it is MDQN (one masked output) or
MCDQN (separate heads over shared convolutions) of appendix C; started from an Actor-Mimic network
it is the transfer of section 3.4.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from actormimic.learners.batches import Draws, Extras
from actormimic.networks import AtariNetwork
from actormimic.optim import make_optimizer, schedule_rate
from actormimic.policy import Actions, Frames, GameIndex, NetworkPolicy, action_masks
from actormimic.sections import DqnSettings, OptimizerSettings


def td_targets(
    rewards: Tensor, discounts: Tensor, next_target: Tensor, next_online: Tensor | None
) -> Tensor:
    """The targets of eq. 2, [B].

    Args:
        rewards: [B], clipped n-step returns.
        discounts: [B], gamma^n, or 0 where the return ended with the episode.
        next_target: [B, 18], the target network's values of the state to bootstrap from, -inf where
            an action is not the game's.
        next_online: With double Q-learning the online network's; else None.
    """
    if next_online is None:
        values = next_target.amax(dim=1)
    else:
        values = next_target.gather(1, next_online.argmax(dim=1, keepdim=True)).squeeze(1)
    return rewards + discounts * values


def td_loss(errors: Tensor, td_clip: float, reduction: str) -> Tensor:
    """Half the squared errors, their gradient bounded by ``td_clip`` (0: unbounded)."""
    zero = torch.zeros_like(errors)
    if td_clip == 0:
        return 0.5 * functional.mse_loss(errors, zero, reduction=reduction)
    return functional.huber_loss(errors, zero, reduction=reduction, delta=td_clip)


class DqnLearner:
    """Online and target network, their optimizer, and one update.

    Args:
        network: The online network, on its device; the target starts as its copy.
        games, action_sets: What it plays.
        settings, optimizer: How it learns.
        frozen: Names of layers (``conv1`` ... ``fc2``) whose weights stay.
    """

    def __init__(
        self,
        network: AtariNetwork,
        games: Sequence[str],
        action_sets: Sequence[Sequence[int]],
        settings: DqnSettings,
        optimizer: OptimizerSettings,
        frozen: Sequence[str] = (),
    ) -> None:
        self.network = network
        self.target = copy.deepcopy(network).requires_grad_(False)
        self.policy = NetworkPolicy(network, games, action_sets)
        self.settings = settings
        self.extras: Extras = {}
        self.draws = Draws(
            ("obs", "actions", "rewards", "next_obs", "discounts"),
            n_step=settings.n_step,
            discount=settings.discount,
        )
        for name, parameter in network.named_parameters():
            if any(f".{layer}." in f".{name}." for layer in frozen):
                parameter.requires_grad_(False)
        learned = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(learned, optimizer)
        self._optimizer_settings = optimizer
        self._device = next(network.parameters()).device
        self._masks = torch.from_numpy(action_masks(action_sets)).to(self._device)

    def at(self, agent_steps: int) -> dict[str, float]:
        """Put the step size to where its schedule stands; epsilon's is the loop's."""
        return schedule_rate(self.optimizer, self._optimizer_settings, agent_steps)

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """epsilon-greedy actions in ALE's numbers, int64 [N]."""
        return self.policy.act(frames, game_index, epsilon, rng)

    def stored_rewards(self, rewards: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rewards as the ring keeps them: clipped for learning."""
        bound = self.settings.reward_clip
        return rewards if bound == 0 else np.clip(rewards, -bound, bound)

    def label(self, frames: Frames, game_index: GameIndex) -> Mapping[str, Any]:
        """Q-learning keeps nothing beside the frames."""
        return {}

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One update from ``batch``; its losses, left on the device."""
        valid = self._masks[batch["game"]]
        with torch.no_grad():
            next_target = self.target(batch["next_obs"], by_game=True).outputs
            next_target = next_target.masked_fill(~valid, -torch.inf)
            next_online = None
            if self.settings.double:
                next_online = self.network(batch["next_obs"], by_game=True).outputs
                next_online = next_online.masked_fill(~valid, -torch.inf)
            targets = td_targets(batch["rewards"], batch["discounts"], next_target, next_online)
        values = self.network(batch["obs"], by_game=True).outputs
        taken = values.gather(1, batch["actions"].long().unsqueeze(1)).squeeze(1)
        loss = td_loss(taken - targets, self.settings.td_clip, self.settings.reduction)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"update/loss": loss.detach(), "update/q": taken.detach().mean()}

    def after_steps(self, agent_steps: int, before: int, updates: int, updates_before: int) -> None:
        """Copy the target network if its period passed between the two counts."""
        period = self.settings.target_period
        now, then = (
            (updates, updates_before)
            if self.settings.target_unit == "updates"
            else (agent_steps, before)
        )
        if now // period > then // period:
            self.target.load_state_dict(self.network.state_dict())

    def teachers(self) -> dict[str, str]:
        """None: rewards teach."""
        return {}

    def modules(self) -> dict[str, torch.nn.Module]:
        """What a checkpoint keeps, by name."""
        return {"network": self.network, "target": self.target}
