"""The sections that runs' settings are made of: name, type, range, default and meaning.

``actormimic.config`` puts them together into what each task takes. Counts are ``agent_steps`` (one
decision) or ``emulator_frames`` (four to a decision by default), never bare steps or frames, and
count per game unless a docstring says otherwise.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from actormimic.games import canonical_name
from actormimic.schedules import (
    ScheduledProbability,
    ScheduledRate,
    ScheduledWeight,
    largest,
)

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
# ``~`` is the user's folder here, once, so that whatever reads the setting finds the same file.
Place = Annotated[str, AfterValidator(os.path.expanduser)]


class Section(BaseModel):
    """A group of settings: unknown keys are errors, values are never coerced between types."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


def refuse_idle(section: Section, name: str, why: str, place: str = "") -> None:
    """Refuse a setting that was changed where nothing reads it; ``place`` stands before its name.

    Raises:
        ValueError: its value is not the default.
    """
    value, default = getattr(section, name), type(section).model_fields[name].default
    if value != default:
        raise ValueError(
            f"{place}{name} is {value!r}, which changes nothing ({why}); allowed here: {default!r}"
        )


class EnvironmentSettings(Section):
    """The Atari environments a network trains on (Mnih et al. 2015, Extended Data Table 1)."""

    num_envs: Positive = 8
    """Environments per game that act at the same time."""
    threads: Annotated[int, Field(ge=0, le=100_000)] = 1
    """Threads of the emulation pool; 0 takes one for each processor."""
    emulation: Literal["fast", "stock"] = "fast"
    """``fast``: our own processor and TIA; ``stock``: ALE's. The same games, byte for byte."""
    frame_skip: Annotated[int, Field(ge=1, le=1_000)] = 4
    """emulator_frames for which an action is repeated."""
    pooling: Literal["exact", "stock"] = "exact"
    """Maximum of the last two frames: ``exact``, or ale-py's way, stale if a skip ends early."""
    maxpool_rgb: bool = False
    """Take that maximum on RGB before the luminance, as the paper's authors do."""
    noop_max: Annotated[int, Field(ge=0, le=999_999)] = 30
    """The most no-ops after a reset, in ``noop_unit``."""
    noop_min: Count = 1
    """The fewest no-ops after a reset, in ``noop_unit``."""
    noop_unit: Literal["agent_steps", "emulator_frames"] = "agent_steps"
    """Unit of the no-ops; the authors count single emulator_frames."""
    noop_after_life_loss: bool = False
    """No-ops after each lost life too, as the authors do."""
    life_loss_terminal: bool = True
    """A lost life ends the return that is learned (the game goes on)."""
    sticky_probability: Probability = 0.0
    """Probability that the emulator repeats the last action instead."""
    max_emulator_frames: Annotated[int, Field(ge=0, le=2_000_000_000)] = 108_000
    """Length at which an episode is truncated, in emulator_frames; 0: no limit (authors)."""

    @model_validator(mode="after")
    def _consistent(self) -> EnvironmentSettings:
        if self.noop_after_life_loss and not self.life_loss_terminal:
            raise ValueError("noop_after_life_loss is true; allowed only with life_loss_terminal")
        if self.maxpool_rgb and self.pooling == "stock":
            raise ValueError("maxpool_rgb is true; allowed only with pooling: exact")
        if self.noop_min > self.noop_max:
            raise ValueError(
                f"noop_min is {self.noop_min}; allowed: at most noop_max ({self.noop_max})"
            )
        return self


NETWORK_LAYERS = {
    "small": ("conv1", "conv2", "conv3", "fc1"),
    "large": ("conv1", "conv2", "conv3", "conv4", "fc1", "fc2"),
    "nips2013": ("conv1", "conv2", "fc1"),
}


class NetworkSettings(Section):
    """Architecture of a network (section 5, appendices C and D) and its first weights."""

    size: Literal["small", "large", "nips2013"] = "small"
    """``small``: Mnih et al. 2015; ``large``: appendix D; ``nips2013``: Mnih et al. 2013."""
    conv1_padding: Annotated[int, Field(ge=0, le=4)] = 0
    """Zero padding of the first convolution; the authors' code has 1."""
    outputs: Literal["valid", "all"] = "all"
    """Output units: the game's ``valid`` actions only, or ``all`` 18 with a mask."""
    initialization: Literal["torch", "he"] = "torch"
    """First weights: ``torch``: uniform within 1/sqrt(fan_in), as in the paper's code; ``he``:
    within sqrt(6/fan_in) before each rectifier, biases 0 (He et al. 2015)."""


