"""What a transfer takes over, and how like a target game is its sources.

The two measures of likeness are tried on known covariances, and on ROMs.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from actormimic.checkpoint import WeightsHeader, load_weights, save_weights
from actormimic.games import minimal_actions
from actormimic.networks import seeded_network
from actormimic.policy import NetworkPolicy
from actormimic.sections import (
    EnvironmentSettings,
    EvaluationSettings,
    NetworkSettings,
    SimilaritySettings,
)
from actormimic.transfer import (
    FeatureMoments,
    covariance_similarity,
    explained_variance,
    source_similarities,
    transfer_weights,
)


def covariance(seed: int, width: int = 6) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(50, width))
    return np.cov(rows, rowvar=False)


def test_cka_of_covariances_is_linear_cka_over_the_features():
    """As Kornblith et al. 2019 have it, with the D features as items and the states as neurons."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(30, 6)) @ rng.normal(size=(6, 6))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.linalg.norm(y @ x.T) ** 2 / (np.linalg.norm(x @ x.T) * np.linalg.norm(y @ y.T))
    found = covariance_similarity(x.T @ x / 40, y.T @ y / 30)
    assert found == pytest.approx(expected)


def test_cka_is_one_for_the_same_directions_and_zero_for_orthogonal_ones():
    same = covariance(1)
    assert covariance_similarity(same, 7.5 * same) == pytest.approx(1.0)
    assert covariance_similarity(np.diag([1.0, 2, 0, 0]), np.diag([0, 0, 3.0, 1])) == 0.0
    assert covariance_similarity(same, np.zeros((6, 6))) == 0.0


def test_explained_variance_is_the_target_s_within_the_source_s_directions():
    source = np.diag([10.0, 5.0, 1e-3, 0.0])
    target = np.diag([1.0, 2.0, 3.0, 4.0])
    assert explained_variance(source, target, 0.95) == pytest.approx(3 / 10)
    assert explained_variance(source, target, 0.5) == pytest.approx(1 / 10)
    # All the variance: the directions with any; the fourth has none.
    assert explained_variance(source, target, 1.0) == pytest.approx(6 / 10)
    assert explained_variance(source, source, 1.0) == pytest.approx(1.0)
    assert explained_variance(np.zeros((4, 4)), target, 0.9) == 0.0


def test_the_moments_are_the_features_covariance():
    sets = [minimal_actions("pong"), minimal_actions("breakout")]
    network = seeded_network(NetworkSettings(size="nips2013"), sets, 0)
    moments = FeatureMoments(network, torch.arange(2))
    frames = np.random.default_rng(3).integers(0, 256, (12, 4, 84, 84), dtype=np.uint8)
    index = np.array([0, 1] * 6, dtype=np.int32)
    moments(frames[:6], index[:6])
    moments(frames[6:], index[6:])
    with torch.no_grad():
        features = network(torch.from_numpy(frames)).features.double().numpy()
    expected = np.cov(features[1::2], rowvar=False, bias=True)
    # Added up in other batches than they are computed in here.
    np.testing.assert_allclose(moments.covariance(1), expected, rtol=1e-4, atol=1e-9)


def similarities(variance: float = 0.95, agent_steps: int = 60):
    games = ["breakout", "seaquest"]
    sets = [minimal_actions(game) for game in games]
    network = seeded_network(NetworkSettings(size="nips2013"), sets, 0)
    return source_similarities(
        NetworkPolicy(network, games, sets),
        "breakout",
        SimilaritySettings(agent_steps=agent_steps, variance=variance),
        EvaluationSettings(),
        EnvironmentSettings(),
        seed=4,
    )


def test_a_game_is_most_like_itself():
    rows = similarities()
    assert [row["game"] for row in rows] == ["breakout", "seaquest"]
    assert 0 <= rows[1]["cka"] < rows[0]["cka"] <= 1
    assert rows[0]["explained"] > rows[1]["explained"]


def test_each_setting_changes_what_is_found():
    plain = similarities()
    assert plain == similarities()
    assert [r["explained"] for r in plain] != [r["explained"] for r in similarities(variance=0.5)]
    assert plain != similarities(agent_steps=90)


def weights_file(folder: Path, games: list[str], **settings: str) -> Path:
    action_sets = [minimal_actions(game) for game in games]
    network = seeded_network(NetworkSettings(**settings), action_sets, 1)
    header = WeightsHeader(
        kind="actor_mimic",
        games=tuple(games),
        action_sets=tuple(action_sets),
        network=network.description(),
        settings={},
        agent_steps=0,
    )
    path = folder / "source.safetensors"
    save_weights(path, network.state_dict(), header)
    return path


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The weights of a network that plays two games."""
    return weights_file(tmp_path, ["breakout", "pong"])


@pytest.mark.parametrize(("layer", "outputs"), [("keep", "all"), ("keep", "valid")])
def test_the_output_layer_can_be_kept(trained, layer: str, outputs: str):
    actions = minimal_actions("space_invaders")
    network = seeded_network(NetworkSettings(outputs=outputs), [actions], 9)
    source, _ = load_weights(trained)
    transfer_weights(network, trained, layer, actions)
    kept = source["output.0.weight"]
    expected = kept if outputs == "all" else kept[list(actions)]
    assert torch.equal(network.output[0].weight, expected)


def test_the_output_layer_can_be_drawn_anew(trained):
    actions = minimal_actions("space_invaders")
    network = seeded_network(NetworkSettings(), [actions], 9)
    before = network.output[0].weight.clone()
    transfer_weights(network, trained, "reinitialize", actions)
    source, _ = load_weights(trained)
    assert torch.equal(network.output[0].weight, before)
    assert torch.equal(network.convolutions["conv1"].weight, source["convolutions.conv1.weight"])


def test_hidden_layers_can_be_drawn_anew(trained):
    actions = minimal_actions("space_invaders")
    network = seeded_network(NetworkSettings(), [actions], 9)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    transfer_weights(network, trained, "keep", actions, ["conv3", "fc1"])
    source, _ = load_weights(trained)
    anew = {"convolutions.conv3", "hidden.0.fc1"}
    for name, tensor in network.state_dict().items():
        expected = before if name.rpartition(".")[0] in anew else source
        assert torch.equal(tensor, expected[name]), name


def test_networks_of_another_size_do_not_transfer(trained):
    network = seeded_network(NetworkSettings(size="nips2013"), [(0, 1)], 0)
    with pytest.raises(ValueError, match=r"has shape .*; expected .* \(network\.size nips2013\)"):
        transfer_weights(network, trained, "keep", (0, 1))


def test_transfer_refuses_another_padding(trained):
    network = seeded_network(NetworkSettings(conv1_padding=1), [(0, 1)], 0)
    with pytest.raises(ValueError, match=r"conv1_padding 0; expected 1"):
        transfer_weights(network, trained, "keep", (0, 1))


def test_an_output_layer_without_the_actions_is_not_kept(tmp_path):
    expert = weights_file(tmp_path, ["breakout"], size="nips2013", outputs="valid")
    network = seeded_network(NetworkSettings(size="nips2013"), [(0, 1, 17)], 0)
    with pytest.raises(ValueError, match=r"has output units for 4 actions only; allowed: reinit"):
        transfer_weights(network, expert, "keep", (0, 1, 17))
