"""Masks of the gate: pictures of a recipe's first entry, and the overlaps of every entry over seeds."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..figures.inside.gallery import meaning, panels_of_gallery
from ..figures.inside.masks import OVERLAP_NAMES, TITLE, overlaps
from ..figures.rows import group_cell, interval_columns, with_firm
from ..figures.sentences import with_confidence
from ..look.entries import drawn_places, entries, runs_of, scenarios_of
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import WITHIN, listing, plus_minus, points, span
from ..read.queries import parts
from ..read.results import Gallery, Results, Row
from ..stats.intervals import Interval, paired, t_interval
from .adjusted import may, note_on_number

RIVALS = {"iou_untrained": "those of the untrained gate", "iou_random": "random masks of equal area"}
VERDICT_WORDS = {"helps": "better", "hurts": "worse", "level": "level", "undecided": "undecided"}


def table_masks(results: Results) -> list[Row]:
    """Return per scenario and configuration the mean overlap of each kind of mask over images, with interval.

    Returns:
        Rows with scenario, label, seeds, values (mask -> seed -> mean over images), and the interval over
        seeds of `open` and of each of `OVERLAP_NAMES`; overlaps only where the foreground is known. In the
        sweep's order of scenarios and the recipe's of configurations.
    """
    places, run_images = drawn_places(results), defaultdict[str, list[Row]](list)
    for row in overlaps(results, list(places)):
        run_images[row["run"]].append(row)
    values: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for run, images in run_images.items():
        for mask in ("open", *OVERLAP_NAMES):
            measured = [image[mask] for image in images if image.get(mask) is not None]
            for scenario, label, seed in places.get(run, []) if measured else []:
                masks = values.setdefault((scenario, label), {})
                masks.setdefault(mask, {})[seed] = sum(measured) / len(measured)
    rows = [
        {
            "scenario": scenario,
            "label": label,
            "seeds": len(masks["open"]),
            "values": masks,
            **{mask: t_interval(list(v.values()), results.confidence) for mask, v in masks.items()},
        }
        for (scenario, label), masks in values.items()
    ]
    labels, scenarios = list(entries(results)), scenarios_of(results, [scenario for scenario, _ in values])
    return sorted(rows, key=lambda row: (scenarios.index(row["scenario"]), labels.index(row["label"])))


def table_gains(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return the trained gate's overlap minus that of the untrained gate and of random masks, paired by seed.

    Args:
        results: The sweep.
        rows: Rows of `table_masks`.

    Returns:
        Rows with scenario, label, rival (of `RIVALS`), interval, mean, low, high, seeds and firm (it remains
        when adjusted for the number of rows).
    """
    gains = []
    for row in rows:
        values, place = row["values"], {"scenario": row["scenario"], "label": row["label"]}
        for rival in RIVALS:
            interval = paired(values.get("iou", {}), values.get(rival, {}), results.confidence)
            gains += [{**place, "rival": rival, **interval_columns(interval)}] if interval else []
    return with_firm(gains, results.confidence)


def exhibit_masks(results: Results, figure: Row, key: str) -> list[Exhibit | Table]:
    """Return the gallery of the first entry that has one, and the table of overlaps.

    Args:
        results: The sweep.
        figure: As declared: title.
        key: Key of the exhibit.
    """
    title, rows = figure.get("title") or TITLE, table_masks(results)
    for row in rows:
        for seed, run in _runs_by_seed(results, row):
            if gallery := results.gallery(run):
                about = f"{row['label']} under {row['scenario']}, seed {seed}, after the last round."
                pictures = _exhibit_gallery(results, run, gallery, Exhibit(key, title, about))
                return [pictures, table_of_masks(results, rows, key)]
    return [Exhibit(key, title, missing="It takes a finished run of a configuration that has a gate.")]


def _exhibit_gallery(results: Results, run: str, gallery: Gallery, exhibit: Exhibit) -> Exhibit:
    """Return the exhibit with the pictures of a run, its query and its numbers."""
    images = overlaps(results, [run])
    measured = [name for name in OVERLAP_NAMES if any(image.get(name) is not None for image in images)]
    columns = ("image", "class_name", "open", *measured)
    query = f"""SELECT DISTINCT {", ".join(columns)} FROM {parts("masks")}
WHERE run = '{run}' AND split = 'validation' ORDER BY image"""
    return dataclasses.replace(
        exhibit,
        caption=f"{exhibit.caption} {meaning(gallery)}",
        source=query,
        panels=panels_of_gallery(gallery, exhibit.key),
        numbers=numbers(images, columns),
    )


