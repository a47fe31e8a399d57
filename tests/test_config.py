"""The settings themselves: presets, consistency, and that a resolved file gives itself again."""

import pytest
import yaml

from actormimic.config import (
    ActorMimicRun,
    DqnRun,
    TransferRun,
    expert_file,
    merge,
    resolve,
    task_models,
)
from actormimic.config_files import check_settings, to_yaml
from actormimic.presets import PRESETS

SMALLEST = {
    "dqn": {"game": "pong"},
    "multitask_dqn": {"games": ["pong", "breakout"]},
    "transfer": {"games": ["breakout"], "source": "random"},
    "actor_mimic": {"games": ["pong", "breakout"]},
    "evaluate": {"games": ["pong"]},
    "convergence": {},
    "pipeline": {"stages": [{"config": "x.yaml"}]},
}


def test_smallest_configs_cover_every_task():
    assert set(SMALLEST) == set(task_models())


@pytest.mark.parametrize("task", SMALLEST)
def test_the_task_chooses_the_model(task):
    assert type(resolve({"task": task, **SMALLEST[task]})) is task_models()[task]


@pytest.mark.parametrize(
    ("task", "preset"), [(task, preset) for task in PRESETS for preset in PRESETS[task]]
)
def test_each_preset_is_valid_changes_something_and_survives_its_file(task, preset):
    plain = resolve({"task": task, **SMALLEST[task]})
    run = resolve({"task": task, "preset": preset, **SMALLEST[task]})
    assert run.model_copy(update={"preset": None}) != plain
    assert check_settings(yaml.safe_load(to_yaml(run))) == run


def test_the_files_own_values_lie_over_the_preset():
    run = resolve(
        {"task": "dqn", "game": "pong", "preset": "paper", "training": {"batch": 7}},
    )
    assert isinstance(run, DqnRun)
    assert run.training.batch == 7
    assert run.training.learn_start == 50_000


def test_the_readings_of_the_paper_and_of_its_authors_differ_where_they_should():
    paper, authors = (
        resolve({"task": "transfer", "preset": preset, **SMALLEST["transfer"]})
        for preset in ("paper", "authors")
    )
    assert isinstance(paper, TransferRun)
    assert isinstance(authors, TransferRun)
    assert (paper.output_layer, authors.output_layer) == ("reinitialize", "keep")
    assert (paper.dqn.target_unit, authors.dqn.target_unit) == ("updates", "agent_steps")
    assert (paper.environment.maxpool_rgb, authors.environment.maxpool_rgb) == (False, True)


def test_an_actor_mimic_run_has_both_readings_too():
    paper, authors = (
        resolve({"task": "actor_mimic", "preset": preset, **SMALLEST["actor_mimic"]})
        for preset in ("paper", "authors")
    )
    assert isinstance(paper, ActorMimicRun)
    assert isinstance(authors, ActorMimicRun)
    for read, of_paper, of_authors in (
        (lambda run: run.optimizer.kind, "adam", "authors_adam"),
        (lambda run: run.actor_mimic.feature_factor, 1.0, 0.5),
        (lambda run: run.network.conv1_padding, 0, 1),
        (lambda run: run.environment.maxpool_rgb, False, True),
        (lambda run: run.environment.noop_unit, "agent_steps", "emulator_frames"),
        (lambda run: run.environment.noop_after_life_loss, False, True),
        (lambda run: run.environment.max_emulator_frames, 108_000, 0),
    ):
        assert (read(paper), read(authors)) == (of_paper, of_authors)
    # What both say alike: 8 rows of each game every 4 steps, summed, acting by the student.
    for run in (paper, authors):
        assert (run.training.batch, run.training.update_period) == (8, 4)
        assert (run.actor_mimic.reduction, run.actor_mimic.acting) == ("sum", "student")
        assert (run.actor_mimic.temperature, run.optimizer.weight_decay) == (1.0, 0.0)
        assert (run.replay.capacity, run.exploration.start) == (100_000, 0.1)


