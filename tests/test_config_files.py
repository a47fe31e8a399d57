"""Finding, reading, overriding and checking configs; each mistake is one line that says enough."""

import re
import shlex

import pytest
import yaml

from actormimic.config import PipelineRun
from actormimic.config_files import (
    StageRun,
    check_settings,
    check_sources,
    load_settings,
    pipeline_stages,
    plain_values,
    to_yaml,
)
from actormimic.config_yaml import apply_overrides, find_config, read_config, shipped_configs

DQN = {"task": "dqn", "game": "pong"}
PIPELINE = {"task": "pipeline", "name": "all"}
AMN = {"task": "actor_mimic", "games": ["pong", "breakout"]}


def refusal(values, *overrides):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the callers look at the line)
        check_settings(apply_overrides(values, overrides))
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_is_valid_and_survives_its_own_file(name):
    settings = load_settings(name)
    again = check_settings(yaml.safe_load(to_yaml(settings)))
    assert again == settings
    if isinstance(settings, PipelineRun):
        assert pipeline_stages(again) == pipeline_stages(settings)


def test_a_pipeline_s_own_file_leaves_its_stages_what_they_say(tmp_path):
    """Defaults, once written down, must not be what was said of the whole pipeline."""
    own = {**DQN, "seed": 7, "threads": 2, "precision": "bfloat16"}
    (tmp_path / "stage.yaml").write_text(yaml.safe_dump(own))
    stages = {"a": {"config": str(tmp_path / "stage.yaml")}}
    for said in ({}, {"seed": 3}):
        pipeline = check_settings({**PIPELINE, "stages": stages, **said})
        again = check_settings(yaml.safe_load(to_yaml(pipeline)))
        (stage,) = pipeline_stages(again)
        assert [stage] == pipeline_stages(pipeline)
        assert (stage.settings.seed, stage.settings.threads) == (said.get("seed", 7), 2)
        assert stage.settings.precision == "bfloat16"


def test_a_config_is_a_path_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("task: dqn\ngame: pong\nseed: 5\n")
    assert find_config("mine.yaml").resolve() == tmp_path / "mine.yaml"
    assert load_settings("mine.yaml").seed == 5
    assert load_settings(str(tmp_path / "mine.yaml"), ["seed=6"]).seed == 6


def test_a_miss_lists_the_package_s_configs(tmp_path):
    with pytest.raises(ValueError, match="neither a file nor one of the package's") as caught:
        find_config("nowhere.yaml")
    assert all(name in str(caught.value) for name in shipped_configs())
    with pytest.raises(ValueError, match=r"is a folder; allowed: a YAML file"):
        find_config(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; allowed: a mapping"),
        ("- a\n- b\n", r"holds \['a', 'b'\]; allowed: a mapping"),
        ("task: [\n", r"is not YAML \(line 2, column 1\)"),
        ("seed: 1\nseed: 2\n", "the key 'seed' occurs twice"),
        ("3: 4\n", "the key 3 is not text"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("a: !!timestamp abc\n", "is not YAML: a value is not what its tag says"),
        ("a: " + 3000 * "[", "is nested too deeply"),
    ],
)
def test_files_that_are_no_config_are_refused(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_refused_by_name(tmp_path):
    path = tmp_path / "c.yaml"
    with pytest.raises(ValueError, match=r"c\.yaml cannot be read: No such file"):
        read_config(path)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"c\.yaml cannot be read: it is not UTF-8 text"):
        read_config(path)


def test_numbers_are_read_as_people_write_them():
    values = apply_overrides({}, ["a=1e-4", "b=1e6", "c=0", "d=-2e-1", "e=-1_000", "f=1e4x"])
    assert values == {"a": 1e-4, "b": 1_000_000, "c": 0, "d": -0.2, "e": -1000, "f": "1e4x"}
    assert type(values["b"]) is int
    texts = {"name": "2026-02-03", "octal": "010", "time": "1:30"}
    assert apply_overrides({}, [f"{key}={text}" for key, text in texts.items()]) == texts


def test_overrides_reach_into_sections_and_lists_and_leave_the_original_alone():
    settings = check_settings(apply_overrides(AMN, ["replay.capacity=500", "games.1=boxing"]))
    assert settings.replay.capacity == 500
    assert settings.games == ["pong", "boxing"]
    assert AMN["games"] == ["pong", "breakout"]
    assert apply_overrides({"experts": "train"}, ["experts.pong=a.zip"]) == {
        "experts": {"pong": "a.zip"}
    }
    assert apply_overrides({"folder": "x"}, ["folder="]) == {"folder": None}


