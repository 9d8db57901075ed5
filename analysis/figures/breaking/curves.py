"""Breaking-point curves: accuracy against severity, beside the references and the rules without training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...look.marks import draw_line
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import (
    FAINT,
    GREY,
    INK,
    KNOWN,
    MARKERS,
    PALETTE,
    SMALL,
    UNTUNED,
    WIDTH,
    Axes,
    Figure,
    Look,
    blank,
    drawing,
    legend_below,
    percent_axis,
)
from ...look.words import listing
from ...read import stressed
from ...read.metric import Metric
from ...read.results import Results, Row
from ...read.stressed import ACCURACIES, LOCAL, REFERENCE_NAMES, Outcome

VARIANT_PLACES = (4, 5, 3, 6)  # in the palette
COLUMNS = ("space", "level", "x", "label", "mean", "low", "high", "seeds", "remark")


def looks(outcomes: Sequence[Outcome]) -> dict[str, Look]:
    """Return the look of each entry: methods as in all reports, variants in free colours."""
    label_looks, variants = {"zeroshot": Look(GREY, "s", UNTUNED, True)}, 0
    for i, (label, role) in enumerate(dict.fromkeys((o.label, o.role) for o in outcomes)):
        if role == "floor":
            label_looks[label] = Look(FAINT if label != "zero-shot" else GREY, "_", "-", True)
        elif label in KNOWN:
            place, local = KNOWN[label], label in LOCAL
            label_looks[label] = Look(PALETTE[place], MARKERS[place], UNTUNED if local else "-", local)
        elif label != "zeroshot":
            place = VARIANT_PLACES[variants % len(VARIANT_PLACES)]
            label_looks[label] = Look(PALETTE[place], MARKERS[(place + i) % len(MARKERS)])
            variants += 1
    return label_looks


@drawing
def draw_breaking(outcomes: Sequence[Outcome], case: Row, metric: Metric) -> Figure:
    """Draw one case and space: a line per entry, from the mildest level (left) to the severest.

    Args:
        outcomes: The outcomes of the case in the space.
        case: As declared: levels, axis, unit and log.
        metric: The metric of the run.
    """
    figure, axes = blank(3.1, WIDTH)
    label_looks, levels, log = looks(outcomes), case["levels"], bool(case.get("log"))
    labels = list(dict.fromkeys(outcome.label for outcome in outcomes))
    for i, label in enumerate(labels):
        shift = 4.0 * (i - (len(labels) - 1) / 2)  # points, so that intervals stand side by side
        line = [outcome for outcome in outcomes if outcome.label == label]
        _draw_entry(axes, line, label_looks[label], REFERENCE_NAMES.get(label, label), shift)
    if log:
        axes.set_xscale("log")
        axes.minorticks_off()
    xs = [level["x"] for level in levels]
    with_result = {outcome.level for outcome in outcomes if outcome.accuracy}
    names = [level["label"] + ("" if level["label"] in with_result else "\nno result") for level in levels]
    axes.set_xticks(xs, names)
    axes.set_xlim(*_frame(xs[0], xs[-1], log))  # lines that are moved by points do not set it
    axes.grid(axis="y")
    x_label, y_label = f"{case['axis']}   (more stress \u2192)", f"validation {metric}, %"
    axes.set(ylim=(-0.03, 1.03), xlabel=x_label, ylabel=y_label)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def _frame(mildest: float, severest: float, log: bool) -> tuple[float, float]:
    """Return the limits of the axis with room at both ends, from the mildest to the severest level."""
    if log:
        low, high = _frame(math.log(mildest), math.log(severest), False)
        return math.exp(low), math.exp(high)
    room = 0.1 * (severest - mildest) or 1.0
    return mildest - room, severest + room


def _draw_entry(axes: Axes, outcomes: Sequence[Outcome], look: Look, name: str, shift: float) -> None:
    """Draw one entry, moved aside by `shift` points; a cross at the bottom where it diverged."""
    from matplotlib.transforms import ScaledTranslation

    scale = axes.get_figure(root=True).dpi_scale_trans  # type: ignore[union-attr]
    moved = axes.transData + ScaledTranslation(shift / 72, 0, scale)
    measured = {outcome.x: outcome.accuracy for outcome in outcomes if outcome.accuracy}
    draw_line(
        axes, list(measured), list(measured.values()), look, name if measured else "", linewidth=1.2,
        transform=moved,
    )  # fmt: skip
    for outcome in (outcome for outcome in outcomes if outcome.diverged):
        cross: dict[str, Any] = {"markersize": 7, "transform": moved, "clip_on": False}
        axes.plot([outcome.x], [0.0], "X", color=look.colour, **cross)
        place: dict[str, Any] = {"xytext": (shift, 6), "textcoords": "offset points", "rotation": 90}
        style: dict[str, Any] = {"fontsize": SMALL, "color": INK, "ha": "center", "va": "bottom"}
        axes.annotate("diverged", (outcome.x, 0.0), **place, **style)


def exhibit(results: Results, case: Row, outcomes: Sequence[Outcome]) -> Exhibit:
    """Return the figure of a case, a panel for each space.

    Args:
        results: The stress run.
        case: As declared.
        outcomes: All outcomes of the run.
    """
    key, title = f"case-{slug(case['name'])}", str(case["title"])
    if case.get("skipped"):
        return Exhibit(key, title, missing=f"Skipped: {case['skipped']}.")
    outcomes = [outcome for outcome in outcomes if outcome.case == case["name"]]
    with_result = {outcome.space for outcome in outcomes if outcome.accuracy or outcome.diverged}
    spaces = [space for space in stressed.spaces_of(case) if space in with_result]
    if not spaces:
        reasons = listing(list(dict.fromkeys(o.remark for o in outcomes if o.role == "entry"))[:2])
        return Exhibit(key, title, missing=f"No trial of it has a result. {reasons}.".replace(". .", "."))
    panels = []
    for space in spaces:
        figure = draw_breaking([o for o in outcomes if o.space == space], case, results.metric)
        panels.append(Panel(f"{key}-{slug(space)}", space, figure))
    metrics = sorted(
        {metric for by_label in (case.get("metrics") or {}).values() for metric in by_label.values()}
    )
    sentences = [
        f"Mean and {results.confidence:.0%} interval, over seeds and images where images were kept, on "
        f"validation ({listing(metrics)}).",
        case.get("note") or "",
        "Cross at the bottom: diverged, no model." if any(outcome.diverged for outcome in outcomes) else "",
    ]
    caption = " ".join(sentence for sentence in sentences if sentence)
    names = ("space", "level", "x", "label", "remark")
    rows = [{**(o.accuracy or {}), **{name: getattr(o, name) for name in names}} for o in outcomes]
    source = results.shown(ACCURACIES, cases=[case["name"]])
    return Exhibit(key, title, caption, source, panels, numbers(rows, COLUMNS))
