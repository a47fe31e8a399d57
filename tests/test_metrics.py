"""The log is the same whether a run was interrupted or not; progress on and off a terminal."""

import io
import json
import math

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from actormimic.metrics import Progress, RunLog, duration, read_metrics


def entries(folder):
    return [
        {name: value for name, value in entry.items() if name != "seconds"}
        for entry in read_metrics(folder / "metrics.jsonl")
    ]


def scalars(folder, name):
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_lines_and_events_hold_what_was_written(tmp_path):
    log = RunLog(tmp_path)
    log.write(100, {"train/return/pong": -20.5, "update/loss": 1})
    log.write(200, {"train/return/pong": -19.5, "update/loss": math.nan})
    log.close()
    first, second = read_metrics(tmp_path / "metrics.jsonl")
    assert first["agent_steps"] == 100
    assert first["train/return/pong"] == -20.5
    assert 0 <= first["seconds"] <= second["seconds"]
    assert second["update/loss"] is None
    assert scalars(tmp_path, "train/return/pong") == [(100, -20.5), (200, -19.5)]
    assert scalars(tmp_path, "update/loss") == [(100, 1.0)]


def test_an_interrupted_run_leaves_the_log_of_an_uninterrupted_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    log = RunLog(whole)
    for step in range(6):
        log.write(step, {"x": step / 3})
    log.close()

    log = RunLog(broken)
    for step in range(3):
        log.write(step, {"x": step / 3})
    state = json.loads(json.dumps(log.state()))
    for step in range(3, 5):  # after the last checkpoint, then the process is killed in mid-line
        log.write(step, {"x": 99.0})
    log.close()
    with (broken / "metrics.jsonl").open("a") as file:
        file.write('{"agent_steps": 5, "x"')
    assert len(entries(broken)) == 5
    log = RunLog(broken, state)
    for step in range(3, 6):
        log.write(step, {"x": step / 3})
    assert log.state()["bytes"] == (broken / "metrics.jsonl").stat().st_size
    log.close()

    assert entries(broken) == entries(whole)
    assert scalars(broken, "x") == scalars(whole, "x")


def test_seconds_go_on_where_the_checkpoint_stopped(tmp_path):
    log = RunLog(tmp_path)
    state = {**log.state(), "seconds": 1000.0}
    log.close()
    log = RunLog(tmp_path, state)
    assert 1000.0 <= log.seconds < 1100.0
    log.close()


def test_without_a_checkpoint_the_log_begins_anew(tmp_path):
    for _ in range(2):
        log = RunLog(tmp_path)
        assert log.state()["bytes"] == 0
        log.write(1, {"x": 1.0})
        log.close()
    assert len(entries(tmp_path)) == 1
    assert scalars(tmp_path, "x") == [(1, 1.0)]


def test_a_log_that_lost_lines_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.jsonl has 0 bytes; the checkpoint knows of 50"):
        RunLog(tmp_path, {"bytes": 50, "seconds": 1.0})


def test_progress_without_a_terminal_writes_a_line_now_and_then():
    stream = io.StringIO()
    progress = Progress(1000, label="amn", stream=stream, every_seconds=0.0)
    progress.update(250, {"pong": -20.5, "boxing": 3.25})
    progress.update(500)
    progress.close()
    first, second = stream.getvalue().splitlines()
    assert first.startswith("amn  250/1,000 agent steps (25%)  pong -20.5  boxing 3.25  ")
    assert first.endswith(" left")
    assert "500/1,000 agent steps (50%)  pong -20.5" in second

    stream = io.StringIO()
    quiet = Progress(1000, stream=stream, every_seconds=3600.0)
    quiet.update(999)
    assert stream.getvalue() == ""


def test_rate_and_time_left_count_this_process_only():
    progress = Progress(1000, done=400, stream=io.StringIO())
    progress.update(500)
    assert progress.line(10.0) == "500/1,000 agent steps (50%)  10/s  50s left"
    assert Progress(1000, stream=io.StringIO()).line(0.0) == "0/1,000 agent steps (0%)  0/s"


def test_progress_on_a_terminal_is_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    progress = Progress(1000, done=400, label="amn", stream=stream)
    progress.update(1000, {"pong": 3.0})
    progress.close()
    assert "amn: " in stream.getvalue()
    assert "pong 3" in stream.getvalue()


def test_durations_read_well():
    assert [duration(s) for s in (0, 59.6, 61, 7500)] == ["0s", "1m00s", "1m01s", "2h05m"]
