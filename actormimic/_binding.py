"""The compiled core, or what to do where it is missing, of another version or of other sources.

A checkout's Python files shadow those of an installed package, whose compiled module they find all
the same (see ``actormimic.__path__``): after a pull the two may differ. The version changes with a
release only, so the sources of the bindings, where they lie beside the package, are compared too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from actormimic import __version__

_REMEDY = "run `pip install .` in the checkout, or leave its folder to use the installed package"


def _digest_of(folder: Path) -> str:
    """What ``csrc/bindings/CMakeLists.txt`` compiles in as ``bindings_digest``."""
    files = sorted([*folder.glob("*.cpp"), *folder.glob("*.hpp")])
    lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


try:
    import actormimic._core as core
except ModuleNotFoundError as error:
    raise ImportError(f"actormimic's compiled core is missing: {_REMEDY}") from error

if core.__version__ != __version__:
    raise ImportError(
        f"actormimic is {__version__}, but its compiled core is {core.__version__}: {_REMEDY}"
    )

_SOURCES = Path(__file__).parents[1] / "csrc" / "bindings"
# A core from before the digest has none. An installed package has no sources to compare with.
if _SOURCES.is_dir() and getattr(core, "bindings_digest", None) != _digest_of(_SOURCES):
    raise ImportError(
        f"actormimic's compiled core was not built from the sources in {_SOURCES}: {_REMEDY}"
    )

__all__ = ["core"]
