"""Everything that needs a CUDA device, in one command, from the root of a checkout:

    python benchmarks/run_cuda.py                   # every step
    python benchmarks/run_cuda.py figures tests     # these, added to what the file has

Steps, in this order: ``build`` (what the compiler made of the kernels), ``figures`` (the kernels'
benchmarks), ``tests`` (the CUDA tests), ``timeline`` (a training's parts, and how much of the
emulation its learning hides), and the kernels' tests under ``compute-sanitizer``: ``memcheck``,
``graphs`` (the same for captured launches) and ``racecheck``. What they print goes to
``benchmarks/results/cuda-<device>.txt`` line by line, with the machine, the versions and the
commands: a step that fails, hangs or is killed takes no other one's results with it. The exit
status is that of the first step that failed, 124 for one that ran out of time.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import torch

ROOT = Path(__file__).parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
KERNELS = ["tests/test_cuda.py", "tests/test_replay_cuda.py"]
TESTS = [*KERNELS, "tests/test_device_updates.py", "tests/test_envs_pool.py"]
# Without the first there is nothing to run; without the others tests could not be imported.
MODULES = ["actormimic._cuda", "ale_py", "gymnasium", "pydantic", "pytest"]
# The driver's version probing asks for functions that it lacks: API errors, but none of ours.
MEMCHECK = ["--tool", "memcheck", "--report-api-errors", "no"]


class Step(NamedTuple):
    command: list[str]
    seconds: float
    """How long it may take: some times what it should."""
    environment: Mapping[str, str] = {}
    needs: str | None = None
    """A program without which its tests would be skipped, and the step would pass."""


def steps() -> dict[str, Step]:
    sanitizer = shutil.which("compute-sanitizer") or "compute-sanitizer"
    checked = [sanitizer, "--error-exitcode", "1", "--kernel-regex", "kns=actormimic"]
    # A graph of a whole network and millions of rows take the sanitizer hours and show it nothing
    # new.
    kernels = [*PYTEST, "-m", "cuda", *KERNELS, "-k"]
    return {
        "build": Step([*PYTEST, "tests/test_kernels.py"], 300, needs="cuobjdump"),
        "figures": Step([sys.executable, "benchmarks/bench_losses.py", "--device", "cuda"], 900),
        # A file that cannot be imported for want of a package must not keep the others back.
        "tests": Step([*PYTEST, "-m", "cuda", "--continue-on-collection-errors", *TESTS], 900),
        "timeline": Step([sys.executable, "benchmarks/timeline.py", "--device", "cuda"], 300),
        # torch hands out pieces of large segments, beyond whose ends the next piece lies: an
        # overrun is an error to the sanitizer only where each tensor is an allocation of its own.
        # A capture may not allocate so, hence graphs have a step with torch's own allocator.
        "memcheck": Step(
            [*checked, *MEMCHECK, *kernels, "not 9001 and not captured"],
            1800,
            {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
        ),
        "graphs": Step([*checked, *MEMCHECK, *kernels, "captured"], 600),
        "racecheck": Step([*checked, "--tool", "racecheck", *kernels, "not 9001"], 1800),
    }


def driver() -> str:
    try:
        return subprocess.run(
            ["nvidia-smi"], capture_output=True, text=True, check=False, timeout=60
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi: {error}\n"


def run(step: Step, results: TextIO) -> int:
    """Run it, every line to the screen and to ``results`` as it comes; its exit status."""

    def tell(line: str) -> None:
        for stream in (sys.stdout, results):
            stream.write(line)
            stream.flush()

    assigned = [f"{name}={value}" for name, value in step.environment.items()]
    shown = ["python" if part == sys.executable else part for part in step.command]
    tell(f"$ {' '.join([*assigned, *shown])}\n")
    if step.needs is not None and shutil.which(step.needs) is None:
        tell(f"{step.needs} is not on PATH\nexit status 127\n\n")
        return 127
    try:
        process = subprocess.Popen(
            step.command,
            cwd=ROOT,
            # The path, so that figures and tests are both of the checkout's Python files.
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                **step.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # So that what it started ends with it; not a session, which would outlive whoever ends
            # ours.
            preexec_fn=os.setpgrp,
        )
    except OSError as error:
        tell(f"{error}\nexit status 127\n\n")
        return 127
    late = threading.Event()

    def end() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(step.seconds, end)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            tell(line)
        code = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:  # Ctrl-C or SIGTERM came while it ran
            os.killpg(process.pid, signal.SIGKILL)
    if late.is_set():
        tell(f"ended after {step.seconds:g} s\n")
        code = 124
    tell(f"exit status {code}\n\n")
    return code


def main() -> int:
    known = steps()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(known)}")
    parser.add_argument("--seconds", type=float, help="instead of each step's own limit")
    parser.add_argument(
        "--results",
        type=Path,
        default=ROOT / "benchmarks" / "results",
        help="folder of the results file (%(default)s)",
    )
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.steps if name not in known]:
        parser.error(f"STEP is {unknown[0]!r}; allowed: {', '.join(known)}")
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to run", file=sys.stderr)
        return 2
    if missing := [name for name in MODULES if importlib.util.find_spec(name) is None]:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    name = torch.cuda.get_device_name()
    path = arguments.results / f"cuda-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    status = 0
    with path.open("a" if arguments.steps else "w") as results:
        results.write(f"{name}, {platform.platform()}, torch {torch.__version__}\n\n{driver()}\n")
        for step in (known[chosen] for chosen in arguments.steps or known):
            if arguments.seconds is not None:
                step = step._replace(seconds=arguments.seconds)
            code = run(step, results)
            status = status or code
    print(f"written to {path}")
    return status


if __name__ == "__main__":
    sys.exit(main())