def test_merge_replaces_lists_and_descends_into_sections():
    under = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merge(under, {"a": {"c": [9]}, "e": 4}) == {"a": {"b": 1, "c": [9]}, "d": 3, "e": 4}
    assert under == {"a": {"b": 1, "c": [1, 2]}, "d": 3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"environment": {"noop_min": 60}},
            "noop_min is 60; allowed: at most noop_max",
        ),
        ({"replay": {"capacity": 5}}, "replay.capacity is 5; allowed: at least 64"),
        ({"preset": "quick"}, "preset is 'quick'; allowed: paper, authors"),
        ({"preset": ["paper"]}, r"preset is \['paper'\]; allowed"),
        ({"experts": {"boxing": "x.zip"}}, "experts names boxing; allowed: pong, breakout"),
        ({"games": ["pong", "pong"]}, "'pong' is listed twice; allowed: each game once"),
        (
            {"actor_mimic": {"game_weights": {"boxing": 1}}},
            "actor_mimic.game_weights names boxing; allowed: pong, breakout",
        ),
        (
            {
                "early_stopping": {"patience": 2},
                "training": {"agent_steps": 50, "learn_start": 10},
            },
            r"early_stopping.patience is 2, and no test epoch comes within .*\(50\); allowed: 0",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        resolve({"task": "actor_mimic", **SMALLEST["actor_mimic"], **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"task": "dqn", "training": {"agent_steps": 20_000, "learn_start": 19_997}},
            r"training.learn_start is 19997, .* after training.agent_steps \(20000\); allowed",
        ),
        (
            {"task": "transfer", "source": "bundled"},
            "source.* 'bundled' are experts of a game each",
        ),
        (
            {"task": "evaluate", "environment": {"noop_min": 40}},
            "noop_min is 40; allowed: at most noop_max",
        ),
        (
            {
                "task": "evaluate",
                "environment": {"noop_after_life_loss": True, "life_loss_terminal": False},
            },
            "noop_after_life_loss is true; allowed only with life_loss_terminal",
        ),
        ({"task": "evaluate", "environment": {"frame_skip": 1001}}, "frame_skip"),
        ({"task": "evaluate", "environment": {"noop_max": 1_000_001}}, "noop_max"),
        ({"task": "evaluate", "environment": {"threads": 100_001}}, "threads"),
        *(
            (
                {"task": "convergence", "horizon": {"horizons": horizons}},
                r"horizon.horizons: \[.*\] does not rise from 2 or more; allowed: each at least 2",
            )
            for horizons in ([1, 8], [8, 8], [16, 8])
        ),
        ({"task": "convergence", "device": "cuda:7"}, "device is 'cuda:7'; allowed: auto or cpu"),
        ({"task": "convergence", "precision": "bfloat16"}, "precision is 'bfloat16'; allowed: fl"),
    ],
)
def test_what_would_fail_late_or_do_nothing_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        check_settings({**SMALLEST[values["task"]], **values})


def test_a_training_with_a_single_update_is_one():
    training = {"agent_steps": 20_000, "learn_start": 19_996}
    assert resolve({"task": "dqn", "game": "pong", "training": training}).training.batch == 32


def test_the_user_s_folder_is_put_in_once(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    there = f"{tmp_path}/x"
    transfer = resolve({"task": "transfer", "game": "pong", "source": "~/x", "folder": "~/x"})
    assert (transfer.source, transfer.run_folder) == (there, there)
    assert resolve({"task": "evaluate", "games": ["pong"], "source": "~/x"}).source == there
    experts = {"pong": "~/x", "breakout": {"file": "~/x"}}
    student = resolve({"task": "actor_mimic", "games": ["pong", "breakout"], "experts": experts})
    assert [expert_file(source) for source in student.experts.values()] == [there, there]


def test_a_dqn_has_one_game():
    with pytest.raises(ValueError, match="game and games are both given"):
        resolve({"task": "dqn", "game": "pong", "games": ["pong"]})
    with pytest.raises(ValueError, match="games has 2 entries; this task has one game"):
        resolve({"task": "dqn", "games": ["pong", "breakout"]})


def test_a_run_has_a_folder_of_its_name_unless_told_otherwise():
    values = {"task": "actor_mimic", **SMALLEST["actor_mimic"]}
    assert resolve({**values, "name": "a"}).run_folder == "runs/a"
    assert resolve({**values, "folder": "/x/y"}).run_folder == "/x/y"


def test_settings_cannot_be_changed_afterwards():
    run = resolve({"task": "actor_mimic", **SMALLEST["actor_mimic"]})
    assert isinstance(run, ActorMimicRun)
    with pytest.raises(ValueError, match="frozen"):
        run.seed = 3


def test_the_authors_have_no_limit_on_an_episode_s_length():
    for task, more in (("dqn", {"game": "pong"}), ("actor_mimic", {"games": ["pong"]})):
        for preset, limit in (("authors", 0), ("paper", 108_000)):
            run = resolve({"task": task, "preset": preset, **more})
            assert run.environment.max_emulator_frames == limit
    with pytest.raises(ValueError, match="max_emulator_frames"):
        resolve({"task": "dqn", "game": "pong", "environment": {"max_emulator_frames": -1}})
