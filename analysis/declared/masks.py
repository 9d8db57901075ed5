"""Masks of a recipe: pictures of its first gate, and the overlaps of every entry over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures.choices.verdicts import named
from ..figures.differences import difference_cell
from ..figures.exhibits import Draft
from ..figures.inside.masks import IMAGES, OVERLAP_TITLE, OVERLAPS, SHOWN, TITLE, meaning, panels_of_gallery
from ..figures.outcomes.curves import RUNS
from ..figures.rows import Column, grouped
from ..look.page import Table
from ..read.results import Results, Row
from .answers import Answer, headline, in_order, nothing, query_of_verdicts, range_cell

MEASURES = {"open": "open positions, %"} | {n: f"IoU, {name}, %" for n, (name, _) in OVERLAPS.items()}
# Means over the images of a run, then over seeds, with the lowest and the highest seed.
LEVELS = f"""WITH {RUNS}, once AS (
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
UNTRAINED = "untrained gate"


def show_masks(results: Results, figure: Row, key: str) -> Answer:
    """Return the gallery of the first entry that has one, and the table of overlaps."""
    draft, levels = Draft(results, key, figure.get("title") or TITLE), in_order(results, results.sql(LEVELS))
    runs = [(row, *place) for row in levels for place in zip(row["runs"], row["seed_list"], strict=True)]
    found = ((*place, gallery) for place in runs if (gallery := results.gallery(place[1])))
    row, run, seed, gallery = next(found, ({}, "", 0, None))
    if gallery is None:
        return nothing(draft, "a finished run of a configuration that has a gate")
    query = IMAGES.format(where=f" AND run = '{run}'")
    caption = f"{row['label']} under {row['scenario']}, seed {seed}, after the last round. {meaning(gallery)}"
    panels = panels_of_gallery(gallery, key)
    pictures = draft.exhibit(panels, results.sql(query), SHOWN, query, caption)
    gains, texts = results.sql(GAINS), []
    for scenario, group in grouped(gains, "scenario").items():
        said = [f"that of {label} {named(rows, _other)}" for label, rows in grouped(group, "level").items()]
        texts.append(
            f"Under {scenario}, by overlap with the foreground, the trained gate: {'; '.join(said)}."
        )
    told = [{**row, "a": f"the trained gate of {row['level']}", "b": _other(row)} for row in gains]
    first = headline(told, "in overlap with the foreground")
    return Answer([pictures, _table(draft, levels, gains)], texts, first, gains)


def _other(row: Row) -> str:
    return "the untrained gate" if row["b"].startswith(UNTRAINED) else "random masks of equal area"


def _table(draft: Draft, levels: Sequence[Row], gains: Sequence[Row]) -> Table:
    """Return open positions and overlaps of every scenario and configuration, and the effect of training."""
    found = {(row["scenario"], row["level"], row["b"].startswith(UNTRAINED)): row for row in gains}

    def measure(name: str) -> Column:
        return MEASURES[name], lambda row: range_cell(row, name, f"{name}_low", f"{name}_high")

    def gain(untrained: bool) -> Column:
        name = f"trained minus {'untrained' if untrained else 'random'}, points"
        return name, lambda row: difference_cell(found.get((row["scenario"], row["label"], untrained)))

    note = "" if gains else " The foreground of these images is not known."
    caption = (
        "Means over the validation images of a run and over seeds [lowest, highest seed]; differences are "
        f"paired by seed, with {draft.results.confidence:.0%} intervals adjusted for all of them.{note}"
    )
    columns = [*map(measure, MEASURES), gain(True), gain(False)]
    return draft.table(levels, columns, f"{LEVELS};\n{GAINS}", caption, OVERLAP_TITLE)
