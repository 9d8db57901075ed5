"""What SAFE's gate lets through: pictures of its masks beside the true foreground, and how well they overlap."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.page import Exhibit, Panel, numbers
from ...look.style import INK, WIDTH, blank, drawing, integer_axis, legend_below, percent_axis
from ...look.words import count, mean_span, percent, points
from ...read.queries import parts
from ...read.results import Gallery, Results, Row
from ...stats.intervals import Interval, paired, t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "What the gate lets through"
OVERLAPS = {"iou": "trained gate", "iou_untrained": "untrained gate", "iou_random": "random, equal area"}
TINTS = {"iou": "#0072B2", "iou_untrained": "#E69F00", "iou_random": "#777777"}
COLUMNS = ("image", "foreground", "soft", "hard", "hard_untrained")
HEADS = {
    "image": "input",
    "foreground": "foreground",
    "soft": "soft attention",
    "hard": "hard mask",
    "hard_untrained": "untrained",
}
SHARES = {"mask_ratio": "open positions", "mask_empty": "masks all zero", "mask_full": "masks all one"}
IN_PANEL, MOST_PANELS, MOST_PIXELS = 4, 2, 128
DIM = 0.22  # what is closed is left this bright
CELLS = {
    "image": "the input",
    "foreground": "its true foreground",
    "soft": "the soft attention (dark 0, bright 1)",
    "hard": "the positions that the hard mask leaves open, the closed ones dimmed",
    "hard_untrained": "the same for the gate as it was before training",
}
OVERLAPPING = (
    "Overlaps are intersection over union with the foreground, of the trained, the untrained and a random "
    "mask with as many open positions "
    "as the trained one."
)


def meaning(gallery: Gallery) -> str:
    """What the columns of the pictures are, and how overlaps are measured where they are."""
    shown = [CELLS[column] for column in COLUMNS if column in gallery.arrays]
    return (
        "From left to right: "
        f"{'; '.join(shown)}.{f' {OVERLAPPING}' if 'foreground' in gallery.arrays else ''}"
    )


def overlaps(results: Results, runs: Sequence[str] | None = None) -> list[Row]:
    """Rows of the masks table, an image each; of an image that was written twice, the last one counts."""
    rows = [
        r for r in results.table("masks", runs).to_pylist() if r.get("split", "validation") == "validation"
    ]
    return list({(r.get("run"), r["image"]): r for r in rows}.values())


def table_overlaps(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Of one run: the share of open positions and the overlaps, with intervals over images.

    Args:
        results: The run.
        rows: What `overlaps` gives.

    Returns:
        Rows with what (`open` or of `OVERLAPS`), interval, mean, low, high and images; overlaps only where
        the foreground is known.
    """
    found = []
    for what in ("open", *OVERLAPS):
        values = [r[what] for r in rows if r.get(what) is not None]
        if interval := t_interval(values, results.confidence):
            found.append(
                {
                    "what": what,
                    "interval": interval,
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "images": interval.n,
                }
            )
    return found


def gain(rows: Sequence[Row], other: str, confidence: float) -> Interval | None:
    """The overlap of the trained gate minus another mask's, paired by image.

    Args:
        rows: Rows of the masks table of one run.
        other: `iou_untrained` or `iou_random`.
        confidence: Coverage in (0, 1).
    """
    known = {r["image"]: r for r in rows if r.get("iou") is not None}
    return paired(
        {i: r["iou"] for i, r in known.items()}, {i: r[other] for i, r in known.items()}, confidence
    )


def query_of_run(names: Sequence[str]) -> str:
    """The numbers of `table_overlaps` as SQL."""
    columns = ", ".join(names)
    return f"""SELECT what, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds
FROM (SELECT DISTINCT image, {columns} FROM {parts("masks")} WHERE split = 'validation') UNPIVOT (value FOR what IN ({columns}))
GROUP BY what ORDER BY what"""


# --- pictures
# ----------------------------------------------------------------------------------------------------------------------


