"""Section 4 in the tabular case: each piece against an independent way to the same number."""

import math

import numpy as np
import pytest
import torch

from actormimic.convergence import (
    chain,
    distance,
    distinct,
    expected_update,
    fitted_exponent,
    iterate,
    iteration_jacobian,
    objective,
    run_iteration,
    spectral_radius,
    stationary_distribution,
    stationary_point,
    theorem_constants,
)
from actormimic.descent import stochastic_descent
from actormimic.linear_case import (
    Gamma,
    LinearCase,
    feedback_case,
    generated_case,
    random_policies,
    softmax,
)

SMOOTH = Gamma(0.1, 0.1)


def case(seed=0, **sizes):
    return generated_case(seed, **{"states": 5, "actions": 3, "features": 2, **sizes})


def test_a_generated_process_is_one_and_its_seed_decides():
    first, again, other = case(1), case(1), case(2)
    for name in ("transitions", "features", "expert"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
    np.testing.assert_allclose(first.transitions.sum(axis=2), 1.0)
    assert first.transitions.min() >= 0.05 / 5 * (1 - 1e-12), "mixing reaches every state"


@pytest.mark.parametrize(
    "change",
    [{"concentration": 5.0}, {"mixing": 0.5}, {"discount": 0.1}, {"expert_temperature": 1.0}],
)
def test_each_setting_of_a_process_changes_it(change):
    plain, changed = case(), case(**change)
    assert not np.allclose(plain.expert, changed.expert)


def test_the_expert_is_the_softmax_of_optimal_values():
    """At a tiny temperature it is greedy, and no other policy is worth more."""
    sharp = case(3, expert_temperature=1e-4)
    greedy = sharp.expert.argmax(axis=1)
    np.testing.assert_allclose(sharp.expert.max(axis=1), 1.0)
    warm = case(3, expert_temperature=0.1)
    assert np.array_equal(warm.expert.argmax(axis=1), greedy)
    assert warm.expert.max() < 1


def test_stationary_distributions_are_what_long_walks_visit():
    process = case()
    policies = random_policies(process, 4, seed=0)
    states = stationary_distribution(process, policies)
    np.testing.assert_allclose(states.sum(axis=1), 1.0)
    matrix = chain(process, policies)
    np.testing.assert_allclose(np.einsum("ns,nst->nt", states, matrix), states, atol=1e-14)
    power = np.linalg.matrix_power(matrix[0], 5000)
    np.testing.assert_allclose(power[0], states[0], atol=1e-12)
    rng = np.random.default_rng(0)
    counts, at = np.zeros(5), 0
    for _ in range(20_000):
        at = rng.choice(5, p=matrix[0][at])
        counts[at] += 1
    np.testing.assert_allclose(counts / 20_000, states[0], atol=0.02)  # 4 deviations at 20,000


@pytest.mark.parametrize("decay", [1e-3, 0.5, 30.0])
def test_the_update_is_equation_8_and_the_gradient_of_equation_7(decay):
    process = case()
    states = stationary_distribution(process, random_policies(process, 1, seed=1)[0])
    theta = np.random.default_rng(1).standard_normal((2, 3))
    parameters = torch.tensor(theta, requires_grad=True)
    logs = torch.log_softmax(torch.tensor(process.features) @ parameters, dim=1)
    cross = -(torch.tensor(process.expert) * logs).sum(dim=1)
    loss = (torch.tensor(states) * cross).sum() + decay / 2 * parameters.square().sum()
    loss.backward()
    assert objective(process, states, theta, decay) == pytest.approx(loss.item(), rel=1e-13)
    update = expected_update(process, states, theta, decay, 0.25)
    # The printed form, element by element: Phi^T D (P - Pi_E) + lambda theta.
    p = softmax(process.features @ theta)
    printed = process.features.T @ np.diag(states) @ (p - process.expert) + decay * theta
    np.testing.assert_allclose(update, -0.25 * printed, rtol=1e-12)
    np.testing.assert_allclose(update, -0.25 * parameters.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("decay", [1e-8, 1e-6, 1e-2, 10.0])
def test_the_stationary_point_is_where_gradient_descent_ends(decay):
    process = case()
    states = stationary_distribution(process, random_policies(process, 3, seed=2))
    theta = stationary_point(process, states, decay)
    np.testing.assert_allclose(expected_update(process, states, theta, decay, 1.0), 0, atol=1e-12)
    for _ in range(20):
        elsewhere = theta + 0.1 * np.random.default_rng(3).standard_normal(theta.shape)
        assert (objective(process, states, elsewhere, decay) > objective(
            process, states, theta, decay
        )).all()  # fmt: skip
    if decay == 1e-2:
        walked = np.zeros_like(theta)
        for _ in range(20_000):
            walked += expected_update(process, states, walked, decay, 0.5)
        np.testing.assert_allclose(walked, theta, atol=1e-9)


def test_lambda_is_needed():
    process = case()
    states = np.full(5, 0.2)
    with pytest.raises(ValueError, match=r"decay is 0; allowed: more than 0"):
        stationary_point(process, states, 0)


def test_gamma_is_lipschitz_with_its_constant_and_the_argmax_is_not():
    rng = np.random.default_rng(0)
    for temperature in (1.0, 0.1):
        gamma = Gamma(0.1, temperature)
        assert gamma.lipschitz == pytest.approx(0.9 / (2 * temperature))
        first = rng.standard_normal((500, 4, 3))
        second = first + rng.standard_normal((500, 1, 1)) * rng.standard_normal((500, 4, 3)) * 0.1
        apart = distance(gamma(first), gamma(second))
        assert (apart <= gamma.lipschitz * distance(first, second) + 1e-15).all()
    # Two equal values, moved apart a little: the constant is reached ...
    near = np.array([[[1e-6, -1e-6]]]) * 0.1
    reached = distance(gamma(near), gamma(-near)) / distance(near, -near)
    assert reached[0] == pytest.approx(gamma.lipschitz, rel=1e-6)
    # ... and the argmax jumps, however little they are moved.
    greedy = Gamma(0.1, 0.0)
    assert math.isinf(greedy.lipschitz)
    assert distance(greedy(near), greedy(-near))[0] == pytest.approx(0.9 * math.sqrt(2))
    with pytest.raises(ValueError, match="argmax has no derivative"):
        iteration_jacobian(case(), greedy, 1.0, random_policies(case(), 1, 0))


def test_gamma_mixes_in_uniform_actions():
    policy = Gamma(0.3, 0.0)(np.array([[1.0, 2.0, 0.0]]))
    np.testing.assert_allclose(policy, [[0.1, 0.8, 0.1]])
    assert Gamma(1.0, 0.5)(np.array([[5.0, 0.0]])) == pytest.approx(np.full((1, 2), 0.5))


@pytest.mark.parametrize("decay", [0.05, 2.0])
def test_the_derivative_of_an_iteration_is_its_finite_difference(decay):
    process = case(states=4)
    policy = random_policies(process, 3, seed=5)
    jacobian = iteration_jacobian(process, SMOOTH, decay, policy)
    assert jacobian.shape == (3, 8, 8)
    rng = np.random.default_rng(0)
    for _ in range(4):
        direction = rng.standard_normal((4, 3))
        direction -= direction.mean(axis=1, keepdims=True)
        step = 1e-6
        ahead = iterate(process, SMOOTH, decay, policy + step * direction)
        behind = iterate(process, SMOOTH, decay, policy - step * direction)
        moved = (ahead - behind) / (2 * step)
        # Norms are those of the policies' differences, whatever the basis.
        largest = np.linalg.norm(jacobian, 2, axis=(-2, -1))
        assert (distance(moved, 0 * moved) <= largest * np.linalg.norm(direction) * 1.0001).all()
        basis = _tangent_coordinates(direction)
        expected = np.einsum("nij,j->ni", jacobian, basis)
        np.testing.assert_allclose(
            np.linalg.norm(expected, axis=1), distance(moved, 0 * moved), rtol=1e-4
        )


def _tangent_coordinates(direction):
    actions = direction.shape[1]
    left, _, _ = np.linalg.svd(np.eye(actions) - 1 / actions)
    return (direction @ left[:, : actions - 1]).ravel()


def test_a_contraction_has_one_fixed_point_from_everywhere():
    process, decay = case(states=8), 30.0
    starts = random_policies(process, 20, seed=7)
    probes = random_policies(process, 100, seed=8)
    jacobian = iteration_jacobian(process, SMOOTH, decay, probes)
    assert np.linalg.norm(jacobian, 2, axis=(-2, -1)).max() < 1, "here it contracts"
    run = run_iteration(process, SMOOTH, decay, starts, iterations=100)
    assert run.settled.all()
    assert len(distinct(run.limits)) == 1
    again = iterate(process, SMOOTH, decay, run.limits)
    np.testing.assert_allclose(again, run.limits, atol=1e-10)
    # Step by step, no two policies are further apart than the factor allows.
    before = distance(run.policies[0][:-1], run.policies[0][1:])
    after = distance(run.policies[1][:-1], run.policies[1][1:])
    assert (after < before).all()


def test_the_fixed_point_is_approached_at_the_spectral_radius():
    process, decay = case(states=8), 3.0
    run = run_iteration(process, SMOOTH, decay, random_policies(process, 6, seed=7), iterations=100)
    radius = spectral_radius(iteration_jacobian(process, SMOOTH, decay, run.limits[0]))
    apart = distance(run.policies, run.limits[0]).mean(axis=1)
    late = np.flatnonzero(apart > 1e-8)[-3:]
    observed = (apart[late[-1]] / apart[late[0]]) ** (1 / (late[-1] - late[0]))
    assert observed == pytest.approx(radius, rel=0.3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("decay", [0.1, 10.0, 1000.0])
def test_the_proofs_constants_bound_what_is_measured(seed, decay):
    process = case(seed)
    constants = theorem_constants(process, SMOOTH, decay)
    policies = random_policies(process, 60, seed=seed)
    states = stationary_distribution(process, policies)
    moved = np.linalg.norm(states[:-1] - states[1:], axis=1)
    apart = distance(policies[:-1], policies[1:])
    assert (moved <= constants.distribution * apart).all(), "lemma 2"
    factors = np.linalg.norm(iteration_jacobian(process, SMOOTH, decay, policies), 2, axis=(-2, -1))
    assert factors.max() <= constants.convex <= constants.printed
    after = iterate(process, SMOOTH, decay, policies)
    assert (distance(after[:-1], after[1:]) <= constants.convex * apart).all()
    assert math.isinf(constants.printed) == (decay <= constants.features**2 / 2)


def test_the_constant_falls_as_one_over_lambda():
    process = case()
    one, ten = (theorem_constants(process, SMOOTH, decay).convex for decay in (1.0, 10.0))
    assert one == pytest.approx(10 * ten)


def test_contraction_is_lost_as_lambda_falls():
    """A habit that undermines itself: above the critical lambda one fixed point, below it none."""
    process = feedback_case(-0.9)
    starts = random_policies(process, 8, seed=0)
    for decay, settles in ((10.0, True), (0.1, False)):
        run = run_iteration(process, SMOOTH, decay, starts, iterations=300)
        assert run.settled.all() == settles
        symmetric = np.full((1, 3, 2), 0.5)  # by symmetry a fixed point at every lambda
        np.testing.assert_allclose(iterate(process, SMOOTH, decay, symmetric), symmetric)
        radius = spectral_radius(iteration_jacobian(process, SMOOTH, decay, symmetric))[0]
        assert (radius < 1) == settles
        if settles:
            np.testing.assert_allclose(run.limits, 0.5, atol=1e-9)


def test_habits_that_confirm_themselves_have_two_fixed_points_below_it():
    process = feedback_case(0.9)
    starts = random_policies(process, 12, seed=0)
    below = run_iteration(process, SMOOTH, 0.1, starts, iterations=300)
    assert below.settled.all()
    limits = distinct(below.limits)
    assert len(limits) == 2
    np.testing.assert_allclose(limits[0], limits[1][:, ::-1], atol=1e-8)
    above = run_iteration(process, SMOOTH, 10.0, starts, iterations=300)
    assert len(distinct(above.limits)) == 1


def test_the_argmax_never_settles_where_the_softmax_does():
    process, decay = feedback_case(-0.9), 10.0
    starts = random_policies(process, 6, seed=1)
    run = run_iteration(process, Gamma(0.1, 0.0), decay, starts, iterations=50)
    assert not run.settled.any()
    np.testing.assert_allclose(run.policies[-1], run.policies[-3], atol=1e-12)
    np.testing.assert_allclose(np.abs(run.policies[-1] - run.policies[-2]), 0.9, atol=1e-12)
    assert run_iteration(process, SMOOTH, decay, starts, iterations=50).settled.all()


def test_stochastic_descent_comes_to_the_stationary_point():
    process = case()
    states = stationary_distribution(process, random_policies(process, 1, seed=0)[0])
    run = stochastic_descent(process, states, 1.0, updates=4000, repeats=12, seed=0)
    means = run.errors.mean(axis=1)
    assert means[-1] < 0.1 * means[0]
    late = run.updates >= 100
    exponent, _ = fitted_exponent(run.updates[late], means[late])
    assert exponent == pytest.approx(-0.5, abs=0.12)  # spread over seeds: 0.04
    again = stochastic_descent(process, states, 1.0, updates=4000, repeats=12, seed=0)
    assert np.array_equal(run.errors, again.errors)
    other = stochastic_descent(process, states, 1.0, updates=4000, repeats=12, seed=1)
    assert not np.array_equal(run.errors, other.errors)


def test_exponents_are_fitted():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert fitted_exponent(x, 3 * x**1.7) == pytest.approx((1.7, 3.0))
    with pytest.raises(ValueError, match="x has 1 points and y 1; allowed: as many, 2 up"):
        fitted_exponent([1], [1])
    with pytest.raises(ValueError, match="values that are not positive"):
        fitted_exponent([1, 2], [0, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: case(mixing=0), "mixing is 0; allowed: more than 0 and at most 1"),
        (lambda: feedback_case(2), "feedback is 2; allowed: -1 to 1"),
        (lambda: feedback_case(0.5, mixing=0), "mixing is 0; allowed: more than 0"),
        (lambda: Gamma(1.5, 1.0), "epsilon is 1.5; allowed: 0 to 1"),
        (lambda: Gamma(0.5, -1.0), "temperature is -1.0; allowed: 0"),
        (
            lambda: LinearCase(np.ones((2, 2, 3)) / 3, np.ones((2, 1)), np.ones((2, 2)) / 2),
            r"transitions has shape \(2, 2, 3\); allowed: \(2, 2, 2\)",
        ),
        (
            lambda: LinearCase(np.ones((2, 2, 2)) / 2, np.ones((3, 1)), np.ones((2, 2)) / 2),
            r"features has shape \(3, 1\); allowed: \(2, any width\)",
        ),
        (
            lambda: LinearCase(np.ones((2, 2, 2)), np.ones((2, 1)), np.ones((2, 2)) / 2),
            "transitions has rows that are no distributions",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
