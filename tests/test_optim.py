"""The published optimizers against sequences computed by hand."""

import math

import pytest
import torch

from actormimic.optim import (
    AuthorsAdam,
    CenteredRMSProp,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
    schedule_rate,
)
from actormimic.sections import OptimizerSettings

GRADIENTS = [1.0, -2.0, 0.5]


def run(optimizer_class, **constants):
    theta = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = optimizer_class([theta], 0.1, **constants)
    values = []
    for gradient in GRADIENTS:
        theta.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        values.append(theta.item())
    return values


def test_centered_rmsprop_first_steps_by_hand():
    # g, v after the first gradient 1: 0.05, 0.05; variance 0.05 - 0.0025 = 0.0475.
    first = 1 - 0.1 * 1 / math.sqrt(0.0475 + 0.01)
    # After -2: g = 0.95*0.05 - 0.1 = -0.0525, v = 0.95*0.05 + 0.05*4 = 0.2475.
    second = first + 0.1 * 2 / math.sqrt(0.2475 - 0.0525**2 + 0.01)
    # After 0.5: g = 0.95*-0.0525 + 0.025 = -0.024875, v = 0.95*0.2475 + 0.0125 = 0.247625.
    third = second - 0.1 * 0.5 / math.sqrt(0.247625 - 0.024875**2 + 0.01)
    assert run(CenteredRMSProp) == pytest.approx([first, second, third], rel=1e-12)


def test_authors_adam_first_steps_by_hand():
    rate = 0.1 * math.sqrt(0.05) / 0.05
    first = 1 - rate * 0.05 / math.sqrt(0.05 + 0.01)
    second = first + rate * 0.0525 / math.sqrt(0.2475 + 0.01)
    third = second + rate * 0.024875 / math.sqrt(0.247625 + 0.01)
    assert run(AuthorsAdam) == pytest.approx([first, second, third], rel=1e-12)


@pytest.mark.parametrize("optimizer_class", [CenteredRMSProp, AuthorsAdam])
@pytest.mark.parametrize(
    "constants",
    [{"beta1": 0.5}, {"beta2": 0.5}, {"epsilon": 1.0}, {"weight_decay": 0.1}],
)
def test_every_constant_matters(optimizer_class, constants):
    assert run(optimizer_class, **constants) != run(optimizer_class)


def test_weight_decay_adds_lambda_theta_to_the_gradient():
    # Equation 8's regularizer: the same as a gradient of d + lambda * theta at the first step.
    theta = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = CenteredRMSProp([theta], 0.1, weight_decay=0.25)
    theta.grad = torch.tensor([1.0], dtype=torch.float64)
    optimizer.step()
    d = 1.5
    expected = 2 - 0.1 * d / math.sqrt(0.05 * d * d - (0.05 * d) ** 2 + 0.01)
    assert theta.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["adam", "authors_adam", "centered_rmsprop"])
def test_state_survives_a_round_trip_bit_for_bit(kind):
    settings = OptimizerSettings(kind=kind, learning_rate=0.01, weight_decay=0.01)

    def fresh():
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
        return layer, make_optimizer(layer.parameters(), settings)

    def steps(layer, optimizer, count, offset=0):
        for number in range(count):
            generator = torch.Generator().manual_seed(number + offset)
            x = torch.rand(2, 4, 5, 5, generator=generator)
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()

    whole, optimizer = fresh()
    steps(whole, optimizer, 6)
    part, optimizer = fresh()
    steps(part, optimizer, 3)
    saved = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()}
    weights = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    resumed, optimizer = fresh()
    resumed.load_state_dict(weights)
    restore_optimizer(optimizer, saved)
    steps(resumed, optimizer, 3, offset=3)
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)


@pytest.mark.parametrize("kind", ["adam", "authors_adam", "centered_rmsprop"])
def test_a_scheduled_step_size_is_that_of_its_time(kind):
    def steps(settings, moments):
        theta = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer = make_optimizer([theta], settings)
        for number, agent_steps in enumerate(moments):
            told = schedule_rate(optimizer, settings, agent_steps)
            before = theta.detach().clone()
            theta.grad = torch.tensor([0.5, 0.25 * (number + 1)])
            optimizer.step()
        return told, theta.detach() - before

    falling = OptimizerSettings(kind=kind, learning_rate=[[100, 0.01], [200, 0.0]])
    constant = OptimizerSettings(kind=kind, learning_rate=0.01)
    assert steps(constant, [0])[0] == {}
    _, whole = steps(constant, [0, 0])
    told, half = steps(falling, [100, 150])
    assert told == {"learning_rate": 0.005}
    torch.testing.assert_close(half, whole / 2, rtol=1e-4, atol=1e-7)  # differences of rounded sums
    assert not steps(falling, [0, 200])[1].any()


@pytest.mark.parametrize("optimizer_class", [CenteredRMSProp, AuthorsAdam])
def test_a_step_size_in_memory_is_as_good_as_a_number(optimizer_class):
    # As on a GPU, where captured updates read it.
    thetas = [torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64)) for _ in range(2)]
    rates = (0.01, torch.tensor(0.01, dtype=torch.float64))
    for theta, rate in zip(thetas, rates, strict=True):
        optimizer = optimizer_class([theta], rate)
        for gradient in GRADIENTS:
            theta.grad = torch.tensor([gradient, -gradient], dtype=torch.float64)
            optimizer.step()
    torch.testing.assert_close(*thetas, rtol=1e-12, atol=0)


def test_each_kind_has_its_own_constants():
    settings = OptimizerSettings(kind="centered_rmsprop")
    assert (settings.beta1, settings.beta2, settings.epsilon) == (0.95, 0.95, 0.01)
    assert OptimizerSettings(kind="adam").beta2 == 0.999
    assert OptimizerSettings(kind="authors_adam", beta2=0.5).beta2 == 0.5


def test_centered_rmsprop_refuses_unequal_decays():
    with pytest.raises(ValueError, match=r"beta1 is 0\.9 and beta2 0\.95"):
        OptimizerSettings(kind="centered_rmsprop", beta1=0.9)


def test_a_constant_gradient_and_a_small_epsilon_stay_finite():
    # v and m^2 come to the same number, and float32 rounds their difference to either side of 0.
    theta = torch.nn.Parameter(torch.zeros(1))
    optimizer = CenteredRMSProp([theta], 1e-3, epsilon=1e-6)
    for steps in range(1, 1001):
        theta.grad = torch.tensor([3.0])
        optimizer.step()
        # The root is never smaller than that of epsilon.
        assert 0 < -theta.item() <= steps * 1e-3 * 3.0 / 1e-3 * 1.001


@pytest.mark.parametrize("optimizer_class", [CenteredRMSProp, AuthorsAdam])
def test_a_checkpoint_gets_the_moments_alone(optimizer_class):
    theta = torch.nn.Parameter(torch.ones(2))
    optimizer = optimizer_class([theta], 0.1)
    theta.grad = torch.ones(2)
    optimizer.step()
    kept = optimizer_tensors(optimizer)
    assert sorted(kept) == ["optimizer/0/mean", "optimizer/0/square"]
    # Earlier versions wrote their scratch memory too.
    restore_optimizer(optimizer, {**kept, "optimizer/0/work": torch.ones(2)})
    assert sorted(optimizer_tensors(optimizer)) == sorted(kept)


def test_parameters_without_gradient_stay():
    theta = torch.nn.Parameter(torch.ones(2))
    AuthorsAdam([theta]).step()
    assert torch.equal(theta, torch.ones(2))
