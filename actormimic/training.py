"""The one training loop: step, store, update. Everything that learns runs through it.

What a task is differs only in its learner and in where the weights come from. ``Training.steps`` is
a generator that yields after each step of the pool; logs, test epochs and checkpoints wrap it
(`actormimic.training_run`). All randomness is counter-based, so a checkpoint holds counters, not
generators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from actormimic.checkpoint import Checkpoint, CheckpointStore
from actormimic.config import LearningSettings
from actormimic.environments import make_env
from actormimic.faults import Diverged
from actormimic.kernels import why_no_cuda_kernels
from actormimic.learners.batches import (
    Draws,
    Extras,
    HostUpdates,
    ReplayBatches,
    Updates,
    free_rings,
    make_rings,
    ring_names,
)
from actormimic.learners.device_updates import DeviceBatches, DeviceUpdates
from actormimic.networks import PRECISIONS
from actormimic.optim import optimizer_tensors, restore_optimizer
from actormimic.policy import Actions, Frames, GameIndex
from actormimic.randomness import Stream, derive_pool_seed, generator
from actormimic.replay import ReplayRing
from actormimic.sections import ExplorationSettings
from actormimic.stopping import EarlyStopping


class Learner(Protocol):
    """What the loop asks of a learner."""

    extras: Extras
    draws: Draws
    optimizer: torch.optim.Optimizer

    def at(self, agent_steps: int) -> Mapping[str, float]:
        """Called before each step of the pool: put what is scheduled to where it stands after
        ``agent_steps`` per game. Gives the values of what may change, for the log."""

    def act(
        self, frames: Frames, game_index: GameIndex, epsilon: float, rng: np.random.Generator
    ) -> Actions:
        """epsilon-greedy actions in ALE's numbers, int64 [N], by whoever acts while training."""

    def stored_rewards(self, rewards: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rewards [N] as the ring is to keep them."""

    def label(self, frames: Frames, game_index: GameIndex) -> Mapping[str, Any]:
        """The ring's extras for the states that `act` was asked about last, once per state."""

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One update from a batch of ``draws``, equally many rows of each game in their order; its
        losses, left on the device. Waits for nothing, so that a CUDA graph can hold it."""

    def after_steps(self, agent_steps: int, before: int, updates: int, updates_before: int) -> None:
        """Called once per step of the pool with both counts, now and before."""

    def teachers(self) -> dict[str, str]:
        """Per game a digest of the network whose labels lie in its ring; empty without labels."""

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint keeps, by name; ``network`` is the one that is trained to play."""


def check_teachers(
    checkpoints: Path, values: Mapping[str, Any], teachers: Mapping[str, str]
) -> None:
    """Refuse to go on from a checkpoint's ``values`` with others than its rings' ``teachers``.

    Raises:
        ValueError: a teacher's digest is another one.
    """
    kept = values.get("teachers", {})
    if changed := [game for game in teachers if kept.get(game, teachers[game]) != teachers[game]]:
        raise ValueError(
            f"the experts of {', '.join(changed)} are not those whose labels are in {checkpoints}: "
            "trained on or replaced since; bring the earlier weights back, or begin anew in "
            "another folder"
        )


def epsilon_at(settings: ExplorationSettings, agent_steps: int, learn_start: int) -> float:
    """epsilon after ``agent_steps`` per game: linear from ``learn_start`` on."""
    if agent_steps < learn_start:
        return settings.start
    if settings.anneal_agent_steps == 0:
        return settings.end
    done = min(1.0, max(0, agent_steps - learn_start) / settings.anneal_agent_steps)
    return settings.start + done * (settings.end - settings.start)


class Training:
    """The state of one training: pool, rings, learner, and where everything stands."""

    def __init__(self, settings: LearningSettings, learner: Learner) -> None:
        self.settings = settings
        self.learner = learner
        lanes = settings.environment.num_envs
        names: list[str | None] = [None] * len(settings.games)
        if settings.replay.shared:
            names = [*ring_names(Path(settings.run_folder), settings.games)]
        with ExitStack() as stack:
            self.env = make_env(settings.games, lanes, settings.environment)
            stack.callback(self.env.close)
            self.rings = make_rings(settings.replay.capacity, lanes, learner.extras, names)
            stack.callback(free_rings, self.rings)
            self._updates = _make_updates(settings, learner, self.rings)
            self._held = stack.pop_all()
        total = lanes * len(settings.games)
        self.iteration = 0
        self.updates = 0
        self.test_is_due = False
        self.counts = np.zeros(len(settings.games), dtype=np.int64)
        self.finished: list[list[float]] = [[] for _ in settings.games]
        self._scheduled: Mapping[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._summed = 0
        self._running = np.zeros(total)
        self._begins = np.ones(total, dtype=np.bool_)
        self._cut = np.zeros(total, dtype=np.bool_)
        seed = derive_pool_seed(settings.seed, total, Stream.ENVIRONMENT, 0)
        self._frames, _ = self.env.reset(seed=seed)

    @property
    def agent_steps(self) -> int:
        """agent_steps per game so far, the mean over games (resets of an autoreset not counted)."""
        return int(self.counts.sum()) // len(self.counts)

    @property
    def epsilon(self) -> float:
        """epsilon of the next decision."""
        return epsilon_at(
            self.settings.exploration, self.agent_steps, self.settings.training.learn_start
        )

    def steps(self) -> Iterator[None]:
        """Step until the configured agent_steps are done; yields after each step of the pool."""
        while self.agent_steps < self.settings.training.agent_steps:
            self._step()
            yield

    def _step(self) -> None:
        before, updates_before = self.agent_steps, self.updates
        self._scheduled = self.learner.at(before)
        index = self.env.game_index
        rng = generator(self.settings.seed, Stream.ACTING, self.iteration)
        frames = self._frames
        actions = self.learner.act(frames, index, self.epsilon, rng)
        self.env.send(actions)
        labels = self.learner.label(frames, index)
        if self.settings.training.overlap:
            self._update()
        results = self.env.recv()
        self._store(frames, actions, results, labels)
        self._frames = results[0]
        self.iteration += 1
        if not self.settings.training.overlap:
            self._update()
        self.learner.after_steps(self.agent_steps, before, self.updates, updates_before)

    def _update(self) -> None:
        training = self.settings.training
        due = max(0, self.agent_steps - training.learn_start) // training.update_period
        if not all(len(ring) for ring in self.rings):
            return  # a state can be drawn once its successor is there; what is due waits
        while self.updates < due:
            for name, value in self._updates.run(self.updates).items():
                # Summed in float64 so that a resumed run's averages equal an uninterrupted one's.
                self._sums[name] = self._sums.get(name, 0.0) + value.double()
            self._summed += 1
            self.updates += 1

    def _store(
        self,
        frames: Frames,
        actions: npt.NDArray[np.int64],
        results: tuple[Any, Any, Any, Any, Mapping[str, Any]],
        labels: Mapping[str, Any],
    ) -> None:
        """One ring row per lane: the state acted on, what was done and what followed.

        A lane that was being reset made no decision: it stores nothing, or, where its episode was
        truncated, the final frame with action -1, so that the last transition has a successor.
        """
        _, raw, terminated, truncated, info = results
        played = ~info["autoreset"]
        rewards = np.where(played, raw, 0).astype(np.float32)
        stored = self.learner.stored_rewards(rewards)
        chosen = np.where(played, actions, -1)
        keep = played | self._cut
        over = info["game_over"] | truncated  # also in the no-ops before a new life
        lanes = self.settings.environment.num_envs
        for game, ring in enumerate(self.rings):
            first = game * lanes
            rows = np.flatnonzero(keep[first : first + lanes])
            if len(rows) == 0:
                continue
            # Nearly always all lanes: then the ring reads the frames where they lie, uncopied.
            all_lanes = len(rows) == lanes
            picked = slice(first, first + lanes) if all_lanes else rows + first
            ring.append(
                frames[picked, -1],
                chosen[picked],
                stored[picked],
                terminated[picked] & played[picked],
                starts=self._begins[picked],
                lanes=None if all_lanes else rows,
                **{name: values[picked] for name, values in labels.items()},
            )
            self._updates.stored(game, rows)
            self.counts[game] += int(played[picked].sum())
        self._updates.flush()
        self._running += rewards
        for lane in np.flatnonzero(over):
            self.finished[lane // lanes].append(float(self._running[lane]))
            self._running[lane] = 0.0
        self._begins = terminated | ~played
        self._cut = truncated & ~terminated & played

    @property
    def has_averages(self) -> bool:
        """Whether there were updates or episodes since `averages` was last called."""
        return self._summed > 0 or any(self.finished)

    def averages(self) -> dict[str, float]:
        """Mean losses of the updates and mean returns of the episodes since the last call.

        Raises:
            Diverged: a loss is not finite.
        """
        values = {name: total / self._summed for name, total in self._finite_sums().items()}
        for name, returns in zip(self.settings.games, self.finished, strict=True):
            if returns:
                values[f"train/return/{name}"] = float(np.mean(returns))
        values["epsilon"] = self.epsilon
        values.update(self._scheduled)
        self._sums, self._summed = {}, 0
        self.finished = [[] for _ in self.settings.games]
        return values

    def save(
        self,
        store: CheckpointStore,
        log_state: Mapping[str, Any],
        stopping: EarlyStopping | None = None,
    ) -> Path:
        """Write everything that going on needs.

        Raises:
            Diverged: a loss or a weight is not finite; earlier checkpoints are untouched.
        """
        sums = self._finite_sums()
        tensors = {"frames": torch.from_numpy(self._frames)}
        for name, module in self.learner.modules().items():
            for key, value in module.state_dict().items():
                tensors[f"{name}/{key}"] = value
                if value.is_floating_point() and not bool(value.isfinite().all()):
                    raise self._diverged(f"{name}.{key}")
        tensors.update(optimizer_tensors(self.learner.optimizer))
        values = {
            "iteration": self.iteration,
            "updates": self.updates,
            "test_is_due": self.test_is_due,
            "counts": self.counts.tolist(),
            "finished": self.finished,
            "sums": sums,
            "summed": self._summed,
            "scheduled": dict(self._scheduled),
            "running": self._running.tolist(),
            "begins": self._begins.tolist(),
            "cut": self._cut.tolist(),
            "log": dict(log_state),
            "teachers": self.learner.teachers(),
            "stopping": None if stopping is None else stopping.state(),
        }
        files: dict[str, Callable[[Path], Any]] = {
            f"ring-{game}.bin": partial(ring.save, compress=self.settings.checkpoint.compress_rings)
            for game, ring in zip(self.settings.games, self.rings, strict=True)
        }
        rings = frozenset(files)
        files["pool.bin"] = lambda path: path.write_bytes(self.env.clone_state())
        return store.save(self.agent_steps, tensors, values, files, self_checked=rings)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on exactly where ``checkpoint`` was written.

        Raises:
            ValueError: its rings are damaged, or hold other experts' labels.
        """
        tensors, values = checkpoint.tensors, checkpoint.values
        check_teachers(checkpoint.folder.parent, values, self.learner.teachers())
        for name, module in self.learner.modules().items():
            prefix = f"{name}/"
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
        restore_optimizer(self.learner.optimizer, tensors)
        self.env.restore_state(checkpoint.path("pool.bin").read_bytes())
        for game, ring in zip(self.settings.games, self.rings, strict=True):
            try:
                ring.load(checkpoint.path(f"ring-{game}.bin"))
            except RuntimeError as error:
                raise ValueError(
                    f"checkpoint {checkpoint.folder} is damaged: {error}; without it the run goes "
                    "on from the one before (checkpoint.keep)"
                ) from error
        self._frames = tensors["frames"].numpy()
        self.iteration = values["iteration"]
        self.updates = values["updates"]
        self._updates.restored(self.updates)
        self.test_is_due = values["test_is_due"]
        self.counts = np.array(values["counts"], dtype=np.int64)
        self.finished = values["finished"]
        self._sums = {
            name: torch.tensor(total, dtype=torch.float64) for name, total in values["sums"].items()
        }
        self._summed = values["summed"]
        self._scheduled = values.get("scheduled", {})  # checkpoints of earlier versions lack it
        self._running = np.array(values["running"])
        self._begins = np.array(values["begins"], dtype=np.bool_)
        self._cut = np.array(values["cut"], dtype=np.bool_)

    def _finite_sums(self) -> dict[str, float]:
        sums = {name: float(total) for name, total in self._sums.items()}
        if broken := [name for name, total in sums.items() if not np.isfinite(total)]:
            raise self._diverged(broken[0])
        return sums

    def _diverged(self, what: str) -> Diverged:
        return Diverged(
            f"the training has diverged: {what} is not finite by agent step {self.agent_steps}; "
            "earlier checkpoints are untouched; a smaller optimizer.learning_rate may help, from "
            "the last one on or in another folder (folder=...)"
        )

    def close(self) -> None:
        """End the pool's threads and free the rings."""
        self._held.close()


def _gathers_on_device(residence: str, device: torch.device, ring_bytes: int) -> bool:
    """Whether batches come from a mirror of the rings on ``device``, which takes the kernels and
    memory as large as the rings are."""
    if residence == "host" or (residence == "auto" and device.type != "cuda"):
        return False
    if device.type != "cuda":
        return True
    if residence == "auto" and why_no_cuda_kernels(device) is not None:
        return False
    # A fifth is for the networks and for what the updates need on their way.
    free = int(torch.cuda.mem_get_info(device)[0] * 0.8)
    if residence == "device" and ring_bytes > free:
        raise ValueError(
            f"replay.residence is 'device', but the rings take {ring_bytes / 1e9:.1f} GB and "
            f"{device} has room for {free / 1e9:.1f} GB; allowed: host, auto, or a smaller "
            "replay.capacity"
        )
    return ring_bytes <= free


def _make_updates(
    settings: LearningSettings, learner: Learner, rings: Sequence[ReplayRing]
) -> Updates:
    network = learner.modules()["network"]
    device = next(network.parameters()).device
    rows, draws, extras = settings.training.batch, learner.draws, learner.extras
    ring_bytes = sum(ring.nbytes for ring in rings)
    if not _gathers_on_device(settings.replay.residence, device, ring_bytes):
        batches = ReplayBatches(rings, rows, draws, extras, settings.seed, device)
        return HostUpdates(learner.update, batches)
    # The arithmetic of the first layer. In bfloat16 that rounds byte / 255 to 8 bits, half a step
    # of 1/255 at most, whereas bytes, which acting and the host's batches bring, are exact.
    dtype = PRECISIONS[settings.precision]
    mirrored = DeviceBatches(rings, rows, draws, extras, settings.seed, device, dtype)
    return DeviceUpdates(learner.update, mirrored)
