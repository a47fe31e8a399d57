"""What a run starts from, refused where it does not fit before anything is made."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from actormimic import kernels
from actormimic.checkpoint import WeightsHeader, save_weights
from actormimic.config_files import load_settings
from actormimic.devices import machine_in_words
from actormimic.games import minimal_actions
from actormimic.networks import seeded_network
from actormimic.run import main
from actormimic.sections import NetworkSettings
from actormimic.tasks import _evaluated, check_machine_and_networks


def test_sources_that_are_not_there_are_refused_before_anything_is_made(tmp_path: Path, capfd):
    for config, override in (
        ("transfer.yaml", f"source={tmp_path / 'none'}"),
        ("evaluate.yaml", f"source={tmp_path / 'none'}"),
        ("amn.yaml", f"experts={{atlantis: {tmp_path / 'none'}}}"),
    ):
        assert main([config, f"folder={tmp_path / 'run'}", override]) == 2
        assert "which does not exist; allowed: a file or folder" in " ".join(
            capfd.readouterr().err.split()
        )
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["dqn.yaml", "device=cuda:77"],
        ["amn.yaml", "experts=bundled", "network.outputs=valid"],
        ["amn.yaml", "experts={pong: bundled}", "expert_training.config=nowhere.yaml"],
        ["amn.yaml", "experts={pong: bundled}", "expert_training.overrides=[preset=quick]"],
    ],
)
def test_what_would_fail_later_is_refused_before_anything_is_made(words, tmp_path: Path, capfd):
    assert main([*words, f"folder={tmp_path / 'run'}"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["without CUDA", "for other GPUs"])
def gpu_without_kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """A GPU for torch, and an install that has no kernels for it; gives what is said of it."""
    for name, value in (("is_available", True), ("device_count", 1), ("current_device", 0)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "A GPU")
    module, said = None, "actormimic was built without CUDA: put nvcc on PATH"
    if request.param == "for other GPUs":
        module = types.SimpleNamespace(
            __version__=kernels.core.__version__,
            bindings_digest=kernels.core.bindings_digest,
            architectures="90-real",
            why_not=lambda index: "CUDA error X: no kernel image",
        )
        said = "actormimic._cuda, built for architectures 90-real, does not run on A GPU (compute"
    monkeypatch.setitem(sys.modules, "actormimic._cuda", module)
    kernels._cuda.cache_clear()
    kernels._why_not.cache_clear()
    yield said
    kernels._cuda.cache_clear()
    kernels._why_not.cache_clear()


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
@pytest.mark.parametrize(
    ("words", "needing"),
    [
        (["amn.yaml"], "task is 'actor_mimic'"),
        (["amn.yaml", "experts=train"], "task is 'actor_mimic'"),
        (["dqn.yaml", "replay.residence=device"], "replay.residence is 'device'"),
    ],
)
def test_a_gpu_without_the_kernels_is_refused_before_anything_is_made(
    gpu_without_kernels, words, needing, device, tmp_path: Path, capfd
):
    assert main([*words, f"folder={tmp_path / 'run'}", f"device={device}"]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert f"{needing} on cuda" in err
    assert f", but {gpu_without_kernels}" in err
    assert list(tmp_path.iterdir()) == []


def test_auto_leaves_such_a_gpu_alone_where_kernels_are_needed_and_says_so(
    gpu_without_kernels, tmp_path: Path, capfd
):
    tiny = [
        *("games=[atlantis]", "experts=bundled", "environment.max_emulator_frames=400"),
        *("training.agent_steps=40", "training.learn_start=16", "training.batch=2"),
        *("replay.capacity=200", "evaluation.agent_steps=4"),
    ]
    assert main(["amn.yaml", *tiny, f"folder={tmp_path / 'run'}"]) == 0
    out = capfd.readouterr().out
    assert out.startswith(f"without the GPU: task is 'actor_mimic', and {gpu_without_kernels}")
    machine = json.loads((tmp_path / "run" / "results.json").read_text())["machine"]
    assert machine == machine_in_words(torch.device("cpu"))


@pytest.mark.parametrize(
    "words",
    [
        ["dqn.yaml", "device=cuda"],
        ["evaluate.yaml", "device=cuda"],
        ["amn.yaml", "device=cpu"],
        ["dqn.yaml", "replay.residence=device", "device=cpu"],
    ],
)
def test_what_needs_no_kernels_is_left_alone(gpu_without_kernels, words):
    check_machine_and_networks(load_settings(words[0], words[1:]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["freeze=[fc2]"], "freeze names fc2, which the small network has not; allowed: conv1, co"),
        (["reinitialize=[conv4]"], "reinitialize names conv4, which the small network has not; al"),
        (
            ["freeze=[conv1, fc1]", "reinitialize=[conv3, fc1]"],
            "freeze names fc1, which reinitialize names too and would never learn; allowed: layers",
        ),
        (["reinitialize=[fc1]"], "reinitialize is ['fc1'], which changes nothing (source is 'rand"),
    ],
)
def test_wrong_layers_are_refused(capfd, tmp_path: Path, words, message):
    words = ["transfer.yaml", f"folder={tmp_path / 'r'}", "network.size=small", *words]
    assert main(words) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "r").exists()


def source_network(path: Path, size: str = "nips2013") -> Path:
    """Weights of an Actor-Mimic network of two games, untrained."""
    games = ("breakout", "pong")
    action_sets = tuple(minimal_actions(game) for game in games)
    network = seeded_network(NetworkSettings(size=size), action_sets, 0)
    header = WeightsHeader("actor_mimic", games, action_sets, network.description(), {}, 48)
    save_weights(path, network.state_dict(), header)
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["network.size=small"], "conv1.bias has shape (16,); expected (32,) (network.size small)"),
        (
            ["network.size=nips2013", "network.conv1_padding=1"],
            "network.conv1_padding 0; expected 1",
        ),
        (["source=bundled"], "'bundled' are experts of a game each; allowed: a weights file"),
    ],
)
def test_wrong_sources_of_transfers_make_no_folder(capfd, tmp_path: Path, words, message):
    source = source_network(tmp_path / "source.safetensors")
    words = [f"folder={tmp_path / 'run'}", f"source={source}", *words]
    assert main(["transfer.yaml", *words]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"config": "transfer.yaml", "network": {"size": "small"}}, "conv1.bias has shape"),
        ({"config": "evaluate.yaml", "games": ["seaquest"]}, "no seaquest in this network"),
    ],
)
def test_wrong_sources_of_stages_make_no_folder(capfd, tmp_path: Path, stage, message):
    source = source_network(tmp_path / "source.safetensors")
    stages = {"a": {**stage, "source": str(source), "folder": str(tmp_path / "a")}}
    values = {"task": "pipeline", "folder": str(tmp_path / "pipeline"), "stages": stages}
    (tmp_path / "p.yaml").write_text(json.dumps(values))
    assert main([str(tmp_path / "p.yaml")]) == 2
    assert message in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.yaml", "source.safetensors"]


def test_evaluate_reads_a_file_of_another_library_as_it_is_told(tmp_path: Path, capfd):
    network = seeded_network(NetworkSettings(size="nips2013", outputs="valid"), [range(3)], 0)
    foreign = tmp_path / "pong.pt"
    torch.save(network.state_dict(), foreign)
    file = f"file: {foreign}"
    told = [f"source={{{file}, actions: [0, 3, 4]}}"]
    read = _evaluated(load_settings("evaluate.yaml", told))
    scaled = [f"source={{{file}, actions: [0, 3, 4], pixels: bytes}}"]
    by_bytes = _evaluated(load_settings("evaluate.yaml", scaled))
    assert read.action_sets == by_bytes.action_sets == [(0, 3, 4)]
    frames = np.full((1, 4, 84, 84), 255, np.uint8)
    first, second = (one.label(frames, np.zeros(1, np.int32))[0] for one in (read, by_bytes))
    assert not torch.allclose(first, second)
    words = ["evaluate.yaml", f"folder={tmp_path / 'run'}"]
    for source, message in (
        (f"{{{file}, pixels: bytes}}", "has 3 outputs; expected for pong: 6"),
        (f"{{{file}, pixels: words}}", "source is {'file': "),
        ("{file: nowhere.pt}", "source is 'nowhere.pt', which does not exist"),
        ("{file: bundled, pixels: bytes}", "pixels is given for"),
    ):
        assert main([*words, f"source={source}"]) == 2
        error = capfd.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    own = source_network(tmp_path / "own.safetensors")
    assert main([*words, f"source={{file: {own}, pixels: bytes}}"]) == 2
    assert "own.safetensors plays breakout, pong; an expert of pong alone" in capfd.readouterr().err
    assert _evaluated(load_settings("evaluate.yaml", [f"source={{file: {own}}}"])).games == (
        "pong",
    )
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_with_another_expert(capfd, tmp_path: Path):
    """What a complete run has is kept: with the earlier expert it could still go on."""
    teacher = tmp_path / "pong.safetensors"

    def run(seed: int, agent_steps: int) -> int:
        actions = minimal_actions("pong")
        network = seeded_network(NetworkSettings(size="nips2013"), [actions], seed)
        header = WeightsHeader("dqn", ("pong",), (actions,), network.description(), {}, 48)
        save_weights(teacher, network.state_dict(), header)
        sizes = {
            "training.agent_steps": agent_steps,
            "training.learn_start": 16,
            "replay.capacity": 400,
            "evaluation.agent_steps": 12,
            "environment.max_emulator_frames": 400,
            "optimizer.learning_rate": 1e-4,
        }
        words = [f"{name}={value}" for name, value in sizes.items()]
        games = ["games=[pong]", f"experts={{pong: {teacher}}}"]
        return main(["amn.yaml", f"folder={tmp_path / 'run'}", "device=cpu", *games, *words])

    assert run(0, 48) == 0
    before = {
        path: path.read_bytes()
        for path in (tmp_path / "run").rglob("*")
        if path.suffix in (".yaml", ".json", ".safetensors")
    }
    capfd.readouterr()
    assert run(1, 96) == 2
    error = capfd.readouterr().err
    assert "the experts of pong are not those whose labels are in" in error
    assert error.count("\n") == 1
    assert all(path.read_bytes() == content for path, content in before.items())
    assert run(1, 48) == 0, "a complete run is shown again, whoever taught it"
    assert run(0, 96) == 0
