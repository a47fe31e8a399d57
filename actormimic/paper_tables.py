"""The paper's tables from runs, its printed numbers beside ours, and aggregates over games."""

from __future__ import annotations

from actormimic.aggregates import bootstrap_interval, interquartile_mean, median
from actormimic.games import REFERENCE_SCORES, HumanColumn, human_normalized
from actormimic.pages import Section
from actormimic.paper_scores import (
    LAST_EPOCHS,
    LearningCurve,
    NetworkScore,
    by_kind,
    expert_networks,
    learning_curve,
    mean_columns,
    network_score,
    reaches,
    still_training,
    transfers,
    young_experts,
)
from actormimic.published import TABLE1_PERCENT, TABLE2, TABLE2_AGENT_STEPS
from actormimic.records import Group, Run

INTERVALS = "95% intervals are from a bootstrap over seeds, 2,000 draws, each game's by itself"
REFERENCE_FRAMES = 18_000
"""Length in emulator_frames of the reference scores' episodes: five minutes (Mnih et al. 2015)."""
_AMN_KINDS = ("AMN", "AMN-feature")
_TABLE1_TASKS = ("actor_mimic", "dqn", "evaluate")
_BASELINES = {"MDQN": "one masked output for all games", "MCDQN": "shared convolutions"}


def amn_runs(group: Group) -> list[Run]:
    """The group's Actor-Mimic networks that Table 1 is about: those with the policy objective
    alone, and only where there is none the others."""
    kinds = by_kind(group)
    return next((kinds[name] for name in _AMN_KINDS if name in kinds), [])


def table1_scores(group: Group) -> dict[str, tuple[NetworkScore | None, NetworkScore]]:
    """Game -> the scores of its expert (None where unknown) and of the Actor-Mimic network."""
    amn = amn_runs(group)
    scores = {}
    for game in dict.fromkeys(game for run in amn for game in run.games):
        student = network_score([run.test_epochs(game) for run in amn])
        if student is not None:
            scores[game] = (network_score(expert_networks(group, game)), student)
    return scores


def percent(student: float, expert: float) -> float | None:
    """100 student / expert; None where the expert's score is not positive and it says nothing."""
    return 100 * student / expert if expert > 0 else None


def table1(group: Group) -> list[Section]:
    """Table 1: for each game ours and, where the paper has the game, the paper's."""
    scores = table1_scores(group)
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
            cells = ["-" if value is None else _digits(value) for value in pairs]
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
        "random to DQN: how far from random play (0%) to the expert's mean (100%). The paper's: "
        "Table 1 of Parisotto et al. 2016, 100 epochs of 250,000 agent_steps per game."
        + young_experts(group, scores)
        + still_training(amn_runs(group))
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
        cells = [_with_spread(expert), _with_spread(student)]
        for name in names:
            cells.append(
                _with_spread(network_score([run.test_epochs(game) for run in kinds[name]]))
            )
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
        variances = [_digits(spread**2) for spread in spreads]
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


def human_scores(group: Group, human: HumanColumn = "nature") -> list[Section]:
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
            shares = [100 * human_normalized(game, value, human=human) for value in score.means]
            of_kind[name].append(shares)
            cells.append(_share(sum(shares) / len(shares)))
        rows.append([game, *cells])
    for label, statistic in (("median", median), ("interquartile mean", interquartile_mean)):
        cells = []
        for name in of_kind:
            groups = of_kind[name]
            if len(groups) < len(scores):  # an aggregate over other games would not compare
                cells.append("-")
                continue
            value = statistic([share for shares in groups for share in shares])
            ends = bootstrap_interval(groups, statistic)
            interval = f" [{_share(ends[0])}, {_share(ends[1])}]" if ends else ""
            cells.append(f"**{_share(value)}**{interval}")
        rows.append([f"{label} of {len(scores)} games", *cells])
    column = {"nature": "Mnih et al. 2015, Extended Data Table 2", "dqn_zoo": "dqn_zoo"}[human]
    caption = (
        f"100 (score - random) / (human - random), of the means of Table 1; the human column is "
        f"that of {column}, random play of Mnih et al. 2015. {INTERVALS}; without one there is one "
        "network only. The interquartile mean cuts a quarter of the scores off at either end."
        + _cut_short(group)
        + still_training(amn_runs(group))
    )
    heading = f"Human-normalized scores (human: {human})"
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


def table2(group: Group) -> list[Section]:
    """Table 2, one table for each target game, and what it comes to."""
    sections: list[Section] = []
    summary = []
    for game, of_game in transfers(group).items():
        curves = {
            name: [learning_curve(run, game) for run in runs] for name, runs in of_game.items()
        }
        means = {name: mean_columns(found) for name, found in curves.items()}
        if not any(value is not None for columns in means.values() for value in columns):
            continue
        period = next(iter(curves.values()))[0].period
        sections.append(_table2_of(game, curves, means, period))
        summary += _transfer_rows(game, curves, means, period)
    if not sections:
        return []
    header = ["game", "start", "networks", "area", "reaches Random's best", "last column"]
    header += ["episodes"]
    caption = (
        "Area: mean test reward over the whole training (the area under the learning curve "
        "divided by its length), [95% interval over networks]. Reaches Random's best: agent_steps "
        "until the mean of a column is at least the highest that Random reaches in any. Last "
        f"column: its mean ± the standard deviation over its episodes. {INTERVALS}."
        + still_training([run for run in group.runs if run.task == "transfer"])
    )
    return [*sections, Section("Transfer in short", caption, header, summary)]


