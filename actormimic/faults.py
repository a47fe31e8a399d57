"""Whose a mistake is: a ``ValueError`` is the user's only where something of the user's is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Diverged(Exception):
    """A training's losses are no longer finite. The settings' fault: told in one line."""


@contextmanager
def faults_are_ours() -> Iterator[None]:
    """Around code that reads nothing any more that a user typed or named.

    Raises:
        RuntimeError: in the place of a ``ValueError``, which would be told as the user's mistake.
    """
    try:
        yield
    except ValueError as error:
        raise RuntimeError(f"a fault in actormimic: {error}") from error
