"""Kills writers and readers of a shared ring at random moments and checks every stack they leave.

    python tests/crash_replay.py KILLS

Run by tests/test_replay_shared.py in a process of its own, since it forks. Two writers with two
lanes each and two readers work all the time; whoever is killed is replaced. Prints one line of
JSON. A row's pixels follow from its lane and number, so a torn or misplaced frame shows.
"""

import contextlib
import json
import mmap
import os
import random
import signal
import sys
import time

import numpy as np

from actormimic.replay import ReplayRing

LANES, ROWS, STACK, EPISODE = 4, 12, 4, 13
ROLES = ("writer 0", "writer 2", "reader 1", "reader 2")


def pixel(lane, row):
    return (lane * 37 + row * 7) % 255 + 1


def append(ring, lanes, progress):
    """One row to each lane; `progress` counts the rows whose append has returned."""
    rows = ring.rows_written[lanes]
    # A writer killed between its lanes leaves one behind: catch up, lane by lane.
    lanes = lanes[rows == rows.min()]
    row = int(rows.min())
    frames = np.empty((len(lanes), 84, 84), np.uint8)
    frames[:] = pixel(lanes, row)[:, None, None]
    count = len(lanes)
    ring.append(
        frames,
        np.full(count, row % 18),
        np.full(count, row % 5, np.float32),
        np.full(count, row % EPISODE == EPISODE - 1),
        lanes=lanes,
        row=np.full(count, row),
    )
    progress[lanes] = row + 1


def faults(ring, batch, seed):
    """How many of `batch` draws are not exactly what was appended."""
    sample = ring.sample(batch, seed=seed)
    lane, row = sample["index"] // ROWS, sample["row"]
    age = row % EPISODE
    terminal = age == EPISODE - 1
    wrong = (sample["index"] % ROWS != row % ROWS) | (sample["actions"] != row % 18)
    wrong |= (sample["terminals"] != terminal) | (sample["rewards"] != row % 5)
    for back in range(STACK):
        for field, newest in (("obs", row), ("next_obs", row + 1)):
            held = back <= age if field == "obs" else (back <= age + 1) & ~terminal
            expected = np.where(held, pixel(lane, newest - back), 0)
            pixels = sample[field][:, STACK - 1 - back].reshape(batch, -1)
            wrong |= (pixels.min(1) != expected) | (pixels.max(1) != expected)
    return int(wrong.sum())


def spawn(role, name, progress, found):
    child = os.fork()
    if child:
        return child
    kind, number = role.split()
    with ReplayRing.attach(name=name) as ring:
        lanes = np.arange(int(number), int(number) + 2)
        for seed in range(sys.maxsize):
            if kind == "writer":
                append(ring, lanes, progress)
            else:
                found[int(number)] += faults(ring, 16, seed)
    os._exit(0)


def main(kills):
    random.seed(0)
    name = f"crash-{os.getpid()}"
    shared = np.frombuffer(mmap.mmap(-1, 4096), np.int64)
    progress, found = shared[:LANES], shared[LANES : LANES + 3]
    ring = ReplayRing(LANES * ROWS, LANES, stack=STACK, extras={"row": ((), np.int64)}, name=name)
    killed, lost, in_flight, children = 0, 0, 0, {}
    try:
        for _ in range(2 * ROWS):
            append(ring, np.arange(LANES), progress)
        children = {role: spawn(role, name, progress, found) for role in ROLES}
        while killed < kills:
            time.sleep(random.random() * 0.006)
            role = random.choice(ROLES)
            os.kill(children[role], signal.SIGKILL)
            _, status = os.waitpid(children.pop(role), 0)
            # A child that ended by itself had an error.
            assert os.WIFSIGNALED(status), (role, status)
            killed += 1
            if role.startswith("writer"):
                lanes = np.arange(int(role.split()[1]), int(role.split()[1]) + 2)
                ahead = ring.rows_written[lanes] - progress[lanes]
                lost += int((ahead < 0).sum())
                in_flight += int((ahead > 0).sum())
                assert (ahead <= 1).all(), ahead
            found[0] += faults(ring, 64, killed)
            children[role] = spawn(role, name, progress, found)
    finally:
        for child in children.values():
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        ring.unlink()
    # One more row settles what the last deaths left open; then the valid rows are known exactly.
    for lane in range(LANES):
        append(ring, np.array([lane]), progress)
    expected = set()
    for lane, written in enumerate(ring.rows_written.tolist()):
        for row in range(written - ROWS, written):
            oldest = row - min(row % EPISODE, STACK - 1)
            known = row % EPISODE == EPISODE - 1 or row + 1 < written
            if oldest >= written - ROWS and known:
                expected.add((lane, row))
    found[0] += faults(ring, 4000, 1)
    sample = ring.sample(4000, seed=1)
    sampled = set(zip((sample["index"] // ROWS).tolist(), sample["row"].tolist(), strict=True))
    report = {
        "kills": killed,
        "rows": int(ring.rows_written.sum()),
        "lost": lost,
        "in_flight": in_flight,
        "faults": int(found.sum()),
        "valid_as_expected": sampled == expected and len(ring) == len(expected),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(int(sys.argv[1]))
