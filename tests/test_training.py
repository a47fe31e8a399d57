"""The loop on real ROMs: what it stores, its schedules, and resuming to the last bit."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from actormimic.checkpoint import CheckpointStore
from actormimic.config import LearningSettings, resolve
from actormimic.experts import Expert, ExpertsPolicy
from actormimic.games import minimal_actions
from actormimic.learners.actor_mimic import ActorMimicLearner
from actormimic.learners.dqn import DqnLearner
from actormimic.networks import PRECISIONS, seeded_network
from actormimic.presets import PRESETS
from actormimic.sections import ExplorationSettings, NetworkSettings
from actormimic.training import Training, epsilon_at
from actormimic.training_run import train

TINY = NetworkSettings(size="nips2013")


def settings(task: str = "dqn", **changes) -> LearningSettings:
    values = {
        "task": task,
        "environment": {"num_envs": 2},
        "network": {"size": "nips2013"},
        "replay": {"capacity": 400},
        "exploration": {"start": 1.0, "end": 0.5, "anneal_agent_steps": 50},
        "training": {
            "agent_steps": 90,
            "learn_start": 20,
            "update_period": 4,
            "batch": 4,
            "log_every_agent_steps": 20,
        },
        "evaluation": {"every_agent_steps": 1000, "agent_steps": 10},
        "checkpoint": {"every_agent_steps": 30, "keep": 2},
    }
    values.update({"games": ["breakout"]} if task == "dqn" else {"games": ["breakout", "pong"]})
    for name, value in changes.items():
        values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    resolved = resolve(values)
    assert isinstance(resolved, LearningSettings)
    return resolved


def make_learner(run: LearningSettings, *, beta: float | None = None, device: str = "cpu"):
    action_sets = [minimal_actions(game) for game in run.games]
    heads = "separate" if run.task == "multitask_dqn" else "shared"
    precision = PRECISIONS[run.precision]
    network = seeded_network(run.network, action_sets, 0, heads=heads, precision=precision)
    network = network.to(device)
    if run.task != "actor_mimic":
        return DqnLearner(network, run.games, action_sets, run.dqn, run.optimizer)
    experts = ExpertsPolicy(
        [
            Expert(game, actions, seeded_network(TINY, [actions], seed).to(device))
            for seed, (game, actions) in enumerate(zip(run.games, action_sets, strict=True))
        ]
    )
    objective = run.actor_mimic
    if beta is not None:
        objective = objective.model_copy(update={"beta": beta})
    stored = run.replay.feature_dtype
    return ActorMimicLearner(
        network, experts, run.games, action_sets, objective, run.optimizer, 1, stored
    )


def weights(learner) -> bytes:
    return b"".join(
        tensor.contiguous().numpy().tobytes()
        for module in learner.modules().values()
        for tensor in module.state_dict().values()
    )


def no_test(agent_steps, asked_to_stop) -> dict[str, float]:
    return {"test/return/breakout": float(agent_steps)}


def run_training(run: LearningSettings, learner, folder: Path, test=no_test) -> None:
    train(run, learner, folder, test, lambda name, agent_steps: None)


def test_epsilon_falls_linearly_from_the_learning_start():
    schedule = ExplorationSettings(start=1.0, end=0.1, anneal_agent_steps=100)
    values = [epsilon_at(schedule, n, learn_start=50) for n in (0, 50, 100, 150, 1000)]
    assert values == pytest.approx([1.0, 1.0, 0.55, 0.1, 0.1])
    assert epsilon_at(ExplorationSettings(start=0.9, end=0.1), 0, 0) == 0.1
    assert epsilon_at(ExplorationSettings(start=0.9, end=0.1), 7, 8) == 0.9


def test_updates_follow_the_published_ratio():
    run = settings()
    training = Training(run, make_learner(run))
    for _ in training.steps():
        due = max(0, training.agent_steps - 20) // 4
        # Overlapped updates see the steps before the one that just ended.
        assert due - 1 <= training.updates <= due
    assert training.agent_steps >= 90
    training.close()


def test_without_overlap_no_update_is_owed():
    run = settings(training={"overlap": False})
    training = Training(run, make_learner(run))
    for _ in training.steps():
        assert training.updates == max(0, training.agent_steps - 20) // 4
    training.close()


def test_overlap_changes_what_acts_and_so_the_weights():
    results = []
    for overlap in (True, False):
        run = settings(
            training={"overlap": overlap},
            exploration={"start": 0.0, "end": 0.0},
            optimizer={"learning_rate": 0.05},
        )
        learner = make_learner(run)
        training = Training(run, learner)
        for _ in training.steps():
            pass
        training.close()
        results.append(weights(learner))
    assert results[0] != results[1]


def test_the_ring_holds_what_was_played():
    """Stacks sampled from the ring are the very observations that the policy acted on."""
    run = settings(training={"learn_start": 296, "agent_steps": 300}, replay={"capacity": 4000})
    learner = make_learner(run)
    seen = {}
    act = learner.act

    def record(frames, game_index, epsilon, rng):
        for frame in frames:
            seen[frame.tobytes()] = True
        return act(frames, game_index, epsilon, rng)

    learner.act = record
    training = Training(run, learner)
    for _ in training.steps():
        pass
    sample = training.rings[0].sample(200, seed=1)
    for obs, terminal, after in zip(
        sample["obs"], sample["terminals"], sample["next_obs"], strict=True
    ):
        assert obs.tobytes() in seen
        assert (not after.any()) if terminal else (after.tobytes() in seen)
    assert sample["terminals"].any(), "so long a random game loses lives"
    assert set(np.unique(sample["actions"])) <= set(minimal_actions("breakout"))
    training.close()


def test_lost_lives_are_terminal_only_where_asked():
    ends = {}
    for terminal in (True, False):
        run = settings(
            training={"learn_start": 496, "agent_steps": 500},
            environment={"num_envs": 2, "life_loss_terminal": terminal},
            replay={"capacity": 4000},
        )
        training = Training(run, make_learner(run))
        for _ in training.steps():
            pass
        sample = training.rings[0].sample(4000, seed=2, fields=["terminals", "index"])
        ends[terminal] = len(np.unique(sample["index"][sample["terminals"]]))
        training.close()
    # A game of Breakout has five lives.
    assert ends[True] > 2 * ends[False]


def test_resets_are_no_agent_steps():
    run = settings(training={"learn_start": 696, "agent_steps": 700}, replay={"capacity": 4000})
    training = Training(run, make_learner(run))
    iterations = sum(1 for _ in training.steps())
    episodes = len(training.finished[0])
    assert episodes > 0
    assert 2 * iterations - training.counts[0] in (episodes, episodes - 1, episodes - 2)
    training.close()


@pytest.mark.parametrize("environment", [{}, PRESETS["actor_mimic"]["authors"]["environment"]])
def test_labels_in_the_ring_belong_to_the_sampled_stacks(environment):
    """What the experts said when a state was seen is what they say of the sampled stack."""
    lengths = {"learn_start": 246, "agent_steps": 250}
    run = settings("actor_mimic", training=lengths, environment=environment)
    learner = make_learner(run, beta=0.1)
    training = Training(run, learner)
    for _ in training.steps():
        pass
    for game, ring in enumerate(training.rings):
        sample = ring.sample(60, seed=3)
        index = np.full(60, game, dtype=np.int32)
        values, features = learner.experts.label(sample["obs"], index)
        # The batch's size may change the order of float32 sums inside a matrix product.
        np.testing.assert_allclose(sample["expert_q"], values.numpy(), atol=1e-5)
        np.testing.assert_allclose(sample["expert_features"], features.numpy(), atol=2e-3)
    ends = training.rings[0].sample(4000, seed=2, fields=["terminals"])["terminals"]
    assert ends.any(), "lives of Breakout were lost on the way"
    training.close()


# Everything that may be scheduled, and moves where the runs are stopped.
SCHEDULED = {
    "beta": [[0, 0.2], [80, 0.01]],
    "game_weights": {"pong": [[10, 1.0], [60, 0.1]]},
    "feature_head": "mlp",
    "acting": "mixture",
    "expert_share": [[0, 1.0], [90, 0.0]],
}
# The runs that tests stop, and end, in their own ways. Test epochs change no weights, only the log.
RUNS = {
    "dqn": settings(),
    "tested": settings(evaluation={"every_agent_steps": 40}),
    "actor_mimic": settings("actor_mimic", actor_mimic={"beta": 0.01}),
    "scheduled": settings("actor_mimic", actor_mimic=SCHEDULED),
}


@dataclass(frozen=True)
class Whole:
    """An uninterrupted run."""

    folder: Path
    weights: bytes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """One of `RUNS` to its end, once."""

    @cache
    def run_to_its_end(name: str) -> Whole:
        learner, folder = make_learner(RUNS[name]), tmp_path_factory.mktemp(name)
        run_training(RUNS[name], learner, folder)
        return Whole(folder, weights(learner))

    return run_to_its_end


@pytest.mark.parametrize("task", ["dqn", "actor_mimic", "scheduled"])
@pytest.mark.parametrize("stop_at", [7, 33, 61])
def test_an_interrupted_run_ends_with_the_same_bytes(task, stop_at, whole, tmp_path: Path):
    run = RUNS[task]
    training = Training(run, make_learner(run))
    store = CheckpointStore(tmp_path / "checkpoints", 2)
    for _ in training.steps():
        if training.agent_steps >= stop_at:
            break
    training.save(store, {"bytes": 0, "seconds": 0.0})
    training.close()
    learner = make_learner(run)
    run_training(run, learner, tmp_path)
    assert weights(learner) == whole(task).weights
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    scheduled = {"beta", "game_weight/pong", "expert_share"}
    assert scheduled & set(last) == (scheduled if task == "scheduled" else set())


class Killed(Exception):
    """Stands for SIGKILL: nothing is saved on the way out."""


def test_a_killed_run_goes_on_from_its_newest_checkpoint(whole, tmp_path: Path):
    """Its log and its weights are the uninterrupted run's; the steps since then are done again."""
    run = RUNS["tested"]

    def lines(folder: Path) -> list[dict[str, object]]:
        entries = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
        for entry in entries:
            del entry["seconds"]
        return entries

    def killing(agent_steps, asked_to_stop):
        if agent_steps == 80:  # past the checkpoint at 60
            raise Killed
        return no_test(agent_steps, asked_to_stop)

    with pytest.raises(Killed):
        run_training(run, make_learner(run), tmp_path, killing)
    assert lines(tmp_path)[-1]["agent_steps"] == 80
    again = make_learner(run)
    run_training(run, again, tmp_path)
    assert lines(tmp_path) == lines(whole("tested").folder)
    assert weights(again) == whole("tested").weights


