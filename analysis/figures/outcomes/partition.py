"""Clients by classes: which client holds how many training images of which class and domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...look.page import Exhibit
from ...look.style import SMALL, WIDTH, Figure, drawing
from ...look.words import count
from ...read.results import Results, Row
from ..estimates import panels_by_title
from ..exhibits import Draft, evenly_spaced
from ..rows import grouped, place_in, scenario_order
from .accuracies import counted

SHOWN_CLIENTS = 60
LONGEST_NAME = 24  # characters of a client's name
IMAGES = """SELECT {scenario} AS scenario, client, p.label, domain,
  any_value(coalesce(class_names[p.label + 1], p.label::VARCHAR)) AS class,
  any_value(coalesce(domain_names[domain + 1], domain::VARCHAR)) AS domain_name,
  any_value(client_names[client + 1]) AS client_name, count(*) AS images
FROM partition p {joined}
GROUP BY ALL ORDER BY ALL"""
QUERY_OF_RUN = IMAGES.format(scenario="''", joined="CROSS JOIN runs")
# Of a sweep: the first run of each scenario that has its partition on disk.
QUERY = f"""WITH tried AS (
  SELECT scenario, unnest(runs) AS run, trial FROM trials
  WHERE kind IN ('contrast', 'confirm', 'search') AND state = 'COMPLETE'
), chosen AS (
  SELECT scenario, arg_min(run, trial) AS run FROM tried
  WHERE run IN (SELECT run FROM partition) GROUP BY scenario
)
{IMAGES.format(scenario="scenario", joined="JOIN runs USING (run) JOIN chosen USING (run)")}"""


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
    """Draw clients (rows) by classes and, where there are several, by domains; darker means more images.

    `largest` is the count that is darkest, the same in all panels.
    """
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
        for edge in axes.spines.values():
            edge.set(visible=True, linewidth=0.5, color="#bbbbbb")
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
    query = QUERY_OF_RUN if results.kind == "run" else QUERY
    rows = sorted(results.sql(query), key=lambda row: place_in(order, row["scenario"]))
    if not rows:
        return draft.missing("No partition is on disk.")
    label = str(results.meta.get("scenario_label") or "")
    titled = {scenario or label: group for scenario, group in grouped(rows, "scenario").items()}
    largest = max(int(counts_of(group, "label", "class")[0].max()) for group in titled.values())
    panels = panels_by_title(titled, draft.key, lambda group: draw_partition(group, max(1, largest)), _seen)
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


def _seen(rows: Sequence[Row]) -> str:
    """Return what is seen: how many images and classes a client holds."""
    counts, _, _ = counts_of(rows, "label", "class")
    images, classes = _range(counts.sum(axis=1)), _range((counts > 0).sum(axis=1))
    return f"{count(len(counts), 'client')} with {images} images of {classes} classes"


def _range(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return str(low) if low == high else f"{low} to {high}"
