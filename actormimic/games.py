"""Facts about the games: the paper's sets, ALE's action sets, and published scores to compare with.

Games go by ALE's ROM names (``"space_invaders"``). Action numbers are ALE's, 0 (no-op) to 17.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ACTIONS",
    "GAMES",
    "MINIMAL_ACTIONS",
    "MULTITASK_GAMES",
    "NUM_ACTIONS",
    "OLDER_MINIMAL_ACTIONS",
    "REFERENCE_SCORES",
    "TRANSFER_SOURCES",
    "TRANSFER_TARGETS",
    "ReferenceScores",
    "canonical_name",
    "human_normalized",
    "minimal_actions",
    "reference_scores",
]

ACTIONS = (
    "noop",
    "fire",
    "up",
    "right",
    "left",
    "down",
    "upright",
    "upleft",
    "downright",
    "downleft",
    "upfire",
    "rightfire",
    "leftfire",
    "downfire",
    "uprightfire",
    "upleftfire",
    "downrightfire",
    "downleftfire",
)
"""ALE's 18 joystick actions; an action's number is its index."""

NUM_ACTIONS = len(ACTIONS)

MULTITASK_GAMES = (
    "atlantis",
    "boxing",
    "breakout",
    "crazy_climber",
    "enduro",
    "pong",
    "seaquest",
    "space_invaders",
)
"""The eight games of the paper's Table 1."""

TRANSFER_SOURCES = (
    "assault",
    "atlantis",
    "beam_rider",
    "boxing",
    "crazy_climber",
    "demon_attack",
    "enduro",
    "fishing_derby",
    "kangaroo",
    "name_this_game",
    "pong",
    "seaquest",
    "space_invaders",
)
"""The thirteen games that the paper's transfer network is trained on."""

TRANSFER_TARGETS = (
    "breakout",
    "gopher",
    "krull",
    "road_runner",
    "robotank",
    "star_gunner",
    "video_pinball",
)
"""The seven games of the paper's Table 2."""

