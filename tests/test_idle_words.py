"""What is typed and would change nothing is refused; in a file it may lie under what is typed."""

import pytest

from actormimic.config_files import check_settings, load_settings, plain_values
from actormimic.provenance import recipe


@pytest.mark.parametrize(
    ("games", "experts", "trained"),
    [
        ("pong, breakout", "bundled", False),
        ("pong, breakout", "{pong: a.pt, breakout: b.pt}", False),
        ("pong, breakout", "{pong: a.pt}", True),
        ("pong, breakout", "train", True),
        ("pong, breakout", "auto", False),
        ("pong, freeway", "auto", True),
    ],
)
def test_how_experts_are_trained_where_none_is(games, experts, trained):
    words = [f"games=[{games}]", f"experts={experts}"]
    for config in ("amn.yaml", "amn_paper.yaml"):  # which say how
        load_settings(config, words)
    for typed in ("expert_training.processes=4", "expert_training={processes: 4}"):
        if trained:
            assert load_settings("amn.yaml", [*words, typed]).expert_training.processes == 4
            continue
        with pytest.raises(
            ValueError, match=r"expert_training\.processes is 4, which changes noth"
        ):
            load_settings("amn.yaml", [*words, typed])


def test_lanes_of_one_stream():
    paper = load_settings("expert.yaml", ["evaluation.protocol=paper"])
    assert check_settings(plain_values(paper)).evaluation.lanes == 4
    assert load_settings("expert.yaml", ["evaluation.lanes=2"]).evaluation.lanes == 2
    for typed in (
        ["evaluation.protocol=paper", "evaluation.lanes=2"],
        ["evaluation={protocol: paper, lanes: 2}"],
    ):
        with pytest.raises(
            ValueError, match=r"evaluation\.lanes is 2, which changes nothing .eval"
        ):
            load_settings("expert.yaml", typed)
    assert "lanes" not in recipe(paper, 36_000)


def test_the_feature_factor_of_a_preset_and_of_what_was_written_of_it():
    words = ["preset=authors", "games=[pong]", "experts=bundled"]
    authors = load_settings("amn.yaml", words)
    assert authors.actor_mimic.feature_factor == 0.5
    assert check_settings(plain_values(authors)) == authors
    with pytest.raises(ValueError, match=r"actor_mimic\.feature_factor is 2.0, which changes noth"):
        load_settings("amn.yaml", [*words, "actor_mimic.feature_factor=2.0"])
    words += ["actor_mimic.feature_factor=2.0", "actor_mimic.beta=0.1"]
    assert load_settings("amn.yaml", words).actor_mimic.feature_factor == 2.0
