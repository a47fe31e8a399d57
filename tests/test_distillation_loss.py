"""The registered operator and the short way: transforms, compilation, autocast, equality."""

from functools import partial

import pytest
import torch
from test_losses import gradients, make_inputs
from torch import Tensor

from actormimic.distillation_loss import OBJECTIVES, distillation_loss, unit_gradient
from actormimic.losses import actor_mimic_loss

OPTIONS = ("cross_entropy", 0.5, 0.01, False, True, True)


def operator_inputs(inputs: dict[str, Tensor], weight: Tensor | None = None) -> tuple[object, ...]:
    names = ("logits", "expert_q", "action_mask", "predicted_features", "expert_features")
    return (*(inputs.get(name) for name in names), weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_operator_is_registered_properly(dtype: torch.dtype) -> None:
    weight = torch.rand(5)
    torch.library.opcheck(
        distillation_loss, (*operator_inputs(make_inputs(5, 12, dtype=dtype), weight), *OPTIONS)
    )
    policy_only = (*operator_inputs(make_inputs(5, dtype=dtype)), *OPTIONS[:-1], False)
    torch.library.opcheck(distillation_loss, policy_only)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_agree_with_finite_differences(objective: str, reduction: str) -> None:
    inputs = make_inputs(4, 7, dtype=torch.float64)
    constants = {name: inputs[name] for name in ("expert_q", "action_mask", "expert_features")}
    weight = torch.tensor([0.5, 1.0, 2.0, 0.0], dtype=torch.float64)

    def losses(logits: Tensor, predicted_features: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            actor_mimic_loss(
                logits,
                predicted_features=predicted_features,
                objective=objective,
                reduction=reduction,
                weight=weight,
                beta=0.3,
                **constants,
            )
        )

    torch.autograd.gradcheck(losses, (inputs["logits"], inputs["predicted_features"]))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_short_way_and_the_operator_are_equal(objective: str) -> None:
    inputs = make_inputs(19, 41)
    short = actor_mimic_loss(**inputs, objective=objective, temperature=0.5, beta=0.01)
    operator = distillation_loss(*operator_inputs(inputs), objective, *OPTIONS[1:])
    for a, b in zip(short, operator[:3], strict=True):
        assert torch.equal(a, b)
    # The operator's backward always multiplies, the short way only by factors other than 1.
    for a, b in zip(gradients(short, inputs, 1.0), gradients(operator, inputs, 1.0), strict=True):
        assert torch.equal(a, b)


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What is looked at from now on, which on a GPU would wait for it."""
    looks: list[Tensor] = []
    item = Tensor.item
    monkeypatch.setattr(Tensor, "item", lambda tensor: looks.append(tensor) or item(tensor))
    return looks


@pytest.mark.parametrize("scheduled", [False, True])
def test_the_unit_gradient_is_known_without_a_look(
    scheduled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And scales nothing: the gradients are the kernel's own memory."""
    inputs = make_inputs(19, 41)

    def backward(of: str) -> list[Tensor]:
        loss = actor_mimic_loss(**inputs, beta=0.0 if scheduled else 0.01)
        total = loss.policy + torch.tensor(0.01) * loss.feature if scheduled else loss.total
        leaves = [inputs["logits"], inputs["predicted_features"]]
        unit = unit_gradient(total) if of == "unit" else torch.ones(())
        return list(torch.autograd.grad(total, leaves, unit))

    expected = backward("another 1")
    looks = looked_at(monkeypatch)
    multiply = Tensor.__mul__
    scaled: list[Tensor] = []
    monkeypatch.setattr(Tensor, "__mul__", lambda a, b: scaled.append(a) or multiply(a, b))
    found = backward("unit")
    # The features' factor is beta where that is no constant of the loss; it has to be looked at on
    # the CPU alone.
    assert all(tensor.is_cpu and not torch.equal(tensor, torch.ones(())) for tensor in looks)
    assert [tuple(t.shape) for t in scaled] == ([(), (19, 41)] if scheduled else [])
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("dynamic", [None, True])
def test_compiled_in_one_graph(dynamic: bool | None) -> None:
    def training_loss(inputs: dict[str, Tensor], temperature: float, beta: float) -> Tensor:
        hidden = {**inputs, "logits": inputs["logits"] * 2}
        return actor_mimic_loss(**hidden, beta=beta, temperature=temperature).total * 3.0

    torch._dynamo.reset()  # what it has compiled, and learned of numbers, in other tests
    compiled = torch.compile(training_loss, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    # Numbers and sizes that change from call to call become symbols, which are checked as well.
    for rows, width, temperature, beta in ((19, 41, 0.5, 0.01), (19, 41, 0.4, 0.02), (7, 16, 2, 0)):
        inputs = make_inputs(rows, width)
        expected, found = (
            training_loss(inputs, temperature, beta),
            compiled(inputs, temperature, beta),
        )
        assert torch.equal(expected, found)
        for a, b in zip(
            gradients((expected,), inputs, 1.0), gradients((found,), inputs, 1.0), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_exported_graphs_hold_the_operator() -> None:
    class Loss(torch.nn.Module):
        def forward(self, logits: Tensor, expert_q: Tensor, mask: Tensor) -> Tensor:
            return actor_mimic_loss(logits, expert_q, mask).policy

    inputs = make_inputs(3)
    arguments = (inputs["logits"].detach(), inputs["expert_q"], inputs["action_mask"])
    program = torch.export.export(Loss(), arguments)
    targets = [str(node.target) for node in program.graph.nodes]
    assert "actormimic.distillation_loss.default" in targets
    assert torch.equal(program.module()(*arguments), actor_mimic_loss(*arguments).policy)


def test_under_autocast_losses_stay_float32() -> None:
    inputs = make_inputs(9, 41)
    weight = torch.randn(18, 18)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inputs["logits"] = torch.nn.functional.linear(inputs["logits"], weight)
        assert inputs["logits"].dtype == torch.bfloat16
        losses = actor_mimic_loss(**inputs, beta=0.01)
    assert all(loss.dtype == torch.float32 for loss in losses)
    outside = actor_mimic_loss(**inputs, beta=0.01)
    assert torch.equal(torch.stack(losses), torch.stack(outside))
    losses.total.backward()


@pytest.mark.parametrize("through_operator", [False, True])
def test_vmap_over_experts(through_operator: bool) -> None:
    inputs = make_inputs(7)
    logits, mask = inputs["logits"].detach(), inputs["action_mask"]
    experts = torch.randn(3, 7, 18)

    def loss(logits: Tensor, expert_q: Tensor) -> Tensor:
        if through_operator:
            nothing = (None, None, None)
            return distillation_loss(logits, expert_q, mask, *nothing, *OPTIONS[:-1], False)[1]
        return actor_mimic_loss(logits, expert_q, mask, temperature=0.5).policy

    found = torch.vmap(loss, in_dims=(None, 0))(logits, experts)
    assert torch.equal(found, torch.stack([loss(logits, expert) for expert in experts]))


def test_functional_gradients_per_expert() -> None:
    inputs = make_inputs(7)
    logits, mask = inputs["logits"].detach(), inputs["action_mask"]
    experts = torch.randn(3, 7, 18)

    def loss(logits: Tensor, expert_q: Tensor) -> Tensor:
        return actor_mimic_loss(logits, expert_q, mask).total

    expected = []
    for expert in experts:
        leaf = logits.clone().requires_grad_()
        loss(leaf, expert).backward()
        expected.append(leaf.grad)
    found = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(logits, experts)
    assert torch.equal(found, torch.stack(expected))
    assert torch.equal(torch.func.grad(partial(loss, expert_q=experts[0]))(logits), expected[0])


def test_the_operator_checks_its_inputs_itself() -> None:
    inputs = make_inputs(5, 12)
    inputs["expert_features"] = inputs["expert_features"][:, :-1]
    with pytest.raises(
        ValueError, match=r"expert_features has shape \(5, 11\); allowed: \(5, 12\)"
    ):
        distillation_loss(*operator_inputs(inputs), *OPTIONS)