MINIMAL_ACTIONS: dict[str, tuple[int, ...]] = {
    "adventure": tuple(range(18)),
    "air_raid": (0, 1, 3, 4, 11, 12),
    "alien": tuple(range(18)),
    "amidar": (0, 1, 2, 3, 4, 5, 10, 11, 12, 13),
    "assault": (0, 1, 2, 3, 4, 11, 12),
    "asterix": (0, 2, 3, 4, 5, 6, 7, 8, 9),
    "asteroids": (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15),
    "atlantis2": (0, 1, 11, 12),
    "atlantis": (0, 1, 11, 12),
    "backgammon": (1, 3, 4),
    "bank_heist": tuple(range(18)),
    "basic_math": (0, 1, 2, 3, 4, 5),
    "battle_zone": tuple(range(18)),
    "beam_rider": (0, 1, 2, 3, 4, 6, 7, 11, 12),
    "berzerk": tuple(range(18)),
    "blackjack": (0, 1, 2, 5),
    "bowling": (0, 1, 2, 5, 10, 13),
    "boxing": tuple(range(18)),
    "breakout": (0, 1, 3, 4),
    "carnival": (0, 1, 3, 4, 11, 12),
    "casino": (0, 1, 2, 5),
    "centipede": tuple(range(18)),
    "chopper_command": tuple(range(18)),
    "crazy_climber": (0, 2, 3, 4, 5, 6, 7, 8, 9),
    "crossbow": tuple(range(18)),
    "darkchambers": tuple(range(18)),
    "defender": tuple(range(18)),
    "demon_attack": (0, 1, 3, 4, 11, 12),
    "donkey_kong": tuple(range(18)),
    "double_dunk": tuple(range(18)),
    "earthworld": tuple(range(18)),
    "elevator_action": tuple(range(18)),
    "enduro": (0, 1, 3, 4, 5, 8, 9, 11, 12),
    "entombed": tuple(range(18)),
    "et": tuple(range(18)),
    "fishing_derby": tuple(range(18)),
    "flag_capture": tuple(range(18)),
    "freeway": (0, 2, 5),
    "frogger": (0, 2, 3, 4, 5),
    "frostbite": tuple(range(18)),
    "galaxian": (0, 1, 3, 4, 11, 12),
    "gopher": (0, 1, 2, 3, 4, 10, 11, 12),
    "gravitar": tuple(range(18)),
    "hangman": tuple(range(18)),
    "haunted_house": tuple(range(18)),
    "hero": tuple(range(18)),
    "human_cannonball": tuple(range(18)),
    "ice_hockey": tuple(range(18)),
    "jamesbond": tuple(range(18)),
    "journey_escape": (0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17),
    "kaboom": (0, 1, 3, 4),
    "kangaroo": tuple(range(18)),
    "keystone_kapers": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13),
    "king_kong": (0, 1, 2, 3, 4, 5),
    "klax": tuple(range(18)),
    "koolaid": (0, 2, 3, 4, 5, 6, 7, 8, 9),
    "krull": tuple(range(18)),
    "kung_fu_master": (0, 2, 3, 4, 5, 8, 9, 11, 12, 13, 14, 15, 16, 17),
    "laser_gates": tuple(range(18)),
    "lost_luggage": (0, 2, 3, 4, 5, 6, 7, 8, 9),
    "mario_bros": tuple(range(18)),
    "miniature_golf": tuple(range(18)),
    "montezuma_revenge": tuple(range(18)),
    "mr_do": (0, 1, 2, 3, 4, 5, 10, 11, 12, 13),
    "ms_pacman": (0, 2, 3, 4, 5, 6, 7, 8, 9),
    "name_this_game": (0, 1, 3, 4, 11, 12),
    "othello": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    "pacman": (0, 2, 3, 4, 5),
    "phoenix": (0, 1, 3, 4, 5, 11, 12, 13),
    "pitfall2": tuple(range(18)),
    "pitfall": tuple(range(18)),
    "pong": (0, 1, 3, 4, 11, 12),
    "pooyan": (0, 1, 2, 5, 10, 13),
    "private_eye": tuple(range(18)),
    "qbert": (0, 1, 2, 3, 4, 5),
    "riverraid": tuple(range(18)),
    "road_runner": tuple(range(18)),
    "robotank": tuple(range(18)),
    "seaquest": tuple(range(18)),
    "sir_lancelot": (0, 1, 3, 4, 11, 12),
    "skiing": (0, 3, 4),
    "solaris": tuple(range(18)),
    "space_invaders": (0, 1, 3, 4, 11, 12),
    "space_war": tuple(range(18)),
    "star_gunner": tuple(range(18)),
    "superman": tuple(range(18)),
    "surround": (0, 2, 3, 4, 5),
    "tennis": tuple(range(18)),
    "tetris": (0, 1, 3, 4, 5),
    "tic_tac_toe_3d": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    "time_pilot": (0, 1, 2, 3, 4, 5, 10, 11, 12, 13),
    "trondead": tuple(range(18)),
    "turmoil": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12),
    "tutankham": (0, 2, 3, 4, 5, 10, 11, 12),
    "up_n_down": (0, 1, 2, 5, 10, 13),
    "venture": tuple(range(18)),
    "video_checkers": (1, 6, 7, 8, 9),
    "video_chess": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    "video_cube": tuple(range(18)),
    "video_pinball": (0, 1, 2, 3, 4, 5, 10, 11, 12),
    "wizard_of_wor": (0, 1, 2, 3, 4, 5, 10, 11, 12, 13),
    "word_zapper": tuple(range(18)),
    "yars_revenge": tuple(range(18)),
    "zaxxon": tuple(range(18)),
}
"""ALE's minimal action set of each of the games that it can load, by name."""

OLDER_MINIMAL_ACTIONS: dict[str, tuple[int, ...]] = {"pong": (0, 3, 4)}
"""Minimal action sets that the paper's emulator had (xitari, ``games/supported/Pong.cpp``)."""

GAMES = tuple(MINIMAL_ACTIONS)
"""All games that ALE can load, by name."""

HumanColumn = Literal["nature", "dqn_zoo"]


@dataclass(frozen=True)
class ReferenceScores:
    """Published mean raw scores of one game; None where the source has no number.

    Attributes:
        random: uniformly random play (Mnih et al. 2015, Extended Data Table 2).
        human_nature: the human tester of the same table.
        human_dqn_zoo: the human column of dqn_zoo's ``atari_data``.
        nature_dqn: DQN of the same table.
        expert_mean: the paper's expert DQN, mean of its last ten test epochs (Table 1).
        expert_max: the paper's expert DQN, best test epoch (Table 1).
        amn_mean: the paper's Actor-Mimic network, mean of test epochs 91 to 100 (Table 1).
        amn_max: the paper's Actor-Mimic network, best test epoch (Table 1).
    """

    random: float
    human_nature: float
    human_dqn_zoo: float
    nature_dqn: float
    expert_mean: float | None = None
    expert_max: float | None = None
    amn_mean: float | None = None
    amn_max: float | None = None


