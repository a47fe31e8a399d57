"""``task: convergence``: what section 4 and appendix A claim, computed, measured and written down.

Each experiment appends its measurements to ``metrics.jsonl``, one JSON object per line with the
experiment's name; ``results.json`` holds the table. `actormimic.convergence_report` draws both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actormimic.command_line import Say
from actormimic.config import ConvergenceRun
from actormimic.convergence import (
    distance,
    distinct,
    expected_update,
    fitted_exponent,
    iteration_jacobian,
    run_iteration,
    spectral_radius,
    stationary_distribution,
    theorem_constants,
)
from actormimic.convergence_report import write_convergence_report
from actormimic.descent import stochastic_descent
from actormimic.faults import faults_are_ours
from actormimic.horizon import student_cost
from actormimic.linear_case import (
    Array,
    Gamma,
    LinearCase,
    feedback_case,
    generated_case,
    random_policies,
)
from actormimic.randomness import Stream, derive_seed, generator
from actormimic.run_files import METRICS_NAME, RESULTS_NAME
from actormimic.run_folder import write_json

_ARGMAX_ITERATIONS = 12


@dataclass
class _Findings:
    """The lines of metrics.jsonl and the rows of the table, as experiments add them."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)

    def line(self, experiment: str, **values: Any) -> None:
        self.lines.append({"experiment": experiment, **values})

    def row(self, claim: str, source: str, found: str) -> None:
        self.rows.append({"claim": claim, "source": source, "found": found})


def run_convergence(settings: ConvergenceRun, folder: Path, say: Say) -> None:
    """Compute everything and write ``metrics.jsonl``, ``results.json`` and the report."""
    began = time.monotonic()
    findings = _Findings()
    with (folder / METRICS_NAME).open("w", encoding="utf-8") as file, faults_are_ours():
        for name, experiment in _EXPERIMENTS.items():
            say(name)
            known = len(findings.lines)
            experiment(settings, findings)
            for line in findings.lines[known:]:
                file.write(json.dumps(line) + "\n")
    results = {
        "task": settings.task,
        "caption": "Exact computations in float64 but for lemma 1, whose states are drawn; "
        f"{settings.process.count} generated processes, seed {settings.seed}.",
        "agent_steps": 0,
        "seconds": round(time.monotonic() - began, 1),
        "rows": findings.rows,
    }
    # A results.json means that the run is complete.
    write_json(folder / RESULTS_NAME, results)
    present_convergence(folder, say)


def present_convergence(folder: Path, say: Say) -> None:
    """Draw the report of a complete run, and print its table and where the report is."""
    page = write_convergence_report(folder)
    results = json.loads((folder / RESULTS_NAME).read_text(encoding="utf-8"))
    width = max(len(row["claim"]) for row in results["rows"])
    for row in results["rows"]:
        say(f"{row['claim']:{width}}  {row['found']}")
    say(f"report: {page}")


def processes(settings: ConvergenceRun) -> Iterator[tuple[int, LinearCase]]:
    """The generated processes of a run, numbered."""
    made = settings.process
    for number in range(made.count):
        yield (
            number,
            generated_case(
                derive_seed(settings.seed, Stream.PROCESSES, number),
                states=made.states,
                actions=made.actions,
                features=made.features,
                concentration=made.concentration,
                mixing=made.mixing,
                discount=made.discount,
                expert_temperature=made.expert_temperature,
            ),
        )


def gradient_by_autograd(case: LinearCase, states: Array, theta: Array, decay: float) -> Array:
    """The gradient of eq. 7 with respect to theta [K, A], by torch, from the objective alone."""
    phi, expert, weights = (torch.from_numpy(a) for a in (case.features, case.expert, states))
    parameters = torch.from_numpy(theta.copy()).requires_grad_(True)
    logs = torch.log_softmax(phi @ parameters, dim=1)
    loss = -(weights * (expert * logs).sum(dim=1)).sum() + decay / 2 * parameters.square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert parameters.grad is not None
    return np.asarray(parameters.grad.numpy())


def _equation_8(settings: ConvergenceRun, findings: _Findings) -> None:
    worst = 0.0
    for number, case in processes(settings):
        rng = generator(settings.seed, Stream.PROCESSES, 3, number)
        policies = random_policies(case, 8, settings.seed)
        for states in stationary_distribution(case, policies):
            theta = rng.standard_normal((case.features.shape[1], case.expert.shape[1]))
            update = expected_update(case, states, theta, settings.iteration.decay, 0.5)
            gradient = gradient_by_autograd(case, states, theta, settings.iteration.decay)
            apart = float(np.abs(update + 0.5 * gradient).max())
            findings.line("equation 8", process=number, apart=apart)
            worst = max(worst, apart)
    findings.row(
        "The update is -alpha times the gradient of eq. 7",
        "eq. 8",
        f"largest difference from autograd {worst:.1e}",
    )


