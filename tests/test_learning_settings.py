"""Each setting of what is learned reaches the updates: changing it changes weights or losses."""

import hashlib
from typing import Any

import pytest
from test_training import make_learner, settings, weights

from actormimic.sections import (
    ActorMimicSettings,
    DqnSettings,
    OptimizerSettings,
    TrainingSettings,
)
from actormimic.training import Training

DQN: dict[str, dict[str, Any]] = {
    "discount": {"discount": 0.5},
    "target_period": {"target_period": 8},
    "target_unit": {"target_period": 8, "target_unit": "updates"},
    "double": {"double": True},
    "n_step": {"n_step": 3},
    "td_clip": {"td_clip": 0.01},
    "reward_clip": {"reward_clip": 0.0},
    "reduction": {"reduction": "mean"},
}
ACTOR_MIMIC: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.5},
    "objective": {"objective": "kl"},
    "beta": {"beta": 0.1},
    "game_weights": {"game_weights": {"pong": 2.0}},
    "feature_head": {"beta": 0.1, "feature_head": "mlp"},
    "feature_factor": {"beta": 0.1, "feature_factor": 0.5},
    "reduction": {"reduction": "mean"},
    "acting": {"acting": "mixture"},
    "expert_share": {"acting": "mixture", "expert_share": 0.9},
    "selection": {"selection": "sample"},
}
OPTIMIZER: dict[str, dict[str, Any]] = {
    "kind": {"kind": "authors_adam"},
    "learning_rate": {"learning_rate": 0.02},
    "beta1": {"beta1": 0.5},
    "beta2": {"beta2": 0.9},
    "epsilon": {"epsilon": 0.1},
    "weight_decay": {"weight_decay": 0.1},
}
TRAINING: dict[str, dict[str, Any]] = {
    "agent_steps": {"agent_steps": 98},
    "learn_start": {"learn_start": 24},
    "update_period": {"update_period": 5},
    "batch": {"batch": 5},
    "overlap": {"overlap": False},
}
# What a setting is compared with, where it says nothing without another.
BESIDE = {
    "target_unit": {"target_period": 8},
    "feature_head": {"beta": 0.1},
    "feature_factor": {"beta": 0.1},
    "expert_share": {"acting": "mixture"},
}


def learned(task: str, **changes: Any) -> str:
    """A digest of the weights and of all that is logged."""
    games = ["qbert"] if task == "dqn" else ["breakout", "pong"]  # qbert's rewards come early
    exploration = {"start": 0.3, "end": 0.3, "anneal_agent_steps": 0}
    changed = {**changes, "optimizer": {"learning_rate": 0.01, **changes.get("optimizer", {})}}
    run = settings(task, games=games, exploration=exploration, **changed)
    learner = make_learner(run)
    training = Training(run, learner)
    for _ in training.steps():
        pass
    logged = sorted(training.averages().items())
    training.close()
    return hashlib.sha256(weights(learner) + repr(logged).encode()).hexdigest()


def test_every_setting_is_looked_at() -> None:
    assert set(DQN) == set(DqnSettings.model_fields)
    assert set(ACTOR_MIMIC) == set(ActorMimicSettings.model_fields)
    assert set(OPTIMIZER) == set(OptimizerSettings.model_fields)
    assert {*TRAINING, "log_every_agent_steps"} == set(TrainingSettings.model_fields)


@pytest.fixture(scope="module")
def base() -> dict[str, str]:
    return {task: learned(task) for task in ("dqn", "actor_mimic")}


@pytest.mark.parametrize(
    ("task", "section", "name", "changed"),
    [
        *(("dqn", "dqn", name, changed) for name, changed in DQN.items()),
        *(("actor_mimic", "actor_mimic", name, changed) for name, changed in ACTOR_MIMIC.items()),
        *(("dqn", "optimizer", name, changed) for name, changed in OPTIMIZER.items()),
        *(("dqn", "training", name, changed) for name, changed in TRAINING.items()),
    ],
)
def test_each_setting_changes_what_is_learned(
    task: str, section: str, name: str, changed: dict[str, Any], base: dict[str, str]
) -> None:
    beside = BESIDE.get(name)
    before = base[task] if beside is None else learned(task, **{section: beside})
    assert learned(task, **{section: changed}) != before


def test_how_features_are_stored_changes_what_is_learned() -> None:
    regressed = {"actor_mimic": {"beta": 0.1}}
    stored = [
        learned("actor_mimic", **regressed, replay={"feature_dtype": dtype})
        for dtype in ("float16", "float32")
    ]
    assert stored[0] != stored[1]


@pytest.mark.parametrize("task", ["dqn", "actor_mimic"])
def test_the_precision_and_the_seed_change_what_is_learned(task: str, base: dict[str, str]) -> None:
    assert learned(task, precision="bfloat16") != base[task]
    assert learned(task, seed=1) != base[task]
    assert learned(task) == base[task]
