"""``python -m actormimic.play CHECKPOINT --game pong --out pong.mp4``: watch a network play.

Two pools of one environment each run side by side: the policy's own, with the preprocessing that it
was trained on, and one whose pictures are in color and full size. The same seed and the same
actions make them the same game; that they agree is checked at every step.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import numpy.typing as npt
import torch

from actormimic.checkpoint import load_weights
from actormimic.command_line import Parser, command
from actormimic.environments import make_env, whole_games
from actormimic.policy import Policy, load, weights_path
from actormimic.sections import EnvironmentSettings

HEIGHT, WIDTH = 210, 160
_ZOOM = 2
_EMULATOR_FRAMES_PER_SECOND = 60
_SUFFIXES = (".mp4", ".gif")

Picture = npt.NDArray[np.uint8]


class Game:
    """One game as a policy plays it: lost lives end nothing, rewards are raw.

    Attributes:
        score: The sum of the rewards so far.
        agent_steps: How many were played.
        over: Whether the game came to its end, rather than to the limit of agent_steps or to that
            of the environment's emulator frames.
    """

    def __init__(
        self,
        policy: Policy,
        name: str,
        environment: EnvironmentSettings,
        *,
        epsilon: float,
        seed: int,
        max_agent_steps: int,
    ) -> None:
        """``name`` is one of ``policy.games``; ``seed`` is that of the no-ops and of epsilon.

        Raises:
            ValueError: the policy does not play ``name``.
        """
        if name not in policy.games:
            raise ValueError(f"game is {name!r}; allowed: {', '.join(policy.games)}")
        self.score = 0.0
        self.agent_steps = 0
        self.over = False
        self._policy = policy
        self._name = name
        self._environment = whole_games(environment).model_copy(update={"threads": 1})
        self._epsilon = epsilon
        self._seed = seed
        self._max_agent_steps = max_agent_steps

    def pictures(self) -> Iterator[Picture]:
        """Play: a picture uint8 [210, 160, 3] before the first agent step and after each.

        Raises:
            RuntimeError: the two emulators came apart.
        """
        index = np.array([self._policy.games.index(self._name)], dtype=np.int32)
        rng = np.random.default_rng(self._seed)
        view = {"grayscale": False, "img_height": HEIGHT, "img_width": WIDTH, "stack_num": 1}
        with (
            make_env([self._name], 1, self._environment) as env,
            make_env([self._name], 1, self._environment, **view) as screen,
        ):
            frames, _ = env.reset(seed=self._seed)
            picture, _ = screen.reset(seed=self._seed)
            yield picture[0, -1].copy()
            cut = False
            while not (self.over or cut) and self.agent_steps < self._max_agent_steps:
                actions = self._policy.act(frames, index, self._epsilon, rng)
                frames, rewards, terminations, truncations, played = env.step(actions)
                picture, shown_rewards, _, _, shown = screen.step(actions)
                if rewards[0] != shown_rewards[0] or any(
                    played[name][0] != shown[name][0] for name in ("frame_number", "lives")
                ):
                    raise RuntimeError(f"the pictures of {self._name} came apart from its game")
                self.score += float(rewards[0])
                self.agent_steps += 1
                self.over, cut = bool(terminations[0]), bool(truncations[0])
                yield picture[0, -1].copy()


def record(path: Path, pictures: Iterator[Picture], pictures_per_second: float) -> None:
    """Write ``pictures``, twice as large, to an ``.mp4`` or ``.gif``.

    It is written aside and renamed: what lies at ``path`` stays until the new one is whole.

    Raises:
        ValueError: another suffix, or a folder.
        OSError: the file cannot be written.
    """
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"--out is {path}; allowed: a name that ends in {' or '.join(_SUFFIXES)}")
    if path.is_dir():
        raise ValueError(f"--out is {path}, a folder; allowed: a file")
    path = path.resolve()  # through a link to what it is of
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        unfinished.open("wb").close()  # the encoder's own complaint about a bad path is a page long
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    options: dict[str, Any] = (
        {"fps": pictures_per_second, "macro_block_size": 2}
        if path.suffix == ".mp4"
        else {"duration": 1000 / pictures_per_second, "loop": 0}
    )
    writer: Any
    try:
        with imageio.get_writer(unfinished, **options) as writer:
            for picture in pictures:
                writer.append_data(picture.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@command("actormimic.play")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(arguments)
    policy = load(options.checkpoint)
    name = options.game or (policy.games[0] if len(policy.games) == 1 else None)
    if name is None:
        raise ValueError(f"--game is missing; allowed: {', '.join(policy.games)}")
    _, header = load_weights(weights_path(Path(options.checkpoint)))
    environment = EnvironmentSettings.model_validate(header.settings.get("environment", {}))
    game = Game(
        policy,
        name,
        environment,
        epsilon=options.epsilon,
        seed=options.seed,
        max_agent_steps=options.max_agent_steps,
    )
    out = options.out or Path(f"{name}.mp4")
    record(out, game.pictures(), _EMULATOR_FRAMES_PER_SECOND / environment.frame_skip)
    end = "" if game.over else ", stopped before the game was over"
    print(f"{name}: score {game.score:g} after {game.agent_steps:,} agent steps{end}; {out}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m actormimic.play", description="Watch a network play a game.")
    parser.add_argument("checkpoint", help="a weights file, or a run folder: its newest weights")
    parser.add_argument("--game", help="one of the network's games; needless where it has one")
    parser.add_argument("--out", type=Path, help="an .mp4 or .gif file (default: GAME.mp4)")
    parser.add_argument(
        "--epsilon", type=float, default=0.05, help="share of random actions (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of no-ops and epsilon (%(default)s)")
    parser.add_argument(
        "--max-agent-steps", type=int, default=18_000, help="longest game (%(default)s: 20 minutes)"
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.epsilon <= 1:
        raise ValueError(f"--epsilon is {options.epsilon}; allowed: 0 to 1")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; allowed: 0 or more")
    if options.max_agent_steps < 1:
        raise ValueError(f"--max-agent-steps is {options.max_agent_steps}; allowed: 1 or more")
    if options.out is not None and options.out.suffix not in _SUFFIXES:
        raise ValueError(f"--out is {options.out}; allowed: a name that ends in .mp4 or .gif")
    return options


if __name__ == "__main__":
    torch.set_num_threads(1)  # batches of one state: more threads only wait for each other
    sys.exit(main())
