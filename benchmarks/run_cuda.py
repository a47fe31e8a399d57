"""Everything that needs a CUDA device, in one command, from the root of a checkout:

    python benchmarks/run_cuda.py

It runs the CUDA tests, the same under ``compute-sanitizer`` (memcheck, then racecheck) and the
kernel benchmarks, and writes ``benchmarks/results/cuda-<device>.txt`` with the machine, the
versions, the commands and what they printed. The exit status is that of the first step that failed.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "cuda"]
KERNELS = ["tests/test_cuda.py", "tests/test_replay_cuda.py"]
TESTS = [*PYTEST, *KERNELS, "tests/test_device_updates.py", "tests/test_envs_pool.py"]
# A graph of a whole network and millions of rows take the sanitizer hours and show it nothing new.
SANITIZED = [*PYTEST, *KERNELS, "-k", "not 9001"]


def steps() -> list[list[str]]:
    sanitizer = shutil.which("compute-sanitizer") or "compute-sanitizer"
    checked = [sanitizer, "--error-exitcode", "1", "--kernel-regex", "kns=actormimic"]
    return [
        [sys.executable, *TESTS],
        [*checked, "--tool", "memcheck", sys.executable, *SANITIZED],
        [*checked, "--tool", "racecheck", sys.executable, *SANITIZED],
        [sys.executable, "benchmarks/bench_losses.py", "--device", "cuda"],
    ]


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to run", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name()
    driver = subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout
    path = ROOT / "benchmarks" / "results" / f"cuda-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.txt"
    path.parent.mkdir(exist_ok=True)
    status = 0
    with path.open("w") as results:
        results.write(f"{name}, {platform.platform()}, torch {torch.__version__}\n\n{driver}\n")
        for command in steps():
            shown = " ".join("python" if part == sys.executable else part for part in command)
            print("$", shown, flush=True)
            try:
                done = subprocess.run(
                    command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
                output, code = done.stdout, done.returncode
            except FileNotFoundError as error:
                output, code = f"{error}\n", 127
            print(output, flush=True)
            results.write(f"$ {shown}\n{output}exit status {code}\n\n")
            status = status or code
    print(f"written to {path}")
    return status


if __name__ == "__main__":
    sys.exit(main())
