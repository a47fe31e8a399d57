"""What a run's surroundings do to it, and what it saves: a closed terminal, a reader that dies."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from test_training import make_learner, run_training, settings, weights

from actormimic.checkpoint import CheckpointStore
from actormimic.interruption import interruptible


@pytest.mark.parametrize(
    ("before", "asked"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)], ids=["plain", "nohup"]
)
def test_the_end_of_the_terminal_asks_who_was_not_told_to_ignore_it(request, before, asked):
    request.addfinalizer(partial(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP)))
    signal.signal(signal.SIGHUP, before)
    with interruptible() as asked_to_stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked_to_stop() == asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked_to_stop()
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_progress_line_that_nobody_hears_saves_and_ends(tmp_path: Path, monkeypatch):
    class Closed:
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise BrokenPipeError

    run = settings()
    with monkeypatch.context() as context:
        context.setattr(sys, "stderr", Closed())
        context.setattr("time.monotonic", iter(range(0, 100_000, 40)).__next__)  # a line is due
        with pytest.raises(BrokenPipeError):
            run_training(run, make_learner(run), tmp_path)
    saved = CheckpointStore(tmp_path / "checkpoints", 1).newest()
    assert saved is not None
    assert saved.agent_steps < run.training.agent_steps
    again, whole = make_learner(run), make_learner(run)
    run_training(run, again, tmp_path)
    run_training(run, whole, tmp_path / "whole")
    assert weights(again) == weights(whole)
