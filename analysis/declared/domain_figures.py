"""Figure and table of the clients' main domains."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..figures.outcomes.methods import limits
from ..figures.rows import group_cell
from ..look.entries import CONFIRMED, entries, panel_groups
from ..look.marks import name_rows, panel_width
from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import WIDTH, blank, drawing, legend_below, percent_axis
from ..look.words import capitalized, listing, percent, plus_minus
from ..read.metric import Metric
from ..read.queries import parts
from ..read.results import Results, Row
from .adjusted import note_on_number
from .domains import LEAST_SHARE, OWN_METRIC, separated_scenarios, table_leads, table_main_domains

if TYPE_CHECKING:
    from matplotlib.figure import Figure


QUERY = f"""{CONFIRMED}, images AS (
  SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run, client, domain, count(*) AS images
  FROM read_parquet('runs/*/partition.parquet', filename = true) GROUP BY ALL
), main AS (
  FROM images QUALIFY row_number() OVER (PARTITION BY run, client ORDER BY images DESC, domain) = 1
), names AS (
  SELECT id AS run, domain_names
  FROM read_json('runs/*/run.json', columns = {{id: 'VARCHAR', domain_names: 'VARCHAR[]'}})
), tested AS (
  SELECT DISTINCT run, client, acc_personal_own AS own, acc_personal_global AS world
  FROM {parts("clients")} WHERE split = 'test'
), seeds AS (
  SELECT scenario, label, domain_names[domain + 1] AS domain, seed, avg(own) AS own, avg(world) AS world,
    count(*) AS clients
  FROM confirmed JOIN main USING (run) JOIN names USING (run) JOIN tested USING (run, client) GROUP BY ALL
)
SELECT scenario, domain, label, avg(own) AS personal_own, stddev_samp(own) AS sd_own,
  avg(world) AS personal_global, stddev_samp(world) AS sd_global, avg(clients) AS clients, count(*) AS seeds
FROM seeds GROUP BY ALL ORDER BY ALL"""


@drawing
def draw_domains(
    rows: Sequence[Row], frame: tuple[float, float], metric: Metric, width: float = WIDTH
) -> Figure:
    """Draw one scenario and metric: a row per domain, with a mark and its interval for each configuration.

    Args:
        rows: Rows of `domains.table_main_domains`.
        frame: Ends of the x axis, as fractions.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    domains, labels = (list(dict.fromkeys(row[key] for row in rows)) for key in ("domain", "label"))
    step = 0.8 / max(4, len(labels))
    row_height = max(0.42, 0.105 * len(labels))
    figure, axes = blank(0.9 + len(domains) * row_height + 0.16 * len(labels) / 2, width)
    for row in rows:
        look, place = row["look"], labels.index(row["label"]) - (len(labels) - 1) / 2
        y = domains.index(row["domain"]) + step * place
        if row["low"] is not None:
            ends = [row["low"], row["high"]]
            axes.plot(ends, [y, y], color=look.colour, linewidth=1.2, solid_capstyle="butt")
        mark: dict[str, Any] = {"markersize": 4.2, "linestyle": "", "markerfacecolor": look.face}
        label = row["label"] if row["domain"] == domains[0] else None
        axes.plot([row["mean"]], [y], look.marker, color=look.colour, label=label, **mark)
    for i in range(1, len(domains)):
        axes.axhline(i - 0.5, color="#dddddd", linewidth=0.7, zorder=0)
    name_rows(axes, domains)
    axes.grid(axis="x")
    axes.set(xlim=frame, ylim=(len(domains) - 0.5, -0.5), xlabel=f"test {metric}, %")
    percent_axis(axes.xaxis)
    legend_below(figure, axes)
    return figure


