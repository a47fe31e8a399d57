"""Tables 1 and 2 from made-up runs whose answers are known, and the paper's own numbers."""

from dataclasses import replace

import pytest

from actormimic.games import MULTITASK_GAMES, REFERENCE_SCORES, TRANSFER_TARGETS
from actormimic.paper_scores import alike, kind, learning_curve, network_score, reaches
from actormimic.paper_tables import (
    all_sections,
    baselines,
    human_scores,
    percent,
    reward_variance,
    table1,
)
from actormimic.published import TABLE1_PERCENT, TABLE2
from actormimic.records import Group, Run
from actormimic.transfer_tables import similarities, table2

# Who is printed bold in each column of Table 2: 0 Random, 1 AMN-policy, 2 AMN-feature.
BOLD = {
    "breakout": "1211111111",
    "gopher": "1210011000",
    "krull": "1122222121",
    "road_runner": "1210001110",
    "robotank": "0022000000",
    "star_gunner": "2222222222",
    "video_pinball": "1111111111",
}


def made(tmp_path, task, game, means, label="run", agent_steps=200, **config):
    """A run with a test epoch of two episodes every 10 agent_steps, or what ``means`` says."""
    metrics = [
        {
            "agent_steps": 10 * number + 1,
            f"test/return/{game}": float(mean),
            f"test/return_std/{game}": 1.0,
            f"test/episodes/{game}": 2,
        }
        for number, mean in enumerate(means, start=1)
    ]
    games = {"games": [game]} if task == "actor_mimic" else {"game": game}
    values = {
        "task": task,
        "evaluation": {"every_agent_steps": 10},
        "training": {"agent_steps": agent_steps},
        "actor_mimic": {"beta": 0.0},
        **games,
        **config,
    }
    rows = [{"game": game, "random": {"mean": 0.0}}]
    return Run(label, tmp_path / label, values, metrics, {"rows": rows})


def group(*runs):
    return Group("g", None, (), runs)


def test_networks_are_averaged_over_seeds_and_never_over_settings(tmp_path):
    def student(label, temperature, mean, **config):
        objective = {"beta": 0.0, "temperature": temperature}
        return made(tmp_path, "actor_mimic", "pong", [mean], label, actor_mimic=objective, **config)

    expert = made(tmp_path, "dqn", "pong", [20.0], "teacher")
    seeds = [student(f"a{seed}", 1.0, 10.0 + seed, seed=seed, threads=seed) for seed in (0, 2)]
    other = student("b", 0.03, 2.0)
    assert alike(group(expert, *seeds)) == [group(expert, *seeds)]
    parts = alike(group(expert, seeds[0], other, seeds[1]))
    assert [part.label for part in parts] == ["a0 and a2", "b"]
    assert [part.runs for part in parts] == [(expert, *seeds), (expert, other)]
    means = [table1(part)[0].rows[0][4] for part in parts]
    assert [float(mean.split()[0]) for mean in means] == [11.0, 2.0]


def test_a_setting_that_a_run_s_version_had_not_counts_as_its_default(tmp_path):
    def student(label, **config):
        length = {"agent_steps": 200, "learn_start": 100}
        return made(tmp_path, "actor_mimic", "pong", [1.0], label, training=length, **config)

    earlier = student("earlier")
    later = student("later", network={"initialization": "torch"})
    assert len(alike(group(earlier, later))) == 1
    assert len(alike(group(earlier, student("other", network={"initialization": "he"})))) == 2


@pytest.mark.parametrize(
    "change", [{"agent_steps": 400}, {"evaluation": {"every_agent_steps": 20}}]
)
def test_transfers_with_other_columns_share_no_table_2(tmp_path, change):
    first = made(tmp_path, "transfer", "krull", [1.0] * 20, "first", source="random")
    other = made(tmp_path, "transfer", "krull", [9.0] * 20, "other", **change, source="a/amn.x")
    assert [part.label for part in alike(group(first, other))] == ["first", "other"]
    frozen = made(tmp_path, "transfer", "krull", [9.0] * 20, "frozen", source="a/amn.x")
    assert len(alike(group(first, frozen))) == 1


