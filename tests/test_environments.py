"""A run's settings reach its environments: each one changes what is played, or by what."""

import hashlib
import os
from typing import Any

import numpy as np
import pytest

from actormimic.environments import make_env
from actormimic.sections import EnvironmentSettings

# Episodes end in the middle of a step, and last long enough to lose a life in breakout.
BASE: dict[str, Any] = {"max_emulator_frames": 1_002}
PLAYED = {
    "frame_skip": 3,
    "pooling": "stock",
    "maxpool_rgb": True,
    "noop_max": 3,
    "noop_min": 20,
    "noop_unit": "emulator_frames",
    "noop_after_life_loss": True,
    "life_loss_terminal": False,
    "sticky_probability": 0.25,
    "max_emulator_frames": 1_000,
}
BESIDE = {"num_envs", "threads", "emulation"}


def played(**changes: Any) -> str:
    """A digest of all that 600 random steps of two games give."""
    digest = hashlib.sha256()
    rng = np.random.default_rng(0)
    with make_env(["breakout", "seaquest"], 1, EnvironmentSettings(**{**BASE, **changes})) as env:
        digest.update(env.reset(seed=1)[0])
        for _ in range(600):
            obs, rewards, terminated, truncated, infos = env.step(rng.integers(0, 18, 2))
            for part in (obs, rewards, terminated, truncated, infos["autoreset"]):
                digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()


@pytest.fixture(scope="module")
def base() -> str:
    return played()


def test_every_setting_is_looked_at() -> None:
    assert {*PLAYED, *BESIDE} == set(EnvironmentSettings.model_fields)


@pytest.mark.parametrize("name", PLAYED)
def test_each_setting_changes_what_is_played(name: str, base: str) -> None:
    assert played(**{name: PLAYED[name]}) != base


def test_the_emulation_and_the_threads_change_nothing_that_is_played(base: str) -> None:
    assert played(emulation="stock", threads=2) == base


def test_the_emulation_and_the_threads_are_those_asked_for() -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    for number, emulation in ((1, "stock"), (2, "fast")):
        settings = EnvironmentSettings(threads=number, emulation=emulation)
        with make_env(["pong"], 2, settings) as env:
            assert env.emulations == (emulation,) * 2
            assert threads() - before == number
