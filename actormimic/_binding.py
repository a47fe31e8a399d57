"""The compiled core, or what to do where it is missing or of another version.

A checkout's Python files shadow those of an installed package, whose compiled module they find all
the same (see ``actormimic.__path__``): after a pull the two may differ.
"""

from __future__ import annotations

from actormimic import __version__

_REMEDY = "run `pip install .` in the checkout, or leave its folder to use the installed package"

try:
    import actormimic._core as core
except ModuleNotFoundError as error:
    raise ImportError(f"actormimic's compiled core is missing: {_REMEDY}") from error

if core.__version__ != __version__:
    raise ImportError(
        f"actormimic is {__version__}, but its compiled core is {core.__version__}: {_REMEDY}"
    )

__all__ = ["core"]
