"""ale-py's own tests of its pool, from the sdist that the build fetched, against ours."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUITE = Path("tests/python/test_atari_vector_env.py")
QUICK = "reset_mask or invalid or same_step or async or (shapes and 84-84)"


def sdist() -> Path | None:
    """The folder of ALE's sources that a build in this checkout used."""
    caches = sorted(ROOT.glob("build/*/CMakeCache.txt"))
    given = [
        match[1]
        for cache in caches
        if (match := re.search(r"^ACTORMIMIC_ALE_SOURCE:PATH=(.+)$", cache.read_text(), re.M))
    ]
    fetched = ROOT.glob("build/*/ale/ale_py-*")
    for folder in [*map(Path, given), *fetched]:
        if (folder / SUITE).is_file():
            return folder
    return None


@pytest.mark.parametrize("emulation", ["fast", "stock"])
def test_the_suite_passes_and_it_is_our_pool_that_ran(emulation: str, tmp_path: Path) -> None:
    folder = sdist()
    if folder is None:
        pytest.skip("no build folder with ALE's sources in this checkout")
    config = tmp_path / "pytest.ini"
    config.write_text("[pytest]\n")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", str(config), "-p", "tests.ale_suite"),
            *("--emulation", emulation, "-k", os.environ.get("ACTORMIMIC_ALE_SUITE", QUICK)),
            str(folder / SUITE),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    report = result.stdout[-3000:]
    assert result.returncode == 0, report
    made = {name: int(count) for name, count in re.findall(r"^made (\S+): (\d+)$", report, re.M)}
    other = {"fast": "stock", "stock": "fast"}[emulation]
    assert made["ours"] > 10, report
    assert made[emulation] >= made["ours"], report
    assert (made["theirs"], made[other]) == (0, 0), report
