"""Acting: valid actions only, uniform exploration, one forward for all games."""

import numpy as np
import pytest
import torch

from actormimic.checkpoint import WeightsHeader, save_weights
from actormimic.networks import seeded_network
from actormimic.policy import (
    NetworkPolicy,
    RandomPolicy,
    action_masks,
    load,
    mix_random,
)
from actormimic.randomness import Stream, generator
from actormimic.sections import NetworkSettings

PONG = (0, 1, 3, 4, 11, 12)
BREAKOUT = (0, 1, 3, 4)
GAMES = ("pong", "breakout")


def frames(rows: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, 4, 84, 84), dtype=np.uint8)


def policy(**options) -> NetworkPolicy:
    network = seeded_network(NetworkSettings(size="nips2013"), [PONG, BREAKOUT], 0)
    return NetworkPolicy(network, GAMES, [PONG, BREAKOUT], **options)


def test_random_actions_are_uniform_over_the_valid_ones():
    masks = action_masks([PONG])[np.zeros(60_000, dtype=int)]
    actions = mix_random(np.full(60_000, 17), masks, 1.0, generator(0, Stream.ACTING, 0))
    values, counts = np.unique(actions, return_counts=True)
    assert tuple(values) == PONG
    # Chi-square with 5 degrees of freedom: 25.7 is exceeded once in 10,000 seeds.
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 25.7


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.6])
def test_epsilon_is_the_share_of_random_actions(epsilon):
    masks = action_masks([BREAKOUT])[np.zeros(40_000, dtype=int)]
    # 17 is no action of the game, so whatever is another number was drawn.
    actions = mix_random(np.full(40_000, 17), masks, epsilon, generator(0, Stream.ACTING, 1))
    assert abs((actions != 17).mean() - epsilon) <= 4 * np.sqrt(epsilon * (1 - epsilon) / 40_000)


def test_each_row_plays_its_own_games_actions():
    index = np.array([0, 1] * 40, dtype=np.int32)
    actions = policy().act(frames(80), index, 0.3, generator(0, Stream.ACTING, 2))
    assert set(actions[index == 0]) <= set(PONG)
    assert set(actions[index == 1]) <= set(BREAKOUT)


def test_the_greedy_action_is_the_best_valid_one():
    subject = policy()
    index = np.array([1, 0, 1], dtype=np.int32)
    batch = frames(3)
    with torch.no_grad():
        outputs = subject.network(torch.from_numpy(batch)).outputs.numpy()
    expected = [
        max(BREAKOUT, key=lambda a: outputs[0, a]),
        max(PONG, key=lambda a: outputs[1, a]),
        max(BREAKOUT, key=lambda a: outputs[2, a]),
    ]
    assert subject.act(batch, index, 0.0, generator(0, Stream.ACTING, 3)).tolist() == expected


def test_sampling_draws_from_the_softmax():
    subject = policy(selection="sample")
    batch = np.repeat(frames(1), 3000, axis=0)
    index = np.ones(3000, dtype=np.int32)
    actions = subject.act(batch, index, 0.0, generator(0, Stream.ACTING, 4))
    expected = torch.softmax(subject.outputs(batch[:1], index[:1]), dim=1)[0].numpy()
    shares = np.bincount(actions, minlength=18) / 3000
    # Five standard errors of a share at most 1/2.
    np.testing.assert_allclose(shares, expected, atol=5 * 0.5 / np.sqrt(3000))
    assert set(actions) == set(BREAKOUT)


def test_random_policy_ignores_the_frames():
    subject = RandomPolicy(GAMES, [PONG, BREAKOUT])
    index = np.zeros(200, dtype=np.int32)
    actions = subject.act(frames(200), index, 0.0, generator(0, Stream.ACTING, 5))
    assert set(actions) == set(PONG)


def header(network) -> WeightsHeader:
    return WeightsHeader(
        kind="actor_mimic",
        games=GAMES,
        action_sets=(PONG, BREAKOUT),
        network=network.description(),
        settings={},
        agent_steps=1,
    )


def test_a_saved_policy_acts_the_same(tmp_path):
    subject = policy()
    path = tmp_path / "net.safetensors"
    save_weights(path, subject.network.state_dict(), header(subject.network))
    again = load(path)
    assert again.games == GAMES
    index = np.array([0, 1], dtype=np.int32)
    batch = frames(2)
    torch.testing.assert_close(
        again.outputs(batch, index), subject.outputs(batch, index), rtol=0, atol=0
    )


def test_a_run_folder_means_its_final_weights(tmp_path):
    subject = policy()
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    save_weights(
        folder / "final.safetensors", subject.network.state_dict(), header(subject.network)
    )
    assert load(tmp_path).games == GAMES


def test_nothing_there_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="holds no weights"):
        load(tmp_path)
    with pytest.raises(ValueError, match="does not exist; a weights file or a run folder"):
        load(tmp_path / "none.safetensors")


def test_tensors_that_are_not_the_described_network_are_refused(tmp_path):
    subject = policy()
    tensors = subject.network.state_dict()
    tensors.pop("output.0.bias")
    save_weights(tmp_path / "net.safetensors", tensors, header(subject.network))
    with pytest.raises(ValueError, match="does not hold the network that it describes"):
        load(tmp_path / "net.safetensors")
