"""What each task does around the one training loop: where weights come from, what is reported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from actormimic.card_scores import FROM_CARDS, card_scores
from actormimic.checkpoint import WeightsHeader, load_weights
from actormimic.checkpoint import save_weights as save_weights_file
from actormimic.command_line import Say
from actormimic.config import (
    ActorMimicRun,
    ConvergenceRun,
    DqnRun,
    EvaluateRun,
    GamesSettings,
    LearningSettings,
    MultitaskDqnRun,
    PipelineRun,
    RunSettings,
    TransferRun,
    needs_kernels,
)
from actormimic.config_files import given_experts, pipeline_stages, plain_values
from actormimic.convergence_task import present_convergence, run_convergence
from actormimic.devices import device_of, why_not_the_gpu
from actormimic.environments import other_frames
from actormimic.evaluation import GameScore, ImitationProbe, Summary, evaluate
from actormimic.expert_training import expert_sources
from actormimic.experts import ExpertsPolicy, experts_policy
from actormimic.experts import load as load_expert
from actormimic.faults import faults_are_ours
from actormimic.games import minimal_actions
from actormimic.kernels import why_no_cuda_kernels
from actormimic.learners.actor_mimic import ActorMimicLearner
from actormimic.learners.dqn import DqnLearner
from actormimic.networks import PRECISIONS, AtariNetwork, seeded_network
from actormimic.pipelines import run_pipeline
from actormimic.policy import NetworkPolicy, Policy, RandomPolicy, load, weights_path
from actormimic.randomness import Stream, derive_seed
from actormimic.results import finish_run, present_run, score_rows
from actormimic.run_files import EXPERTS_NAME, SIMILARITY_NAME, Weights, weights_name
from actormimic.run_folder import is_complete, write_json
from actormimic.sections import ExpertFile, expert_file
from actormimic.stopping import EarlyStopping
from actormimic.training import Learner
from actormimic.training_run import STOPPING_MEASURE, Trained, train
from actormimic.transfer import source_similarities, transfer_weights

_OWN_THREADS = torch.get_num_threads()  # before a stage of a pipeline has set another number


def run_task(settings: RunSettings, folder: Path, say: Say) -> None:
    """Run ``settings`` in ``folder``, going on from what lies there.

    Raises:
        KeyboardInterrupt: after a Ctrl-C, once everything is saved.
        ValueError: files that the settings name do not fit them.
        RuntimeError: a fault in the program.
    """
    if is_complete(settings):
        present = present_convergence if isinstance(settings, ConvergenceRun) else present_run
        present(folder, say)
        return
    torch.set_num_threads(settings.threads or _OWN_THREADS)
    if reason := why_not_the_gpu(settings):
        say(f"without the GPU: {reason}")
    if isinstance(settings, PipelineRun):
        run_pipeline(settings, folder, say, run_task)
    elif isinstance(settings, ActorMimicRun):
        _actor_mimic(settings, folder, say)
    elif isinstance(settings, DqnRun | MultitaskDqnRun | TransferRun):
        _q_learning(settings, folder, say)
    elif isinstance(settings, EvaluateRun):
        _evaluate(settings, folder, say)
    elif isinstance(settings, ConvergenceRun):
        run_convergence(settings, folder, say)
    else:
        raise ValueError(f"{type(settings).__name__} is not a task")


def check_machine_and_networks(settings: RunSettings) -> None:
    """Look for the GPU and read the networks that ``settings`` names: what is missing or wrong is
    to be known before a folder is made, or a stage has run for days.

    Raises:
        ValueError: no such GPU, or one without the kernels that the task needs there; a network
            that is missing, damaged, or not what it is needed for.
    """
    if isinstance(settings, PipelineRun):
        runs = [run.settings for run in pipeline_stages(settings)]
        # What an earlier stage has yet to make cannot be read now.
        unmade = {run.run_folder for run in runs if not is_complete(run)}
        # Runs that differ in their seed name the same networks.
        alike = {str(run.model_copy(update={"seed": 0, "folder": None})): run for run in runs}
        for run in alike.values():
            _check_machine_and_networks(run, unmade)
    else:
        _check_machine_and_networks(settings, set())


def _check_machine_and_networks(settings: RunSettings, unmade: set[str]) -> None:
    needing = needs_kernels(settings)
    device = device_of(settings)
    if device.type == "cuda" and needing and (reason := why_no_cuda_kernels(device)):
        raise ValueError(f"{needing} on {device}, but {reason}; allowed without it: device=cpu")
    if isinstance(settings, ActorMimicRun):
        for game, source in given_experts(settings).items():
            if expert_file(source) not in unmade:
                load_expert(source, game)
    elif isinstance(settings, EvaluateRun) and expert_file(settings.source) not in unmade:
        _evaluated(settings)
    elif isinstance(settings, TransferRun) and settings.source not in unmade:
        _starting_network(settings)
        if settings.source != "random" and settings.similarity.agent_steps:
            load(settings.source)


def _random_play(settings: GamesSettings) -> RandomPolicy:
    return RandomPolicy(settings.games, _action_sets(settings.games))


def _action_sets(games: list[str]) -> list[tuple[int, ...]]:
    return [minimal_actions(game) for game in games]


def _actor_mimic(settings: ActorMimicRun, folder: Path, say: Say) -> None:
    device = device_of(settings)
    precision = PRECISIONS[settings.precision]
    sources = expert_sources(settings, say)
    write_json(folder / EXPERTS_NAME, _seen_from(folder, sources))
    experts = experts_policy(sources, str(device), precision)
    for game, environment in zip(experts.games, experts.environments, strict=True):
        _say_other_frames(f"the expert of {game}", environment, settings, say)
    # An expert may lack some of its game's actions; then the student has no target for them.
    action_sets = experts.action_sets
    network = seeded_network(
        settings.network,
        action_sets,
        derive_seed(settings.seed, Stream.WEIGHTS),
        precision=precision,
    ).to(device)
    learner = ActorMimicLearner(
        network,
        experts,
        settings.games,
        action_sets,
        settings.actor_mimic,
        settings.optimizer,
        derive_seed(settings.seed, Stream.FEATURE_HEADS),
        settings.replay.feature_dtype,
    )
    say(f"student: one network learns {', '.join(settings.games)}")
    # Test epochs play greedily (but for epsilon), whatever ``selection`` says of the training.
    student = NetworkPolicy(network, settings.games, action_sets)

    def make_probe() -> ImitationProbe:
        temperature = settings.actor_mimic.temperature
        return ImitationProbe(student.outputs, experts.outputs, settings.games, temperature)

    stopping = None
    if settings.early_stopping.patience:
        stopping = EarlyStopping(settings.early_stopping)
    trained, behind = _train(settings, folder, learner, student, make_probe, stopping)
    if trained.stopped_early:
        epoch = behind // settings.evaluation.every_agent_steps
        say(
            f"stopped after {trained.agent_steps:,} agent steps: the test epochs' states are no "
            f"longer imitated better; the weights are those of the best test epoch, number "
            f"{epoch}, after {behind:,} agent steps"
        )
    began = time.monotonic()
    probe = make_probe()
    on_cards = card_scores(settings, sources)
    say(f"test epochs: {'random play, experts, ' if on_cards is None else ''}student")
    scores = on_cards or {
        "random": _summaries(_test_epoch(settings, _random_play(settings))),
        "expert": _summaries(_test_epoch(settings, experts)),
    }
    played = _summaries(_test_epoch(settings, student, probe))
    rows = score_rows(settings.games, {**scores, "student": played}, experts)
    for row in rows:
        row.update(probe.results()[row["game"]])
    seconds = trained.seconds + time.monotonic() - began
    note = "" if on_cards is None else FROM_CARDS
    finish_run(settings, folder, rows, seconds, say, trained.agent_steps, behind, note)


def _starting_network(settings: DqnRun | MultitaskDqnRun | TransferRun) -> AtariNetwork:
    """What Q-learning starts from: random weights and, of a transfer, its source's layers."""
    action_sets = _action_sets(settings.games)
    network = seeded_network(
        settings.network,
        action_sets,
        derive_seed(settings.seed, Stream.WEIGHTS),
        heads=settings.heads if isinstance(settings, MultitaskDqnRun) else "shared",
        precision=PRECISIONS[settings.precision],
    )
    if isinstance(settings, TransferRun) and settings.source != "random":
        transfer_weights(
            network,
            Path(settings.source),
            settings.output_layer,
            action_sets[0],
            settings.reinitialize,
        )
    return network


