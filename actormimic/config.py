"""Every setting of a run, checked before anything runs: what each task takes.

A run is described by one YAML file whose ``task`` chooses the model below that checks it; models
are made of the sections in ``actormimic.sections``. ``preset`` lays a named set of values
(``actormimic.presets``) under the file's own, ``key=value`` overrides lie on top.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, field_validator, model_validator

from actormimic.convergence_sections import (
    DescentSettings,
    HorizonSettings,
    IterationSettings,
    ProcessSettings,
)
from actormimic.games import canonical_name
from actormimic.presets import PRESETS, fitting
from actormimic.schedules import largest
from actormimic.sections import (
    NETWORK_LAYERS,
    ActorMimicSettings,
    CheckpointSettings,
    DqnSettings,
    EarlyStoppingSettings,
    EnvironmentSettings,
    EvaluationSettings,
    ExpertFile,
    ExpertTrainingSettings,
    ExplorationSettings,
    NetworkSettings,
    OptimizerSettings,
    Place,
    Positive,
    ReplaySettings,
    Section,
    SimilaritySettings,
    TrainingSettings,
    refuse_idle,
)


class RunSettings(Section):
    """What every task has."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "run"
    """Name of the run; its folder is ``runs/<name>`` unless ``folder`` says otherwise."""
    folder: Place | None = None
    """The run's folder."""
    preset: str | None = None
    """A named set of values under the file's own: ``paper``, ``authors`` or ``fast``."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of everything random."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """``auto`` (a GPU where there is one, with the package's kernels if the task needs them),
    ``cpu`` or ``cuda``."""
    threads: Annotated[int, Field(ge=0, le=1_024)] = 0
    """torch's threads; 0 leaves torch's own choice."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the hidden layers; output layers, losses and weights stay float32. ``float32``
    is that on a GPU too: no TF32, which rounds what is multiplied to 10 bits."""
    resume: Literal["auto", "never", "always"] = "auto"
    """``auto``: go on with the folder's run, or begin one; ``never``: refuse a folder that holds a
    run; ``always``: refuse one that holds none."""

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

    @property
    def one_output_layer(self) -> bool:
        """Whether all games have the network's output layer in common."""
        return True

    @model_validator(mode="after")
    def _consistent(self) -> LearningSettings:
        smallest = 8 * self.environment.num_envs
        if self.replay.capacity < smallest:
            raise ValueError(
                f"replay.capacity is {self.replay.capacity}; allowed: at least {smallest} "
                f"(8 frames for each of environment.num_envs)"
            )
        if self.network.outputs == "valid" and len(self.games) > 1 and self.one_output_layer:
            raise ValueError(
                f"network.outputs is 'valid' for {len(self.games)} games with one output layer; "
                f"allowed: all"
            )
        length, start = self.training.agent_steps, self.training.learn_start
        if start + self.training.update_period > length:
            raise ValueError(
                f"training.learn_start is {start}, and the first update, training.update_period "
                f"({self.training.update_period}) later, would come after training.agent_steps "
                f"({length}); allowed: a sum of at most that"
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

    @property
    def one_output_layer(self) -> bool:
        return self.heads == "shared"


HiddenLayer = Literal["conv1", "conv2", "conv3", "conv4", "fc1", "fc2"]


class TransferRun(OneGameSettings):
    """``task: transfer``: a DQN on a new game from an Actor-Mimic network (section 3.4)."""

    task: Literal["transfer"]
    source: Place
    """The checkpoint to start from, or ``random``: the same network from random weights."""
    output_layer: Literal["reinitialize", "keep"] = "reinitialize"
    """The paper drops the softmax layer; the authors' code keeps it, masked."""
    reinitialize: list[HiddenLayer] = Field(default=[])
    """Hidden layers that are not taken from the source but start from random weights."""
    freeze: list[HiddenLayer] = Field(default=[])
    """Layers whose weights stay as they are: the source's, or random ones of a random source."""
    similarity: SimilaritySettings = SimilaritySettings()
    dqn: DqnSettings = DqnSettings()

    @field_validator("source")
    @classmethod
    def _one_network(cls, source: str) -> str:
        if source == "bundled":
            raise ValueError(
                "'bundled' are experts of a game each; allowed: a weights file, a run folder or "
                "random"
            )
        return source

    @model_validator(mode="after")
    def _layers_exist(self) -> TransferRun:
        layers = NETWORK_LAYERS[self.network.size]
        for key in ("reinitialize", "freeze"):
            for layer in getattr(self, key):
                if layer not in layers:
                    raise ValueError(
                        f"{key} names {layer}, which the {self.network.size} network has not; "
                        f"allowed: {', '.join(layers)}"
                    )
        for layer in self.freeze:
            if layer in self.reinitialize:
                raise ValueError(
                    f"freeze names {layer}, which reinitialize names too and would never learn; "
                    f"allowed: layers that are taken from the source"
                )
        if self.source == "random":
            refuse_idle(self, "reinitialize", "source is 'random'")
            for name in SimilaritySettings.model_fields:
                refuse_idle(self.similarity, name, "source is 'random'", "similarity.")
        elif not self.reinitialize:
            why = "each layer that it is for is the source's"
            refuse_idle(self.network, "initialization", why, "network.")
        return self


class ActorMimicRun(LearningSettings):
    """``task: actor_mimic``: one student of several experts (section 3)."""

    task: Literal["actor_mimic"]
    actor_mimic: ActorMimicSettings = ActorMimicSettings()
    experts: Literal["train", "bundled", "auto"] | dict[str, Place | ExpertFile] = "train"
    """Per game a file, run folder or ``bundled``; or for all ``bundled``, ``train`` (train them) or
    ``auto`` (the package's own where it has one, else train). Games that a mapping leaves out are
    trained as ``expert_training`` says.

    Files of other libraries may need ``{file: PATH, pixels: unit or bytes, actions: [ALE's number
    of each output]}``, where the game's action set or the file does not say it.
    """
    expert_training: ExpertTrainingSettings = ExpertTrainingSettings()
    early_stopping: EarlyStoppingSettings = EarlyStoppingSettings()

    @field_validator("experts")
    @classmethod
    def _expert_games(cls, experts: Any) -> Any:
        if isinstance(experts, dict):
            return {canonical_name(game): source for game, source in experts.items()}
        return experts

    @model_validator(mode="after")
    def _experts_play(self) -> ActorMimicRun:
        if largest(self.actor_mimic.beta) == 0:
            refuse_idle(self.replay, "feature_dtype", "actor_mimic.beta is 0", "replay.")
            # Presets have it whatever beta is, and so has a file that one was written down in.
            preset = PRESETS["actor_mimic"].get(str(self.preset), {}).get("actor_mimic", {})
            if self.actor_mimic.feature_factor != preset.get("feature_factor"):
                why = "actor_mimic.beta is 0"
                refuse_idle(self.actor_mimic, "feature_factor", why, "actor_mimic.")
        if isinstance(self.experts, dict):
            extra = sorted(set(self.experts) - set(self.games))
            if extra:
                raise ValueError(f"experts names {extra[0]}; allowed: {', '.join(self.games)}")
        if self.early_stopping.patience:
            period = self.evaluation.every_agent_steps
            if period > self.training.agent_steps:
                raise ValueError(
                    f"early_stopping.patience is {self.early_stopping.patience}, and no test epoch "
                    f"comes within training.agent_steps ({self.training.agent_steps}); allowed: 0, "
                    f"or evaluation.every_agent_steps (now {period}) up to that"
                )
        for game in self.actor_mimic.game_weights:
            if game not in self.games:
                raise ValueError(
                    f"actor_mimic.game_weights names {game}; allowed: {', '.join(self.games)}"
                )
        return self


class EvaluateRun(GamesSettings):
    """``task: evaluate``: a test epoch of a network, of random play, or of experts."""

    task: Literal["evaluate"]
    source: Place | ExpertFile = "random"
    """A checkpoint, ``bundled``, or ``random``; a file of another library as in ``experts``."""

    @model_validator(mode="after")
    def _nothing_idle(self) -> EvaluateRun:
        why = "a test epoch has lanes, and plays every game to its end"
        for name in ("num_envs", "life_loss_terminal", "noop_after_life_loss"):
            refuse_idle(self.environment, name, why, "environment.")
        why = "nothing is trained in between"
        refuse_idle(self.evaluation, "every_agent_steps", why, "evaluation.")
        return self


class ConvergenceRun(RunSettings):
    """``task: convergence``: section 4 and appendix A, computed exactly (float64, on the CPU)."""

    task: Literal["convergence"]
    process: ProcessSettings = ProcessSettings()
    iteration: IterationSettings = IterationSettings()
    descent: DescentSettings = DescentSettings()
    horizon: HorizonSettings = HorizonSettings()

    @model_validator(mode="after")
    def _computes_exactly(self) -> ConvergenceRun:
        where = "this task computes in float64 on the CPU"
        if self.device not in ("auto", "cpu"):
            raise ValueError(f"device is {self.device!r}; allowed: auto or cpu ({where})")
        if self.precision != "float32":  # the default, which says nothing here
            raise ValueError(f"precision is {self.precision!r}; allowed: float32 ({where})")
        return self


def needs_kernels(settings: RunSettings) -> str | None:
    """The setting for which a run on a GPU takes the package's own CUDA kernels, in words."""
    if isinstance(settings, ActorMimicRun):
        return "task is 'actor_mimic'"  # the loss
    if isinstance(settings, LearningSettings) and settings.replay.residence == "device":
        return "replay.residence is 'device'"
    return None


Shown = Literal[
    "table1", "table2", "figure1", "figure2", "figure3", "figure4", "figure5", "figure6", "figure7"
]


class PipelineRun(RunSettings):
    """``task: pipeline``: several configs in order, each with its overrides."""

    task: Literal["pipeline"]
    stages: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    """By name: ``config: FILE``, settings that override it, and ``each: {setting: [values]}`` for a
    run of each combination. ``stage:NAME`` as a source is that stage's run (of the same seed).
    The pipeline's seed, device, threads and precision are those of stages that say none.

    A config in a file is one beside it, or else one of the package's; as ``key=value`` it is one in
    the working directory, or else one of the package's."""
    scale: str = "full"
    """Which of their files' ``scales`` the stages run at; ``full`` is the files as they stand."""
    shared_folder: Place | None = None
    """Where the stages' runs live under names of their settings, so that pipelines share them."""
    processes: Positive = 1
    """Runs of a stage side by side; more than one run in processes of their own with one thread."""
    shows: list[Shown] = Field(default=[])
    """The paper's tables and figures that the report draws; none for all that the runs have."""

    @field_validator("stages", mode="before")
    @classmethod
    def _names(cls, stages: Any) -> Any:
        if isinstance(stages, list):  # a plain list is named by its numbers
            return {str(number): stage for number, stage in enumerate(stages)}
        return stages


AnyRun = Annotated[
    DqnRun
    | MultitaskDqnRun
    | TransferRun
    | ActorMimicRun
    | EvaluateRun
    | ConvergenceRun
    | PipelineRun,
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
        values = merge(fitting(known[preset], values), values)
    run: RunSettings = RUN_ADAPTER.validate_python(values)
    return run
