"""Rows of the table of verdicts, and what all kinds share: figures, tables, cells, and words for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...look.marks import axis_frame, draw_differences
from ...look.page import Cell, Exhibit, Panel, Table, run_link, slug
from ...look.style import VERDICTS
from ...look.words import (
    VERBS,
    WITHIN,
    bracket,
    count,
    difference,
    listing,
    other_diverges,
    points,
    quoted_names,
    seeds_said,
    short_listing,
    shorten,
    shown,
    verb_of,
)
from ...read.results import OBJECTIVE, Results, Row
from ..exhibits import Draft, numbers_of, panel
from ..rows import Column, grouped, symbol_of

LETTERS = 19  # of the name of a line
LABEL_LETTERS = 24  # of a configuration's label; longer ones would leave no room for the plot
FEW = 3  # undecided differences that a sentence gives one by one, with their intervals
DECIDED = ("diverges", "ahead", "behind")  # the verdicts that a sentence names
QUERY = """SELECT v.* EXCLUDE (seeds), coalesce(len(v.seeds), 0) AS seeds,
  (SELECT any_value(t.runs[1]) FROM trials t WHERE t.trial = v.trial_a AND t.scenario = v.scenario) AS run
FROM verdicts v LEFT JOIN scenarios s USING (scenario)
WHERE v.kind IN $kinds AND v.metric IN $metrics
ORDER BY s.place, list_position($kinds, v.kind), v.number"""
GLOBAL = "acc_personal_global"
SHOWN = (
    *("scenario", "level", "a", "b", "metric", "estimate", "low", "high", "low_both", "high_both"),
    *("worst_case", "adjusted_low", "adjusted_high", "seeds", "seeds_planned", "verdict", "reason"),
    "seeds_needed",
)
FIELDS = "* EXCLUDE (seeds), coalesce(len(seeds), 0) AS seeds"
Name = Callable[[Row], str]
READING = (
    "A thick bar is the interval of one difference, a thin one the interval adjusted for all differences "
    "of its family (false coverage rate); the adjusted one decides. \u25b2 ahead, \u25bc behind: it excludes "
    f"zero and reaches beyond one point. = level: it lies {WITHIN} (the shaded band). \u2248 negligible: it "
    "excludes zero and lies in that band. ? undecided. \u2715 diverges: at least half of the seeds ended "
    "without a finite number. A seed that one side lost counts as 0 on that side in the difference and in "
    "the adjusted interval (where runs are added up, it is left out); how often it would be lost on other "
    "seeds is in no interval. "
    "Intervals wider than the axis end in an arrow."
)


def rows_of(results: Results, *kinds: str, metric: str = OBJECTIVE) -> list[Row]:
    """Return the rows of these kinds with `symbol` and `run`; scenarios in the order of the sweep."""
    rows = results.sql(QUERY, kinds=list(kinds), metrics=[metric])
    return [{**row, "symbol": symbol_of(results, row["subject"] or "")} for row in rows]


def query_shown(results: Results, rows: Sequence[Row]) -> str:
    """Return the query of rows of `rows_of` as a page prints it."""
    kinds, metrics = (list(dict.fromkeys(row[key] for row in rows)) for key in ("kind", "metric"))
    return results.shown(QUERY, kinds=kinds, metrics=metrics)


def is_decided(row: Row) -> bool:
    """Whether a verdict says something of the first side: it is ahead, behind, or diverges itself."""
    return row["verdict"] in DECIDED and not other_diverges(row)


def size(row: Row) -> float:
    """Return how much a row says: what diverges comes first, then what is decided, by what is sure of it.

    The largest estimate of many is mostly one whose noise helped it; the end of its adjusted interval that is
    nearest to zero is not.
    """
    if row["verdict"] == "diverges":
        return float("inf") if is_decided(row) else 0.0
    ends = [abs(row[end]) for end in ("adjusted_low", "adjusted_high") if row[end] is not None]
    return 1.0 + min(ends, default=0.0) if row["verdict"] in DECIDED else abs(shown(row) or 0.0)


def look(row: Row) -> str:
    """Return the CSS class of a verdict."""
    return str(row["verdict"]).replace(" ", "-")


def signed(verdict: str, word: str = "") -> str:
    """Return a verdict, or another word for it, after its sign."""
    return f"{VERDICTS[verdict].sign} {word or verdict}"


def named(rows: Sequence[Row], name: Name, verbs: Mapping[str, str] = VERBS) -> str:
    """Write the verdicts of rows with one first side: `is ahead of a (+2.0 points, ...); it is level with b`.

    `name` is what a row is called; `verbs` has a place for the names, other verdicts are left out. Of more
    than a few undecided differences only the range is told: the figure and its table have the intervals.
    """
    clauses = []
    said = [row for row in rows if row["verdict"] in verbs]
    said.sort(key=lambda row: (list(verbs).index(row["verdict"]), other_diverges(row), -size(row)))
    verb_for = verb_of if verbs is VERBS else lambda row: verbs[row["verdict"]]
    for verb, found in grouped([{**row, "verb": verb_for(row)} for row in said], "verb").items():
        verdict = found[0]["verdict"]
        values = [value for row in found if (value := shown(row)) is not None]
        names = quoted_names([name(row) for row in found])
        span = ""
        if verdict == "undecided" and len(values) > FEW:
            span = f" ({points(min(values))} to {points(max(values))} points)"
        elif verdict != "no effect":
            names = [f"{label} ({difference(row)})" for label, row in zip(names, found, strict=True)]
        clauses.append(verb.format(listing(names)) + span)
    return "; it ".join(clauses)


def exhibit(
    results: Results,
    rows: Sequence[Row],
    key: str,
    title: str,
    says: str,
    *,
    label: str,
    caption: str,
    name: Name,
    heads: tuple[str, str] = ("", "against"),
) -> Exhibit:
    """Return a forest plot per scenario, with the same lines in each, its table and the sentence `says`.

    `label` is that of the x axis, `name` that of a line, `heads` those of the columns of the two sides. The
    caption says what is compared; how to read the marks follows it.
    """
    ran = [row for row in rows if row["verdict"] != "missing"]
    if not ran:
        missing = f"none of {len(rows)} comparisons ran." if rows else "nothing was compared."
        return Exhibit(key, title, missing=missing)
    # Lines of one subject stand together, those that say most come first.
    weight = {subject: max(map(size, group)) for subject, group in grouped(ran, "subject").items()}
    names = {_line(r, name): name(r) for r in sorted(ran, key=lambda r: -weight[r["subject"]])}
    frame, panels = axis_frame(ran), []
    for scenario, group in grouped(ran, "scenario").items():
        row_of = {_line(row, name): row for row in group}
        lines = [(shorten(text, LETTERS), row_of.get(line)) for line, text in names.items()]
        drawing = draw_differences({"": lines}, frame, label)
        panels.append(Panel(f"{key}-{slug(scenario)}", scenario, drawing))
    caption, table = f"{caption} {READING}", table_of(rows, heads, name)
    return Exhibit(key, title, caption, query_shown(results, rows), panels, table, says=says)


def _line(row: Row, name: Name) -> tuple[Any, ...]:
    """Return what is the same in all scenarios: the level of a choice, or the other side."""
    return row["kind"], row["level"], name(row)


def table_of(rows: Sequence[Row], heads: tuple[str, str], name: Name) -> Table:
    """Return the folded table of differences, the strongest first; a row leads to its first run."""

    def estimate(row: Row) -> Cell:
        value = None if row["verdict"] == "diverges" else shown(row)
        hint = f"{points(row['estimate'])} on {count(row['seeds'], 'common seed')}"
        return Cell(points(value), "number", hint)

    columns: list[Column] = [
        ("scenario", lambda row: Cell(row["scenario"], "tight")),
        (heads[0] or "configuration", lambda r: Cell(name(r), "tight", r["a"] or "", run_link(r["run"]))),
        (heads[1], lambda row: row["b"]),
        ("verdict", lambda row: Cell(signed(row["verdict"]), f"tight {look(row)}", row["reason"] or "")),
        ("points", estimate),
        ("90 %, adjusted", lambda r: Cell(bracket(r["adjusted_low"], r["adjusted_high"]), "tight")),
        ("90 %, these images", lambda row: Cell(_of_common_seeds(row, ""), "tight")),
        ("90 %, seeds and images", lambda row: Cell(_of_common_seeds(row, "_both"), "tight")),
        ("seeds", lambda row: Cell(seeds_said(row), "tight")),
        ("seeds that would decide", lambda row: row["seeds_needed"]),
    ]
    return numbers_of(sorted(rows, key=size, reverse=True), columns)


def _of_common_seeds(row: Row, over: str) -> str:
    """Write an interval that no lost seed is counted in; where some are, with the estimate that it is of."""
    interval = "" if row["verdict"] == "no effect" else bracket(row[f"low{over}"], row[f"high{over}"])
    if not interval or row["worst_case"] is None:
        return interval
    return f"{points(row['estimate'])} {interval} without the lost seeds"


def difference_cell(row: Row | None, words: Mapping[str, str] | None = None) -> Cell:
    """Return `+2.1 [+1.0, +3.2] ahead` with its look and its reason; `words`: other words for verdicts."""
    if row is None:
        return Cell("")
    word, reason = (words or {}).get(row["verdict"], row["verdict"]), row["reason"] or ""
    value = shown(row)
    if row["verdict"] in ("no effect", "missing", "diverges") or value is None:
        return Cell(word, f"tight {look(row)}", reason)
    ends = bracket(row["adjusted_low"], row["adjusted_high"]) or "(no interval)"
    return Cell(f"{points(value)} {ends} {word}", f"tight {look(row)}", reason)


def with_basis(texts: Sequence[str], rows: Sequence[Row], confidence: float) -> list[str]:
    """Return the sentences, the first with what brackets are (on test, over images too if they were kept)."""
    bracketed = [row for row in rows if row["adjusted_low"] is not None]
    if not texts or not bracketed:
        return list(texts)
    wide = [row["split"] == "test" and row["low_both"] is not None for row in bracketed]
    images = " and images" if all(wide) else ", and images where they were kept" if any(wide) else ""
    sizes = sorted({row["family_size"] or 1 for row in bracketed})
    adjusted = f", adjusted for {' or '.join(map(str, sizes))} differences" if sizes[-1] > 1 else ""
    return [f"{texts[0]} In brackets: {confidence:.0%} intervals over seeds{images}{adjusted}.", *texts[1:]]


def exhibit_of(
    draft: Draft, rows: Sequence[Row], titles: Mapping[str, str], name: Name, query: str, caption: str
) -> Exhibit:
    """Return forest plots of rows of `verdicts`, a panel per metric of `titles`; `name` names a row."""
    frame, by_metric = axis_frame(rows), grouped(rows, "metric")
    panels, label = [], f"points against {rows[0]['b']}"
    for metric in (metric for metric in titles if metric in by_metric):
        lines = {
            scenario: [(shorten(name(row), LABEL_LETTERS), row) for row in group]
            for scenario, group in grouped(by_metric[metric], "scenario").items()
        }
        figure, said = draw_differences(lines, frame, label), seen(by_metric[metric], name)
        panels.append(panel(f"{draft.key}-{slug(metric)}", titles[metric], figure, said))
    says = seen(next(by_metric[metric] for metric in titles if metric in by_metric), name)
    return draft.exhibit(panels, rows, SHOWN, query, f"{caption} {READING}", says)


def seen(rows: Sequence[Row], name: Name) -> str:
    """Return how many rows have each verdict, with the names of those ahead, behind or diverging."""
    texts = []
    for verdict, group in grouped(rows, "verdict").items():
        names = short_listing([f"{name(row)} under {row['scenario']}" for row in group])
        texts.append(f"{len(group)} {verdict}" + (f" ({names})" if verdict in DECIDED else ""))
    return f"Of {len(rows)} differences, {'; '.join(texts)}."
