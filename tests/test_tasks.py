"""Tasks end to end on real ROMs with tiny settings: what they leave behind and what they refuse."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from actormimic.bundled import BUNDLED, bundled_games
from actormimic.card_scores import FROM_CARDS
from actormimic.cards import read_card
from actormimic.checkpoint import load_weights
from actormimic.config import resolve
from actormimic.config_files import given_experts, load_settings
from actormimic.expert_training import _training, expert_sources
from actormimic.games import MULTITASK_GAMES, minimal_actions
from actormimic.learners.dqn import DqnLearner
from actormimic.networks import seeded_network
from actormimic.policy import NetworkPolicy, load
from actormimic.run import main
from actormimic.run_folder import open_run_folder
from actormimic.sections import NetworkSettings
from actormimic.side_by_side import RunProcess
from actormimic.tasks import run_task

TINY = [
    "device=cpu",
    "environment.num_envs=2",
    "replay.capacity=400",
    "training.agent_steps=48",
    "training.learn_start=16",
    "training.log_every_agent_steps=16",
    "evaluation.agent_steps=12",
    "evaluation.protocol=paper",
    "checkpoint.every_agent_steps=1000",
    "threads=1",
]
TEST_EPOCH = [word for word in TINY if word.startswith(("device=", "evaluation."))]
TINY_EXPERT = json.dumps(TINY)

# What tests share is made before this takes hold: the plots of the main job are drawn.
pytestmark = pytest.mark.usefixtures("no_pictures")


def run_shipped(config: str, folder: Path, *overrides: str) -> int:
    return main([config, f"folder={folder}", *TINY, *overrides])


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def run_main_job(base: Path) -> int:
    return run_shipped(
        "amn.yaml",
        base / "run",
        "games=[breakout, pong]",
        "experts=train",
        "actor_mimic.beta=0.01",
        f"expert_training.folder={base / 'experts'}",
        f"expert_training.overrides={TINY_EXPERT}",
    )


@pytest.fixture(scope="module")
def amn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The main job, tiny: trains two experts and a student, tests all, reports."""
    base = tmp_path_factory.mktemp("amn")
    assert run_main_job(base) == 0
    return base


def test_the_main_job_leaves_table_curves_and_weights(amn: Path):
    table = results(amn / "run")
    assert [row["game"] for row in table["rows"]] == ["breakout", "pong"]
    for row in table["rows"]:
        for who in ("random", "expert", "student"):
            assert set(row[who]) - {"trained_agent_steps"} == {"mean", "std", "max", "episodes"}
        assert row["expert"]["trained_agent_steps"] == 48
        assert 0 <= row["agreement"] <= 1
        assert row["cross_entropy"] >= row["expert_entropy"] > 0
    assert "12 agent steps per game" in table["caption"]
    assert FROM_CARDS not in table["caption"]
    assert list((amn / "run" / "report").glob("*.png"))
    assert (amn / "run" / "metrics.jsonl").stat().st_size > 0
    assert load(amn / "run").games == ("breakout", "pong")


def test_what_is_on_the_cards_of_bundled_experts_is_not_played_again(tmp_path: Path, capfd):
    assert run_shipped("amn.yaml", tmp_path, "games=[pong]", "experts=bundled") == 0
    table = results(tmp_path)
    (row,) = table["rows"]
    card = read_card(BUNDLED / "pong.yaml").evaluation
    assert (row["expert"]["mean"], row["random"]["mean"]) == (card.expert.mean, card.random.mean)
    assert row["expert"]["episodes"] == card.expert.episodes > row["student"]["episodes"]
    span = card.expert.mean - card.random.mean
    share = 100 * (row["student"]["mean"] - card.random.mean) / span
    assert row["percent"] == pytest.approx(share)
    assert table["caption"].endswith(f"; {FROM_CARDS}.")
    assert f"({card.expert.episodes})" in capfd.readouterr().out


def test_the_weights_say_what_they_are(amn: Path):
    _, header = load_weights(amn / "run" / "checkpoints" / "final.safetensors")
    assert header.kind == "actor_mimic"
    assert header.games == ("breakout", "pong")
    assert header.action_sets == (minimal_actions("breakout"), minimal_actions("pong"))
    assert header.agent_steps == 48