def _q_learning(settings: DqnRun | MultitaskDqnRun | TransferRun, folder: Path, say: Say) -> None:
    network = _starting_network(settings).to(device_of(settings))
    frozen: list[str] = []
    if isinstance(settings, TransferRun):
        frozen = list(settings.freeze)
        if settings.source != "random":
            say(f"starting from {settings.source}")
            _report_similarities(settings, folder, say)
    learner = DqnLearner(
        network,
        settings.games,
        _action_sets(settings.games),
        settings.dqn,
        settings.optimizer,
        frozen,
    )
    trained, behind = _train(settings, folder, learner, learner.policy)
    began = time.monotonic()
    scores = {
        "random": _summaries(_test_epoch(settings, _random_play(settings))),
        "student": _summaries(_test_epoch(settings, learner.policy)),
    }
    seconds = trained.seconds + time.monotonic() - began
    rows = score_rows(settings.games, scores)
    finish_run(settings, folder, rows, seconds, say, trained.agent_steps, behind)


def _report_similarities(settings: TransferRun, folder: Path, say: Say) -> None:
    """Say, before the DQN begins, how like the target each source game is, and write it down."""
    path = folder / SIMILARITY_NAME
    if settings.similarity.agent_steps == 0 or path.is_file():
        return
    device, precision = str(device_of(settings)), PRECISIONS[settings.precision]
    source, target = load(settings.source, device, precision), settings.games[0]
    with faults_are_ours():
        rows = source_similarities(
            source,
            target,
            settings.similarity,
            settings.evaluation,
            settings.environment,
            settings.seed,
        )
    write_json(path, {"target": target, "source": settings.source, "rows": rows})
    listed = ", ".join(f"{row['game']} {row['cka']:.2f} / {row['explained']:.2f}" for row in rows)
    say(f"similarity of {target} to the source games (CKA / explained variance): {listed}")


