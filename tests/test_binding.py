"""A compiled core that is missing or stale says what to do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import actormimic
from actormimic._binding import core

ROOT = Path(actormimic.__file__).parents[1]
SOURCES = Path(__file__).parents[1] / "csrc" / "bindings"


def first_import(code, folder):
    """How a Python that starts in ``folder`` ends after ``code``."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=folder
    )


@pytest.fixture
def checkout(tmp_path):
    """A copy of what is compared: two files of the package beside the bindings' sources."""
    (tmp_path / "actormimic").mkdir()
    for name in ("__init__.py", "_binding.py"):
        shutil.copy(Path(actormimic.__file__).with_name(name), tmp_path / "actormimic")
    shutil.copytree(SOURCES, tmp_path / "csrc" / "bindings")
    return tmp_path


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
    done = first_import(code, ROOT)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert message in last


def change(sources):
    file = sources / "core_module.cpp"
    file.write_text(file.read_text() + "\n")


def rename(sources):
    (sources / "bindings.hpp").rename(sources / "bindings2.hpp")


def add(sources):
    (sources / "zeroth.cpp").touch()


def test_the_core_fits_the_sources_beside_it_or_none(checkout):
    (checkout / "csrc" / "bindings" / "notes.txt").touch()  # nothing is compiled from it
    done = first_import("import actormimic._binding", checkout)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(checkout / "csrc")
    done = first_import("import actormimic._binding", checkout)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("edit", [change, rename, add], ids=lambda edit: edit.__name__)
def test_a_core_of_other_sources_is_refused(checkout, edit):
    sources = checkout / "csrc" / "bindings"
    edit(sources)
    done = first_import("import actormimic._binding", checkout)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: actormimic's compiled core was not built from the sources in {sources}: run "
        "`pip install .` in the checkout, or leave its folder to use the installed package"
    )


def test_a_core_from_before_the_comparison_is_refused(checkout):
    older = f"types.SimpleNamespace(__version__='{actormimic.__version__}')"
    code = (
        f"import sys, types; sys.modules['actormimic._core'] = {older}; import actormimic._binding"
    )
    done = first_import(code, checkout)
    assert done.returncode == 1
    assert "was not built from the sources in" in done.stderr.splitlines()[-1]