REFERENCE_SCORES: dict[str, ReferenceScores] = {
    "assault": ReferenceScores(222.4, 1496, 742, 3359),
    "atlantis": ReferenceScores(12850, 29028, 29028, 85641, 57279, 541000, 165065, 584196),
    "beam_rider": ReferenceScores(363.9, 5775, 16926, 6846),
    "boxing": ReferenceScores(0.1, 4.3, 12.1, 71.8, 81.47, 88.02, 76.264, 81.860),
    "breakout": ReferenceScores(1.7, 31.8, 30.5, 401.2, 273.15, 377.96, 347.01, 370.32),
    "crazy_climber": ReferenceScores(10781, 35411, 35829, 114103, 96189, 117593, 57070, 74342),
    "demon_attack": ReferenceScores(152.1, 3401, 1971, 9711),
    "enduro": ReferenceScores(0, 309.6, 860.5, 301.8, 457.60, 808.00, 499.3, 686.77),
    "fishing_derby": ReferenceScores(-91.7, 5.5, -38.7, -0.8),
    "gopher": ReferenceScores(257.6, 2321, 2412, 8520),
    "kangaroo": ReferenceScores(52, 3035, 3035, 6740),
    "krull": ReferenceScores(1598, 2395, 2666, 3805),
    "name_this_game": ReferenceScores(2292, 4076, 8049, 7257),
    "pong": ReferenceScores(-20.7, 9.3, 14.6, 18.9, 19.581, 20.140, 15.275, 18.780),
    "road_runner": ReferenceScores(11.5, 7845, 7845, 18257),
    "robotank": ReferenceScores(2.2, 11.9, 11.9, 51.6),
    "seaquest": ReferenceScores(68.4, 20182, 42055, 5286, 4278.9, 6200.5, 1177.3, 1466.0),
    "space_invaders": ReferenceScores(148, 1652, 1669, 1976, 1669.2, 2109.7, 1142.4, 1349.0),
    "star_gunner": ReferenceScores(664, 10250, 10250, 57997),
    "video_pinball": ReferenceScores(16257, 17298, 17668, 42684),
}
"""Scores by game, for the games of the paper's tables."""


def canonical_name(game: str) -> str:
    """ALE's name of ``game``.

    Raises:
        ValueError: no game of that name; the message names the nearest one.
    """
    if game in MINIMAL_ACTIONS:
        return game
    near = difflib.get_close_matches(game.lower().replace(" ", "_"), GAMES, n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(
        f"game {game!r} is unknown; allowed: ALE's {len(GAMES)} names in lower case, as "
        f"'space_invaders'{guess}"
    )


def minimal_actions(game: str) -> tuple[int, ...]:
    """The actions that matter in ``game``, ALE numbers. Raises as canonical_name."""
    return MINIMAL_ACTIONS[canonical_name(game)]


def reference_scores(game: str) -> ReferenceScores:
    """Published scores of ``game``.

    Raises:
        ValueError: an unknown game, or one that the paper's tables do not have.
    """
    name = canonical_name(game)
    if name not in REFERENCE_SCORES:
        raise ValueError(
            f"game {game!r} has no reference scores; games that do: {', '.join(REFERENCE_SCORES)}"
        )
    return REFERENCE_SCORES[name]


def human_normalized(game: str, score: float, *, human: HumanColumn = "nature") -> float:
    """``(score - random) / (human - random)``: 0 is random play, 1 the human tester.

    Args:
        game: ALE's name.
        score: mean raw score.
        human: which human column: ``"nature"`` (Mnih et al. 2015) or ``"dqn_zoo"``. They differ
            (seaquest 20182 against 42055), so state it beside every figure.

    Raises:
        ValueError: an unknown game, one without reference scores, or another column.
    """
    scores = reference_scores(game)
    if human == "nature":
        tester = scores.human_nature
    elif human == "dqn_zoo":
        tester = scores.human_dqn_zoo
    else:
        raise ValueError(f"human is {human!r}; allowed: 'nature', 'dqn_zoo'")
    return (score - scores.random) / (tester - scores.random)
