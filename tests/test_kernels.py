"""Where operators run, and the CUDA module as it was built."""

import importlib.machinery
import importlib.util
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import actormimic
from actormimic import kernels

built_with_cuda = pytest.mark.skipif(
    importlib.util.find_spec("actormimic._cuda") is None, reason="built without CUDA"
)


def forget() -> None:
    kernels._cuda.cache_clear()
    kernels._why_not.cache_clear()


@pytest.fixture
def no_cuda_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """As before the CUDA module is first asked for; what a test puts in its place is undone."""
    monkeypatch.delitem(sys.modules, "actormimic._cuda", raising=False)
    forget()
    yield monkeypatch
    forget()


def cuda_tensor(index: int = 0) -> types.SimpleNamespace:
    return types.SimpleNamespace(is_cpu=False, is_cuda=True, device=torch.device("cuda", index))


def refusal_of_cuda(monkeypatch: pytest.MonkeyPatch, stand_in: object) -> str:
    """What a CUDA tensor meets when ``actormimic._cuda`` is ``stand_in``."""
    monkeypatch.setitem(sys.modules, "actormimic._cuda", stand_in)
    with pytest.raises(RuntimeError) as caught:
        kernels.module_of(cuda_tensor())
    return str(caught.value)


def test_a_build_without_cuda_says_what_to_do(no_cuda_yet: pytest.MonkeyPatch) -> None:
    message = refusal_of_cuda(no_cuda_yet, None)
    assert "actormimic was built without CUDA: put nvcc on PATH and install it again" in message


def test_a_cuda_module_that_cannot_be_loaded_says_why(
    no_cuda_yet: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its file is there; the text is the loader's own."""
    library = tmp_path / "x.so"
    library.write_bytes(b"no library")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "actormimic._cuda":
                return None
            loader = importlib.machinery.ExtensionFileLoader(name, str(library))
            return importlib.util.spec_from_loader(name, loader)

    no_cuda_yet.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    found = kernels.why_no_cuda_kernels(torch.device("cuda", 0))
    assert found is not None
    assert found.startswith(f"actormimic._cuda cannot be loaded: {library}: ")


@pytest.mark.parametrize(
    ("differing", "reason"),
    [
        ({"__version__": "0.0.1"}, "actormimic._cuda is of version 0.0.1, _core of "),
        (
            {"__version__": actormimic.__version__, "bindings_digest": "0"},
            "actormimic._cuda and _core were built from different sources: ",
        ),
    ],
    ids=["version", "sources"],
)
def test_a_stale_cuda_module_is_refused(
    no_cuda_yet: pytest.MonkeyPatch, differing: dict[str, str], reason: str
) -> None:
    message = refusal_of_cuda(no_cuda_yet, types.SimpleNamespace(**differing))
    assert message.startswith(f"a tensor is on a CUDA device, but {reason}")


def test_a_device_that_the_module_does_not_run_on_is_refused(
    no_cuda_yet: pytest.MonkeyPatch,
) -> None:
    """Of two GPUs the first, and that one also where no number is given and it is the current."""
    no_cuda_yet.setattr(torch.cuda, "get_device_capability", lambda index: (8, 9))
    no_cuda_yet.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    stand_in = types.SimpleNamespace(
        __version__=actormimic.__version__,
        bindings_digest=kernels.core.bindings_digest,
        architectures="90-real,100",
        why_not=["CUDA error X: no kernel image", None].__getitem__,
    )
    assert refusal_of_cuda(no_cuda_yet, stand_in) == (
        "a tensor is on a CUDA device, but actormimic._cuda, built for architectures 90-real,100, "
        "does not run on GPU 0 (compute capability 8.9): CUDA error X: no kernel image; what may "
        "help is a newer driver, or to install actormimic again on this machine with "
        "-C cmake.define.ACTORMIMIC_CUDA_ARCHITECTURES=native"
    )
    assert kernels.module_of(cuda_tensor(1)) is stand_in
    for current, usable in ((1, True), (0, False)):
        no_cuda_yet.setattr(torch.cuda, "current_device", lambda current=current: current)
        assert (kernels.why_no_cuda_kernels(torch.device("cuda")) is None) == usable


def test_other_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="a tensor is on meta; allowed: cpu and cuda devices"):
        kernels.module_of(torch.empty(1, device="meta"))


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
    assert module.why_not(0).startswith("CUDA error cuda")


@built_with_cuda
@pytest.mark.skipif(shutil.which("cuobjdump") is None, reason="no cuobjdump")
def test_the_module_says_what_it_was_built_for() -> None:
    import actormimic._cuda as module

    words = [word for word in module.architectures.split(",") if re.match(r"\d", word)]
    assert words
    for option, other in (("--list-elf", "-virtual"), ("--list-ptx", "-real")):
        listed = subprocess.run(
            ["cuobjdump", option, module.__file__], capture_output=True, text=True
        ).stdout
        found = set(re.findall(r"\.sm_(\d+[af]?)\.", listed))
        assert {word.partition("-")[0] for word in words if not word.endswith(other)} <= found


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
