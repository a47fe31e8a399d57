"""Which file a config means by another one's name, whatever lies in the working directory."""

import sys

import pytest
import yaml

from actormimic.config_files import (
    check_sources,
    expert_settings,
    load_settings,
    pipeline_stages,
    to_yaml,
)
from actormimic.config_yaml import SHIPPED, shipped_configs
from actormimic.expert_training import _training

MINE = {"task": "dqn", "game": "pong", "seed": 5}


def write(path, values):
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with files of the names of the package's configs."""
    monkeypatch.chdir(tmp_path)
    for name in shipped_configs():
        write(tmp_path / name, MINE)
    return tmp_path


def test_the_package_s_configs_name_the_package_s(here):
    for name in ("paper/table1.yaml", "amn.yaml"):
        settings = load_settings(str(SHIPPED / name))
        check_sources(settings)
        (here / name).unlink()
        assert load_settings(name) == settings
    stages = pipeline_stages(load_settings("paper/table1.yaml"))
    assert {run.settings.task for run in stages} == {"dqn", "actor_mimic"}
    student = load_settings("amn.yaml")
    assert expert_settings(student, "pong").preset == "fast"
    _, command = _training(student, "pong")
    assert command[:4] == [sys.executable, "-m", "actormimic.run", str(SHIPPED / "expert.yaml")]
    assert student.expert_training.config == "expert.yaml"  # and no place on this machine


def test_a_file_s_neighbours_come_before_the_package_s_from_any_directory(here, monkeypatch):
    sub = here / "sub"
    write(sub / "dqn.yaml", {**MINE, "seed": 6, "scales": {"small": {}}})
    child = write(sub / "child.yaml", {"extends": "dqn.yaml", "name": "child"})
    student = write(
        sub / "student.yaml", {"extends": "amn.yaml", "expert_training": {"config": "dqn.yaml"}}
    )
    stages = {"a": {"config": "dqn.yaml"}, "b": {"config": "mdqn.yaml"}}
    scales = {"small": {"stages": {"b": {"config": "child.yaml"}}}}
    whole = {"task": "pipeline", "name": "whole", "stages": stages, "scales": scales}
    pipeline = write(sub / "pipeline.yaml", whole)
    for place in (here, sub, SHIPPED):
        monkeypatch.chdir(place)
        assert load_settings(str(child)).seed == 6
        assert expert_settings(load_settings(str(student)), "pong").preset is None
        full = load_settings(str(pipeline))
        assert [run.settings.seed for run in pipeline_stages(full)] == [6, 0]
        # A run's own config.yaml means the same in its folder.
        again = write(here / "runs" / "config.yaml", yaml.safe_load(to_yaml(full)))
        assert load_settings(str(again)) == full
    small = pipeline_stages(load_settings(str(pipeline), ["scale=small", "stages.b.name=b"]))
    assert [run.settings.name for run in small] == ["run", "b"]


def test_what_is_typed_is_seen_from_the_working_directory(here):
    for typed in ("expert_training.config=dqn.yaml", "expert_training={config: dqn.yaml}"):
        student = load_settings(str(SHIPPED / "amn.yaml"), ["experts=train", typed])
        assert student.expert_training.config == str(here / "dqn.yaml")
    (here / "dqn.yaml").unlink()
    words = ["experts=train", "expert_training.config=dqn.yaml"]
    student = load_settings(str(SHIPPED / "amn.yaml"), words)
    assert student.expert_training.config == "dqn.yaml"
    assert expert_settings(student, "pong").preset == "authors"
    typed = ["stages={a: {config: mdqn.yaml, game: pong}}"]
    whole = {"task": "pipeline", "name": "whole", "stages": {"b": {"config": "dqn.yaml"}}}
    write(here / "pipeline.yaml", whole)
    (run,) = pipeline_stages(load_settings("pipeline.yaml", typed))
    assert run.settings.seed == 5


def test_each_may_name_configs_too(here):
    sub = write(here / "sub" / "teacher.yaml", MINE).parent
    stage = {"config": "amn.yaml", "games": ["pong"], "experts": "train"}
    each = {"expert_training.config": ["teacher.yaml", "expert.yaml"], "name": ["a", "b"]}
    path = write(sub / "p.yaml", {"task": "pipeline", "stages": {"s": {**stage, "each": each}}})
    runs = pipeline_stages(load_settings(str(path), ["shared_folder=shared"]))
    found = [run.settings.expert_training.config for run in runs]
    assert found == [str(sub / "teacher.yaml")] * 2 + ["expert.yaml"] * 2


def test_a_miss_is_told_as_before(here):
    path = write(here / "sub" / "c.yaml", {"extends": "nowhere.yaml"})
    with pytest.raises(
        ValueError, match=r"config nowhere\.yaml is neither a file nor one of the pa"
    ):
        load_settings(str(path))
    words = ["experts=train", "expert_training.config=nowhere.yaml"]
    student = load_settings(str(SHIPPED / "amn.yaml"), words)
    with pytest.raises(ValueError, match=r"expert_training\.config: config nowhere\.yaml is"):
        expert_settings(student, "pong")
