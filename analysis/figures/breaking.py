"""Breaking-point curves: accuracy against severity, beside what trains nothing and what sends nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import (
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
from ..look.words import count, listing, mean_span, points, span
from ..read import stressed
from ..read.queries import parts
from ..read.results import Results, Row
from ..read.stressed import LOCAL, NAMES, REFERENCES, Outcome
from ..stats.intervals import Interval
from .inside import signatures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = {
    "pass": "\u2713 pass",
    "degrade": "\u25bd degrade",
    "break": "\u2717 break",
    "undecided": "? undecided",
    "not run": "\u2013 not run",
}
FREE = (4, 5, 3, 6)  # places in the palette for variants
OTHER = "acc_personal_own"


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """How each entry is drawn: the method as everywhere, references in their own way, variants in what is left."""
    variants = [label for label in labels if label not in KNOWN and label != "zeroshot"]
    found = {"zeroshot": Look(GREY, "s", UNTUNED, True)}
    for i, label in enumerate(labels):
        if label in KNOWN:
            found[label] = Look(
                PALETTE[KNOWN[label]],
                MARKERS[KNOWN[label]],
                UNTUNED if label in LOCAL else "-",
                label in LOCAL,
            )
        elif label != "zeroshot":
            place = FREE[variants.index(label) % len(FREE)]
            found[label] = Look(PALETTE[place], MARKERS[(place + i) % len(MARKERS)])
    return found


@drawing
def draw_breaking(own: Sequence[Outcome], case: Row) -> Figure:
    """One case and space: a line per entry over the levels, from the mildest on the left to the severest on the right.

    Args:
        own: Its outcomes.
        case: As declared: levels, axis, unit and log.
    """
    figure, axes = blank(3.1, WIDTH)
    labels, levels = list(dict.fromkeys(o.label for o in own)), case["levels"]
    style = looks(labels)
    for i, label in enumerate(labels):
        shift = 4.0 * (i - (len(labels) - 1) / 2)  # points, so that intervals stand side by side
        _line(axes, [o for o in own if o.label == label], style[label], NAMES.get(label, label), shift)
    if case.get("log"):
        axes.set_xscale("log")
        axes.minorticks_off()
    xs = [level["x"] for level in levels]
    bare = {level["label"] for level in levels if not any(o.values for o in own if o.level == level["label"])}
    axes.set_xticks(
        xs, [level["label"] + ("\nno result" if level["label"] in bare else "") for level in levels]
    )
    axes.set_xlim(
        *_frame(xs[0], xs[-1], bool(case.get("log")))
    )  # lines that are moved by points do not set it
    axes.grid(axis="y")
    axes.set(
        ylim=(-0.03, 1.03), xlabel=f"{case['axis']}   (more stress \u2192)", ylabel="validation accuracy, %"
    )
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def _frame(mildest: float, severest: float, log: bool) -> tuple[float, float]:
    """Limits of the axis with room at both ends; from large to small where the severest is the smallest."""
    if log:
        low, high = _frame(math.log(mildest), math.log(severest), False)
        return math.exp(low), math.exp(high)
    room = 0.1 * (severest - mildest) or 1.0
    return mildest - room, severest + room


def _line(axes: Axes, own: Sequence[Outcome], look: Look, name: str, shift: float) -> None:
    """One entry, moved aside by `shift` points; where it diverged a cross at the bottom."""
    from matplotlib.transforms import ScaledTranslation

    moved = axes.transData + ScaledTranslation(shift / 72, 0, axes.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]
    known, draw = [o for o in own if o.accuracy], axes.plot
    for outcome in known:
        if outcome.accuracy and outcome.accuracy.low is not None and outcome.accuracy.high is not None:
            draw(
                [outcome.x] * 2,
                [outcome.accuracy.low, outcome.accuracy.high],
                color=look.colour,
                linewidth=1,
                transform=moved,
            )
    draw(
        [o.x for o in known],
        [o.accuracy.mean for o in known if o.accuracy],
        look.marker,
        linestyle=look.line,
        color=look.colour,
        markersize=4.5,
        linewidth=1.2,
        markerfacecolor=look.face,
        label=name if known else None,
        transform=moved,
    )
    for outcome in own:
        if outcome.diverged:
            draw([outcome.x], [0.0], "X", color=look.colour, markersize=7, transform=moved, clip_on=False)
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


def exhibit(results: Results, case: Row, found: Sequence[Outcome]) -> Exhibit:
    """The curves of a case, a panel for each space."""
    key, title = f"case-{slug(case['name'])}", str(case["title"])
    if case.get("skipped"):
        return Exhibit(key, title, missing=f"Skipped: {case['skipped']}.")
    own = [o for o in found if o.case == case["name"]]
    spaces = [
        space
        for space in stressed.spaces_of(case)
        if any(o.values or o.diverged for o in own if o.space == space)
    ]
    if not spaces:
        reasons = listing(list(dict.fromkeys(o.remark for o in own if o.label not in REFERENCES))[:2])
        return Exhibit(key, title, missing=f"No trial of it has a result. {reasons}.".replace(". .", "."))
    panels = [
        Panel(f"{key}-{slug(space)}", space, draw_breaking([o for o in own if o.space == space], case))
        for space in spaces
    ]
    metrics = sorted({m for by_label in (case.get("metrics") or {}).values() for m in by_label.values()})
    caption = (
        (
            f"Mean over seeds and {results.confidence:.0%} t interval, on validation ({listing(metrics)}). "
            f"{case.get('note') or ''} "
            f"{'Cross at the bottom: diverged, no model.' if any(o.diverged for o in own) else ''}"
        )
        .replace("  ", " ")
        .rstrip()
    )
    rows = [
        {
            "space": o.space,
            "level": o.level,
            "x": o.x,
            "entry": o.label,
            "mean": o.accuracy.mean if o.accuracy else None,
            "low": o.accuracy.low if o.accuracy else None,
            "high": o.accuracy.high if o.accuracy else None,
            "seeds": len(o.values),
            "remark": o.remark,
        }
        for o in own
    ]
    columns = ("space", "level", "x", "entry", "mean", "low", "high", "seeds", "remark")
    return Exhibit(key, title, caption, curves_query(case), panels, numbers(rows, columns))


def curves_query(case: Row) -> str:
    """SQL of a case's curves."""
    metrics = list(
        dict.fromkeys(m for by_label in (case.get("metrics") or {}).values() for m in by_label.values())
    ) or [OTHER]
    columns = ", ".join(f"list_avg({m}) AS {m}, list_stddev_samp({m}) AS sd_{m}" for m in metrics)
    return f"""SELECT split_part(study, ' | ', 1) AS space, level, label, state, {columns}, len(seeds) AS seeds, reason
FROM {parts("trials")} WHERE kind = 'stress' AND factor = '{case["name"]}' ORDER BY trial"""


