"""Convergence of the shared parameters: their accuracy on the global split, round by round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..figures.outcomes.curves import panels_of_curves, query_of_curves, table_curves
from ..figures.rows import group_cell, place_in, scenario_order, with_firm
from ..figures.sentences import with_confidence
from ..look.entries import entries, subject
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import WITHIN, listing, percent, plus_minus, points, span
from ..read.results import Results, Row, finished_trials
from ..stats.intervals import Interval, paired
from .adjusted import may, note_on_number

METRIC = "acc_shared_global"
VERDICT_WORDS = {"helps": "above", "hurts": "below", "level": "level", "undecided": "undecided"}
END_WORDS = {
    "helps": "above its start",
    "hurts": "below its start",
    "level": f"level with its start ({WITHIN})",
    "undecided": "undecided against its start",
}


def table_convergence(results: Results, rounds: Iterable[Row]) -> list[Row]:
    """Return start, end and best round of the shared parameters of each confirmed configuration; validation.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.

    Returns:
        Rows with scenario, label, start and end (mean accuracies), rounds (the last round), gain (interval of
        end minus start, paired by seed), best (the round of the highest mean), top (its mean), lost (interval
        of best minus end), seeds and firm (the gain remains when adjusted for the number of rows);
        configurations that share nothing are left out.
    """
    measured: dict[str, dict[int, float]] = {}
    for row in rounds:
        if row.get(METRIC) is not None:
            measured.setdefault(row["run"], {})[row["round"]] = row[METRIC]
    rows = []
    for trial in (t for t in finished_trials(results.trials, "confirm") if t.get("shared_parameters")):
        runs = {
            seed: measured[run]
            for seed, run in zip(trial["seeds"], trial.get("runs") or [], strict=False)
            if len(measured.get(run, ())) > 1
        }
        ends = _start_and_end(runs, results.confidence)
        rows += [{"scenario": trial["scenario"], "label": trial["label"], **ends}] if ends else []
    labels, scenarios = list(entries(results)), scenario_order(results)
    rows.sort(key=lambda row: (place_in(scenarios, row["scenario"]), labels.index(row["label"])))
    return with_firm(rows, results.confidence, "gain")


def _start_and_end(runs: Mapping[int, Mapping[int, float]], confidence: float) -> Row | None:
    """Return start, end and best round of one configuration; None without two rounds that all seeds have.

    Args:
        runs: Seed -> round -> accuracy.
        confidence: Coverage of the intervals.
    """
    common = sorted(set.intersection(*map(set, runs.values()))) if runs else []
    if len(common) < 2:
        return None
    values_at = {number: {seed: values[number] for seed, values in runs.items()} for number in common}
    means = {number: sum(values.values()) / len(values) for number, values in values_at.items()}
    first, last, best = common[0], common[-1], max(common, key=lambda number: means[number])
    return {
        "start": means[first],
        "end": means[last],
        "rounds": last,
        "gain": paired(values_at[last], values_at[first], confidence),
        "best": best,
        "top": means[best],
        "lost": paired(values_at[best], values_at[last], confidence),
        "seeds": len(runs),
    }


def exhibit_convergence(
    results: Results, rounds: Sequence[Row], figure: Row, key: str
) -> list[Exhibit | Table]:
    """Return learning curves of the shared parameters alone, and the table of start, end and best round.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: title.
        key: Key of the exhibit.
    """
    title, ends = (
        figure.get("title") or "Convergence of the shared parameters",
        table_convergence(results, rounds),
    )
    sharing = {row["label"] for row in ends}
    rows = [row for row in table_curves(results, rounds, METRIC) if row["label"] in sharing]
    if not rows:
        missing = "It takes two evaluated rounds of a confirmed configuration that shares parameters."
        return [Exhibit(key, title, missing=missing)]
    caption = (
        f"Validation {results.metric} of the shared parameters alone on the global split after each "
        "evaluated round, of configurations confirmed on fresh seeds: mean over seeds, and the range from "
        "the lowest to the highest seed (band). "
        f"{note_on_number(ends, results.confidence, 'End minus start', 'gain')}"
    )
    columns = ("scenario", "label", "round", "mean", "low", "high", "least", "most", "seeds")
    panels, query = panels_of_curves(results, rows, key), query_of_curves(results, METRIC)
    curves = Exhibit(key, title, caption, query, panels, numbers(rows, columns))
    return [curves, table_of_convergence(results, ends, key)]


def table_of_convergence(results: Results, rows: Sequence[Row], key: str) -> Table:
    """Return start, end and best round of each configuration and scenario as a table."""
    body: list[list[Any]] = []
    for row in rows:
        gain: Interval = row["gain"]
        verdict = f"{plus_minus(gain, points)} {VERDICT_WORDS[gain.verdict]}{' *' if row['firm'] else ''}"
        body.append(
            [
                group_cell(body, row["scenario"]),
                Cell(row["label"], "tight"),
                percent(row["start"]),
                percent(row["end"]),
                Cell(verdict, f"tight {gain.verdict}"),
                f"{percent(row['top'])} (round {row['best']})",
                plus_minus(row["lost"], points),
            ]
        )
    columns = [
        "scenario",
        "configuration",
        "start, %",
        "end, %",
        "end minus start, points",
        "best, %",
        "best minus end, points",
    ]
    caption = (
        f"Validation {results.metric} of the shared parameters alone on the global split. Differences are "
        f"paired by seed, \u00b1 half of the {results.confidence:.0%} interval. The best round has the "
        "highest mean, so its value is a little too high. A star: the difference remains when adjusted "
        "for their number."
    )
    title, query = "Start and end of the shared parameters", query_of_curves(results, METRIC)
    return Table(columns, body, caption, query, key=f"{key}-table", title=title)


def sentences_convergence(results: Results, rounds: Sequence[Row]) -> list[str]:
    """Return a sentence about the recipe's first entry, then one about the others per scenario.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
    """
    rows, main, texts = table_convergence(results, rounds), subject(results), []
    main_rows = [row for row in rows if row["label"] == main]
    if main_rows:
        ends = _ends(main_rows, "under", "scenario")
        texts.append(f"On the global validation split, the shared part of {main} {ends}.")
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        others = [row for row in rows if row["scenario"] == scenario and row["label"] != main]
        if others:
            texts.append(f"Under {scenario}, the shared part {_ends(others, 'for', 'label')}.")
    return with_confidence(texts, results.confidence)


def _ends(rows: Sequence[Row], word: str, key: str) -> str:
    """Return `ends above its start under A (+4.2 points, ...); it may end above its start under C (...)`.

    Args:
        rows: Rows of `table_convergence`.
        word: Before the names.
        key: Column of the names.
    """
    clauses = []
    for verb, uncertain in (("ends", False), ("may end", True)):
        names: dict[str, list[str]] = {}
        for row in (row for row in rows if may(row, "gain") == uncertain):
            names.setdefault(row["gain"].verdict, []).append(f"{row[key]} ({_gain(row)})")
        parts = [f"{END_WORDS[v]} {word} {listing(names[v])}" for v in END_WORDS if v in names]
        clauses += [f"{verb} {', '.join(parts)}"] if parts else []
    return "; it ".join(clauses)


def _gain(row: Row) -> str:
    """Return `+4.2 points, +3.1 to +5.3; 0.8 below round 12`."""
    text = f"{points(row['gain'].mean)} points, {span(row['gain'])}"
    return text + (
        f"; {percent(row['lost'].mean)} below round {row['best']}" if row["best"] != row["rounds"] else ""
    )
