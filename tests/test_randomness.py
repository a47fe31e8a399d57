"""Counter-based randomness: the same counters, the same numbers; other counters, others."""

import numpy as np

from actormimic import randomness
from actormimic.randomness import Stream, derive_pool_seed, derive_seed, generator


def test_same_counters_give_the_same_numbers():
    first = generator(3, Stream.ACTING, 17).random(8)
    again = generator(3, Stream.ACTING, 17).random(8)
    np.testing.assert_array_equal(first, again)


def test_every_part_of_the_key_matters():
    seeds = {
        derive_seed(3, Stream.ACTING, 17),
        derive_seed(4, Stream.ACTING, 17),
        derive_seed(3, Stream.REPLAY, 17),
        derive_seed(3, Stream.ACTING, 18),
        derive_seed(3, Stream.ACTING, 17, 0),
        derive_seed(3, Stream.ACTING, 0, 17),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_neighboring_counters_look_independent():
    draws = np.array([generator(0, Stream.ACTING, i).random() for i in range(4000)])
    assert abs(draws.mean() - 0.5) < 0.02  # 4 standard errors of a uniform mean
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.06


def test_no_lane_of_a_pool_gets_a_seed_beyond_ale_s(monkeypatch):
    limit = 2**31
    for near in (limit - 1, limit - 3, limit - 8, 5 * limit + limit - 2):
        monkeypatch.setattr(randomness, "derive_seed", lambda *parts, near=near: near)
        first = derive_pool_seed(0, 8, Stream.ENVIRONMENT, 0)
        assert 0 <= first <= first + 7 < limit
    monkeypatch.setattr(randomness, "derive_seed", lambda *parts: 3 * limit + 77)
    assert derive_pool_seed(0, 8, Stream.ENVIRONMENT, 0) == 77
