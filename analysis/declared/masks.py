"""Masks of the gate: pictures of a recipe's first entry, and the overlaps of every entry over seeds."""

from __future__ import annotations

from typing import Any

from ..figures.choices.verdicts import named
from ..figures.differences import FIELDS, difference_cell, with_basis
from ..figures.inside.gallery import meaning, panels_of_gallery
from ..figures.inside.masks import IMAGES, OVERLAP_NAMES, TITLE
from ..figures.outcomes.curves import RUNS
from ..figures.rows import group_cell, grouped, place_in, scenario_order
from ..look.entries import base_label
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import percent
from ..read.results import Results, Row

MEASURES = ("open", *OVERLAP_NAMES)
# Means over the images of a run, then over seeds, with the lowest and the highest seed.
LEVELS = f"""WITH {RUNS}, once AS (
  FROM masks WHERE split = 'validation' QUALIFY row_number() OVER (PARTITION BY run, image) = 1
), by_seed AS (
  SELECT scenario, run_of.label, seed, {", ".join(f"avg({name}) AS {name}" for name in MEASURES)}
  FROM run_of JOIN once USING (run) GROUP BY ALL
)
SELECT scenario, label, count(*) AS seeds,
  {", ".join(f"avg({n}) AS {n}, min({n}) AS {n}_low, max({n}) AS {n}_high" for n in MEASURES)}
FROM by_seed GROUP BY ALL ORDER BY ALL"""
PICTURED = f"WITH {RUNS} SELECT scenario, label, seed, run FROM run_of ORDER BY scenario, label, seed"
GAINS = f"""SELECT {FIELDS} FROM verdicts WHERE kind = 'recipe' AND subject = 'masks' ORDER BY number"""
OTHERS = ("untrained gate", "random masks")


def in_order(results: Results, rows: list[Row]) -> list[Row]:
    """Return rows in the order of scenarios and of the recipe's entries."""
    order, grid = scenario_order(results), list(results.meta.get("grid") or [])
    return sorted(
        rows, key=lambda r: (place_in(order, r["scenario"]), place_in(grid, base_label(r["label"])))
    )


def exhibit_masks(results: Results, figure: Row, key: str) -> list[Exhibit | Table]:
    """Return the gallery of the first entry that has one, and the table of overlaps.

    Args:
        results: The sweep.
        figure: As declared: title.
        key: Key of the exhibit.
    """
    title, levels = figure.get("title") or TITLE, in_order(results, results.sql(LEVELS))
    runs = grouped(results.sql(PICTURED), "scenario", "label")
    for row in levels:
        for place in runs.get((row["scenario"], row["label"]), []):
            if gallery := results.gallery(place["run"]):
                query = IMAGES.format(where=f" AND run = '{place['run']}'")
                about = f"{row['label']} under {row['scenario']}, seed {place['seed']}, after the last round."
                images, panels = results.sql(query), panels_of_gallery(gallery, key)
                table, caption = (
                    numbers(images, ("image", "class_name", *MEASURES)),
                    f"{about} {meaning(gallery)}",
                )
                says = " ".join(sentences_masks(results, figure))
                pictures = Exhibit(key, title, caption, results.shown(query), panels, table, says=says)
                return [pictures, table_of_masks(results, levels, key)]
    return [Exhibit(key, title, missing="It takes a finished run of a configuration that has a gate.")]


def table_of_masks(results: Results, levels: list[Row], key: str) -> Table:
    """Return open positions and overlaps of every scenario and configuration, and the effect of training.

    Args:
        results: The sweep.
        levels: Rows of `LEVELS`.
        key: Key of the exhibit.
    """
    gains = {
        (row["scenario"], row["level"], row["b"].startswith(OTHERS[0])): row for row in results.sql(GAINS)
    }
    body: list[list[Any]] = []
    for row in levels:
        masks = [Cell(_level(row, name), "tight") for name in MEASURES]
        cells = [
            difference_cell(gains.get((row["scenario"], row["label"], untrained)))
            for untrained in (True, False)
        ]
        body.append([group_cell(body, row["scenario"]), Cell(row["label"], "tight"), *masks, *cells])
    columns = [
        "scenario",
        "configuration",
        "open positions, %",
        *(f"IoU, {name}, %" for name in OVERLAP_NAMES.values()),
        "trained minus untrained, points",
        "trained minus random, points",
    ]
    note = "" if gains else " The foreground of these images is not known."
    caption = (
        "Means over the validation images of a run and over seeds [lowest, highest seed]; differences are "
        f"paired by seed, with {results.confidence:.0%} intervals adjusted for all of them.{note}"
    )
    title = "Overlap of masks with the foreground"
    return Table(columns, body, caption, results.shown(LEVELS), key=f"{key}-table", title=title)


def _level(row: Row, name: str) -> str:
    """Return `62.0 [58.1, 65.0]`, or `62.0 (one seed)`."""
    if row[name] is None:
        return ""
    ends = f"[{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]"
    return f"{percent(row[name])} {ends if row['seeds'] > 1 else '(one seed)'}"


def sentences_masks(results: Results, _: Row) -> list[str]:
    """Return a sentence per scenario: the overlap of the masks against untrained and random masks."""
    rows, texts = results.sql(GAINS), []
    for scenario, group in grouped(rows, "scenario").items():
        said = [f"that of {label} {named(g, _other)}" for label, g in grouped(group, "level").items()]
        texts.append(
            f"Under {scenario}, by overlap with the foreground, the trained gate: {'; '.join(said)}."
        )
    return with_basis(texts, rows, results.confidence)


def _other(row: Row) -> str:
    return "the untrained gate" if row["b"].startswith(OTHERS[0]) else "random masks of equal area"
