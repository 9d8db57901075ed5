"""Classes and domains: which client holds how many images of them, and the accuracy on each and on thirds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...look.marks import name_rows
from ...look.page import Exhibit, Table
from ...look.style import SMALL, WIDTH, Figure, blank, drawing
from ...look.words import capitalized, count, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import COLUMNS, ONE_FLOOR, basis, entries_of, floors_of, limits, quoted, sort
from ..exhibits import Draft, evenly_spaced, finished, panel, panels_by_title
from ..lines import LOG_RATIO, Axis, draw_lines, lines_of, panels_of
from ..rows import grouped, place_in, scenario_order
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
SHOWN_CLIENTS = 60
LONGEST_NAME = 24  # characters of a client's name
IMAGES = """SELECT {scenario} AS scenario, client, p.label, domain,
  any_value(coalesce(class_names[p.label + 1], p.label::VARCHAR)) AS class,
  any_value(coalesce(domain_names[domain + 1], domain::VARCHAR)) AS domain_name,
  any_value(client_names[client + 1]) AS client_name, count(*) AS images
FROM partition p {joined}
GROUP BY ALL ORDER BY ALL"""
PARTITION_OF_RUN = IMAGES.format(scenario="''", joined="CROSS JOIN runs")
# Of a sweep: the first run of each scenario that has its partition on disk.
PARTITION = f"""WITH tried AS (
  SELECT scenario, unnest(runs) AS run, trial FROM trials
  WHERE kind IN ('contrast', 'confirm', 'search') AND state = 'COMPLETE'
), chosen AS (
  SELECT scenario, arg_min(run, trial) AS run FROM tried
  WHERE run IN (SELECT run FROM partition) GROUP BY scenario
)
{IMAGES.format(scenario="scenario", joined="JOIN runs USING (run) JOIN chosen USING (run)")}"""


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
    label = f"validation {metric.per_class} of each class, %"
    return finished(figure, axes, "x", "x", ylim=(len(rows) - 0.4, -0.6), xlabel=label)


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
    figure, says = draw_classes(rows, metric), f"From {best} to {worst}."
    return draft.drawn(figure, rows, ("name", *SCOPES), query, caption, says)


def table_domains(results: Results) -> Table | None:
    """Return accuracy (in segmentation, overlap in the mean over classes) by domain; None without two."""
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
    names = {"xlabel": "training images of the class", "ylabel": f"validation {metric.per_class}, %"}
    return finished(figure, axes, "y", "y", **names)


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


def counts_of(rows: Sequence[Row], column: str, names: str) -> tuple[np.ndarray, list[str], list[int]]:
    """Return images [n, c] by client and `label` or `domain`, the names of the columns, and the clients."""
    clients = sorted({row["client"] for row in rows})
    columns = sorted({row[column]: row[names] for row in rows}.items())
    places = {value: i for i, (value, _) in enumerate(columns)}
    counts = np.zeros((len(clients), len(columns)), np.int64)
    for row in rows:
        counts[clients.index(row["client"]), places[row[column]]] += row["images"]
    return counts, [str(name) for _, name in columns], clients


def names_of(rows: Sequence[Row]) -> dict[int, str]:
    """Return the name of each client that has one, cut where it is too long for the edge of a figure."""
    names = {row["client"]: row.get("client_name") for row in rows}
    return {
        client: name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        for client, name in names.items()
        if name
    }


@drawing
def draw_partition(rows: Sequence[Row], largest: int) -> Figure:
    """Draw clients (rows) by classes and by several domains; `largest` is the darkest count of all panels."""
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure as NewFigure

    counts, classes, clients = counts_of(rows, "label", "class")
    domains, domain_names, _ = counts_of(rows, "domain", "domain_name")
    kept = evenly_spaced(len(clients), SHOWN_CLIENTS)
    counts, domains, clients = counts[kept], domains[kept], [clients[place] for place in kept]
    maps = [(counts, classes, largest)]
    maps += [(domains, domain_names, max(1, int(domains.max())))] if len(domain_names) > 1 else []
    figure = NewFigure(figsize=(WIDTH, 1.9 + 0.055 * max(16, len(counts))), layout="constrained")
    ratios = [max(2.0, values.shape[1]) for values, _, _ in maps]
    grid = figure.subplots(1, len(maps), width_ratios=ratios, squeeze=False, sharey=True)[0]
    for axes, (values, names, darkest) in zip(grid, maps, strict=True):
        colours: dict[str, Any] = {"cmap": "Blues", "norm": PowerNorm(0.5, 0, darkest)}
        image = axes.imshow(values, aspect="auto", interpolation="none", **colours)
        step = -(-len(names) // 20)
        axes.set_xticks(range(0, len(names), step), names[::step], rotation=90)
        axes.tick_params(length=0)
        axes.spines[:].set(visible=True, linewidth=0.5, color="#bbbbbb")
        if axes is grid[0]:
            bar = figure.colorbar(image, ax=list(grid), shrink=0.8, aspect=30, pad=0.015)
            bar.set_label("images of a class", fontsize=SMALL)
            bar.outline.set_linewidth(0.4)
    known = names_of(rows)
    step = max(1, -(-len(counts) // (30 if known else 10)))  # clients that exist are known by their names
    ticks = [known.get(client, str(client)) for client in clients[::step]]
    grid[0].set_yticks(range(0, len(counts), step), ticks)
    grid[0].set_ylabel("client")
    return figure


def exhibit_partition(results: Results) -> Exhibit:
    """Return the figure of clients by classes: of a run, or of the first run of each scenario of a sweep."""
    draft, order = Draft(results, "partition", "Clients by classes"), scenario_order(results)
    query = PARTITION_OF_RUN if results.kind == "run" else PARTITION
    rows = sorted(results.sql(query), key=lambda row: place_in(order, row["scenario"]))
    if not rows:
        return draft.missing("No partition is on disk.")
    label = str(results.meta.get("scenario_label") or "")
    titled = {scenario or label: group for scenario, group in grouped(rows, "scenario").items()}
    largest = max(int(counts_of(group, "label", "class")[0].max()) for group in titled.values())
    panels = panels_by_title(titled, draft.key, lambda g: draw_partition(g, max(1, largest)), clients_said)
    many = any(len({row["client"] for row in group}) > SHOWN_CLIENTS for group in titled.values())
    caption = (
        "Training images of each client (row) and class (column). The colour grows with the square root of "
        "the count and means the same in all panels."
    )
    if any(row["domain"] for row in rows):
        caption += " The columns on the right are domains, with colours of their own."
    caption += counted(results.metric)
    if many:
        caption += f" Of more than {SHOWN_CLIENTS} clients, {SHOWN_CLIENTS} evenly spaced ones are shown."
    if results.kind == "sweep" and not all(row.get("client_name") for row in rows):
        caption += " One seed is shown; other seeds draw other partitions."
    named = ("client_name",) if names_of(rows) else ()
    columns = ("scenario", "client", *named, "class", "domain_name", "images")
    return draft.exhibit(panels, rows, columns, query, caption)


def clients_said(rows: Sequence[Row]) -> str:
    """Return what is seen: how many images and classes a client holds."""
    counts, _, _ = counts_of(rows, "label", "class")
    images, classes = _range(counts.sum(axis=1)), _range((counts > 0).sum(axis=1))
    return f"{count(len(counts), 'client')} with {images} images of {classes} classes"


def _range(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return str(low) if low == high else f"{low} to {high}"
