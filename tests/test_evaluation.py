"""Test epochs: both protocols' counting, bias of short episodes, and the imitation measures."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from actormimic import evaluation
from actormimic.evaluation import ImitationProbe, evaluate
from actormimic.games import minimal_actions
from actormimic.policy import RandomPolicy
from actormimic.sections import EnvironmentSettings, EvaluationSettings

GAMES = ("breakout",)
SETS = [minimal_actions("breakout")]


def settings(**values) -> EvaluationSettings:
    return EvaluationSettings(**{"agent_steps": 400, "every_agent_steps": 1000, **values})


def run(seed: int = 0, policy=None, environment=None, **values):
    policy = policy or RandomPolicy(GAMES, SETS)
    environment = environment or EnvironmentSettings()
    return evaluate(policy, settings(**values), environment, seed)["breakout"]


def test_the_same_seed_gives_the_same_epoch():
    assert run(seed=3) == run(seed=3)
    assert run(seed=3) != run(seed=4)


def test_paper_counts_completed_episodes_of_one_stream():
    score = run(agent_steps=600)
    assert score.agent_steps == 600
    assert not score.partial
    assert score.summary()["episodes"] == len(score.returns) > 0
    assert score.mean == pytest.approx(np.mean(score.returns))


def test_paper_takes_the_partial_return_only_if_none_completed():
    score = run(agent_steps=30)
    assert score.partial
    assert score.summary()["episodes"] == 0
    assert len(score.returns) == 1


def test_batched_plays_every_started_episode_to_its_end():
    score = run(agent_steps=400, protocol="batched", lanes=4)
    # Each lane plays past its share of 100 agent steps, to the end of what it started.
    assert score.agent_steps > 400
    assert not score.partial
    assert len(score.returns) >= 4


def test_the_lanes_of_a_batched_epoch_are_streams_of_their_own():
    two, four = (run(agent_steps=100, protocol="batched", lanes=lanes) for lanes in (2, 4))
    assert (len(two.returns), len(four.returns)) >= (2, 4)
    assert two.returns != four.returns


def test_epsilon_is_what_the_policy_gets():
    given = []

    class Recorder(RandomPolicy):
        def act(self, frames, game_index, epsilon, rng):
            given.append(epsilon)
            return super().act(frames, game_index, epsilon, rng)

    run(policy=Recorder(GAMES, SETS), agent_steps=20, epsilon=0.25)
    assert set(given) == {0.25}


def test_lost_lives_end_no_episode():
    environment = EnvironmentSettings(life_loss_terminal=True)
    score = run(agent_steps=700, environment=environment)
    # Five lives of random Breakout take well over 100 agent steps; one takes about 35.
    assert score.agent_steps / len(score.returns) > 80


class TwoLengths:
    """A pool whose episodes take 10 steps and pay 1, or 90 and pay 9, with equal chances."""

    def __init__(self, lanes: int, rng: np.random.Generator) -> None:
        self.game_index = np.zeros(lanes, dtype=np.int32)
        self._rng = rng
        self._left = self._draw(lanes)
        self._whole = self._left.copy()
        self._resetting = np.zeros(lanes, dtype=bool)

    def _draw(self, count: int) -> np.ndarray:
        return self._rng.choice([10, 90], count)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def _frames(self) -> np.ndarray:
        return np.zeros((len(self.game_index), 4, 84, 84), dtype=np.uint8)

    def reset(self, seed):
        return self._frames(), {}

    def step(self, actions):
        reset = self._resetting
        fresh = self._draw(len(reset))
        self._whole = np.where(reset, fresh, self._whole)
        self._left = np.where(reset, fresh, self._left - 1)
        over = ~reset & (self._left == 0)
        rewards = np.where(over, self._whole / 10, 0.0)
        self._resetting = over
        return self._frames(), rewards, over, np.zeros_like(over), {}


def known_mean(protocol: str, monkeypatch: pytest.MonkeyPatch) -> float:
    """The mean of many test epochs on TwoLengths, whose true mean return is 5."""
    rng = np.random.default_rng(11)
    monkeypatch.setattr(
        evaluation, "make_env", lambda games, lanes, environment: TwoLengths(lanes, rng)
    )
    policy = SimpleNamespace(
        games=("breakout",), act=lambda frames, index, epsilon, r: np.zeros(len(index), np.int64)
    )
    means = []
    for seed in range(100):
        chosen = settings(agent_steps=600, protocol=protocol, lanes=6)
        means.extend(evaluate(policy, chosen, EnvironmentSettings(), seed)["breakout"].returns)
    return float(np.mean(means))


def test_batched_has_no_bias_toward_short_episodes(monkeypatch: pytest.MonkeyPatch):
    # Of about 2,000 returns of 1 or 9 the mean's standard error is 4 / sqrt(2000) = 0.09. Episodes
    # that start within the share are a renewal process stopped at the first start beyond it, and
    # by Wald's identity the sum of the returns divided by their number has bias of order 1/number.
    assert known_mean("batched", monkeypatch) == pytest.approx(5.0, abs=0.36)


def make_outputs(values):
    return lambda frames, game_index: torch.tensor(values)


def test_the_probe_measures_agreement_cross_entropy_and_entropy():
    inf = float("inf")
    student = [[0.0, 1.0, -inf], [2.0, 0.0, -inf]]
    expert = [[0.0, 0.5, -inf], [0.0, 0.5, -inf]]
    probe = ImitationProbe(make_outputs(student), make_outputs(expert), ["pong"], 0.5, period=1)
    probe(np.zeros((2, 4, 84, 84), np.uint8), np.zeros(2, np.int32))
    result = probe.results()["pong"]
    p = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum()
    logs = [np.log(np.exp(row) / np.exp(row).sum()) for row in ([0.0, 1.0], [2.0, 0.0])]
    assert result["states"] == 2
    assert result["agreement"] == 0.5
    assert result["cross_entropy"] == pytest.approx(-np.mean([(p * log).sum() for log in logs]))
    assert result["expert_entropy"] == pytest.approx(-(p * np.log(p)).sum())


def test_the_probe_looks_at_every_nth_call():
    seen = []

    def student(frames, game_index):
        seen.append((frames[:, 0, 0, 0].tolist(), game_index.tolist()))
        return torch.zeros(len(frames), 2)

    probe = ImitationProbe(student, student, ["pong", "breakout"], 1.0, period=3)
    frames = np.zeros((2, 4, 84, 84), np.uint8)
    for number in range(7):
        frames[:] = number  # the same memory again, as a pool's batches are
        probe(frames, np.arange(2, dtype=np.int32))
    assert seen == [], "too few yet for a pass of each expert"
    results = probe.results()
    assert seen == 2 * [([0, 3, 6, 0, 3, 6], [0, 0, 0, 1, 1, 1])], "first, fourth and seventh call"
    assert [results[game]["states"] for game in ("pong", "breakout")] == [3, 3]
    for _ in range(1000):
        probe(frames, np.arange(2, dtype=np.int32))
    assert max(len(index) for _, index in seen) == 64


def test_episodes_end_at_the_limit_of_emulator_frames_and_zero_is_none():
    # Random Breakout takes some 150 agent steps to lose its five lives.
    cut = run(agent_steps=400, environment=EnvironmentSettings(max_emulator_frames=80, noop_max=1))
    assert len(cut.returns) == 20
    whole = run(agent_steps=600, environment=EnvironmentSettings(max_emulator_frames=0))
    assert whole == run(agent_steps=600, environment=EnvironmentSettings())
    assert whole.agent_steps / len(whole.returns) > 80
