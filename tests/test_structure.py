"""The floors of the house: a lower one never includes or imports an upper one."""

import ast
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import actormimic

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "actormimic"

CPP_FLOORS = {
    "common": 0,
    "frame": 1,
    "replay": 1,
    "ops": 1,
    "emulator": 2,
    "pool": 3,
    "bindings": 4,
}
# Neighbors on a floor may see each other in Python; in C++ frame, replay and ops may not.
PYTHON_FLOORS = {
    "__init__": 0,
    "_binding": 0,
    "aggregates": 0,
    "command_line": 0,
    "config": 0,
    "config_errors": 0,
    "bundled": 0,
    "config_files": 0,
    "config_yaml": 0,
    "convergence_sections": 0,
    "env_arguments": 0,
    "faults": 0,
    "games": 0,
    "joystick": 0,
    "presets": 0,
    "published": 0,
    "randomness": 0,
    "run_files": 0,
    "schedules": 0,
    "sections": 0,
    "checkpoint": 1,
    "convergence": 1,
    "device_frames": 1,
    "devices": 1,
    "distillation_loss": 1,
    "environments": 1,
    "envs": 1,
    "foreign_weights": 1,
    "horizon": 1,
    "kernels": 1,
    "linear_case": 1,
    "losses": 1,
    "networks": 1,
    "optim": 1,
    "projections": 1,
    "replay": 1,
    "replay_command": 1,
    "replay_cuda": 1,
    "cards": 2,
    "descent": 2,
    "evaluation": 2,
    "experts": 2,
    "interruption": 2,
    "metrics": 2,
    "policy": 2,
    "run_folder": 2,
    "stopping": 2,
    "card_scores": 3,
    "convergence_report": 3,
    "learners": 3,
    "pages": 3,
    "paper_figures": 3,
    "paper_scores": 3,
    "paper_tables": 3,
    "plots": 3,
    "records": 3,
    "report": 3,
    "results": 3,
    "table_cells": 3,
    "transfer": 3,
    "transfer_tables": 3,
    "convergence_task": 4,
    "expert_training": 4,
    "pipelines": 4,
    "side_by_side": 4,
    "tasks": 4,
    "training": 4,
    "training_run": 4,
    "__main__": 5,
    "bundle": 5,
    "play": 5,
    "provenance": 5,
    "run": 5,
}
LONGEST_FILE = 400


def cpp_files():
    return [
        path for path in CSRC.rglob("*") if path.suffix in (".hpp", ".cpp", ".h", ".cu", ".cuh")
    ]


def python_files():
    return sorted(PACKAGE.rglob("*.py"))


def includes(path):
    """What a file includes; a file of csrc/ as ``<floor>/<file>``, however it is written."""
    # Row mathematics that nvcc compiles too may include what only nvcc sees.
    text = re.sub(r"#ifdef __CUDACC__.*?#(else|endif)", "", path.read_text(), flags=re.DOTALL)
    names = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)
    beside = {name: (path.parent / name).resolve() for name in names}
    return [
        beside[name].relative_to(CSRC).as_posix()
        if beside[name].is_relative_to(CSRC) and beside[name].is_file()
        else name
        for name in names
    ]


def module_of(path):
    """The name that `PYTHON_FLOORS` knows a file of the package by."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(path):
    """The modules of the package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "actormimic" and len(parts) > 1 and parts[1] in PYTHON_FLOORS:
                yield parts[1]


def test_every_part_has_a_floor():
    assert {p.name for p in CSRC.iterdir() if p.is_dir()} - {"cmake"} == set(CPP_FLOORS)
    assert {module_of(path) for path in python_files()} == set(PYTHON_FLOORS)


def test_the_map_in_the_readme_has_every_module_on_its_floor():
    table = (ROOT / "README.md").read_text().partition("## Map of the code")[2]
    rows = re.findall(r"^\| (\d) \|[^|]*\|([^|]*)\|$", table.partition("A step's way")[0], re.M)
    shown = {name: int(floor) for floor, cell in rows for name in re.findall(r"`(\w+)/?`", cell)}
    unshown = {"__init__", "__main__"}
    assert shown == {name: f for name, f in PYTHON_FLOORS.items() if name not in unshown}


def test_includes_never_point_up():
    for path in cpp_files():
        part = path.relative_to(CSRC).parts[0]
        for included in includes(path):
            assert not included.startswith("."), f"{path} includes {included}, which is not there"
            other = included.partition("/")[0]
            if other not in CPP_FLOORS or not (CSRC / included).exists():
                continue
            assert CPP_FLOORS[other] <= CPP_FLOORS[part], f"{path} includes {included}"
            if CPP_FLOORS[part] == 1:
                assert other in (part, "common"), f"{path} includes {included}"


