"""The networks' sizes, masks, heads and arithmetic."""

import pytest
import torch

from actormimic.networks import AtariNetwork, described_network, seeded_network
from actormimic.sections import NetworkSettings

PONG = (0, 1, 3, 4, 11, 12)
BREAKOUT = (0, 1, 3, 4)


def frames(rows: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, 4, 84, 84), generator=generator, dtype=torch.uint8)


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("size", "count", "features"),
    [
        # Summed by hand from the layers in section 5.1 and appendix D.
        ("small", 1_693_362, 512),
        ("large", 35_210_514, 1024),
        ("nips2013", 677_554 + 256 * 18 - 256 * 4 + 18 - 4, 256),
    ],
)
def test_sizes_are_the_papers(size, count, features):
    network = AtariNetwork(NetworkSettings(size=size), [PONG])
    assert network.feature_size == features
    assert parameters(network) == pytest.approx(count, rel=0.005)
    output = network(frames(2))
    assert output.outputs.shape == (2, 18)
    assert output.features.shape == (2, features)
    assert (output.features >= 0).all(), "the features are those after the rectifier"


def test_small_has_exactly_the_published_parameters():
    assert parameters(AtariNetwork(NetworkSettings(), [PONG])) == 1_693_362


def test_initial_weights_lie_within_one_over_root_fan_in():
    network = AtariNetwork(NetworkSettings(), [PONG])
    for layer in [*network.convolutions.values(), network.output[0]]:
        bound = layer.weight[0].numel() ** -0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.9 * bound
        assert layer.bias.abs().max() <= bound


def test_first_weights_are_no_part_of_what_a_network_is():
    described = seeded_network(NetworkSettings(initialization="he"), [PONG], 0).description()
    assert described == seeded_network(NetworkSettings(), [PONG], 0).description()


@pytest.mark.parametrize("heads", ["shared", "separate"])
def test_he_s_initial_weights_keep_the_size_of_activations(heads):
    settings = NetworkSettings(initialization="he")
    network = seeded_network(settings, [PONG, BREAKOUT], 0, heads=heads)
    hidden = [stack["fc1"] for stack in network.hidden]
    for layer in [*network.convolutions.values(), *hidden]:
        bound = (6 / layer.weight[0].numel()) ** 0.5
        assert 0.95 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()
    for layer in network.output:
        assert layer.weight.abs().max() <= layer.in_features**-0.5
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, hidden[0].in_features, generator=generator).relu()
    # The second moment, over outputs of which the rectifier drops half. From seed to seed the ratio
    # scatters by 4%, since inputs that are nowhere negative are much alike.
    after = hidden[0](x).detach().relu().square().mean().item()
    assert after == pytest.approx(x.square().mean().item(), rel=0.15)


def test_conv1_padding_changes_outputs_not_sizes():
    plain = seeded_network(NetworkSettings(), [PONG], 0)
    padded = seeded_network(NetworkSettings(conv1_padding=1), [PONG], 0)
    assert parameters(plain) == parameters(padded)
    assert not torch.equal(plain(frames(1)).outputs, padded(frames(1)).outputs)


def test_valid_outputs_are_scattered_to_their_action_numbers():
    network = seeded_network(NetworkSettings(outputs="valid"), [PONG], 0)
    assert network.output[0].out_features == len(PONG)
    output = network(frames(3))
    head = network.output[0](output.features)
    assert torch.equal(output.outputs[:, list(PONG)], head)
    others = [action for action in range(18) if action not in PONG]
    assert (output.outputs[:, others] == 0).all()


def test_valid_outputs_of_several_games_are_refused():
    with pytest.raises(ValueError, match=r"network\.outputs is 'valid' for 2 games"):
        AtariNetwork(NetworkSettings(outputs="valid"), [PONG, BREAKOUT])


def test_separate_heads_share_only_the_convolutions():
    network = seeded_network(NetworkSettings(), [PONG, BREAKOUT], 0, heads="separate")
    batch = frames(4)
    index = torch.tensor([0, 1, 1, 0])
    mixed = network(batch, index)
    for game in (0, 1):
        rows = torch.nonzero(index == game).flatten()
        alone = network(batch[rows], torch.full((len(rows),), game))
        torch.testing.assert_close(mixed.outputs[rows], alone.outputs)
        torch.testing.assert_close(mixed.features[rows], alone.features)
    mixed.outputs[index == 0].sum().backward()
    assert network.hidden[0]["fc1"].weight.grad.abs().sum() > 0
    assert network.hidden[1]["fc1"].weight.grad is None or not (
        network.hidden[1]["fc1"].weight.grad.any()
    )
    assert network.convolutions["conv1"].weight.grad.abs().sum() > 0


def test_rows_in_the_games_order_need_no_index():
    sets = [PONG, BREAKOUT, range(18)]
    network = seeded_network(NetworkSettings(size="nips2013"), sets, 0, heads="separate")
    batch, index = frames(6), torch.arange(3).repeat_interleave(2)
    found, expected = network(batch, by_game=True), network(batch, index)
    torch.testing.assert_close(found.outputs, expected.outputs)
    torch.testing.assert_close(found.features, expected.features)
    shared = seeded_network(NetworkSettings(size="nips2013"), sets, 0)
    assert torch.equal(shared(batch, by_game=True).outputs, shared(batch).outputs)


def test_separate_heads_need_the_game_of_each_row():
    network = AtariNetwork(NetworkSettings(), [PONG, BREAKOUT], heads="separate")
    with pytest.raises(ValueError, match="game_index is missing"):
        network(frames(1))


def test_bfloat16_changes_the_hidden_layers_only():
    exact = seeded_network(NetworkSettings(size="nips2013"), [PONG], 0)
    rounded = seeded_network(NetworkSettings(size="nips2013"), [PONG], 0, precision=torch.bfloat16)
    a, b = exact(frames(2)), rounded(frames(2))
    assert b.features.dtype == torch.bfloat16
    assert b.outputs.dtype == torch.float32
    assert not torch.equal(a.outputs, b.outputs)
    torch.testing.assert_close(a.outputs, b.outputs, atol=0.02, rtol=0.05)


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(1)
    first = seeded_network(NetworkSettings(), [PONG], 5).state_dict()
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    second = seeded_network(NetworkSettings(), [PONG], 5).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state), "torch's generator is untouched"
    assert all(torch.equal(first[name], second[name]) for name in first)
    third = seeded_network(NetworkSettings(), [PONG], 6).state_dict()
    assert not torch.equal(first["output.0.weight"], third["output.0.weight"])


def test_a_description_builds_the_same_network_again():
    network = seeded_network(
        NetworkSettings(size="nips2013", conv1_padding=1), [PONG, BREAKOUT], 0, heads="separate"
    )
    again = described_network(network.description(), [PONG, BREAKOUT])
    again.load_state_dict(network.state_dict())
    index = torch.tensor([1, 0])
    assert torch.equal(network(frames(2), index).outputs, again(frames(2), index).outputs)
