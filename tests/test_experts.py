"""Experts: loaded, checked, and asked for their values game by game."""

import numpy as np
import pytest
import torch

from actormimic import experts
from actormimic.bundled import bundled_games
from actormimic.checkpoint import WeightsHeader, save_weights
from actormimic.games import minimal_actions
from actormimic.networks import seeded_network
from actormimic.randomness import Stream, generator
from actormimic.sections import NetworkSettings


def frames(rows: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (rows, 4, 84, 84), dtype=np.uint8)


def save_expert(path, game, size="nips2013", seed=0, outputs="valid", dtype=torch.float32):
    actions = minimal_actions(game)
    network = seeded_network(NetworkSettings(size=size, outputs=outputs), [actions], seed)
    header = WeightsHeader("dqn", (game,), (actions,), network.description(), {}, 1)
    save_weights(path, {k: v.to(dtype) for k, v in network.state_dict().items()}, header)
    return network


def test_an_expert_gives_its_networks_values(tmp_path):
    network = save_expert(tmp_path / "pong.safetensors", "pong")
    expert = experts.load(tmp_path / "pong.safetensors", "pong")
    batch = torch.from_numpy(frames(3))
    with torch.no_grad():
        expected = network(batch).outputs
    assert torch.equal(expert.q(batch), expected)
    assert expert.actions == minimal_actions("pong")
    assert not any(p.requires_grad for p in expert.network.parameters())


def test_half_precision_files_are_computed_in_float32(tmp_path):
    network = save_expert(tmp_path / "pong.safetensors", "pong", dtype=torch.float16)
    expert = experts.load(tmp_path / "pong.safetensors", "pong")
    batch = torch.from_numpy(frames(2))
    assert expert.q(batch).dtype == torch.float32
    with torch.no_grad():
        # Weights rounded to float16 carry a relative error of 2^-11 each.
        torch.testing.assert_close(expert.q(batch), network(batch).outputs, atol=2e-3, rtol=2e-2)


def test_each_row_is_asked_of_its_games_expert(tmp_path):
    save_expert(tmp_path / "pong.safetensors", "pong", size="nips2013")
    save_expert(tmp_path / "breakout.safetensors", "breakout", size="small", seed=1)
    policy = experts.experts_policy(
        {name: tmp_path / f"{name}.safetensors" for name in ("pong", "breakout")}
    )
    batch, index = frames(5), np.array([0, 0, 1, 0, 1], dtype=np.int32)
    values, features = policy.label(batch, index)
    assert policy.feature_size == 512
    assert features.shape == (5, 512)
    for game, name in enumerate(policy.games):
        expert = experts.load(tmp_path / f"{name}.safetensors", name)
        rows = np.flatnonzero(index == game)
        with torch.no_grad():
            output = expert.network(torch.from_numpy(batch[rows]))
        torch.testing.assert_close(values[rows], output.outputs, atol=1e-6, rtol=1e-5)
        width = output.features.shape[1]
        torch.testing.assert_close(features[rows, :width], output.features, atol=1e-6, rtol=1e-5)
        assert (features[rows, width:] == 0).all()
    masked = policy.outputs(batch, index)
    assert torch.isinf(masked[2, 12]), "breakout has no action 12"
    actions = policy.act(batch, index, 0.0, generator(0, Stream.ACTING, 0))
    assert actions.tolist() == masked.argmax(dim=1).tolist()


def test_the_expert_of_another_game_is_refused(tmp_path):
    save_expert(tmp_path / "pong.safetensors", "pong")
    with pytest.raises(ValueError, match=r"plays pong; an expert of breakout alone is expected"):
        experts.load(tmp_path / "pong.safetensors", "breakout")


def test_a_network_that_diverged_teaches_nobody(tmp_path):
    path = tmp_path / "pong.safetensors"
    network = save_expert(path, "pong")
    tensors = {**network.state_dict(), "output.0.bias": torch.full((6,), torch.nan)}
    actions = minimal_actions("pong")
    header = WeightsHeader("dqn", ("pong",), (actions,), network.description(), {}, 1)
    save_weights(path, tensors, header)
    with pytest.raises(ValueError, match=r"output.0.bias holds values that are no finite numbers"):
        experts.load(path, "pong")


def test_a_missing_bundled_expert_names_those_there_are():
    with pytest.raises(ValueError, match=r"no bundled expert of adventure; bundled: "):
        experts.load("bundled", "adventure")


def test_every_bundled_expert_loads():
    for game in bundled_games():
        expert = experts.load("bundled", game)
        assert expert.q(torch.from_numpy(frames(1))).shape == (1, 18)
