"""Accuracy by class, by its frequency, on the head, medium and tail third of the classes, and by domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.marks import name_rows
from ...look.page import Exhibit, Table
from ...look.style import Figure, blank, drawing, legend_below, percent_axis
from ...look.words import capitalized, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import COLUMNS, ONE_FLOOR, basis, entries_of, floors_of, limits, panel, quoted, sort
from ..exhibits import Draft
from ..lines import LOG_RATIO, Axis, draw_lines, lines_of, panels_of
from .accuracies import GROUPING, GROUPS, NOT_YET, SCOPE_NAMES, SCOPES, SHARED_METRICS, counted

POOLED = "sum(correct) FILTER (scope = '{0}') / nullif(sum(total) FILTER (scope = '{0}'), 0)"
MEAN = "avg(correct / total) FILTER (scope = '{0}' AND total > 0)"  # over classes: IoU is no share of pixels
TITLE = "Head, medium and tail classes"
SHARES = ", ".join(f"{POOLED.format(scope)} AS {scope}" for scope in SCOPES)
LAST = "(SELECT max(round) FROM {table} WHERE split = 'validation' AND {column} IS NOT NULL)"
THIRDS = "\nUNION ALL\n".join(
    f"""SELECT '{group} classes', NULL, acc_shared_{group}, acc_personal_{group}, round FROM rounds
WHERE split = 'validation' AND round = {LAST.format(table="rounds", column="acc_shared_tail")}"""
    for group in GROUPS
)
QUERY_OF_RUN = f"""(SELECT class_name AS name, coalesce(any_value(images), 0) AS images, {SHARES},
  any_value(round) AS round
FROM classes LEFT JOIN (SELECT label, count(*) AS images FROM partition GROUP BY label) USING (label)
WHERE split = 'validation' AND round = {LAST.format(table="classes", column="correct")}
GROUP BY class_name ORDER BY images DESC, name)
UNION ALL
{THIRDS}"""
# The floors are measured over all classes only.
QUERY_OF_GROUPS = f"""SELECT {COLUMNS} FROM estimates
WHERE split = 'test' AND ((kind = 'confirm' AND metric IN ({quoted(*SHARED_METRICS)}))
  OR (kind = 'floor' AND metric = 'acc_personal_global'))
{ONE_FLOOR}
ORDER BY ALL"""
SHOWN = ("scenario", "label", "metric", "mean", "low", "high", "seeds")


def query_of_names(column: str, share: str = POOLED) -> str:
    """Return the SQL of the accuracy by `class_name` or `domain_name` at the last evaluated round."""
    shares = ", ".join(f"{share.format(scope)} AS {scope}" for scope in SCOPES)
    return f"""SELECT {column} AS name, any_value(round) AS round, {shares}
FROM classes WHERE split = 'validation' AND round = {LAST.format(table="classes", column="correct")}
GROUP BY {column} HAVING sum(total) > 0
ORDER BY coalesce(personal, shared) DESC, name"""


@drawing
def draw_classes(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw each class in a line: shared alone as a square, personal as a circle, joined."""
    figure, axes = blank(0.75 + 0.17 * len(rows))
    for height, row in enumerate(rows):
        if None not in (ends := [row["shared"], row["personal"]]):
            axes.plot(ends, [height] * 2, color="#bbbbbb", linewidth=1.2, zorder=1)
        for scope, look in SCOPES.items():
            if row[scope] is not None:
                label = SCOPE_NAMES[scope] if height == 0 else None
                style: dict[str, Any] = {"color": look.colour, "markersize": 4, "linestyle": "", "zorder": 2}
                axes.plot([row[scope]], [height], look.marker, label=label, **style)
    name_rows(axes, [row["name"] for row in rows])
    axes.grid(axis="x")
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=f"validation {metric.per_class} of each class, %")
    percent_axis(axes.xaxis)
    legend_below(figure, axes)
    return figure


def exhibit_classes(results: Results) -> Exhibit:
    """Return the figure of each class, shared alone against personal."""
    metric, query = results.metric, query_of_names("class_name")
    rows, draft = results.sql(query), Draft(results, "classes", f"{capitalized(metric.per_class)} by class")
    if not rows:
        return draft.missing("No evaluation by class is on disk.")
    caption = (
        f"After round {rows[0]['round']}, over all evaluated clients and domains. Squares: the shared "
        "parameters alone; circles: with the private parameters."
    )
    best, worst = (
        f"{row['name']} {percent(row['shared'] if row['personal'] is None else row['personal'])}%"
        for row in (rows[0], rows[-1])
    )
    says = f"From {best} to {worst}."
    panels = [panel(draft.key, "", draw_classes(rows, metric), says)]
    return draft.exhibit(panels, rows, ("name", *SCOPES), query, caption, says)


def table_domains(results: Results) -> Table | None:
    """Return the accuracy by domain; None where there are not two domains.

    In segmentation it is the mean over classes of the overlap in the domain.
    """
    query = query_of_names("domain_name", MEAN if results.metric.segments else POOLED)
    rows = results.sql(query)
    body = [[row["name"], percent(row["shared"]), percent(row["personal"])] for row in rows]
    caption = (
        "After the last evaluated round, over all evaluated clients and classes. One seed, so no interval."
    )
    title = f"{capitalized(str(results.metric))} by domain"
    columns, source = ["domain", "shared alone, %", "personal, %"], results.shown(query)
    return Table(columns, body, caption, source, key="table-domains", title=title) if len(rows) > 1 else None


