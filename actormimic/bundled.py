"""The experts that come with the package, as files: which games have one, and where it is."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parent / "weights"
"""Where the package's own experts and their cards are."""


def bundled_games() -> list[str]:
    """Games that have an expert in the package."""
    return sorted(path.stem for path in BUNDLED.glob("*.safetensors"))


def bundled_path(game: str) -> Path:
    """The file of the package's own expert of ``game``.

    Raises:
        ValueError: there is none; names those there are.
    """
    path = BUNDLED / f"{game}.safetensors"
    if not path.is_file():
        known = ", ".join(bundled_games()) or "none yet"
        raise ValueError(f"no bundled expert of {game}; bundled: {known}")
    return path