def test_a_test_epoch_that_is_interrupted_is_due_again(whole, tmp_path: Path):
    run = RUNS["tested"]
    at: list[int] = []

    def interrupted(agent_steps, asked_to_stop):
        raise KeyboardInterrupt

    def test(agent_steps, asked_to_stop):
        at.append(agent_steps)
        return no_test(agent_steps, asked_to_stop)

    with pytest.raises(KeyboardInterrupt):
        run_training(run, make_learner(run), tmp_path, interrupted)
    again = make_learner(run)
    run_training(run, again, tmp_path, test)
    assert at == [40, 80]
    assert weights(again) == whole("tested").weights


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_going_on_ends_with_the_same_bytes(number, whole, tmp_path: Path):
    run = RUNS["tested"]

    def signaled(agent_steps, asked_to_stop):
        if agent_steps == 40:
            os.kill(os.getpid(), number)
            assert asked_to_stop()
        return no_test(agent_steps, asked_to_stop)

    handler = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        run_training(run, make_learner(run), tmp_path, signaled)
    assert signal.getsignal(number) is handler
    store = CheckpointStore(tmp_path / "checkpoints", 2)
    newest = store.newest()
    assert newest is not None
    assert newest.agent_steps == 40
    again = make_learner(run)
    run_training(run, again, tmp_path)
    assert weights(again) == whole("tested").weights


