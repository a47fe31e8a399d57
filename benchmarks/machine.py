"""What a benchmark ran on, for the figures that it records."""

from __future__ import annotations

import platform


def processor_name() -> str:
    """The processor's name as Linux gives it, or ``unknown``."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
