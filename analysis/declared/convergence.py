"""Do the shared parameters still converge? Their accuracy on the global split, round by round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..figures.outcomes.curves import panels_of_curves, query_of_curves, table_curves
from ..look.entries import entries, subject
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import WITHIN, listing, percent, plus_minus, points, span
from ..read.results import Results, Row, finished
from ..stats.intervals import Interval, paired
from .adjusted import may, of_number, with_firm

METRIC = "acc_shared_global"
WORDS = {"helps": "above", "hurts": "below", "level": "level", "undecided": "undecided"}
ENDS = {
    "helps": "above its start",
    "hurts": "below its start",
    "level": f"level with its start ({WITHIN})",
    "undecided": "undecided against its start",
}


def table_convergence(results: Results, rounds: Iterable[Row]) -> list[Row]:
    """Where the shared parameters of each confirmed configuration start and end, and what was their best round; validation.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.

    Returns:
        Rows with scenario, label, start and end (mean accuracies), gain (interval of end minus start, paired
        by seed), best (the round of the highest mean), top (its mean), lost (interval of best minus end) and
        firm (the gain stands among all of them); configurations that share nothing are left out.
    """
    measured: dict[str, dict[int, float]] = {}
    for row in rounds:
        if row.get(METRIC) is not None:
            measured.setdefault(row["run"], {})[row["round"]] = row[METRIC]
    order, scenarios = list(entries(results)), [s["label"] for s in results.meta.get("scenarios") or []]
    rows = []
    for trial in (t for t in finished(results.trials, "confirm") if t.get("shared_parameters")):
        runs = {
            s: measured[run]
            for s, run in zip(trial["seeds"], trial.get("runs") or [], strict=False)
            if len(measured.get(run, ())) > 1
        }
        common = sorted(set.intersection(*map(set, runs.values()))) if runs else []
        if len(common) < 2:
            continue
        at = {number: {seed: values[number] for seed, values in runs.items()} for number in common}
        means = {number: sum(values.values()) / len(values) for number, values in at.items()}
        first, last, best = common[0], common[-1], max(common, key=lambda number: means[number])
        rows.append(
            {
                "scenario": trial["scenario"],
                "label": trial["label"],
                "start": means[first],
                "end": means[last],
                "rounds": last,
                "gain": paired(at[last], at[first], results.confidence),
                "best": best,
                "top": means[best],
                "lost": paired(at[best], at[last], results.confidence),
                "seeds": len(runs),
            }
        )
    rows.sort(
        key=lambda r: (
            scenarios.index(r["scenario"]) if r["scenario"] in scenarios else len(scenarios),
            order.index(r["label"]),
        )
    )
    return with_firm(rows, results.confidence, "gain")


def exhibit_convergence(
    results: Results, rounds: Sequence[Row], figure: Row, key: str
) -> list[Exhibit | Table]:
    """Learning curves of the shared parameters alone, a panel per scenario, and the table of start, end and best round.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: title.
        key: The exhibit's.
    """
    title, ends = figure.get("title") or "Do shared prompts converge?", table_convergence(results, rounds)
    sharing = {r["label"] for r in ends}
    rows = [r for r in table_curves(results, rounds, METRIC) if r["label"] in sharing]
    if not rows:
        return [
            Exhibit(
                key,
                title,
                missing="It takes two evaluated rounds of a confirmed configuration that shares parameters.",
            )
        ]
    caption = (
        "Validation accuracy of the shared parameters alone on the global split after each evaluated "
        "round, of configurations confirmed on "
        "fresh seeds: mean over seeds, and the range from the lowest to the highest seed (band). "
        + of_number(ends, results.confidence, "End minus start", "gain")
    )
    columns, query = (
        ("scenario", "label", "round", "mean", "low", "high", "least", "most", "seeds"),
        query_of_curves(results, METRIC),
    )
    panels = panels_of_curves(results, rows, key)
    return [
        Exhibit(key, title, caption, query, panels, numbers(rows, columns)),
        table_of_convergence(results, ends, key),
    ]


def table_of_convergence(results: Results, rows: Sequence[Row], key: str) -> Table:
    """Start, end and best round of each configuration and scenario."""
    body: list[list[Any]] = []
    for row in rows:
        first = not any(line[0].text == row["scenario"] for line in body)
        gain: Interval = row["gain"]
        verdict = Cell(
            f"{plus_minus(gain, points)} {WORDS[gain.verdict]}{' *' if row['firm'] else ''}",
            f"tight {gain.verdict}",
        )
        best = f"{percent(row['top'])} (round {row['best']})"
        body.append(
            [
                Cell(row["scenario"], "tight" if first else "again"),
                Cell(row["label"], "tight"),
                percent(row["start"]),
                percent(row["end"]),
                verdict,
                best,
                plus_minus(row["lost"], points),
            ]
        )
    head = [
        "scenario",
        "configuration",
        "start, %",
        "end, %",
        "end minus start, points",
        "best, %",
        "best minus end, points",
    ]
    caption = (
        "Validation accuracy of the shared parameters alone on the global split; differences are paired by "
        "seed, \u00b1 half of "
        f"the {results.confidence:.0%} interval. The best round is that of the highest mean, which "
        "flatters it. A "
        "star: the difference stands when adjusted for their number."
    )
    query = query_of_curves(results, METRIC)
    return Table(
        head, body, caption, query, key=f"{key}-table", title="Where shared parameters start and end"
    )


def sentences_convergence(results: Results, rounds: Sequence[Row]) -> list[str]:
    """First the recipe's first entry over all scenarios; then scenario by scenario who ends above its start and how far below its best."""
    rows, about = table_convergence(results, rounds), subject(results)
    own, said = [r for r in rows if r["label"] == about], []
    if own:
        said.append(f"On the global validation split, what {about} shares {_ends(own, 'under', 'scenario')}.")
    for scenario in dict.fromkeys(r["scenario"] for r in rows):
        others = [r for r in rows if r["scenario"] == scenario and r["label"] != about]
        if others:
            said.append(f"Under {scenario}, what is shared {_ends(others, 'for', 'label')}.")
    if said:
        said[0] = said[0].replace(" points, ", f" points, {results.confidence:.0%} interval ", 1)
    return said


def _ends(rows: Sequence[Row], word: str, key: str) -> str:
    """`ends above its start under A (+4.2 points, ...), below its start under B (...); it may end above its start under C (...)`."""
    clauses = []
    for verb, hint in (("ends", False), ("may end", True)):
        here = [r for r in rows if may(r, "gain") == hint]
        by = {
            verdict: [f"{r[key]} ({_gain(r)})" for r in here if r["gain"].verdict == verdict]
            for verdict in ENDS
        }
        parts = [f"{ENDS[verdict]} {word} {listing(names)}" for verdict, names in by.items() if names]
        clauses += [f"{verb} {', '.join(parts)}"] if parts else []
    return "; it ".join(clauses)


def _gain(row: Row) -> str:
    """`+4.2 points, +3.1 to +5.3; 0.8 below round 12`."""
    text = f"{points(row['gain'].mean)} points, {span(row['gain'])}"
    return text + (
        f"; {percent(row['lost'].mean)} below round {row['best']}" if row["best"] != row["rounds"] else ""
    )
