"""Where a run computes: the device that its settings mean, and the machine in words."""

from __future__ import annotations

import os
import platform
import warnings
from pathlib import Path

import torch

from actormimic.config import RunSettings, needs_kernels
from actormimic.kernels import why_no_cuda_kernels


def choose_device(wanted: str) -> torch.device:
    """The device that ``auto``, ``cpu`` or ``cuda[:n]`` means here.

    Where it is a GPU, convolutions in float32 are float32 from now on, as matrix products are:
    torch's default lets them round their inputs to TF32, 10 bits of mantissa.

    Raises:
        ValueError: a CUDA device that is not there.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted)
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        there = f"{found} CUDA devices" if found else "no CUDA device"
        raise ValueError(f"device is {wanted!r}, and there is {there}; allowed: cpu, auto")
    if device.type == "cuda":
        _forbid_tf32()
    return device


def device_of(settings: RunSettings) -> torch.device:
    """The device that a run computes on; `choose_device`, but see `why_not_the_gpu`."""
    return torch.device("cpu") if why_not_the_gpu(settings) else choose_device(settings.device)


def why_not_the_gpu(settings: RunSettings) -> str | None:
    """Why ``auto`` leaves a GPU alone that is there, in words: the task needs the package's CUDA
    kernels, and they are not to be had."""
    needing = needs_kernels(settings)
    if settings.device != "auto" or needing is None or not torch.cuda.is_available():
        return None
    reason = why_no_cuda_kernels(torch.device("cuda"))
    return None if reason is None else f"{needing}, and {reason}"


def _forbid_tf32() -> None:
    # torch 2.9 brought cudnn.conv.fp32_precision, but after it is set torch refuses to read
    # allow_tf32, as its own cudnn.flags() does. allow_tf32 sets both, in every torch from 2.6 on;
    # some of them warn that it is going to go.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API settings to control TF32")
        torch.backends.cudnn.allow_tf32 = False


def machine_in_words(device: torch.device) -> str:
    """What a run's time was measured on, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    cpus = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (cpus.read_text().splitlines() if cpus.is_file() else [])
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.machine()
    return f"{len(os.sched_getaffinity(0))} x {name}, torch {torch.__version__}"
