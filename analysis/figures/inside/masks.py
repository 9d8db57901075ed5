"""Masks of SAFE's gate: the share of open positions, and the overlap with the foreground."""

from __future__ import annotations

from ...look.page import Exhibit
from ...look.style import INK, UNTUNED, Look
from ...look.words import bracket, count, percent, points
from ...read.results import Results, Row
from ...stats.intervals import Interval, paired, t_interval
from ..estimates import draw_accuracies, panel, said
from ..exhibits import exhibit_of_rows
from ..lines import Axis, draw_lines
from ..outcomes.run_curves import ends_of, lines_of_columns
from .gallery import meaning, panels_of_gallery

TITLE, OVERLAP_TITLE = "Masks of the gate", "Overlap of masks with the foreground"
OVERLAPS = {  # column -> name, look
    "iou": ("trained gate", Look("#0072B2", "o")),
    "iou_untrained": ("untrained gate", Look("#B87A00", "s")),
    "iou_random": ("random, equal area", Look("#777777", "D")),
}
SHARES = {  # column -> name, look
    "mask_ratio": ("open positions", Look(INK, "o")),
    "mask_empty": ("masks all zero", Look("#D55E00", "s", UNTUNED)),
    "mask_full": ("masks all one", Look("#0072B2", "D", UNTUNED)),
}
GATE = f"""SELECT round, {", ".join(SHARES)} FROM rounds
WHERE split = 'validation' AND mask_ratio IS NOT NULL ORDER BY round"""
SHOWN = ("image", "class_name", "open", *OVERLAPS)
# One row per image; of an image that was written twice, one.
IMAGES = f"""SELECT image, class_name, open, {", ".join(OVERLAPS)} FROM masks
WHERE coalesce(split, 'validation') = 'validation'{{where}}
QUALIFY row_number() OVER (PARTITION BY run, image) = 1 ORDER BY image"""


def any_gate(results: Results) -> bool:
    """Whether a run has a gate."""
    return bool(results.sql(f"FROM ({GATE}) LIMIT 1"))


def exhibits_masks(results: Results) -> list[Exhibit]:
    """Return the gate over rounds, the gallery and the overlaps of a run; [] where the method has no gate."""
    gate = results.sql(GATE)
    if not gate:
        return []
    query, gallery = IMAGES.format(where=""), results.gallery()
    images, shown = results.sql(query), [_exhibit_gate(results, gate)]
    if not images or gallery is None:
        return [*shown, Exhibit("masks", TITLE, missing="Masks are drawn when the run has ended.")]
    drawings = {"masks": (TITLE, panels_of_gallery(gallery, "masks"), meaning(gallery))}
    if rows := table_overlaps(results, images):
        caption = (
            "Mean over images (mark), single images (dots), and the interval over images of this one model, "
            "which says nothing about other seeds."
        )
        figure = draw_accuracies(rows, (0.0, 1.0), "overlap with the foreground (IoU), %")
        drawings["overlap"] = (OVERLAP_TITLE, [panel("overlap", "", figure, said(rows))], caption)
    says = overlap_sentence(results, images)
    return shown + [
        exhibit_of_rows(results, key, title, panels, images, SHOWN, query=query, caption=caption, says=says)
        for key, (title, panels, caption) in drawings.items()
    ]


def table_overlaps(results: Results, images: list[Row]) -> list[Row]:
    """Return the overlaps of each kind of mask over images; [] where no foreground is known."""
    rows = []
    for column, (name, look) in OVERLAPS.items():
        values = [row[column] for row in images if row[column] is not None]
        interval = t_interval(values, results.confidence)
        if interval:
            ends = {"mean": interval.mean, "low": interval.low, "high": interval.high, "values": values}
            place = {"scenario": "validation images", "label": name, "kind": "mask", "look": look}
            rows.append({**place, **ends, "images": interval.n})
    return rows


def _exhibit_gate(results: Results, rows: list[Row]) -> Exhibit:
    """Return the figure of the shares that the gate leaves open, over rounds."""
    lines = lines_of_columns(rows, SHARES)
    caption = (
        "Share of positions that the hard mask leaves open, mean over the images of a round, and share of "
        "images whose mask is all zero (nothing of the image is used) or all one (the gate has no effect). "
        "Where either share is near 100%, the gate has collapsed."
    )
    figure = draw_lines(lines, Axis("round", "share in training, %", (-0.03, 1.03)), height=2.4)
    says = ends_of(lines)
    panels, columns, title = [panel("gate", "", figure, says)], ("round", *SHARES), "The gate over rounds"
    return exhibit_of_rows(
        results, "gate", title, panels, rows, columns, query=GATE, caption=caption, says=says
    )


def overlap_sentence(results: Results, images: list[Row]) -> str:
    """Return the means over images in words, and what training added."""
    opened = t_interval([row["open"] for row in images], results.confidence)
    if opened is None:
        return ""
    basis = f"In brackets: {results.confidence:.0%} intervals over images, of this one model."
    text = f"Over {count(opened.n, 'image')} the mask leaves {_mean(opened)}% of the positions open"
    by_image = {
        column: {r["image"]: r[column] for r in images if r[column] is not None} for column in OVERLAPS
    }
    overlap = t_interval(list(by_image["iou"].values()), results.confidence)
    if overlap is None:
        return f"{text}; the foreground of these images is not known. {basis}"
    clauses = []
    for column, name in {"iou_untrained": "the untrained gate", "iou_random": "a random mask"}.items():
        gain = paired(by_image["iou"], by_image[column], results.confidence)
        if gain:
            clauses.append(f"{points(gain.mean)} {bracket(gain.low, gain.high)} points against {name}")
    return f"{text} and overlaps the foreground by {_mean(overlap)}%: {', '.join(clauses)}. {basis}"


def _mean(interval: Interval) -> str:
    return f"{percent(interval.mean)} {bracket(interval.low, interval.high, percent)}".strip()
