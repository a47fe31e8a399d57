"""The cards of the experts in the package: what each is, how it was made and how well it plays.

Beside ``weights/<game>.safetensors`` lies ``weights/<game>.yaml``, its card; ``README.md`` there is
the page that :func:`index_page` makes of all cards.
``python -m actormimic.bundle`` writes the three.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from actormimic.games import REFERENCE_SCORES
from actormimic.sections import Count, Positive, Section

LARGEST_BYTES = 4_000_000
"""The most that one bundled expert may take."""
CURVES_NAME = "curves.png"
INDEX_NAME = "README.md"

_HEADING = "# What this expert is. Written by: python -m actormimic.bundle RUN_DIR\n"


class PlayedEpisodes(Section):
    """Raw returns of one test epoch."""

    mean: float
    """Mean return of the completed episodes (of the unfinished one, if none was completed)."""
    deviation: Annotated[float, Field(ge=0.0)]
    """Standard deviation over episodes."""
    best: float
    """The highest return."""
    episodes: Count
    """Completed episodes."""


class CardEvaluation(Section):
    """How the weights in the file, not those they were rounded from, play."""

    protocol: str
    """In words."""
    agent_steps: Positive
    """Length of the test epoch."""
    seed: Count
    """Seed of environments and epsilon."""
    expert: PlayedEpisodes
    random: PlayedEpisodes
    """Uniformly random play in an epoch of the same length."""


class LearningCurve(Section):
    """Mean return of the training's episodes, played with the epsilon of that time."""

    agent_steps: list[Count]
    mean_return: list[float]

    @model_validator(mode="after")
    def _pairs(self) -> LearningCurve:
        if len(self.agent_steps) != len(self.mean_return):
            raise ValueError(
                f"learning_curve has {len(self.agent_steps)} agent_steps and "
                f"{len(self.mean_return)} returns; allowed: as many"
            )
        return self


class WeightsFile(Section):
    """The file beside the card."""

    name: str
    bytes: Annotated[int, Field(ge=1, le=LARGEST_BYTES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    dtype: Literal["float16"]
    parameters: Positive


class Card(Section):
    """One expert of the package."""

    game: str
    recipe: str
    """The command that trains it; the same weights up to the machine's rounding."""
    agent_steps: Positive
    """Training done, in agent_steps (4 emulator_frames each, unless the recipe differs)."""
    training_hours: Annotated[float, Field(ge=0.0)]
    """Running time of the training."""
    machine: str | None = None
    """What it ran on, in words; cards written before this was kept do not say."""
    seed: Count
    """Seed of the training."""
    network: str
    """``network.size`` of the settings."""
    weights: WeightsFile
    evaluation: CardEvaluation
    learning_curve: LearningCurve
    actormimic_version: str
    """That wrote the weights."""
    torch_version: str
    """That they were trained with."""


class _Dumper(yaml.SafeDumper):
    """Sections over several lines, lists in as few as they take."""


_Dumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, True)
)


def write_card(path: Path, card: Card) -> None:
    """Write ``card`` as YAML.

    Raises:
        OSError: it cannot be written.
    """
    values = card.model_dump(mode="json")
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=100)
    path.write_text(_HEADING + text, encoding="utf-8")


def read_card(path: Path) -> Card:
    """The card in ``path``.

    Raises:
        ValueError: it cannot be read or is no card; one line.
    """
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Card.model_validate(values)
    except OSError as error:
        raise ValueError(f"card {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(f"card {path}: {where}: {first['msg']}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"card {path} is not YAML") from error


def read_cards(folder: Path) -> list[Card]:
    """The cards in ``folder``, each checked against its weights file, in the order of the games.

    Raises:
        ValueError: a damaged card, or weights that are not those it describes.
    """
    cards = []
    for path in sorted(folder.glob("*.yaml")):
        card = read_card(path)
        weights = folder / card.weights.name
        if path.stem != card.game or weights.name != f"{card.game}.safetensors":
            raise ValueError(f"card {path} is of {card.game} and {card.weights.name}")
        content = weights.read_bytes() if weights.is_file() else b""
        if hashlib.sha256(content).hexdigest() != card.weights.sha256:
            raise ValueError(f"card {path}: {weights.name} is missing or not the file described")
        cards.append(card)
    return cards


def index_page(cards: Sequence[Card]) -> str:
    """The page over all cards, as Markdown."""
    lines = [
        "# The package's own experts",
        "",
        "Trained with this project's own commands; the weights are rounded to half precision.",
        "`python -m actormimic.bundle` writes this page from the cards (`<game>.yaml`), which say",
        "more.",
        "",
        "Scores are mean raw returns ± standard deviations over the completed episodes of a test",
        "epoch with ε 0.05, played by the rounded weights; of the paper's experts they are the",
        "means of Table 1. The paper's test epochs have 125,000 agent steps, and it states no",
        "limit on the length of an episode; each card states the limit that was used here.",
        "",
        "| game | network | trained, agent steps | hours | random play | expert | episodes | "
        "test epoch, agent steps | paper's expert |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for card in cards:
        played = card.evaluation
        published = REFERENCE_SCORES.get(card.game)
        mean = published.expert_mean if published else None
        lines.append(
            f"| {card.game} | {card.network} | {card.agent_steps:,} | {card.training_hours:.1f} | "
            f"{_returns(played.random)} | {_returns(played.expert)} | {played.expert.episodes} | "
            f"{played.agent_steps:,} | {'' if mean is None else f'{mean:g}'} |"
        )
    lines += ["", f"![Learning curves]({CURVES_NAME})", "", "How each was made:", ""]
    for card in cards:
        on = f", seed {card.seed}" + (f", on {card.machine}" if card.machine else "")
        lines.append(f"- {card.game}{on}: `{card.recipe}`")
    return "\n".join(lines) + "\n"


def _returns(played: PlayedEpisodes) -> str:
    unfinished = "" if played.episodes else " (unfinished)"
    return f"{played.mean:.1f} ± {played.deviation:.1f}{unfinished}"
