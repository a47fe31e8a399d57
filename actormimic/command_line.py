"""What the commands have in common: how they read their words, and how they speak meanwhile."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

Say = Callable[[str], None]
"""Takes a line for the person who waits."""


class Parser(argparse.ArgumentParser):
    """Complains by a ``ValueError``, which a command tells in one line, as all other mistakes."""

    def error(self, message: str) -> NoReturn:
        """Refuse the words that were typed."""
        raise ValueError(f"{message}; --help explains")