def _evaluated(settings: EvaluateRun, device: str = "cpu") -> Policy | None:
    """What ``source`` names; None where it is random play."""
    if settings.source == "random":
        return None
    precision = PRECISIONS[settings.precision]
    file = expert_file(settings.source)
    path = Path(file)
    own = file != "bundled" and (path.is_dir() or path.suffix == ".safetensors")
    # A file of our own says how it is to be read; an expert's reader refuses another's word on it.
    if own and settings.source in (file, ExpertFile(file=file)):
        return load(path, device, precision).restricted(settings.games)
    if file != "bundled" and len(settings.games) != 1:
        raise ValueError(f"games has {len(settings.games)} entries; {path} is an expert of one")
    return experts_policy(dict.fromkeys(settings.games, settings.source), device, precision)


def _evaluate(settings: EvaluateRun, folder: Path, say: Say) -> None:
    began = time.monotonic()
    policy = _evaluated(settings, str(device_of(settings)))
    if isinstance(policy, ExpertsPolicy):
        for game, environment in zip(policy.games, policy.environments, strict=True):
            _say_other_frames(f"the expert of {game}", environment, settings, say)
    elif policy is not None:
        _, header = load_weights(weights_path(Path(expert_file(settings.source))))
        _say_other_frames("the network", header.settings.get("environment", {}), settings, say)
    scores = {"random": _summaries(_test_epoch(settings, _random_play(settings)))}
    experts = policy if isinstance(policy, ExpertsPolicy) else None
    if policy is not None:
        scores["expert" if experts else "student"] = _summaries(_test_epoch(settings, policy))
    seconds = time.monotonic() - began
    finish_run(settings, folder, score_rows(settings.games, scores, experts), seconds, say)


