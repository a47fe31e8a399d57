"""The paper's tables from runs, its printed numbers beside ours, and aggregates over games.

Table 2 is `actormimic.transfer_tables`.
"""

from __future__ import annotations

from dataclasses import replace

from actormimic.aggregates import bootstrap_interval, interquartile_mean, median
from actormimic.games import REFERENCE_SCORES, human_normalized
from actormimic.pages import Section
from actormimic.paper_scores import (
    LAST_EPOCHS,
    NetworkScore,
    by_kind,
    expert_networks,
    network_score,
    still_training,
    young_experts,
)
from actormimic.published import TABLE1_PERCENT
from actormimic.records import Group, Run
from actormimic.table_cells import INTERVALS, bracketed, digits, percentage, with_spread
from actormimic.transfer_tables import similarities, table2

REFERENCE_FRAMES = 18_000
"""Length in emulator_frames of the reference scores' episodes: five minutes (Mnih et al. 2015)."""
_AMN_KINDS = ("AMN", "AMN-feature")
_TABLE1_TASKS = ("actor_mimic", "dqn", "evaluate")
# Other networks than those of Table 1, so that a page with both does not show it twice.
_APPENDIX_D = {"figure4": ("AMN-policy", "AMN"), "figure5": ("AMN-feature", "AMN-feature")}
_BASELINES = {"MDQN": "one masked output for all games", "MCDQN": "shared convolutions"}


def amn_runs(group: Group, kind: str | None = None) -> list[Run]:
    """The group's Actor-Mimic networks of a ``kind``. Without one those that Table 1 is about: the
    ones with the policy objective alone, and only where there is none the others."""
    kinds = by_kind(group)
    wanted = _AMN_KINDS if kind is None else (kind,)
    return next((kinds[name] for name in wanted if name in kinds), [])


def table1_scores(
    group: Group, kind: str | None = None
) -> dict[str, tuple[NetworkScore | None, NetworkScore]]:
    """Game -> the scores of its expert (None where unknown) and of the Actor-Mimic network (the
    group's `amn_runs` of ``kind``)."""
    amn = amn_runs(group, kind)
    scores = {}
    for game in dict.fromkeys(game for run in amn for game in run.games):
        student = network_score([run.test_epochs(game) for run in amn])
        if student is not None:
            scores[game] = (network_score(expert_networks(group, game)), student)
    return scores


def percent(student: float, expert: float) -> float | None:
    """100 student / expert; None where the expert's score is not positive and it says nothing."""
    return 100 * student / expert if expert > 0 else None


def table1(group: Group, kind: str | None = None) -> list[Section]:
    """Table 1 (of the group's `amn_runs` of ``kind``): for each game ours and, where the paper has
    the game, the paper's."""
    scores = table1_scores(group, kind)
    if not scores:
        return []
    rows = []
    for game, (expert, student) in scores.items():
        rows.append([game, "ours", *_cells(expert), *_student_cells(expert, student)])
        rows[-1].append(_from_random(group, game, expert, student))
        published = REFERENCE_SCORES.get(game)
        if published and published.expert_mean is not None and game in TABLE1_PERCENT:
            pairs = [published.expert_mean, published.expert_max]
            pairs += [published.amn_mean, published.amn_max]
            cells = ["-" if value is None else digits(value) for value in pairs]
            shares = [f"{value:.4g}%" for value in TABLE1_PERCENT[game]]
            rows.append([game, "paper", *cells, *shares, ""])
    header = ["game", "", "DQN mean", "DQN max", "AMN mean", "AMN max"]
    header += ["AMN/DQN mean", "AMN/DQN max", "random to DQN"]
    networks = max(len(student.means) for _, student in scores.values())
    caption = (
        f"Mean: over the last {LAST_EPOCHS} test epochs of the training, ± the standard deviation "
        f"over their episodes (number of episodes); max: the best test epoch. The AMN's are means "
        f"over {networks} separately trained network{'s' if networks != 1 else ''}"
        + (f", [95% interval over them]; {INTERVALS}. " if networks > 1 else ". ")
        + "An expert without test epochs of its own training has those of its own play. AMN/DQN is "
        "the paper's percentage, which says nothing where the expert's score is not positive; "
        "random to DQN: how far from random play (0%) to the expert's mean (100%), where that is "
        "higher. The paper's: Table 1 of Parisotto et al. 2016, 100 epochs of 250,000 agent_steps "
        "per game." + young_experts(group, scores) + still_training(amn_runs(group, kind))
    )
    return [Section("Table 1", caption, header, rows)]


def baselines(group: Group) -> list[Section]:
    """Appendix C as a table: MDQN and MCDQN beside AMN and experts."""
    kinds = by_kind(group)
    names = [name for name in _BASELINES if name in kinds]
    scores = table1_scores(group)
    if not names:
        return []
    rows = []
    games = dict.fromkeys(game for name in names for run in kinds[name] for game in run.games)
    for game in games:
        expert, student = scores.get(game, (None, None))
        cells = [with_spread(expert), with_spread(student)]
        for name in names:
            cells.append(with_spread(network_score([run.test_epochs(game) for run in kinds[name]])))
        rows.append([game, *cells])
    caption = (
        f"Mean over the last {LAST_EPOCHS} test epochs ± the standard deviation over their "
        f"episodes (number of episodes). {'; '.join(f'{n}: {_BASELINES[n]}' for n in names)}. "
        "The paper gives curves only (figures 2 and 3)."
        + still_training([*amn_runs(group), *(run for name in names for run in kinds[name])])
    )
    # Pipelines that are reported together may have one baseline each.
    heading = f"Multitask DQN (appendix C): {' and '.join(names)}"
    return [Section(heading, caption, ["game", "DQN", "AMN", *names], rows)]