def test_sources_of_one_name_are_told_apart_by_their_places(tmp_path):
    for place, beta in (("a", 0.0), ("b", 0.01)):
        (tmp_path / place / "amn").mkdir(parents=True)
        text = f"task: actor_mimic\nactor_mimic: {{beta: {beta}}}\n"
        (tmp_path / place / "amn" / "config.yaml").write_text(text)
    runs = [
        made(tmp_path, "transfer", "krull", [1.0], place, source=str(tmp_path / place / "amn"))
        for place in ("a", "b")
    ]
    students = [
        replace(made(tmp_path, "actor_mimic", "krull", [1.0], place), folder=tmp_path / place)
        for place in ("x/amn", "y/amn")
    ]
    found = [kind(run, [*runs, *students]) for run in runs]
    assert found == ["AMN-policy", "AMN-feature"]
    # Moved, they know each other by their name, unless two have it.
    gone = made(tmp_path, "transfer", "krull", [1.0], "c", source="gone/amn")
    assert kind(gone, students[:1]) == "AMN-policy"
    assert kind(gone, students) == "from amn"


def test_the_paper_s_bold_numbers_are_the_highest_of_their_columns():
    assert set(TABLE2) == set(TRANSFER_TARGETS) == set(BOLD)
    for game, of_game in TABLE2.items():
        columns = list(zip(*of_game.values(), strict=True))
        assert len(columns) == 10
        assert "".join(str(c.index(max(c))) for c in columns) == BOLD[game], game


def test_the_paper_s_percentages_are_those_of_its_scores():
    assert set(TABLE1_PERCENT) == set(MULTITASK_GAMES)
    for game, (mean, highest) in TABLE1_PERCENT.items():
        scores = REFERENCE_SCORES[game]
        # Printed from unrounded scores, to four digits.
        assert percent(scores.amn_mean, scores.expert_mean) == pytest.approx(mean, rel=2e-3)
        assert percent(scores.amn_max, scores.expert_max) == pytest.approx(highest, rel=2e-3)


def test_mean_is_of_the_last_ten_test_epochs_and_max_of_all(tmp_path):
    run = made(tmp_path, "dqn", "pong", [99, *range(12)])
    score = network_score([run.test_epochs("pong")])
    assert (score.mean, score.highest, score.last.episodes) == (6.5, 99, 20)


def test_table1_stands_beside_the_paper(tmp_path):
    expert = made(tmp_path, "dqn", "breakout", [20.0] * 10, "expert")
    students = [
        made(tmp_path, "actor_mimic", "breakout", [mean] * 10, f"amn{mean}") for mean in (8.0, 12.0)
    ]
    (section,) = table1(group(expert, *students))
    ours, paper = section.rows
    assert ours[:4] == ["breakout", "ours", "20 ± 1 (20)", "20"]
    assert ours[4].startswith("10 ± 2.236 (40) [8, 12]")
    assert ours[6:] == ["50.0%", "50.0%", "50.0%"]
    assert paper == ["breakout", "paper", "273.1", "378", "347", "370.3", "127%", "97.98%", ""]


@pytest.mark.parametrize(
    ("figure", "beta", "name"), [("figure4", 0.0, "AMN-policy"), ("figure5", 0.01, "AMN-feature")]
)
def test_the_sources_of_transfers_are_not_called_table_1(tmp_path, figure, beta, name):
    expert = made(tmp_path, "dqn", "breakout", [20.0] * 10, "expert")
    source = made(
        tmp_path, "actor_mimic", "breakout", [10.0] * 10, "amn", actor_mimic={"beta": beta}
    )
    (section,) = all_sections(Group("g", tmp_path, (figure,), (expert, source)))
    assert section.heading == f"Appendix D: {name} and its experts"
    assert section.rows == table1(group(expert, source))[0].rows
    headings = [s.heading for s in all_sections(Group("g", tmp_path, ("figure1",), (source,)))]
    assert headings[0] == "Table 1"


def test_appendix_d_s_tables_are_each_of_their_own_network(tmp_path):
    expert = made(tmp_path, "dqn", "breakout", [20.0] * 10, "expert")
    policy, feature = (
        made(
            tmp_path,
            "actor_mimic",
            "breakout",
            [mean] * 10,
            f"amn{beta}",
            actor_mimic={"beta": beta},
        )
        for mean, beta in ((10.0, 0.0), (5.0, 0.01))
    )
    both = Group("g", tmp_path, ("figure4", "figure5"), (expert, policy, feature))
    assert [(section.heading, section.rows[0][5]) for section in all_sections(both)] == [
        ("Appendix D: AMN-policy and its experts", "10"),
        ("Appendix D: AMN-feature and its experts", "5"),
    ]
    # Without the network that it is about there is no table, rather than another's.
    assert all_sections(Group("g", tmp_path, ("figure5",), (expert, policy))) == []


