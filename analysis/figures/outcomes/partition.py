"""Clients by classes: which client holds how many training images of which class and domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.marks import panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import WIDTH, drawing
from ...read.results import Results, Row, finished_trials
from ..rows import place_in, scenario_order

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure


SHOWN_CLIENTS = 60


def table_partition(partition: pa.Table, classes: int, domains: int) -> dict[str, Any]:
    """Return the images by client and class, and by client and domain.

    Args:
        partition: `partition.parquet`.
        classes: Number of classes.
        domains: Number of domains.

    Returns:
        clients [n], counts [n, classes], domains [n, domains], and total (number of all clients). Of more
        than 60 clients, 60 evenly spaced ones are kept.
    """
    client, label = partition["client"].to_numpy(), partition["label"].to_numpy()
    all_clients = np.unique(client)
    rows = np.searchsorted(all_clients, client)
    counts = np.zeros((len(all_clients), max(classes, int(label.max(initial=0)) + 1)), np.int64)
    np.add.at(counts, (rows, label), 1)
    domain = partition["domain"].to_numpy() if "domain" in partition.column_names else np.zeros_like(label)
    by_domain = np.zeros((len(all_clients), max(domains, int(domain.max(initial=0)) + 1)), np.int64)
    np.add.at(by_domain, (rows, domain), 1)
    kept_rows = np.unique(
        np.linspace(0, len(all_clients) - 1, min(SHOWN_CLIENTS, len(all_clients))).round().astype(int)
    )
    return {
        "clients": all_clients[kept_rows],
        "counts": counts[kept_rows],
        "domains": by_domain[kept_rows],
        "total": len(all_clients),
    }


@drawing
def draw_partition(
    table: dict[str, Any],
    class_names: Sequence[str],
    domain_names: Sequence[str],
    largest: int,
    width: float = WIDTH,
) -> Figure:
    """Draw clients (rows) by classes and, where there are several, by domains; darker means more images.

    Args:
        table: What `table_partition` returns.
        class_names: Names of the columns.
        domain_names: Names of the domains.
        largest: The count that is darkest, the same in all panels.
        width: Width of the panel, inches.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure as NewFigure

    counts, domains = table["counts"], table["domains"]
    has_domains = domains.shape[1] > 1
    figure = NewFigure(figsize=(width, 1.75 + 0.055 * max(16, len(counts))), layout="constrained")
    width_ratios = [counts.shape[1], max(2.0, domains.shape[1])] if has_domains else [1]
    grid = figure.subplots(1, len(width_ratios), width_ratios=width_ratios, squeeze=False, sharey=True)[0]
    maps = [(grid[0], counts, class_names, max(1, largest))]
    maps += [(grid[1], domains, domain_names, max(1, int(domains.max(initial=1))))] if has_domains else []
    images = []
    for axes, values, names, darkest in maps:
        images.append(
            axes.imshow(
                values, cmap="Blues", norm=PowerNorm(0.5, 0, darkest), aspect="auto", interpolation="none"
            )
        )
        titles = [names[i] if i < len(names) else str(i) for i in range(values.shape[1])]
        step = -(-len(titles) // 30)
        axes.set_xticks(
            range(0, len(titles), step), titles[::step], rotation=90, fontsize=6.5 if len(titles) > 12 else 7
        )
        axes.tick_params(length=0)
        for edge in axes.spines.values():
            edge.set(visible=True, linewidth=0.5, color="#bbbbbb")
    step = max(1, -(-len(counts) // 10))
    grid[0].set_yticks(range(0, len(counts), step), [str(c) for c in table["clients"][::step]])
    grid[0].set_ylabel("client")
    bar = figure.colorbar(images[0], ax=list(grid), shrink=0.8, aspect=30, pad=0.015)
    bar.set_label("images of a class", fontsize=7)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6.5, length=2)
    return figure


@dataclass(frozen=True)
class HeldImages:
    """The training images of the clients of one run, with the names of classes and domains."""

    scenario: str
    partition: pa.Table
    class_names: Sequence[str]
    domain_names: Sequence[str]


def _held_images(scenario: str, partition: pa.Table | None, meta: Row) -> list[HeldImages]:
    """Return the images as a list of one, or an empty list where no partition is on disk."""
    names = (meta.get("class_names") or [], meta.get("domain_names") or [])
    return [] if partition is None else [HeldImages(scenario, partition, *names)]


def _held_by_run(results: Results) -> tuple[list[HeldImages], str]:
    """Return the images of a single run, and their SQL."""
    query = (
        "SELECT client, label, domain, count(*) AS images FROM 'partition.parquet' GROUP BY ALL ORDER BY ALL"
    )
    scenario = str(results.meta.get("scenario_label") or "")
    return _held_images(scenario, results.partition(), results.meta), query


def _held_by_scenario(results: Results) -> tuple[list[HeldImages], str]:
    """Return the images of the first run of each scenario of a sweep, and their SQL."""
    runs = first_runs(results)
    held = [
        images
        for scenario, run in runs.items()
        for images in _held_images(scenario, results.partition(run), results.run_meta(run))
    ]
    files = ", ".join(f"'runs/{run}/partition.parquet'" for run in runs.values())
    return (
        held,
        f"""SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run, client, label, domain,
  count(*) AS images
FROM read_parquet([{files}], filename = true) GROUP BY ALL ORDER BY ALL""",
    )


def exhibit_partition(results: Results) -> Exhibit:
    """Return the figure of clients by classes: of a run, or of the first run of each scenario of a sweep."""
    title = "Clients by classes"
    held, query = _held_by_run(results) if results.kind == "run" else _held_by_scenario(results)
    if not held:
        return Exhibit("partition", title, missing="No partition is on disk yet.")
    tables = [table_partition(h.partition, len(h.class_names), len(h.domain_names)) for h in held]
    largest = max(int(max(table["counts"].max(initial=0), 1)) for table in tables)
    width = panel_width(len(tables))
    panels = [
        Panel(
            f"partition-{slug(h.scenario)}",
            h.scenario,
            draw_partition(table, h.class_names, h.domain_names, largest, width),
        )
        for h, table in zip(held, tables, strict=True)
    ]
    rows = [{"scenario": h.scenario, **row} for h in held for row in image_counts(h.partition, h.class_names)]
    columns = ("scenario", "client", "class", "domain", "images")
    return Exhibit("partition", title, _caption(results, tables), query, panels, numbers(rows, columns))


def _caption(results: Results, tables: Sequence[dict[str, Any]]) -> str:
    sentences = [
        "Training images of each client (row) and class (column). The colour grows with the square root "
        "of the count and means the same in all panels."
    ]
    if any(table["domains"].shape[1] > 1 for table in tables):
        sentences.append("The columns on the right are domains, with colours of their own.")
    if results.metric.segments:
        sentences.append("An image counts for the class of most of its pixels.")
    if any(table["total"] > len(table["clients"]) for table in tables):
        sentences.append(
            f"Of more than {SHOWN_CLIENTS} clients, {SHOWN_CLIENTS} evenly spaced ones are shown."
        )
    if results.kind == "sweep":
        sentences.append("One seed is shown; other seeds draw other partitions.")
    return " ".join(sentences)


def image_counts(partition: pa.Table, classes: Sequence[str]) -> list[Row]:
    """Return the images by client, class and domain; what a client does not hold has no row."""
    keys = [key for key in ("client", "label", "domain") if key in partition.column_names]
    rows = (
        partition.group_by(keys)
        .aggregate([([], "count_all")])
        .sort_by([(key, "ascending") for key in keys])
        .to_pylist()
    )
    return [
        {
            **r,
            "class": classes[r["label"]] if r["label"] < len(classes) else r["label"],
            "images": r["count_all"],
        }
        for r in rows
    ]


def first_runs(results: Results) -> dict[str, str]:
    """Return the first run of each scenario that has its partition on disk, in the order of the sweep."""
    runs: dict[str, str] = {}
    for trial in finished_trials(results.trials, "contrast", "confirm", "search"):
        for run in trial.get("runs") or []:
            if (results.folder / "runs" / run / "partition.parquet").is_file():
                runs.setdefault(trial["scenario"], run)
    order = scenario_order(results)
    return dict(sorted(runs.items(), key=lambda item: place_in(order, item[0])))
