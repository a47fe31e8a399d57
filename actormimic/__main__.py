"""``python -m actormimic``: where the C++ package is, and which version this is."""

from __future__ import annotations

import sys
from pathlib import Path

import actormimic
from actormimic.command_line import Parser, command


def cmake_dir() -> Path:
    """The folder that CMake's ``find_package(actormimic)`` needs in ``actormimic_DIR``.

    Raises:
        RuntimeError: no installed C++ package; a build in the checkout's folder has none.
    """
    for folder in actormimic.__path__:
        found = Path(folder) / "share" / "cmake" / "actormimic"
        if (found / "actormimic-config.cmake").is_file():
            return found
    raise RuntimeError(
        "the C++ package is not installed (looked in "
        f"{', '.join(map(str, actormimic.__path__))}): run `pip install .`"
    )


@command("actormimic")
def main() -> int:
    """Run the command line; returns the exit code."""
    parser = Parser(prog="python -m actormimic", description=__doc__)
    parser.add_argument("--version", action="version", version=actormimic.__version__)
    parser.add_argument(
        "--cmake-dir",
        action="store_true",
        help="print the folder of the CMake package: find_package(actormimic) with the target "
        "actormimic::core",
    )
    options = parser.parse_args()
    if not options.cmake_dir:
        parser.print_help()
        return 0
    try:
        print(cmake_dir())
    except RuntimeError as problem:
        parser.exit(1, f"{problem}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