class OptimizerSettings(Section):
    """The optimizer and its constants."""

    kind: Literal["adam", "authors_adam", "centered_rmsprop"] = "adam"
    """``authors_adam``: epsilon in the root, no bias correction; ``centered_rmsprop``: DQN's. These
    two have beta1 and beta2 0.95 and epsilon 0.01 unless told otherwise; below are Adam's."""
    learning_rate: ScheduledRate = 2.5e-4
    """Step size, or a schedule of it: DQN's scores swing from checkpoint to checkpoint unless it
    falls towards the end."""
    beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """Decay of Adam's first moment, or of centered RMSProp's mean gradient."""
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    """Decay of the second moment."""
    epsilon: PositiveFloat = 1e-8
    """Guards the division: ``adam`` adds it to the root, the other two add it under the root."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """lambda of eq. 8: lambda * theta is added to the gradient."""

    @model_validator(mode="before")
    @classmethod
    def _constants_of_the_kind(cls, values: Any) -> Any:
        # The published optimizers have constants of their own; Adam's would not do for them.
        if isinstance(values, dict) and values.get("kind") in ("authors_adam", "centered_rmsprop"):
            return {"beta1": 0.95, "beta2": 0.95, "epsilon": 0.01, **values}
        return values

    @model_validator(mode="after")
    def _variance_is_positive(self) -> OptimizerSettings:
        if self.kind == "centered_rmsprop" and self.beta1 != self.beta2:
            raise ValueError(
                f"beta1 is {self.beta1} and beta2 {self.beta2}; centered_rmsprop takes equal ones "
                "(the root of v - m^2 needs means over the same gradients)"
            )
        return self


class ExplorationSettings(Section):
    """epsilon-greedy acting while training."""

    start: Probability = 0.1
    """epsilon until ``training.learn_start``, where it begins to fall."""
    end: Probability = 0.1
    """epsilon once annealed."""
    anneal_agent_steps: Count = 0
    """agent_steps over which epsilon falls linearly, counted from ``training.learn_start``."""


class ReplaySettings(Section):
    """The replay memory, one ring per game."""

    capacity: Annotated[int, Field(ge=1, le=2**32)] = 100_000
    """Frames kept per game."""
    feature_dtype: Literal["float16", "float32"] = "float16"
    """How experts' features are stored beside the frames (used where beta is not 0)."""
    residence: Literal["auto", "host", "device"] = "auto"
    """Where batches are gathered: ``host``, by the rings in main memory; ``device``, from a copy of
    the rings in the GPU's memory, where the whole update runs as one CUDA graph. ``auto``:
    ``device`` where the package's CUDA module runs on the GPU and the rings fit, else ``host``."""
    shared: bool = False
    """Keep the rings in POSIX shared memory, where ``python -m actormimic.replay`` shows them."""


class TrainingSettings(Section):
    """Length and rhythm of the training."""

    agent_steps: Positive = 4_000_000
    """Length, in agent_steps per game."""
    learn_start: Count = 10_000
    """agent_steps per game before learning begins; the first update is ``update_period`` later."""
    update_period: Positive = 4
    """agent_steps per game between updates."""
    batch: Annotated[int, Field(ge=1, le=2**24)] = 32
    """Rows of one update: in all for ``dqn``, per game otherwise."""
    log_every_agent_steps: Positive = 5_000
    """agent_steps per game between lines of the log."""
    overlap: bool = True
    """Learn while the emulators step, from what was stored before; else after each step."""


class DqnSettings(Section):
    """Q-learning (eq. 1 and 2; Mnih et al. 2015)."""

    discount: Probability = 0.99
    """gamma."""
    target_period: Positive = 10_000
    """How often the target network is copied, in ``target_unit``."""
    target_unit: Literal["agent_steps", "updates"] = "agent_steps"
    """The released code counts agent_steps, the paper says parameter updates."""
    double: bool = False
    """Double Q-learning: the online network chooses the next action."""
    n_step: Annotated[int, Field(ge=1, le=64)] = 1
    """Steps of the return before bootstrapping."""
    td_clip: Annotated[float, Field(ge=0.0)] = 1.0
    """Bound of each TD error's gradient; 0 leaves it unbounded."""
    reward_clip: Annotated[float, Field(ge=0.0)] = 1.0
    """Bound of each reward in learning; 0 leaves it unbounded."""
    reduction: Literal["sum", "mean"] = "sum"
    """Sum the losses of a batch (as published) or average them."""


