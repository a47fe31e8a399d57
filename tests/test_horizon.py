"""Proposition 1's chain: exact costs against played episodes, and how they grow."""

import numpy as np
import pytest

from actormimic.convergence import fitted_exponent
from actormimic.horizon import (
    AHEAD,
    BACK,
    DITCH,
    ROAD,
    road_case,
    state_distributions,
    student_cost,
)

HORIZONS = [8, 32, 128, 512]


def test_states_of_an_episode_are_those_of_played_ones():
    case = road_case()
    policy = np.array([[0.9, 0.1], [0.7, 0.3]])
    exact = state_distributions(case, policy, 6)
    np.testing.assert_allclose(exact.sum(axis=1), 1.0)
    rng = np.random.default_rng(0)
    at = np.zeros(40_000, dtype=int)
    for t in range(6):
        assert np.mean(at == DITCH) == pytest.approx(exact[t, DITCH], abs=0.01)
        back = rng.random(len(at)) < policy[at, BACK]
        at = np.where(at == ROAD, np.where(back, DITCH, ROAD), np.where(back, ROAD, DITCH))


def test_the_expert_costs_nothing_and_an_error_stays():
    case = road_case()
    assert state_distributions(case, case.expert, 50)[:, DITCH].sum() == 0
    stubborn = np.zeros((2, 2))
    stubborn[:, AHEAD] = 1.0
    np.testing.assert_allclose(case.transitions[DITCH, AHEAD], [0, 1])
    assert (stubborn[DITCH] @ case.transitions[DITCH])[DITCH] == 1


def test_cost_grows_quadratically_when_the_expert_acts_and_linearly_when_the_student_does():
    exponents = {}
    for share in (0.0, 0.5, 1.0):
        students = [student_cost(horizon, share, 1e-4) for horizon in HORIZONS]
        exponents[share], _ = fitted_exponent(HORIZONS, [student.cost for student in students])
    assert exponents[1.0] == pytest.approx(2, abs=0.05)
    assert exponents[0.0] == pytest.approx(1, abs=0.06)
    assert exponents[0.5] == pytest.approx(1, abs=0.1)


def test_both_err_as_rarely_and_only_one_knows_the_way_back():
    by_expert, by_student = student_cost(128, 1.0, 1e-4), student_cost(128, 0.0, 1e-4)
    assert by_expert.error_rate < by_student.error_rate < 1e-3
    assert by_expert.loss < by_student.loss < 2e-3, "on what it was trained on it looks better"
    assert by_expert.recovery_rate == pytest.approx(by_expert.error_rate), "the road's habit"
    assert by_student.recovery_rate > 0.5
    assert by_expert.own_loss > 100 * by_expert.loss
    assert by_student.own_loss == pytest.approx(by_student.loss)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("horizon", [1, 8, 128])
def test_the_bound_of_proposition_1_holds(share, horizon):
    student = student_cost(horizon, share, 1e-4)
    assert 0 <= student.cost <= student.bound


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_lambda_that_leaves_a_small_loss_is_no_hindrance(share):
    """Of a loss this small the rounding is larger than a small part of it."""
    students = [student_cost(horizon, share, 1e-6) for horizon in (16, 64, 256)]
    assert all(0 < student.error_rate < 1e-4 for student in students)
    assert all(0 < student.cost <= student.bound for student in students)


def test_lambda_sets_the_rate_of_errors():
    rates = [student_cost(16, 1.0, decay).error_rate for decay in (1e-5, 1e-4, 1e-3)]
    assert rates[0] < rates[1] < rates[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.0, 1e-4), "horizon is 0; allowed: at least 1"),
        ((8, 1.5, 1e-4), "expert_share is 1.5; allowed: 0 to 1"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        student_cost(*arguments)


def test_an_iteration_that_does_not_settle_is_said():
    with pytest.raises(RuntimeError, match="no fixed point within 2 iterations at horizon 8"):
        student_cost(8, 0.0, 1e-4, iterations=2)