@pytest.mark.parametrize("override", ["seed", "=3", "a..b=3", ""])
def test_an_override_is_key_equals_value(override):
    with pytest.raises(ValueError, match="is not understood; allowed: key=value"):
        apply_overrides(DQN, [override])


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("replay.capacity=0", "replay.capacity is 0; allowed: a whole number, at least 1"),
        ("training.batch=2.5", "training.batch is 2.5; allowed: a whole number, at least 1"),
        ("training.batch=many", "training.batch is 'many'; allowed: a whole number, at least 1"),
        ("training.batch=", "training.batch is null; allowed: a whole number, at least 1"),
        ("training.overlap=1", "training.overlap is 1; allowed: true or false"),
        ("dqn.n_step=true", "dqn.n_step is true; allowed: a whole number, at least 1 and at most"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate is 0; allowed: a number, more than"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate is inf; allowed: a number, more"),
        ("evaluation.epsilon=.nan", "evaluation.epsilon is nan; allowed: a number, at least 0"),
        ("seed=4294967296", "seed is 4294967296; allowed: a whole number, at least 0 and less"),
        ("name='a b'", "name is 'a b'; allowed: text of the form"),
        ("name=..", "name is '..'; allowed: text of the form [A-Za-z0-9][A-Za-z0-9._-]*"),
        ("network=3", "network is 3; allowed: a section with size"),
        ("game=3", "game is 3; allowed: the name of a game"),
        ("optimizer.kind=adm", "optimizer.kind is 'adm'; allowed: adam, authors_adam or"),
        ("optimizer.kind=adm", "(did you mean adam?)"),
        ("replay.capacty=3", "replay.capacty is no setting (its value: 3); allowed in replay:"),
        ("replay.capacty=3", "(did you mean replay.capacity?)"),
        ("capacity=3", "(did you mean replay.capacity?)"),
        ("task=dqm", "task is 'dqm'; allowed: dqn, multitask_dqn"),
        ("task=dqm", "(did you mean dqn?)"),
        ("game=pnog", "game: "),
        ("game=pnog", "pnog"),
        ("name=[", "the value of name is not YAML"),
    ],
)
def test_each_mistake_names_key_value_and_what_is_allowed(override, line):
    assert line in refusal(DQN, override)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("games=[]", "games is []; allowed: a list, not empty, of text"),
        ("games.0=1", "games.0 is 1; allowed: text"),
        ("games=pong", "games is 'pong'; allowed: a list, not empty, of text"),
        (
            "experts=5",
            "experts is 5; allowed: train, bundled or auto or a mapping of names to text or a "
            "section with file, pixels, actions",
        ),
        (
            "experts.pong={file: x.pt, pixelz: unit}",
            "experts is {'pong': {'file': 'x.pt', 'pixelz': 'unit'}}; allowed: train, "
            "bundled or auto or "
            "a mapping of names to text or a section with file, pixels, actions",
        ),
        (
            "experts.pong=5",
            "experts is {'pong': 5}; allowed: train, bundled or auto or a mapping of names "
            "to text or a "
            "section with file, pixels, actions",
        ),
    ],
)
def test_lists_and_alternatives_have_one_line_too(override, line):
    assert refusal(AMN, override) == line


def test_what_is_missing_is_named():
    assert refusal({"game": "pong"}).startswith("task is missing; allowed: dqn, ")
    assert refusal({"task": "dqn"}) == "game is missing; allowed: the name of a game"
    assert refusal({"task": "actor_mimic"}).startswith("games is missing; allowed: a list")


def test_a_typo_comes_before_the_gap_it_leaves_and_the_rest_is_counted():
    line = refusal({"task": "dqn", "gmae": "pong"})
    assert line.startswith("gmae is no setting (its value: 'pong')")
    assert line.endswith("(did you mean game?) (and 1 more)")


def test_long_values_are_shortened():
    assert len(refusal(DQN, f"device={'x' * 5000}")) < 250


def test_the_resolved_file_is_complete_and_can_be_overridden_like_any_other(tmp_path):
    settings = check_settings({**DQN, "preset": "fast"})
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(settings))
    assert load_settings(str(path)) == settings
    assert load_settings(str(path), ["game=breakout"]).games == ["breakout"]
    transfer = check_settings({"task": "transfer", "game": "pong", "source": "random"})
    assert plain_values(transfer)["game"] == "pong"
    assert plain_values(settings)["optimizer"]["beta1"] == 0.9
    assert next(iter(plain_values(settings))) == "task"