def similarities(group: Group) -> list[Section]:
    """Which source games each target is like, as the transfers reported before they began."""
    rows = []
    for game, of_game in transfers(group).items():
        for name, runs in of_game.items():
            found = next((run.similarity for run in runs if run.similarity), [])
            for row in found:
                cells = [row["game"], f"{row['cka']:.3f}", f"{row['explained']:.3f}"]
                rows.append([game, name, *cells])
    if not rows:
        return []
    caption = (
        "In the features of the source network's last hidden layer, over states of the source game "
        "as that network plays it and of the target under random play, before transfer. CKA: "
        "linear CKA (Kornblith et al. 2019) of the features' covariances, 1 where they vary alike; "
        "explained: share of the target's variance within the principal directions that hold most "
        "of the source's (similarity.variance). The states of one network of each start."
    )
    header = ["target", "start", "source game", "CKA", "explained"]
    return [Section("Similarity of source and target games", caption, header, rows)]


def _table2_of(
    game: str,
    curves: dict[str, list[LearningCurve]],
    means: dict[str, list[float | None]],
    period: float,
) -> Section:
    header = ["start", *(_steps(period * (number + 1)) for number in range(10))]
    rows = []
    for name, cells in _bold_best(means).items():
        rows.append([name, *cells])
        intervals = [
            bootstrap_interval([[value for value in column if value is not None]])
            if any(value is not None for value in column)
            else None
            for column in zip(*(curve.columns for curve in curves[name]), strict=True)
        ]
        if any(intervals):
            rows.append(
                [f"{name}, 95% interval", *(_interval(i).strip() or "-" for i in intervals)]
            )
    if game in TABLE2:
        published: dict[str, list[float | None]] = {
            name: list(values) for name, values in TABLE2[game].items()
        }
        printed = _bold_best(published)
        rows += [[f"{name} (paper)", *cells] for name, cells in printed.items()]
    caption = (
        f"Average test reward of the test epochs within each {_steps(period)} agent_steps, mean "
        "over networks; the best start of each column in bold. Where a start has several networks, "
        f"below it the interval over them; {INTERVALS}."
    )
    if game in TABLE2 and period != TABLE2_AGENT_STEPS:
        caption += (
            f" The paper's columns stand {_steps(TABLE2_AGENT_STEPS)} agent_steps apart, not "
            f"{_steps(period)}."
        )
    return Section(f"Table 2: {game}", caption, header, rows)


def _bold_best(means: dict[str, list[float | None]]) -> dict[str, list[str]]:
    count = len(next(iter(means.values())))
    best = []
    for number in range(count):
        there = [columns[number] for columns in means.values() if columns[number] is not None]
        best.append(max((value for value in there if value is not None), default=None))
    cells = {}
    for name, columns in means.items():
        texts = ["-" if value is None else _digits(value) for value in columns]
        cells[name] = [
            f"**{text}**" if value is not None and value == best[number] else text
            for number, (value, text) in enumerate(zip(columns, texts, strict=True))
        ]
    return cells


def _transfer_rows(
    game: str,
    curves: dict[str, list[LearningCurve]],
    means: dict[str, list[float | None]],
    period: float,
) -> list[list[str]]:
    at_random = [value for value in means.get("Random", []) if value is not None]
    rows = []
    for name, found in curves.items():
        areas = [curve.area for curve in found if curve.area is not None]
        area = "-"
        if areas:
            area = _digits(sum(areas) / len(areas)) + _interval(bootstrap_interval([areas]))
        number = reaches(means[name], max(at_random)) if at_random else None
        reached = "-" if number is None else _steps(number * period)
        last = [curve.pooled[-1] for curve in found]
        there = [part for part in last if part is not None]
        score, episodes = "-", 0
        if there:
            episodes = sum(part.episodes for part in there)
            mean = sum(part.mean for part in there) / len(there)
            spread = (sum(part.std**2 for part in there) / len(there)) ** 0.5
            score = f"{_digits(mean)} ± {_digits(spread)}"
        rows.append([game, name, str(len(found)), area, reached, score, str(episodes)])
    return rows


def _cells(score: NetworkScore | None) -> list[str]:
    """Mean and max, each with its interval where there are several networks."""
    if score is None:
        return ["-", "-"]
    return [
        _with_spread(score) + _interval(bootstrap_interval([score.means])),
        _digits(score.highest) + _interval(bootstrap_interval([score.maxima])),
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
    return f"{100 * (student.mean - random) / span:.1f}%" if span else "-"


def _with_spread(score: NetworkScore | None) -> str:
    if score is None:
        return "-"
    return f"{_digits(score.mean)} ± {_digits(score.last.std)} ({score.last.episodes})"


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f" [{_digits(ends[0])}, {_digits(ends[1])}]"


def _digits(value: float) -> str:
    """Four significant digits, as the paper prints scores; whole numbers from a thousand on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _share(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}%"  # adding 0.0 turns -0.0 into 0.0


def _steps(count: float) -> str:
    """agent_steps as a heading: 1M, 250k, 3,600."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size and count * 10 % size == 0:
            return f"{count / size:g}{letter}"
    return f"{count:,.0f}"


def all_sections(group: Group) -> list[Section]:
    """The tables behind what the group shows, or all that its runs have."""
    sections: list[Section] = []
    shows = set(group.shows)
    if not shows or shows - {"table2", "figure7"}:
        sections += table1(group) + reward_variance(group) + human_scores(group)
    if not shows or {"figure2", "figure3"} & shows:
        sections += baselines(group)
    if not shows or {"table2", "figure7"} & shows:
        sections += table2(group) + similarities(group)
    return sections
