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


def test_a_config_of_ones_own_lies_over_the_packages(tmp_path: Path) -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
    mine, packages = load_settings(str(tmp_path / "mine.yaml")), load_settings("amn.yaml")
    assert isinstance(mine, ActorMimicRun)
    assert isinstance(packages, ActorMimicRun)
    assert (mine.games, mine.training.agent_steps) == (["pong", "breakout"], 40_000)
    assert mine.replay == packages.replay


def _typed_commands() -> list[str]:
    """What the README has readers type after ``python -m actormimic.run``, in spans or blocks."""
    text = README.read_text(encoding="utf-8")
    shown = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    lines = [line for block in shown for line in block.splitlines()]
    lines += re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    commands = [line.partition("python -m actormimic.run ")[2].split("#")[0] for line in lines]
    return [command for command in commands if command and "CONFIG" not in command]


@pytest.mark.parametrize("command", _typed_commands())
def test_a_command_is_one(command: str) -> None:
    config, *overrides = shlex.split(command)
    if "replay.capacty=50000" in overrides:  # shown for its message
        with pytest.raises(ValueError, match=r"did you mean replay\.capacity"):
            load_settings(config, overrides)
    else:
        load_settings(config, overrides)


def test_the_papers_configs_are_there_at_the_scale_that_it_names() -> None:
    table = README.read_text(encoding="utf-8").partition("| of the paper | config |")[2]
    named = re.findall(r"`([\w/]+\.yaml)`", table.partition("\n\n")[0])
    assert len(named) == 10
    for config in named:
        load_settings(config)
        if config.startswith("paper/"):
            load_settings(config, ["scale=small"])
