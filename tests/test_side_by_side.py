"""Runs as processes of their own: what their ends mean to who started them."""

import sys

import pytest

from actormimic.side_by_side import Waiting, run_side_by_side


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
