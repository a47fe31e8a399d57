"""A training as a run in a folder: logs, test epochs, checkpoints and an early end around the loop.

The loop itself is `actormimic.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from actormimic.checkpoint import CheckpointStore
from actormimic.config import LearningSettings
from actormimic.faults import faults_are_ours
from actormimic.interruption import interruptible
from actormimic.metrics import Progress, RunLog
from actormimic.run_files import CHECKPOINTS_NAME, RESULTS_NAME, Weights
from actormimic.run_folder import reopen
from actormimic.stopping import EarlyStopping
from actormimic.training import Learner, Training


@dataclass(frozen=True)
class Trained:
    """What a training came to."""

    seconds: float
    """Running time, interruptions aside."""
    agent_steps: int
    """Per game."""
    stopped_early: bool


#: What `train` asks a test epoch for where it may stop early: it is to fall.
STOPPING_MEASURE = "test/divergence"

#: Runs a test epoch after so many agent_steps per game and gives what to log. It asks the second
#: argument now and then and raises KeyboardInterrupt where that says to stop.
TestEpoch = Callable[[int, Callable[[], bool]], Mapping[str, float]]


def train(
    settings: LearningSettings,
    learner: Learner,
    folder: Path,
    test: TestEpoch,
    save_weights: Callable[[Weights, int], None],
    label: str = "",
    stopping: EarlyStopping | None = None,
) -> Trained:
    """Train to the end, or on from the folder's newest checkpoint.

    Args:
        settings: The run.
        learner: With its weights as they are at the start.
        folder: The run folder.
        test: A test epoch.
        save_weights: Writes the network's weights under a name, with its agent_steps per game.
        label: Words before the progress line.
        stopping: Gets each test epoch's `STOPPING_MEASURE`; the weights of its lowest are saved
            under the name ``best``, and where it says so the training ends.

    Raises:
        KeyboardInterrupt: after a Ctrl-C, once everything is saved.
        OSError: nobody hears the progress line any more; likewise.
        ValueError: the checkpoint does not fit, or a complete run has none to go on from.
        Diverged: losses are no longer finite.
        RuntimeError: a fault in the program.
    """
    store = CheckpointStore(folder / CHECKPOINTS_NAME, settings.checkpoint.keep)
    newest = store.newest()
    if newest is None and (folder / RESULTS_NAME).exists():
        raise ValueError(
            f"the run in {folder} is complete, but its checkpoints are gone and it cannot go on; "
            "allowed: its own training.agent_steps, or another folder (folder=...)"
        )
    training = Training(settings, learner)
    total = settings.training.agent_steps
    with ExitStack() as stack:
        stack.callback(training.close)
        if newest is not None:
            training.restore(newest)
            if stopping is not None:
                stopping.restore(newest.values["stopping"])
        log = RunLog(folder, newest.values["log"] if newest is not None else None)
        stack.callback(log.close)
        if newest is not None:
            reopen(folder, settings)  # now that nothing is left that could refuse to go on
        progress = Progress(total, done=training.agent_steps, label=label)
        stack.callback(progress.close)
        asked_to_stop = stack.enter_context(interruptible())

        def save() -> None:
            training.save(store, log.state(), stopping)
            save_weights("newest", training.agent_steps)

        scores: dict[str, float] = {}

        def log_averages() -> None:
            values = training.averages()
            for name, value in values.items():
                if name.startswith("train/return/"):
                    scores[name.removeprefix("train/return/")] = value
            log.write(training.agent_steps, values)

        def stops_early() -> bool:
            return stopping is not None and stopping.due

        def run_test() -> None:
            try:
                values = test(training.agent_steps, asked_to_stop)
            except KeyboardInterrupt:
                save()  # with the test epoch still due, so that going on begins with it
                raise
            training.test_is_due = False
            log.write(training.agent_steps, values)
            if stopping is not None and stopping.observe(values[STOPPING_MEASURE]):
                save_weights("best", training.agent_steps)
            if stops_early() and training.has_averages:
                log_averages()  # no later line would have them

        stack.enter_context(faults_are_ours())  # all that was to be read has been
        if training.test_is_due:
            run_test()
            if stops_early():
                save()
        before = training.agent_steps
        # A run that had stopped before it was interrupted is not to take another step.
        for _ in () if stops_early() else training.steps():
            now = training.agent_steps
            last = now >= total
            if _passed(before, now, settings.training.log_every_agent_steps) or last:
                log_averages()
            if _passed(before, now, settings.evaluation.every_agent_steps):
                training.test_is_due = True
                run_test()
            unheard: OSError | None = None
            try:
                progress.update(now, scores)
            except OSError as error:  # the terminal was closed, or who reads the pipe has died
                unheard = error
            stop, last = asked_to_stop() or unheard is not None, last or stops_early()
            if _passed(before, now, settings.checkpoint.every_agent_steps) or last or stop:
                save()
            if stop:
                raise unheard or KeyboardInterrupt
            if stops_early():
                break
            before = now
        return Trained(log.seconds, training.agent_steps, stops_early())


def _passed(before: int, now: int, period: int) -> bool:
    """Whether a multiple of ``period`` lies in (before, now]."""
    return now // period > before // period