def test_the_stages_of_a_pipeline_are_checked_with_it(tmp_path):
    stage = tmp_path / "stage.yaml"
    stage.write_text("task: dqn\ngame: pong\n")
    pipeline = {**PIPELINE, "stages": [{"config": str(stage), "seed": 3}]}
    assert check_settings(pipeline).stages == {"0": pipeline["stages"][0]}
    assert "stages.0.config is missing; allowed: a YAML file" in refusal(
        pipeline, "stages=[{seed: 3}]"
    )
    assert f"stages.0 ({stage}): seed is -1; allowed" in refusal(pipeline, "stages.0.seed=-1")
    nested = tmp_path / "nested.yaml"
    nested.write_text(to_yaml(check_settings(pipeline)))
    assert "a pipeline holds no pipelines" in refusal(pipeline, f"stages.0={{config: {nested}}}")


SCALED = """
task: dqn
game: pong
name: big
training: {agent_steps: 1000, batch: 8, learn_start: 10}
scales:
  small: {name: little, training: {agent_steps: 50}}
"""


@pytest.fixture
def scaled(tmp_path):
    path = tmp_path / "scaled.yaml"
    path.write_text(SCALED)
    return str(path)


def test_a_scale_lies_over_its_file_and_under_the_overrides(scaled):
    full = load_settings(scaled)
    assert (full.name, full.training.agent_steps) == ("big", 1000)
    assert load_settings(scaled, ["scale=full"]) == full
    small = load_settings(scaled, ["scale=small"])
    assert (small.name, small.training.agent_steps, small.training.batch) == ("little", 50, 8)
    over = load_settings(scaled, ["training.agent_steps=70", "scale=small"])
    assert (over.name, over.training.agent_steps) == ("little", 70)


def test_a_scale_that_the_file_has_not_is_named(scaled, tmp_path):
    with pytest.raises(
        ValueError, match=r"scale is 'smal', which .* allowed: full, small .did you"
    ):
        load_settings(scaled, ["scale=smal"])
    (tmp_path / "plain.yaml").write_text("task: dqn\ngame: pong\n")
    with pytest.raises(ValueError, match=r"scale is 'small', which .* has not; allowed: full"):
        load_settings(str(tmp_path / "plain.yaml"), ["scale=small"])
    (tmp_path / "wrong.yaml").write_text("task: dqn\ngame: pong\nscales: [small]\n")
    with pytest.raises(
        ValueError, match=r"scales is \['small'\]; allowed: names, each with settings"
    ):
        load_settings(str(tmp_path / "wrong.yaml"))


def test_a_config_extends_another_with_its_scales(scaled, tmp_path):
    path = tmp_path / "more.yaml"
    path.write_text(
        f"extends: {scaled}\nseed: 3\ntraining: {{batch: 9}}\nscales: {{small: {{seed: 4}}}}\n"
    )
    full, small = load_settings(str(path)), load_settings(str(path), ["scale=small"])
    assert (full.seed, full.training.batch, full.training.agent_steps) == (3, 9, 1000)
    assert (small.seed, small.training.batch, small.training.agent_steps) == (4, 9, 50)
    path.write_text(f"extends: {path}\ntask: dqn\n")
    with pytest.raises(ValueError, match="extends leads back to"):
        load_settings(str(path))
    path.write_text("extends: [a]\n")
    with pytest.raises(ValueError, match=r"extends is \['a'\]; allowed: a YAML file"):
        load_settings(str(path))


def stage_runs(pipeline):
    return pipeline_stages(check_settings({**PIPELINE, **pipeline}))


def test_a_stage_runs_each_combination_at_the_pipeline_s_scale(scaled):
    each = {"game": ["pong", "breakout"], "seed": [1, 2]}
    runs = stage_runs(
        {
            "scale": "small",
            "shared_folder": "shared",
            "stages": {"a": {"config": scaled, "each": each}},
        }
    )
    assert all(isinstance(run, StageRun) and run.stage == "a" for run in runs)
    found = [(run.settings.games[0], run.settings.seed) for run in runs]
    assert found == [("pong", 1), ("pong", 2), ("breakout", 1), ("breakout", 2)]
    assert {run.settings.training.agent_steps for run in runs} == {50}
    assert runs[0].settings.run_folder.startswith("shared/little-pong-s1-")
    assert len({run.settings.run_folder for run in runs}) == 4


