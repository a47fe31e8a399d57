"""The Actor-Mimic learner: one student regresses to several experts (section 3).

The experts' Q-values, and their features where beta is not 0, are computed once for each state when
it is seen and lie beside the frame in the ring; experts are fixed, so that is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from actormimic.distillation_loss import unit_gradient
from actormimic.experts import ExpertsPolicy
from actormimic.games import NUM_ACTIONS
from actormimic.learners.batches import Draws, Extras
from actormimic.losses import actor_mimic_loss
from actormimic.networks import AtariNetwork
from actormimic.optim import make_optimizer, schedule_rate
from actormimic.policy import Actions, Frames, GameIndex, NetworkPolicy, action_masks, mix_random
from actormimic.projections import GroupedLinear, GroupedMlp
from actormimic.schedules import is_scheduled, largest, value_at
from actormimic.sections import ActorMimicSettings, OptimizerSettings


class ActorMimicLearner:
    """Student, feature heads f_i, their optimizer, and one update of eq. 6.

    Args:
        network: The student, on its device.
        experts: The teachers of all games, on the same device.
        games, action_sets: What it plays.
        settings, optimizer: The objective, and how it is minimized.
        heads_seed: Initial weights of the feature heads.
        feature_dtype: How features are stored in the ring.
    """

    def __init__(
        self,
        network: AtariNetwork,
        experts: ExpertsPolicy,
        games: Sequence[str],
        action_sets: Sequence[Sequence[int]],
        settings: ActorMimicSettings,
        optimizer: OptimizerSettings,
        heads_seed: int,
        feature_dtype: str = "float16",
    ) -> None:
        self.network = network
        self.experts = experts
        self.settings = settings
        self.student = NetworkPolicy(network, games, action_sets, settings.selection)
        self._expert_share = value_at(settings.expert_share, 0)
        self._labels: Mapping[str, Any] | None = None
        self._device = next(network.parameters()).device
        self._valid = action_masks(action_sets)
        self._masks = torch.from_numpy(self._valid).to(self._device)
        self._stored: torch.dtype = getattr(torch, feature_dtype)
        self.heads: nn.Module | None = None
        width = experts.feature_size
        self.extras: Extras = {"expert_q": ((NUM_ACTIONS,), np.float32)}
        if largest(settings.beta) > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(heads_seed)
                head = GroupedLinear if settings.feature_head == "linear" else GroupedMlp
                self.heads = head(len(games), network.feature_size, experts.feature_widths).to(
                    self._device
                )
            self.extras["expert_features"] = ((width,), np.dtype(feature_dtype))
        learned = list(network.parameters())
        if self.heads is not None:
            learned += list(self.heads.parameters())
        self.optimizer = make_optimizer(learned, optimizer)
        self._optimizer_settings = optimizer
        self.draws = Draws(("obs", *self.extras))
        # What schedules give lies on the device, where a captured update reads it anew each time.
        self._beta: Tensor | None = None
        if is_scheduled(settings.beta):
            self._beta = torch.zeros((), device=self._device)
        self._weights = {game: settings.game_weights.get(game, 1.0) for game in games}
        self._game_weights: Tensor | None = None
        if settings.game_weights:
            starts = [value_at(weight, 0) for weight in self._weights.values()]
            self._game_weights = torch.tensor(starts, device=self._device)
        self.at(0)

    def at(self, agent_steps: int) -> dict[str, float]:
        """Put the schedules to where they stand after ``agent_steps`` per game; their values."""
        settings = self.settings
        values = schedule_rate(self.optimizer, self._optimizer_settings, agent_steps)
        if self._beta is not None:
            values["beta"] = value_at(settings.beta, agent_steps)
            self._beta.fill_(values["beta"])
        if self._game_weights is not None:
            for row, (game, weight) in zip(self._game_weights, self._weights.items(), strict=True):
                if is_scheduled(weight):
                    values[f"game_weight/{game}"] = value_at(weight, agent_steps)
                    # One by one: a copy from the host would wait for the device.
                    row.fill_(values[f"game_weight/{game}"])
        if is_scheduled(settings.expert_share):
            self._expert_share = value_at(settings.expert_share, agent_steps)
            values["expert_share"] = self._expert_share
        return values

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """epsilon-greedy actions by whom ``acting`` names (section 3.1), int64 [N]."""
        if self.settings.acting == "student":
            return self.student.act(frames, game_index, epsilon, rng)
        # What the experts would do is in the labels, which are asked for next: they look once.
        self._labels = self._look(frames, game_index)
        masks = self._valid[game_index]
        chosen = np.where(masks, self._labels["expert_q"], -np.inf).argmax(axis=1)
        if self.settings.acting == "mixture":
            by_student = self.student.act(frames, game_index, 0.0, rng)
            chosen = np.where(rng.random(len(frames)) < self._expert_share, chosen, by_student)
        return mix_random(chosen, masks, epsilon, rng)

    def stored_rewards(self, rewards: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rewards play no part in imitation; the ring keeps them raw."""
        return rewards

    def label(self, frames: Frames, game_index: GameIndex) -> Mapping[str, Any]:
        """What the experts think of these states: ``expert_q`` [N, 18], ``expert_features``.

        Where an expert acts, these are the states that `act` was asked about last.
        """
        labels, self._labels = self._labels, None
        return self._look(frames, game_index) if labels is None else labels

    def _look(self, frames: Frames, game_index: GameIndex) -> Mapping[str, Any]:
        values, features = self.experts.label(frames, game_index)
        labels = {"expert_q": values.float().cpu().numpy()}
        if self.heads is not None:
            # Rounded first: half as much to bring back.
            labels["expert_features"] = features.to(self._stored).cpu().numpy()
        return labels

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One update of eq. 6 from ``batch``; its losses, left on the device."""
        outputs, features = self.network(batch["obs"], by_game=True)
        predicted = None
        if self.heads is not None:
            predicted = self.heads(features.float())
        settings, weights = self.settings, self._game_weights
        # A beta that changes is no constant of the loss: its feature part is scaled afterwards.
        constant = value_at(settings.beta, 0) if self._beta is None else 0.0
        loss = actor_mimic_loss(
            outputs,
            batch["expert_q"],
            self._masks[batch["game"]],
            temperature=settings.temperature,
            objective=settings.objective,
            predicted_features=predicted,
            expert_features=batch.get("expert_features"),
            beta=constant,
            feature_factor=settings.feature_factor,
            weight=None if weights is None else weights[batch["game"]],
            reduction=settings.reduction,
        )
        total = loss.total
        if self._beta is not None:
            total = loss.policy + self._beta * settings.feature_factor * loss.feature
        self.optimizer.zero_grad(set_to_none=True)
        total.backward(unit_gradient(total))  # type: ignore[no-untyped-call]
        self.optimizer.step()
        metrics = {
            "update/loss": total.detach(),
            "update/policy_loss": loss.policy.detach(),
        }
        if self.heads is not None:
            metrics["update/feature_loss"] = loss.feature.detach()
        return metrics

    def after_steps(self, agent_steps: int, before: int, updates: int, updates_before: int) -> None:
        """Imitation has no target network to copy."""

    def teachers(self) -> dict[str, str]:
        """The experts' digests; their labels lie in the rings and are not computed again."""
        return self.experts.digests

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint keeps, by name."""
        kept: dict[str, nn.Module] = {"network": self.network}
        if self.heads is not None:
            kept["heads"] = self.heads
        return kept
