"""Missing experts are trained first: each game in a process of its own, several side by side.

One small network's update does not fill two cores, two networks' updates do; so games share the
machine as processes with one thread each. An expert's folder carries a digest of the settings that
determine it, so that a later run finds the experts it wants and never others.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from actormimic.config import ActorMimicRun, DqnRun, ExpertFile, RunSettings
from actormimic.config_files import load_settings, plain_values
from actormimic.experts import bundled_games

Say = Callable[[str], None]

# What changes where and how fast an expert is trained and how it is watched, not what it learns.
_INCIDENTAL = ("name", "folder", "resume", "device", "threads", "checkpoint", "evaluation")


def given_experts(settings: ActorMimicRun) -> dict[str, str | ExpertFile]:
    """The experts that are not to be trained: where each of their games' is."""
    if settings.experts == "bundled":
        return dict.fromkeys(settings.games, "bundled")
    if settings.experts == "auto":
        in_the_box = bundled_games()
        return {game: "bundled" for game in settings.games if game in in_the_box}
    return dict(settings.experts) if isinstance(settings.experts, dict) else {}


def expert_sources(settings: ActorMimicRun, say: Say) -> dict[str, str | ExpertFile]:
    """Where each game's expert is; those that are nowhere yet are trained now.

    Raises:
        KeyboardInterrupt: after a Ctrl-C, once the experts in training are saved.
        ValueError: an expert's training failed; says its last words.
    """
    given = given_experts(settings)
    waiting: list[tuple[str, Path, list[str]]] = []
    for game in settings.games:
        if game in given:
            continue
        folder, command = _training(settings, game)
        given[game] = str(folder)
        if (folder / "results.json").is_file():
            say(f"expert of {game}: {folder}")
        else:
            waiting.append((game, folder, command))
    if waiting:
        names = ", ".join(game for game, _, _ in waiting)
        together = min(len(waiting), settings.expert_training.processes)
        say(f"training experts of {names} with DQN, {together} at a time")
        _train_all(waiting, together, say)
    return {game: given[game] for game in settings.games}


def _training(settings: ActorMimicRun, game: str) -> tuple[Path, list[str]]:
    wanted = settings.expert_training
    overrides = [f"game={game}", f"seed={settings.seed}", f"device={settings.device}", "threads=1"]
    overrides += list(wanted.overrides)
    expert = load_settings(wanted.config, overrides)
    if not isinstance(expert, DqnRun):
        raise ValueError(
            f"expert_training.config is {wanted.config!r}, a task other than dqn; allowed: dqn"
        )
    folder = Path(wanted.folder) / f"{game}-{_digest(expert)}"
    words = [sys.executable, "-m", "actormimic.run", wanted.config, *overrides]
    return folder, [*words, f"name={game}", f"folder={folder}"]


def _digest(settings: RunSettings) -> str:
    values = plain_values(settings)
    for name in _INCIDENTAL:
        values.pop(name, None)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


class _ExpertProcess:
    """One expert's training in a process of its own; its output goes to the folder's output.log."""

    def __init__(self, command: list[str], folder: Path, say: Say) -> None:
        self.folder = folder
        self.last_line = "it said nothing"
        self._say = say
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Apart from the terminal's Ctrl-C: it is told to stop once, by us, and saves in peace.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None  # Popen was given a pipe
        lines: list[str] = []
        with self._process.stdout as stream:
            for line in stream:
                self.last_line = line.strip() or self.last_line
                if "agent steps (" in line:
                    self._say(line.rstrip())
                lines.append(line)
                # A process that refuses its settings makes no folder, and is heard by last_line.
                if self.folder.is_dir():
                    with (self.folder / "output.log").open("a", encoding="utf-8") as log:
                        log.writelines(lines)
                    lines.clear()

    def exit_code(self, wait_seconds: float) -> int | None:
        """The exit code, or None while it runs on."""
        try:
            code = self._process.wait(timeout=wait_seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join()
        return code

    def ask_to_stop(self) -> None:
        """Ask it to save and end; does not wait."""
        self._process.terminate()

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()
        self._reader.join()


def _train_all(waiting: list[tuple[str, Path, list[str]]], together: int, say: Say) -> None:
    """Run the commands, ``together`` at a time, passing their progress lines on."""
    running: dict[str, _ExpertProcess] = {}
    queue = list(waiting)
    try:
        while queue or running:
            while queue and len(running) < together:
                game, folder, command = queue.pop(0)
                running[game] = _ExpertProcess(command, folder, say)
            for game, expert in list(running.items()):
                code = expert.exit_code(wait_seconds=0.2)
                if code is None:
                    continue
                del running[game]
                if code == 130:
                    raise KeyboardInterrupt
                if code != 0:
                    raise ValueError(
                        f"the training of {game}'s expert ended with exit code {code}: "
                        f"{expert.last_line}"
                    )
                say(f"expert of {game}: {expert.folder}")
    finally:
        for expert in running.values():
            expert.ask_to_stop()
        for expert in running.values():
            expert.wait()
