"""Table 2 of the paper, transfer to new games, from runs; and how like their sources those are."""

from __future__ import annotations

from actormimic.aggregates import bootstrap_interval
from actormimic.pages import Section
from actormimic.paper_scores import (
    LearningCurve,
    learning_curve,
    mean_columns,
    reaches,
    still_training,
    transfers,
)
from actormimic.published import TABLE2, TABLE2_AGENT_STEPS
from actormimic.records import Group
from actormimic.table_cells import INTERVALS, bracketed, digits, short_count


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
    header = ["start", *(short_count(period * (number + 1)) for number in range(10))]
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
                [f"{name}, 95% interval", *(bracketed(i).strip() or "-" for i in intervals)]
            )
    if game in TABLE2:
        published: dict[str, list[float | None]] = {
            name: list(values) for name, values in TABLE2[game].items()
        }
        printed = _bold_best(published)
        rows += [[f"{name} (paper)", *cells] for name, cells in printed.items()]
    caption = (
        f"Average test reward of the test epochs within each {short_count(period)} agent_steps, "
        "mean over networks; the best start of each column in bold. Where a start has several "
        f"networks, below it the interval over them; {INTERVALS}."
    )
    if game in TABLE2 and period != TABLE2_AGENT_STEPS:
        caption += (
            f" The paper's columns stand {short_count(TABLE2_AGENT_STEPS)} agent_steps apart, not "
            f"{short_count(period)}."
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
        texts = ["-" if value is None else digits(value) for value in columns]
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
            area = digits(sum(areas) / len(areas)) + bracketed(bootstrap_interval([areas]))
        number = reaches(means[name], max(at_random)) if at_random else None
        reached = "-" if number is None else short_count(number * period)
        last = [curve.pooled[-1] for curve in found]
        there = [part for part in last if part is not None]
        score, episodes = "-", 0
        if there:
            episodes = sum(part.episodes for part in there)
            mean = sum(part.mean for part in there) / len(there)
            spread = (sum(part.std**2 for part in there) / len(there)) ** 0.5
            score = f"{digits(mean)} ± {digits(spread)}"
        rows.append([game, name, str(len(found)), area, reached, score, str(episodes)])
    return rows
