"""Accuracy against a number that differs between scenarios: the number of clients, for example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..figures.outcomes.accuracies import MEANS, PERSONAL_METRICS
from ..figures.outcomes.methods import limits
from ..figures.rows import with_firm
from ..look.entries import CONFIRMED, common, entries, families, number_at, panel_groups, settings, subject
from ..look.marks import draw_line, number_axis, panel_width, shifted_along
from ..look.page import Exhibit, Panel, numbers, slug
from ..look.style import WIDTH, blank, drawing, legend_below, percent_axis
from ..look.words import WITHIN, capitalized, listing, percent, points, span
from ..read.metric import Metric
from ..read.results import Results, Row, by_seed, parameters_of, tuning_of
from ..stats.intervals import Interval, paired
from .adjusted import may, note_on_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_RATIO = 4  # of the largest value to the smallest, from which on the axis is logarithmic
SPLIT_WORDS = {
    "acc_personal_own": "each client's own distribution",
    "acc_personal_global": "the global split",
}
VERDICT_WORDS = {"helps": "ahead", "hurts": "behind", "level": f"level ({WITHIN})", "undecided": "undecided"}


def table_against(results: Results, compared: Sequence[Row], path: str) -> list[Row]:
    """Return the rows of `methods.table_methods` with `x`, `line` and `family`.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        path: The setting along x; rows whose trial has no number there are left out.

    Returns:
        Rows with x; line, the configurations that are one line (a label, unless x is a setting of the
        method); and family, the scenarios that differ in x alone. Families of a single x are left out.
    """
    order, lines = list(entries(results)), families([row["trial"] for row in compared], [path])
    rows = [
        {**row, "x": x, "line": lines[row["label"]]}
        for row in compared
        if (x := number_at(row["trial"], path)) is not None
    ]
    family_of = _scenario_families(rows, path, order)
    family_order = list(dict.fromkeys(family_of.values()))
    rows = [{**row, "family": family_of[row["scenario"]]} for row in rows]
    xs: dict[str, set[float]] = {}
    for row in rows:
        xs.setdefault(row["family"], set()).add(row["x"])
    return sorted(
        (row for row in rows if len(xs[row["family"]]) > 1),
        key=lambda row: (
            family_order.index(row["family"]),
            order.index(row["label"]),
            row["x"],
            row["metric"],
        ),
    )


def _scenario_families(rows: Sequence[Row], path: str, order: Sequence[str]) -> dict[str, str]:
    """Return scenario -> name of its family: scenarios whose settings are the same but for `path`.

    Args:
        rows: With scenario, label and trial.
        path: The setting along x.
        order: Labels; a scenario's settings are those of its first label. Settings of the method and tuned
            ones do not count.
    """
    alike: dict[str, list[str]] = {}
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        scenario_rows = [row for row in rows if row["scenario"] == scenario]
        trial = min(scenario_rows, key=lambda row: order.index(row["label"]))["trial"]
        ignored = ("seed", path, *parameters_of(trial))
        kept = {
            key: value
            for key, value in settings(trial).items()
            if key not in ignored and not key.startswith(("method.", "resources."))
        }
        alike.setdefault(repr(sorted(kept.items())), []).append(scenario)
    return {scenario: common(scenarios) for scenarios in alike.values() for scenario in scenarios}


@drawing
def draw_against(
    rows: Sequence[Row], frame: tuple[float, float], name: str, metric: Metric, width: float = WIDTH
) -> Figure:
    """Draw one family and metric: a line per configuration, moved a little apart.

    Args:
        rows: Rows of `table_against`.
        frame: Ends of the y axis, as fractions.
        name: Name of the x axis.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(3.3, width)
    names, values = list(dict.fromkeys(row["line"] for row in rows)), sorted({row["x"] for row in rows})
    logarithmic = values[0] > 0 and values[-1] / values[0] >= LOG_RATIO
    for i, label in enumerate(names):
        line = sorted((row for row in rows if row["line"] == label), key=lambda row: row["x"])
        part = 0.012 * (i - (len(names) - 1) / 2)
        x = [shifted_along(row["x"], part, values, logarithmic) for row in line]
        draw_line(axes, x, line, line[0]["look"], label)
    number_axis(axes, values, logarithmic)
    axes.grid(axis="y")
    axes.set(ylim=frame, xlabel=name, ylabel=f"test {metric}, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_against(results: Results, compared: Sequence[Row], figure: Row, key: str) -> Exhibit:
    """Return the figure of accuracy against a setting: own and global for each family of scenarios.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: x, name and title.
        key: Key of the exhibit.
    """
    path, name, metric = figure["x"], name_of_x(figure), results.metric
    title = figure.get("title") or f"{capitalized(str(metric))} against {name}"
    rows = table_against(results, compared, path)
    if not rows:
        missing = f"It takes configurations confirmed at two values of {path} in scenarios alike otherwise."
        return Exhibit(key, title, missing=missing)
    frame, places, panels = limits(rows), _places(rows), []
    for i, (family, column, lines) in enumerate(places):
        panel_rows = [
            r for r in rows if (r["family"], r["metric"]) == (family, column) and r["line"] in lines
        ]
        plot = draw_against(panel_rows, frame, name, metric, panel_width(len(places)))
        panels.append(Panel(f"{key}-{slug(family)}-{i}", f"{family}: {SPLIT_WORDS[column]}", plot))
    differences = table_reported(results, rows)
    note = note_on_number(differences, results.confidence, "The paired differences in the sentences")
    tuned = any(tuning_of(row["label"]) == "tuned" for row in rows)
    tuning = (
        "Each entry is tuned in each scenario, so tuned settings may differ along a line. " if tuned else ""
    )
    caption = (
        f"Test {metric} on fresh seeds against {name} ({path}): mean and {results.confidence:.0%} t "
        "interval over seeds. Within a panel, scenarios are set up alike otherwise. Fewer images per "
        f"client also mean fewer steps per round. {tuning}Hollow and dashed: untuned. Intervals of single "
        f"lines may overlap although their paired difference is clear. {note}"
    ).strip()
    columns = ("scenario", "x", "label", "metric", "mean", "low", "high", "seeds")
    return Exhibit(key, title, caption, _query(path), panels, numbers(rows, columns))


def _places(rows: Sequence[Row]) -> list[tuple[str, str, list[str]]]:
    """Return family, metric and lines of each panel."""
    lines: dict[str, dict[str, None]] = {}
    for row in rows:
        lines.setdefault(row["family"], {})[row["line"]] = None
    return [
        (family, metric, group)
        for family, names in lines.items()
        for group in panel_groups(list(names))
        for metric in PERSONAL_METRICS
    ]


def _query(path: str) -> str:
    """Return the SQL that gives the numbers of `table_against`."""
    return f"""{CONFIRMED}, places AS (
  SELECT scenario, label, (experiment ->> '$.{path}')::DOUBLE AS x FROM latest
)
SELECT scenario, x, label, {MEANS} FROM confirmed JOIN places USING (scenario, label)
WHERE x IS NOT NULL GROUP BY ALL ORDER BY label, x"""


def name_of_x(figure: Row) -> str:
    """Return the name of the x axis."""
    return str(figure.get("name") or figure["x"].rpartition(".")[2])


def table_reported(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return the paired differences in the sentences, on the clients' own distributions of the test split.

    In each family these are the first entry at the largest x minus itself at the smallest, and at each x the
    first entry minus its strongest rival. Validation decides which rival is the strongest, so that test plays
    no part in the choice.

    Args:
        results: The sweep.
        rows: Rows of `table_against`.

    Returns:
        Rows with family, line, ends (smallest and largest x), rival (None for the first difference), rivals
        (their number), x, interval and firm (it remains when adjusted for the number of these rows).
    """
    own_rows = [row for row in rows if row["metric"] == "acc_personal_own"]
    main_line = next((row["line"] for row in own_rows if row["label"] == subject(results)), None)
    differences: list[Row] = []
    for family in dict.fromkeys(row["family"] for row in own_rows):
        family_rows = [row for row in own_rows if row["family"] == family]
        main_at = {row["x"]: row for row in family_rows if row["line"] == main_line}
        if len(main_at) < 2:
            continue
        rival_rows = [row for row in family_rows if row["line"] != main_line and row["x"] in main_at]
        ends, strongest = (min(main_at), max(main_at)), _strongest(rival_rows)
        rivals = len({row["line"] for row in rival_rows})
        place = {"family": family, "line": main_line, "ends": ends, "rivals": rivals}
        pairs: list[tuple[str | None, Row, Row]] = [(None, main_at[ends[1]], main_at[ends[0]])]
        pairs += [(strongest, main_at[row["x"]], row) for row in rival_rows if row["line"] == strongest]
        differences += [
            {**place, "rival": rival, "x": first["x"], "interval": interval}
            for rival, first, second in pairs
            if (interval := paired(first["values"], second["values"], results.confidence))
        ]
    return with_firm(differences, results.confidence)


def _strongest(rivals: Sequence[Row]) -> str | None:
    """Return the line at most values of x; of several, the most accurate on validation."""
    means_of: dict[str, list[float]] = {}
    for row in rivals:
        values = by_seed(row["trial"], "acc_personal_own").values()
        means_of.setdefault(row["line"], []).append(sum(values) / max(1, len(values)))
    return max(means_of, key=lambda line: (len(means_of[line]), sum(means_of[line])), default=None)


def sentences_against(results: Results, compared: Sequence[Row], figure: Row) -> list[str]:
    """Return a sentence per family: the change of the first entry over x, and where it is ahead of its rival.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: x and name.
    """
    differences = table_reported(results, table_against(results, compared, figure["x"]))
    name, texts = name_of_x(figure), []
    for family in dict.fromkeys(row["family"] for row in differences):
        rows = [row for row in differences if row["family"] == family]
        (low, high), line = rows[0]["ends"], rows[0]["line"]
        method_row = next((row for row in rows if row["rival"] is None), None)
        change = _change(method_row, results.confidence, results.metric)
        rival = _rival([row for row in rows if row["rival"] is not None], name)
        texts.append(f"From {low:g} to {high:g} {name} ({family}), {line} {change}{rival}.")
    return texts


def _change(row: Row | None, confidence: float, metric: Metric) -> str:
    """Return `loses 2.0 points of accuracy ... (90% interval 1.5 to 2.5, paired by seed)`."""
    if row is None:
        return "was not run on the same seeds, so its change has no interval"
    change: Interval = row["interval"]
    if change.low is None or change.high is None:
        return f"changes by {points(change.mean)} points (one seed gives no interval)"
    ends = span(change)
    if change.excludes_zero:
        verb = "gain" if change.mean > 0 else "lose"
        verb = f"may {verb}" if may(row) else f"{verb}s"
        text = f"{verb} {percent(abs(change.mean))} points of {metric} on its clients' own distributions"
        ends = " to ".join(percent(end) for end in sorted((abs(change.low), abs(change.high))))
    elif change.verdict == "level":
        text = f"stays level {WITHIN}"
    else:
        text = f"changes by {points(change.mean)} points, which is undecided"
    return f"{text} ({confidence:.0%} interval {ends}, paired by seed)"


def _rival(rows: Sequence[Row], name: str) -> str:
    """Return the verdicts against the strongest rival, and where they hold; uncertain ones come last."""
    if not rows:
        return ""
    certain, uncertain = ([row for row in rows if may(row) == flag] for flag in (False, True))
    clauses = [
        f"it {verb} {', '.join(_verdict_places(part))}"
        for verb, part in (("is", certain), ("may be", uncertain))
        if part
    ]
    choice = "" if rows[0]["rivals"] == 1 else ", the strongest of its rivals on validation,"
    return f"; against {rows[0]['rival']}{choice} {'; '.join(clauses)} {name}"


def _verdict_places(rows: Sequence[Row]) -> list[str]:
    """Return `ahead at 5 (+1.6) and 10 (+0.6)`, `level (within 1 point) at 20`."""
    places: dict[str, list[str]] = {}
    for row in rows:
        gap: Interval = row["interval"]
        difference = f" ({points(gap.mean)})" if gap.excludes_zero else ""
        places.setdefault(gap.verdict, []).append(f"{row['x']:g}{difference}")
    return [f"{word} at {listing(places[v])}" for v, word in VERDICT_WORDS.items() if v in places]