def test_learning_may_start_at_once():
    run = settings(training={"learn_start": 0})
    training = Training(run, make_learner(run))
    for _ in training.steps():
        pass
    assert training.updates >= 90 // 4 - 1
    training.close()


def test_the_same_seed_gives_the_same_run_and_another_another(whole, tmp_path: Path):
    results = []
    for number, seed in enumerate((RUNS["dqn"].seed, 6)):
        run = settings(seed=seed)
        learner = make_learner(run)
        run_training(run, learner, tmp_path / str(number))
        results.append(weights(learner))
    assert results[0] == whole("dqn").weights != results[1]


def test_test_epochs_and_checkpoints_come_by_their_periods(tmp_path: Path):
    run = settings(evaluation={"every_agent_steps": 40})
    at: list[int] = []
    saved: list[tuple[str, int]] = []

    def test(agent_steps, asked_to_stop):
        at.append(agent_steps)
        return {"test/return/breakout": 1.0}

    train(run, make_learner(run), tmp_path, test, lambda *what: saved.append(what))
    assert at == [40, 80]
    assert saved == [("newest", 30), ("newest", 60), ("newest", 90)]
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert len(kept) == 2
    assert kept[-1].endswith("-at-90")


def test_more_threads_change_nothing(whole, tmp_path: Path):
    assert RUNS["dqn"].environment.threads == 1
    run = settings(environment={"threads": 3})
    learner = make_learner(run)
    run_training(run, learner, tmp_path)
    assert weights(learner) == whole("dqn").weights


def test_torch_state_is_not_what_decides(whole, tmp_path: Path):
    expected, run = whole("dqn").weights, RUNS["dqn"]
    for number in range(2):  # at least one of them is not what the other run began with
        torch.manual_seed(number)
        learner = make_learner(run)
        run_training(run, learner, tmp_path / str(number))
        assert weights(learner) == expected
