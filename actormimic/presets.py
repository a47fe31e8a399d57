"""Named sets of settings: the paper as printed, its authors' code, and quick variants.

Where paper and code disagree, each side of the disagreement is a setting, and the presets here are
the two consistent readings. Sources: Parisotto et al. 2016 (paper);
github.com/eparisotto/ActorMimic (authors' code); Mnih et al. 2015, Extended Data Table 1, and
its released code (DQN).
"""

from __future__ import annotations

from typing import Any

_DQN_RMSPROP = {
    "kind": "centered_rmsprop",
    "learning_rate": 2.5e-4,
    "beta1": 0.95,
    "beta2": 0.95,
    "epsilon": 0.01,
}

_DQN_RHYTHM: dict[str, Any] = {
    "training": {
        "agent_steps": 50_000_000,
        "learn_start": 50_000,
        "update_period": 4,
        "batch": 32,
    },
    "replay": {"capacity": 1_000_000},
    "exploration": {"start": 1.0, "end": 0.1, "anneal_agent_steps": 1_000_000},
    "optimizer": _DQN_RMSPROP,
}

_AUTHORS_ENVIRONMENT = {
    "maxpool_rgb": True,
    "noop_unit": "emulator_frames",
    "noop_after_life_loss": True,
    "max_emulator_frames": 0,
}

_DQN_PAPER: dict[str, Any] = {
    **_DQN_RHYTHM,
    "network": {"outputs": "valid"},
    "dqn": {"target_period": 10_000, "target_unit": "updates", "reduction": "sum"},
}

_DQN_AUTHORS: dict[str, Any] = {
    **_DQN_RHYTHM,
    "environment": _AUTHORS_ENVIRONMENT,
    "network": {"outputs": "valid", "conv1_padding": 1},
    "dqn": {"target_period": 10_000, "target_unit": "agent_steps", "reduction": "sum"},
}

# For machines without a GPU. What differs from the published DQN: the 2013 network (a third of the
# arithmetic; a transfer keeps the 2015 one, whose weights it takes over), double Q-learning with
# 3-step returns, Adam on the mean over twice the batch, the target copied ten times as often,
# learning from the 2,000th agent step on, epsilon annealed within 80,000 to 0.02, a replay memory
# of 300,000. How long the training is to be is the config's to say.
_DQN_FAST: dict[str, Any] = {
    "network": {"size": "nips2013", "outputs": "valid"},
    "dqn": {
        "double": True,
        "n_step": 3,
        "target_period": 1_000,
        "target_unit": "updates",
        "reduction": "mean",
    },
    "optimizer": {"kind": "adam", "learning_rate": 1e-4, "epsilon": 1.5e-4},
    "training": {"learn_start": 2_000, "update_period": 4, "batch": 64},
    "exploration": {"start": 1.0, "end": 0.02, "anneal_agent_steps": 80_000},
    "replay": {"capacity": 300_000},
}

_AMN_RHYTHM: dict[str, Any] = {
    "training": {"agent_steps": 4_000_000, "update_period": 4, "batch": 8, "learn_start": 10_000},
    "replay": {"capacity": 100_000},
    "exploration": {"start": 0.1, "end": 0.1, "anneal_agent_steps": 0},
}

_AMN_PAPER: dict[str, Any] = {
    **_AMN_RHYTHM,
    "optimizer": {"kind": "adam", "learning_rate": 2.5e-4},
    "actor_mimic": {"temperature": 1.0, "feature_factor": 1.0, "reduction": "sum"},
}

_AMN_AUTHORS: dict[str, Any] = {
    **_AMN_RHYTHM,
    "environment": _AUTHORS_ENVIRONMENT,
    "network": {"conv1_padding": 1},
    "optimizer": {
        "kind": "authors_adam",
        "learning_rate": 2.5e-4,
        "beta1": 0.95,
        "beta2": 0.95,
        "epsilon": 0.01,
    },
    "actor_mimic": {"temperature": 1.0, "feature_factor": 0.5, "reduction": "sum"},
}

_TRANSFER_LENGTH = {"training": {"agent_steps": 10_000_000}}

#: task -> preset -> settings.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "dqn": {"paper": _DQN_PAPER, "authors": _DQN_AUTHORS, "fast": _DQN_FAST},
    "multitask_dqn": {
        "paper": {**_DQN_PAPER, "network": {"outputs": "all"}},
        "authors": {**_DQN_AUTHORS, "network": {"outputs": "all", "conv1_padding": 1}},
        "fast": {**_DQN_FAST, "network": {"size": "nips2013", "outputs": "all"}},
    },
    "transfer": {
        "paper": {
            **_DQN_PAPER,
            "training": {**_DQN_RHYTHM["training"], **_TRANSFER_LENGTH["training"]},
            "network": {"size": "large", "outputs": "valid"},
            "output_layer": "reinitialize",
        },
        "authors": {
            **_DQN_AUTHORS,
            "training": {**_DQN_RHYTHM["training"], **_TRANSFER_LENGTH["training"]},
            "network": {"size": "large", "outputs": "all", "conv1_padding": 1},
            "output_layer": "keep",
        },
        "fast": {**_DQN_FAST, "network": {"size": "small", "outputs": "valid"}},
    },
    "actor_mimic": {"paper": _AMN_PAPER, "authors": _AMN_AUTHORS},
}


def fitting(preset: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """``preset`` without its optimizer's constants where ``values`` choose another optimizer."""
    chosen, own = values.get("optimizer"), preset.get("optimizer", {})
    if not isinstance(chosen, dict) or chosen.get("kind", own.get("kind")) == own.get("kind"):
        return preset
    constants = ("beta1", "beta2", "epsilon")
    kept = {key: value for key, value in own.items() if key not in constants}
    return {**preset, "optimizer": kept}
