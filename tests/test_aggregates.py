"""Pooling of test epochs, interquartile means and bootstrap intervals against known answers."""

import numpy as np
import pytest

from actormimic.aggregates import bootstrap_interval, interquartile_mean, mean, median, pooled


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
    assert interquartile_mean([[100, 1, 2, 3], [4, 5, 6, -50]]) == pytest.approx(3.5)
    assert interquartile_mean([[1], [2], [9]]) == 4.0
    for games in ([], [[1.0], []]):
        with pytest.raises(ValueError, match="games has none, or one without scores"):
            interquartile_mean(games)


def test_games_count_alike_however_many_seeds_they_have():
    """Agarwal et al. 2021: a median over the games' means, a trimmed mean over all scores."""
    games = [[0.0, 2.0, 4.0, 90.0], [10.0], [60.0, 20.0]]
    assert median(games) == 24.0, "of 24, 10 and 40: neither of all seven scores, nor of medians"
    assert mean(games) == pytest.approx((24 + 10 + 40) / 3)
    # As if each game had four seeds: 0 2 4 | 10 10 10 10 20 20 | 60 60 90.
    assert interquartile_mean(games) == pytest.approx(80 / 6)
    few, many = [[1.0, 3.0], [5.0]], [[1.0, 3.0] * 3, [5.0] * 6]
    assert interquartile_mean(few) == interquartile_mean(many) == 4.0


def test_the_interval_of_a_median_is_that_of_the_games_means():
    """Draws of the one uneven game have means 0, 5 or 10; the median lies between its neighbors."""
    low, high = bootstrap_interval([[0.0, 10.0], [4.0], [6.0]], median)
    assert (low, high) == (4.0, 6.0)
    low, high = bootstrap_interval([[0.0, 10.0], [4.0]], median)
    assert (low, high) == (2.0, 7.0)


def test_the_interval_covers_a_known_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    inside = 0
    for number in range(200):
        low, high = bootstrap_interval([rng.normal(5, 2, 30)], repeats=200, seed=number)
        inside += low <= 5 <= high
    # 190 of 200 are expected, a few less for percentile intervals of 30; the deviation is 3.
    assert 178 <= inside <= 199


def test_games_are_drawn_by_themselves():
    # Each game's seeds agree, so nothing varies however far apart the games are.
    assert bootstrap_interval([[1.0, 1.0], [50.0, 50.0], [9.0]], median) == (9.0, 9.0)
    assert bootstrap_interval([[1.0], [2.0]]) is None
    with pytest.raises(ValueError, match="a group without scores"):
        bootstrap_interval([[1.0], []])