def exhibit_domains(
    results: Results, compared: Sequence[Row], figure: Row, key: str
) -> list[Exhibit | Table]:
    """Return panels for own and global of each scenario whose domains are separated, and the table.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: title.
        key: Key of the exhibit.
    """
    title, rows = figure.get("title") or "Clients by their main domain", table_main_domains(results, compared)
    scenarios = separated_scenarios(rows)
    if not scenarios:
        missing = (
            f"It takes confirmed runs with their partitions and the {results.metric} of their clients on "
            "the test split."
        )
        if rows:
            missing = "In no scenario do clients hold most of their images of one domain."
        return [Exhibit(key, title, missing=missing)]
    drawn = [row for row in rows if row["scenario"] in scenarios]
    panels = _panels(results, drawn, scenarios, key)
    caption = _caption(results, rows, scenarios)
    columns = ("scenario", "domain", "label", "metric", "mean", "low", "high", "seeds", "clients", "share")
    return [
        Exhibit(key, title, caption, QUERY, panels, numbers(rows, columns)),
        table_of_domains(results, drawn, key),
    ]


def _panels(results: Results, rows: Sequence[Row], scenarios: Sequence[str], key: str) -> list[Panel]:
    """Return a panel per scenario, group of configurations and metric."""
    drawn_labels, metric = {row["label"] for row in rows}, results.metric
    label_groups = panel_groups([label for label in entries(results) if label in drawn_labels])
    places, panels = list(itertools.product(scenarios, label_groups, PERSONAL_METRICS)), []
    for i, (scenario, labels, column) in enumerate(places):
        scenario_rows = [row for row in rows if (row["scenario"], row["metric"]) == (scenario, column)]
        panel_rows = [row for row in scenario_rows if row["label"] in labels]
        subject = scenario + ":" if len(scenarios) > 1 else f"Personal {metric}"
        if panel_rows:
            plot = draw_domains(panel_rows, limits(rows), metric, panel_width(len(places)))
            panels.append(Panel(f"{key}-{slug(scenario)}-{i}", f"{subject} {PERSONAL_METRICS[column]}", plot))
    return panels


def _caption(results: Results, rows: Sequence[Row], scenarios: Sequence[str]) -> str:
    shares = {row["scenario"]: row["share"] for row in rows}
    left_out = [f"{name} ({percent(share, 0)}%)" for name, share in shares.items() if name not in scenarios]
    interval = f"{results.confidence:.0%} t interval"
    sentences = [
        "Each client counts for the domain of which it has most training images.",
        f"Mean test {results.metric} over those clients, then mean and {interval} over seeds.",
        "Share of a client's images that lie in its main domain: "
        f"{listing([f'{name} {percent(shares[name], 0)}%' for name in scenarios])}.",
        f"Not drawn, because that share is below {percent(LEAST_SHARE, 0)}%: {listing(left_out)}."
        if left_out
        else "",
        note_on_number(
            table_leads(results, rows), results.confidence, "The paired differences in the sentences"
        ),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def table_of_domains(results: Results, rows: Sequence[Row], key: str) -> Table:
    """Return accuracy on the clients' own distributions by scenario, domain and configuration.

    Args:
        results: The sweep.
        rows: Rows of `domains.table_main_domains`.
        key: Key of the exhibit.
    """
    places: dict[tuple[str, str], dict[str, Row]] = {}
    for row in (row for row in rows if row["metric"] == OWN_METRIC):
        places.setdefault((row["scenario"], row["domain"]), {})[row["label"]] = row
    measured = {label for label_rows in places.values() for label in label_rows}
    labels = [label for label in entries(results) if label in measured]
    body: list[list[Any]] = []
    for (scenario, domain), label_rows in places.items():
        in_order = [label_rows.get(label) for label in labels]
        clients = next(row["clients"] for row in in_order if row)
        cells = [Cell(plus_minus(row["interval"]) if row else "", "tight") for row in in_order]
        body.append([group_cell(body, scenario), domain, round(clients, 1), *cells])
    caption = (
        f"Test {results.metric} on the clients' own distributions in %, mean \u00b1 half of the "
        f"{results.confidence:.0%} interval over seeds, by the domain that most of a client's images have."
    )
    columns, title = ["scenario", "main domain", "clients", *labels], f"{results.metric} by main domain"
    return Table(columns, body, caption, QUERY, key=f"{key}-table", title=capitalized(title))
