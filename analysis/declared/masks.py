"""Do the gate's masks find the foreground? Pictures of a recipe's first entry, and the overlaps of every entry over seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..figures.inside.masks import OVERLAPS, TITLE, meaning, overlaps, panels_of_gallery
from ..look.entries import entries, places_of, runs_of, scenarios_of
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import WITHIN, listing, plus_minus, points, span
from ..read.queries import parts
from ..read.results import Results, Row
from ..stats.intervals import Interval, paired, t_interval
from .adjusted import may, of_number, with_firm

RIVALS = {"iou_untrained": "those of the untrained gate", "iou_random": "random masks of equal area"}
WORDS = {"helps": "better", "hurts": "worse", "level": "level", "undecided": "undecided"}


def table_masks(results: Results) -> list[Row]:
    """Per scenario and configuration: mean overlap of each kind of mask over images, then interval over seeds.

    Returns:
        Rows with scenario, label, seeds, values (what -> seed -> mean over images), and of `open` and
        `OVERLAPS` the interval; overlaps only where the foreground is known. In the sweep's order of
        scenarios and the recipe's of configurations.
    """
    where, images = places_of(results), defaultdict[str, list[Row]](list)
    for row in overlaps(results, list(where)):
        images[row["run"]].append(row)
    values: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for run, rows in images.items():
        for scenario, label, seed in where.get(run, []):
            own = values.setdefault((scenario, label), {})
            for what in ("open", *OVERLAPS):
                if known := [r[what] for r in rows if r.get(what) is not None]:
                    own.setdefault(what, {})[seed] = sum(known) / len(known)
    order, scenarios = list(entries(results)), scenarios_of(results, [scenario for scenario, _ in values])
    rows = [
        {
            "scenario": scenario,
            "label": label,
            "seeds": len(own["open"]),
            "values": own,
            **{what: t_interval(list(v.values()), results.confidence) for what, v in own.items()},
        }
        for (scenario, label), own in values.items()
        if own
    ]
    return sorted(rows, key=lambda r: (scenarios.index(r["scenario"]), order.index(r["label"])))


def table_gains(results: Results, rows: Sequence[Row]) -> list[Row]:
    """The trained gate's overlap minus that of the untrained one and of random masks, paired by seed.

    Args:
        results: The sweep.
        rows: Rows of `table_masks`.

    Returns:
        Rows with scenario, label, rival (of `RIVALS`), interval, mean, low, high, seeds and firm (it stands
        among all of these rows).
    """
    found = []
    for row in rows:
        for rival in RIVALS:
            interval = paired(row["values"].get("iou", {}), row["values"].get(rival, {}), results.confidence)
            if interval:
                found.append(
                    {
                        "scenario": row["scenario"],
                        "label": row["label"],
                        "rival": rival,
                        "interval": interval,
                        "mean": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                        "seeds": interval.n,
                    }
                )
    return with_firm(found, results.confidence)


def exhibit_masks(results: Results, figure: Row, key: str) -> list[Exhibit | Table]:
    """The gallery of the first entry that has one, and the table of overlaps.

    Args:
        results: The sweep.
        figure: As declared: title.
        key: The exhibit's.
    """
    title, rows = figure.get("title") or TITLE, table_masks(results)
    found = next(
        (
            (row, run, gallery)
            for row in rows
            for run in _runs(results, row)
            if (gallery := results.gallery(run))
        ),
        None,
    )
    if not found:
        return [Exhibit(key, title, missing="It takes a finished run of a configuration that has a gate.")]
    row, run, gallery = found
    seed = next(
        s
        for scenario, label, s in places_of(results)[run]
        if (scenario, label) == (row["scenario"], row["label"])
    )
    caption = f"{row['label']} under {row['scenario']}, seed {seed}, after the last round. {meaning(gallery)}"
    images = overlaps(results, [run])
    columns = (
        "image",
        "class_name",
        "open",
        *(what for what in OVERLAPS if any(r.get(what) is not None for r in images)),
    )
    query = f"""SELECT DISTINCT {", ".join(columns)} FROM {parts("masks")} WHERE run = '{run}' AND split = 'validation' ORDER BY image"""
    drawn = Exhibit(key, title, caption, query, panels_of_gallery(gallery, key), numbers(images, columns))
    return [drawn, table_of_masks(results, rows, key)]


def _runs(results: Results, row: Row) -> list[str]:
    """The runs of a configuration, by seed."""
    place = (row["scenario"], row["label"])
    own = {
        seed: run
        for run, places in places_of(results).items()
        for scenario, label, seed in places
        if (scenario, label) == place
    }
    return [own[seed] for seed in sorted(own)]


def table_of_masks(results: Results, rows: Sequence[Row], key: str) -> Table:
    """Open positions and overlaps of every scenario and configuration, and what training added."""
    gains = {(r["scenario"], r["label"], r["rival"]): r for r in table_gains(results, rows)}
    body: list[list[Any]] = []
    for row in rows:
        first = not any(line[0].text == row["scenario"] for line in body)
        shown = [Cell(plus_minus(row.get(what)), "tight") for what in ("open", *OVERLAPS)]
        body.append(
            [
                Cell(row["scenario"], "tight" if first else "again"),
                Cell(row["label"], "tight"),
                *shown,
                *(_verdict(gains.get((row["scenario"], row["label"], rival))) for rival in RIVALS),
            ]
        )
    head = [
        "scenario",
        "configuration",
        "open positions, %",
        *(f"IoU, {name}, %" for name in OVERLAPS.values()),
        "trained minus untrained, points",
        "trained minus random, points",
    ]
    told = (
        of_number(list(gains.values()), results.confidence, "Differences")
        if gains
        else "The foreground of these images is not known."
    )
    caption = (
        f"Means over the validation images of a run, then \u00b1 half of the {results.confidence:.0%} "
        "interval over seeds; "
        "differences are paired by seed. A star: the difference stands when adjusted for their "
        f"number. {told}"
    )
    title, query = "Overlap of masks with the foreground", query_of_masks(results, bool(gains))
    return Table(head, body, caption, query, key=f"{key}-table", title=title)


def _verdict(row: Row | None) -> Cell:
    if row is None:
        return Cell("")
    interval: Interval = row["interval"]
    star = " *" if row["firm"] else ""
    return Cell(
        f"{plus_minus(interval, points)} {WORDS[interval.verdict]}{star}", f"tight {interval.verdict}"
    )


def query_of_masks(results: Results, known: bool) -> str:
    """The numbers of `table_masks` and `table_gains` as SQL; without overlaps where the foreground is not known."""
    names = ("open", *(OVERLAPS if known else ()))
    means = "".join(f", avg({name}) AS {name}" for name in names)
    told = "".join(f", avg({name}) AS {name}, stddev_samp({name}) AS sd_{name}" for name in names)
    gains = "".join(
        f", avg(iou - {rival}) AS minus_{rival}, stddev_samp(iou - {rival}) AS sd_minus_{rival}"
        for rival in RIVALS
        if known
    )
    return f"""{runs_of(results)}, images AS (
  SELECT DISTINCT run, image, {", ".join(names)} FROM {parts("masks")} WHERE split = 'validation'
), means AS (SELECT scenario, label, seed{means} FROM run_of JOIN images USING (run) GROUP BY ALL)
SELECT scenario, label{told}{gains}, count(*) AS seeds
FROM means GROUP BY ALL ORDER BY ALL"""


def sentences_masks(results: Results) -> list[str]:
    """Per scenario: how far the masks of each configuration overlap the foreground more than untrained and random ones."""
    gains, said = table_gains(results, table_masks(results)), list[str]()
    for scenario in dict.fromkeys(r["scenario"] for r in gains):
        here = [r for r in gains if r["scenario"] == scenario]
        labels = dict.fromkeys(r["label"] for r in here)
        clauses = [f"those of {label} {_said([r for r in here if r['label'] == label])}" for label in labels]
        said.append(f"Of masks under {scenario}, {'; '.join(clauses)}.")
    if said:
        said[0] = said[0].replace(" points, ", f" points of IoU, {results.confidence:.0%} interval ", 1)
    return said


def _said(rows: Sequence[Row]) -> str:
    """`overlap the foreground more than the untrained gate's (+3.0 points, +1.0 to +5.0) and are level with random masks (...)`."""
    verbs = {
        "helps": "overlap the foreground more than {}",
        "hurts": "overlap the foreground less than {}",
        "level": f"are level ({WITHIN}) with {{}}",
        "undecided": "are undecided against {}",
    }
    clauses = []
    for row in rows:
        interval: Interval = row["interval"]
        verb = ("may " if may(row) else "") + verbs[interval.verdict]
        clauses.append(
            f"{verb.format(RIVALS[row['rival']])} ({points(interval.mean)} points, {span(interval)})"
        )
    return listing(clauses)