def _descent(settings: ConvergenceRun, findings: _Findings) -> None:
    exponents = []
    for number, case in processes(settings):
        policy = random_policies(case, 1, settings.seed)[0]
        run = stochastic_descent(
            case,
            stationary_distribution(case, policy),
            settings.iteration.decay,
            updates=settings.descent.updates,
            repeats=settings.descent.repeats,
            seed=derive_seed(settings.seed, Stream.PROCESSES, 4, number),
        )
        means = run.errors.mean(axis=1)
        for count, mean in zip(run.updates.tolist(), means.tolist(), strict=True):
            findings.line("descent", process=number, updates=count, error=mean)
        # The first updates still forget the start; the law is that of the last two decades.
        late = run.updates >= settings.descent.updates / 100
        exponents.append(fitted_exponent(run.updates[late], means[late])[0])
    findings.row(
        "Under a fixed policy SGD comes to theta*",
        "lemma 1",
        f"its distance falls as t^{np.mean(exponents):.2f} "
        f"(processes: {min(exponents):.2f} to {max(exponents):.2f})",
    )


def _fixed_points(settings: ConvergenceRun, findings: _Findings) -> None:
    wanted = settings.iteration
    gamma = Gamma(wanted.epsilon, wanted.temperature)
    settled = spread = 0.0
    total, rates = 0, []
    for number, case in processes(settings):
        starts = random_policies(case, wanted.starts, settings.seed)
        run = run_iteration(case, gamma, wanted.decay, starts, iterations=wanted.iterations)
        limit = run.limits[0]
        for iteration, policies in enumerate(run.policies):
            for start, apart in enumerate(distance(policies, limit).tolist()):
                findings.line(
                    "iteration", process=number, start=start, iteration=iteration, distance=apart
                )
        settled += float(run.settled.sum())
        total += len(starts)
        spread = max(spread, float(distance(run.limits, limit).max()))
        jacobian = iteration_jacobian(case, gamma, wanted.decay, limit)
        rates.append((_observed_rate(run.policies, limit), float(spectral_radius(jacobian))))
        findings.line("rate", process=number, observed=rates[-1][0], predicted=rates[-1][1])
    findings.row(
        f"One fixed point from many starts (lambda {wanted.decay:g})",
        "theorem 1",
        f"{settled:.0f} of {total} starts settled, limits at most {spread:.1e} apart",
    )
    findings.row(
        "Each iteration shrinks the distance by the derivative's spectral radius",
        "theorem 1",
        "observed / predicted: " + ", ".join(f"{seen:.3f} / {said:.3f}" for seen, said in rates),
    )


def _observed_rate(policies: Array, limit: Array) -> float:
    """The factor per iteration with which the mean distance from ``limit`` falls at the end."""
    apart = distance(policies, limit).mean(axis=1)
    clean = np.flatnonzero(apart > 1e-9)  # below, rounding shows
    last = clean[-3:]
    if len(last) < 2:
        return 0.0
    return float((apart[last[-1]] / apart[last[0]]) ** (1 / (last[-1] - last[0])))


def _contraction(settings: ConvergenceRun, findings: _Findings) -> None:
    wanted = settings.iteration
    gamma = Gamma(wanted.epsilon, wanted.temperature)
    decays = np.geomspace(wanted.sweep_from, wanted.sweep_to, wanted.sweep_points)
    lost, unsettled, guaranteed = [], [], []
    for number, case in processes(settings):
        starts = random_policies(case, wanted.starts, settings.seed)
        probes = random_policies(case, wanted.policies, settings.seed + 1)
        measured, sound = [], []
        for decay in decays.tolist():
            run = run_iteration(case, gamma, decay, starts, iterations=wanted.iterations)
            jacobians = iteration_jacobian(case, gamma, decay, np.concatenate([probes, run.limits]))
            factor = float(np.linalg.norm(jacobians, 2, axis=(-2, -1)).max())
            limits = len(distinct(run.limits))
            constants = theorem_constants(case, gamma, decay)
            measured.append(factor)
            sound.append(bool(run.settled.all()) and limits == 1)
            findings.line(
                "contraction",
                process=number,
                decay=decay,
                measured=factor,
                printed=constants.printed if np.isfinite(constants.printed) else None,
                convex=constants.convex,
                settled=float(run.settled.mean()),
                limits=limits,
            )
        lost.append(crossing(decays, np.array(measured)))
        unsettled.append(max(decays[~np.array(sound)].tolist(), default=None))
        guaranteed.append(theorem_constants(case, gamma, 1.0).convex)
    tried = wanted.policies + wanted.starts  # the limits too
    findings.row(
        f"No expansion was found at {tried} policies while lambda is above",
        "theorem 1",
        _listed(lost, f"not lost down to {decays[0]:g}"),
    )
    findings.row(
        "Several limits, or none, are found up to a lambda of",
        "theorem 1",
        _listed(unsettled, "none found"),
    )
    findings.row(
        "The proof's constant (convexity used) is below 1 while lambda is above",
        "eq. 14 to 20",
        _listed(guaranteed, ""),
    )


