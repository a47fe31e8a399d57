"""What the loss refuses, by name."""

import pytest
import torch
from test_losses import make_inputs

from actormimic.losses import actor_mimic_loss

Change = tuple[dict[str, object], type[Exception], str]
REFUSALS: dict[str, Change] = {
    "temperature": (
        {"temperature": 0.0},
        ValueError,
        r"temperature is 0.0; allowed: finite numbers > 0",
    ),
    "temperature nan": ({"temperature": float("nan")}, ValueError, "temperature is nan; allowed"),
    "beta": ({"beta": -1.0}, ValueError, r"beta is -1.0; allowed: finite numbers >= 0"),
    "factor": ({"feature_factor": float("inf")}, ValueError, "feature_factor is inf; allowed"),
    "scale": (
        {"beta": 1e-30, "feature_factor": 1e-10},
        ValueError,
        r"beta \* feature_factor is 1e-40; allowed in float32: 0, or 1.17549e-38 to 3.40282e\+38",
    ),
    "large scale": (
        {"beta": 1e30, "feature_factor": 1e10},
        ValueError,
        "allowed in float32: 0, or",
    ),
    "objective": (
        {"objective": "l2"},
        ValueError,
        "objective is 'l2'; allowed: cross_entropy, kl, reverse_kl, mse",
    ),
    "reduction": ({"reduction": "none"}, ValueError, "reduction is 'none'; allowed: sum, mean"),
    "logits": ({"logits": torch.zeros(5, 6)}, ValueError, r"logits has shape \(5, 6\); allowed"),
    "rows": (
        {"expert_q": torch.zeros(4, 18)},
        ValueError,
        r"expert_q has shape \(4, 18\); allowed: \(5, 18\)",
    ),
    "mask": (
        {"action_mask": torch.ones(5, 18, 1, dtype=torch.bool)},
        ValueError,
        r"action_mask has shape \(5, 18, 1\); allowed: \(5, 18\)",
    ),
    "mask dtype": (
        {"action_mask": torch.ones(5, 18)},
        TypeError,
        "action_mask has dtype torch.float32; allowed: torch.bool",
    ),
    "dtype": (
        {"expert_q": torch.zeros(5, 18, dtype=torch.int64)},
        TypeError,
        "expert_q has dtype torch.int64; allowed: torch.float32, torch.bfloat16",
    ),
    "kind": (
        {"logits": [[0.0] * 18] * 5},
        TypeError,
        r"logits is a list; allowed: a torch.Tensor",
    ),
    "one feature": (
        {"expert_features": None},
        ValueError,
        "expert_features is missing; allowed: both features or neither",
    ),
    "widths": (
        {"expert_features": torch.zeros(5, 21)},
        ValueError,
        r"expert_features has shape \(5, 21\); allowed: \(5, 20\)",
    ),
    "beta without features": (
        {"beta": 0.01, "predicted_features": None, "expert_features": None},
        ValueError,
        "beta is 0.01 without predicted_features; allowed: 0, or give them",
    ),
    "weight": (
        {"weight": torch.ones(5, 1)},
        ValueError,
        r"weight has shape \(5, 1\); allowed: \(5\)",
    ),
    "device": (
        {"expert_q": torch.zeros(5, 18, device="meta")},
        ValueError,
        "expert_q is on meta; allowed: cpu, as logits are",
    ),
}


@pytest.mark.parametrize("change", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_bad_input_is_refused_by_name(change: Change) -> None:
    arguments, error, message = change
    with pytest.raises(error, match=message):
        actor_mimic_loss(**{**make_inputs(5, 20), **arguments})


def test_a_row_without_a_valid_action_is_refused() -> None:
    inputs = make_inputs(40)
    inputs["action_mask"][37] = False
    with pytest.raises(
        ValueError, match="action_mask row 37 has no valid action; allowed: 1 to 18"
    ):
        actor_mimic_loss(**inputs)
