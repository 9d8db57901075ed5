"""Masks of SAFE's gate: open positions over rounds, pictures beside the foreground, overlap with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ...look.page import Exhibit, Panel
from ...look.style import INK, SMALL, UNTUNED, WIDTH, Figure, Look, drawing
from ...look.words import bracket, count, percent, points
from ...read.results import Gallery, Results, Row
from ...stats.intervals import Interval, paired, t_interval
from ..estimates import draw_accuracies, said
from ..exhibits import Draft, evenly_spaced
from ..lines import Axis, draw_lines
from ..outcomes.curves import ends_of, lines_of_columns

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
COLUMNS = {  # array -> its heading, and what it is
    "image": ("input", "the input"),
    "foreground": ("foreground", "its true foreground"),
    "soft": ("soft attention", "the soft attention (dark 0, bright 1)"),
    "hard": ("hard mask", "the positions that the hard mask leaves open, with the closed positions dimmed"),
    "hard_untrained": ("untrained", "the same for the gate before training"),
}
PANEL_IMAGES, MOST_PANELS, MOST_PIXELS = 4, 2, 128
CLOSED_BRIGHTNESS = 0.22  # of a closed position, as a share of the image's
OVERLAP_MEANING = (
    "Overlaps are intersection over union with the foreground: of the trained mask, of the untrained "
    "mask, and of a random mask with as many open positions as the trained mask."
)


def any_gate(results: Results) -> bool:
    """Whether a run has a gate."""
    return bool(results.sql(f"FROM ({GATE}) LIMIT 1"))


def exhibits_masks(results: Results) -> list[Exhibit]:
    """Return the gate over rounds, the gallery and the overlaps of a run; [] where the method has no gate."""
    gate = results.sql(GATE)
    if not gate:
        return []
    query, gallery = IMAGES.format(where=""), results.gallery()
    images, draft = results.sql(query), Draft(results, "masks", TITLE)
    shown = [_exhibit_gate(results, gate)]
    if not images or gallery is None:
        return [*shown, draft.missing("Masks are drawn when the run has ended.")]
    panels, says = panels_of_gallery(gallery, draft.key), overlap_sentence(results, images)
    shown.append(draft.exhibit(panels, images, SHOWN, query, meaning(gallery), says))
    if rows := table_overlaps(results, images):
        caption = (
            "Mean over images (mark), single images (dots), and the interval over images of this one model, "
            "which says nothing about other seeds."
        )
        figure = draw_accuracies(rows, (0.0, 1.0), "overlap with the foreground (IoU), %")
        panels, draft = [Panel("overlap", "", figure, said(rows))], Draft(results, "overlap", OVERLAP_TITLE)
        shown.append(draft.exhibit(panels, images, SHOWN, query, caption, says))
    return shown


def table_overlaps(results: Results, images: list[Row]) -> list[Row]:
    """Return the overlaps of each kind of mask over images; [] where no foreground is known."""
    rows = []
    for column, (name, look) in OVERLAPS.items():
        values = [row[column] for row in images if row[column] is not None]
        if interval := t_interval(values, results.confidence):
            about = {"scenario": "validation images", "label": name, "look": look, "values": values}
            rows.append({**about, **asdict(interval)})
    return rows


def _exhibit_gate(results: Results, rows: list[Row]) -> Exhibit:
    lines = lines_of_columns(rows, SHARES)
    caption = (
        "Share of positions that the hard mask leaves open, mean over the images of a round, and share of "
        "images whose mask is all zero (nothing of the image is used) or all one (the gate has no effect). "
        "Where either share is near 100%, the gate has collapsed."
    )
    figure = draw_lines(lines, Axis("round", "share in training, %", (-0.03, 1.03)), height=2.4)
    draft = Draft(results, "gate", "The gate over rounds")
    return draft.drawn(figure, rows, ("round", *SHARES), GATE, caption, ends_of(lines))


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


def meaning(gallery: Gallery) -> str:
    """Return what the columns of the pictures are, and how overlaps are measured."""
    meanings = [meaning for column, (_, meaning) in COLUMNS.items() if column in gallery.arrays]
    overlap = f" {OVERLAP_MEANING}" if "foreground" in gallery.arrays else ""
    return f"From left to right: {'; '.join(meanings)}.{overlap}"


def reduced(image: np.ndarray) -> np.ndarray:
    """Return an image of at most `MOST_PIXELS` a side by block means: [S, S, 3] uint8, or a mask [S, S]."""
    step = -(-image.shape[0] // MOST_PIXELS)
    size = image.shape[0] // step * step
    blocks = image[:size, :size].reshape(size // step, step, size // step, step, *image.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3)))


def enlarged(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a mask [h, w] at [size, size], each position as a square."""
    rows, columns = (np.arange(size) * length // size for length in mask.shape)
    return np.asarray(mask[np.ix_(rows, columns)])


def picture(arrays: dict[str, Any], number: int, column: str) -> np.ndarray:
    """Return a cell of the gallery, [s, s, 3] uint8: closed positions are dimmed, attention is brightness."""
    image = reduced(arrays["image"][number])
    shown = image
    if column == "soft":
        level = enlarged(arrays["soft"][number], len(image)).clip(0, 1)[..., None]
        shown = (255 * level).repeat(3, axis=2)
    elif column != "image":
        opened = arrays[column][number] > 0
        opened = reduced(opened) if column == "foreground" else enlarged(opened, len(image))
        shown = image * (CLOSED_BRIGHTNESS + (1 - CLOSED_BRIGHTNESS) * opened[..., None])
    return np.asarray(shown.round().astype(np.uint8))


@drawing
def draw_gallery(gallery: Gallery, shown: Sequence[int]) -> Figure:
    """Draw images of a gallery by their numbers, one below the other, with class and overlaps above."""
    from matplotlib.figure import Figure as NewFigure

    columns = [column for column in COLUMNS if column in gallery.arrays]
    cell, gap, line = WIDTH / len(columns), 0.05, 0.18  # inches: picture with its gap, gap, line of text
    head = 2 * line - 0.04  # names of two words have two lines: side by side they would overlap
    height = head + len(shown) * (cell + line)
    figure = NewFigure(figsize=(WIDTH, height))
    for y, number in enumerate(shown):
        top = height - head - y * (cell + line)
        figure.text(0, (top - line + 0.04) / height, _image_title(gallery.images[number]), fontsize=SMALL)
        size = ((cell - gap) / WIDTH, (cell - gap) / height)
        for x, column in enumerate(columns):
            axes = figure.add_axes((x * cell / WIDTH, (top - line - cell + gap) / height, *size))
            axes.imshow(picture(gallery.arrays, number, column), interpolation="none", aspect="auto")
            axes.set(xticks=[], yticks=[])
            # a white picture needs a visible border
            axes.spines[:].set(visible=True, linewidth=0.4, color="#999999")
    for x, column in enumerate(columns):
        middle, name = (x * cell + (cell - gap) / 2) / WIDTH, COLUMNS[column][0].replace(" ", "\n")
        figure.text(middle, 1 - (head - 0.04) / height, name, ha="center", va="bottom", fontsize=SMALL)
    return figure


def _image_title(row: Row) -> str:
    """Return `river: IoU 62.0, untrained 30.1, random 25.0`."""
    if row.get("iou") is None:
        return str(row["class_name"])
    return (
        f"{row['class_name']}: IoU {percent(row['iou'])}, untrained {percent(row['iou_untrained'])}, "
        f"random {percent(row['iou_random'])}"
    )


def panels_of_gallery(gallery: Gallery, key: str) -> list[Panel]:
    """Return some evenly spaced images of a gallery, in panels of four."""
    shown = evenly_spaced(len(gallery.arrays["image"]), PANEL_IMAGES * MOST_PANELS)
    panels = []
    for i, start in enumerate(range(0, len(shown), PANEL_IMAGES)):
        chosen = shown[start : start + PANEL_IMAGES]
        said = "; ".join(_image_title(gallery.images[n]) for n in chosen)
        name = "More of them" if i else "Validation images"
        drawn = draw_gallery(gallery, chosen)
        panels.append(Panel(f"{key}-{i + 1}", name, drawn, f"{name}: {said}", pictures=True))
    return panels
