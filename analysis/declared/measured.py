"""What confirmed runs measured inside: clients by main domain, masks of a gate, the shared part by round."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from ..figures.choices.verdicts import difference_cell, named
from ..figures.estimates import draw_accuracies, limits, said, sort
from ..figures.exhibits import Draft
from ..figures.inside import masks
from ..figures.lines import panels_of
from ..figures.outcomes import curves
from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..figures.rows import Column, grouped
from ..look.page import Table
from ..look.words import capitalized, listing, percent
from ..read.results import Results, Row
from ..verdicts.recipes import BY_DOMAIN, LEAST_SHARE
from .answers import Answer, headline, in_order, nothing, query_of_verdicts, range_cell

# low and high: the lowest and the highest seed; clients: of that domain, mean over seeds; share: of the
# images of a client that lie in its main domain; held: the mean of it over the rows of the scenario.
DOMAINS = f"""WITH {BY_DOMAIN}, long AS (
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
MEASURES = {"open": "open positions, %"} | {n: f"IoU, {name}, %" for n, (name, _) in masks.OVERLAPS.items()}
# Means over the images of a run, then over seeds, with the lowest and the highest seed.
MASKS = f"""WITH {curves.RUNS}, once AS (
  FROM masks WHERE split = 'validation' QUALIFY row_number() OVER (PARTITION BY run, image) = 1
), by_seed AS (
  SELECT scenario, run_of.label, seed, run, {", ".join(f"avg({name}) AS {name}" for name in MEASURES)}
  FROM run_of JOIN once USING (run) GROUP BY ALL
)
SELECT scenario, label, count(*) AS seeds, list(run ORDER BY seed) AS runs,
  list(seed ORDER BY seed) AS seed_list,
  {", ".join(f"avg({n}) AS {n}, min({n}) AS {n}_low, max({n}) AS {n}_high" for n in MEASURES)}
FROM by_seed GROUP BY ALL ORDER BY ALL"""
GAINS = query_of_verdicts("masks")
UNTRAINED, RANDOM = "the untrained gate", "random masks of equal area"
ENDS = query_of_verdicts("convergence")


def table_main_domains(results: Results) -> list[Row]:
    """Return mean test accuracy over the clients of a main domain (rows of `DOMAINS`), domains in order."""
    by_scenario = grouped(sort(results, results.sql(DOMAINS)), "scenario")
    return [row for group in by_scenario.values() for row in sorted(group, key=itemgetter("place"))]


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
    titled = [
        {**row, "panel": f"{row['scenario']}: {words}", "scenario": row["domain"]}
        for column, words in PERSONAL_METRICS.items()
        for row in drawn
        if row["metric"] == column
    ]
    panels = panels_of(titled, key, lambda shown: draw_accuracies(shown, frame, axis), said, "panel")
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
    exhibit = draft.exhibit(panels, rows, SHOWN, DOMAINS, caption)
    leads = results.sql(query_of_verdicts("domains"))
    for row in leads:
        row |= {"rival": row["b"], "b": f"{row['b']} for clients of {row['level']}"}
    sentences = [
        f"Under {scenario}, {group[0]['a']} {named(group, itemgetter('b'))}."
        for (scenario, _), group in grouped(leads, "scenario", "rival").items()
    ]
    first = headline(leads, f"in test {metric} on each client's own distribution")
    return Answer([exhibit, _table_of_domains(draft, drawn)], sentences, first, leads)


def _table_of_domains(draft: Draft, rows: Sequence[Row]) -> Table:
    """Return accuracy on the clients' own distributions by scenario, domain and configuration."""
    own, metric = [row for row in rows if row["metric"] == "acc_personal_own"], draft.results.metric
    cells = {(row["scenario"], row["domain"], row["label"]): row for row in own}

    def column(label: str) -> Column:
        return label, lambda row: range_cell(cells.get((row["scenario"], row["domain"], label)))

    caption = (
        f"Test {metric} on the clients' own distributions in %, mean [lowest, highest seed], by the domain "
        "that most of a client's images have."
    )
    lines = [group[0] for group in grouped(own, "scenario", "domain").values()]
    clients: Column = ("clients", lambda row: round(row["clients"], 1))
    columns = [clients, *map(column, dict.fromkeys(row["label"] for row in own))]
    title, name = capitalized(f"{metric} by main domain"), ("main domain", itemgetter("domain"))
    return draft.table(lines, columns, DOMAINS, caption, title, name=name)


def show_masks(results: Results, figure: Row, key: str) -> Answer:
    """Return the gallery of the first entry that has one, and the table of overlaps."""
    levels = in_order(results, results.sql(MASKS))
    draft = Draft(results, key, figure.get("title") or masks.TITLE)
    runs = [(row, *place) for row in levels for place in zip(row["runs"], row["seed_list"], strict=True)]
    galleries = ((*place, gallery) for place in runs if (gallery := results.gallery(place[1])))
    row, run, seed, gallery = next(galleries, ({}, "", 0, None))
    if gallery is None:
        return nothing(draft, "a finished run of a configuration that has a gate")
    query, meaning = masks.IMAGES.format(where=f" AND run = '{run}'"), masks.meaning(gallery)
    caption = f"{row['label']} under {row['scenario']}, seed {seed}, after the last round. {meaning}"
    panels = masks.panels_of_gallery(gallery, key)
    pictures = draft.exhibit(panels, results.sql(query), masks.SHOWN, query, caption)
    gains = results.sql(GAINS)
    for row in gains:
        other = UNTRAINED if "untrained gate" in row["b"] else RANDOM
        row |= {"a": f"the trained gate of {row['level']}", "b": other}
    texts = []
    for scenario, group in grouped(gains, "scenario").items():
        by_label = grouped(group, "level").items()
        gated = "; ".join(f"that of {label} {named(rows, itemgetter('b'))}" for label, rows in by_label)
        texts.append(f"Under {scenario}, by overlap with the foreground, the trained gate: {gated}.")
    first = headline(gains, "in overlap with the foreground")
    return Answer([pictures, _table_of_masks(draft, levels, gains)], texts, first, gains)


def _table_of_masks(draft: Draft, levels: Sequence[Row], gains: Sequence[Row]) -> Table:
    """Return open positions and overlaps of every scenario and configuration, and the effect of training."""
    differences = {(row["scenario"], row["level"], row["b"]): row for row in gains}

    def measure(name: str) -> Column:
        return MEASURES[name], lambda row: range_cell(row, name, f"{name}_low", f"{name}_high")

    def gain(name: str, other: str) -> Column:
        head = f"trained minus {name}, points"
        return head, lambda row: difference_cell(differences.get((row["scenario"], row["label"], other)))

    note = "" if gains else " The foreground of these images is not known."
    caption = (
        "Means over the validation images of a run and over seeds [lowest, highest seed]; differences are "
        f"paired by seed, with {draft.results.confidence:.0%} intervals adjusted for all of them.{note}"
    )
    columns = [*map(measure, MEASURES), gain("untrained", UNTRAINED), gain("random", RANDOM)]
    return draft.table(levels, columns, f"{MASKS};\n{GAINS}", caption, masks.OVERLAP_TITLE)


def show_convergence(results: Results, figure: Row, key: str) -> Answer:
    """Return learning curves of the shared parameters alone, and the table of start, end and best round."""
    draft = Draft(results, key, figure.get("title") or "Convergence of the shared parameters")
    column = "acc_shared_global"
    ends = in_order(results, results.sql(ENDS), "level")
    for row in ends:
        row |= {"label": row["level"], "a": f"the shared part of {row['level']}", "b": "its start"}
    sharing = {(row["scenario"], row["label"]) for row in ends}
    rows = [r for r in curves.table_curves(results, column) if (r["scenario"], r["label"]) in sharing]
    if not rows:
        return nothing(draft, "two evaluated rounds of a confirmed configuration that shares parameters")
    caption = (
        f"Validation {results.metric} of the shared parameters alone on the global split after each "
        "evaluated round, of configurations confirmed on fresh seeds: mean over seeds, and the range from "
        "the lowest to the highest seed (band; no interval)."
    )
    panels = curves.panels_of_curves(results, rows, key, floors=False)
    exhibit = draft.exhibit(panels, rows, curves.SHOWN, curves.query_of_rounds(results, column), caption)
    texts = []
    for scenario, group in grouped(ends, "scenario").items():
        shared = "; that of ".join(f"{row['label']} {named([row], itemgetter('b'))}" for row in group)
        texts.append(f"Under {scenario}, on the global validation split, the shared part of {shared}.")
    first = headline(ends, f"in validation {results.metric} on the global split")
    return Answer([exhibit, _table_of_ends(draft, ends, rows)], texts, first, ends)


def _table_of_ends(draft: Draft, ends: Sequence[Row], rows: Sequence[Row]) -> Table:
    """Return start, end and best round of each configuration and scenario."""
    by_line = grouped(rows, "scenario", "label")
    words = {"ahead": "above", "behind": "below"}

    def best(row: Row) -> str:
        top = max(by_line[row["scenario"], row["label"]], key=itemgetter("mean"))
        return f"{percent(top['mean'])} (round {top['round']})"

    caption = (
        f"Validation {draft.results.metric} of the shared parameters alone on the global split. Differences "
        "are paired by seed, with intervals adjusted for all of them. The best round has the highest mean, "
        "so its value is a little too high."
    )
    columns: list[Column] = [
        ("start, %", lambda row: percent(row["mean_b"])),
        ("end, %", lambda row: percent(row["mean_a"])),
        ("end minus start, points", lambda row: difference_cell(row, words)),
        ("best, %", best),
    ]
    return draft.table(ends, columns, ENDS, caption, "Start and end of the shared parameters")
