"""Batched Atari environments: several games in one pool of threads. Imports no torch.

``AtariVectorEnv`` takes the keywords of ``ale_py.AtariVectorEnv`` 0.12.1 with the same names,
defaults and meanings, and adds what several games, the paper's preprocessing and a caller's own
buffers need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from ale_py import roms
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from actormimic import games, joystick
from actormimic._binding import core as _core
from actormimic.env_arguments import (
    environments_to_reset,
    one_per_env,
    require_choice,
    require_frameskip,
    require_num_envs,
    require_whole_numbers,
    seeds_of,
    view_of,
)

__all__ = ["AtariVectorEnv", "Batch"]

if TYPE_CHECKING:

    class Batch(Protocol):
        """Buffers for one batch of results; made by :meth:`AtariVectorEnv.make_batch`."""

        obs: NDArray[np.uint8]
        rewards: NDArray[np.int32]
        terminations: NDArray[np.bool_]
        truncations: NDArray[np.bool_]

        def __getitem__(self, name: str) -> NDArray[Any]: ...

else:
    Batch = _core.Batch

ResetResult: TypeAlias = tuple[NDArray[np.uint8], dict[str, Any]]
StepResult: TypeAlias = tuple[
    NDArray[np.uint8], NDArray[np.int32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]

_AUTORESET = {
    AutoresetMode.NEXT_STEP: _core.Autoreset.NEXT_STEP,
    AutoresetMode.SAME_STEP: _core.Autoreset.SAME_STEP,
}
_EMULATION = {"fast": _core.Emulation.FAST, "stock": _core.Emulation.STOCK}


class AtariVectorEnv(VectorEnv[Any, Any, Any]):
    """Atari games behind Gymnasium's vector interface, stepped by a pool of C++ threads.

    Observations are ``uint8 [batch_size, stack_num, img_height, img_width]`` (``, 3`` for RGB),
    rewards ``int32 [batch_size]``, terminations and truncations ``bool [batch_size]``. The infos
    hold ``env_id``, ``lives``, ``frame_number`` and ``episode_frame_number``, ``int32
    [batch_size]``; in same-step autoreset also ``final_obs`` where an episode ended. One thread at
    a time may call; ``close`` may come from any.

    A lost life can be seen without touching the game: with ``life_loss_info=True`` it sets
    ``terminations`` and the game goes on, no reset follows. ``extra_infos=True`` adds three
    ``bool [batch_size]`` infos that tell the cases apart:

    - ``life_lost``: this step lost a life and others are left;
    - ``game_over``: this step ended the game, be it in the no-ops before a new life;
    - ``autoreset``: the observation is the first of a new episode (or, with
      ``noop_after_life_loss``, of a new life). In next-step autoreset, the default, such a step
      ignored its action and is no agent step; in same-step autoreset it was one.

    Args:
        game: a ROM name (``"space_invaders"``), or several: they share the pool in contiguous
            blocks of ``num_envs / len(game)`` environments.
        num_envs: number of environments.
        batch_size: results per batch; 0 for all (synchronous), fewer for the first that are ready.
        num_threads: worker threads, at most one per processor; 0 for ``batch_size``.
        thread_affinity_offset: worker i runs on processor offset + i; -1 for anywhere.
        max_num_frames_per_episode: emulator frames after which an episode is truncated.
        repeat_action_probability: sticky actions, per emulator frame.
        full_action_space: actions are ALE's numbers 0 to 17, else indices of :meth:`action_set`.
        continuous: actions are (radius, angle, fire), ``float32 [batch_size, 3]``.
        continuous_action_threshold: how far a coordinate or fire must be from 0 to count.
        autoreset_mode: next-step or same-step.
        img_height: of a frame.
        img_width: of a frame.
        grayscale: gray frames, else RGB.
        stack_num: frames per observation, the newest last.
        frameskip: emulator frames per agent step.
        maxpool: pixel-wise maximum of the last two emulator frames.
        noop_max: on reset, 0 to ``noop_max - 1`` emulator frames of no-ops, drawn per episode.
        episodic_life: a lost life ends the episode and resets the game.
        life_loss_info: a lost life sets ``terminations``; the game goes on.
        reward_clipping: rewards to -1, 0, 1.
        use_fire_reset: press FIRE after a reset where the action set has it.
        noop_min: with 1 or more the range of no-ops is as written: ``noop_min`` to ``noop_max``,
            both included.
        noop_unit: whether no-ops are counted in emulator frames or in agent steps of ``frameskip``.
        noop_after_life_loss: a lost life is followed by no-ops too, in the step that an autoreset
            would take; needs ``life_loss_info``.
        clear_stack_on_life_loss: the first observation that the agent sees of its next life holds
            no older frame: the frame returned with the lost life or, with
            ``noop_after_life_loss``, the one after the no-ops.
        pooling: ``"stock"`` as ale-py, which pools older pictures when a skip ends early;
            ``"exact"`` always takes the last two frames that this step emulated.
        maxpool_rgb: the maximum is taken per color channel, before luminance, as the paper's
            authors do; needs ``pooling="exact"``.
        mode: game mode for all, or one per environment; None for the game's default.
        difficulty: difficulty for all, or one per environment; None for the default.
        ram: adds ``infos["ram"]``, ``uint8 [batch_size, 128]``.
        extra_infos: adds the three infos above.
        emulation: ``"fast"``, our own processor and TIA around ALE's state, or ``"stock"``, ALE's.
            Both give the same bytes, and each restores the other's saved states. A cartridge that
            ours does not serve runs on ALE's; ``emulations[i]`` is the one of environment i.

    Raises:
        ValueError: a value out of range, naming it and what is allowed.
        gymnasium.error.Error: a frameskip that is not a positive int, as ale-py does.
    """

    def __init__(
        self,
        game: str | Sequence[str],
        num_envs: int,
        *,
        batch_size: int = 0,
        num_threads: int = 0,
        thread_affinity_offset: int = -1,
        max_num_frames_per_episode: int = 108000,
        repeat_action_probability: float = 0.0,
        full_action_space: bool = False,
        continuous: bool = False,
        continuous_action_threshold: float = 0.5,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        img_height: int = 84,
        img_width: int = 84,
        grayscale: bool = True,
        stack_num: int = 4,
        frameskip: int = 4,
        maxpool: bool = True,
        noop_max: int = 30,
        episodic_life: bool = False,
        life_loss_info: bool = False,
        reward_clipping: bool = True,
        use_fire_reset: bool = True,
        noop_min: int = 0,
        noop_unit: Literal["emulator_frames", "agent_steps"] = "emulator_frames",
        noop_after_life_loss: bool = False,
        clear_stack_on_life_loss: bool = False,
        pooling: Literal["stock", "exact"] = "stock",
        maxpool_rgb: bool = False,
        mode: int | Sequence[int] | None = None,
        difficulty: int | Sequence[int] | None = None,
        ram: bool = False,
        extra_infos: bool = False,
        emulation: Literal["fast", "stock"] = "fast",
    ) -> None:
        require_frameskip(frameskip)
        require_whole_numbers(num_envs=num_envs, batch_size=batch_size, num_threads=num_threads)
        require_whole_numbers(thread_affinity_offset=thread_affinity_offset, frameskip=frameskip)
        require_whole_numbers(img_height=img_height, img_width=img_width, stack_num=stack_num)
        require_whole_numbers(max_num_frames_per_episode=max_num_frames_per_episode)
        require_whole_numbers(noop_min=noop_min, noop_max=noop_max)
        require_choice("noop_unit", noop_unit, ("emulator_frames", "agent_steps"))
        require_choice("pooling", pooling, ("stock", "exact"))
        require_choice("emulation", emulation, tuple(_EMULATION))
        autoreset_mode = AutoresetMode(autoreset_mode)
        require_choice("autoreset_mode", autoreset_mode, tuple(_AUTORESET))
        self.games = tuple(
            games.canonical_name(name) for name in ([game] if isinstance(game, str) else game)
        )
        require_num_envs(num_envs, len(self.games))
        block = num_envs // len(self.games)
        self.game_index = np.repeat(np.arange(len(self.games), dtype=np.int32), block)

        settings = _core.PoolSettings()
        settings.games = [
            _core.GameChoice(self.games[index], str(roms.get_rom_path(self.games[index])), m, d)
            for index, m, d in zip(
                self.game_index,
                one_per_env("mode", mode, num_envs),
                one_per_env("difficulty", difficulty, num_envs),
                strict=True,
            )
        ]
        settings.batch_size = batch_size
        settings.num_threads = num_threads
        settings.thread_affinity_offset = thread_affinity_offset
        env = _core.EnvSettings()
        env.frame_skip = frameskip
        env.img_height = img_height
        env.img_width = img_width
        env.stack_num = stack_num
        env.grayscale = grayscale
        env.maxpool = maxpool
        env.exact_pooling = pooling == "exact"
        env.maxpool_rgb = maxpool_rgb
        env.noop_min = noop_min
        env.noop_max = noop_max
        env.noop_in_agent_steps = noop_unit == "agent_steps"
        env.noop_after_life_loss = noop_after_life_loss
        env.clear_stack_on_life_loss = clear_stack_on_life_loss
        env.use_fire_reset = use_fire_reset
        env.episodic_life = episodic_life
        env.life_loss_info = life_loss_info
        env.reward_clipping = reward_clipping
        env.max_episode_frames = max_num_frames_per_episode
        env.repeat_action_probability = repeat_action_probability
        env.full_action_space = full_action_space or continuous
        env.autoreset = _AUTORESET[autoreset_mode]
        env.emulation = _EMULATION[emulation]
        settings.env = env

        self.num_envs = num_envs
        self.batch_size = batch_size or num_envs
        self.continuous = continuous
        self.continuous_action_threshold = continuous_action_threshold
        self.grayscale = grayscale
        self.autoreset_mode = autoreset_mode
        self.metadata = {**self.metadata, "autoreset_mode": autoreset_mode}
        self.ale = _core.AtariPool(settings, ram=ram, flags=extra_infos)

        self.emulations = tuple(self.ale.emulation(i).name.lower() for i in range(num_envs))
        self._action_sets = tuple(
            np.array(self.ale.minimal_actions(i), dtype=np.int32) for i in range(num_envs)
        )
        self.action_mask = np.zeros((num_envs, 18), dtype=np.bool_)
        for mask, actions in zip(self.action_mask, self._action_sets, strict=True):
            mask[actions] = True
        for shared in (self.game_index, self.action_mask, *self._action_sets):
            shared.flags.writeable = False
        self._make_spaces((stack_num, img_height, img_width) + (() if grayscale else (3,)))

    def _make_spaces(self, obs_shape: tuple[int, ...]) -> None:
        self.single_observation_space = spaces.Box(0, 255, obs_shape, np.uint8)
        self.observation_space = batch_space(self.single_observation_space, self.batch_size)
        if self.continuous:
            self.single_action_space = spaces.Box(joystick.LOW, joystick.HIGH, dtype=np.float32)
            self.action_space = batch_space(self.single_action_space, self.batch_size)
            return
        counts = [self.ale.action_count(i) for i in range(self.num_envs)]
        self.single_action_space = spaces.Discrete(max(counts))
        if self.batch_size == self.num_envs:
            self.action_space = spaces.MultiDiscrete(counts)
        else:
            # Which environments a batch will hold is open, so only the bound they share is known.
            self.action_space = spaces.MultiDiscrete([min(counts)] * self.batch_size)

    def action_set(self, env_id: int) -> NDArray[np.int32]:
        """The minimal action set of one environment as ALE's numbers, ascending, ``int32 [n]``.

        Without ``full_action_space`` action ``a`` of that environment means ``action_set(i)[a]``.

        Raises:
            IndexError: no such environment.
        """
        if not 0 <= env_id < self.num_envs:
            raise IndexError(f"env_id {env_id} is out of range [0, {self.num_envs})")
        return self._action_sets[env_id]

    def reset(
        self,
        *,
        seed: int | NDArray[Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> ResetResult:
        """Starts new episodes. Blocks until a batch of first observations is there.

        Args:
            seed: environment i of those reset gets ``seed + i``, or ``seed[i]`` of an array with
                one entry (0 or more) for each of them. None goes on with the generators as they
                are. A seeded environment rereads its ROM.
            options: ``{"reset_mask": bool [num_envs]}`` resets some only; the others report where
                they are. That needs a synchronous pool, an earlier full reset and no step under
                way. A full reset may interrupt steps; their results are lost.

        Raises:
            TypeError, ValueError: a mask or seed of the wrong type, shape or range.
            RuntimeError: a partial reset before a full one.
        """
        indices = environments_to_reset(options, self.num_envs)
        result: ResetResult = self.ale.reset(indices, seeds_of(seed, len(indices)))
        return result

    def step(self, actions: NDArray[Any], *, out: Batch | None = None) -> StepResult:
        """:meth:`send` and :meth:`recv` in one; ``out`` receives the results where it is given.

        ``out`` needs a synchronous pool and excludes :meth:`use_batches`.
        """
        self._send(actions, out)
        return self.recv()

    def send(self, actions: NDArray[Any]) -> None:
        """Starts a step of the environments of the batch that came last, and returns at once.

        Args:
            actions: ``int32`` or ``int64 [batch_size]``, row i for the environment in row i of that
                batch; ``float32 [batch_size, 3]`` if continuous.

        Raises:
            TypeError, ValueError: a wrong dtype or shape, or an action out of range, before any
                environment moves.
            RuntimeError: no batch to answer, a closed pool, a failed environment or a fork.
        """
        self._send(actions, None)

    def _send(self, actions: NDArray[Any], out: Batch | None) -> None:
        if not isinstance(actions, np.ndarray):
            raise TypeError(f"actions must be a NumPy array, got {type(actions)}")
        if not self.continuous:
            self.ale.send(actions, None, out)
            return
        numbers, strengths = joystick.to_actions(
            actions, self.batch_size, self.continuous_action_threshold
        )
        self.ale.send(numbers, strengths, out)

    def recv(self) -> StepResult:
        """The next batch of results; ``infos["env_id"]`` says whose. Blocks; Ctrl-C interrupts.

        Raises:
            RuntimeError: nothing was sent, an environment failed (named with its game), the pool
                is closed or belongs to another process.
        """
        result: StepResult = self.ale.recv()
        return result

    def make_batch(self, **arrays: Any) -> Batch:
        """Buffers for one batch of results.

        Args:
            arrays: memory of your own instead of fresh memory: ``obs``, ``rewards``,
                ``terminations``, ``truncations`` and the infos by name. Each is a writable
                C-contiguous array of the right shape and dtype, or anything that NumPy can view as
                one without a copy (a pinned CPU tensor, shared memory).

        Returns:
            A batch whose arrays are ``batch.obs``, ``batch.rewards``, ``batch.terminations``,
            ``batch.truncations`` and ``batch["lives"]`` and so on.

        Raises:
            TypeError, ValueError: an array of the wrong kind, dtype, shape or layout.
        """
        viewed = {name: view_of(name, array) for name, array in arrays.items()}
        batch: Batch = self.ale.make_batch(**viewed)
        return batch

    def use_batches(self, batches: Sequence[Batch]) -> None:
        """Makes the pool write into these batches in turn; an empty list ends that.

        :meth:`recv` returns the arrays of the next one, and they are yours until the following
        :meth:`send`. Only without a step under way.

        Raises:
            ValueError: a batch of a pool of another shape.
            RuntimeError: a step is under way.
        """
        self.ale.use_batches(list(batches))

    def clone_state(self) -> bytes:
        """The whole pool as bytes: emulators, held sticky actions, screens, generators, stacks.

        At any time after a reset: it waits for steps under way, and their results, not received
        yet, are part of the state.

        Raises:
            RuntimeError: the pool was never reset, or cannot be saved: the game is named, and why.
        """
        state: bytes = self.ale.clone_state()
        return state

    def restore_state(self, state: bytes) -> None:
        """Goes back to where :meth:`clone_state` was called, here or in another process.

        The next call is the one that came next there. Before :meth:`send` that means the
        observation to answer is the one that the caller had then.

        Raises:
            ValueError: bytes of another kind of pool, of another version, or damaged.
        """
        self.ale.restore_state(state)

    def close_extras(self, **kwargs: Any) -> None:
        """Stops the workers, also in mid-step; called by ``close()``."""
        self.ale.close()

    def __enter__(self) -> AtariVectorEnv:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