def test_shared_folders_are_those_of_equal_settings_and_of_no_others(scaled):
    def folder(**stage):
        stages = {"x": {"config": scaled, **stage}}
        return stage_runs({"shared_folder": "s", "stages": stages})[0].settings.run_folder

    plain = folder()
    assert folder(device="cpu", threads=2) == plain
    # Either emulation gives the same bytes.
    assert folder(environment={"emulation": "stock"}) == plain
    others = [folder(seed=1), folder(training={"batch": 9}), folder(evaluation={"epsilon": 0.5})]
    assert len({plain, *others}) == 4
    assert folder(folder="mine") == "mine"


def test_a_stage_s_run_is_a_source_of_later_ones(tmp_path, scaled):
    amn = {"config": "amn.yaml", "games": ["pong", "breakout"], "experts": "stage:experts"}
    transfer = {"config": "transfer.yaml", "source": "stage:amn"}
    stages = {
        "experts": {"config": scaled, "each": {"game": ["pong", "breakout"], "seed": [0, 1]}},
        "amn": {**amn, "each": {"seed": [0, 1]}},
        "transfer": {**transfer, "each": {"seed": [1]}},
    }
    pipeline = {"shared_folder": str(tmp_path / "s"), "stages": stages}
    runs = [run.settings for run in stage_runs(pipeline)]
    experts, (amn0, amn1), last = runs[:4], runs[4:6], runs[6]
    assert amn0.experts == {"pong": experts[0].run_folder, "breakout": experts[2].run_folder}
    assert amn1.experts == {"pong": experts[1].run_folder, "breakout": experts[3].run_folder}
    assert last.source == amn1.run_folder
    # What earlier stages will make need not be there yet; anything else must.
    check_sources(check_settings({"task": "pipeline", **pipeline}))
    stages["transfer"]["source"] = str(tmp_path / "none")
    with pytest.raises(
        ValueError, match=r"stages\.transfer\.source is .*none', which does not exist"
    ):
        check_sources(check_settings({"task": "pipeline", **pipeline}))


def test_a_pipeline_s_resume_is_not_its_stages(scaled):
    """With resume=always the first stage that has not begun would fail."""
    for resume in ("always", "never"):
        (run,) = stage_runs({"resume": resume, "seed": 3, "stages": {"a": {"config": scaled}}})
        assert (run.settings.resume, run.settings.seed) == ("auto", 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resume": "always"}, r"resume is 'always'; allowed for a stage: auto"),
        ({"each": {"seed": []}}, r"each is \{'seed': \[\]\}; allowed: settings, each with a list"),
        ({"each": {"sed": [1]}}, r"stages\.b \(.*\): sed is no setting"),
        ({"source": "stage:c"}, r"stage:c names no earlier stage; allowed: a"),
        (
            {"source": "stage:a"},
            r"stage:a means 2 runs; allowed: a stage with one run, or with one",
        ),
        ({"folder": "one"}, r"its folder one is an earlier stage's"),
        ({"folder": "./one"}, r"its folder \./one is an earlier stage's"),
        ({"folder": "runs/../runs/all"}, r"its folder runs/\.\./runs/all is the pipeline's own"),
        ({"config": "amn.yaml", "experts": "stage:a", "games": 5}, r"games is 5; allowed: a list"),
        ({"config": "amn.yaml", "experts": "stage:a", "games": [["a"]]}, r"games\.0 is \['a'\]"),
    ],
)
def test_mistakes_in_stages_are_named(scaled, change, message):
    first = {"config": scaled, "each": {"folder": ["one", "two"]}}
    second = {"config": "transfer.yaml", **change}
    with pytest.raises(ValueError, match=message):
        stage_runs({"stages": {"a": first, "b": second}})


def commands_in_comments():
    """What configs tell their readers to type, with the config where it stands."""
    for name in shipped_configs():
        text = find_config(name).read_text()
        comment = " ".join(re.findall(r"^# ?(.*)$", text, re.MULTILINE))
        for found in re.finditer(
            r"python -m actormimic\.run ((?:'[^']*'|[\w./=\[\]-])+ ?)+", comment
        ):
            yield name, found[0]


def test_the_commands_in_configs_comments_mean_something():
    found = list(commands_in_comments())
    assert {"dqn.yaml", "evaluate.yaml", "transfer.yaml"} <= {name for name, _ in found}
    for _, command in found:
        words = [word for word in shlex.split(command)[3:] if word.endswith(".yaml") or "=" in word]
        settings = load_settings(words[0], words[1:])
        if settings.task == "evaluate":
            made_by = load_settings(f"{settings.source.removeprefix('runs/')}.yaml")
            assert set(settings.games) <= set(made_by.games)
