"""A stress run: curves of accuracy against severity, verdicts by level, all cases, and what has no result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..look.entries import looks_of
from ..look.page import Cell, Exhibit, Panel, Table, slug
from ..look.style import GREY, INK, SMALL, UNTUNED, Figure, Look, drawing
from ..look.words import accuracy as accuracy_text
from ..look.words import bracket, count, listing, points, shown
from ..read import stressed
from ..read.metric import Metric
from ..read.results import Results, Row
from ..read.stressed import ACCURACIES, DIFFERENCES, LOCAL, REFERENCE_NAMES, Outcome
from .exhibits import Draft
from .inside import signatures
from .lines import Axis, Line, draw_lines

COLUMNS = ("space", "level", "x", "label", "mean", "low", "high", "seeds", "remark")
VERDICT_TEXTS = {
    "pass": "\u2713 pass",
    "degrade": "\u25bd degrade",
    "break": "\u2717 break",
    "undecided": "? undecided",
    "not run": "\u2013 not run",
}
MAJORITY = "most frequent class"
WITHOUT = """SELECT factor AS "case", study, label, state, reason FROM trials
WHERE kind = 'stress' AND state <> 'COMPLETE' ORDER BY trial"""


def looks(outcomes: Sequence[Outcome]) -> dict[str, Look]:
    """Return the look of each entry, as in all reports; references are hollow and dashed, floors faint."""
    found = looks_of({outcome.label: outcome.label for outcome in outcomes if outcome.role != "floor"})
    for outcome in outcomes:
        if outcome.role == "reference":
            found[outcome.label] = replace(found[outcome.label], line=UNTUNED, hollow=True)
        elif outcome.role == "floor":
            found[outcome.label] = Look(GREY, "_" if outcome.label == "zero-shot" else "|")
    return found


@drawing
def draw_breaking(outcomes: Sequence[Outcome], case: Row, metric: Metric) -> Figure:
    """Draw one case and space: a line per entry, mildest level on the left; a cross: it diverged."""
    label_looks, levels = looks(outcomes), case["levels"]
    xs = [level["x"] for level in levels]
    stress, frame = f"{case['axis']}   (more stress \u2192)", (-0.03, 1.03)
    axis = Axis(stress, f"validation {metric}, %", frame, values=sorted(xs), log=bool(case.get("log")))
    lines = []
    for (_, _, label), group in stressed.by_entry(outcomes).items():
        measured = [{"x": outcome.x, **outcome.accuracy} for outcome in group if outcome.accuracy]
        name = REFERENCE_NAMES.get(label, label) if measured else ""
        lines.append(Line(name, label_looks[label], sorted(measured, key=lambda row: row["x"])))
    figure = draw_lines(lines, axis)
    axes = figure.axes[0]
    place: dict[str, Any] = {"xytext": (0, 6), "textcoords": "offset points", "rotation": 90}
    style: dict[str, Any] = {"fontsize": SMALL, "color": INK, "ha": "center", "va": "bottom"}
    for outcome in (outcome for outcome in outcomes if outcome.diverged):
        colour = label_looks[outcome.label].colour
        axes.plot([outcome.x], [0.0], "X", color=colour, markersize=7, clip_on=False)
        axes.annotate("diverged", (outcome.x, 0.0), **place, **style)
    with_result = {outcome.level for outcome in outcomes if outcome.accuracy}
    names = [level["label"] + ("" if level["label"] in with_result else "\nno result") for level in levels]
    axes.set_xticks(xs, names)
    if xs[0] > xs[-1]:
        axes.invert_xaxis()
    return figure


def exhibit(results: Results, case: Row, outcomes: Sequence[Outcome]) -> Exhibit:
    """Return the figure of a case, as declared, with a panel for each space."""
    draft = Draft(results, f"case-{slug(case['name'])}", str(case["title"]))
    if case.get("skipped"):
        return draft.missing(f"Skipped: {case['skipped']}.")
    outcomes = [outcome for outcome in outcomes if outcome.case == case["name"]]
    with_result = {outcome.space for outcome in outcomes if outcome.accuracy or outcome.diverged}
    spaces = [space for space in stressed.spaces_of(case) if space in with_result]
    if not spaces:
        reasons = listing(list(dict.fromkeys(o.remark for o in outcomes if o.role == "entry"))[:2])
        return draft.missing(f"No trial of it has a result. {reasons}.".replace(". .", "."))
    panels = []
    for space in spaces:
        figure = draw_breaking([o for o in outcomes if o.space == space], case, results.metric)
        panels.append(Panel(f"{draft.key}-{slug(space)}", space, figure))
    by_label = (case.get("metrics") or {}).values()
    metrics = sorted({metric for of_label in by_label for metric in of_label.values()})
    caption = (
        f"Mean and {results.confidence:.0%} interval, over seeds and images where images were kept, on "
        f"validation ({listing(metrics)}). {case.get('note') or ''}"
    ).strip()
    if any(outcome.diverged for outcome in outcomes):
        caption += " Cross at the bottom: diverged, no model."
    rows = [{**(outcome.accuracy or {}), **vars(outcome)} for outcome in outcomes]
    return draft.exhibit(panels, rows, COLUMNS, ACCURACIES, caption, None, cases=[case["name"]])


def table(
    results: Results, case: Row, outcomes: Sequence[Outcome], fired: Mapping[str, Sequence[str]]
) -> Table | None:
    """Return accuracy, differences, verdict and signatures of a case at every level; None if skipped."""
    judged = [o for o in outcomes if o.case == case["name"] and o.role == "entry"]
    if case.get("skipped") or not judged:
        return None
    body, breaking_points = [], []
    for (_, space, label), levels in stressed.by_entry(judged).items():
        breaking_points.append(f"{label}: {stressed.breaking_point(levels).sentence}")
        for i, outcome in enumerate(levels):
            names = [Cell(text, "again" if i else "") for text in (space, label)]
            body.append([*names, *_outcome_cells(outcome, fired)])
    against = [f"to {name}, points" for name in ("zero-shot", "local-only", MAJORITY, "the mildest level")]
    columns = ["space", "entry", case["axis"], f"{results.metric}, %", *against]
    columns += ["verdict", "signatures", "remark"]
    caption = (
        f"Breaking point of {'; '.join(breaking_points)}. Differences are paired by seed, with intervals "
        "that are adjusted for all differences of this run (false coverage rate); the margin is "
        f"{100 * stressed.margin(results):g} points."
    )
    source = results.shown(DIFFERENCES, cases=[case["name"]])
    title, key = f"{case['title']}: verdicts", f"table-{slug(case['name'])}"
    return Table(columns, body, caption, source, key=key, title=title)


def _outcome_cells(outcome: Outcome, fired: Mapping[str, Sequence[str]]) -> list[object]:
    zeroshot = outcome.gaps.get("zeroshot") or outcome.gaps.get("zero-shot")
    local = next((outcome.gaps[name] for name in LOCAL if name in outcome.gaps), None)
    counts = Counter(name for run in outcome.runs for name in fired.get(run, []))
    return [
        outcome.level,
        accuracy_text({**outcome.accuracy, "low_both": None}) if outcome.accuracy else "\u2013",
        *(_gap_text(row) for row in (zeroshot, local, outcome.gaps.get(MAJORITY), outcome.change)),
        _verdict_cell(outcome.verdict),
        ", ".join(f"{signatures.words(name)} ({n} of {len(outcome.runs)})" for name, n in counts.items()),
        outcome.remark,
    ]


def _verdict_cell(verdict: str, more: str = "", hint: str = "") -> Cell:
    return Cell(f"{VERDICT_TEXTS[verdict]}{more}", "undecided" if verdict == "not run" else verdict, hint)


def _gap_text(row: Row | None) -> str:
    """Return a difference with its adjusted interval, or why there is none."""
    if row is None or row["verdict"] == "missing":
        return "\u2013"
    if row["estimate"] is None or row["verdict"] == "diverges":
        return str(row["reason"])
    return f"{points(shown(row))} {bracket(row['adjusted_low'], row['adjusted_high'])}".strip()


def matrix(results: Results, outcomes: Sequence[Outcome]) -> Table:
    """Return the table of cases by methods: the worst verdict that was shown, and where it begins."""
    groups = stressed.by_entry([outcome for outcome in outcomes if outcome.role == "entry"])
    cases = stressed.cases(results)
    labels = [(space, label) for case in cases for space in stressed.spaces_of(case)
              for label in stressed.labels_of(case, space)]  # fmt: skip
    methods = dict.fromkeys(place for place in labels if "," not in place[1])
    body: list[list[object]] = []
    for case in cases:
        worst = [_worst_cell(groups.get((case["name"], *method), [])) for method in methods]
        name = Cell(str(case["title"]), "", str(case["name"]))
        variants = [
            f"{label}: {verdict}{_first_level(found, verdict)}"
            for (of_case, _, label), found in groups.items()
            if of_case == case["name"] and "," in label
            for verdict in [stressed.worst_verdict(found)]
        ]
        body.append([name, *worst, "; ".join(variants)])
    names = [label if label == space else f"{space}: {label}" for space, label in methods]
    caption = (
        "The worst verdict that intervals show over the levels, and where it begins; pass: the severest "
        "level passes. Marks and words carry the meaning; colours repeat it. Details are below, case by case."
    )
    columns, title = ["case", *names, "robust or other variants"], "Pass, degrade or break"
    source = results.shown(DIFFERENCES, cases=[case["name"] for case in cases])
    return Table(columns, body, caption, source, key="table-overview", title=title, look="matrix")


def _worst_cell(levels: Sequence[Outcome]) -> Cell:
    """Return the worst verdict on an entry; the breaking point is its hint."""
    verdict = stressed.worst_verdict(levels)
    hint = stressed.breaking_point(levels).sentence if levels else ""
    return _verdict_cell(verdict, _first_level(levels, verdict), hint)


def _first_level(levels: Sequence[Outcome], verdict: str) -> str:
    """Return at which level a verdict begins: ` from 40 %`."""
    if stressed.broken_from_start(levels):
        return f" at {levels[0].level} already"
    if verdict in ("break", "degrade"):
        broke = stressed.breaking_point(levels).broke if verdict == "break" else None
        return f" from {broke or next(outcome.level for outcome in levels if outcome.verdict == verdict)}"
    if verdict == "pass":
        return f" at {levels[-1].level}"
    passed = stressed.breaking_point(levels).passed if levels else None
    return f", passes at {passed}" if passed else ""


def failures(results: Results, outcomes: Sequence[Outcome]) -> Table | None:
    """Return the trials without a result, references too, with the reason; None where there are none."""
    cases = stressed.cases(results)
    titles = {case["name"]: case["title"] for case in cases}
    skipped = [case for case in cases if case.get("skipped")]
    body = [[case["title"], "all", "all", "all", f"skipped: {case['skipped']}"] for case in skipped]
    body += [
        [titles[outcome.case], outcome.space, outcome.level, outcome.label, outcome.remark]
        for outcome in outcomes
        if outcome.remark and not outcome.accuracy and not outcome.remark.startswith("it has not run")
    ]
    if not body:
        return None
    caption = (
        "Trials that failed, that were not possible, or that did not fit in the time. All of them are listed."
    )
    number, source = count(len(body), "trial or case", "trials or cases"), results.shown(WITHOUT)
    folded = f"{number} without a result" if len(body) > 12 else ""
    columns, title = ["case", "space", "level", "entry", "reason"], "Without a result"
    return Table(columns, body, caption, source, folded, "table-failures", title)