def _runs_by_seed(results: Results, row: Row) -> list[tuple[int, str]]:
    """Return seed and run of each run of a configuration, sorted by seed."""
    return sorted(
        (seed, run)
        for run, places in drawn_places(results).items()
        for scenario, label, seed in places
        if (scenario, label) == (row["scenario"], row["label"])
    )


def table_of_masks(results: Results, rows: Sequence[Row], key: str) -> Table:
    """Return open positions and overlaps of every scenario and configuration, and the effect of training.

    Args:
        results: The sweep.
        rows: Rows of `table_masks`.
        key: Key of the exhibit.
    """
    gains = {(row["scenario"], row["label"], row["rival"]): row for row in table_gains(results, rows)}
    body: list[list[Any]] = []
    for row in rows:
        masks = [Cell(plus_minus(row.get(mask)), "tight") for mask in ("open", *OVERLAP_NAMES)]
        row_gains = [gains.get((row["scenario"], row["label"], rival)) for rival in RIVALS]
        names = [group_cell(body, row["scenario"]), Cell(row["label"], "tight")]
        body.append([*names, *masks, *map(_gain_cell, row_gains)])
    columns = [
        "scenario",
        "configuration",
        "open positions, %",
        *(f"IoU, {name}, %" for name in OVERLAP_NAMES.values()),
        "trained minus untrained, points",
        "trained minus random, points",
    ]
    note = "The foreground of these images is not known."
    if gains:
        note = note_on_number(list(gains.values()), results.confidence, "Differences")
    caption = (
        f"Means over the validation images of a run, then \u00b1 half of the {results.confidence:.0%} "
        "interval over seeds; differences are paired by seed. A star: the difference remains when "
        f"adjusted for the number of differences. {note}"
    )
    title, query = "Overlap of masks with the foreground", query_of_masks(results, bool(gains))
    return Table(columns, body, caption, query, key=f"{key}-table", title=title)


def _gain_cell(row: Row | None) -> Cell:
    if row is None:
        return Cell("")
    interval: Interval = row["interval"]
    star = " *" if row["firm"] else ""
    return Cell(
        f"{plus_minus(interval, points)} {VERDICT_WORDS[interval.verdict]}{star}", f"tight {interval.verdict}"
    )


def query_of_masks(results: Results, with_overlaps: bool) -> str:
    """Return the SQL that gives the numbers of `table_masks` and `table_gains`.

    Args:
        results: The sweep.
        with_overlaps: Whether the foreground is known.
    """
    masks, rivals = ("open", *(OVERLAP_NAMES if with_overlaps else ())), RIVALS if with_overlaps else ()
    run_means = "".join(f", avg({mask}) AS {mask}" for mask in masks)
    means = "".join(f", avg({mask}) AS {mask}, stddev_samp({mask}) AS sd_{mask}" for mask in masks)
    gains = "".join(
        f", avg(iou - {rival}) AS minus_{rival}, stddev_samp(iou - {rival}) AS sd_minus_{rival}"
        for rival in rivals
    )
    return f"""{runs_of(results)}, images AS (
  SELECT DISTINCT run, image, {", ".join(masks)} FROM {parts("masks")} WHERE split = 'validation'
), means AS (SELECT scenario, label, seed{run_means} FROM run_of JOIN images USING (run) GROUP BY ALL)
SELECT scenario, label{means}{gains}, count(*) AS seeds
FROM means GROUP BY ALL ORDER BY ALL"""


def sentences_masks(results: Results) -> list[str]:
    """Return a sentence per scenario: the overlap of the masks against untrained and random masks."""
    gains: dict[str, dict[str, list[Row]]] = {}
    for row in table_gains(results, table_masks(results)):
        gains.setdefault(row["scenario"], {}).setdefault(row["label"], []).append(row)
    texts = []
    for scenario, labels in gains.items():
        clauses = [f"those of {label} {_overlap_clause(rows)}" for label, rows in labels.items()]
        texts.append(f"Of masks under {scenario}, {'; '.join(clauses)}.")
    first = with_confidence(texts[:1], results.confidence)
    return [text.replace(" points, ", " points of IoU, ", 1) for text in first] + texts[1:]


def _overlap_clause(rows: Sequence[Row]) -> str:
    """Return `overlap the foreground more than ... (+3.0 points, ...) and are level with ... (...)`."""
    verbs = {
        "helps": "overlap the foreground more than {}",
        "hurts": "overlap the foreground less than {}",
        "level": f"are level ({WITHIN}) with {{}}",
        "undecided": "are undecided against {}",
    }
    clauses = []
    for row in rows:
        interval: Interval = row["interval"]
        verb = ("may " if may(row) else "") + verbs[interval.verdict].format(RIVALS[row["rival"]])
        clauses.append(f"{verb} ({points(interval.mean)} points, {span(interval)})")
    return listing(clauses)
