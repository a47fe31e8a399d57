"""The settings themselves: presets, consistency, and that a resolved file gives itself again."""

import pytest
import yaml

from actormimic.config import ActorMimicRun, DqnRun, TransferRun, merge, resolve, task_models
from actormimic.config_files import FREE, check_settings, plain_values, to_yaml
from actormimic.config_yaml import flat_values
from actormimic.presets import PRESETS
from actormimic.sections import expert_file

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


# What Mnih et al. 2015 print (Extended Data Table 1), as `preset: paper` has it, and where their
# released code differs. The numbers are written out here a second time on purpose.
PUBLISHED_DQN = {
    "training.batch": 32,
    "training.update_period": 4,
    "training.learn_start": 50_000,
    "training.agent_steps": 50_000_000,
    "replay.capacity": 1_000_000,
    "exploration.start": 1.0,
    "exploration.end": 0.1,
    "exploration.anneal_agent_steps": 1_000_000,
    "optimizer.kind": "centered_rmsprop",
    "optimizer.learning_rate": 2.5e-4,
    "optimizer.beta1": 0.95,
    "optimizer.beta2": 0.95,
    "optimizer.epsilon": 0.01,
    "optimizer.weight_decay": 0.0,
    "dqn.discount": 0.99,
    "dqn.target_period": 10_000,
    "dqn.target_unit": "updates",
    "dqn.double": False,
    "dqn.n_step": 1,
    "dqn.td_clip": 1.0,
    "dqn.reward_clip": 1.0,
    "dqn.reduction": "sum",
    "network.size": "small",
    "network.outputs": "valid",
    "network.conv1_padding": 0,
    "network.initialization": "torch",
    "environment.frame_skip": 4,
    "environment.pooling": "exact",
    "environment.maxpool_rgb": False,
    "environment.noop_min": 1,
    "environment.noop_max": 30,
    "environment.noop_unit": "agent_steps",
    "environment.noop_after_life_loss": False,
    "environment.life_loss_terminal": True,
    "environment.sticky_probability": 0.0,
    "environment.max_emulator_frames": 108_000,
    "evaluation.agent_steps": 125_000,
    "evaluation.every_agent_steps": 250_000,
    "evaluation.epsilon": 0.05,
    "evaluation.protocol": "paper",
}
RELEASED_DQN = {
    "dqn.target_unit": "agent_steps",
    "network.conv1_padding": 1,
    "environment.maxpool_rgb": True,
    "environment.noop_unit": "emulator_frames",
    "environment.noop_after_life_loss": True,
    "environment.max_emulator_frames": 0,
}


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("paper", PUBLISHED_DQN), ("authors", {**PUBLISHED_DQN, **RELEASED_DQN})],
)
def test_the_published_dqn_in_every_number(preset, expected):
    run = resolve({"task": "dqn", "preset": preset, "game": "pong"})
    found = flat_values(plain_values(run))
    assert {name: found[name] for name in expected} == expected
    # Nothing that is learned with is left out above.
    sections = {name.partition(".")[0] for name in expected} - {"evaluation"}
    elsewhere = {*FREE, "training.log_every_agent_steps", "training.overlap"}
    elsewhere |= {"environment.num_envs", "replay.feature_dtype"}
    learned = {name for name in found if name.partition(".")[0] in sections}
    assert learned - elsewhere <= set(expected)


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        (
            "evaluate",
            {"environment": {"num_envs": 4}},
            "environment.num_envs is 4, which changes nothing .*; allowed here: 8",
        ),
        ("evaluate", {"environment": {"life_loss_terminal": False}}, "life_loss_terminal is False"),
        ("evaluate", {"evaluation": {"every_agent_steps": 5}}, "every_agent_steps is 5"),
        ("actor_mimic", {"actor_mimic": {"expert_share": 0.1}}, "expert_share is 0.1, which cha"),
        ("actor_mimic", {"actor_mimic": {"feature_head": "mlp"}}, "feature_head is 'mlp', which"),
        (
            "actor_mimic",
            {"actor_mimic": {"acting": "expert", "selection": "sample"}},
            "selection is 'sample', which changes nothing .acting is 'expert'",
        ),
        (
            "actor_mimic",
            {"replay": {"feature_dtype": "float32"}},
            "replay.feature_dtype is 'float32', which changes nothing .actor_mimic.beta is 0",
        ),
        (
            "actor_mimic",
            {"actor_mimic": {"feature_factor": 2.0}},
            "actor_mimic.feature_factor is 2.0, which changes nothing .actor_mimic.beta is 0",
        ),
        ("actor_mimic", {"preset": "authors", "actor_mimic": {"feature_factor": 2.0}}, "is 2.0, w"),
        (
            "transfer",
            {"similarity": {"agent_steps": 50}},
            "similarity.agent_steps is 50, which changes nothing .source is 'random'",
        ),
        ("transfer", {"similarity": {"variance": 0.5}}, "similarity.variance is 0.5, which chang"),
        (
            "transfer",
            {"source": "runs/amn", "similarity": {"agent_steps": 0, "variance": 0.5}},
            "variance is 0.5, which changes nothing .agent_steps is 0",
        ),
        ("actor_mimic", {"early_stopping": {"min_improvement": 1.0}}, "min_improvement is 1.0, wh"),
        ("actor_mimic", {"network": {"outputs": "valid"}}, "outputs is 'valid' for 2 games with o"),
        ("multitask_dqn", {"network": {"outputs": "valid"}}, "outputs is 'valid' for 2 games wit"),
        (
            "transfer",
            {"source": "runs/amn", "network": {"initialization": "he"}},
            "network.initialization is 'he', which changes nothing",
        ),
    ],
)
def test_settings_that_would_change_nothing_are_refused(task, values, message):
    with pytest.raises(ValueError, match=message):
        check_settings({"task": task, **SMALLEST[task], **values})


def test_separate_heads_may_have_units_for_valid_actions_only():
    values = {"task": "multitask_dqn", "heads": "separate", "network": {"outputs": "valid"}}
    assert check_settings({**values, **SMALLEST["multitask_dqn"]}).network.outputs == "valid"


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
        (
            {"task": "evaluate", "environment": {"pooling": "stock", "maxpool_rgb": True}},
            "maxpool_rgb is true; allowed only with pooling: exact",
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
        *(
            ({"task": "convergence", section: {key: value}}, f"{section}.{key} is {value}; allowed")
            for section, key, value in (
                ("horizon", "decay", 1e-09),
                ("iteration", "decay", 1e9),
                ("iteration", "sweep_from", 1e-09),
                ("iteration", "sweep_to", 1e9),
            )
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


def test_another_optimizer_than_the_preset_s_has_its_own_constants():
    values = {"task": "dqn", "game": "pong"}

    def constants(preset, **optimizer):
        run = resolve({**values, "preset": preset, "optimizer": optimizer})
        return run.optimizer.beta1, run.optimizer.beta2, run.optimizer.epsilon

    assert constants("paper") == (0.95, 0.95, 0.01)
    assert constants("paper", kind="adam") == (0.9, 0.999, 1e-8)
    assert constants("paper", kind="adam", epsilon=1e-4) == (0.9, 0.999, 1e-4)
    assert constants("fast", kind="centered_rmsprop") == (0.95, 0.95, 0.01)
    assert constants("fast", kind="adam") == constants("fast") == (0.9, 0.999, 1.5e-4)
    run = resolve({**values, "preset": "paper", "optimizer": {"kind": "adam"}})
    assert run.optimizer.learning_rate == 2.5e-4
