"""Runs as processes of their own: what their ends mean to who started them."""

import fcntl
import sys
import time

import pytest

from actormimic import expert_training
from actormimic.config_files import load_settings
from actormimic.side_by_side import RunProcess, Waiting, run_side_by_side


@pytest.mark.parametrize(
    ("code", "error"), [(2, ValueError), (1, RuntimeError), (-9, RuntimeError)]
)
def test_only_a_refusal_is_the_user_s_mistake(tmp_path, code, error):
    end = "os.kill(os.getpid(), 9)" if code == -9 else f"sys.exit({code})"
    command = [sys.executable, "-c", f"import os, sys; print('so it is', flush=True); {end}"]
    with pytest.raises(error, match=f"the run of x ended with exit code {code}: so it is"):
        run_side_by_side([Waiting("x", tmp_path, command)], 1, lambda line: None)


def test_an_interrupted_run_interrupts(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit(130)"]
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([Waiting("x", tmp_path, command)], 1, lambda line: None)


def test_all_that_end_well_are_said(tmp_path):
    said = []
    waiting = [Waiting(name, tmp_path, [sys.executable, "-c", ""]) for name in ("x", "y")]
    run_side_by_side(waiting, 2, said.append)
    assert sorted(said) == [f"{name}: {tmp_path}" for name in ("x", "y")]


def test_a_run_in_a_folder_that_another_holds_waits_for_its_end(tmp_path):
    """As where two runs want the same expert, and each would train it first."""
    folder = tmp_path / "random"
    folder.mkdir()
    command = [sys.executable, "-m", "actormimic.run", "evaluate.yaml", "source=random"]
    command += ["games=[pong]", "evaluation.agent_steps=4", f"folder={folder}"]
    run = RunProcess(command, folder, lambda line: None)
    held = (folder / ".lock").open("a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("4711")
        held.flush()
        deadline = time.monotonic() + 60
        while run.last_line != f"folder {folder} is in use by process 4711; waiting for its end":
            assert run.exit_code(wait_seconds=0.1) is None
            assert time.monotonic() < deadline
        assert not (folder / "config.yaml").exists()
    finally:
        held.close()  # and with it the lock
        code = run.exit_code(wait_seconds=60)
    assert code == 0
    assert (folder / "results.json").exists()


MEET = """
import os, sys, time
own, together = sys.argv[1], int(sys.argv[2])
os.mkdir(own)
deadline = time.monotonic() + 60
while together == 2 and len(os.listdir()) < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
if together == 1:
    time.sleep(1)  # for another to come, if it may
met = len(os.listdir())
if together == 1:
    os.rmdir(own)
sys.exit(0 if met == together else f"{met} at a time")
"""


@pytest.mark.parametrize("together", [1, 2])
def test_so_many_run_at_a_time(together, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    waiting = [
        Waiting(name, tmp_path / "none", [sys.executable, "-c", MEET, name, str(together)])
        for name in ("x", "y")
    ]
    run_side_by_side(waiting, together, lambda line: None)


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_as_many_experts_are_trained_at_a_time_as_asked_for(processes, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(expert_training, "run_side_by_side", lambda *seen: asked.append(seen))
    words = ["experts=train", "games=[pong, breakout, enduro]"]
    words += [f"expert_training.folder={tmp_path}", f"expert_training.processes={processes}"]
    expert_training.expert_sources(load_settings("amn.yaml", words), lambda line: None)
    [(waiting, together, _)] = asked
    assert (len(waiting), together) == (3, min(processes, 3))
