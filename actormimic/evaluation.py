"""Test epochs: how well a policy plays, and how closely a student imitates (section 5).

Two protocols. ``paper`` is the paper's: one stream of agent steps per game; the score is the mean
raw reward of the episodes completed in it (of the partial one if none was). ``batched`` plays many
lanes per game: every episode that STARTS within a lane's share of the agent steps is played to its
end, so that short episodes are not favored by the cut at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from actormimic.environments import make_env, whole_games
from actormimic.policy import Frames, GameIndex, Policy
from actormimic.randomness import Stream, derive_pool_seed, generator
from actormimic.sections import EnvironmentSettings, EvaluationSettings

Observer = Callable[[Frames, GameIndex], None]

Summary = dict[str, float]
"""mean, std, max and episodes of a game's test epoch, as results files have them."""


@dataclass(frozen=True)
class GameScore:
    """Raw returns of one game's test epoch."""

    game: str
    returns: tuple[float, ...]
    """Returns of the counted episodes, in the order in which they ended."""
    agent_steps: int
    partial: bool
    """No episode was completed, and ``returns`` holds the unfinished one's."""

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    def summary(self) -> Summary:
        """What results files have of it."""
        return {
            "mean": self.mean,
            "std": float(np.std(self.returns)),
            "max": float(np.max(self.returns)),
            "episodes": 0 if self.partial else len(self.returns),
        }


