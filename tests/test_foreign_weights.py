"""State dicts of other libraries: equal Q-values, nothing executed, refusals in one line."""

import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from actormimic import experts
from actormimic.games import minimal_actions
from actormimic.networks import ARCHITECTURES
from actormimic.sections import ExpertFile


def states(rows: int = 4) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (rows, 4, 84, 84), dtype=np.uint8))


class QNetwork(nn.Module):
    """The structure of CleanRL's ``dqn_atari.py``: a Sequential named ``network``, pixels / 255."""

    def __init__(self, outputs: int, size: str = "small", scale: float = 255.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = 4, 84
        for filters, kernel, stride in ARCHITECTURES[size].convolutions:
            layers += [nn.Conv2d(channels, filters, kernel, stride=stride), nn.ReLU()]
            channels, side = filters, (side - kernel) // stride + 1
        (units,) = ARCHITECTURES[size].hidden
        layers += [nn.Flatten(), nn.Linear(channels * side * side, units), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.Linear(units, outputs))
        self.scale = scale

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.network(frames.float() / self.scale)


@pytest.fixture(autouse=True)
def _fixed_weights():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        yield


def saved(path, network=None, **kwargs):
    network = network or QNetwork(6, **kwargs)
    torch.save(network.state_dict(), path)
    return network


def assert_same_values(expert, network, columns):
    batch = states()
    with torch.no_grad():
        expected = network(batch)
    # The pixels' scale lies in the weights here and in the frames there: a few float32 roundings.
    torch.testing.assert_close(expert.q(batch)[:, list(columns)], expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("size", ["small", "nips2013"])
@pytest.mark.parametrize("name", ["pong.cleanrl_model", "pong.pt", "pong.pth"])
def test_cleanrl_values_are_the_same(tmp_path, size, name):
    network = saved(tmp_path / name, size=size)
    assert next(iter(network.state_dict())) == "network.0.weight"
    expert = experts.load(tmp_path / name, "pong")
    assert expert.actions == minimal_actions("pong")
    assert_same_values(expert, network, minimal_actions("pong"))
    assert (expert.q(states())[:, 2] == 0).all(), "pong has no action 2"


def test_a_network_that_takes_bytes(tmp_path):
    network = saved(tmp_path / "pong.pt", scale=1.0)
    expert = experts.load(ExpertFile(file=str(tmp_path / "pong.pt"), pixels="bytes"), "pong")
    batch = states()
    with torch.no_grad():
        expected = network(batch)
    # Values of a network that is not scaled are a hundred times as large.
    torch.testing.assert_close(
        expert.q(batch)[:, [0, 1, 3, 4, 11, 12]], expected, rtol=1e-4, atol=0
    )
    unit = experts.load(tmp_path / "pong.pt", "pong")
    assert not torch.allclose(unit.q(batch), expert.q(batch))


@pytest.mark.parametrize("wrap", ["state_dict", "model", "q_network"])
def test_a_state_dict_among_other_things(tmp_path, wrap):
    network = QNetwork(6)
    optimizer = torch.optim.Adam(network.parameters())
    network(states()).sum().backward()
    optimizer.step()
    about = {wrap: network.state_dict(), "optimizer": optimizer.state_dict(), "step": 7}
    torch.save(about, tmp_path / "checkpoint.pth")
    assert_same_values(
        experts.load(tmp_path / "checkpoint.pth", "pong"), network, [0, 1, 3, 4, 11, 12]
    )


def test_the_older_format_of_torch(tmp_path):
    network = QNetwork(4)
    torch.save(network.state_dict(), tmp_path / "breakout.pt", _use_new_zipfile_serialization=False)
    assert_same_values(experts.load(tmp_path / "breakout.pt", "breakout"), network, [0, 1, 3, 4])


def test_heads_are_scattered_by_the_game_s_actions(tmp_path):
    for game, outputs in (("breakout", 4), ("freeway", 3), ("seaquest", 18), ("pong", 18)):
        network = saved(tmp_path / f"{game}.pt", QNetwork(outputs))
        expert = experts.load(tmp_path / f"{game}.pt", game)
        assert expert.actions == minimal_actions(game)
        columns = minimal_actions(game) if outputs < 18 else range(18)
        assert_same_values(expert, network, columns)


def test_all_18_outputs_may_come_in_another_order(tmp_path):
    path, backwards = tmp_path / "boxing.pt", list(reversed(range(18)))
    network = saved(path, QNetwork(18))
    assert_same_values(experts.load(path, "boxing"), network, range(18))
    expert = experts.load(ExpertFile(file=str(path), actions=backwards), "boxing")
    assert expert.actions == tuple(range(18))
    assert_same_values(expert, network, backwards)


def test_a_head_that_the_action_set_does_not_explain_needs_its_actions(tmp_path):
    path = tmp_path / "pong.pt"
    network = saved(path, QNetwork(3))
    with pytest.raises(
        ValueError, match=r"has 3 outputs; expected for pong: 6 \(0, 1, 3, "
    ) as line:
        experts.load(path, "pong")
    assert "the emulator of the paper's authors had [0, 3, 4]" in str(line.value)
    expert = experts.load(ExpertFile(file=str(path), actions=[0, 4, 3]), "pong")
    assert expert.actions == (0, 3, 4)
    assert_same_values(expert, network, [0, 4, 3])
    policy = experts.ExpertsPolicy([expert])
    index = np.zeros(4, dtype=np.int32)
    assert torch.isinf(policy.outputs(states().numpy(), index)[:, [1, 11, 12]]).all()
    for actions, message in (
        ([0, 3], "actions has 2 entries, but .* has 3 outputs"),
        ([0, 2, 5], r"actions is \[0, 2, 5\]; allowed for pong: each once of 0, 1, 3, 4, 11, 12"),
        ([0, 3, 3], r"actions is \[0, 3, 3\]; allowed"),
    ):
        with pytest.raises(ValueError, match=message):
            experts.load(ExpertFile(file=str(path), actions=actions), "pong")


def refusal(path, game="pong", **about) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the callers look at the line)
        experts.load(ExpertFile(file=str(path), **about), game)
    line = str(caught.value)
    assert "\n" not in line
    assert path.name in line
    return line


def test_another_architecture_is_refused_with_both(tmp_path):
    path = tmp_path / "other.pt"
    torch.save(nn.Sequential(nn.Conv2d(4, 8, 8), nn.Flatten(), nn.Linear(9, 6)).state_dict(), path)
    line = refusal(path)
    assert "holds layers 8x4x8x8 6x9;" in line
    assert "32x4x8x8 64x32x4x4 64x64x3x3 512x3136 18x512 (the 2015 network)" in line
    assert "16x4x8x8 32x16x4x4 256x2592 18x256 (the 2013 network)" in line
    torch.save(nn.Linear(4, 2).state_dict(), path)
    assert "holds no convolutions; expected: the state dict of one network" in refusal(path)
    two = {"online": QNetwork(6).state_dict(), "target": QNetwork(6).state_dict()}
    torch.save(two, path)
    assert "holds 2 networks; expected: the state dict of one network" in refusal(path)
    unbiased = QNetwork(6).state_dict()
    del unbiased["network.9.bias"]
    torch.save(unbiased, path)
    assert "outputs last, each with a bias" in refusal(path)


def test_another_number_of_actions_is_refused_with_both(tmp_path):
    saved(tmp_path / "x.pt", QNetwork(6))
    assert "has 6 outputs; expected for breakout: 4 (0, 1, 3, 4) or 18" in refusal(
        tmp_path / "x.pt", "breakout"
    )
    saved(tmp_path / "wide.pt", QNetwork(19))
    assert "has 19 outputs; expected: 2 to 18" in refusal(tmp_path / "wide.pt")


def test_values_that_are_no_numbers_are_refused(tmp_path):
    state = QNetwork(6).state_dict()
    state["network.2.bias"][3] = torch.nan
    torch.save(state, tmp_path / "x.pt")
    assert "network.2.bias holds values that are no finite numbers" in refusal(tmp_path / "x.pt")


def test_a_tensor_larger_than_its_file_takes_no_memory(tmp_path):
    state = QNetwork(6).state_dict()
    state["network.0.weight"] = torch.zeros(1).expand(1 << 40, 4, 8, 8)  # a petabyte, said in bytes
    torch.save(state, tmp_path / "x.pt")
    assert "holds layers 1099511627776x4x8x8 64x32x4x4" in refusal(tmp_path / "x.pt")


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    marker = tmp_path / "ran"
    state = OrderedDict(QNetwork(6).state_dict(), bomb=Bomb(marker))
    for name, write in {
        "new.pt": lambda path: torch.save(state, path),
        "old.pt": lambda path: torch.save(state, path, _use_new_zipfile_serialization=False),
        "plain.pth": lambda path: path.write_bytes(pickle.dumps(Bomb(marker), protocol=2)),
        "whole.cleanrl_model": lambda path: torch.save(QNetwork(6), path),
    }.items():
        write(tmp_path / name)
        line = refusal(tmp_path / name)
        if name != "plain.pth":
            assert "which is not run; expected: tensors alone" in line
        if name.endswith(".pt"):
            assert "Python object posix.mkdir" in line
    assert not marker.exists()
    # The same pickle does run where it is trusted, so the marker's absence says something.
    with zipfile.ZipFile(tmp_path / "new.pt") as archive:
        assert b"posix" in archive.read("new/data.pkl")
    pickle.loads(pickle.dumps(Bomb(marker)))
    assert marker.exists()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
@pytest.mark.parametrize("new_format", [True, False])
def test_truncated_and_damaged_files_are_refused(tmp_path, share, new_format):
    path = tmp_path / "x.pt"
    torch.save(QNetwork(6).state_dict(), path, _use_new_zipfile_serialization=new_format)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "damaged" in refusal(path)


def test_other_files_are_refused(tmp_path):
    for name, content in {"text.pt": b"hello", "data.zip": b"PK\x03\x04" + b"\0" * 64}.items():
        (tmp_path / name).write_bytes(content)
        assert "is damaged or no file of torch.save" in refusal(tmp_path / name)
    scripted = tmp_path / "script.pt"
    with zipfile.ZipFile(scripted, "w") as archive:
        archive.writestr("script/constants.pkl", b"")
    assert "holds a program (TorchScript); expected: tensors alone" in refusal(scripted)