@drawing
def draw_balance(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the classes of a run (rows of `QUERY_OF_RUN` with images) by their training images."""
    from matplotlib.ticker import LogLocator, ScalarFormatter

    figure, axes = blank(3.0)
    for scope, look in SCOPES.items():
        measured = [row for row in rows if row[scope] is not None]
        dots: dict[str, Any] = {"markersize": 3.6, "alpha": 0.75, "markeredgewidth": 0, "linestyle": ""}
        x, y = [row["images"] for row in measured], [row[scope] for row in measured]
        if measured:
            axes.plot(x, y, marker=look.marker, color=look.colour, label=SCOPE_NAMES[scope], **dots)
    images = [row["images"] for row in rows]
    if min(images) > 0 and max(images) / min(images) >= LOG_RATIO:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()
    axes.set(xlabel="training images of the class", ylabel=f"validation {metric.per_class}, %")
    percent_axis(axes.yaxis)
    axes.grid(axis="y")
    legend_below(figure, axes)
    return figure


def exhibit_balance(results: Results) -> Exhibit | None:
    """Return the figure of a run; None where classes are about equally frequent."""
    rows = results.sql(QUERY_OF_RUN)
    thirds, classes = ([r for r in rows if (r["images"] is None) == is_third] for is_third in (True, False))
    if not classes or not any(row["images"] for row in classes) or not thirds:
        return None
    caption = (
        f"After round {thirds[0]['round']}. Left: {results.metric.per_class} of each class against its "
        f"training images over all clients. Right: the thirds of the classes. {GROUPING} Squares: the "
        "shared parameters alone; circles: with the private ones, mean over clients."
        f"{counted(results.metric)}"
    )
    reached = [
        {"x": i, "name": row["name"], "scope": SCOPE_NAMES[scope], "look": look, "mean": row[scope]}
        for scope, look in SCOPES.items()
        for i, row in enumerate(thirds)
        if row[scope] is not None
    ]
    axis = Axis("thirds of the classes", f"validation {results.metric}, %", names=GROUPS)
    said = "; ".join(f"{row['name']} {row['scope']} {percent(row['mean'])}%" for row in reached)
    panels = [
        panel("balance", "Single classes", draw_balance(classes, results.metric), f"{len(classes)} classes"),
        panel("balance-thirds", "Thirds of the classes", draw_lines(lines_of(reached, "scope"), axis), said),
    ]
    columns, draft = ("name", "images", *SCOPES), Draft(results, "balance", TITLE)
    return draft.exhibit(panels, rows, columns, QUERY_OF_RUN, caption, f"{said}.")


def table_groups(results: Results) -> list[Row]:
    """Return the accuracies of the shared model on the three groups, and the floors on the global split."""
    rows = results.sql(QUERY_OF_GROUPS)
    scenarios = {row["scenario"] for row in entries_of(rows)}
    return sort(results, [row for row in rows if row["scenario"] in scenarios])


def exhibit_reached(draft: Draft, rows: Sequence[Row]) -> Exhibit:
    """Return the three groups by scenario; the configurations (rows of `table_groups`) side by side."""
    results = draft.results
    axis = Axis("", f"test {results.metric}, %", limits(rows), names=[f"{group} classes" for group in GROUPS])
    places = {metric: place for place, metric in enumerate(SHARED_METRICS)}
    placed = [{**row, "x": places.get(row["metric"])} for row in rows]

    def draw(shown: Sequence[Row]) -> Figure:
        return draw_lines(lines_of(entries_of(shown)), axis, floors_of(shown))

    caption = (
        f"Test {results.metric} of the shared parameters alone on fresh seeds: mean and "
        f"{basis(rows, results.confidence)}. {GROUPING} Intervals of single configurations may overlap "
        "although their paired difference is clear."
    )
    if floors_of(rows):
        caption += (
            " Thin lines: what no method should fall below, on all classes of the global split; floors are "
            "not measured on a third of the classes."
        )
    panels = panels_of(placed, draft.key, draw, groups_said)
    return draft.exhibit(panels, rows, SHOWN, QUERY_OF_GROUPS, caption)


def groups_said(rows: Sequence[Row]) -> str:
    """Return what is seen: the accuracy of each configuration on the tail and the head classes."""
    said = []
    for name, metric in (("tail", SHARED_METRICS[-1]), ("head", SHARED_METRICS[0])):
        reached = [f"{row['label']} {percent(row['mean'])}%" for row in rows if row["metric"] == metric]
        said.append(f"on {name} classes {', '.join(reached)}")
    return "; ".join(said)


def exhibit_groups(results: Results) -> Exhibit | None:
    """Return the figure of the shared model on the three groups; None where classes are equally frequent."""
    draft = Draft(results, "groups", TITLE)
    if rows := table_groups(results):
        return exhibit_reached(draft, rows)
    unequal = results.sql("FROM rounds WHERE acc_shared_tail IS NOT NULL LIMIT 1")
    return draft.missing(NOT_YET) if unequal else None
