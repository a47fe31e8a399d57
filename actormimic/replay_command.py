"""The command line of ``python -m actormimic.replay``: what lies in this machine's shared rings."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence

import numpy as np

from actormimic.command_line import Parser, command
from actormimic.replay import ReplayRing, list_rings, remove_ring


@command("actormimic.replay")
def main(arguments: Sequence[str] | None = None) -> int:
    """List, inspect or remove rings as ``arguments`` say; returns the exit code."""
    parser = Parser(prog="python -m actormimic.replay", description="Looks after replay rings.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument(
        "--list", action="store_true", help="name the rings in shared memory, in use or left behind"
    )
    action.add_argument(
        "--inspect", metavar="NAME", help="show what a ring (a name or a file's path) holds"
    )
    action.add_argument("--remove", metavar="NAME", help="remove a ring; those who hold it keep it")
    parser.add_argument(
        "--interval",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="with --inspect: watch for so long and tell how fast the ring grows",
    )
    options = parser.parse_args(arguments)
    if options.interval != 0 and options.inspect is None:
        parser.error("--interval goes with --inspect alone")
    if not 0 <= options.interval < math.inf:
        parser.error(f"--interval is {options.interval}; allowed: seconds, at least 0")
    try:
        if options.list:
            for name in list_rings():
                print(_summary(name))
        elif options.inspect is not None:
            _inspect(options.inspect, options.interval)
        else:
            remove_ring(options.remove)
    except RuntimeError as error:  # a ring that is unfinished or damaged: no fault of ours
        raise ValueError(error) from error
    return 0


def _summary(name: str) -> str:
    try:
        with ReplayRing.attach(name=name) as ring:
            return (
                f"{name}\t{ring.nbytes / 1e6:.1f} MB\t{ring.lanes} lanes\t"
                f"{len(ring)} valid rows of {ring.capacity}"
            )
    except (OSError, ValueError, RuntimeError) as error:
        return f"{name}\t{getattr(error, 'strerror', None) or error}"


def _inspect(place: str, interval: float) -> None:
    is_path = place not in list_rings() and os.path.exists(place)
    with ReplayRing.attach(path=place) if is_path else ReplayRing.attach(name=place) as ring:
        sizes = "x".join(map(str, ring.frame_shape))
        print(f"{place}: {ring.capacity} frames of {sizes}, stack {ring.stack}", end="")
        print(f", {ring.nbytes / 1e6:.1f} MB")
        for extra, (shape, dtype) in ring.extras.items():
            print(f"extra {extra}: {dtype} {shape}")
        if interval > 0:
            before = ring.rows_written.sum()
            time.sleep(interval)
            print(f"{(ring.rows_written.sum() - before) / interval:,.1f} rows/s")
        if len(ring) > 0:
            actions = ring.sample(4096, fields=["actions"])["actions"]
            share = {action: np.mean(actions == action) for action in np.unique(actions)}
            print("actions:", ", ".join(f"{a} {100 * part:.0f}%" for a, part in share.items()))
        names = ("written", "held", "valid", "starts", "terminals", "reward", "writer")
        print("lane" + "".join(f"{name:>12}" for name in names))
        for lane in range(ring.lanes):
            report = ring._core.report(lane)
            print(
                f"{lane:4d}{report['rows_written']:12d}{report['rows_held']:12d}"
                f"{report['valid']:12d}{report['starts']:12d}{report['terminals']:12d}"
                f"{report['reward_sum']:12.1f}{report['writer'] or '-':>12}"
            )