def _say_other_frames(
    whose: str, trained: Mapping[str, Any], settings: GamesSettings, say: Say
) -> None:
    """Say it where a network sees other frames than it learned from, and may play worse for it."""
    if different := other_frames(trained, settings.environment):
        say(f"{whose} was trained on other frames: {'; '.join(different)}")


def _train(
    settings: LearningSettings,
    folder: Path,
    learner: Learner,
    policy: NetworkPolicy,
    make_probe: Callable[[], ImitationProbe] | None = None,
    stopping: EarlyStopping | None = None,
) -> tuple[Trained, int]:
    """Train to the end and write the final weights: where it stopped early, the best ones.

    Returns:
        What the training came to, and the agent_steps per game behind the final weights.
    """

    def test(agent_steps: int, asked_to_stop: Callable[[], bool]) -> dict[str, float]:
        values = {}
        probe = make_probe() if make_probe else None
        scores = _test_epoch(settings, policy, probe, agent_steps, asked_to_stop)
        for game, score in scores.items():
            summary = score.summary()
            values[f"test/return/{game}"] = summary["mean"]
            values[f"test/return_std/{game}"] = summary["std"]
            values[f"test/episodes/{game}"] = summary["episodes"]
        if probe is not None:
            measured = probe.results()
            for game, found in measured.items():
                values[f"test/agreement/{game}"] = found["agreement"]
                divergence = found["cross_entropy"] - found["expert_entropy"]
                values[f"{STOPPING_MEASURE}/{game}"] = divergence
            divergences = [values[f"{STOPPING_MEASURE}/{game}"] for game in measured]
            values[STOPPING_MEASURE] = sum(divergences) / len(divergences)
        return values

    def path_of(name: Weights) -> Path:
        return folder / weights_name(name)

    def save_weights(name: Weights, agent_steps: int) -> None:
        header = WeightsHeader(
            kind=str(getattr(settings, "task", "")),
            games=tuple(settings.games),
            action_sets=tuple(tuple(actions) for actions in policy.action_sets),
            network=policy.network.description(),
            settings=plain_values(settings),
            agent_steps=agent_steps,
        )
        # The best weights may come before the first checkpoint.
        path_of(name).parent.mkdir(parents=True, exist_ok=True)
        save_weights_file(path_of(name), policy.network.state_dict(), header)

    trained = train(settings, learner, folder, test, save_weights, settings.name, stopping)
    behind = trained.agent_steps
    if trained.stopped_early:
        tensors, header = load_weights(path_of("best"))
        policy.network.load_state_dict(tensors)
        behind = header.agent_steps
    save_weights("final", behind)
    return trained, behind


def _test_epoch(
    settings: GamesSettings,
    policy: Policy,
    observer: ImitationProbe | None = None,
    agent_steps: int = 0,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> dict[str, GameScore]:
    """A test epoch; those after other numbers of training's agent_steps start other games."""
    seed = derive_seed(settings.seed, Stream.EVALUATION, agent_steps)
    with faults_are_ours():
        return evaluate(
            policy, settings.evaluation, settings.environment, seed, observer, asked_to_stop
        )


def _summaries(scores: Mapping[str, GameScore]) -> dict[str, Summary]:
    return {game: score.summary() for game, score in scores.items()}


def _seen_from(folder: Path, sources: Mapping[str, str | ExpertFile]) -> dict[str, str]:
    """Where the experts are, from the run's folder on, so that both may move together."""
    seen = {}
    for game, source in sources.items():
        file = expert_file(source)
        place = Path(file)
        seen[game] = os.path.relpath(place, folder) if place.is_dir() else file
    return seen
