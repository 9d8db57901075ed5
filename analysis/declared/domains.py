"""How clients fare by the domain that most of their images have."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from ..figures.outcomes.methods import METRICS, limits
from ..look.entries import CONFIRMED, entries, groups, subject
from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import NARROW, WIDTH, blank, drawing, legend_below, percent_axis
from ..look.words import WITHIN, listing, percent, plus_minus, points
from ..read.queries import parts
from ..read.results import Results, Row
from ..stats.intervals import paired, t_interval
from .adjusted import may, of_number, with_firm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOSTLY = 0.5  # of a client's images, for its main domain to say something of it
RIVALS = ("local", "promptfl")
VERBS = {
    "helps": "ahead of",
    "hurts": "behind",
    "level": f"level ({WITHIN}) with",
    "undecided": "undecided against",
}
QUERY = f"""{CONFIRMED}, images AS (
  SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run, client, domain, count(*) AS images
  FROM read_parquet('runs/*/partition.parquet', filename = true) GROUP BY ALL
), main AS (FROM images QUALIFY row_number() OVER (PARTITION BY run, client ORDER BY images DESC, domain) = 1
), names AS (
  SELECT id AS run, domain_names FROM read_json('runs/*/run.json', columns = {{id: 'VARCHAR', domain_names: 'VARCHAR[]'}})
), tested AS (
  SELECT DISTINCT run, client, acc_personal_own AS own, acc_personal_global AS world FROM {parts("clients")} WHERE split = 'test'
), seeds AS (
  SELECT scenario, label, domain_names[domain + 1] AS domain, seed, avg(own) AS own, avg(world) AS world, count(*) AS clients
  FROM confirmed JOIN main USING (run) JOIN names USING (run) JOIN tested USING (run, client) GROUP BY ALL
)
SELECT scenario, domain, label, avg(own) AS personal_own, stddev_samp(own) AS sd_own, avg(world) AS personal_global,
  stddev_samp(world) AS sd_global, avg(clients) AS clients, count(*) AS seeds
FROM seeds GROUP BY ALL ORDER BY ALL"""


def main_domains(results: Results, run: str) -> dict[int, tuple[int, float]]:
    """Client -> the domain of most of its training images (of equals, the first) and their share; empty where no partition is on disk."""
    partition = results.partition(run)
    if partition is None:
        return {}
    client = partition["client"].to_numpy()
    domain = partition["domain"].to_numpy() if "domain" in partition.column_names else np.zeros_like(client)
    everyone, place = np.unique(client, return_inverse=True)
    counts = np.zeros((len(everyone), int(domain.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (place, domain), 1)
    return {
        int(c): (int(n.argmax()), float(n.max() / n.sum())) for c, n in zip(everyone, counts, strict=True)
    }


def tested(results: Results, runs: Sequence[str]) -> dict[str, dict[int, Row]]:
    """Run -> client -> its row of the clients table on the test split."""
    table = results.table("clients", runs, ["run", "split", "client", *METRICS])
    found: dict[str, dict[int, Row]] = {}
    if table.num_rows:
        for row in table.filter(pc.equal(table["split"], "test")).to_pylist():
            found.setdefault(row["run"], {})[row["client"]] = row
    return found


def members(
    results: Results, trial: Row, scores: dict[str, dict[int, Row]]
) -> tuple[dict[tuple[int, str], dict[int, list[Row]]], float]:
    """(Number and name of a domain) -> seed -> rows of its clients; and the share of a client's images in its main domain."""
    found: dict[tuple[int, str], dict[int, list[Row]]] = {}
    shares = []
    for seed, run in zip(trial["seeds"], trial.get("runs") or [], strict=False):
        named = results.run_meta(run).get("domain_names") or []
        for client, (domain, share) in main_domains(results, run).items() if run in scores else ():
            if client in scores[run]:
                name = named[domain] if domain < len(named) else str(domain)
                found.setdefault((domain, name), {}).setdefault(seed, []).append(scores[run][client])
                shares.append(share)
    return found, sum(shares) / len(shares) if shares else 0.0


