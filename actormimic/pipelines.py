"""``task: pipeline``: the runs of its stages in order, those that exist left alone, one report.

The pipeline's folder holds no training of its own: ``stages.json`` says where its runs lie
(relative to it), so that reports find them and several pipelines may have runs in common.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from actormimic.command_line import Say
from actormimic.config import PipelineRun, RunSettings
from actormimic.config_files import StageRun, pipeline_stages, plain_values
from actormimic.config_yaml import flat_values, one_line_yaml, read_config
from actormimic.report import summary, write_report
from actormimic.run_files import CONFIG_NAME, STAGES_NAME
from actormimic.run_folder import is_complete, open_run_folder, write_json
from actormimic.side_by_side import Waiting, run_side_by_side

RunTask = Callable[[RunSettings, Path, Say], None]


def run_pipeline(settings: PipelineRun, folder: Path, say: Say, run_task: RunTask) -> None:
    """Run what is not there yet, then write the report of all stages to ``folder``.

    Raises:
        KeyboardInterrupt: after a Ctrl-C, once the runs that go on are saved.
        ValueError: a run's settings or its folder do not fit.
        RuntimeError: a run failed in a process of its own.
    """
    runs = pipeline_stages(settings)
    _write_stages(folder, runs)
    for stage, of_stage in groupby(runs, key=lambda run: run.stage):
        missing = []
        for run in of_stage:
            if is_complete(run.settings):
                say(f"{stage}: {run.settings.run_folder} is complete")
            else:
                missing.append(run.settings)
        if settings.processes > 1 and len(missing) > 1:
            waiting = [_waiting(stage, run) for run in missing]
            run_side_by_side(waiting, settings.processes, say)
            continue
        for one in missing:
            with open_run_folder(one) as place:
                say(f"{stage}: {place}")
                run_task(one, place, say)
    page = write_report([folder])
    say(summary([folder]))
    say(f"report: {page}")


def _waiting(stage: str, settings: RunSettings) -> Waiting:
    """The run as a process: its folder is made here, and what it is to do is written there. But a
    complete one that is to be longer keeps its config until it goes on: the words say the rest."""
    with open_run_folder(settings) as place:
        config = place / CONFIG_NAME
    written = flat_values(read_config(config))
    changes = {
        key: value
        for key, value in flat_values(plain_values(settings)).items()
        if key not in ("folder", "threads") and written.get(key) != value
    }
    words = [str(config), *(f"{key}={one_line_yaml(value)}" for key, value in changes.items())]
    words += [f"folder={place}", "threads=1"]
    return Waiting(
        f"{stage} ({place.name})", place, [sys.executable, "-m", "actormimic.run", *words]
    )


def _write_stages(folder: Path, runs: Sequence[StageRun]) -> None:
    entries = [
        {"stage": run.stage, "folder": os.path.relpath(run.settings.run_folder, folder)}
        for run in runs
    ]
    write_json(folder / STAGES_NAME, entries)
