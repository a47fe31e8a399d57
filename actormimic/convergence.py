"""Section 4 and appendix A in the tabular, linear case: the iteration, eq. 8 and its contraction.

The student of a `LinearCase` acts by ``Gamma(Phi theta)``, its states follow the stationary
distribution D of that policy, and theta moves to the minimum of eq. 7 under D: one step of the
iteration of section 4.2 (`iterate`). All of it is exact linear algebra in float64, so what is
measured is the theorem's own map and not a sample of it. The regularizer of eq. 7 is taken as
``lambda / 2 * ||theta||^2``, whose gradient is the ``lambda * theta`` of eq. 8.

Functions take batches: policies ``[..., S, A]``, distributions ``[..., S]``, parameters
``[..., K, A]``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actormimic.linear_case import Array, Gamma, LinearCase, softmax

_NEWTON_STEPS = 200
_HALVINGS = 60


def chain(case: LinearCase, policy: Array) -> Array:
    """The transition matrix [..., S, S] between states under ``policy``."""
    matrix: Array = np.einsum("...sa,sat->...st", policy, case.transitions)
    return matrix


def stationary_distribution(case: LinearCase, policy: Array) -> Array:
    """D_pi [..., S]: the distribution that the chain of ``policy`` leaves as it is."""
    matrix = chain(case, policy)
    states = matrix.shape[-1]
    # d (I - T + 1 1^T) = 1^T has one solution where the chain is irreducible, and it sums to 1.
    system = np.swapaxes(np.eye(states) - matrix + 1.0, -1, -2)
    return np.asarray(np.linalg.solve(system, np.ones((*matrix.shape[:-1], 1)))[..., 0])


def objective(case: LinearCase, states: Array, theta: Array, decay: float) -> Array:
    """Eq. 7 [...]: cross-entropy to the expert over ``states`` [..., S], and the regularizer.

    ``decay`` is lambda; the regularizer is ``lambda / 2 * ||theta||^2`` (see the module).
    """
    logits = case.features @ theta
    highest = logits.max(axis=-1, keepdims=True)
    logs = logits - highest - np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True))
    cross = -(case.expert * logs).sum(axis=-1)
    return np.asarray((states * cross).sum(axis=-1) + decay / 2 * (theta**2).sum(axis=(-1, -2)))


def expected_update(
    case: LinearCase, states: Array, theta: Array, decay: float, rate: float
) -> Array:
    """Delta theta of eq. 8: ``-rate [Phi^T D (P_theta - Pi_E) + lambda theta]``."""
    errors = states[..., None] * (softmax(case.features @ theta) - case.expert)
    return np.asarray(-rate * (case.features.T @ errors + decay * theta))


def stationary_point(case: LinearCase, states: Array, decay: float) -> Array:
    """theta* [..., K, A] where eq. 8 stands still under ``states`` [..., S] (lemma 1).

    Newton's method with halved steps; eq. 7 is strictly convex, so there is one such point.

    Raises:
        ValueError: decay is not positive, without which theta* need not exist.
        RuntimeError: no stationary point was found to float64's accuracy.
    """
    if not decay > 0:
        raise ValueError(f"decay is {decay}; allowed: more than 0")
    shape = (*states.shape[:-1], case.features.shape[1], case.expert.shape[1])
    theta = np.zeros(shape)
    for _ in range(_NEWTON_STEPS):
        descent = expected_update(case, states, theta, decay, 1.0)
        slope = np.sqrt((descent**2).sum(axis=(-1, -2), keepdims=True))
        if slope.max() < 1e-13 * max(1.0, decay):
            return theta
        step = np.linalg.solve(
            _hessian(case, states, theta, decay), descent.reshape(*shape[:-2], -1, 1)
        ).reshape(shape)
        gain = (step * descent).sum(axis=(-1, -2))
        before = objective(case, states, theta, decay)
        size = np.ones(before.shape)
        for _ in range(_HALVINGS):
            after = objective(case, states, theta + size[..., None, None] * step, decay)
            # Near the minimum the objective's rounding hides the gain: full steps are right there.
            # However small the objective is, the logarithms in it are of order 1 and more.
            poor = (after > before - 0.25 * size * gain) & (
                gain > 1e-12 * np.maximum(1.0, np.abs(before))
            )
            if not poor.any():
                break
            size = np.where(poor, size / 2, size)
        theta = theta + size[..., None, None] * step
        if gain.max() < 1e-26:
            return theta
    raise RuntimeError(f"no stationary point of eq. 7 within {_NEWTON_STEPS} steps of Newton's")


def _hessian(case: LinearCase, states: Array, theta: Array, decay: float) -> Array:
    """Of eq. 7 at theta: [..., K A, K A]."""
    p = softmax(case.features @ theta)
    phi = case.features
    width = phi.shape[1] * p.shape[-1]
    curve = p[..., :, None] * np.eye(p.shape[-1]) - p[..., :, None] * p[..., None, :]
    full = np.einsum("...s,sk,sl,...sab->...kalb", states, phi, phi, curve, optimize=True)
    return np.asarray(full.reshape(*p.shape[:-2], width, width) + decay * np.eye(width))


def iterate(case: LinearCase, gamma: Gamma, decay: float, policy: Array) -> Array:
    """One iteration of section 4.2: ``policy`` finds states, theta* is learned, Gamma acts."""
    theta = stationary_point(case, stationary_distribution(case, policy), decay)
    return gamma(case.features @ theta)


class Iteration(NamedTuple):
    """Policies of the iteration from several starts at once."""

    policies: Array
    """[N + 1, starts, S, A], the starts first."""
    settled: npt.NDArray[np.bool_]
    """[starts]: whether the last step moved less than the tolerance."""

    @property
    def limits(self) -> Array:
        """[starts, S, A]: where each start ended."""
        return np.asarray(self.policies[-1])


def run_iteration(
    case: LinearCase,
    gamma: Gamma,
    decay: float,
    starts: Array,
    *,
    iterations: int,
    tolerance: float = 1e-11,
) -> Iteration:
    """`iterate` from each of ``starts`` [starts, S, A] until all stand still, or ``iterations``."""
    policies = [starts]
    moved = np.full(len(starts), np.inf)
    for _ in range(iterations):
        policies.append(iterate(case, gamma, decay, policies[-1]))
        moved = distance(policies[-1], policies[-2])
        if moved.max() < tolerance:
            break
    return Iteration(np.stack(policies), moved < tolerance)


def distance(first: Array, second: Array) -> Array:
    """The Euclidean norm of the difference of two policies, [...]."""
    return np.asarray(np.sqrt(((first - second) ** 2).sum(axis=(-1, -2))))


def distinct(policies: Array, tolerance: float = 1e-6) -> Array:
    """Of ``policies`` [N, S, A] those further than ``tolerance`` from all before them."""
    kept: list[Array] = []
    for policy in policies:
        if all(distance(policy, other) > tolerance for other in kept):
            kept.append(policy)
    return np.stack(kept)


def iteration_jacobian(case: LinearCase, gamma: Gamma, decay: float, policy: Array) -> Array:
    """The derivative of `iterate` at ``policy`` [..., S, A], between policies' differences.

    Returns ``[..., S (A - 1), S (A - 1)]`` in an orthonormal basis of the differences of policies
    (rows that sum to 0), so its Euclidean norm is the local factor of contraction and its spectral
    radius the rate at which the iteration closes in on a fixed point.

    Raises:
        ValueError: ``gamma`` is the argmax, which has no derivative.
    """
    if gamma.temperature == 0:
        raise ValueError("gamma has temperature 0; allowed: more than 0 (argmax has no derivative)")
    num_states, actions = case.expert.shape
    states = stationary_distribution(case, policy)
    theta = stationary_point(case, states, decay)
    basis = _zero_sum_basis(actions)
    # Three links of a chain rule: the chain's stationary distribution moves with the policy,
    # d' = d T' (I - T + 1 d)^-1 (Schweitzer's formula); the minimum of eq. 7 moves with it ...
    fundamental = np.linalg.inv(np.eye(num_states) - chain(case, policy) + states[..., None, :])
    by_policy = np.einsum(
        "...s,sau,ab,...ut->...sbt", states, case.transitions, basis, fundamental, optimize=True
    )
    errors = softmax(case.features @ theta) - case.expert
    pull = -np.einsum("tk,...ta->...tka", case.features, errors)
    width = case.features.shape[1] * actions
    moved = np.linalg.solve(
        _hessian(case, states, theta, decay),
        np.swapaxes(pull.reshape(*states.shape, width), -1, -2),
    ).reshape(*states.shape[:-1], case.features.shape[1], actions, num_states)
    # ... and Gamma's softmax with the Q-values.
    p = softmax(case.features @ theta / gamma.temperature)
    slope = (1 - gamma.epsilon) / gamma.temperature
    q = np.einsum("sk,...kat->...sat", case.features, moved)
    acted = slope * p[..., None] * (q - np.einsum("...sa,...sat->...st", p, q)[..., None, :])
    by_states = np.einsum("ab,...sat->...sbt", basis, acted)
    full = np.einsum("...rct,...sbt->...rcsb", by_states, by_policy, optimize=True)
    size = num_states * (actions - 1)
    return np.asarray(full.reshape(*states.shape[:-1], size, size))


def _zero_sum_basis(actions: int) -> Array:
    """[A, A - 1]: orthonormal columns that sum to 0."""
    centered = np.eye(actions) - 1.0 / actions
    left, _, _ = np.linalg.svd(centered)
    return np.asarray(left[:, : actions - 1])


def spectral_radius(matrix: Array) -> Array:
    """The largest absolute eigenvalue, [...]."""
    return np.asarray(np.abs(np.linalg.eigvals(matrix)).max(axis=-1))


class Constants(NamedTuple):
    """What bounds the factor of contraction in the proof of theorem 1 (appendix A)."""

    gamma: float
    """c_epsilon: Lipschitz constant of Gamma."""
    features: float
    """||Phi||, the spectral norm."""
    distribution: float
    """c_D of lemma 2, over all policies."""
    printed: float
    """beta by eq. 14 to 20 term by term; infinite where they bound nothing."""
    convex: float
    """beta where convexity removes the middle term of eq. 19."""


def theorem_constants(case: LinearCase, gamma: Gamma, decay: float) -> Constants:
    """The constants of appendix A, computed for this process.

    Lemma 2 with Seneta's coefficient: ``||d1 - d2||_1 <= ||T1 - T2||_inf / (1 - tau)``, where tau
    is half the largest 1-norm between two rows of T (any states, any actions; the paper prints "the
    largest eigenvalue", which is 1 for every chain). Eq. 19 has ``theta1 - theta2`` on both sides,
    through lemma 3 with c_J = 1/2; solved for it,

    ``beta = c_eps |Phi| * |Phi| c_D (|Pi_E| + |P|) / (lambda - |Phi|^2 / 2)``, ``|P| <= sqrt(S)``,

    which needs ``lambda > |Phi|^2 / 2``. The term ``Phi^T D1 (P1 - P2)`` is the difference of a
    convex function's gradients, so its product with ``theta1 - theta2`` is not negative and can be
    dropped:

    ``beta = c_eps |Phi| * |Phi| c_D sqrt(2) / lambda``,

    as two distributions over actions are at most sqrt(2) apart.
    """
    rows = case.transitions.reshape(-1, case.transitions.shape[-1])
    apart = np.abs(rows[:, None] - rows[None]).sum(axis=-1) / 2
    per_state = np.abs(case.transitions[:, :, None] - case.transitions[:, None]).sum(axis=-1) / 2
    actions, states = case.expert.shape[1], len(case.expert)
    # A policy's rows differ by vectors that sum to 0, whose 1-norm is at most sqrt(A) their 2-norm.
    distribution = float(math.sqrt(actions) * per_state.max() / (1 - apart.max()))
    norm = float(np.linalg.norm(case.features, 2))
    scale = gamma.lipschitz * norm * norm * distribution
    printed = math.inf
    if decay > norm**2 / 2:
        sizes = float(np.linalg.norm(case.expert)) + math.sqrt(states)
        printed = scale * sizes / (decay - norm**2 / 2)
    return Constants(gamma.lipschitz, norm, distribution, printed, scale * math.sqrt(2) / decay)


def fitted_exponent(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[float, float]:
    """Exponent p and factor c of the power law ``y = c x^p`` nearest in log-log least squares.

    Raises:
        ValueError: fewer than two points, or values that are not positive.
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.shape != second.shape or first.size < 2:
        raise ValueError(f"x has {first.size} points and y {second.size}; allowed: as many, 2 up")
    if first.min() <= 0 or second.min() <= 0:
        raise ValueError("x and y have values that are not positive; allowed: a power law's")
    slope, intercept = np.polyfit(np.log(first), np.log(second), 1)
    return float(slope), float(math.exp(intercept))
