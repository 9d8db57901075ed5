"""Breaking-point curves: accuracy against severity, beside the references."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.marks import draw_line
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import (
    GREY,
    INK,
    KNOWN,
    MARKERS,
    PALETTE,
    UNTUNED,
    WIDTH,
    Look,
    blank,
    drawing,
    legend_below,
    percent_axis,
)
from ...look.words import listing
from ...read import stressed
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row
from ...read.stressed import LOCAL, REFERENCE_NAMES, REFERENCES, Outcome
from ..rows import interval_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


VARIANT_PLACES = (4, 5, 3, 6)  # in the palette


DEFAULT_METRIC = "acc_personal_own"


COLUMNS = ("space", "level", "x", "entry", "mean", "low", "high", "seeds", "remark")


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """Return the look of each entry: methods as in all reports, variants in free colours."""
    label_looks = {"zeroshot": Look(GREY, "s", UNTUNED, True)}
    variants = 0
    for i, label in enumerate(labels):
        if label in KNOWN:
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
    labels, levels = list(dict.fromkeys(outcome.label for outcome in outcomes)), case["levels"]
    label_looks, log = looks(labels), bool(case.get("log"))
    for i, label in enumerate(labels):
        shift = 4.0 * (i - (len(labels) - 1) / 2)  # points, so that intervals stand side by side
        line = [outcome for outcome in outcomes if outcome.label == label]
        _draw_entry(axes, line, label_looks[label], REFERENCE_NAMES.get(label, label), shift)
    if log:
        axes.set_xscale("log")
        axes.minorticks_off()
    xs = [level["x"] for level in levels]
    with_result = {outcome.level for outcome in outcomes if outcome.values}
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
    rows = [interval_columns(interval) for interval in measured.values()]
    draw_line(axes, list(measured), rows, look, name if rows else "", linewidth=1.2, transform=moved)
    for outcome in (outcome for outcome in outcomes if outcome.diverged):
        cross: dict[str, Any] = {"markersize": 7, "transform": moved, "clip_on": False}
        axes.plot([outcome.x], [0.0], "X", color=look.colour, **cross)
        axes.annotate(
            "diverged",
            (outcome.x, 0.0),
            xytext=(shift, 6),
            textcoords="offset points",
            fontsize=6.5,
            color=INK,
            rotation=90,
            ha="center",
            va="bottom",
        )


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
    with_result = {outcome.space for outcome in outcomes if outcome.values or outcome.diverged}
    spaces = [space for space in stressed.spaces_of(case) if space in with_result]
    if not spaces:
        remarks = [outcome.remark for outcome in outcomes if outcome.label not in REFERENCES]
        reasons = listing(list(dict.fromkeys(remarks))[:2])
        return Exhibit(key, title, missing=f"No trial of it has a result. {reasons}.".replace(". .", "."))
    panels = []
    for space in spaces:
        figure = draw_breaking([o for o in outcomes if o.space == space], case, results.metric)
        panels.append(Panel(f"{key}-{slug(space)}", space, figure))
    metrics = sorted(
        {metric for metrics in (case.get("metrics") or {}).values() for metric in metrics.values()}
    )
    sentences = [
        f"Mean over seeds and {results.confidence:.0%} t interval, on validation ({listing(metrics)}).",
        case.get("note") or "",
        "Cross at the bottom: diverged, no model." if any(outcome.diverged for outcome in outcomes) else "",
    ]
    caption = " ".join(sentence for sentence in sentences if sentence)
    table = numbers([_outcome_row(outcome) for outcome in outcomes], COLUMNS)
    return Exhibit(key, title, caption, curves_query(case), panels, table)


def _outcome_row(outcome: Outcome) -> Row:
    """Return an outcome as a row of the numbers behind the figure."""
    interval = interval_columns(outcome.accuracy) if outcome.accuracy else {}
    about = {key: getattr(outcome, key) for key in ("space", "level", "x", "remark")}
    return {**about, "entry": outcome.label, **interval, "seeds": len(outcome.values)}


def curves_query(case: Row) -> str:
    """Return the SQL of a case's curves."""
    metrics = list(
        dict.fromkeys(m for by_label in (case.get("metrics") or {}).values() for m in by_label.values())
    ) or [DEFAULT_METRIC]
    columns = ", ".join(f"list_avg({m}) AS {m}, list_stddev_samp({m}) AS sd_{m}" for m in metrics)
    return f"""SELECT split_part(study, ' | ', 1) AS space, level, label, state, {columns},
  len(seeds) AS seeds, reason
FROM {parts("trials")} WHERE kind = 'stress' AND factor = '{case["name"]}' ORDER BY trial"""
