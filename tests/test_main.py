"""``python -m actormimic`` and the installed C++ package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ale_py import roms

import actormimic
import actormimic.__main__ as command

EMBEDDING = Path(__file__).parent / "embedding"


def run(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=timeout, check=False)


def test_version() -> None:
    result = run(sys.executable, "-m", "actormimic", "--version")
    assert result.stdout.strip() == actormimic.__version__


def test_a_missing_cpp_package_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(actormimic, "__path__", [str(tmp_path)])
    with pytest.raises(RuntimeError, match="the C\\+\\+ package is not installed"):
        command.cmake_dir()


def test_an_outside_program_links_and_plays(tmp_path: Path) -> None:
    try:
        folder = command.cmake_dir()
    except RuntimeError:
        pytest.skip("no C++ package here: the checkout was built in place")
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    build = str(tmp_path / "build")
    configured = run("cmake", "-S", str(EMBEDDING), "-B", build, f"-Dactormimic_DIR={folder}")
    assert configured.returncode == 0, configured.stderr
    built = run("cmake", "--build", build)
    assert built.returncode == 0, built.stdout + built.stderr
    played = run(f"{build}/embed", str(roms.get_rom_path("pong")))
    assert played.returncode == 0, played.stdout + played.stderr
