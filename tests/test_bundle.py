"""Experts in the box: what the command writes, what it refuses, every shipped expert."""

import dataclasses
import json
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from actormimic import bundle, cards, experts
from actormimic.bundled import BUNDLED
from actormimic.cards import CURVES_NAME, INDEX_NAME, LARGEST_BYTES, read_card, read_cards
from actormimic.checkpoint import load_weights, save_weights
from actormimic.config_files import FREE, check_settings, load_settings, plain_values
from actormimic.config_yaml import flat_values
from actormimic.environments import make_env
from actormimic.provenance import recipe
from actormimic.run import main as run_main

TINY = [
    "device=cpu",
    "environment.num_envs=2",
    "replay.capacity=400",
    "training.agent_steps=900",
    "training.learn_start=880",
    "training.log_every_agent_steps=300",
    "evaluation.agent_steps=12",
    "threads=1",
]


# What runs draw of themselves; the page of the bundled experts has curves of its own.
pytestmark = pytest.mark.usefixtures("no_pictures_in_module")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, no_pictures_in_module: None) -> Path:
    """The run folder of an expert of Breakout that has hardly learned."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert run_main(["expert.yaml", "game=breakout", f"folder={folder}", "seed=3", *TINY]) == 0
    return folder


@pytest.fixture(scope="module")
def box(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that expert, its card and the page."""
    out = tmp_path_factory.mktemp("box") / "weights"
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert bundle.main([str(trained), "--out", str(out), "--agent-steps", "400"]) == 0
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before, "only read"
    return out


