"""The numbers that the paper prints, to stand beside ours: Table 1's percentages and Table 2.

Source: Parisotto, Ba and Salakhutdinov, "Actor-Mimic: Deep Multitask and Transfer Reinforcement
Learning", ICLR 2016. Scores of Table 1 lie with the games' other reference scores
(``actormimic.games.REFERENCE_SCORES``).
"""

from __future__ import annotations

from typing import Literal

Initialization = Literal["Random", "AMN-policy", "AMN-feature"]

INITIALIZATIONS: tuple[Initialization, ...] = ("Random", "AMN-policy", "AMN-feature")
"""What a DQN on a target game starts from, in the order of Table 2."""

TABLE1_PERCENT: dict[str, tuple[float, float]] = {
    "atlantis": (288.2, 108.0),
    "boxing": (93.61, 93.00),
    "breakout": (127.0, 97.98),
    "crazy_climber": (59.33, 63.22),
    "enduro": (109.1, 85.00),
    "pong": (78.01, 93.25),
    "seaquest": (27.51, 23.64),
    "space_invaders": (68.44, 63.94),
}
"""Table 1's last rows: 100% x AMN / DQN, of the mean and of the max."""

EXPERT_AGENT_STEPS = 50_000_000
"""The longest training of the paper's experts, in agent_steps (section 5.1: "up to 50 million
frames")."""

TABLE2_AGENT_STEPS = 1_000_000
"""agent_steps between the columns of Table 2; each averages the four test epochs within."""

TABLE2: dict[str, dict[Initialization, tuple[float, ...]]] = {
    "breakout": {
        "Random": (1.182, 5.278, 29.13, 102.3, 202.8, 212.8, 252.9, 211.8, 243.5, 258.7),
        "AMN-policy": (18.35, 102.1, 216.0, 271.1, 308.6, 286.3, 284.6, 318.8, 281.6, 311.3),
        "AMN-feature": (16.23, 119.0, 153.7, 191.8, 172.6, 233.9, 248.5, 178.8, 235.6, 225.5),
    },
    "gopher": {
        "Random": (294.0, 578.9, 1360, 1540, 1820, 1133, 633.0, 1306, 1758, 1539),
        "AMN-policy": (715.0, 612.7, 1362, 924.8, 1029, 1186, 1081, 936.7, 1251, 1142),
        "AMN-feature": (636.2, 1110, 918.8, 1073, 1028, 810.1, 1008, 868.8, 1054, 982.4),
    },
    "krull": {
        "Random": (4302, 6193, 6576, 7030, 6754, 5294, 5949, 5557, 5366, 6005),
        "AMN-policy": (5827, 7279, 6838, 6971, 7277, 7129, 7854, 8012, 7244, 7835),
        "AMN-feature": (5033, 7256, 7008, 7582, 7665, 8016, 8133, 6536, 7832, 6923),
    },
    "road_runner": {
        "Random": (327.5, 988.1, 16263, 27183, 26639, 29488, 33197, 27683, 25235, 31647),
        "AMN-policy": (1561, 5119, 19483, 22132, 23391, 23813, 34673, 33476, 31967, 31416),
        "AMN-feature": (1349, 6659, 18074, 16858, 18099, 22985, 27023, 24149, 28225, 23342),
    },
    "robotank": {
        "Random": (4.830, 6.965, 9.825, 13.22, 21.07, 22.54, 31.94, 29.80, 37.12, 34.04),
        "AMN-policy": (3.502, 4.522, 11.03, 9.215, 16.89, 17.31, 18.66, 20.58, 23.58, 23.02),
        "AMN-feature": (3.550, 6.162, 13.94, 17.58, 17.57, 20.72, 20.13, 21.13, 26.14, 23.29),
    },
    "star_gunner": {
        "Random": (221.2, 468.5, 927.6, 1084, 1508, 1626, 3286, 16017, 36273, 45322),
        "AMN-policy": (274.3, 302.0, 978.4, 1667, 4000, 14655, 31588, 45667, 38738, 53642),
        "AMN-feature": (1405, 4570, 18111, 23406, 36070, 46811, 50667, 49579, 50440, 56839),
    },
    "video_pinball": {
        "Random": (2323, 8549, 6780, 5842, 10383, 11093, 8468, 5476, 9964, 11893),
        "AMN-policy": (2583, 25821, 95949, 143729, 57114, 106873, 111074, 73523, 34908, 123337),
        "AMN-feature": (1593, 3958, 21341, 12421, 15409, 18992, 15920, 48690, 24366, 26379),
    },
}
"""Table 2: average test reward after each million agent_steps (the paper's "frames"), by target
game and by what the DQN started from. Gopher's ninth column is headed "8 mil" in print."""