def test_there_is_no_way_from_random_to_an_expert_that_is_no_better(tmp_path):
    for mean, share in ((20.0, "50.0%"), (0.0, "-"), (-5.0, "-")):
        expert = made(tmp_path, "dqn", "pong", [mean], f"teacher{mean}")
        student = made(tmp_path, "actor_mimic", "pong", [10.0], "student")
        (section,) = table1(group(expert, student))
        assert (section.header[-1], section.rows[0][-1]) == ("random to DQN", share)


def test_table1_is_the_same_beside_a_baseline(tmp_path):
    expert = made(tmp_path, "dqn", "breakout", [20.0] * 10, "expert")
    student = made(tmp_path, "actor_mimic", "breakout", [10.0] * 10, "amn")
    baseline = made(tmp_path, "multitask_dqn", "breakout", [5.0] * 10, "mdqn", heads="shared")
    baseline.results["rows"][0]["random"]["mean"] = 7.0
    assert table1(group(expert, student, baseline)) == table1(group(expert, student))


def test_human_normalized_scores_and_their_aggregates(tmp_path):
    expert = made(tmp_path, "dqn", "breakout", [31.8] * 10, "expert")
    student = made(tmp_path, "actor_mimic", "breakout", [1.7] * 10, "amn")
    (section,) = human_scores(group(expert, student))
    assert section.rows[0] == ["breakout", "100.0%", "0.0%"]
    assert section.rows[1][1:] == ["**100.0%**", "**0.0%**"]


def test_table2_averages_tenths_bolds_the_best_and_times_the_threshold(tmp_path):
    random = made(tmp_path, "transfer", "krull", range(20), "r", source="random")
    amn = made(tmp_path, "actor_mimic", "pong", [0], "amn")
    policy = made(tmp_path, "transfer", "krull", range(10, 30), "p", source=str(amn.folder))
    assert learning_curve(random, "krull").columns == tuple(n + 0.5 for n in range(0, 20, 2))
    curves, short = table2(group(random, amn, policy))
    assert curves.rows[0][:3] == ["Random", "0.5", "2.5"]
    assert curves.rows[1][:2] == ["AMN-policy", "**10.5**"]
    assert curves.rows[2][0] == "Random (paper)"
    assert [row[1:5] for row in short.rows] == [
        ["Random", "1", "9.5", "200"],
        ["AMN-policy", "1", "19.5", "100"],
    ]
    assert reaches([1.0, None, 3.0], 2.0) == 3
    assert reaches([1.0], 2.0) is None


def test_experts_have_intervals_where_several_were_trained(tmp_path):
    experts = [
        made(tmp_path, "dqn", "breakout", [mean] * 10, f"expert{mean}") for mean in (10.0, 30.0)
    ]
    student = made(tmp_path, "actor_mimic", "breakout", [10.0] * 10, "amn")
    (section,) = table1(group(*experts, student))
    assert section.rows[0][2:4] == ["20 ± 10.05 (40) [10, 30]", "20 [10, 30]"]
    assert section.rows[0][4:6] == ["10 ± 1 (20)", "10"]


def test_table2_has_an_interval_below_a_start_with_several_networks(tmp_path):
    runs = [
        made(tmp_path, "transfer", "krull", [mean] * 20, f"r{mean}", source="random")
        for mean in (100.0, 200.0, 300.0)
    ]
    curves, short = table2(group(*runs))
    assert curves.rows[0][:2] == ["Random", "**200**"]
    assert curves.rows[1] == ["Random, 95% interval", *["[100, 300]"] * 10]
    assert curves.rows[2][0] == "Random (paper)"
    assert short.rows[0][:4] == ["krull", "Random", "3", "200 [100, 300]"]


def test_reward_variance_is_over_episodes_and_beside_the_mean(tmp_path):
    expert = made(tmp_path, "dqn", "breakout", [20.0] * 10, "expert")
    student = made(tmp_path, "actor_mimic", "breakout", [10.0] * 10, "amn")
    for line in student.metrics:
        line["test/return_std/breakout"] = 3.0
    (section,) = reward_variance(group(expert, student))
    assert section.rows == [["breakout", "1", "9", "9.00", "5%", "30%", "20 / 20"]]
    assert reward_variance(group(student)) == []


