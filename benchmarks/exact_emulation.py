"""Every game on our emulation and on ALE's side by side, compared at every frame.

    cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DACTORMIMIC_TESTS=ON -DACTORMIMIC_PYTHON=OFF
    cmake --build build --target exact_emulation
    python benchmarks/exact_emulation.py build [--games pong ...] [--frames 20000] [--out FILE]

plays each game with random actions and paddle strengths, sticky actions, resets in the middle, half
of them with a mode and a difficulty drawn from those that it offers, and each emulation put back
into an older saved state of the other; then a while from a reset into each pair of a mode and a
difficulty that it offers (`--pair-frames`). The screen, the RAM, the audio, reward, lives, game
over and frame numbers have to agree at every frame, and at every 32nd the whole state as ALE
serializes it. It prints one line per game, then a summary as JSON, and exits with 1 where anything
differs or a game that ours should serve falls back to ALE's emulation.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import ale_py
from ale_py import roms
from machine import processor

from actormimic import games


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path, help="folder of a CMake build with ACTORMIMIC_TESTS=ON")
    parser.add_argument("--games", nargs="+", default=list(games.GAMES))
    parser.add_argument("--frames", type=int, default=20000)
    parser.add_argument("--pair-frames", type=int, default=300, help="of each mode and difficulty")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the summary to this file")
    args = parser.parse_args()
    program = args.build / "benchmarks" / "exact_emulation"
    if not program.is_file():
        parser.error(f"{program} is missing; build the target exact_emulation in {args.build}")
    command = [program, args.frames, args.pair_frames, args.seed, args.threads]
    command += [roms.get_rom_path(games.canonical_name(game)) for game in args.games]
    begin = time.monotonic()
    results = []
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("{"):
                results.append(json.loads(line))
                print(line, end="", flush=True)
    results.sort(key=lambda row: str(row["game"]))
    settings = f"--frames {args.frames} --pair-frames {args.pair_frames} --seed {args.seed}"
    summary = {
        "command": f"python benchmarks/exact_emulation.py BUILD {settings}",
        "processor": processor(),
        "seconds": round(time.monotonic() - begin),
        "ale_py": ale_py.__version__,
        "games": len(results),
        "frames": sum(row["frames"] for row in results),
        "pairs of mode and difficulty": sum(row["pairs"] for row in results),
        "differences": [row["game"] for row in results if row["difference"]],
        "fall back to stock": [row["game"] for row in results if row["emulation"] == "stock"],
        "rows": results,
    }
    text = json.dumps({key: value for key, value in summary.items() if key != "rows"}, indent=1)
    print(text)
    if args.out:
        rows = ",\n  ".join(json.dumps(row) for row in results)
        args.out.write_text(f'{text[:-2]},\n "rows": [\n  {rows}\n ]\n}}\n', encoding="utf-8")
    whole = run.returncode == 0 and len(results) == len(args.games)
    wrong = summary["differences"] or summary["fall back to stock"]
    return 0 if whole and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
