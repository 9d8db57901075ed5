"""Masks of SAFE's gate: the share of open positions, and the overlap with the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.marks import draw_spread, name_rows, scatter_offsets, write_beside
from ...look.page import Exhibit, Panel, numbers
from ...look.style import INK, blank, drawing, integer_axis, legend_below, percent_axis
from ...look.words import count, mean_span, percent, points
from ...read.queries import parts
from ...read.results import Results, Row
from ...stats.intervals import Interval, paired, t_interval
from ..rows import interval_columns
from .gallery import meaning, panels_of_gallery

if TYPE_CHECKING:
    from matplotlib.figure import Figure


TITLE = "Masks of the gate"


OVERLAP_NAMES = {"iou": "trained gate", "iou_untrained": "untrained gate", "iou_random": "random, equal area"}


OVERLAP_COLOURS = {"iou": "#0072B2", "iou_untrained": "#E69F00", "iou_random": "#777777"}


SHARE_NAMES = {"mask_ratio": "open positions", "mask_empty": "masks all zero", "mask_full": "masks all one"}


def overlaps(results: Results, runs: Sequence[str] | None = None) -> list[Row]:
    """Return the rows of the masks table, one per image; of an image that was written twice, the last row."""
    rows = [
        r for r in results.table("masks", runs).to_pylist() if r.get("split", "validation") == "validation"
    ]
    return list({(r.get("run"), r["image"]): r for r in rows}.values())


def table_overlaps(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return the share of open positions and the overlaps of one run, with intervals over images.

    Args:
        results: The run.
        rows: Rows of `overlaps`.

    Returns:
        Rows with measure (`open` or one of `OVERLAP_NAMES`), interval, mean, low, high and images; overlaps
        only where the foreground is known.
    """
    table = []
    for column in ("open", *OVERLAP_NAMES):
        values = [row[column] for row in rows if row.get(column) is not None]
        if interval := t_interval(values, results.confidence):
            table.append({"measure": column, **interval_columns(interval), "images": interval.n})
    return table


def gain(rows: Sequence[Row], other: str, confidence: float) -> Interval | None:
    """Return the overlap of the trained gate minus another mask's, paired by image.

    Args:
        rows: Rows of the masks table of one run.
        other: `iou_untrained` or `iou_random`.
        confidence: Coverage in (0, 1).
    """
    rows_by_image = {r["image"]: r for r in rows if r.get("iou") is not None}
    return paired(
        {i: r["iou"] for i, r in rows_by_image.items()},
        {i: r[other] for i, r in rows_by_image.items()},
        confidence,
    )


def query_of_run(columns: Sequence[str]) -> str:
    """Return the SQL that gives the numbers of `table_overlaps`."""
    names = ", ".join(columns)
    return f"""SELECT measure, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds
FROM (SELECT DISTINCT image, {names} FROM {parts("masks")} WHERE split = 'validation')
UNPIVOT (value FOR measure IN ({names}))
GROUP BY measure ORDER BY measure"""


@drawing
def draw_overlaps(rows: Sequence[Row], images: Sequence[Row]) -> Figure:
    """Draw a row for each kind of mask: its mean overlap with the interval, single images as dots.

    Args:
        rows: Rows of `table_overlaps`.
        images: Rows of the masks table.
    """
    rows = [row for row in rows if row["measure"] in OVERLAP_NAMES]
    figure, axes = blank(0.75 + 0.32 * len(rows))
    for y, row in enumerate(rows):
        column = row["measure"]
        colour = OVERLAP_COLOURS[column]
        values = np.array([image[column] for image in images if image.get(column) is not None])
        heights = y + 0.14 + scatter_offsets(len(values), 0.14)
        axes.plot(values, heights, "o", color=colour, markersize=1.8, alpha=0.35, markeredgewidth=0)
        draw_spread(axes, y - 0.26, [row["low"], row["high"]], row["mean"], colour)
        write_beside(axes, y, percent(row["mean"]))
    name_rows(axes, [OVERLAP_NAMES[row["measure"]] for row in rows])
    axes.grid(axis="x")
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.55), xlabel="overlap with the foreground (IoU), %")
    percent_axis(axes.xaxis)
    return figure