def table_main_domains(results: Results, compared: Sequence[Row]) -> list[Row]:
    """Mean test accuracy over the clients of a main domain, by scenario, domain, configuration and metric.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.

    Returns:
        Rows with scenario, domain, label, method, look, metric, values (by seed), interval, mean, low, high,
        seeds, clients (of that domain, mean over seeds) and share (of a client's images that lie in its main
        domain, mean over clients); domains in the dataset's order, configurations in the recipe's.
    """
    order, scenarios = list(entries(results)), list(dict.fromkeys(r["scenario"] for r in compared))
    scores = tested(results, [run for r in compared for run in r["trial"].get("runs") or []])
    rows = []
    for row in (r for r in compared if r["metric"] == next(iter(METRICS))):
        found, share = members(results, row["trial"], scores)
        for ((place, name), clients), metric in itertools.product(found.items(), METRICS):
            known = {
                seed: [c[metric] for c in group if c.get(metric) is not None]
                for seed, group in clients.items()
            }
            values = {seed: sum(v) / len(v) for seed, v in known.items() if v}
            interval = t_interval(list(values.values()), results.confidence)
            if interval:
                rows.append(
                    {
                        **{k: row[k] for k in ("scenario", "label", "method", "look")},
                        "place": place,
                        "domain": name,
                        "metric": metric,
                        "values": values,
                        "interval": interval,
                        "mean": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                        "seeds": interval.n,
                        "share": share,
                        "clients": sum(map(len, clients.values())) / len(clients),
                    }
                )
    return sorted(
        rows, key=lambda r: (scenarios.index(r["scenario"]), r["place"], order.index(r["label"]), r["metric"])
    )


def telling(rows: Sequence[Row]) -> list[str]:
    """The scenarios whose clients hold most of their images of one domain, the most separate first."""
    shares = {r["scenario"]: r["share"] for r in rows}
    return sorted((s for s in shares if shares[s] >= MOSTLY), key=lambda s: -shares[s])


@drawing
def draw_domains(rows: Sequence[Row], frame: tuple[float, float], width: float = WIDTH) -> Figure:
    """One scenario and metric: a row per domain, in it a mark with its interval for each configuration.

    Args:
        rows: Rows of `table_main_domains`.
        frame: The x axis, as fractions.
        width: Of the panel, inches.
    """
    domains, labels = (list(dict.fromkeys(r[k] for r in rows)) for k in ("domain", "label"))
    step = 0.8 / max(4, len(labels))
    figure, axes = blank(0.9 + len(domains) * max(0.42, 0.105 * len(labels)) + 0.16 * len(labels) / 2, width)
    for row in rows:
        look, y = (
            row["look"],
            domains.index(row["domain"]) + step * (labels.index(row["label"]) - (len(labels) - 1) / 2),
        )
        if row["low"] is not None:
            axes.plot(
                [row["low"], row["high"]], [y, y], color=look.colour, linewidth=1.2, solid_capstyle="butt"
            )
        axes.plot(
            [row["mean"]],
            [y],
            look.marker,
            color=look.colour,
            markersize=4.2,
            linestyle="",
            markerfacecolor=look.face,
            label=row["label"] if row["domain"] == domains[0] else None,
        )
    for i in range(1, len(domains)):
        axes.axhline(i - 0.5, color="#dddddd", linewidth=0.7, zorder=0)
    axes.set_yticks(range(len(domains)), domains)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set(xlim=frame, ylim=(len(domains) - 0.5, -0.5), xlabel="test accuracy, %")
    percent_axis(axes.xaxis)
    legend_below(figure, axes)
    return figure


def exhibit_domains(
    results: Results, compared: Sequence[Row], figure: Row, key: str
) -> list[Exhibit | Table]:
    """Panels for own and global of each scenario in which domains are apart, and the table.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: title.
        key: The exhibit's.
    """
    title, rows = figure.get("title") or "Clients by their main domain", table_main_domains(results, compared)
    shown = telling(rows)
    if not shown:
        why = (
            "In no scenario do clients hold most of their images of one domain."
            if rows
            else (
                "It takes confirmed runs with their partitions and their clients' accuracies on the "
                "test split."
            )
        )
        return [Exhibit(key, title, missing=why)]
    drawn = [r for r in rows if r["scenario"] in shown]
    labels = groups([label for label in entries(results) if any(r["label"] == label for r in drawn)])
    places = list(itertools.product(shown, labels, METRICS))
    panels = []
    for i, (scenario, some, metric) in enumerate(places):
        own = [r for r in drawn if (r["scenario"], r["metric"]) == (scenario, metric) and r["label"] in some]
        name = f"{scenario}: {METRICS[metric]}" if len(shown) > 1 else f"Personal accuracy {METRICS[metric]}"
        if own:
            plot = draw_domains(own, limits(drawn), NARROW if len(places) > 2 else WIDTH)
            panels.append(Panel(f"{key}-{slug(scenario)}-{i}", name, plot))
    told = of_number(
        table_leads(results, rows), results.confidence, " The paired differences that sentences speak of"
    )
    shares = {r["scenario"]: r["share"] for r in rows}
    left = [f"{s} ({percent(v, 0)}%)" for s, v in shares.items() if s not in shown]
    caption = (
        "Each client counts for the domain of which it has most training images: mean test accuracy over "
        "those clients, then mean and "
        f"{results.confidence:.0%} t interval over seeds. Share of a client's images that lie in its main "
        "domain: "
        + listing([f"{s} {percent(shares[s], 0)}%" for s in shown])
        + "."
        + (f" Not drawn, because that share is below {percent(MOSTLY, 0)}%: {listing(left)}." if left else "")
        + told
    )
    columns = ("scenario", "domain", "label", "metric", "mean", "low", "high", "seeds", "clients", "share")
    return [
        Exhibit(key, title, caption, QUERY, panels, numbers(rows, columns)),
        table_of_domains(results, drawn, key),
    ]


