"""Tables of a stress run: differences and verdicts by level, all cases, and what has no result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...look.page import Cell, Table, slug
from ...look.words import count, mean_span, points, span
from ...read import stressed
from ...read.queries import parts
from ...read.results import Results, Row
from ...read.stressed import LOCAL, REFERENCES, Outcome
from ...stats.intervals import Interval
from ..inside import signatures
from .curves import DEFAULT_METRIC

VERDICT_TEXTS = {
    "pass": "\u2713 pass",
    "degrade": "\u25bd degrade",
    "break": "\u2717 break",
    "undecided": "? undecided",
    "not run": "\u2013 not run",
}


def differences_query(case: Row) -> str:
    """Return the SQL of a case's paired differences to its references."""
    metric_of = {label: m for labels in (case.get("metrics") or {}).values() for label, m in labels.items()}
    first = next(iter(metric_of.values()), DEFAULT_METRIC)
    others = [f"WHEN label = '{label}' THEN {m}" for label, m in metric_of.items() if m != first]
    value = f"CASE {' '.join(others)} ELSE {first} END" if others else first
    references = ", ".join(f"'{name}'" for name in REFERENCES)
    return f"""WITH seeds AS (
  SELECT study, level, label, unnest(seeds) AS seed, unnest({value}) AS accuracy
  FROM {parts("trials")} WHERE kind = 'stress' AND factor = '{case["name"]}' AND state = 'COMPLETE')
SELECT split_part(m.study, ' | ', 1) AS space, m.level, m.label, r.label AS reference,
  avg(m.accuracy - r.accuracy) AS mean, stddev_samp(m.accuracy - r.accuracy) AS sd, count(*) AS seeds
FROM seeds m JOIN seeds r USING (study, seed)
WHERE m.label NOT IN ({references}) AND r.label IN ({references}) GROUP BY ALL ORDER BY ALL"""


def table(
    results: Results, case: Row, outcomes: Sequence[Outcome], fired: dict[str, list[str]]
) -> Table | None:
    """Return accuracy, differences, verdict and signatures of a case at every level; None if it was skipped.

    Args:
        results: The stress run.
        case: As declared.
        outcomes: All outcomes of the run.
        fired: Run -> the signatures that fired in it.
    """
    judged = [o for o in outcomes if o.case == case["name"] and o.label not in REFERENCES]
    if case.get("skipped") or not judged:
        return None
    body, breaking_points = [], []
    for (_, space, label), levels in stressed.by_entry(judged).items():
        breaking_points.append(f"{label}: {stressed.breaking_point(levels).sentence}")
        for i, outcome in enumerate(levels):
            names = [Cell(text, "again" if i else "") for text in (space, label)]
            body.append([*names, *_outcome_cells(outcome, fired)])
    columns = [
        "space",
        "entry",
        case["axis"],
        f"{results.metric}, %",
        "to zero-shot, points",
        "to local-only, points",
        "to the mildest level, points",
        "verdict",
        "signatures",
        "remark",
    ]
    caption = (
        f"Breaking point of {'; '.join(breaking_points)}. Differences are paired by seed, with "
        f"{results.confidence:.0%} t intervals; the margin is {100 * stressed.margin(results):g} points."
    )
    title, key = f"{case['title']}: verdicts", f"table-{slug(case['name'])}"
    return Table(columns, body, caption, differences_query(case), key=key, title=title)


def _outcome_cells(outcome: Outcome, fired: dict[str, list[str]]) -> list[object]:
    """Return the cells of one entry at one level."""
    local = next((outcome.gaps[name] for name in LOCAL if name in outcome.gaps), None)
    return [
        outcome.level,
        mean_span(outcome.accuracy),
        *(_gap_text(gap) for gap in (outcome.gaps.get("zeroshot"), local, outcome.change)),
        Cell(VERDICT_TEXTS[outcome.verdict], verdict_look(outcome.verdict)),
        _fired_text(outcome, fired),
        outcome.remark,
    ]


def verdict_look(verdict: str) -> str:
    """Return the CSS class of a verdict."""
    return {"not run": "undecided"}.get(verdict, verdict)


def _gap_text(interval: Interval | None) -> str:
    return f"{points(interval.mean)} [{span(interval)}]" if interval else "\u2013"


def _fired_text(outcome: Outcome, fired: dict[str, list[str]]) -> str:
    """Return the signatures that fired in the runs of an outcome, with their numbers."""
    counts = Counter(name for run in outcome.runs for name in fired.get(run, []))
    return ", ".join(f"{signatures.words(name)} ({n} of {len(outcome.runs)})" for name, n in counts.items())


