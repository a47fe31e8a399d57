"""Settings → the Atari pool: the one place where a run's environments are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actormimic.envs import AtariVectorEnv
from actormimic.sections import EnvironmentSettings

_ENDLESS_EMULATOR_FRAMES = 2_000_000_000  # the pool's largest: more than a year of play


def make_env(
    games: Sequence[str], lanes_per_game: int, settings: EnvironmentSettings, **view: Any
) -> AtariVectorEnv:
    """One pool over all ``games``, ``lanes_per_game`` lanes each, in contiguous blocks.

    Observations are uint8 [N, 4, 84, 84], rewards raw, actions ALE's numbers 0 to 17. Where a lost
    life is terminal for the learner, ``terminations`` has it and the stack begins anew.
    """
    return AtariVectorEnv(
        list(games),
        lanes_per_game * len(games),
        num_threads=settings.threads,
        emulation=settings.emulation,
        frameskip=settings.frame_skip,
        pooling=settings.pooling,
        maxpool_rgb=settings.maxpool_rgb,
        # Without a minimum the pool draws fewer than noop_max, as ale-py does.
        noop_max=settings.noop_max + (settings.noop_min == 0),
        noop_min=settings.noop_min,
        noop_unit=settings.noop_unit,
        noop_after_life_loss=settings.noop_after_life_loss,
        life_loss_info=settings.life_loss_terminal,
        clear_stack_on_life_loss=settings.life_loss_terminal,
        use_fire_reset=False,
        reward_clipping=False,
        full_action_space=True,
        repeat_action_probability=settings.sticky_probability,
        max_num_frames_per_episode=settings.max_emulator_frames or _ENDLESS_EMULATOR_FRAMES,
        **view,
        extra_infos=True,
    )


def other_frames(trained: Mapping[str, Any], here: EnvironmentSettings) -> list[str]:
    """How the frames here differ from those of ``trained``, the environment settings that a network
    learned with, in words; settings that ``trained`` does not have count as alike."""
    return [
        f"environment.{name}={value} here, {trained[name]} there"
        for name in ("frame_skip", "pooling", "maxpool_rgb")
        if name in trained and trained[name] != (value := getattr(here, name))
    ]


def whole_games(settings: EnvironmentSettings) -> EnvironmentSettings:
    """The same preprocessing for playing games to their end: a lost life changes nothing."""
    return settings.model_copy(update={"life_loss_terminal": False, "noop_after_life_loss": False})