def table_of_domains(results: Results, rows: Sequence[Row], key: str) -> Table:
    """Accuracy on the clients' own distributions: a line per scenario and domain, a column per configuration."""
    own = {(r["scenario"], r["domain"], r["label"]): r for r in rows if r["metric"] == next(iter(METRICS))}
    labels = [label for label in entries(results) if any(k[2] == label for k in own)]
    body: list[list[Any]] = []
    for scenario, domain in dict.fromkeys(k[:2] for k in own):
        first = not any(line[0].text == scenario for line in body)
        there = [own[(scenario, domain, label)] for label in labels if (scenario, domain, label) in own]
        cells = [
            Cell(
                plus_minus(own[(scenario, domain, label)]["interval"])
                if (scenario, domain, label) in own
                else "",
                "tight",
            )
            for label in labels
        ]
        body.append(
            [Cell(scenario, "tight" if first else "again"), domain, round(there[0]["clients"], 1), *cells]
        )
    caption = (
        "Test accuracy on the clients' own distributions in %, mean \u00b1 half of the "
        f"{results.confidence:.0%} interval over "
        "seeds, by the domain that most of a client's images have."
    )
    return Table(
        ["scenario", "main domain", "clients", *labels],
        body,
        caption,
        QUERY,
        key=f"{key}-table",
        title="Accuracy by main domain",
    )


def table_leads(results: Results, rows: Sequence[Row]) -> list[Row]:
    """The first entry minus local-only and PromptFL (or what there is), for the clients of each domain, on their own distributions.

    Args:
        results: The sweep.
        rows: Rows of `table_main_domains`.

    Returns:
        Rows with scenario, label, rival, domain, interval (paired by seed) and firm (it stands among all of
        these rows), of the scenarios that `telling` names.
    """
    about, leads = subject(results), []
    for scenario in telling(rows):
        here = [r for r in rows if r["scenario"] == scenario and r["metric"] == next(iter(METRICS))]
        ours = {r["domain"]: r for r in here if r["label"] == about}
        others = [r for r in here if r["label"] != about]
        rivals = (
            dict.fromkeys(r["label"] for r in others if r["method"] in RIVALS)
            or [r["label"] for r in others][:1]
        )
        leads += [
            {
                "scenario": scenario,
                "label": about,
                "rival": rival,
                "domain": r["domain"],
                "interval": interval,
            }
            for rival in rivals
            for r in others
            if r["label"] == rival and r["domain"] in ours
            if (interval := paired(ours[r["domain"]]["values"], r["values"], results.confidence))
        ]
    return with_firm(leads, results.confidence)


def sentences_domains(results: Results, compared: Sequence[Row]) -> list[str]:
    """For which domains the first entry is ahead of, behind and level with local-only and PromptFL, on the clients' own distributions."""
    leads, said = table_leads(results, table_main_domains(results, compared)), list[str]()
    for scenario, rival in dict.fromkeys((r["scenario"], r["rival"]) for r in leads):
        here = [r for r in leads if (r["scenario"], r["rival"]) == (scenario, rival)]
        how = "" if said else f" (points; decided by {results.confidence:.0%} intervals, paired by seed)"
        said.append(f"Under {scenario}, {here[0]['label']} {_leads(here)}{how}.")
    return said


def _leads(rows: Sequence[Row]) -> str:
    """`is ahead of local for clients of haze (+3.1), behind it for clients of winter (-1.0); it may be ahead of it for ...`."""
    clauses, name = list[str](), rows[0]["rival"]
    for verb, hint in (("is", False), ("may be", True)):
        found: dict[str, list[str]] = {}
        for row in (r for r in rows if may(r) == hint):
            gap = row["interval"]
            found.setdefault(gap.verdict, []).append(
                f"{row['domain']} ({points(gap.mean)})" if gap.excludes_zero else row["domain"]
            )
        parts = []
        for verdict in (v for v in VERBS if v in found):
            parts.append(f"{VERBS[verdict]} {name} for clients of {listing(found[verdict])}")
            name = "it"
        if parts:
            clauses.append(f"{'it ' if clauses else ''}{verb} {', '.join(parts)}")
    return "; ".join(clauses)
