"""Where operators run, and the CUDA module as it was built."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import actormimic
from actormimic.kernels import module_of

ROOT = Path(actormimic.__file__).parents[1]
built_with_cuda = pytest.mark.skipif(
    importlib.util.find_spec("actormimic._cuda") is None, reason="built without CUDA"
)


def refusal_of_cuda(stand_in: str) -> str:
    """What a CUDA tensor meets when ``actormimic._cuda`` is ``stand_in``."""
    code = (
        "import sys, types\n"
        "from actormimic import kernels\n"
        f"sys.modules['actormimic._cuda'] = {stand_in}\n"
        "try:\n"
        "    kernels.module_of(types.SimpleNamespace(is_cpu=False, is_cuda=True))\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_build_without_cuda_says_what_to_do() -> None:
    message = refusal_of_cuda("None")
    assert "actormimic was built without CUDA: put nvcc on PATH and install it again" in message


def test_a_cuda_module_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    """Its file is there; the text is the loader's own."""
    name = "actormimic._cuda"
    code = (
        "import importlib.machinery, importlib.util, sys, types\n"
        "from actormimic import kernels\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name != {name!r}:\n"
        "            return None\n"
        f"        path = {str(tmp_path / 'x.so')!r}\n"
        "        loader = importlib.machinery.ExtensionFileLoader(name, path)\n"
        "        return importlib.util.spec_from_loader(name, loader)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "print(kernels.why_no_cuda_kernels())\n"
    )
    (tmp_path / "x.so").write_bytes(b"no library")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.stdout.startswith(f"{name} cannot be loaded: {tmp_path / 'x.so'}: "), done


def test_a_stale_cuda_module_is_refused() -> None:
    message = refusal_of_cuda("types.SimpleNamespace(__version__='0.0.1')")
    begin = "a tensor is on a CUDA device, but actormimic._cuda "
    assert message.startswith(f"{begin}is of version 0.0.1, _core of ")
    version = f"__version__='{actormimic.__version__}'"
    message = refusal_of_cuda(f"types.SimpleNamespace({version}, bindings_digest='0')")
    assert message.startswith(f"{begin}and _core were built from different sources: ")


def test_other_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="a tensor is on meta; allowed: cpu and cuda devices"):
        module_of(torch.empty(1, device="meta"))


@built_with_cuda
def test_the_cuda_module_imports_without_a_device() -> None:
    import actormimic._cuda

    assert actormimic._cuda.__version__ == actormimic.__version__


@built_with_cuda
@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_launch_without_a_device_is_an_error() -> None:
    import actormimic._cuda as module

    settings = module.DistillationSettings(
        objective=0, temperature=1.0, feature_scale=0.0, mean=False
    )
    batch = module.DistillationBatch()
    batch.total = batch.policy = batch.feature = torch.empty(1).data_ptr()
    with pytest.raises(RuntimeError, match="distillation_loss: CUDA error cuda"):
        module.distillation_loss(settings, batch, 0, 0)


@built_with_cuda
@pytest.mark.skipif(shutil.which("cuobjdump") is None, reason="no cuobjdump")
def test_kernels_use_no_local_memory_and_16_byte_accesses() -> None:
    library = importlib.util.find_spec("actormimic._cuda").origin
    usage = subprocess.run(["cuobjdump", "-res-usage", library], capture_output=True, text=True)
    kernels = [line for line in usage.stdout.splitlines() if "REG:" in line]
    assert len(kernels) >= 27
    assert all("STACK:0" in line and "LOCAL:0" in line for line in kernels)
    code = subprocess.run(["cuobjdump", "-sass", library], capture_output=True, text=True).stdout
    names = ("distillation_kernelIfffLi4E", "distillation_kernelIfNS0_8BFloat16ES3_Li8E")
    functions = code.split("Function : ")[1:]
    for name in names:
        bodies = [body for body in functions if name in body.partition("\n")[0]]
        assert bodies
        for body in bodies:
            assert "LDG.E.128" in body
            assert "STG.E.128" in body
            assert "LDL" not in body
            assert "STL" not in body
