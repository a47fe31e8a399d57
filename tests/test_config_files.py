"""Finding, reading, overriding and checking configs; each mistake is one line that says enough."""

import pytest
import yaml

from actormimic.config_files import (
    apply_overrides,
    check_settings,
    find_config,
    load_settings,
    plain_values,
    read_config,
    shipped_configs,
    to_yaml,
)

DQN = {"task": "dqn", "game": "pong"}
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
    assert check_settings(yaml.safe_load(to_yaml(settings))) == settings


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
    values = apply_overrides({}, ["a=1e-4", "b=1e6", "c=1.5e3", "d=-2e-1", "e=3", "f=1e4x"])
    assert values == {"a": 1e-4, "b": 1_000_000, "c": 1500, "d": -0.2, "e": 3, "f": "1e4x"}
    assert type(values["b"]) is int


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
    pipeline = {"task": "pipeline", "stages": [{"config": str(stage), "seed": 3}]}
    assert check_settings(pipeline).stages == pipeline["stages"]
    assert "stages.0.config is missing; allowed: a YAML file" in refusal(
        pipeline, "stages=[{seed: 3}]"
    )
    assert f"stages.0 ({stage}): seed is -1; allowed" in refusal(pipeline, "stages.0.seed=-1")
    nested = tmp_path / "nested.yaml"
    nested.write_text(to_yaml(check_settings(pipeline)))
    assert "a pipeline holds no pipelines" in refusal(pipeline, f"stages.0={{config: {nested}}}")
