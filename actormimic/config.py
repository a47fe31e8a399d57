"""Every setting of a run: name, type, range, default and meaning, checked before anything runs.

A run is described by one YAML file whose ``task`` chooses the model below that checks it.
``preset`` lays a named set of values (``actormimic.presets``) under the file's own, ``key=value``
overrides lie on top. Counts are ``agent_steps`` (one decision) or ``emulator_frames`` (four to a
decision by default), never bare steps or frames, and count per game unless a docstring says
otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from actormimic.games import canonical_name
from actormimic.presets import PRESETS

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """A group of settings: unknown keys are errors, values are never coerced between types."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class EnvironmentSettings(Section):
    """The Atari environments a network trains on (Mnih et al. 2015, Extended Data Table 1)."""

    num_envs: Positive = 8
    """Environments per game that act at the same time."""
    threads: Count = 1
    """Threads of the emulation pool; 0 takes one for each processor."""
    frame_skip: Positive = 4
    """emulator_frames for which an action is repeated."""
    pooling: Literal["exact", "stock"] = "exact"
    """Maximum of the last two frames: ``exact``, or ale-py's way, stale if a skip ends early."""
    maxpool_rgb: bool = False
    """Take that maximum on RGB before the luminance, as the paper's authors do."""
    noop_max: Count = 30
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
    max_emulator_frames: Positive = 108_000
    """Length at which an episode is truncated, in emulator_frames."""


NETWORK_LAYERS = {
    "small": ("conv1", "conv2", "conv3", "fc1"),
    "large": ("conv1", "conv2", "conv3", "conv4", "fc1", "fc2"),
    "nips2013": ("conv1", "conv2", "fc1"),
}


class NetworkSettings(Section):
    """Architecture of a network (section 5, appendices C and D)."""

    size: Literal["small", "large", "nips2013"] = "small"
    """``small``: Mnih et al. 2015; ``large``: appendix D; ``nips2013``: Mnih et al. 2013."""
    conv1_padding: Annotated[int, Field(ge=0, le=4)] = 0
    """Zero padding of the first convolution; the authors' code has 1."""
    outputs: Literal["valid", "all"] = "all"
    """Output units: the game's ``valid`` actions only, or ``all`` 18 with a mask."""


class OptimizerSettings(Section):
    """The optimizer and its constants."""

    kind: Literal["adam", "authors_adam", "centered_rmsprop"] = "adam"
    """``authors_adam``: epsilon in the root, no bias correction; ``centered_rmsprop``: DQN's."""
    learning_rate: PositiveFloat = 2.5e-4
    """Step size."""
    beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """Decay of Adam's first moment, or of centered RMSProp's mean gradient."""
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    """Decay of the second moment."""
    epsilon: PositiveFloat = 1e-8
    """Added to the second moment: inside the root except for ``adam``."""
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

    capacity: Positive = 100_000
    """Frames kept per game."""
    feature_dtype: Literal["float16", "float32"] = "float16"
    """How experts' features are stored beside the frames (used where beta is not 0)."""


class TrainingSettings(Section):
    """Length and rhythm of the training."""

    agent_steps: Positive = 4_000_000
    """Length, in agent_steps per game."""
    learn_start: Count = 10_000
    """agent_steps per game before the first update."""
    update_period: Positive = 4
    """agent_steps per game between updates."""
    batch: Positive = 32
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
    beta: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of the feature regression in eq. 6; 0 leaves it out."""
    feature_factor: PositiveFloat = 1.0
    """1 for eq. 5 as printed, 0.5 for the authors' code."""
    reduction: Literal["sum", "mean"] = "sum"
    """Sum over a batch's rows, or their mean."""
    acting: Literal["student", "expert", "mixture"] = "student"
    """Who acts while training."""
    expert_share: Probability = 0.5
    """With ``mixture``: share of decisions that the expert takes."""
    selection: Literal["argmax", "sample"] = "argmax"
    """The student's non-random action: greedy (authors) or drawn from its softmax."""


