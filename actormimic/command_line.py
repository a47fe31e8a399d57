"""What the commands have in common: how they read words, how they speak, and how they end."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

from actormimic.faults import Diverged

_P = ParamSpec("_P")

INTERRUPTED = 130
"""Exit code after a Ctrl-C: 128 and the signal's number, as shells have it."""
_UNREAD = 141  # of a command whose output is read no further, as by ``| head``: likewise

Say = Callable[[str], None]
"""Takes a line for the person who waits."""


class Parser(argparse.ArgumentParser):
    """Complains by a ``ValueError``, which a command tells in one line, as all other mistakes."""

    def error(self, message: str) -> NoReturn:
        """Refuse the words that were typed."""
        raise ValueError(f"{message}; --help explains")


def command(name: str) -> Callable[[Callable[_P, int]], Callable[_P, int]]:
    """Of a command's ``main``: every command ends in the same way, and gives its exit code.

    A mistake of the user's (``ValueError``, ``Diverged``), or a file that is missing or cannot be
    written (``OSError``), is one line on stderr that begins with ``name``, and 2; Ctrl-C is 130,
    and an output that nobody reads any more 141, without a word. All else is a fault: a traceback.
    """

    def of_main(main: Callable[_P, int]) -> Callable[_P, int]:
        @functools.wraps(main)
        def ended(*arguments: _P.args, **options: _P.kwargs) -> int:
            try:
                try:
                    code = main(*arguments, **options)
                except SystemExit:  # of argparse's --help
                    _flush()
                    raise
                _flush()
                return code
            except KeyboardInterrupt:
                return INTERRUPTED
            except BrokenPipeError:
                # What is left in the buffer would be tried once more.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return _UNREAD
            except (ValueError, OSError, Diverged) as error:
                print(f"{name}: {' '.join(_reason(error).split())}", file=sys.stderr)
                return 2

        return ended

    return of_main


def _flush() -> None:
    """Notice here, not as Python ends, that nobody reads any more."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:  # its own text would begin with its number
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
