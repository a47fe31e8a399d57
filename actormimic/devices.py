"""Where a run computes: the device that its settings mean, and the machine in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def choose_device(wanted: str) -> torch.device:
    """The device that ``auto``, ``cpu`` or ``cuda[:n]`` means here.

    Raises:
        ValueError: a CUDA device that is not there.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        there = f"{found} CUDA devices" if found else "no CUDA device"
        raise ValueError(f"device is {wanted!r}, and there is {there}; allowed: cpu, auto")
    return device


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