def matrix(results: Results, outcomes: Sequence[Outcome]) -> Table:
    """Return the table of cases by methods: the worst verdict that was shown, and the level where it begins.

    Args:
        results: The stress run.
        outcomes: All outcomes of the run.
    """
    groups = stressed.by_entry([outcome for outcome in outcomes if outcome.label not in REFERENCES])
    cases = stressed.cases(results)
    methods = dict.fromkeys(
        (space, label)
        for case in cases
        for space in stressed.spaces_of(case)
        for label in stressed.labels_of(case, space)
        if "," not in label
    )
    body: list[list[object]] = []
    for case in cases:
        levels = [groups.get((case["name"], *method), []) for method in methods]
        name = Cell(str(case["title"]), "", str(case["name"]))
        body.append([name, *map(_worst_cell, levels), _variants_text(case, groups)])
    names = [label if label == space else f"{space}: {label}" for space, label in methods]
    caption = (
        "The worst verdict that intervals show over the levels, and where it begins; pass: the severest "
        "level passes. Marks and words carry the meaning; colours repeat it. Details are below, case by "
        "case."
    )
    columns, title = ["case", *names, "robust or other variants"], "Pass, degrade or break"
    return Table(columns, body, caption, matrix_query(), key="table-overview", title=title)


def _worst_cell(levels: Sequence[Outcome]) -> Cell:
    """Return the worst verdict on an entry; the breaking point is its hint."""
    verdict = stressed.worst_verdict(levels)
    hint = stressed.breaking_point(levels).sentence if levels else ""
    return Cell(f"{VERDICT_TEXTS[verdict]}{_first_level(levels, verdict)}", verdict_look(verdict), hint)


def matrix_query() -> str:
    """Return the SQL of the trials behind the matrix."""
    return f"""SELECT factor AS "case", split_part(study, ' | ', 1) AS space, label, level, state,
  list_avg(acc_personal_own) AS accuracy, reason
FROM {parts("trials")} WHERE kind = 'stress' ORDER BY trial"""


def _first_level(levels: Sequence[Outcome], verdict: str) -> str:
    """Return at which level a verdict begins: ` from 40 %`."""
    if stressed.broken_from_start(levels):
        return f" at {levels[0].level} already"
    if verdict in ("break", "degrade"):
        return f" from {next(outcome.level for outcome in levels if outcome.verdict == verdict)}"
    if verdict == "pass":
        return f" at {levels[-1].level}"
    passed = stressed.breaking_point(levels).passed if levels else None
    return f", passes at {passed}" if passed else ""


def _variants_text(case: Row, groups: dict[tuple[str, str, str], list[Outcome]]) -> str:
    """Return the verdicts on the variants: `fedrsclip, median: pass at 25 %`."""
    texts = []
    for (name, _, label), levels in groups.items():
        if name == case["name"] and "," in label:
            verdict = stressed.worst_verdict(levels)
            texts.append(f"{label}: {verdict}{_first_level(levels, verdict)}")
    return "; ".join(texts)


def failures(results: Results, outcomes: Sequence[Outcome]) -> Table | None:
    """Return the trials without a result, references too, with the reason; None where there are none.

    Args:
        results: The stress run.
        outcomes: All outcomes of the run.
    """
    cases = stressed.cases(results)
    titles = {case["name"]: case["title"] for case in cases}
    skipped = [
        [case["title"], "all", "all", "all", f"skipped: {case['skipped']}"]
        for case in cases
        if case.get("skipped")
    ]
    failed = [
        [titles[outcome.case], outcome.space, outcome.level, outcome.label, outcome.remark]
        for outcome in outcomes
        if outcome.remark and outcome.remark != "not finished yet"
    ]
    body = skipped + failed
    if not body:
        return None
    caption = (
        "Trials that failed, that were not possible, or that did not fit in the time. All of them are listed."
    )
    query = (
        f"SELECT factor, study, label, state, reason FROM {parts('trials')} WHERE kind = 'stress' AND "
        "state <> 'COMPLETE' ORDER BY trial"
    )
    number = count(len(body), "trial or case", "trials or cases")
    return Table(
        ["case", "space", "level", "entry", "reason"],
        body,
        caption,
        query,
        f"{number} without a result" if len(failed) > 12 else "",
        "table-failures",
        "Without a result",
    )
