"""Breaking-point curves: accuracy against severity, beside the references and the rules without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    Figure,
    Look,
    blank,
    drawing,
    legend_below,
)
from ...look.words import listing
from ...read import stressed
from ...read.metric import Metric
from ...read.results import Results, Row
from ...read.stressed import ACCURACIES, LOCAL, REFERENCE_NAMES, Outcome
from ..lines import Axis, Line, put_lines

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

    A cross at the bottom: it diverged.
    """
    figure, axes = blank(3.1)
    label_looks, levels = looks(outcomes), case["levels"]
    entries = {label: group for (_, _, label), group in stressed.by_entry(outcomes).items()}
    xs = [level["x"] for level in levels]
    stress, frame = f"{case['axis']}   (more stress \u2192)", (-0.03, 1.03)
    axis = Axis(stress, f"validation {metric}, %", frame, values=sorted(xs), log=bool(case.get("log")))
    lines = []
    for label, group in entries.items():
        measured = [{"x": outcome.x, **outcome.accuracy} for outcome in group if outcome.accuracy]
        name = REFERENCE_NAMES.get(label, label) if measured else ""
        lines.append(Line(name, label_looks[label], sorted(measured, key=lambda row: row["x"])))
    put_lines(axes, lines, axis)
    for outcome in (outcome for outcome in outcomes if outcome.diverged):
        axes.plot(
            [outcome.x], [0.0], "X", color=label_looks[outcome.label].colour, markersize=7, clip_on=False
        )
        place: dict[str, Any] = {"xytext": (0, 6), "textcoords": "offset points", "rotation": 90}
        style: dict[str, Any] = {"fontsize": SMALL, "color": INK, "ha": "center", "va": "bottom"}
        axes.annotate("diverged", (outcome.x, 0.0), **place, **style)
    with_result = {outcome.level for outcome in outcomes if outcome.accuracy}
    names = [level["label"] + ("" if level["label"] in with_result else "\nno result") for level in levels]
    axes.set_xticks(xs, names)
    if xs[0] > xs[-1]:
        axes.invert_xaxis()
    legend_below(figure, axes)
    return figure


def exhibit(results: Results, case: Row, outcomes: Sequence[Outcome]) -> Exhibit:
    """Return the figure of a case, as declared, with a panel for each space."""
    key, title = f"case-{slug(case['name'])}", str(case["title"])
    if case.get("skipped"):
        return Exhibit(key, title, missing=f"Skipped: {case['skipped']}.")
    outcomes = [outcome for outcome in outcomes if outcome.case == case["name"]]
    with_result = {outcome.space for outcome in outcomes if outcome.accuracy or outcome.diverged}
    spaces = [space for space in stressed.spaces_of(case) if space in with_result]
    if not spaces:
        reasons = listing(list(dict.fromkeys(o.remark for o in outcomes if o.role == "entry"))[:2])
        return Exhibit(key, title, missing=f"No trial of it has a result. {reasons}.".replace(". .", "."))
    panels = [
        Panel(
            f"{key}-{slug(space)}",
            space,
            draw_breaking([o for o in outcomes if o.space == space], case, results.metric),
        )
        for space in spaces
    ]
    by_label = (case.get("metrics") or {}).values()
    metrics = sorted({metric for of_label in by_label for metric in of_label.values()})
    caption = (
        f"Mean and {results.confidence:.0%} interval, over seeds and images where images were kept, on "
        f"validation ({listing(metrics)}). {case.get('note') or ''}"
    ).strip()
    if any(outcome.diverged for outcome in outcomes):
        caption += " Cross at the bottom: diverged, no model."
    names = ("space", "level", "x", "label", "remark")
    rows = [{**(o.accuracy or {}), **{name: getattr(o, name) for name in names}} for o in outcomes]
    source = results.shown(ACCURACIES, cases=[case["name"]])
    return Exhibit(key, title, caption, source, panels, numbers(rows, COLUMNS))