@drawing
def draw_open(rounds: Sequence[Row]) -> Figure:
    """Draw round by round the share of open positions, and of images whose mask is all zero or all one.

    Args:
        rounds: Rows of the rounds table.
    """
    figure, axes = blank(2.2)
    for (column, name), colour in zip(SHARE_NAMES.items(), (INK, "#D55E00", "#0072B2"), strict=True):
        points = {row["round"]: row[column] for row in rounds if row.get(column) is not None}
        main = column == "mask_ratio"
        style: dict[str, Any] = {
            "linewidth": 1.8 if main else 1.2,
            "linestyle": "-" if main else (0, (3, 1.5)),
        }
        axes.plot(list(points), list(points.values()), color=colour, label=name, **style)
    axes.grid(axis="y")
    axes.set(ylim=(-0.03, 1.03), xlabel="round", ylabel="share in training, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibits_masks(results: Results, rounds: Sequence[Row]) -> list[Exhibit]:
    """Return the gate over rounds, the gallery and the overlaps of a run; empty where the method has no gate.

    Args:
        results: The run.
        rounds: Rows of the rounds table, on validation.
    """
    gate_rounds = [row for row in rounds if row.get("mask_ratio") is not None]
    if not gate_rounds:
        return []
    gate, rows, gallery = _exhibit_gate(gate_rounds), overlaps(results), results.gallery()
    table = table_overlaps(results, rows)
    if not table or gallery is None:
        return [gate, Exhibit("masks", TITLE, missing="Masks are drawn when the run has ended.")]
    measured = [row["measure"] for row in table]
    columns, sentence = ("image", "class_name", *measured), overlap_sentence(results, rows, table)
    query = f"""SELECT DISTINCT {", ".join(columns)} FROM {parts("masks")}
WHERE split = 'validation' ORDER BY image"""
    caption = meaning(gallery) if "iou" in measured else f"{meaning(gallery)} {sentence}"
    panels = panels_of_gallery(gallery, "masks")
    pictures = Exhibit("masks", TITLE, caption, query, panels, numbers(rows, columns))
    if "iou" not in measured:
        return [gate, pictures]
    title = "Overlap of masks with the foreground"
    caption = f"Dots: single images; diamond: their mean; bar: its interval. {sentence}"
    panel = Panel("overlap", "", draw_overlaps(table, rows))
    table_numbers = numbers(table, ("measure", "mean", "low", "high", "images"))
    overlap = Exhibit("overlap", title, caption, query_of_run(measured), [panel], table_numbers)
    return [gate, pictures, overlap]


def _exhibit_gate(rounds: Sequence[Row]) -> Exhibit:
    """Return the figure of the shares that the gate leaves open, over rounds."""
    columns = ("round", *(name for name in SHARE_NAMES if any(row.get(name) is not None for row in rounds)))
    query = f"""SELECT DISTINCT {", ".join(columns)} FROM {parts("rounds")}
WHERE split = 'validation' AND mask_ratio IS NOT NULL ORDER BY round"""
    caption = (
        "Share of positions that the hard mask leaves open, mean over the images of a round, and share of "
        "images whose mask is all zero (nothing of the image is used) or all one (the gate has no "
        "effect). Where either share is near 100%, the gate has collapsed."
    )
    panel, table = Panel("gate", "", draw_open(rounds)), numbers(rounds, columns)
    return Exhibit("gate", "The gate over rounds", caption, query, [panel], table)


def overlap_sentence(results: Results, rows: Sequence[Row], table: Sequence[Row]) -> str:
    """Return the means over images in words, and what training added.

    Args:
        results: The run.
        rows: Rows of `overlaps`.
        table: Rows of `table_overlaps`.
    """
    row_of = {row["measure"]: row for row in table}
    images, share = count(row_of["open"]["images"], "image"), mean_span(row_of["open"]["interval"])
    text = f"Over {images} the mask leaves {share}% of the positions open"
    basis = (
        f"In brackets: {results.confidence:.0%} intervals over images, of this one model; they say nothing "
        "about other seeds."
    )
    rivals = {"iou_untrained": "the untrained gate", "iou_random": "a random mask"}
    gains = {name: gain(rows, column, results.confidence) for column, name in rivals.items()}
    if "iou" not in row_of or not all(gains.values()):
        return f"{text}; the foreground of these images is not known. {basis}"
    clauses = [
        f"{mean_span(interval, points)} against {name}" for name, interval in gains.items() if interval
    ]
    overlap = f"overlaps the foreground by {mean_span(row_of['iou']['interval'])}%"
    return f"{text} and {overlap}: {', '.join(clauses)} (points). {basis}"