class ActorMimicSettings(Section):
    """The objective of section 3 and how the states are found."""

    temperature: PositiveFloat = 1.0
    """tau of eq. 3."""
    objective: Literal["cross_entropy", "kl", "reverse_kl", "mse"] = "cross_entropy"
    """Policy objective: eq. 4, or one of the alternatives people compare with."""
    beta: ScheduledWeight = 0.0
    """Weight of the feature regression in eq. 6, or a schedule of it; 0 leaves it out."""
    game_weights: dict[str, ScheduledWeight] = Field(default={})
    """Per game a factor on the losses of its rows, or a schedule of it; 1 for games not named."""
    feature_head: Literal["linear", "mlp"] = "linear"
    """f_i of eq. 5: ``linear``, the paper's, or ``mlp``: one hidden layer (ReLU) as wide as the
    student's features."""
    feature_factor: PositiveFloat = 1.0
    """1 for eq. 5 as printed, 0.5 for the authors' code."""
    reduction: Literal["sum", "mean"] = "sum"
    """Sum over a batch's rows, or their mean."""
    acting: Literal["student", "expert", "mixture"] = "student"
    """Who acts while training."""
    expert_share: ScheduledProbability = 0.5
    """With ``mixture``: share of decisions that the expert takes. A schedule that falls from 1 to 0
    is that of DAgger (Ross, Gordon and Bagnell 2011)."""
    selection: Literal["argmax", "sample"] = "argmax"
    """The student's non-random action: greedy (authors) or drawn from its softmax."""

    @model_validator(mode="after")
    def _nothing_idle(self) -> ActorMimicSettings:
        if self.acting != "mixture":
            refuse_idle(self, "expert_share", f"acting is {self.acting!r}")
        if self.acting == "expert":
            refuse_idle(self, "selection", "acting is 'expert'")
        if largest(self.beta) == 0:
            refuse_idle(self, "feature_head", "beta is 0")
        return self

    @field_validator("game_weights")
    @classmethod
    def _canonical_games(cls, weights: dict[str, Any]) -> dict[str, Any]:
        return {canonical_name(game): weight for game, weight in weights.items()}


class EarlyStoppingSettings(Section):
    """When a student stops for the sake of transfer, which long training hurts (section 5.2)."""

    patience: Count = 0
    """Test epochs in a row without a new lowest measure after which the run ends, with the weights
    that had the lowest; 0: train to the end.

    The measure: the cross-entropy of eq. 4 minus the expert's entropy (the mean divergence from
    expert to student, in nats), averaged over games, on the states that the student visits in a
    test epoch and never learns from. Once it no longer falls, training fits the replay memory only.
    """
    min_improvement: Annotated[float, Field(ge=0.0)] = 0.0
    """Nats by which the measure has to fall below the lowest to count as a new lowest."""

    @model_validator(mode="after")
    def _nothing_idle(self) -> EarlyStoppingSettings:
        if self.patience == 0:
            refuse_idle(self, "min_improvement", "patience is 0")
        return self


class SimilaritySettings(Section):
    """How like each source game the target is in the source network's features beforehand."""

    agent_steps: Count = 1_000
    """agent_steps per game whose states are compared; 0: no comparison."""
    variance: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Share of a source's variance that its principal directions are to hold (``explained``)."""

    @model_validator(mode="after")
    def _nothing_idle(self) -> SimilaritySettings:
        if self.agent_steps == 0:
            refuse_idle(self, "variance", "agent_steps is 0")
        return self


class EvaluationSettings(Section):
    """The test epochs; in the paper 125,000 agent steps with epsilon 0.05 (section 5)."""

    agent_steps: Positive = 125_000
    """Length of a test epoch, in agent_steps per game."""
    every_agent_steps: Positive = 250_000
    """agent_steps per game of training between test epochs."""
    epsilon: Probability = 0.05
    """epsilon of the evaluated policy."""
    protocol: Literal["paper", "batched"] = "paper"
    """``paper``: one environment per game, its completed episodes count; ``batched``: ``lanes`` of
    them, and every episode that starts within the length is played to its end and counts."""
    lanes: Positive = 8
    """Environments per game with ``batched``."""


class CheckpointSettings(Section):
    """What a run keeps to go on after an interruption."""

    every_agent_steps: Positive = 250_000
    """agent_steps per game between checkpoints."""
    keep: Positive = 1
    """Checkpoints kept, each with its rings: should the newest be damaged, the run goes on from the
    one before."""
    compress_rings: bool = False
    """Deflate the rings: many times smaller files for seconds of processor time per gigabyte."""


class ExpertFile(Section):
    """An expert's file, and what a file of another library does not say itself."""

    file: Annotated[Place, Field(min_length=1)]
    """The file, a run folder, or ``bundled``."""
    pixels: Literal["unit", "bytes"] | None = None
    """What the network takes: [0, 1] (``unit``) or 0 to 255; null: what the file says, or unit."""
    actions: list[Annotated[int, Field(ge=0, le=17)]] | None = None
    """ALE's number of each output, in order; null: the game's minimal set, or all 18."""


def expert_file(source: str | ExpertFile) -> str:
    """The file, folder or ``bundled`` that an entry of ``experts`` names."""
    return source.file if isinstance(source, ExpertFile) else source


class ExpertTrainingSettings(Section):
    """How missing experts are trained before the student."""

    config: str = "expert.yaml"
    """A ``task: dqn`` config; ``game`` is filled in. In a file: one beside it, or else one of the
    package's; as ``key=value``: one in the working directory, or else one of the package's."""
    folder: Place = "runs/experts"
    """Where the experts' run folders live; later runs find them there."""
    processes: Positive = 2
    """Games trained side by side, each in a process of its own with one thread."""
    overrides: list[str] = []
    """``key=value`` on top of that config."""
