"""Pictures of the gate's masks beside the images and their foreground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...look.page import Panel
from ...look.style import SMALL, WIDTH, Figure, drawing
from ...look.words import percent
from ...read.results import Gallery, Row
from ..estimates import panel

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
    """Return one cell of the gallery, [s, s, 3] uint8.

    A mask is the image with the closed positions dimmed; the soft attention is a brightness.
    """
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
    height = line + len(shown) * (cell + line)
    figure = NewFigure(figsize=(WIDTH, height))
    for y, number in enumerate(shown):
        top = height - line - y * (cell + line)
        figure.text(0, (top - line + 0.04) / height, _image_title(gallery.images[number]), fontsize=SMALL)
        size = ((cell - gap) / WIDTH, (cell - gap) / height)
        for x, column in enumerate(columns):
            axes = figure.add_axes((x * cell / WIDTH, (top - line - cell + gap) / height, *size))
            axes.imshow(picture(gallery.arrays, number, column), interpolation="none", aspect="auto")
            axes.set(xticks=[], yticks=[])
            for edge in axes.spines.values():  # a white picture needs a visible border
                edge.set(visible=True, linewidth=0.4, color="#999999")
    heading: dict[str, Any] = {"ha": "center", "fontsize": SMALL, "fontweight": "bold"}
    for x, column in enumerate(columns):
        figure.text((x + 0.5) * cell / WIDTH, 1 - 0.11 / height, COLUMNS[column][0], **heading)
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
    number = len(gallery.arrays["image"])
    evenly = np.linspace(0, number - 1, min(number, PANEL_IMAGES * MOST_PANELS))
    shown = np.unique(evenly.round().astype(int)).tolist()
    panels = []
    for i, start in enumerate(range(0, len(shown), PANEL_IMAGES)):
        chosen = shown[start : start + PANEL_IMAGES]
        said = "; ".join(_image_title(gallery.images[n]) for n in chosen)
        name = "More of them" if i else "Validation images"
        panels.append(panel(f"{key}-{i + 1}", name, draw_gallery(gallery, chosen), said))
    return panels