def check_box(folder: Path) -> None:
    """All that is promised of a folder of bundled experts."""
    shipped = read_cards(folder)
    assert {card.game for card in shipped} == {p.stem for p in folder.glob("*.safetensors")}
    if shipped:
        assert (folder / INDEX_NAME).read_text() == cards.index_page(shipped)
        assert (folder / CURVES_NAME).is_file()
    for card in shipped:
        path = folder / card.weights.name
        assert path.stat().st_size == card.weights.bytes <= LARGEST_BYTES
        with safe_open(path, framework="pt") as file:
            kinds = {str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118
        assert kinds == {"F16"}
        tensors, header = load_weights(path)
        assert card.weights.parameters == sum(tensor.numel() for tensor in tensors.values())
        assert header.agent_steps == card.agent_steps
        assert header.settings["folder"] is None
        assert header.network["size"] == card.network
        settings = check_settings(header.settings)
        assert card.seed == settings.seed
        assert_recipe_gives(card.recipe, settings, card.agent_steps)
        assert card.learning_curve.agent_steps == sorted(card.learning_curve.agent_steps)
        expert = experts.load(path, card.game)
        policy = experts.ExpertsPolicy([expert])
        rng = np.random.default_rng(0)
        with make_env([card.game], 1, settings.environment) as env:
            frames, _ = env.reset(seed=0)
            for _ in range(5):
                actions = policy.act(frames, env.game_index, 0.05, rng)
                frames, rewards, *_ = env.step(actions)
                assert np.isfinite(rewards).all()


def assert_recipe_gives(recipe: str, settings, agent_steps: int) -> None:
    *earlier, last = (parsed(command) for command in recipe.split(" && "))
    # What a command goes on from is what the one before leaves.
    for first, then in pairwise([*earlier, last]):
        assert (first.folder, first.games) == (then.source, then.games)
    agent_steps -= sum(command.training.agent_steps for command in earlier)
    again = flat_values(plain_values(last))
    wanted = flat_values(plain_values(settings)) | {"training.agent_steps": agent_steps}
    for free in ("name", *FREE):
        again.pop(free, None)
        wanted.pop(free, None)
    assert again == wanted


def parsed(command: str):
    python, _, module, config, *overrides = shlex.split(command)
    assert (python, module) == ("python", "actormimic.run")
    return load_settings(config, overrides)


def test_what_is_bundled_is_as_promised(box: Path, trained: Path):
    check_box(box)
    (card,) = read_cards(box)
    assert card.game == "breakout"
    assert (box / card.weights.name).stat().st_mode & 0o777 == 0o644
    assert card.seed == 3
    assert card.agent_steps == 900
    assert card.recipe.startswith("python -m actormimic.run expert.yaml game=breakout seed=3 ")
    assert card.evaluation.protocol.startswith("400 agent steps per game, epsilon 0.05; one stream")
    assert card.evaluation.random.episodes > 0, "400 agent steps of Breakout are several games"
    assert len(card.learning_curve.agent_steps) > 0
    assert card.learning_curve.agent_steps[-1] <= 900
    page = (box / INDEX_NAME).read_text()
    assert "| breakout | nips2013 | 900 |" in page
    results = json.loads((trained / "results.json").read_text())
    assert card.machine == results["machine"]
    assert f"- breakout, seed 3, on {card.machine}: `{card.recipe}`" in page
    assert sorted(path.name for path in box.iterdir()) == [
        INDEX_NAME,
        "breakout.safetensors",
        "breakout.yaml",
        CURVES_NAME,
    ]


def test_the_rounded_weights_are_what_is_evaluated(box: Path, trained: Path):
    exact, _ = load_weights(trained / "checkpoints" / "final.safetensors")
    rounded, _ = load_weights(box / "breakout.safetensors")
    for name, tensor in exact.items():
        assert torch.equal(rounded[name], tensor.half())
    (card,) = read_cards(box)
    policy = experts.ExpertsPolicy([experts.load(box / "breakout.safetensors", "breakout")])
    settings = check_settings(json.loads(json.dumps(header_of(box).settings)))
    epoch = bundle.EvaluationSettings(agent_steps=400, epsilon=0.05)
    score = bundle.evaluate(policy, epoch, settings.environment, card.evaluation.seed)["breakout"]
    assert card.evaluation.expert == bundle._episodes(score)


def header_of(box: Path):
    return load_weights(box / "breakout.safetensors")[1]


def test_a_run_that_is_going_gives_its_newest_weights(trained: Path, tmp_path: Path):
    going = tmp_path / "going"
    (going / "checkpoints").mkdir(parents=True)
    tensors, header = load_weights(trained / "checkpoints" / "newest.safetensors")
    save_weights(
        going / "checkpoints" / "newest.safetensors",
        tensors,
        dataclasses.replace(header, agent_steps=600),
    )
    (going / "metrics.jsonl").write_bytes((trained / "metrics.jsonl").read_bytes())
    card = bundle.bundle(going, tmp_path / "box", 30, 7, lambda line: None)
    assert card.agent_steps == 600
    assert max(card.learning_curve.agent_steps) <= 600
    assert "training.agent_steps=600" in card.recipe
    assert card.evaluation.seed == 7
    assert card.evaluation.expert.episodes == 0
    other = bundle.bundle(going, tmp_path / "other", 60, 8, lambda line: None)
    assert other.evaluation != card.evaluation
    bundle.write_index(tmp_path / "box")
    assert "(unfinished)" in (tmp_path / "box" / INDEX_NAME).read_text()


@pytest.mark.parametrize("kind", ["run", "file"])
def test_an_expert_that_goes_on_with_its_game(
    trained: Path, box: Path, tmp_path: Path, capsys, kind: str
):
    source = trained if kind == "run" else box / "breakout.safetensors"
    words = ["transfer.yaml", "preset=fast", "game=breakout", f"source={source}"]
    words += ["network.size=nips2013", "output_layer=keep", "similarity.agent_steps=0"]
    words += ["optimizer.learning_rate=[[0, 1e-4], [950, 0]]", f"folder={tmp_path / 'on'}"]
    assert run_main([*words, *TINY, "training.agent_steps=950"]) == 0
    card = bundle.bundle(tmp_path / "on", tmp_path / "box", 30, 7, lambda line: None)
    bundle.write_index(tmp_path / "box")
    check_box(tmp_path / "box")
    _, own = load_weights(tmp_path / "on" / "checkpoints" / "final.safetensors")
    assert card.agent_steps == 900 + own.agent_steps
    assert card.recipe.count(" && python -m actormimic.run transfer.yaml ") == 1
    (before,) = read_cards(box)
    assert card.recipe.startswith(before.recipe)
    steps = card.learning_curve.agent_steps
    assert steps[: len(before.learning_curve.agent_steps)] == before.learning_curve.agent_steps
    assert steps[-1] > 900
    assert card.training_hours >= before.training_hours
    settings = check_settings(header_of(tmp_path / "box").settings)
    assert settings.source == "runs/breakout-first"
    # What goes on from an expert of another game, or from something else, has no such history.
    tensors, header = load_weights(trained / "checkpoints" / "final.safetensors")
    other = tmp_path / "other.safetensors"
    pong = {**header.settings, "game": "pong"}
    save_weights(other, tensors, dataclasses.replace(header, games=("pong",), settings=pong))
    path = tmp_path / "on" / "checkpoints" / "final.safetensors"
    tensors, header = load_weights(path)
    settings = {**header.settings, "source": str(other)}
    save_weights(path, tensors, dataclasses.replace(header, settings=settings))
    capsys.readouterr()
    assert "allowed: an expert of breakout by task dqn" in refused(capsys, tmp_path / "on")


def test_the_shortest_recipe_is_found():
    long = ", ".join(f"[{1000 * (n + 1)}, 1e-4]" for n in range(30))
    for config, *overrides in (
        ("dqn.yaml", "game=pong", f"optimizer.learning_rate=[{long}]"),
        ("dqn.yaml", "game=pong"),
        ("dqn.yaml", "game=pong", "preset=fast", "optimizer.learning_rate=1e-5"),
        ("expert.yaml", "game=boxing", "precision=bfloat16", "exploration.end=0.05"),
        ("expert.yaml", "game=boxing", "preset=null"),
    ):
        settings = load_settings(config, [*overrides, "name=x", "folder=/y", "seed=4"])
        found = recipe(settings, 123_456)
        assert_recipe_gives(found, settings, 123_456)
        assert "\n" not in found
        assert shlex.split(found)[3] == config
        assert len(shlex.split(found)) == 4 + len(overrides) + 2


def refused(capsys, *words) -> str:
    assert bundle.main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_what_is_no_expert_is_refused_and_nothing_is_written(trained: Path, tmp_path: Path, capsys):
    out = tmp_path / "box"
    assert "nowhere is no folder" in refused(capsys, tmp_path / "nowhere", "--out", out)
    (tmp_path / "empty").mkdir()
    assert "holds no weights" in refused(capsys, tmp_path / "empty", "--out", out)
    for name, value in (("--agent-steps", 0), ("--seed", -1)):
        assert f"{name} is {value}; allowed: " in refused(capsys, trained, name, value)
    assert "--help explains" in refused(capsys, "--no-such-option")
    tensors, header = load_weights(trained / "checkpoints" / "final.safetensors")
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    path = run / "checkpoints" / "final.safetensors"
    both = {"games": ("pong", "breakout"), "action_sets": (header.action_sets[0],) * 2}
    for changes, message in (
        ({"kind": "actor_mimic", **both}, "is of task actor_mimic for pong, breakout; allowed"),
        ({"kind": "dqn", **both}, "is of task dqn for pong, breakout; allowed"),
    ):
        save_weights(path, tensors, dataclasses.replace(header, **changes))
        assert message in refused(capsys, run, "--out", out)
    save_weights(path, tensors, header)
    assert "has no metrics.jsonl" in refused(capsys, run, "--out", out)
    large = {name: tensor * 1e9 for name, tensor in tensors.items()}
    save_weights(path, large, header)
    assert "has values that half precision cannot hold" in refused(capsys, run, "--out", out)
    assert not out.exists()


def test_a_card_gets_another_test_epoch_and_keeps_all_else(box: Path, tmp_path: Path, capsys):
    out = tmp_path / "box"
    shutil.copytree(box, out)
    words = ["--again", "breakout", "--out", str(out), "--agent-steps", "300", "--seed", "9"]
    assert bundle.main(words) == 0
    (before,), (after,) = read_cards(box), read_cards(out)
    assert after.evaluation != before.evaluation
    assert (after.evaluation.agent_steps, after.evaluation.seed) == (300, 9)
    assert after.model_copy(update={"evaluation": before.evaluation}) == before
    check_box(out)
    capsys.readouterr()
    assert "has no expert of pong; allowed: breakout" in refused(
        capsys, "--again", "pong", "--out", out
    )


def test_an_expert_that_is_too_large_is_refused(trained: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST_BYTES", 1_000_000)
    assert "bytes; allowed: at most 1,000,000" in refused(capsys, trained, "--out", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_is_not_its_file_s_is_refused(box: Path, tmp_path: Path, capsys):
    card = tmp_path / "breakout.yaml"
    text = (box / "breakout.yaml").read_text()
    for change, message in (
        (("game: breakout", "game: pong"), "is of pong and breakout.safetensors"),
        (("agent_steps: 900", "agent_steps: many"), "agent_steps: Input should be a valid integer"),
        (("float16", "float64"), "weights.dtype: Input should be 'float16'"),
        (("game: breakout", "[game"), "is not YAML"),
    ):
        card.write_text(text.replace(*change, 1))
        (tmp_path / "breakout.safetensors").write_bytes((box / "breakout.safetensors").read_bytes())
        assert message in refused(capsys, "--out", tmp_path)
    card.write_text(text)
    assert read_card(card) == read_cards(box)[0]
    (tmp_path / "breakout.safetensors").write_bytes(b"other")
    assert "breakout.safetensors is missing or not the file described" in refused(
        capsys, "--out", tmp_path
    )


def test_every_expert_in_the_package_is_as_its_card_says():
    check_box(BUNDLED)
