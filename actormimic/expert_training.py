"""Missing experts are trained first: each game in a process of its own, several side by side.

An expert's folder carries a digest of the settings that determine it, so that a later run finds the
experts it wants and never others.
"""

from __future__ import annotations

import sys
from pathlib import Path

from actormimic.command_line import Say
from actormimic.config import ActorMimicRun
from actormimic.config_files import (
    expert_overrides,
    expert_settings,
    given_experts,
    settings_digest,
)
from actormimic.config_yaml import SHIPPED, find_config
from actormimic.run_files import RESULTS_NAME
from actormimic.sections import ExpertFile
from actormimic.side_by_side import Waiting, run_side_by_side

# How an expert is called and watched, not what it learns.
_NOT_LEARNED = ("name", "checkpoint", "evaluation")


def expert_sources(settings: ActorMimicRun, say: Say) -> dict[str, str | ExpertFile]:
    """Where each game's expert is; those that are nowhere yet are trained now.

    Raises:
        KeyboardInterrupt: after a Ctrl-C, once the experts in training are saved.
        ValueError: an expert's training refused its settings; says its last words.
        RuntimeError: it failed otherwise; likewise.
    """
    given = given_experts(settings)
    waiting: list[Waiting] = []
    untaught: list[str] = []
    for game in settings.games:
        if game in given:
            continue
        folder, command = _training(settings, game)
        given[game] = str(folder)
        if (folder / RESULTS_NAME).is_file():
            say(f"expert of {game}: {folder}")
        else:
            waiting.append(Waiting(f"{game}'s expert", folder, command))
            untaught.append(game)
    if waiting:
        together = min(len(waiting), settings.expert_training.processes)
        say(f"training experts of {', '.join(untaught)} with DQN, {together} at a time")
        run_side_by_side(waiting, together, say)
    return {game: given[game] for game in settings.games}


def _training(settings: ActorMimicRun, game: str) -> tuple[Path, list[str]]:
    wanted = settings.expert_training
    expert = expert_settings(settings, game)
    folder = Path(wanted.folder) / f"{game}-{settings_digest(expert, but=_NOT_LEARNED)}"
    words = [sys.executable, "-m", "actormimic.run", str(find_config(wanted.config, SHIPPED))]
    words += expert_overrides(settings, game)
    return folder, [*words, f"name={game}", f"folder={folder}"]