def test_experts_are_kept_for_the_next_run_and_for_no_other(amn: Path, capfd):
    overrides = [
        "games=[breakout, pong]",
        "experts=train",
        f"expert_training.folder={amn / 'experts'}",
    ]
    settings = load_settings("amn.yaml", [*overrides, f"expert_training.overrides={TINY_EXPERT}"])
    said: list[str] = []
    sources = expert_sources(settings, said.append)
    assert not any(line.startswith("training experts") for line in said)
    assert sorted(path.name.split("-")[0] for path in (amn / "experts").iterdir()) == [
        "breakout",
        "pong",
    ]
    assert all(Path(source).is_dir() for source in sources.values())
    changed = json.dumps([*TINY, "dqn.n_step=2"])
    other = load_settings("amn.yaml", [*overrides, f"expert_training.overrides={changed}"])
    assert str(_training(other, "pong")[0]) != sources["pong"]


def test_the_same_command_finishes_at_once_with_the_same_table(amn: Path):
    before = results(amn / "run")
    files = {p: p.stat().st_mtime_ns for p in (amn / "run" / "checkpoints").rglob("*")}
    assert run_main_job(amn) == 0
    assert results(amn / "run") == before
    after = {p: p.stat().st_mtime_ns for p in (amn / "run" / "checkpoints").rglob("*")}
    assert after == files, "nothing was trained again"


def test_auto_takes_experts_from_the_package_where_there_are_some():
    inside, outside = bundled_games()[0], "freeway"
    assert outside not in bundled_games()
    settings = load_settings("amn.yaml", [f"games=[{outside}, {inside}]"])
    assert given_experts(settings) == {inside: "bundled"}
    settings = load_settings("amn.yaml", [f"games=[{outside}, {inside}]", "experts=train"])
    assert given_experts(settings) == {}
    assert bundled_games() == sorted(MULTITASK_GAMES)
    assert set(given_experts(load_settings("amn.yaml", []))) == set(MULTITASK_GAMES)


def test_an_expert_that_fails_is_said(tmp_path: Path):
    bad = json.dumps([*TINY, "device=cuda:77"])
    settings = load_settings(
        "amn.yaml",
        [
            "games=[pong]",
            "experts=train",
            f"expert_training.folder={tmp_path}",
            f"expert_training.overrides={bad}",
        ],
    )
    with pytest.raises(ValueError, match=r"pong's expert ended with exit code 2: .*cuda:77"):
        expert_sources(settings, lambda line: None)


def test_given_experts_are_taken(amn: Path, tmp_path: Path):
    _, header = load_weights(next((amn / "experts").glob("pong-*/checkpoints/final.safetensors")))
    assert header.games == ("pong",)
    expert = next((amn / "experts").glob("pong-*"))
    code = run_shipped("amn.yaml", tmp_path, "games=[pong]", f"experts={{pong: {expert}}}")
    assert code == 0
    assert results(tmp_path)["rows"][0]["expert"] is not None


def test_an_expert_of_another_library_teaches_the_actions_that_it_has(tmp_path: Path):
    conv1, conv2 = nn.Conv2d(4, 16, 8, stride=4), nn.Conv2d(16, 32, 4, stride=2)
    layers = [conv1, nn.ReLU(), conv2, nn.ReLU(), nn.Flatten(), nn.Linear(2592, 256), nn.ReLU()]
    teacher = tmp_path / "pong.pt"
    torch.save(nn.Sequential(*layers, nn.Linear(256, 3)).state_dict(), teacher)
    experts = f"experts={{pong: {{file: {teacher}, actions: [0, 3, 4]}}}}"
    assert run_shipped("amn.yaml", tmp_path / "run", "games=[pong]", experts) == 0
    _, header = load_weights(tmp_path / "run" / "checkpoints" / "final.safetensors")
    assert header.action_sets == ((0, 3, 4),)
    source = ["task=evaluate", "games=[pong]", f"source={tmp_path / 'run'}"]
    evaluated = main(["evaluate.yaml", f"folder={tmp_path / 'student'}", *source, *TEST_EPOCH])
    assert evaluated == 0
    assert results(tmp_path / "student")["rows"][0]["student"] is not None


def test_an_expert_s_file_is_evaluated_as_one(tmp_path: Path):
    network = seeded_network(NetworkSettings(size="nips2013", outputs="valid"), [range(6)], 0)
    torch.save(network.state_dict(), tmp_path / "pong.pth")
    words = ["games=[pong]", f"source={tmp_path / 'pong.pth'}", f"folder={tmp_path / 'run'}"]
    assert main(["evaluate.yaml", *words, *TEST_EPOCH]) == 0
    (row,) = results(tmp_path / "run")["rows"]
    assert row["expert"]["trained_agent_steps"] is None, "the file does not say"
    assert row["student"] is None