def reduced(image: np.ndarray) -> np.ndarray:
    """An image of at most `MOST_PIXELS` a side, by means over blocks. [S, S, 3] uint8, or [S, S] of a mask."""
    step = -(-image.shape[0] // MOST_PIXELS)
    size = image.shape[0] // step * step
    blocks = image[:size, :size].reshape(size // step, step, size // step, step, *image.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3)))


def enlarged(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask [h, w] at [size, size], each position filling its own square."""
    rows, columns = (np.arange(size) * length // size for length in mask.shape)
    return np.asarray(mask[np.ix_(rows, columns)])


def picture(arrays: dict[str, Any], k: int, column: str) -> np.ndarray:
    """One cell of the gallery, [s, s, 3] uint8: of a mask, the image with what is closed dimmed; of the attention, its brightness."""
    image = reduced(arrays["image"][k])
    if column == "image":
        return np.asarray(image.round().astype(np.uint8))
    if column == "soft":
        level = enlarged(arrays["soft"][k], len(image)).clip(0, 1)[..., None]
        return np.asarray((255 * level).round().astype(np.uint8).repeat(3, axis=2))
    inside = arrays[column][k] > 0
    inside = reduced(inside)[..., None] if column == "foreground" else enlarged(inside, len(image))[..., None]
    return np.asarray((image * (DIM + (1 - DIM) * inside)).round().astype(np.uint8))


@drawing
def draw_gallery(gallery: Gallery, shown: Sequence[int]) -> Figure:
    """Some images of a gallery, one under the other, named above, with their overlaps.

    Args:
        gallery: Of a run.
        shown: Which of its images.
    """
    from matplotlib.figure import Figure as NewFigure

    columns = [column for column in COLUMNS if column in gallery.arrays]
    cell, gap, line = (
        WIDTH / len(columns),
        0.05,
        0.17,
    )  # inches: a picture with the gap beside it, and a line of text
    height = line + len(shown) * (cell + line)
    figure = NewFigure(figsize=(WIDTH, height))
    for y, k in enumerate(shown):
        top = height - line - y * (cell + line)
        figure.text(0, (top - line + 0.04) / height, _of_image(gallery.images[k]), fontsize=7.5)
        for x, column in enumerate(columns):
            axes = figure.add_axes(
                (
                    x * cell / WIDTH,
                    (top - line - cell + gap) / height,
                    (cell - gap) / WIDTH,
                    (cell - gap) / height,
                )
            )
            axes.imshow(picture(gallery.arrays, k, column), interpolation="none", aspect="auto")
            axes.set(xticks=[], yticks=[])
            for edge in axes.spines.values():  # what is all white has to end somewhere
                edge.set(visible=True, linewidth=0.4, color="#999999")
    for x, column in enumerate(columns):
        figure.text(
            (x + 0.5) * cell / WIDTH,
            1 - 0.11 / height,
            HEADS[column],
            ha="center",
            fontsize=7.5,
            fontweight="bold",
        )
    return figure


def _of_image(row: Row) -> str:
    """`river: IoU 62.0, untrained 30.1, random 25.0`."""
    if row.get("iou") is None:
        return str(row["class_name"])
    return (
        f"{row['class_name']}: IoU {percent(row['iou'])}, untrained {percent(row['iou_untrained'])}, "
        f"random {percent(row['iou_random'])}"
    )


def panels_of_gallery(gallery: Gallery, key: str) -> list[Panel]:
    """At most so many images of a gallery, evenly spaced, in panels of four."""
    many = len(gallery.arrays["image"])
    shown = np.unique(
        np.linspace(0, many - 1, min(many, IN_PANEL * MOST_PANELS)).round().astype(int)
    ).tolist()
    cut = [shown[start : start + IN_PANEL] for start in range(0, len(shown), IN_PANEL)]
    names = ["Validation images", *["More of them"] * len(cut)]
    return [
        Panel(f"{key}-{i}", name, draw_gallery(gallery, own))
        for i, (name, own) in enumerate(zip(names, cut, strict=False), 1)
    ]


@drawing
def draw_overlaps(rows: Sequence[Row], images: Sequence[Row]) -> Figure:
    """A row for each kind of mask: its mean overlap with the interval, single images as dots.

    Args:
        rows: Rows of `table_overlaps`.
        images: Rows of the masks table.
    """
    there = [r for r in rows if r["what"] in OVERLAPS]
    figure, axes = blank(0.75 + 0.32 * len(there))
    for y, row in enumerate(there):
        tint, values = (
            TINTS[row["what"]],
            np.array([r[row["what"]] for r in images if r.get(row["what"]) is not None]),
        )
        wobble = 0.14 * np.sin(
            np.arange(len(values)) * 2.399963
        )  # the golden angle spreads dots without chance
        axes.plot(values, y + 0.14 + wobble, "o", color=tint, markersize=1.8, alpha=0.35, markeredgewidth=0)
        if row["low"] is not None:
            axes.plot(
                [row["low"], row["high"]], [y - 0.26] * 2, color=tint, linewidth=2.2, solid_capstyle="butt"
            )
        axes.plot(
            [row["mean"]],
            [y - 0.26],
            "D",
            color=tint,
            markersize=4.6,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
        axes.annotate(
            percent(row["mean"]),
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(24, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=7,
            color=INK,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(there)), [OVERLAPS[r["what"]] for r in there])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(0, 1), ylim=(len(there) - 0.5, -0.55), xlabel="overlap with the foreground (IoU), %")
    percent_axis(axes.xaxis)
    return figure


@drawing
def draw_open(rounds: Sequence[Row]) -> Figure:
    """Round by round in training: the share of open positions, and of images whose mask is all zero or all one."""
    figure, axes = blank(2.2)
    for (key, name), tint in zip(SHARES.items(), (INK, "#D55E00", "#0072B2"), strict=True):
        own = [r for r in rounds if r.get(key) is not None]
        axes.plot(
            [r["round"] for r in own],
            [r[key] for r in own],
            color=tint,
            linewidth=1.8 if key == "mask_ratio" else 1.2,
            label=name,
            linestyle="-" if key == "mask_ratio" else (0, (3, 1.5)),
        )
    axes.grid(axis="y")
    axes.set(ylim=(-0.03, 1.03), xlabel="round", ylabel="share in training, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


# --- exhibits
# ----------------------------------------------------------------------------------------------------------------------


def exhibits_masks(results: Results, rounds: Sequence[Row]) -> list[Exhibit]:
    """Of a run: the share of open positions over rounds, the gallery, the overlaps; none where the method has no gate."""
    gated = [r for r in rounds if r.get("mask_ratio") is not None]
    if not gated:
        return []
    columns = ("round", *(name for name in SHARES if any(r.get(name) is not None for r in gated)))
    query = f"""SELECT DISTINCT {", ".join(columns)} FROM {parts("rounds")}
WHERE split = 'validation' AND mask_ratio IS NOT NULL ORDER BY round"""
    caption = (
        "The share of positions that the hard mask leaves open, mean over the images of a round, and the "
        "share of images whose mask is all "
        "zero (nothing of the image is seen) or all one (the gate does nothing): where either nears 100%, "
        "the gate has collapsed."
    )
    over = Exhibit(
        "gate",
        "The gate over rounds",
        caption,
        query,
        [Panel("gate", "", draw_open(gated))],
        numbers(gated, columns),
    )
    rows, gallery = overlaps(results), results.gallery()
    found = table_overlaps(results, rows)
    if not found or gallery is None:
        return [over, Exhibit("masks", TITLE, missing="Masks are drawn when the run has ended.")]
    names = [r["what"] for r in found]
    columns = ("image", "class_name", *names)
    query = f"""SELECT DISTINCT {", ".join(columns)} FROM {parts("masks")} WHERE split = 'validation' ORDER BY image"""
    pictures = Exhibit(
        "masks", TITLE, meaning(gallery), query, panels_of_gallery(gallery, "masks"), numbers(rows, columns)
    )
    told = numbers(found, ("what", "mean", "low", "high", "images"))
    if "iou" not in names:
        return [
            over,
            dataclasses.replace(pictures, caption=f"{pictures.caption} {said(results, rows, found)}"),
        ]
    caption = (
        f"A dot per image, the mean as a diamond with its interval as a bar. {said(results, rows, found)}"
    )
    panel = Panel("overlap", "", draw_overlaps(found, rows))
    return [
        over,
        pictures,
        Exhibit(
            "overlap", "Overlap of masks with the foreground", caption, query_of_run(names), [panel], told
        ),
    ]


def said(results: Results, rows: Sequence[Row], found: Sequence[Row]) -> str:
    """The means over images in words, and what training added."""
    share = next(r for r in found if r["what"] == "open")
    text = (
        f"Over {count(share['images'], 'image')} the mask leaves {mean_span(share['interval'])}% of the "
        "positions open"
    )
    level = next((r for r in found if r["what"] == "iou"), None)
    rivals = {"iou_untrained": "the untrained gate", "iou_random": "a random mask"}
    pairs = {name: gain(rows, key, results.confidence) for key, name in rivals.items()}
    if level is None or not all(pairs.values()):
        return f"{text}; the foreground of these images is not known. {_basis(results)}"
    gains = [f"{_gap(pair)} against {name}" for name, pair in pairs.items() if pair]
    return (
        f"{text} and overlaps the foreground by {mean_span(level['interval'])}%: {', '.join(gains)} "
        f"(points). {_basis(results)}"
    )


def _basis(results: Results) -> str:
    return (
        f"In brackets: {results.confidence:.0%} intervals over images, of this one model; they say "
        "nothing about other seeds."
    )


def _gap(interval: Interval) -> str:
    return mean_span(interval, points)
