"""Pytest plugin: puts our pool in as the vector entry point of the ALE specs.

``python -m pytest -p tests.ale_suite SDIST/tests/python/test_atari_vector_env.py`` runs ale-py's
own tests, unmodified, against :class:`actormimic.envs.AtariVectorEnv`; the end of the report says
how many pools of each kind were made.
"""

from __future__ import annotations

import functools
from typing import Any

import ale_py
import gymnasium
import pytest

from actormimic.envs import AtariVectorEnv

made = {"ours": 0, "ale-py's": 0}


def _count(cls: Any, whose: str) -> None:
    original = cls.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made[whose] += 1
        original(self, *args, **kwargs)

    cls.__init__ = init


def pytest_configure(config: pytest.Config) -> None:
    gymnasium.register_envs(ale_py)
    for spec in gymnasium.registry.values():
        if spec.id.startswith("ALE/"):
            spec.vector_entry_point = "actormimic.envs:AtariVectorEnv"
    _count(AtariVectorEnv, "ours")
    _count(ale_py.AtariVectorEnv, "ale-py's")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"pools made: {made}")