def crossing(decays: Array, factors: Array) -> float | None:
    """The lambda above which all ``factors`` are below 1; None where they all are.

    ``decays`` rise. Between two of them the logarithm is interpolated; infinite where the factor at
    the largest is still 1 or more.
    """
    above = np.flatnonzero(factors >= 1)
    if len(above) == 0:
        return None
    last = int(above[-1])
    if last + 1 == len(decays):
        return float("inf")
    x, y = np.log(decays[last : last + 2]), np.log(factors[last : last + 2])
    return float(np.exp(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0])))


def _listed(values: list[Any], otherwise: str) -> str:
    return ", ".join(otherwise if value is None else f"{value:.3g}" for value in values)


def _feedback(settings: ConvergenceRun, findings: _Findings) -> None:
    wanted = settings.iteration
    smooth = Gamma(wanted.epsilon, wanted.temperature)
    greedy = Gamma(wanted.epsilon, 0.0)
    decays = np.geomspace(wanted.sweep_from, wanted.sweep_to, wanted.sweep_points)
    found = {}
    for feedback in (-wanted.feedback, wanted.feedback):
        case = feedback_case(feedback, mixing=settings.process.mixing)
        starts = random_policies(case, wanted.starts, settings.seed)
        for decay in decays.tolist():
            run = run_iteration(case, smooth, decay, starts, iterations=wanted.iterations)
            for policies in run.policies[-2:]:
                for start, probability in enumerate(policies[:, 0, 0].tolist()):
                    findings.line(
                        "feedback",
                        feedback=feedback,
                        decay=decay,
                        start=start,
                        probability=probability,
                        settled=bool(run.settled[start]),
                    )
        for name, gamma in (("argmax", greedy), ("softmax", smooth)):
            run = run_iteration(
                case, gamma, wanted.decay, starts, iterations=_ARGMAX_ITERATIONS, tolerance=0.0
            )
            paths = run.policies[:, :, 0, 0]
            for iteration, path in enumerate(paths):
                for start, probability in enumerate(path.tolist()):
                    findings.line(
                        "argmax",
                        operator=name,
                        feedback=feedback,
                        start=start,
                        iteration=iteration,
                        probability=probability,
                    )
            moves = float(np.abs(paths[-1] - paths[-2]).max())
            found[name, feedback > 0] = (moves, len(distinct(run.limits)))
    findings.row(
        "epsilon-greedy argmax: a habit that undermines itself has no fixed point",
        "theorem 1's condition",
        f"still moves by {found['argmax', False][0]:.2f} in each iteration at lambda "
        f"{wanted.decay:g}; epsilon-softmax by {found['softmax', False][0]:.1e}",
    )
    findings.row(
        "epsilon-greedy argmax: a habit that confirms itself has several",
        "theorem 1's condition",
        f"{found['argmax', True][1]} limits at lambda {wanted.decay:g}; epsilon-softmax "
        f"{found['softmax', True][1]}",
    )


def _horizons(settings: ConvergenceRun, findings: _Findings) -> None:
    wanted = settings.horizon
    for share in wanted.expert_shares:
        students = [student_cost(length, share, wanted.decay) for length in wanted.horizons]
        for student in students:
            findings.line("horizon", expert_share=share, **student._asdict())
        exponent, factor = fitted_exponent(wanted.horizons, [s.cost for s in students])
        findings.line("growth", expert_share=share, exponent=exponent, factor=factor)
        who = {0.0: "student", 1.0: "expert"}.get(share, f"mixture ({share:g} expert)")
        findings.row(
            f"Cost over the horizon T when the {who} acts while learning",
            "proposition 1",
            f"grows as T^{exponent:.2f}",
        )


_EXPERIMENTS: dict[str, Callable[[ConvergenceRun, _Findings], None]] = {
    "equation 8 against autograd": _equation_8,
    "lemma 1: stochastic gradient descent": _descent,
    "theorem 1: one fixed point from many starts": _fixed_points,
    "theorem 1: the contraction while lambda sweeps": _contraction,
    "theorem 1: what the argmax does instead": _feedback,
    "proposition 1: cost over the horizon": _horizons,
}
