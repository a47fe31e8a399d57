"""Emulation alone, ours against ALE's own, in turns on one processor.

    cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DACTORMIMIC_TESTS=ON -DACTORMIMIC_PYTHON=OFF
    cmake --build build --target bench_emulation
    python benchmarks/bench_emulation.py build [--games pong ...] [--rounds 9] [--out FILE]

times the same number of frames on ALE's processor and TIA and on ours, in paired rounds; a ratio is
the median over rounds of ALE's time / our time. Add -DACTORMIMIC_ALE_LTO=ON to the first command to
let the linker optimize across ALE's objects, as its own packages do.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

import ale_py
from ale_py import roms
from machine import processor

from actormimic import games

GAMES = ("pong", "breakout", "space_invaders", "seaquest", "enduro", "atlantis")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path, help="folder of a CMake build with ACTORMIMIC_TESTS=ON")
    parser.add_argument("--games", nargs="+", default=list(GAMES))
    parser.add_argument("--frames", type=int, default=3000, help="of one round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="also write the result to this file")
    args = parser.parse_args()
    program = args.build / "benchmarks" / "bench_emulation"
    if not program.is_file():
        parser.error(f"{program} is missing; build the target bench_emulation in {args.build}")
    command = [program, args.frames, args.rounds]
    command += [roms.get_rom_path(games.canonical_name(game)) for game in args.games]
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for row in rows:
        print(f"{row['game']:>16} {row['ratio']:6.2f}  {row['stock_us']} -> {row['fast_us']} us")
    mean = math.exp(sum(math.log(row["ratio"]) for row in rows) / len(rows))
    print(f"  geometric mean {mean:6.2f}")
    if args.out:
        result = {
            "machine": processor(),
            "ale_py": ale_py.__version__,
            "frames": args.frames,
            "rounds": args.rounds,
            "geometric_mean": round(mean, 3),
            "rows": rows,
        }
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
