"""Schedules: their values between the points, and what is refused of them in a config."""

import pytest

from actormimic.config_files import load_settings
from actormimic.schedules import agree_until, is_scheduled, largest, value_at

POINTS = [[100, 1.0], [200, 0.5], [400, 2.0]]


@pytest.mark.parametrize(
    ("agent_steps", "value"),
    [(0, 1.0), (100, 1.0), (150, 0.75), (200, 0.5), (300, 1.25), (400, 2.0), (10**9, 2.0)],
)
def test_linear_between_points_and_constant_beyond(agent_steps, value):
    assert value_at(POINTS, agent_steps) == pytest.approx(value)


def test_a_number_is_constant_and_one_point_too():
    assert value_at(0.25, 7) == largest(0.25) == 0.25
    assert value_at([[50, 3.0]], 0) == value_at([[50, 3.0]], 99) == 3.0
    assert largest(POINTS) == 2.0
    assert is_scheduled(POINTS)
    assert not is_scheduled(1)


@pytest.mark.parametrize("key", ["beta", "expert_share", "game_weights.seaquest"])
@pytest.mark.parametrize("points", ["[[0, 0.5], [1e4, 0]]", "0.5", "1"])
def test_a_config_takes_numbers_and_points(key, points):
    words = [f"actor_mimic.{key}={points}", "actor_mimic.acting=mixture"]
    objective = load_settings("amn.yaml", words).actor_mimic
    found = objective.game_weights["seaquest"] if "." in key else getattr(objective, key)
    assert value_at(found, 0) == (1.0 if points == "1" else 0.5)


@pytest.mark.parametrize(
    "points", ["[]", "[[0]]", "[[0, 1, 2]]", "[[5, 1], [5, 0]]", "[[-1, 1]]", "[[0.5, 1]]", "-1"]
)
def test_points_that_are_none_are_refused_in_one_line(points):
    for key, allowed in (("beta", "a number, at least 0"), ("expert_share", "a number, 0 to 1")):
        with pytest.raises(ValueError, match=f"actor_mimic.{key} is .*; allowed: {allowed}, or"):
            load_settings("amn.yaml", [f"actor_mimic.{key}={points}"])


@pytest.mark.parametrize(
    ("other", "until"),
    [
        (0.5, -1),  # POINTS begins with 1
        (1.0, 100),
        ([[0, 1.0], [100, 1.0], [200, 0.5]], 200),
        ([[100, 1.0], [200, 0.5], [300, 1.25]], 300),
        ([[100, 1.0], [150, 2.0], [200, 0.5], [400, 2.0]], 100),
    ],
)
def test_schedules_agree_until_they_part(other, until):
    for steps in (0, 50, 100, 101, 200, 201, 300, 301, 10**6):
        assert agree_until(POINTS, other, steps) == (steps <= until), steps
        assert agree_until(other, POINTS, steps) == (steps <= until), steps
    assert agree_until(POINTS, [*POINTS, [10**9, 2.0]], 10**10)


def test_a_step_size_takes_points_that_are_not_all_zero():
    settings = load_settings("dqn.yaml", ["optimizer.learning_rate=[[0, 1e-3], [1e4, 0]]"])
    assert value_at(settings.optimizer.learning_rate, 5_000) == pytest.approx(5e-4)
    for points in ("[[0, 0]]", "[[0, 1e-3], [5, -1e-3]]", "[]", "-1e-3"):
        with pytest.raises(ValueError, match=r"learning_rate is .*; allowed: a number, more than"):
            load_settings("dqn.yaml", [f"optimizer.learning_rate={points}"])


def test_values_out_of_range_are_refused():
    with pytest.raises(
        ValueError, match=r"expert_share is \[\[0, 1.5\]\]; allowed: a number, 0 to"
    ):
        load_settings("amn.yaml", ["actor_mimic.expert_share=[[0, 1.5]]"])
    with pytest.raises(ValueError, match=r"beta is \[\[0, -0.5\]\]; allowed: a number, at least 0"):
        load_settings("amn.yaml", ["actor_mimic.beta=[[0, -0.5]]"])
    with pytest.raises(ValueError, match=r"actor_mimic.game_weights is 'x'; allowed: a mapping"):
        load_settings("amn.yaml", ["actor_mimic.game_weights={seaquest: x}"])