def test_similarities_are_those_of_one_transfer_of_each_start(tmp_path):
    amn = made(tmp_path, "actor_mimic", "pong", [0], "amn")
    rows = [{"game": "pong", "cka": 0.5, "explained": 0.25}]
    runs = [
        replace(run, similarity=rows)
        for run in (
            made(tmp_path, "transfer", "krull", range(20), f"p{n}", source=str(amn.folder))
            for n in range(2)
        )
    ]
    random = made(tmp_path, "transfer", "krull", range(20), "r", source="random")
    (section,) = similarities(group(amn, random, *runs))
    assert section.rows == [["krull", "AMN-policy", "pong", "0.500", "0.250"]]
    assert similarities(group(amn, random)) == []


def test_a_network_that_is_not_complete_is_said_to_be_so(tmp_path):
    expert = made(tmp_path, "dqn", "breakout", [20.0] * 10, "expert")
    whole = made(tmp_path, "actor_mimic", "breakout", [10.0] * 10, "whole")
    part = replace(made(tmp_path, "actor_mimic", "breakout", [5.0] * 3, "part"), results=None)
    baseline = made(*(tmp_path, "multitask_dqn", "breakout", [2.0] * 10, "mdqn"), heads="shared")
    transfers = [
        made(tmp_path, "transfer", "breakout", [1.0] * 20, "random", source="random"),
        made(tmp_path, "transfer", "breakout", [2.0] * 20, "policy", source=str(whole.folder)),
    ]
    complete = [expert, whole, baseline, *transfers]
    for tables in (table1, reward_variance, human_scores, baselines, table2):
        # Table 2's last section tells of all its networks; the others have one.
        assert "as far as they are" not in tables(group(*complete))[-1].caption
        going = [replace(run, results=None) for run in transfers] if tables is table2 else [part]
        caption = tables(group(*complete, *going))[-1].caption
        done = "random (201 of 200 agent_steps), policy (201" if tables is table2 else "part (31"
        assert f" as far as they are: {done} of 200 agent_steps)." in caption, tables.__name__


def test_a_baseline_that_is_not_complete_is_said_to_be_so(tmp_path):
    part = made(*(tmp_path, "multitask_dqn", "breakout", [2.0] * 3, "mdqn"), heads="shared")
    (section,) = baselines(group(replace(part, results=None)))
    assert "as far as they are: mdqn (31 of 200 agent_steps)." in section.caption


def test_experts_that_were_trained_for_less_than_the_paper_s_are_named(tmp_path):
    student = made(tmp_path, "actor_mimic", "breakout", [10.0] * 10, "amn")
    trained = made(tmp_path, "dqn", "breakout", [20.0] * 10, "trained")
    bundled = made(tmp_path, "evaluate", "breakout", [], "bundled")
    bundled.results["rows"][0]["expert"] = {
        **{"mean": 9.0, "std": 1.0, "episodes": 2},
        "trained_agent_steps": 70_000,
    }
    said = " Experts that were trained for less than the paper's (up to 50,000,000 agent_steps): "
    for runs, found in (
        ([trained], "breakout 101."),
        ([bundled], "breakout 70,000."),
        ([trained, bundled], "breakout 101 to 70,000."),
    ):
        assert table1(group(student, *runs))[0].caption.endswith(said + found)
    taught = replace(student, experts={"breakout": trained, "pong": None})
    assert table1(group(taught))[0].caption.endswith(said + "breakout 101.")
    trained.metrics[-1]["agent_steps"] = 50_000_000
    assert "Experts that" not in table1(group(taught))[0].caption
    # A file of another library says nothing of its training.
    bundled.results["rows"][0]["expert"]["trained_agent_steps"] = None
    assert "Experts that" not in table1(group(student, bundled))[0].caption


@pytest.mark.parametrize(
    ("heads", "name", "described"),
    [
        ("shared", "MDQN", "MDQN: one masked output for all games"),
        ("separate", "MCDQN", "MCDQN: shared convolutions"),
    ],
)
def test_a_baseline_s_table_names_it(tmp_path, heads, name, described):
    run = made(tmp_path, "multitask_dqn", "breakout", [2.0] * 10, heads=heads)
    (section,) = baselines(group(run))
    assert section.heading == f"Multitask DQN (appendix C): {name}"
    assert section.header == ["game", "DQN", "AMN", name]
    assert f"(number of episodes). {described}. The paper" in section.caption


def test_shares_of_a_human_s_score_say_where_episodes_are_cut_shorter(tmp_path):
    for limit, said in ((3_600, True), (18_000, False), (0, False)):
        environment = {"max_emulator_frames": limit}
        student = made(
            tmp_path, "actor_mimic", "breakout", [9.0] * 10, f"amn{limit}", environment=environment
        )
        (section,) = human_scores(group(student))
        assert ("Episodes end after 3,600 emulator_frames here" in section.caption) == said
