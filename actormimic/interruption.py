"""A Ctrl-C or its like as a question that a loop asks, to stop where it can go on from."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def handled(signals: set[signal.Signals], handler: Callable[[int, Any], None]) -> Iterator[None]:
    """``handler`` for those of the signals that this process was not told to ignore, as ``nohup``
    tells it of SIGHUP; the handlers before it come back at the end."""
    wanted = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, SIGTERM and the end of the terminal (SIGHUP) ask the loop to stop at its next step; a
    third one stops at once."""
    asked: list[int] = []

    def ask(number: int, _: Any) -> None:
        asked.append(number)
        # The second may be the terminal's own beside a parent's, so it does not mean impatience.
        if len(asked) > 2:
            raise KeyboardInterrupt

    with handled({signal.SIGINT, signal.SIGTERM, signal.SIGHUP}, ask):
        yield lambda: bool(asked)
