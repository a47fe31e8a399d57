"""Every game against ale-py's ALEInterface driven by hand and OpenCV's INTER_AREA.

    python benchmarks/exact_envs.py [--emulation fast|stock] [--games pong breakout ...]

plays uniformly random actions in one environment per game and compares, at each agent step,
rewards, ends, lives and frame numbers, which must be equal, and the newest frame, whose differing
pixels are counted. It prints one line per game and a summary as JSON, and exits with 1 where a
number differs, a pixel differs by more than 1 or a game fell back to another emulation than the
one asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import ale_py
import cv2
import numpy as np
from ale_py import ALEInterface, LoggerMode, roms
from machine import processor

from actormimic import games
from actormimic.envs import AtariVectorEnv

FRAMESKIP = 4


class ByHand:
    """One environment with sticky actions and exact pooling, without FIRE or no-ops."""

    def __init__(self, game: str, seed: int) -> None:
        self.ale = ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.25)
        self.ale.setInt("random_seed", seed)
        self.ale.loadROM(roms.get_rom_path(game))
        self.actions = self.ale.getMinimalActionSet()
        self.reset()

    def reset(self) -> None:
        self.ale.reset_game()
        self.frame = self.shrink(self.ale.getScreenGrayscale())

    def step(self, action: int) -> tuple[int, bool]:
        reward = 0
        screens = []
        for _ in range(FRAMESKIP):
            reward += self.ale.act(self.actions[action])
            screens.append(self.ale.getScreenGrayscale())
            if self.ale.game_over():
                break
        self.frame = self.shrink(np.maximum.reduce(screens[-2:]))
        return reward, self.ale.game_over()

    @staticmethod
    def shrink(screen: np.ndarray) -> np.ndarray:
        return cv2.resize(screen, (84, 84), interpolation=cv2.INTER_AREA)


def compare(game: str, emulation: str, steps: int, seed: int) -> dict[str, Any]:
    """Counts the agent steps that differ in anything but pixels, and the pixels that differ."""
    env = AtariVectorEnv(
        game,
        1,
        repeat_action_probability=0.25,
        noop_max=0,
        use_fire_reset=False,
        reward_clipping=False,
        max_num_frames_per_episode=1_000_000_000,
        pooling="exact",
        emulation=emulation,
    )
    obs, infos = env.reset(seed=seed)
    hand = ByHand(game, seed)
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {"emulation": env.emulations[0], "steps": steps}
    found |= {"differing_steps": 0, "differing_pixels": 0, "largest_difference": 0}
    over = False
    for t in range(steps + 1):
        difference = np.abs(obs[0, -1].astype(int) - hand.frame)
        found["differing_pixels"] += int(np.count_nonzero(difference))
        found["largest_difference"] = max(found["largest_difference"], int(difference.max()))
        numbers = (infos["lives"][0], infos["frame_number"][0], infos["episode_frame_number"][0])
        ale = hand.ale
        if numbers != (ale.lives(), ale.getFrameNumber(), ale.getEpisodeFrameNumber()):
            found["differing_steps"] += 1
        if t == steps:
            break
        action = int(rng.integers(len(hand.actions)))
        obs, rewards, terminations, _, infos = env.step(np.array([action]))
        if over:  # the step that resets
            hand.reset()
            reward, over = 0, False
        else:
            reward, over = hand.step(action)
        if rewards[0] != reward or terminations[0] != over:
            found["differing_steps"] += 1
    env.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emulation", choices=["fast", "stock"], default="fast")
    parser.add_argument("--games", nargs="+", default=list(games.GAMES))
    parser.add_argument("--steps", type=int, default=10_000, help="agent steps per game")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ALEInterface.setLoggerMode(LoggerMode.Error)
    results = {}
    for game in options.games:
        results[game] = compare(game, options.emulation, options.steps, options.seed)
        print(f"{game:20s} {results[game]}", file=sys.stderr, flush=True)
    bad = [
        game
        for game, found in results.items()
        if found["differing_steps"] or found["largest_difference"] > 1
    ]
    fell_back = [g for g, found in results.items() if found["emulation"] != options.emulation]
    summary = {
        "command": " ".join(["python", *sys.argv]),
        "processor": processor(),
        "ale_py": ale_py.__version__,
        "opencv": cv2.__version__,
        "emulation": options.emulation,
        "games": len(results),
        "agent_steps_per_game": options.steps,
        "differing_steps": sum(r["differing_steps"] for r in results.values()),
        "frames_compared": len(results) * (options.steps + 1),
        "differing_pixels": sum(r["differing_pixels"] for r in results.values()),
        "largest_difference": max(r["largest_difference"] for r in results.values()),
        "games_that_differ": bad,
        "games_that_fell_back": fell_back,
    }
    print(json.dumps(summary, indent=2))
    sys.exit(bool(bad or fell_back))


if __name__ == "__main__":
    main()
