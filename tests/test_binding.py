"""A compiled core that is missing or stale says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

import actormimic
from actormimic._binding import core

ROOT = Path(actormimic.__file__).parents[1]


def test_the_core_is_of_this_version():
    assert core.__version__ == actormimic.__version__


@pytest.mark.parametrize(
    ("stand_in", "message"),
    [
        ("None", "actormimic's compiled core is missing: run `pip install .` in the checkout"),
        (
            "types.SimpleNamespace(__version__='0.0.1')",
            f"actormimic is {actormimic.__version__}, but its compiled core is 0.0.1: run `pip",
        ),
    ],
)
def test_a_core_that_does_not_fit_says_what_to_do(stand_in, message):
    code = (
        f"import sys, types; sys.modules['actormimic._core'] = {stand_in}; import actormimic.replay"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert message in last
