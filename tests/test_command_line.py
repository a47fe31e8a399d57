"""How every command ends: interrupted, unread, or refused."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import actormimic
from actormimic import command_line
from actormimic.command_line import command


def commands() -> list[str]:
    folder = Path(command_line.__file__).parent
    return [p.stem for p in folder.glob("*.py") if "\ndef main(" in p.read_text("utf-8")]


def test_the_commands_are_found():
    assert {"run", "report", "play", "bundle", "replay_command", "__main__"} <= set(commands())


def test_a_command_without_an_output_ends_well():
    done = subprocess.run(
        [sys.executable, "-m", "actormimic", "--version"],
        env={**os.environ, "PYTHONPATH": str(Path(actormimic.__file__).parents[1])},
        preexec_fn=lambda: os.close(1),
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize("name", commands())
def test_every_command_ends_in_the_same_way(name: str):
    main = importlib.import_module(f"actormimic.{name}").main
    assert main.__wrapped__.__name__ == "main"  # what `command` has put its ends around


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (ValueError("x is 3;\nallowed: 4"), 2, "it: x is 3; allowed: 4\n"),
        (FileNotFoundError(2, "No such file", "a.txt"), 2, "it: a.txt: No such file\n"),
        (OSError("full"), 2, "it: full\n"),
    ],
)
def test_what_ends_a_command_is_its_exit_code(capsys, end: BaseException, code: int, said: str):
    @command("it")
    def main(number: int) -> int:
        if number:
            raise end
        return 7

    assert main(0) == 7
    assert main(1) == code
    assert capsys.readouterr() == ("", said)


def test_a_fault_is_not_told_as_a_mistake():
    @command("it")
    def main() -> int:
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        main()


@pytest.mark.parametrize(
    "words",
    [["actormimic.run", "--help"], ["actormimic.run", "--list"], ["actormimic.replay", "--help"]],
)
def test_output_that_nobody_reads_ends_quietly(words: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(Path(actormimic.__file__).parents[1])}
    environment.pop("PYTHONUNBUFFERED", None)  # argparse passes over what it cannot write at once
    ended = subprocess.run(
        [sys.executable, "-m", *words],
        env=environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")
