"""Runs as processes of their own: what their ends mean to who started them."""

import fcntl
import sys
import time

import pytest

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