def evaluate(
    policy: Policy,
    settings: EvaluationSettings,
    environment: EnvironmentSettings,
    seed: int,
    observer: Observer | None = None,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> dict[str, GameScore]:
    """One test epoch of every game of ``policy``, in one pool.

    Args:
        policy: Acts epsilon-greedily with ``settings.epsilon``.
        settings: Length, epsilon and protocol.
        environment: Preprocessing; lives and their loss change nothing here.
        seed: Environments and epsilon draw from it.
        observer: Called with frames uint8 [N, 4, 84, 84] and game_index [N] of each decision.
        asked_to_stop: Asked at each step.

    Raises:
        KeyboardInterrupt: ``asked_to_stop`` said so.
    """
    lanes = 1 if settings.protocol == "paper" else settings.lanes
    share = -(-settings.agent_steps // lanes)
    play_on = settings.protocol == "batched"
    with make_env(policy.games, lanes, whole_games(environment)) as env:
        game_index = env.game_index
        total = len(game_index)
        steps = np.zeros(total, dtype=np.int64)
        running = np.zeros(total)
        active = np.ones(total, dtype=np.bool_)
        starting = np.zeros(total, dtype=np.bool_)
        returns: list[list[float]] = [[] for _ in policy.games]
        frames, _ = env.reset(seed=derive_pool_seed(seed, total, Stream.ENVIRONMENT, 1))
        number = 0
        while active.any():
            if asked_to_stop():
                raise KeyboardInterrupt
            actions = np.zeros(total, dtype=np.int64)
            rows = np.flatnonzero(active & ~starting)
            rng = generator(seed, Stream.EVALUATION, number)
            if len(rows):
                seen, index = frames[rows], game_index[rows]
                actions[rows] = policy.act(seen, index, settings.epsilon, rng)
                if observer is not None:
                    observer(seen, index)
            frames, rewards, terminated, truncated, _ = env.step(actions)
            number += 1
            # The step after an end resets the environment; it is no agent step.
            played = active & ~starting
            starting = terminated | truncated
            steps += played
            running += np.where(played, rewards, 0.0)
            for lane in np.flatnonzero(played & starting):
                returns[game_index[lane]].append(float(running[lane]))
                running[lane] = 0.0
            over = steps >= share
            active &= ~over | ~starting if play_on else ~over
    scores = {}
    for game, name in enumerate(policy.games):
        of_game = game_index == game
        partial = not returns[game]
        counted = [float(running[of_game][0])] if partial else returns[game]
        scores[name] = GameScore(name, tuple(counted), int(steps[of_game].sum()), partial)
    return scores


def epoch_in_words(settings: EvaluationSettings, environment: EnvironmentSettings) -> str:
    """What a test epoch under these settings is, as captions have it."""
    length = f"{settings.agent_steps:,} agent steps per game, epsilon {settings.epsilon}"
    if settings.protocol == "paper":
        how = "one stream, completed episodes"
    else:
        how = f"every episode that starts within them, over {settings.lanes} lanes"
    unit = environment.noop_unit.replace("_", " ")
    starts = f"{environment.noop_min} to {environment.noop_max} no-ops ({unit}) at the start"
    if environment.sticky_probability:
        starts += f", sticky actions with probability {environment.sticky_probability}"
    if environment.max_emulator_frames:
        starts += f", at most {environment.max_emulator_frames:,} emulator frames per episode"
    return f"{length}; {how}; {starts}"


# An expert's pass for one state takes most of the time of one for eight.
_AT_ONCE = 64


class ImitationProbe:
    """Compares a student with its experts on states that are visited; an ``observer``.

    Per game it gathers the share of states where both choose the same greedy action, the
    cross-entropy of eq. 4, and the entropy of the expert's policy (eq. 3), below which no
    cross-entropy falls.

    Args:
        student: Outputs masked with -inf, ``[N, 18]``, for frames and game_index.
        experts: The same of the experts (Q-values).
        games: What game_index counts.
        temperature: tau of eq. 3.
        period: Every how many calls states are looked at; the others are skipped.
    """

    def __init__(
        self,
        student: Callable[[Frames, GameIndex], torch.Tensor],
        experts: Callable[[Frames, GameIndex], torch.Tensor],
        games: Sequence[str],
        temperature: float,
        period: int = 8,
    ) -> None:
        self._student = student
        self._experts = experts
        self._games = tuple(games)
        self._temperature = temperature
        self._period = period
        self._calls = 0
        self._waiting: list[tuple[Frames, GameIndex]] = []
        self._sums = np.zeros((len(self._games), 4))

    def __call__(self, frames: Frames, game_index: GameIndex) -> None:
        """Take these states, if it is their turn; they are looked at when there are enough."""
        # The first call counts, so that the shortest test epoch has states to look at.
        self._calls += 1
        if (self._calls - 1) % self._period:
            return
        self._waiting.append((frames.copy(), game_index.copy()))
        if sum(len(index) for _, index in self._waiting) >= _AT_ONCE:
            self._look()

    @torch.no_grad()
    def _look(self) -> None:
        frames = np.concatenate([frames for frames, _ in self._waiting])
        game_index = np.concatenate([index for _, index in self._waiting])
        order = np.argsort(game_index, kind="stable")  # neighbors in a game share its expert's pass
        frames, game_index = frames[order], game_index[order]
        self._waiting.clear()
        logits = self._student(frames, game_index).cpu().double()
        expert_q = self._experts(frames, game_index).cpu().double()
        expert = torch.softmax(expert_q / self._temperature, dim=1)
        cross = -_product(expert, torch.log_softmax(logits, dim=1)).sum(dim=1)
        entropy = -_product(expert, torch.log_softmax(expert_q / self._temperature, 1)).sum(dim=1)
        agree = logits.argmax(dim=1) == expert_q.argmax(dim=1)
        ones = torch.ones(len(logits), dtype=torch.float64)
        columns = torch.stack([ones, agree.double(), cross, entropy], dim=1).numpy()
        np.add.at(self._sums, game_index, columns)

    def results(self) -> Mapping[str, dict[str, float]]:
        """Per game: states, agreement, cross_entropy, expert_entropy (nats)."""
        if self._waiting:
            self._look()
        results = {}
        for game, (states, agree, cross, entropy) in zip(self._games, self._sums, strict=True):
            count = max(states, 1.0)
            results[game] = {
                "states": int(states),
                "agreement": agree / count,
                "cross_entropy": cross / count,
                "expert_entropy": entropy / count,
            }
        return results


def _product(probabilities: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
    # 0 * -inf of the masked actions counts as 0, as in eq. 4's sum over the valid ones.
    return torch.where(probabilities > 0, probabilities * logs, 0.0)
