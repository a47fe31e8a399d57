"""The paper's experiments as configs: complete, at both scales, and sharing what they share."""

import pytest

from actormimic.bundled import bundled_games
from actormimic.config import ActorMimicRun, PipelineRun
from actormimic.config_files import expert_settings, load_settings, pipeline_stages
from actormimic.config_yaml import shipped_configs
from actormimic.games import MULTITASK_GAMES, TRANSFER_SOURCES, TRANSFER_TARGETS

EXPERIMENTS = ["table1", "table2", *(f"figure{number}" for number in range(1, 8))]


def runs(name, scale):
    settings = load_settings(f"paper/{name}.yaml", [f"scale={scale}"])
    assert isinstance(settings, PipelineRun)
    return {run.settings.run_folder: run for run in pipeline_stages(settings)}


def stage(name, scale, wanted):
    return [run.settings for run in runs(name, scale).values() if run.stage == wanted]


def test_every_table_and_figure_has_a_config():
    assert {f"paper/{name}.yaml" for name in EXPERIMENTS} <= set(shipped_configs())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_scale_is_valid_and_has_a_folder_of_its_own(name):
    full, small = (load_settings(f"paper/{name}.yaml", [f"scale={s}"]) for s in ("full", "small"))
    assert full.shows == small.shows == [name]
    assert (full.name, small.name) == (name, f"{name}-small")
    assert not set(runs(name, "full")) & set(runs(name, "small"))
    for run in runs(name, "small").values():
        if run.stage == "experts":
            assert run.settings.source == "bundled"
            assert set(run.settings.games) <= set(bundled_games())
            continue
        assert run.settings.training.agent_steps <= 50_000
        # Table 1 averages the last ten test epochs, so there are more of them.
        assert run.settings.training.agent_steps // run.settings.evaluation.every_agent_steps >= 20


@pytest.mark.parametrize("scale", ["full", "small"])
def test_experiments_share_the_runs_that_they_have_in_common(scale):
    table1, table2 = runs("table1", scale), runs("table2", scale)
    assert runs("figure1", scale) == runs("figure6", scale) == table1
    assert runs("figure7", scale) == table2
    for name in ("figure2", "figure3"):
        more = runs(name, scale)
        assert set(table1) < set(more)
        assert len(more) == len(table1) + 1
    for name in ("figure4", "figure5"):
        assert set(runs(name, scale)) < set(table2)


def test_the_full_scale_is_the_paper_s():
    students = stage("table1", "full", "amn")
    assert [run.seed for run in students] == [0, 1], "averaged over 2 separately trained networks"
    assert {run.training.agent_steps for run in students} == {100 * 250_000}
    assert students[0].games == list(MULTITASK_GAMES)
    assert students[0].network.size == "small"
    assert [run.games[0] for run in stage("table1", "full", "experts")] == list(MULTITASK_GAMES)
    (policy,), (feature,) = (
        stage("table2", "full", f"amn_{kind}") for kind in ("policy", "feature")
    )
    assert policy.games == feature.games == list(TRANSFER_SOURCES)
    assert policy.network.size == feature.network.size == "large"
    assert policy.training.agent_steps == 16 * 250_000
    assert (policy.actor_mimic.beta, feature.actor_mimic.beta) == (0.0, 0.01)
    for kind, source in (
        ("random", "random"),
        ("policy", policy.run_folder),
        ("feature", feature.run_folder),
    ):
        found = stage("table2", "full", kind)
        assert [run.games[0] for run in found] == list(TRANSFER_TARGETS)
        assert {run.source for run in found} == {source}
        assert {run.training.agent_steps for run in found} == {10_000_000}
    (mdqn,), (mcdqn,) = stage("figure2", "full", "mdqn"), stage("figure3", "full", "mcdqn")
    assert (mdqn.heads, mcdqn.heads) == ("shared", "separate")
    assert mdqn.training.agent_steps == mcdqn.training.agent_steps == 40 * 250_000


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_networks_of_an_experiment_see_the_same_frames(name):
    """Experts label what students see, and episodes of one length are compared."""
    found = [run.settings for run in runs(name, "full").values()]
    assert len({str(run.environment) for run in found}) == 1
    assert len({str(run.evaluation) for run in found}) == 1


@pytest.mark.parametrize("name", ["amn_paper.yaml", "paper/amn_transfer.yaml"])
def test_experts_trained_for_a_student_see_the_student_s_frames(name):
    student = load_settings(name)
    assert isinstance(student, ActorMimicRun)
    assert student.experts == "train"
    assert expert_settings(student, "pong").environment == student.environment


def test_baselines_keep_the_paper_s_replay_memory_over_all_their_games():
    for name, baseline in (("figure2", "mdqn"), ("figure3", "mcdqn")):
        (run,) = stage(name, "full", baseline)
        assert len(run.games) * run.replay.capacity == 1_000_000


def test_table_2_takes_the_small_network_too():
    networks = ("amn_policy", "amn_feature", "random", "policy", "feature")
    small = [f"stages.{name}.network.size=small" for name in networks]
    settings = load_settings("paper/table2.yaml", small)
    found = [run.settings for run in pipeline_stages(settings)]
    assert {run.network.size for run in found} == {"small"}
    # The experts are those of the large network; whatever learns from them is another run.
    large = runs("table2", "full")
    assert {run.run_folder for run in found if run.task == "dqn"} < set(large)
    assert not {run.run_folder for run in found if run.task != "dqn"} & set(large)


def test_the_small_scale_compares_like_with_like():
    student = stage("figure2", "small", "amn")[0]
    experts = stage("figure2", "small", "experts")
    assert len(experts) == 10, "as many test epochs as Table 1 averages of a student"
    assert {tuple(run.games) for run in experts} == {tuple(student.games)}
    for baseline in (stage("figure2", "small", "mdqn")[0], stage("figure3", "small", "mcdqn")[0]):
        assert baseline.games == student.games
        assert baseline.network.size == student.network.size
        assert baseline.training.agent_steps == student.training.agent_steps
        assert baseline.training.batch == student.training.batch
        assert baseline.evaluation == student.evaluation
        assert baseline.environment == student.environment
    transfers = [stage("table2", "small", kind) for kind in ("random", "policy", "feature")]
    assert {len(found) for found in transfers} == {3}
    for of_seed in zip(*transfers, strict=True):
        alike = {str(run.model_copy(update={"source": "", "folder": ""})) for run in of_seed}
        assert len(alike) == 1, "only the start differs"
    # A target is none of its sources.
    assert not {run.games[0] for run in transfers[0]} & set(student.games)