class EvaluationSettings(Section):
    """The test epochs (section 5; facts in the README)."""

    agent_steps: Positive = 125_000
    """Length of a test epoch, in agent_steps per game."""
    every_agent_steps: Positive = 250_000
    """agent_steps per game of training between test epochs."""
    epsilon: Probability = 0.05
    """epsilon of the evaluated policy."""
    protocol: Literal["paper", "batched"] = "paper"
    """``paper``: one stream, completed episodes; ``batched``: lanes, every episode started."""
    lanes: Positive = 8
    """Environments per game with ``batched``."""


class CheckpointSettings(Section):
    """What a run keeps to go on after an interruption."""

    every_agent_steps: Positive = 250_000
    """agent_steps per game between checkpoints."""
    keep: Positive = 2
    """Checkpoints kept; only the newest carries the rings."""


class ExpertTrainingSettings(Section):
    """How missing experts are trained before the student."""

    config: str = "expert.yaml"
    """A ``task: dqn`` config; ``game`` is filled in."""
    folder: str = "runs/experts"
    """Where the experts' run folders live; later runs find them there."""
    processes: Positive = 2
    """Games trained side by side, each in a process of its own with one thread."""
    overrides: list[str] = []
    """``key=value`` on top of that config."""


class RunSettings(Section):
    """What every task has."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "run"
    """Name of the run; its folder is ``runs/<name>`` unless ``folder`` says otherwise."""
    folder: str | None = None
    """The run's folder."""
    preset: str | None = None
    """A named set of values under the file's own: ``paper``, ``authors`` or ``fast``."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of everything random."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """``auto`` (a GPU where there is one), ``cpu`` or ``cuda``."""
    threads: Count = 0
    """torch's threads; 0 leaves torch's own choice."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the hidden layers; output layers, losses and weights stay float32."""
    resume: Literal["auto", "never", "always"] = "auto"
    """Go on with what the folder holds: if there is something, never, or insist."""

    @property
    def run_folder(self) -> str:
        """The run's folder, as given or ``runs/<name>``."""
        return self.folder or f"runs/{self.name}"


class GamesSettings(RunSettings):
    """A run over one or several games."""

    games: Annotated[list[str], Field(min_length=1)]
    """The games, in ALE's names."""
    environment: EnvironmentSettings = EnvironmentSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("games")
    @classmethod
    def _known_games(cls, games: list[str]) -> list[str]:
        for game in games:
            if games.count(game) > 1:
                raise ValueError(f"{game!r} is listed twice; allowed: each game once")
        return [canonical_name(game) for game in games]


class LearningSettings(GamesSettings):
    """What every task that trains a network has."""

    network: NetworkSettings = NetworkSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    exploration: ExplorationSettings = ExplorationSettings()
    replay: ReplaySettings = ReplaySettings()
    training: TrainingSettings = TrainingSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

    @model_validator(mode="after")
    def _consistent(self) -> LearningSettings:
        smallest = 8 * self.environment.num_envs
        if self.replay.capacity < smallest:
            raise ValueError(
                f"replay.capacity is {self.replay.capacity}; allowed: at least {smallest} "
                f"(8 frames for each of environment.num_envs)"
            )
        if self.environment.noop_after_life_loss and not self.environment.life_loss_terminal:
            raise ValueError(
                "environment.noop_after_life_loss is true; allowed only with "
                "environment.life_loss_terminal"
            )
        if self.environment.noop_min > self.environment.noop_max:
            raise ValueError(
                f"environment.noop_min is {self.environment.noop_min}; allowed: at most "
                f"environment.noop_max ({self.environment.noop_max})"
            )
        return self


class OneGameSettings(LearningSettings):
    """A run on one game: its file says ``game: pong``; the rest of the code sees a list of one."""

    @model_validator(mode="before")
    @classmethod
    def _game(cls, values: Any) -> Any:
        if isinstance(values, dict) and "game" in values:
            values = dict(values)
            if "games" in values:
                raise ValueError("game and games are both given; this task has one game")
            values["games"] = [values.pop("game")]
        return values

    @model_validator(mode="after")
    def _one_game(self) -> OneGameSettings:
        if len(self.games) != 1:
            raise ValueError(f"games has {len(self.games)} entries; this task has one game")
        return self