@pytest.mark.parametrize("heads", ["shared", "separate"])
def test_multitask_dqn(heads: str, tmp_path: Path):
    code = run_shipped(
        "mdqn.yaml",
        tmp_path,
        f"heads={heads}",
        "games=[breakout, pong]",
        "training.batch=4",
    )
    assert code == 0
    tensors, header = load_weights(tmp_path / "checkpoints" / "final.safetensors")
    assert header.network["heads"] == heads
    assert ("output.1.weight" in tensors) == (heads == "separate")


def test_transfer_starts_from_the_amn(amn: Path, tmp_path: Path, capsys):
    code = run_shipped(
        "transfer.yaml",
        tmp_path,
        "game=space_invaders",
        f"source={amn / 'run'}",
        "network.size=nips2013",
        "freeze=[conv1]",
        "reinitialize=[fc1]",
        "training.batch=4",
        "similarity.agent_steps=20",
    )
    assert code == 0
    after, header = load_weights(tmp_path / "checkpoints" / "final.safetensors")
    source, _ = load_weights(amn / "run" / "checkpoints" / "final.safetensors")
    assert header.games == ("space_invaders",)
    name = "convolutions.conv1.weight"
    assert torch.equal(after[name], source[name]), "a frozen layer stays as it was transferred"
    moved = after["convolutions.conv2.weight"] - source["convolutions.conv2.weight"]
    assert 0 < moved.abs().max() < 0.1
    fresh = after["hidden.0.fc1.weight"] - source["hidden.0.fc1.weight"]
    assert fresh.abs().mean() > 10 * moved.abs().mean(), "a layer drawn anew has nothing of it"
    # How like its sources the target is was said before, and is written down.
    similar = json.loads((tmp_path / "similarity.json").read_text())
    assert similar["target"] == "space_invaders"
    assert {row["game"] for row in similar["rows"]} == {"breakout", "pong"}
    out = capsys.readouterr().out
    said = out.index("similarity of space_invaders to the source games")
    assert out.index("starting from") < said < out.index("Mean raw return")


def test_a_transfer_without_states_for_it_compares_no_games(amn: Path, tmp_path: Path, capsys):
    code = run_shipped(
        "transfer.yaml",
        tmp_path,
        "game=space_invaders",
        f"source={amn / 'run'}",
        "network.size=nips2013",
        "training.batch=4",
        "similarity.agent_steps=0",
    )
    assert code == 0
    assert not (tmp_path / "similarity.json").exists()
    out = capsys.readouterr().out
    assert "starting from" in out
    assert "similarity" not in out
    done = results(tmp_path)
    assert done["weights_agent_steps"] == done["agent_steps"] == 48


def test_evaluate_a_network_and_random_play(amn: Path, tmp_path: Path):
    overrides = ["games=[pong]", "evaluation.agent_steps=12"]
    command = ["evaluate.yaml", f"folder={tmp_path}", *overrides, f"source={amn / 'run'}"]
    assert main(command) == 0
    row = results(tmp_path)["rows"][0]
    assert row["game"] == "pong"
    assert row["student"] is not None


def test_other_frames_than_a_network_learned_from_are_said(amn: Path, tmp_path: Path, capfd):
    source = f"source={amn / 'run'}"
    for changes, said in (([], ""), (["environment.frame_skip=3"], "frame_skip=3 here, 4 there")):
        folder = tmp_path / str(len(changes))
        command = ["evaluate.yaml", f"folder={folder}", "games=[pong]", *TEST_EPOCH, source]
        assert main([*command, *changes]) == 0
        out = capfd.readouterr().out
        line = f"the network was trained on other frames: environment.{said}"
        assert (line in out) == bool(changes)
        assert ("other frames" in out) == bool(changes)
    code = run_shipped(
        *("amn.yaml", tmp_path / "student", "games=[atlantis]", "experts=bundled"),
        "environment.maxpool_rgb=true",
    )
    assert code == 0
    line = (
        "the expert of atlantis was trained on other frames: environment.maxpool_rgb=True here, F"
    )
    assert line in capfd.readouterr().out


