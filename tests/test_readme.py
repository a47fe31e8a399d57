"""The README's Python runs as it stands, and without torch; its settings are settings."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from actormimic.config import ActorMimicRun, TransferRun
from actormimic.config_files import load_settings
from actormimic.presets import PRESETS

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
WITHOUT_TORCH = "import sys\nsys.modules['torch'] = None  # an import of it is an error\n"


@pytest.mark.parametrize(
    ("example", "printed"),
    list(zip(EXAMPLES, ["", r"\d+ episodes, mean return \d\.\d\d\n", ""], strict=True)),
    ids=["several games", "CleanRL's style", "a ring"],
)
def test_an_example_runs(example: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + example],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(printed, done.stdout)


def test_the_presets_are_of_the_tasks_that_it_says() -> None:
    text = README.read_text(encoding="utf-8")
    listed = re.search(r"A config names a task \(([^)]*)\)", text)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])[:4]) == set(PRESETS)
    fast = re.search(r"`preset: fast`, of ([^,]*,[^,]*) alone", text)
    assert fast is not None
    assert re.findall(r"`(\w+)`", fast[1]) == [t for t, named in PRESETS.items() if "fast" in named]
    assert all({"paper", "authors"} <= set(named) for named in PRESETS.values())


def test_the_settings_beyond_the_paper_are_taken_as_typed() -> None:
    """A shell splits them as a reader's would."""
    table = README.read_text(encoding="utf-8").partition("Beyond the paper, as settings")[2]
    typed = re.findall(r"`([a-z_.]+=[^`]+)`", table.partition("A run lives in")[0])
    assert len(typed) >= 5
    of_transfers = set(TransferRun.model_fields) - set(ActorMimicRun.model_fields)
    for setting in typed:
        key = re.split(r"[.=]", setting)[0]
        config = ["transfer.yaml", "source=runs/amn"] if key in of_transfers else ["amn.yaml"]
        load_settings(config[0], [*config[1:], *shlex.split(setting)])