class DqnRun(OneGameSettings):
    """``task: dqn``: one expert (Mnih et al. 2015)."""

    task: Literal["dqn"]
    dqn: DqnSettings = DqnSettings()


class MultitaskDqnRun(LearningSettings):
    """``task: multitask_dqn``: the baselines of appendix C."""

    task: Literal["multitask_dqn"]
    heads: Literal["shared", "separate"] = "shared"
    """``shared``: MDQN, one masked output; ``separate``: MCDQN, games share the convolutions."""
    dqn: DqnSettings = DqnSettings()


class TransferRun(OneGameSettings):
    """``task: transfer``: a DQN on a new game from an Actor-Mimic network (section 3.4)."""

    task: Literal["transfer"]
    source: str
    """The checkpoint to start from, or ``random``: the same network from random weights."""
    output_layer: Literal["reinitialize", "keep"] = "reinitialize"
    """The paper drops the softmax layer; the authors' code keeps it, masked."""
    freeze: list[Literal["conv1", "conv2", "conv3", "conv4", "fc1", "fc2"]] = []
    """Layers whose transferred weights stay as they are."""
    dqn: DqnSettings = DqnSettings()

    @model_validator(mode="after")
    def _layers_exist(self) -> TransferRun:
        layers = NETWORK_LAYERS[self.network.size]
        for layer in self.freeze:
            if layer not in layers:
                raise ValueError(
                    f"freeze names {layer}, which the {self.network.size} network has not; "
                    f"allowed: {', '.join(layers)}"
                )
        return self


class ActorMimicRun(LearningSettings):
    """``task: actor_mimic``: one student of several experts (section 3)."""

    task: Literal["actor_mimic"]
    actor_mimic: ActorMimicSettings = ActorMimicSettings()
    experts: Literal["train", "bundled"] | dict[str, str] = "train"
    """Per game a file or ``bundled``; or for all games ``bundled`` or ``train`` (train them)."""
    expert_training: ExpertTrainingSettings = ExpertTrainingSettings()

    @field_validator("experts")
    @classmethod
    def _expert_games(cls, experts: Any) -> Any:
        if isinstance(experts, dict):
            return {canonical_name(game): source for game, source in experts.items()}
        return experts

    @model_validator(mode="after")
    def _experts_play(self) -> ActorMimicRun:
        if isinstance(self.experts, dict):
            extra = sorted(set(self.experts) - set(self.games))
            if extra:
                raise ValueError(f"experts names {extra[0]}; allowed: {', '.join(self.games)}")
        return self


class EvaluateRun(GamesSettings):
    """``task: evaluate``: a test epoch of a network, of random play, or of experts."""

    task: Literal["evaluate"]
    source: str = "random"
    """A checkpoint, ``bundled``, or ``random``."""


class PipelineRun(RunSettings):
    """``task: pipeline``: several configs in order, each with its overrides."""

    task: Literal["pipeline"]
    stages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    """Each stage: ``config: FILE`` and any settings that override it."""


AnyRun = Annotated[
    DqnRun | MultitaskDqnRun | TransferRun | ActorMimicRun | EvaluateRun | PipelineRun,
    Field(discriminator="task"),
]
RUN_ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyRun)


def task_models() -> dict[str, type[RunSettings]]:
    """``task`` -> the model that checks it."""
    union, _ = get_args(AnyRun)
    return {get_args(model.model_fields["task"].annotation)[0]: model for model in get_args(union)}


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``under`` with ``over`` laid on top, section by section."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def resolve(values: dict[str, Any]) -> RunSettings:
    """Check ``values`` (a parsed file with its overrides) and fill in preset and defaults.

    Raises:
        ValueError: an unknown task or preset; pydantic's ValidationError (a ValueError) otherwise.
    """
    preset = values.get("preset")
    if preset is not None:
        known = PRESETS.get(str(values.get("task")), {})
        if not isinstance(preset, str) or preset not in known:
            allowed = ", ".join(known) or "none for this task"
            raise ValueError(f"preset is {preset!r}; allowed: {allowed}")
        values = merge(known[preset], values)
    run: RunSettings = RUN_ADAPTER.validate_python(values)
    return run