def test_a_damaged_results_file_is_named(tmp_path: Path, capfd):
    command = ["evaluate.yaml", f"folder={tmp_path / 'run'}", "games=[pong]", *TEST_EPOCH]
    assert main(command) == 0
    (tmp_path / "run" / "results.json").write_text("")
    assert main(command) == 2
    assert "run/results.json is damaged: Expecting value" in capfd.readouterr().err


def test_threads_0_is_torch_s_own_number_after_a_run_with_another(tmp_path: Path):
    own, used = torch.get_num_threads(), []
    for number, threads in enumerate((own + 1, 0)):
        command = ["evaluate.yaml", f"folder={tmp_path / str(number)}", "games=[pong]", *TEST_EPOCH]
        assert main([*command, f"threads={threads}"]) == 0
        used.append(torch.get_num_threads())
    assert used == [own + 1, own]


def test_evaluate_refuses_games_the_network_does_not_play(amn: Path, tmp_path: Path):
    settings = resolve(
        {
            "task": "evaluate",
            "device": "cpu",
            "games": ["seaquest"],
            "source": str(amn / "run"),
            "evaluation": {"agent_steps": 4},
        }
    )
    with pytest.raises(ValueError, match="no seaquest in this network; it plays breakout, pong"):
        run_task(settings, tmp_path, print)


def test_a_pipeline_runs_its_stages_in_order(tmp_path: Path):
    stage = {
        "config": "evaluate.yaml",
        "device": "cpu",
        "evaluation": {"agent_steps": 4, "protocol": "paper"},
    }
    folders = {game: str(tmp_path / game) for game in ("pong", "breakout")}
    settings = resolve(
        {
            "task": "pipeline",
            "folder": str(tmp_path / "pipeline"),
            "stages": [{**stage, "games": [game], "folder": folders[game]} for game in folders],
        }
    )
    said: list[str] = []
    with open_run_folder(settings) as folder:
        run_task(settings, folder, said.append)
    begun = [line.rpartition(": ")[2] for line in said]
    assert [place for place in begun if place in folders.values()] == list(folders.values())
    for game in folders:
        assert results(tmp_path / game)["rows"][0]["game"] == game


def test_a_part_of_separate_heads_keeps_its_own(tmp_path: Path):
    games = ["breakout", "pong"]
    action_sets = [minimal_actions(game) for game in games]
    network = seeded_network(NetworkSettings(), action_sets, 0, heads="separate")
    policy = NetworkPolicy(network, games, action_sets)
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 84, 84), dtype=np.uint8)
    of_pong = policy.outputs(frames, np.ones(3, dtype=np.int32))
    alone = policy.restricted(["pong"]).outputs(frames, np.zeros(3, dtype=np.int32))
    assert torch.equal(alone, of_pong)


def test_a_fault_of_the_program_is_not_told_as_the_user_s(tmp_path: Path, monkeypatch):
    def broken(*_):
        raise ValueError("shapes (3,) and (4,) do not fit")

    monkeypatch.setattr(DqnLearner, "update", broken)
    with pytest.raises(RuntimeError, match="a fault in actormimic: shapes"):
        run_shipped("expert.yaml", tmp_path / "a", "game=pong", "training.batch=4")
    monkeypatch.setattr("actormimic.tasks.evaluate", broken)
    with pytest.raises(RuntimeError, match="a fault in actormimic: shapes"):
        main(["evaluate.yaml", f"folder={tmp_path / 'b'}", *TEST_EPOCH])
    monkeypatch.setattr("actormimic.convergence_task.expected_update", broken)
    with pytest.raises(RuntimeError, match="a fault in actormimic: shapes"):
        main(["convergence.yaml", f"folder={tmp_path / 'c'}"])


def test_a_running_expert_is_stopped_and_saved_by_one_request(tmp_path: Path):
    settings = load_settings(
        "amn.yaml",
        [
            *("games=[pong]", "experts=train", f"expert_training.folder={tmp_path}"),
            f"expert_training.overrides={json.dumps([*TINY, 'training.agent_steps=100000'])}",
        ],
    )
    folder, command = _training(settings, "pong")
    said: list[str] = []
    process = RunProcess(command, folder, said.append)
    log = folder / "metrics.jsonl"
    deadline = time.monotonic() + 300
    try:
        while not (log.is_file() and log.stat().st_size):
            assert process.exit_code(wait_seconds=0.05) is None, process.last_line
            assert time.monotonic() < deadline
    finally:
        process.ask_to_stop()
    assert process.exit_code(wait_seconds=300) == 130
    assert any((folder / "checkpoints").glob("*-at-*"))