def differences_query(case: Row) -> str:
    """SQL of a case's paired differences to its references."""
    metrics = case.get("metrics") or {}
    chosen = {label: m for by_label in metrics.values() for label, m in by_label.items()}
    other = [
        f"WHEN label = '{label}' THEN {m}" for label, m in chosen.items() if m != next(iter(chosen.values()))
    ]
    first = next(iter(chosen.values()), OTHER)
    value = f"CASE {' '.join(other)} ELSE {first} END" if other else first
    known = ", ".join(f"'{name}'" for name in REFERENCES)
    return f"""WITH seeds AS (
  SELECT study, level, label, unnest(seeds) AS seed, unnest({value}) AS accuracy
  FROM {parts("trials")} WHERE kind = 'stress' AND factor = '{case["name"]}' AND state = 'COMPLETE')
SELECT split_part(m.study, ' | ', 1) AS space, m.level, m.label, r.label AS reference, avg(m.accuracy - r.accuracy) AS mean,
  stddev_samp(m.accuracy - r.accuracy) AS sd, count(*) AS seeds
FROM seeds m JOIN seeds r USING (study, seed) WHERE m.label NOT IN ({known}) AND r.label IN ({known}) GROUP BY ALL ORDER BY ALL"""


def table(results: Results, case: Row, found: Sequence[Outcome], fired: dict[str, list[str]]) -> Table | None:
    """What is judged of a case: accuracy, differences, verdict and signatures at every level; None where it was skipped."""
    judged = [o for o in found if o.case == case["name"] and o.label not in REFERENCES]
    if case.get("skipped") or not judged:
        return None
    body = []
    for (_, space, label), own in stressed.grouped(judged).items():
        for i, o in enumerate(own):
            local = next((o.gaps[name] for name in LOCAL if name in o.gaps), None)
            body.append(
                [
                    Cell(space, "again" if i else ""),
                    Cell(label, "again" if i else ""),
                    o.level,
                    mean_span(o.accuracy),
                    _gap(o.gaps.get("zeroshot")),
                    _gap(local),
                    _gap(o.own),
                    Cell(MARK[o.verdict], look(o.verdict)),
                    _fired(o, fired),
                    o.remark,
                ]
            )
    head = [
        "space",
        "entry",
        case["axis"],
        "accuracy, %",
        "to zero-shot, points",
        "to local-only, points",
        "to the mildest level, points",
        "verdict",
        "signatures",
        "remark",
    ]
    told = [
        f"{label}: {stressed.breaking(own).sentence}"
        for (_, _, label), own in stressed.grouped(judged).items()
    ]
    caption = (
        f"Breaking point of {'; '.join(told)}. Differences are paired by seed, with "
        f"{results.confidence:.0%} t intervals; the margin "
        f"is {100 * stressed.margin(results):g} points."
    )
    return Table(
        head,
        body,
        caption,
        differences_query(case),
        key=f"table-{slug(case['name'])}",
        title=f"{case['title']}: verdicts",
    )


