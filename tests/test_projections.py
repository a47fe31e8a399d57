"""The grouped projections against one linear layer per game."""

import pytest
import torch

from actormimic.losses import actor_mimic_loss
from actormimic.projections import GroupedLinear, GroupedMlp


def test_each_game_has_a_map_of_its_own() -> None:
    torch.manual_seed(0)
    projections = GroupedLinear(3, 7, 5)
    features = torch.randn(12, 7, requires_grad=True)
    out = projections(features)
    expected = torch.cat(
        [
            torch.nn.functional.linear(rows, projections.weight[game], projections.bias[game])
            for game, rows in enumerate(features.split(4))
        ]
    )
    torch.testing.assert_close(out, expected)
    for a, b in zip(
        torch.autograd.grad(out.square().sum(), [features, *projections.parameters()]),
        torch.autograd.grad(expected.square().sum(), [features, *projections.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_narrower_experts_are_padded_with_zeros_for_good() -> None:
    torch.manual_seed(0)
    projections = GroupedLinear(2, 7, [3, 5])
    optimizer = torch.optim.Adam(projections.parameters(), lr=0.1)
    expert_features = torch.randn(8, 5)
    expert_features[:4, 3:] = 0
    logits, mask = torch.zeros(8, 18), torch.ones(8, 18, dtype=torch.bool)
    losses = []
    for _ in range(5):
        loss = actor_mimic_loss(
            logits,
            logits,
            mask,
            predicted_features=projections(torch.ones(8, 7)),
            expert_features=expert_features,
            beta=0.01,
        )
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.feature.item())
    assert losses[-1] < losses[0]
    assert not projections.weight[0, 3:].any()
    assert not projections.bias[0, 3:].any()
    assert projections.weight[1, 3:].any()


def test_parameters_start_within_the_bound() -> None:
    projections = GroupedLinear(4, 100, 50)
    for parameter in projections.parameters():
        assert 0.09 < parameter.abs().max() <= 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 7, 5), "groups is 0; allowed: 1 or more"),
        ((2, 0, 5), "in_features is 0; allowed: 1 or more"),
        ((2, 7, [5]), r"out_features is \[5\]; allowed: a positive width or 2 of them"),
        ((2, 7, 0), "out_features is 0; allowed: a positive width or 2 of them"),
    ],
)
def test_bad_sizes_are_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroupedLinear(*arguments)


def test_bad_batches_are_refused() -> None:
    projections = GroupedLinear(2, 7, 5)
    with pytest.raises(ValueError, match=r"features has shape \(4, 6\); allowed: \(B, 7\)"):
        projections(torch.zeros(4, 6))
    with pytest.raises(ValueError, match="features has 5 rows; allowed: multiples of 2 games"):
        projections(torch.zeros(5, 7))


def test_a_network_with_a_hidden_layer_for_each_game() -> None:
    torch.manual_seed(0)
    projections = GroupedMlp(2, 7, [3, 5], hidden_features=11)
    features = torch.randn(6, 7)
    hidden, output = projections.hidden, projections.output
    for game, rows in enumerate(features.split(3)):
        inside = torch.relu(rows @ hidden.weight[game].T + hidden.bias[game])
        expected = inside @ output.weight[game].T + output.bias[game]
        torch.testing.assert_close(projections(features)[3 * game : 3 * game + 3], expected)
    assert not projections(features)[:3, 3:].any(), "past a game's own width it is 0"
    assert GroupedMlp(2, 7, 4).hidden.out_features == 7
