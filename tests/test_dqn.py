"""Q-learning's targets and losses against equation 2, and what each setting changes."""

import numpy as np
import pytest
import torch

from actormimic.learners.dqn import DqnLearner, td_loss, td_targets
from actormimic.networks import seeded_network
from actormimic.sections import DqnSettings, NetworkSettings, OptimizerSettings

PONG = (0, 1, 3, 4, 11, 12)


def test_targets_are_equation_2():
    rewards = torch.tensor([1.0, -1.0, 0.5])
    discounts = torch.tensor([0.99, 0.0, 0.9])
    next_target = torch.tensor([[1.0, 3.0, -torch.inf], [9.0, 9.0, 9.0], [-2.0, -1.0, -torch.inf]])
    targets = td_targets(rewards, discounts, next_target, None)
    assert targets.tolist() == pytest.approx([1 + 0.99 * 3, -1.0, 0.5 - 0.9])


def test_double_q_takes_the_online_networks_choice():
    next_target = torch.tensor([[1.0, 3.0]])
    next_online = torch.tensor([[5.0, 2.0]])
    targets = td_targets(torch.zeros(1), torch.ones(1), next_target, next_online)
    assert targets.item() == 1.0


@pytest.mark.parametrize("clip", [1.0, 0.25])
def test_clipped_errors_bound_the_gradient(clip):
    errors = torch.tensor([-3.0, -0.2, 0.1, 2.0], requires_grad=True)
    td_loss(errors, clip, "sum").backward()
    assert errors.grad.tolist() == pytest.approx(
        [max(-clip, min(clip, e)) for e in (-3.0, -0.2, 0.1, 2.0)]
    )


def test_unclipped_errors_give_their_own_gradient_and_mean_divides():
    errors = torch.tensor([-3.0, 2.0], requires_grad=True)
    td_loss(errors, 0.0, "mean").backward()
    assert errors.grad.tolist() == pytest.approx([-1.5, 1.0])


def learner(**settings):
    network = seeded_network(NetworkSettings(size="nips2013"), [PONG], 0)
    optimizer = OptimizerSettings(kind="centered_rmsprop", beta1=0.95, beta2=0.95, epsilon=0.01)
    frozen = settings.pop("frozen", ())
    return DqnLearner(network, ["pong"], [PONG], DqnSettings(**settings), optimizer, frozen)


def batch(rows: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "obs": torch.randint(0, 256, (rows, 4, 84, 84), generator=generator, dtype=torch.uint8),
        "next_obs": torch.randint(0, 256, (rows, 4, 84, 84), generator=generator).byte(),
        "actions": torch.tensor(PONG)[torch.arange(rows) % len(PONG)],
        "rewards": torch.randn(rows, generator=generator),
        "discounts": torch.full((rows,), 0.99),
        "game": torch.zeros(rows, dtype=torch.int64),
    }


def weights_after(**settings):
    subject = learner(**settings)
    # Another network as the target, so that its greedy actions are not the online network's.
    other = seeded_network(NetworkSettings(size="nips2013"), [PONG], 1)
    subject.target.load_state_dict(other.state_dict())
    subject.update(batch())
    return torch.cat([p.detach().flatten() for p in subject.network.parameters()])


@pytest.mark.parametrize("settings", [{"double": True}, {"td_clip": 0.01}, {"reduction": "mean"}])
def test_each_setting_changes_the_update(settings):
    assert not torch.equal(weights_after(), weights_after(**settings))


def test_only_taken_actions_and_valid_ones_move_the_output():
    subject = learner()
    before = subject.network.output[0].weight.detach().clone()
    data = batch()
    data["actions"] = torch.full((8,), 3)
    subject.update(data)
    moved = (subject.network.output[0].weight != before).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [3]


def test_the_target_network_is_copied_by_its_period():
    subject = learner(target_period=10, target_unit="updates")
    subject.update(batch())
    subject.after_steps(agent_steps=1000, before=900, updates=9, updates_before=8)
    assert not torch.equal(subject.target.output[0].weight, subject.network.output[0].weight)
    subject.after_steps(agent_steps=1000, before=1000, updates=11, updates_before=9)
    assert torch.equal(subject.target.output[0].weight, subject.network.output[0].weight)


def test_the_target_period_can_count_agent_steps():
    subject = learner(target_period=10, target_unit="agent_steps")
    subject.update(batch())
    subject.after_steps(agent_steps=19, before=11, updates=100, updates_before=0)
    assert not torch.equal(subject.target.output[0].weight, subject.network.output[0].weight)
    subject.after_steps(agent_steps=24, before=19, updates=100, updates_before=100)
    assert torch.equal(subject.target.output[0].weight, subject.network.output[0].weight)


def test_rewards_are_clipped_as_asked():
    rewards = np.array([-7.0, 0.5, 3.0], dtype=np.float32)
    assert learner(reward_clip=1.0).stored_rewards(rewards).tolist() == [-1.0, 0.5, 1.0]
    assert learner(reward_clip=0.0).stored_rewards(rewards).tolist() == [-7.0, 0.5, 3.0]


def test_frozen_layers_keep_their_weights():
    subject = learner(frozen=("conv1",))
    before = {k: v.clone() for k, v in subject.network.state_dict().items()}
    subject.update(batch())
    after = subject.network.state_dict()
    assert torch.equal(before["convolutions.conv1.weight"], after["convolutions.conv1.weight"])
    assert not torch.equal(before["convolutions.conv2.weight"], after["convolutions.conv2.weight"])