def test_imports_never_point_up():
    for path in python_files():
        module = module_of(path)
        for other in imported_modules(path):
            assert PYTHON_FLOORS[other] <= PYTHON_FLOORS[module], f"{path} imports {other}"


def test_the_public_headers_and_what_they_include_are_installed_and_no_others():
    listed = re.search(
        r"set\(public_headers([^)]*)\)", (CSRC / "cmake" / "InstallCore.cmake").read_text()
    )
    public, found = {"pool/pool.hpp", "replay/ring.hpp"}, set()
    while public != found:
        found = set(public)
        for header in found:
            public |= {other for other in includes(CSRC / header) if (CSRC / other).exists()}
    assert sorted(listed[1].split()) == sorted(public)
    for header in public:
        text = (CSRC / header).read_text()
        assert not re.search(rf'#\s*include\s*[<"]({"|".join(CPP_FLOORS)})/', text), header


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"^(pybind11/|Python\.h$)", r"^bindings/"),
        (r"^(ale/|ale\.h|emucore/|environment/ale)", r"^emulator/"),
        (r"^cuda|^cublas|^cub/", r"^(ops/[^/]+\.(cu|cuh)|bindings/cuda_module\.cpp)$"),
        (r"^(torch/|ATen/|c10/)", r"^$"),
    ],
    ids=["Python", "ALE", "CUDA", "torch"],
)
def test_libraries_stay_in_their_places(pattern, allowed):
    for path in cpp_files():
        place = path.relative_to(CSRC).as_posix()
        for included in includes(path):
            if re.search(pattern, included):
                assert re.search(allowed, place), f"{path} includes {included}"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="no x86-64 processor")
@pytest.mark.parametrize("source", sorted(CSRC.rglob("*_avx*.cpp")), ids=lambda path: path.stem)
def test_code_for_newer_processors_shares_nothing_inline(source, tmp_path):
    """Of a function that several files define inline the linker keeps one, for every processor.

    Without optimization a compiler writes all of them out, as weak symbols.
    """
    compiler, nm = shutil.which("c++"), shutil.which("nm")
    if compiler is None or nm is None:
        pytest.skip("no c++ or no nm")
    flags = ["-mavx2", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
    out = tmp_path / "compiled.o"
    subprocess.run(
        [compiler, "-std=c++17", "-O0", *flags, f"-I{CSRC}", "-c", source, "-o", out],
        check=True,
        timeout=120,
    )
    listed = subprocess.run(
        [nm, "-C", "--defined-only", out], capture_output=True, text=True, check=True, timeout=60
    )
    symbols = [line.split(maxsplit=2)[1:] for line in listed.stdout.splitlines()]
    assert any(kind in "TDR" for kind, _ in symbols)  # what the others call is there
    assert [name for kind, name in symbols if kind in "WVu"] == []


def test_no_file_is_too_long():
    files = [*cpp_files(), *python_files(), *(ROOT / "tests").rglob("*.[pch]*")]
    files += (ROOT / "benchmarks").rglob("*.[pch]*")
    long = {
        str(path): lines
        for path in files
        if path.suffix in (".py", ".hpp", ".cpp", ".cu", ".cuh", ".h")
        and (lines := path.read_text().count("\n")) > LONGEST_FILE
    }
    assert long == {}


@pytest.mark.parametrize("module", ["envs", "replay", "config_files", "run", "report"])
def test_what_people_embed_imports_no_torch(module):
    code = f"import sys, actormimic.{module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr or f"actormimic.{module} imports torch"


def test_the_package_itself_imports_nothing():
    code = "import sys, actormimic; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0


def test_the_version_is_written_once():
    assert re.fullmatch(r"\d+\.\d+\.\d+", actormimic.__version__)
    places = [ROOT / "pyproject.toml", ROOT / "CMakeLists.txt", *CSRC.rglob("CMakeLists.txt")]
    places += [*CSRC.rglob("*.cmake*"), *cpp_files(), *python_files()]
    digits = rf"(?<![\d.]){re.escape(actormimic.__version__)}(?![\d.])"
    found = [path for path in places if re.search(digits, path.read_text())]
    assert found == [PACKAGE / "__init__.py"]


def test_the_ale_that_is_compiled_in_is_the_one_that_is_installed():
    """Its Python package brings the ROMs, its sources the emulator."""
    installed = re.findall(r'"ale-py==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    compiled = re.findall(
        r"set\(ACTORMIMIC_ALE_VERSION ([\d.]+)\)", (ROOT / "CMakeLists.txt").read_text()
    )
    assert len(installed) == 1
    assert compiled == installed
