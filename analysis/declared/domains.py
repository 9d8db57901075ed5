"""Accuracy of the clients by their main domain: the domain that most of their images have."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures.choices.verdicts import named
from ..figures.estimates import draw_accuracies, limits, said, sort
from ..figures.exhibits import Draft
from ..figures.lines import panels_of
from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..figures.rows import Column, grouped
from ..look.page import Table
from ..look.words import capitalized, listing, percent
from ..read.results import Results, Row
from ..verdicts.recipes import BY_DOMAIN, LEAST_SHARE
from .answers import Answer, headline, nothing, query_of_verdicts, range_cell

QUERY = f"""WITH {BY_DOMAIN}, long AS (
  SELECT scenario, label, method, seed, place, domain, share, clients, metric, value
  FROM by_seed UNPIVOT (value FOR metric IN ({", ".join(PERSONAL_METRICS)}))
)
SELECT scenario, place, domain, label, any_value(method) AS method, 'confirm' AS kind, metric,
  avg(value) AS mean,
  if(count(*) > 1, min(value), NULL) AS low, if(count(*) > 1, max(value), NULL) AS high, count(*) AS seeds,
  avg(clients) AS clients, sum(share * clients) / sum(clients) AS share,
  avg(sum(share * clients) / sum(clients)) OVER (PARTITION BY scenario) AS held
FROM long GROUP BY scenario, place, domain, label, metric ORDER BY ALL"""
SHOWN = ("scenario", "domain", "label", "metric", "mean", "low", "high", "seeds", "clients", "share")


def table_main_domains(results: Results) -> list[Row]:
    """Return mean test accuracy over the clients of a main domain, by scenario and configuration.

    Returns:
        Rows with scenario, place and domain (number and name), label, method, look, metric, mean, low and
        high (the lowest and the highest seed), seeds, clients (of that domain, mean over seeds), share (of a
        client's images that lie in its main domain, mean over clients) and held (mean of that over the rows
        of the scenario); domains in the dataset's order.
    """
    rows = sort(results, results.sql(QUERY))
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    return sorted(rows, key=lambda row: (scenarios.index(row["scenario"]), row["place"]))


def show_domains(results: Results, figure: Row, key: str) -> Answer:
    """Return panels for own and global of each scenario whose domains are separated, and the table."""
    rows, metric = table_main_domains(results), results.metric
    draft = Draft(results, key, figure.get("title") or "Clients by their main domain")
    if not rows:
        return nothing(draft, f"confirmed runs, their partitions and the {metric} of their clients on test")
    drawn = [row for row in rows if row["held"] >= LEAST_SHARE]
    if not drawn:
        return Answer([draft.missing("In no scenario do clients hold most of their images of one domain.")])
    frame, axis = limits(drawn), f"test {metric}, %"
    titled = [{**row, "panel": f"{row['scenario']}: {PERSONAL_METRICS[row['metric']]}"} for row in drawn]
    titled.sort(key=lambda row: list(PERSONAL_METRICS).index(row["metric"]))
    panels = panels_of(
        titled,
        key,
        lambda shown: draw_accuracies([{**row, "scenario": row["domain"]} for row in shown], frame, axis),
        lambda shown: said(shown, "domain"),
        "panel",
    )
    shares = {row["scenario"]: row["held"] for row in rows}
    kept, left_out = (
        listing([f"{s} {percent(held, 0)}%" for s, held in shares.items() if (held >= LEAST_SHARE) == big])
        for big in (True, False)
    )
    caption = (
        f"Each client counts for the domain of which it has most training images. Mean test {metric} over "
        "those clients and over seeds (mark); bars go from the lowest to the highest seed and are no "
        f"intervals. Share of a client's images that lie in its main domain: {kept}."
    )
    if left_out:
        caption += f" Not drawn, because that share is below {percent(LEAST_SHARE, 0)}%: {left_out}."
    exhibit = draft.exhibit(panels, rows, SHOWN, QUERY, caption)
    leads = results.sql(query_of_verdicts("domains"))
    sentences = []
    for (scenario, _), group in grouped(leads, "scenario", "b").items():
        beside = named(group, lambda row: f"{row['b']} for clients of {row['level']}")
        sentences.append(f"Under {scenario}, {group[0]['a']} {beside}.")
    told = [{**row, "b": f"{row['b']} for clients of {row['level']}"} for row in leads]
    first = headline(told, f"in test {metric} on each client's own distribution")
    return Answer([exhibit, _table(draft, drawn)], sentences, first, leads)


def _table(draft: Draft, rows: Sequence[Row]) -> Table:
    """Return accuracy on the clients' own distributions by scenario, domain and configuration."""
    own, metric = [row for row in rows if row["metric"] == "acc_personal_own"], draft.results.metric
    found = {(row["scenario"], row["domain"], row["label"]): row for row in own}

    def column(label: str) -> Column:
        return label, lambda row: range_cell(found.get((row["scenario"], row["domain"], label)))

    caption = (
        f"Test {metric} on the clients' own distributions in %, mean [lowest, highest seed], by the domain "
        "that most of a client's images have."
    )
    lines = [group[0] for group in grouped(own, "scenario", "domain").values()]
    clients: Column = ("clients", lambda row: round(row["clients"], 1))
    columns = [clients, *map(column, dict.fromkeys(row["label"] for row in own))]
    title = capitalized(f"{metric} by main domain")
    return draft.table(lines, columns, QUERY, caption, title, name=("main domain", lambda row: row["domain"]))
