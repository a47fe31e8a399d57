"""The rows of a run's results."""

import pytest

from actormimic.results import score_rows


def score(mean):
    return {"mean": mean, "std": 0.0, "max": mean, "episodes": 1}


@pytest.mark.parametrize(("expert", "percent"), [(10.0, 50.0), (-20.0, None), (-25.0, None)])
def test_percent_is_of_the_way_to_an_expert_that_is_better_than_random_play(expert, percent):
    means = {"random": -20.0, "expert": expert, "student": -5.0}
    (row,) = score_rows(["pong"], {who: {"pong": score(mean)} for who, mean in means.items()})
    assert row["percent"] == percent