def reward_variance(group: Group) -> list[Section]:
    """How steady AMN and experts are: the paper finds the AMN's reward variance lower."""
    rows = []
    for game, (expert, student) in table1_scores(group).items():
        if expert is None:
            continue
        spreads = [score.last.std for score in (expert, student)]
        relative = [
            f"{100 * score.last.std / abs(score.mean):.0f}%" if score.mean else "-"
            for score in (expert, student)
        ]
        ratio = f"{(spreads[1] / spreads[0]) ** 2:.2f}" if spreads[0] > 0 else "-"
        episodes = f"{expert.last.episodes} / {student.last.episodes}"
        variances = [digits(spread**2) for spread in spreads]
        rows.append([game, *variances, ratio, *relative, episodes])
    if not rows:
        return []
    caption = (
        f"Variance of an episode's raw reward over all episodes of the last {LAST_EPOCHS} test "
        "epochs, of all networks together, and the standard deviation in percent of the mean. "
        "Section 5.1 of the paper reports a noticeably lower variance of the AMN in every game but "
        "atlantis and pong; a network that scores less also varies less, hence the percentages."
        + still_training(amn_runs(group))
    )
    header = ["game", "DQN variance", "AMN variance", "AMN/DQN", "DQN std/mean", "AMN std/mean"]
    return [Section("Reward variance", caption, [*header, "episodes, DQN / AMN"], rows)]


def human_scores(group: Group) -> list[Section]:
    """Human-normalized scores of AMN and experts with their aggregates over games."""
    scores = {g: pair for g, pair in table1_scores(group).items() if g in REFERENCE_SCORES}
    if not scores:
        return []
    of_kind: dict[str, list[list[float]]] = {"DQN": [], "AMN": []}
    rows = []
    for game, (expert, student) in scores.items():
        cells = []
        for name, score in (("DQN", expert), ("AMN", student)):
            if score is None:
                cells.append("-")
                continue
            shares = [100 * human_normalized(game, value) for value in score.means]
            of_kind[name].append(shares)
            cells.append(percentage(sum(shares) / len(shares)))
        rows.append([game, *cells])
    for label, statistic in (("median", median), ("interquartile mean", interquartile_mean)):
        cells = []
        for name in of_kind:
            groups = of_kind[name]
            if len(groups) < len(scores):  # an aggregate over other games would not compare
                cells.append("-")
                continue
            ends = bootstrap_interval(groups, statistic)
            interval = f" [{percentage(ends[0])}, {percentage(ends[1])}]" if ends else ""
            cells.append(f"**{percentage(statistic(groups))}**{interval}")
        rows.append([f"{label} of {len(scores)} games", *cells])
    caption = (
        "100 (score - random) / (human - random), of the means of Table 1; human and random play "
        "are those of Mnih et al. 2015, Extended Data Table 2. The median is that of the games' "
        "means over networks; the interquartile mean cuts a quarter of all networks' scores off at "
        f"either end. {INTERVALS}; without one there is one network only."
        + _cut_short(group)
        + still_training(amn_runs(group))
    )
    heading = "Human-normalized scores"
    return [Section(heading, caption, ["game", "DQN", "AMN"], rows)]


def _cut_short(group: Group) -> str:
    """A warning where episodes are shorter than those of the reference scores."""
    limits = [run.config.get("environment", {}).get("max_emulator_frames", 0) for run in group.runs]
    shortest = min((limit for limit in limits if limit), default=REFERENCE_FRAMES)
    if shortest >= REFERENCE_FRAMES:
        return ""
    return (
        f" Episodes end after {shortest:,} emulator_frames here and after {REFERENCE_FRAMES:,} in "
        "the reference scores, so where a game would go on the shares are too low."
    )


def _cells(score: NetworkScore | None) -> list[str]:
    """Mean and max, each with its interval where there are several networks."""
    if score is None:
        return ["-", "-"]
    return [
        with_spread(score) + bracketed(bootstrap_interval([score.means])),
        digits(score.highest) + bracketed(bootstrap_interval([score.maxima])),
    ]


def _student_cells(expert: NetworkScore | None, student: NetworkScore) -> list[str]:
    cells = _cells(student)
    if expert is None:
        return [*cells, "-", "-"]
    shares = (percent(student.mean, expert.mean), percent(student.highest, expert.highest))
    return [*cells, *("-" if share is None else f"{share:.1f}%" for share in shares)]


def _from_random(
    group: Group, game: str, expert: NetworkScore | None, student: NetworkScore
) -> str:
    # Not of baselines or transfers: pipelines that differ in those alone have one Table 1.
    tested = [
        row["random"]["mean"]
        for run in group.runs
        if run.task in _TABLE1_TASKS
        for row in run.rows()
        if row["game"] == game and row.get("random")
    ]
    if expert is None or not tested:
        return "-"
    random = sum(tested) / len(tested)
    span = expert.mean - random
    return f"{100 * (student.mean - random) / span:.1f}%" if span > 0 else "-"


def all_sections(group: Group) -> list[Section]:
    """The tables behind what the group shows, or all that its runs have."""
    sections: list[Section] = []
    shows = set(group.shows)
    if not shows or shows - {"table2", "figure7", *_APPENDIX_D}:
        sections += table1(group) + reward_variance(group) + human_scores(group)
    for figure, (name, kind) in _APPENDIX_D.items():
        if figure in shows:
            heading = f"Appendix D: {name} and its experts"
            sections += [replace(section, heading=heading) for section in table1(group, kind)]
    if not shows or {"figure2", "figure3"} & shows:
        sections += baselines(group)
    if not shows or {"table2", "figure7"} & shows:
        sections += table2(group) + similarities(group)
    return sections