def look(verdict: str) -> str:
    """The CSS class of a verdict."""
    return {"not run": "undecided"}.get(verdict, verdict)


def _gap(interval: Interval | None) -> str:
    return f"{points(interval.mean)} [{span(interval)}]" if interval else "\u2013"


def _fired(o: Outcome, fired: dict[str, list[str]]) -> str:
    names = [name for run in o.runs for name in fired.get(run, [])]
    return ", ".join(
        f"{signatures.words(name)} ({names.count(name)} of {len(o.runs)})" for name in dict.fromkeys(names)
    )


def matrix(results: Results, found: Sequence[Outcome]) -> Table:
    """Case by method: the worst verdict that was shown, and where it begins."""
    groups = stressed.grouped([o for o in found if o.label not in REFERENCES])
    columns = list(
        dict.fromkeys(
            (space, label)
            for case in stressed.cases(results)
            for space in stressed.spaces_of(case)
            for label in stressed.labels_of(case, space)
            if "," not in label
        )
    )
    body: list[list[object]] = []
    for case in stressed.cases(results):
        row: list[object] = [Cell(str(case["title"]), "", str(case["name"]))]
        for space, label in columns:
            own = groups.get((case["name"], space, label), [])
            verdict = stressed.worst(own)
            row.append(
                Cell(
                    f"{MARK[verdict]}{_where(own, verdict)}",
                    look(verdict),
                    stressed.breaking(own).sentence if own else "",
                )
            )
        body.append([*row, _saved(case, groups)])
    names = [label if label == space else f"{space}: {label}" for space, label in columns]
    rule = (
        "The worst verdict that intervals show over the levels, and where it begins; pass: the severest "
        "level passes. Only marks and words "
        "carry the meaning, colours repeat it. Details are below, case by case."
    )
    return Table(
        ["case", *names, "robust or other variants"],
        body,
        rule,
        matrix_query(),
        key="table-overview",
        title="Pass, degrade or break",
    )


def matrix_query() -> str:
    """SQL of the trials behind the matrix."""
    return f"""SELECT factor AS "case", split_part(study, ' | ', 1) AS space, label, level, state,
  list_avg(acc_personal_own) AS accuracy, reason
FROM {parts("trials")} WHERE kind = 'stress' ORDER BY trial"""


def _where(own: Sequence[Outcome], verdict: str) -> str:
    if stressed.unstressed(own):
        return f" at {own[0].level} already"
    if verdict in ("break", "degrade"):
        return f" from {next(o.level for o in own if o.verdict == verdict)}"
    passed = stressed.breaking(own).passed if own else None
    return f" at {own[-1].level}" if verdict == "pass" else f", passes at {passed}" if passed else ""


def _saved(case: Row, groups: dict[tuple[str, str, str], list[Outcome]]) -> str:
    """What became of the variants: `fedrsclip, median: pass at 25 %`."""
    said = []
    for (name, _, label), own in groups.items():
        if name == case["name"] and "," in label:
            verdict = stressed.worst(own)
            said.append(f"{label}: {verdict}{_where(own, verdict)}")
    return "; ".join(said)


def failures(results: Results, found: Sequence[Outcome]) -> Table | None:
    """Trials without a result, with the reason, references too; None where there are none."""
    titles = {case["name"]: case["title"] for case in stressed.cases(results)}
    body = [
        [titles[o.case], o.space, o.level, o.label, o.remark]
        for o in found
        if o.remark and o.remark != "not finished yet"
    ]
    skipped = [
        [case["title"], "all", "all", "all", f"skipped: {case['skipped']}"]
        for case in stressed.cases(results)
        if case.get("skipped")
    ]
    if not body + skipped:
        return None
    caption = (
        "What failed, what was not possible and what time did not allow; nothing is left out without "
        "a word here."
    )
    query = (
        f"SELECT factor, study, label, state, reason FROM {parts('trials')} WHERE kind = 'stress' AND "
        "state <> 'COMPLETE' ORDER BY trial"
    )
    folded = (
        f"{count(len(body + skipped), 'trial or case', 'trials or cases')} without a result"
        if len(body) > 12
        else ""
    )
    return Table(
        ["case", "space", "level", "entry", "reason"],
        [*skipped, *body],
        caption,
        query,
        folded,
        "table-failures",
        "Without a result",
    )
