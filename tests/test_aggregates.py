"""Pooling of test epochs, interquartile means and bootstrap intervals against known answers."""

import numpy as np
import pytest

from actormimic.aggregates import bootstrap_interval, interquartile_mean, median, pooled


def test_pooled_deviation_is_that_of_all_the_episodes():
    parts = [np.array([1.0, 3.0, 8.0]), np.array([4.0, 4.0]), np.array([10.0])]
    found = pooled(
        [part.mean() for part in parts], [part.std() for part in parts], [len(p) for p in parts]
    )
    assert found.mean == pytest.approx(np.mean([part.mean() for part in parts]))
    assert found.std == pytest.approx(np.concatenate(parts).std())
    assert found.episodes == 6
    assert pooled([], [], []) is None


def test_an_epoch_without_an_episode_counts_as_one():
    found = pooled([0.0, 2.0], [0.0, 0.0], [0, 1])
    assert (found.mean, found.std, found.episodes) == (1.0, 1.0, 1)


def test_the_interquartile_mean_cuts_a_quarter_at_either_end():
    assert interquartile_mean([100, 1, 2, 3, 4, 5, 6, -50]) == pytest.approx(3.5)
    assert interquartile_mean([1, 2, 9]) == 4.0
    with pytest.raises(ValueError, match="values is empty"):
        interquartile_mean([])


def test_the_interval_covers_a_known_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    inside = 0
    for number in range(200):
        low, high = bootstrap_interval([rng.normal(5, 2, 30)], repeats=400, seed=number)
        inside += low <= 5 <= high
    # 190 of 200 are expected, a few less for percentile intervals of 30; the deviation is 3.
    assert 178 <= inside <= 199


def test_games_are_drawn_by_themselves():
    # Each game's seeds agree, so nothing varies however far apart the games are.
    assert bootstrap_interval([[1.0, 1.0], [50.0, 50.0], [9.0]], median) == (9.0, 9.0)
    assert bootstrap_interval([[1.0], [2.0]]) is None
    with pytest.raises(ValueError, match="a group without scores"):
        bootstrap_interval([[1.0], []])
