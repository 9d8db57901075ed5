"""Accuracy of the clients by their main domain: the domain that most of their images have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..figures.choices.verdicts import named
from ..figures.differences import FIELDS, with_basis
from ..figures.estimates import limits, said, sort
from ..figures.lines import panels_of
from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..figures.rows import group_cell, grouped
from ..look.marks import name_rows
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.style import blank, drawing, legend_below, percent_axis
from ..look.words import capitalized, listing, percent
from ..read.metric import Metric
from ..read.results import Results, Row
from ..verdicts.recipes import BY_DOMAIN, LEAST_SHARE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUERY = f"""WITH {BY_DOMAIN}, long AS (
  SELECT scenario, label, method, seed, place, domain, share, clients, metric, value
  FROM by_seed UNPIVOT (value FOR metric IN ({", ".join(PERSONAL_METRICS)}))
)
SELECT scenario, place, domain, label, any_value(method) AS method, 'confirm' AS kind, metric,
  avg(value) AS mean,
  if(count(*) > 1, min(value), NULL) AS low, if(count(*) > 1, max(value), NULL) AS high, count(*) AS seeds,
  avg(clients) AS clients, sum(share * clients) / sum(clients) AS share
FROM long GROUP BY scenario, place, domain, label, metric ORDER BY ALL"""
LEADS = f"""SELECT {FIELDS} FROM verdicts WHERE kind = 'recipe' AND subject = 'domains' ORDER BY number"""


def table_main_domains(results: Results) -> list[Row]:
    """Return mean test accuracy over the clients of a main domain, by scenario and configuration.

    Returns:
        Rows with scenario, place and domain (number and name), label, method, look, metric, mean, low and
        high (the lowest and the highest seed), seeds, clients (of that domain, mean over seeds) and share
        (of a client's images that lie in its main domain, mean over clients); domains in the dataset's order.
    """
    rows = sort(results, results.sql(QUERY))
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    return sorted(rows, key=lambda row: (scenarios.index(row["scenario"]), row["place"]))


def shares_of(rows: Sequence[Row]) -> dict[str, float]:
    """Return scenario -> share of a client's images that lie in its main domain."""
    means = grouped(rows, "scenario")
    return {scenario: sum(r["share"] for r in group) / len(group) for scenario, group in means.items()}


@drawing
def draw_domains(rows: Sequence[Row], frame: tuple[float, float], metric: Metric) -> Figure:
    """Draw a row per domain, with a mark and the range of seeds for each configuration.

    Args:
        rows: Rows of `table_main_domains`.
        frame: Ends of the x axis, as fractions.
        metric: The metric of the sweep.
    """
    domains, labels = (list(dict.fromkeys(row[key] for row in rows)) for key in ("domain", "label"))
    step, row_height = 0.8 / max(4, len(labels)), max(0.42, 0.105 * len(labels))
    figure, axes = blank(0.9 + len(domains) * row_height + 0.17 * len(labels))
    for row in rows:
        look, place = row["look"], labels.index(row["label"]) - (len(labels) - 1) / 2
        y = domains.index(row["domain"]) + step * place
        if row["low"] is not None:
            axes.plot(
                [row["low"], row["high"]], [y, y], color=look.colour, linewidth=1.2, solid_capstyle="butt"
            )
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


def exhibit_domains(results: Results, figure: Row, key: str) -> list[Exhibit | Table]:
    """Return panels for own and global of each scenario whose domains are separated, and the table.

    Args:
        results: The sweep.
        figure: As declared: title.
        key: Key of the exhibit.
    """
    title, rows, metric = (
        figure.get("title") or "Clients by their main domain",
        table_main_domains(results),
        results.metric,
    )
    shares = shares_of(rows)
    drawn = [row for row in rows if shares[row["scenario"]] >= LEAST_SHARE]
    if not drawn:
        missing = f"It takes confirmed runs, their partitions and the {metric} of their clients on test."
        missing = "In no scenario do clients hold most of their images of one domain." if rows else missing
        return [Exhibit(key, title, missing=missing)]
    frame, several = limits(drawn), len({row["scenario"] for row in drawn}) > 1
    heads = {r["scenario"]: f"{r['scenario']}:" if several else f"Personal {metric}" for r in drawn}
    titled = [{**r, "panel": f"{heads[r['scenario']]} {PERSONAL_METRICS[r['metric']]}"} for r in drawn]
    titled.sort(key=lambda row: list(PERSONAL_METRICS).index(row["metric"]))
    panels = panels_of(
        titled,
        key,
        lambda shown: draw_domains(shown, frame, metric),
        lambda r: said(r, "domain"),
        "panel",
    )
    left_out = [f"{name} ({percent(share, 0)}%)" for name, share in shares.items() if share < LEAST_SHARE]
    kept = [f"{name} {percent(share, 0)}%" for name, share in shares.items() if share >= LEAST_SHARE]
    caption = (
        f"Each client counts for the domain of which it has most training images. Mean test {metric} over "
        "those clients and over seeds (mark); bars go from the lowest to the highest seed and are no "
        f"intervals. Share of a client's images that lie in its main domain: {listing(kept)}."
        + (
            f" Not drawn, because that share is below {percent(LEAST_SHARE, 0)}%: {listing(left_out)}."
            if left_out
            else ""
        )
    )
    columns = ("scenario", "domain", "label", "metric", "mean", "low", "high", "seeds", "clients", "share")
    says, source = " ".join(sentences_domains(results, figure)), results.shown(QUERY)
    return [
        Exhibit(key, title, caption, source, panels, numbers(rows, columns), says=says),
        table_of_domains(results, drawn, key),
    ]


def table_of_domains(results: Results, rows: Sequence[Row], key: str) -> Table:
    """Return accuracy on the clients' own distributions by scenario, domain and configuration.

    Args:
        results: The sweep.
        rows: Rows of `table_main_domains`.
        key: Key of the exhibit.
    """
    own = [row for row in rows if row["metric"] == "acc_personal_own"]
    labels, body = list(dict.fromkeys(row["label"] for row in own)), list[list[Any]]()
    for (scenario, domain), group in grouped(own, "scenario", "domain").items():
        row_of = {row["label"]: row for row in group}
        cells = [Cell(_level(row_of.get(label)), "tight") for label in labels]
        body.append([group_cell(body, scenario), domain, round(group[0]["clients"], 1), *cells])
    caption = (
        f"Test {results.metric} on the clients' own distributions in %, mean [lowest, highest seed], by the "
        "domain that most of a client's images have."
    )
    title, source = capitalized(f"{results.metric} by main domain"), results.shown(QUERY)
    return Table(
        ["scenario", "main domain", "clients", *labels],
        body,
        caption,
        source,
        key=f"{key}-table",
        title=title,
    )


def _level(row: Row | None) -> str:
    if row is None:
        return ""
    ends = "(one seed)" if row["low"] is None else f"[{percent(row['low'])}, {percent(row['high'])}]"
    return f"{percent(row['mean'])} {ends}"


def sentences_domains(results: Results, figure: Row) -> list[str]:
    """Return a sentence per scenario and rival: the domains where the first entry is ahead or behind."""
    rows, texts = results.sql(LEADS), []
    for (scenario, _), group in grouped(rows, "scenario", "b").items():
        said = named(group, lambda row: f"{row['b']} for clients of {row['level']}")
        texts.append(f"Under {scenario}, {group[0]['a']} {said}.")
    return with_basis(texts, rows, results.confidence)
