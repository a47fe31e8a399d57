"""The machine that a benchmark runs on, as its results name it."""

import platform


def processor() -> str:
    """The processor's name as the system has it."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
