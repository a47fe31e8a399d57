"""Tests marked ``cuda`` are skipped where there is no CUDA device; torch computes on one thread."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Batches of a few rows are no work for several threads, which wait for each other instead; on a
# machine that does something else besides, many times as long. Subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> Iterator[None]:
    """A shell's background jobs, and all that they start, ignore Ctrl-C, which many tests press;
    what nohup starts ignores SIGHUP."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def _without_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actormimic.report._draw_runs", lambda runs, out, prefix: [])
        yield


@pytest.fixture
def no_pictures() -> Iterator[None]:
    """Runs' reports have no plots, which take a second each: for tests that look at none."""
    with _without_pictures():
        yield


@pytest.fixture(scope="module")
def no_pictures_in_module() -> Iterator[None]:
    """As `no_pictures`, for modules that look at none, and for what their tests share."""
    with _without_pictures():
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
