"""What a loop that appends and samples asks of malloc, from Python: nothing."""

import json
import os
import shutil
import subprocess
import sys

import pytest

COUNTER = """
#include <stddef.h>
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
static _Atomic long count;
void *malloc(size_t n) { ++count; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { ++count; return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { ++count; return __libc_realloc(p, n); }
long allocation_count(void) { return count; }
"""

LOOP = """
import ctypes, json
import numpy as np
from actormimic.replay import ReplayRing

count = ctypes.CDLL(None).allocation_count
count.restype = ctypes.c_long
ring = ReplayRing(400, 4, extras={"q": ((18,), "float32")}, name=None)
frames = np.ones((4, 84, 84), np.uint8)
actions, rewards = np.zeros(4, np.int64), np.zeros(4, np.float32)
terminals, starts = np.zeros(4, bool), np.zeros(4, bool)
q, lanes = np.ones((4, 18), np.float32), np.arange(4)
for _ in range(20):
    ring.append(frames, actions, rewards, terminals, q=q)
plain, half = ring.sample(64, seed=0), ring.sample(64, seed=0, obs_dtype="bfloat16")
steps = {
    "nothing": lambda seed: None,
    "malloc": lambda seed: bytearray(100_000),
    "sample": lambda seed: ring.sample(64, seed=seed, out=plain),
    "fields": lambda seed: ring.sample(64, seed=seed, out=plain, fields=("obs", "q"), n_step=3),
    "half": lambda seed: ring.sample(64, seed=seed, out=half, obs_dtype="bfloat16"),
    "append": lambda seed: ring.append(frames, actions, rewards, terminals, q=q),
    "lanes": lambda seed: ring.append(
        frames, actions, rewards, terminals, starts=starts, lanes=lanes, q=q
    ),
}
counts = {}
for name, step in steps.items():
    for seed in range(1000, 1010):
        step(seed)
    before = count()
    for seed in range(1000, 1100):
        step(seed)
    counts[name] = count() - before
print(json.dumps(counts))
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to count with")
def test_sampling_into_out_and_appending_call_malloc_not_once(tmp_path):
    source, library = tmp_path / "count.c", tmp_path / "count.so"
    source.write_text(COUNTER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    done = subprocess.run(
        [sys.executable, "-c", LOOP],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    if "symbol" in done.stderr:
        pytest.skip("a C library whose malloc cannot be counted")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts.pop("malloc") >= 100
    assert set(counts.values()) == {0}, counts
