"""The command line: each mistake is one line and exit code 2, and leaves nothing behind."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from actormimic import run
from actormimic.config import task_models
from actormimic.config_errors import dotted_keys
from actormimic.config_files import load_settings
from actormimic.config_yaml import shipped_configs
from actormimic.faults import Diverged
from actormimic.presets import PRESETS

CONFIG = "task: actor_mimic\ngames: [pong, breakout]\nname: tiny\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def task(monkeypatch):
    """Stands in for the training: the calls it got, and what it does next."""
    stand_in = types.ModuleType("actormimic.tasks")
    stand_in.calls = []
    stand_in.then = lambda: None

    def run_task(settings, folder, say):
        stand_in.calls.append((settings, folder))
        say("trained")
        stand_in.then()
        (folder / "metrics.jsonl").write_text("{}\n")  # it has begun

    stand_in.run_task = run_task
    stand_in.check_machine_and_networks = lambda settings: None
    monkeypatch.setitem(sys.modules, "actormimic.tasks", stand_in)
    return stand_in


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "actormimic.run", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(run.__file__).parents[1])},
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny.yaml", "games=[pnog]"], "pnog"),
        (["nowhere.yaml"], "nowhere.yaml is neither a file nor"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(here, words, message):
    done = command(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert [path.name for path in here.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experts.pong=teacher.pt"], "teacher.pt is damaged or no file of torch.save"),
        (["experts={pong: {file: teacher.pt, pixels: bytes}}"], "teacher.pt is damaged or no file"),
        (["experts=bundled", "games=[adventure]"], "no bundled expert of adventure; bundled: "),
        (["games=[adventure]", "experts.adventure=bundled"], "no bundled expert of adventure"),
        (["experts.pong=nowhere.zip"], "experts.pong is 'nowhere.zip', which does not exist"),
        (
            ["task=evaluate", "source=bundled", "games=[adventure]"],
            "no bundled expert of adventure",
        ),
        (
            ["task=evaluate", "source=teacher.pt"],
            "games has 2 entries; teacher.pt is an expert of one",
        ),
        (
            ["task=pipeline", "stages=[{config: tiny.yaml, experts: {pong: teacher.pt}}]"],
            "teacher.pt is damaged",
        ),
    ],
)
def test_wrong_experts_end_in_one_line_before_anything_is_made(here, capsys, words, message):
    (here / "teacher.pt").write_bytes(b"no weights")
    if "task=pipeline" in words:
        (here / "other.yaml").write_text("task: pipeline\nname: all\nstages: []\n")
    before = sorted(here.iterdir())
    config = "other.yaml" if "task=pipeline" in words else "tiny.yaml"
    assert run.main([config, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["expert_training.overrides=['training.foo=1']"],
            "expert_training.overrides: training.foo is no setting",
        ),
        (
            ["experts=auto", "games=[freeway]", "expert_training.overrides=['seed=-1']"],
            "expert_training.overrides: seed is -1",
        ),
        (
            ["expert_training.config=nowhere.yaml"],
            "expert_training.config: config nowhere.yaml is neither",
        ),
        (
            ["expert_training.config=transfer.yaml"],
            "expert_training.config is 'transfer.yaml', a task other than dqn; allowed: dqn",
        ),
        (
            ["games=[freeway]", "expert_training.overrides=['game=breakout']"],
            "expert_training.overrides has 'game=breakout'; allowed: settings other than game,",
        ),
        (
            ["expert_training.overrides=['folder=elsewhere']"],
            "expert_training.overrides has 'folder=elsewhere'; allowed: settings other than game,",
        ),
        (
            ["task=pipeline", "stages.students.expert_training.overrides=['training.foo=1']"],
            "stages.students.expert_training.overrides: training.foo is no setting",
        ),
    ],
)
def test_wrong_trainings_of_experts_make_no_folder(here, task, capsys, words, message):
    (here / "other.yaml").write_text(
        "task: pipeline\nname: all\nstages: {students: {config: tiny.yaml}}\n"
    )
    before = sorted(here.iterdir())
    assert run.main(["other.yaml" if "task=pipeline" in words else "tiny.yaml", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), task.calls) == ("", 1, [])
    assert message in err
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "CONFIG is missing"),
        (["--hlep"], "option --hlep is unknown; allowed: --help, --list, --traceback"),
        (["tiny.yaml", "seed"], "override 'seed' is not understood; allowed: key=value"),
        (["tiny.yaml", "seed=-1"], "seed is -1; allowed: a whole number, at least 0"),
        (["tiny.yaml", "name=''"], "name is ''; allowed: text of the form"),
        (["."], "config . is a folder; allowed: a YAML file"),
        (["tiny.yaml", "replay.capacty=3"], "replay.capacty is no setting"),
        (["tiny.yaml", "folder=/proc/run"], "/proc/run"),
        (["tiny.yaml", "folder=tiny.yaml/run"], "tiny.yaml is a file"),
        (["tiny.yaml", "resume=always"], "resume is 'always', but runs/tiny holds no run"),
    ],
)
def test_more_mistakes(here, capsys, words, message):
    assert run.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert [path.name for path in here.iterdir()] == ["tiny.yaml"]


def test_mistakes_are_answered_before_torch_is_imported(here):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from actormimic import run; run.main(['tiny.yaml', 'seed=-1']); "
            "print('torch' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(run.__file__).parents[1])},
    )
    assert done.stdout == "False\n"


def test_a_run_leaves_its_resolved_config_and_the_same_command_goes_on(here, task, capsys):
    assert run.main(["tiny.yaml", "seed=3"]) == 0
    folder = here / "runs" / "tiny"
    assert load_settings(str(folder / "config.yaml")).seed == 3
    assert run.main(["tiny.yaml", "seed=3", "resume=always", "threads=2", "device=cpu"]) == 0
    assert load_settings(str(folder / "config.yaml")).threads == 2
    assert run.main([str(folder / "config.yaml")]) == 0
    assert [path for _, path in task.calls] == [Path("runs/tiny")] * 3
    assert capsys.readouterr().out == "trained\n" * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resume=never"], "resume is 'never', but runs/tiny holds a run"),
        (["seed=4"], "seed is 4, but the run in runs/tiny has 0; allowed: the same, or another"),
        (["replay.capacity=500"], "replay.capacity is 500, but the run in runs/tiny has 100000"),
        (["games=[pong]"], "games is ['pong'], but the run in runs/tiny has ['pong', 'breakout']"),
    ],
)
def test_a_folder_keeps_to_its_run(here, task, capsys, words, message):
    assert run.main(["tiny.yaml"]) == 0
    before = (here / "runs/tiny/config.yaml").read_bytes()
    assert run.main(["tiny.yaml", *words]) == 2
    assert message in capsys.readouterr().err
    assert (here / "runs/tiny/config.yaml").read_bytes() == before
    assert len(task.calls) == 1


def test_what_is_refused_before_its_first_step_is_not_held_against_the_corrected_command(
    here, task, capsys
):
    def fail():
        raise OSError("ring 3 of 8 does not fit into /dev/shm")

    task.then = fail
    assert run.main(["tiny.yaml", "replay.capacity=900000"]) == 2
    assert (here / "runs/tiny/config.yaml").exists()
    (here / "runs/tiny/similarity.json").write_text("of another source")
    task.then = lambda: None
    assert run.main(["tiny.yaml", "replay.capacity=500", "resume=always"]) == 0
    assert not (here / "runs/tiny/similarity.json").exists()
    assert load_settings(str(here / "runs/tiny/config.yaml")).replay.capacity == 500
    assert run.main(["tiny.yaml", "replay.capacity=400"]) == 2
    assert "replay.capacity is 400, but the run in runs/tiny has 500" in capsys.readouterr().err


def test_a_folder_with_other_things_in_it_is_left_alone(here, task, capsys):
    (here / "home").mkdir()
    (here / "home" / "letter.txt").write_text("dear")
    assert run.main(["tiny.yaml", "folder=home"]) == 2
    assert "folder home holds letter.txt but no run" in capsys.readouterr().err
    assert [path.name for path in (here / "home").iterdir()] == ["letter.txt"]


def test_a_run_that_ended_before_it_was_one_is_in_nobody_s_way(here, task):
    folder = here / "runs/tiny"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        assert run.main(["tiny.yaml"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in folder.iterdir()] == [".lock"]
    # What a kill at that moment leaves, and what a run in a process of its own has said.
    (folder / ".config.yaml.unfinished").write_text("task:")
    (folder / "output.log").write_text("no room")
    assert run.main(["tiny.yaml"]) == 0


def test_a_config_of_another_version_is_named(here, task, capsys):
    assert run.main(["tiny.yaml"]) == 0
    config = here / "runs/tiny/config.yaml"
    config.write_text(config.read_text() + "color: red\n")
    assert run.main(["tiny.yaml"]) == 2
    assert "runs/tiny/config.yaml is not of this version: color is no" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(here, task, capsys):
    (here / "locked").mkdir(mode=0o500)
    assert run.main(["tiny.yaml", "folder=locked/run"]) == 2
    assert "folder locked/run is not writable" in capsys.readouterr().err


def test_two_processes_do_not_share_a_folder(here, task, capsys):
    assert run.main(["tiny.yaml"]) == 0
    with (here / "runs/tiny/.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run.main(["tiny.yaml"]) == 2
    assert f"folder runs/tiny is in use by process {os.getpid()}" in capsys.readouterr().err
    assert run.main(["tiny.yaml"]) == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_says_how_to_go_on(here, task, capsys, signum):
    task.then = lambda: os.kill(os.getpid(), signum)
    before = signal.getsignal(signal.SIGTERM)
    assert run.main(["tiny.yaml", "games=[pong, boxing]", "resume=never"]) == 130
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "interrupted; what is done lies in runs/tiny. To go on: "
        "python -m actormimic.run tiny.yaml 'games=[pong, boxing]'"
    )
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("expert a.zip has 4 actions;\nallowed: 6"), "has 4 actions; allowed: 6"),
        (FileNotFoundError(2, "No such file or directory", "a.zip"), "a.zip: No such file"),
        (OSError("checkpoint x cannot be written"), "checkpoint x cannot be written"),
        (Diverged("the training has diverged"), "the training has diverged"),
    ],
)
def test_mistakes_found_later_end_in_one_line_too(here, task, capsys, error, message):
    def fail():
        raise error

    task.then = fail
    assert run.main(["tiny.yaml"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert run.main(["tiny.yaml", "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_faults_of_the_program_are_not_dressed_up(here, task):
    def fail():
        raise RuntimeError("broken")

    task.then = fail
    with pytest.raises(RuntimeError, match="broken"):
        run.main(["tiny.yaml"])


def test_help_explains_every_setting_and_list_every_config(capsys):
    assert run.main(["--help"]) == 0
    page = capsys.readouterr().out
    for task_name, model in task_models().items():
        assert f"  {task_name} " in page
        for key in dotted_keys(model):
            assert key in ("task", "game") or f"  {key} = " in page, key
    assert max(len(line) for line in page.splitlines()) < 140
    for task_name, presets in PRESETS.items():
        assert all(f"  {task_name}, {preset}:" in page for preset in presets)
    assert "optimizer.kind=centered_rmsprop" in page
    assert run.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == shipped_configs()
    about = dict(line.split(maxsplit=1) for line in lines)
    assert about["paper/figure7.yaml"] == (
        "Figure 7 (appendix F): the learning curves behind Table 2, and its runs"
    )


def test_the_written_config_is_plain_yaml(here, task):
    assert run.main(["tiny.yaml"]) == 0
    values = yaml.safe_load((here / "runs/tiny/config.yaml").read_text())
    assert values["task"] == "actor_mimic"
    assert values["optimizer"]["learning_rate"] == 2.5e-4
