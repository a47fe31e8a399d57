"""The fused loss against the float64 oracle: values, gradients and options."""

from itertools import product

import oracle_losses
import pytest
import torch
from torch import Tensor

from actormimic.distillation_loss import OBJECTIVES
from actormimic.losses import ActorMimicLoss, actor_mimic_loss

# What one rounding of the result costs, with room for sums over 18 actions or a row of features.
# Inputs are rounded to the dtype before the oracle sees them, so the half types lose accuracy only
# where gradients are stored: half a unit in the last place, 2^-9 (bfloat16) and 2^-12 (float16).
RTOL = {
    torch.float64: 1e-12,
    torch.float32: 2e-6,
    torch.bfloat16: 2**-8,
    torch.float16: 2**-11,
}
# Float32 gradients pi - pi_E cancel: their error is relative to 1, not to the difference.
ATOL = {torch.float64: 1e-13, torch.float32: 5e-7, torch.bfloat16: 5e-7, torch.float16: 5e-7}


def make_mask(rows: int, valid: int | None, seed: int) -> Tensor:
    """``valid`` valid actions in each row, or 1 to 18 in turn."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(rows, 18, dtype=torch.bool)
    for row in range(rows):
        count = valid or row % 18 + 1
        mask[row, torch.randperm(18, generator=generator)[:count]] = True
    return mask


def make_inputs(
    rows: int,
    features: int | None = None,
    *,
    valid: int | None = None,
    dtype: torch.dtype = torch.float32,
    scale: float = 3.0,
    seed: int = 0,
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    inputs = {
        "logits": normal(rows, 18).requires_grad_(),
        "expert_q": normal(rows, 18) * scale,
        "action_mask": make_mask(rows, valid, seed),
    }
    if features is not None:
        inputs["predicted_features"] = normal(rows, features).requires_grad_()
        inputs["expert_features"] = normal(rows, features)
    return inputs


def gradients(
    losses: tuple[Tensor, ...], inputs: dict[str, Tensor], upstream: float
) -> list[Tensor]:
    leaves = [tensor for tensor in inputs.values() if tensor.requires_grad]
    return list(torch.autograd.grad(losses[0] * upstream, leaves))


def check_against_oracle(
    inputs: dict[str, Tensor], upstream: float = 1.0, **options: object
) -> None:
    ours = actor_mimic_loss(**inputs, **options)
    theirs = oracle_losses.actor_mimic_loss(**inputs, **options)
    wide = any(t.dtype == torch.float64 for t in inputs.values())
    tolerance = RTOL[torch.float64 if wide else torch.float32]
    for value, expected in zip(ours, theirs, strict=True):
        assert value.dtype == (torch.float64 if wide else torch.float32)
        torch.testing.assert_close(value.double(), expected, rtol=tolerance, atol=1e-6)
    found = gradients(ours, inputs, upstream)
    expected_gradients = gradients(theirs, inputs, upstream)
    for value, expected in zip(found, expected_gradients, strict=True):
        # The oracle's gradient passes through the input's dtype too, hence twice the tolerance.
        torch.testing.assert_close(
            value.double(),
            expected.double(),
            rtol=2 * RTOL[value.dtype],
            atol=upstream * ATOL[value.dtype],
        )
    assert not found[0][~inputs["action_mask"]].any()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 41])
def test_policy_of_every_objective(objective: str, rows: int) -> None:
    check_against_oracle(make_inputs(rows), objective=objective, temperature=0.7)


@pytest.mark.parametrize("valid", range(1, 19))
def test_every_number_of_valid_actions(valid: int) -> None:
    for objective in OBJECTIVES:
        check_against_oracle(make_inputs(3, valid=valid), objective=objective)


@pytest.mark.parametrize(("rows", "features"), [(41, 401), (401, 41), (3, 1271), (5, 1), (33, 512)])
def test_features_of_odd_sizes(rows: int, features: int) -> None:
    check_against_oracle(make_inputs(rows, features), beta=0.01)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_dtype(dtype: torch.dtype, objective: str) -> None:
    check_against_oracle(make_inputs(19, 41, dtype=dtype), objective=objective, beta=0.5)


def test_dtypes_mix() -> None:
    dtypes = (torch.float32, torch.bfloat16, torch.float16)
    for number, (a, b, c, d) in enumerate(product(dtypes, repeat=4)):
        inputs = make_inputs(3, 21, dtype=torch.float64, seed=number)
        mixed = {
            "logits": inputs["logits"].detach().to(a).requires_grad_(),
            "expert_q": inputs["expert_q"].to(b),
            "action_mask": inputs["action_mask"],
            "predicted_features": inputs["predicted_features"].detach().to(c).requires_grad_(),
            "expert_features": inputs["expert_features"].to(d),
        }
        check_against_oracle(mixed, beta=0.25)


@pytest.mark.parametrize("wide", ["logits", "expert_q", "predicted_features", "expert_features"])
def test_one_float64_makes_the_losses_float64(wide: str) -> None:
    inputs = make_inputs(7, 5)
    inputs[wide] = inputs[wide].detach().double().requires_grad_(inputs[wide].requires_grad)
    losses = actor_mimic_loss(**inputs, beta=0.1)
    expected = oracle_losses.actor_mimic_loss(**inputs, beta=0.1)
    torch.testing.assert_close(torch.stack(losses), torch.stack(expected), rtol=1e-12, atol=0)
    losses.total.backward()
    assert inputs["logits"].grad is not None
    assert inputs["logits"].grad.dtype == inputs["logits"].dtype


@pytest.mark.parametrize("upstream", [-2.5, 0.0, 1e-3])
def test_an_upstream_gradient_other_than_one(upstream: float) -> None:
    inputs = make_inputs(9, 41)
    found = gradients(actor_mimic_loss(**inputs, beta=0.01), inputs, upstream)
    expected = gradients(oracle_losses.actor_mimic_loss(**inputs, beta=0.01), inputs, upstream)
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=4e-6, atol=5e-7 * abs(upstream))


@pytest.mark.parametrize("beta", [0.0, 0.01])
def test_each_of_the_three_losses_can_be_differentiated(beta: float) -> None:
    inputs = make_inputs(9, 41)
    leaves = [inputs["logits"], inputs["predicted_features"]]
    for coefficients in product([0.0, 2.0], [0.0, -3.0], [0.0, 0.5]):
        found, expected = (
            torch.autograd.grad(
                sum(c * part for c, part in zip(coefficients, parts, strict=True)), leaves
            )
            for parts in (
                actor_mimic_loss(**inputs, beta=beta),
                oracle_losses.actor_mimic_loss(**inputs, beta=beta),
            )
        )
        for value, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(value, wanted, rtol=4e-6, atol=2e-6)


def test_options_change_what_they_name() -> None:
    weight = torch.linspace(0.0, 2.0, 9)
    for options in (
        {"reduction": "mean"},
        {"feature_factor": 0.5},
        {"weight": weight},
        {"weight": weight.double(), "reduction": "mean", "temperature": 0.1},
        {"temperature": 30.0},
    ):
        inputs = make_inputs(9, 41)
        check_against_oracle(inputs, beta=0.01, **options)
        changed = actor_mimic_loss(**inputs, beta=0.01, **options).total
        assert changed != actor_mimic_loss(**inputs, beta=0.01).total


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 1.0, 1e30])
def test_values_of_any_scale_stay_finite(objective: str, temperature: float) -> None:
    inputs = make_inputs(18)
    inputs["expert_q"] = torch.tensor([1e4, -1e4, 0.0]).repeat(6).expand(18, 18)
    losses = actor_mimic_loss(**inputs, objective=objective, temperature=temperature)
    assert torch.isfinite(torch.stack(losses)).all()
    assert all(torch.isfinite(g).all() for g in gradients(losses, inputs, 1.0))
    if objective in ("cross_entropy", "mse"):
        check_against_oracle(inputs, objective=objective, temperature=max(temperature, 1e-3))


def test_ties_share_the_probability() -> None:
    inputs = make_inputs(4, valid=6)
    inputs["logits"] = torch.zeros(4, 18, requires_grad=True)
    inputs["expert_q"] = torch.full((4, 18), 7.0)
    loss = actor_mimic_loss(**inputs, temperature=1e-6)
    torch.testing.assert_close(loss.total, 4 * torch.tensor(6.0).log())
    (gradient,) = gradients(loss, inputs, 1.0)
    assert gradient.abs().max() < 1e-7


def test_non_contiguous_inputs() -> None:
    rows, features = 7, 13
    inputs = make_inputs(rows, features)
    strided = {
        name: torch.stack([tensor.detach(), tensor.detach().clone()], dim=2)
        .transpose(0, 1)
        .contiguous()
        .transpose(0, 1)[:, :, 0]
        .requires_grad_(tensor.requires_grad)
        for name, tensor in inputs.items()
    }
    assert not any(tensor.is_contiguous() for tensor in strided.values())
    strided["expert_features"] = strided["expert_features"][:1].expand(rows, features)
    inputs["expert_features"] = strided["expert_features"].clone()
    ours, expected = (actor_mimic_loss(**each, beta=0.1) for each in (strided, inputs))
    assert torch.equal(torch.stack(ours), torch.stack(expected))
    for a, b in zip(gradients(ours, strided, 1.0), gradients(expected, inputs, 1.0), strict=True):
        assert torch.equal(a, b)


def test_an_empty_batch_sums_to_zero_and_has_no_mean() -> None:
    inputs = make_inputs(0, 41)
    losses = actor_mimic_loss(**inputs, beta=0.1)
    assert torch.stack(losses).tolist() == [0.0, 0.0, 0.0]
    assert [tuple(g.shape) for g in gradients(losses, inputs, 1.0)] == [(0, 18), (0, 41)]
    assert torch.stack(actor_mimic_loss(**inputs, reduction="mean")).isnan().all()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["logits", "expert_q"])
def test_nan_shows_where_valid_and_not_where_masked(objective: str, name: str) -> None:
    inputs = make_inputs(5, valid=4)
    row = inputs["action_mask"][2]
    tensor = inputs[name].detach().clone()
    for bad in (float("nan"), float("inf"), -float("inf")):
        tensor[2, ~row] = bad
        inputs[name] = tensor.clone().requires_grad_(name == "logits")
        losses = actor_mimic_loss(**inputs, objective=objective)
        assert losses.total.isfinite()
        assert gradients(losses, inputs, 1.0)[0].isfinite().all()
    for position in range(4):
        spoiled = tensor.clone()
        spoiled[2, row.nonzero()[position]] = float("nan")
        inputs[name] = spoiled.requires_grad_(name == "logits")
        losses = actor_mimic_loss(**inputs, objective=objective)
        assert losses.total.isnan()
        gradient = gradients(losses, inputs, 1.0)[0]
        assert gradient[2].isnan().any()
        assert not gradient[~inputs["action_mask"]].any()
        assert gradient[[0, 1, 3, 4]].isfinite().all()


def test_nan_features_show() -> None:
    inputs = make_inputs(5, 20)
    inputs["expert_features"][3, 19] = float("nan")
    losses = actor_mimic_loss(**inputs, beta=0.1)
    assert losses.feature.isnan()
    assert losses.policy.isfinite()
    assert gradients(losses, inputs, 1.0)[1].isnan().nonzero().tolist() == [[3, 19]]


def test_the_same_inputs_give_the_same_bits_and_stay_as_they_are() -> None:
    inputs = make_inputs(41, 401)
    before = {name: tensor.detach().clone() for name, tensor in inputs.items()}
    first, second = (actor_mimic_loss(**inputs, beta=0.1) for _ in range(2))
    assert torch.equal(torch.stack(first), torch.stack(second))
    for a, b in zip(gradients(first, inputs, 1.0), gradients(second, inputs, 1.0), strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(tensor, before[name]) for name, tensor in inputs.items())


def test_backward_twice_adds_up() -> None:
    inputs = make_inputs(5, 20)
    loss = actor_mimic_loss(**inputs, beta=0.1).total
    loss.backward(retain_graph=True)
    leaves = [inputs["logits"], inputs["predicted_features"]]
    once = [leaf.grad.clone() for leaf in leaves if leaf.grad is not None]
    loss.backward()
    for leaf, gradient in zip(leaves, once, strict=True):
        torch.testing.assert_close(leaf.grad, 2 * gradient)


def test_differentiating_twice_is_refused() -> None:
    inputs = make_inputs(5)
    loss = actor_mimic_loss(**inputs).total
    with pytest.raises(RuntimeError, match="can be differentiated once, not with create_graph"):
        torch.autograd.grad(loss, [inputs["logits"]], create_graph=True)


def test_no_gradient_reaches_constants() -> None:
    inputs = make_inputs(5, 20)
    inputs["expert_q"].requires_grad_()
    weight = torch.ones(5, requires_grad=True)
    actor_mimic_loss(**inputs, weight=weight, beta=0.1).total.backward()
    assert inputs["expert_q"].grad is None
    assert weight.grad is None
    with torch.no_grad():
        assert not actor_mimic_loss(**inputs).total.requires_grad


def test_many_upstream_gradients_at_once() -> None:
    inputs = make_inputs(5, 20)
    losses = actor_mimic_loss(**inputs, beta=0.1)
    upstream = torch.tensor([1.0, -2.0])
    leaves = [inputs["logits"], inputs["predicted_features"]]
    found = torch.autograd.grad(
        losses.total, leaves, upstream, is_grads_batched=True, retain_graph=True
    )
    for value, once in zip(found, torch.autograd.grad(losses.total, leaves), strict=True):
        torch.testing.assert_close(value, torch.stack([once, -2 * once]))


def test_the_result_is_a_named_tuple() -> None:
    losses = actor_mimic_loss(**make_inputs(5))
    assert isinstance(losses, ActorMimicLoss)
    assert losses._fields == ("total", "policy", "feature")
    assert losses.feature == 0


def test_float64_takes_a_feature_scale_that_float32_would_lose() -> None:
    inputs = make_inputs(5, 20)
    features = inputs["predicted_features"].detach().double().requires_grad_()
    loss = actor_mimic_loss(**{**inputs, "predicted_features": features, "beta": 1e-40})
    loss.feature.backward()
    expected = 2 * (features.detach() - inputs["expert_features"].double())
    torch.testing.assert_close(features.grad, expected)
