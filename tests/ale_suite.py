"""Pytest plugin: puts our pool in as the vector entry point of the ALE specs.

``python -m pytest -p tests.ale_suite SDIST/tests/python/test_atari_vector_env.py`` runs ale-py's
own tests, unmodified, against :class:`actormimic.envs.AtariVectorEnv`, with
``--emulation stock`` on ALE's emulation; the end of the report says how many pools of each kind
were made and what their environments ran on.
"""

from __future__ import annotations

import collections
import functools
from typing import Any

import ale_py
import gymnasium
import pytest

from actormimic.envs import AtariVectorEnv

made: collections.Counter[str] = collections.Counter()


def _count(cls: Any, whose: str, **defaults: Any) -> None:
    original = cls.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{**defaults, **kwargs})
        made.update([whose, *getattr(self, "emulations", ())])

    cls.__init__ = init


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--emulation", choices=("fast", "stock"), default="fast")


def pytest_configure(config: pytest.Config) -> None:
    gymnasium.register_envs(ale_py)
    for spec in gymnasium.registry.values():
        if spec.id.startswith("ALE/"):
            spec.vector_entry_point = "actormimic.envs:AtariVectorEnv"
    _count(AtariVectorEnv, "ours", emulation=config.getoption("--emulation"))
    _count(ale_py.AtariVectorEnv, "theirs")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name in ("ours", "theirs", "fast", "stock"):
        terminalreporter.write_line(f"made {name}: {made[name]}")
