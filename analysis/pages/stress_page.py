"""The page of a stress run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..figures import breaking
from ..figures.inside import signatures
from ..look.page import Page, Part, Section, Text
from ..look.words import count, duration, listing, short_listing
from ..read import stressed
from ..read.results import Results, json_object
from ..read.stressed import Outcome
from .commands import commands, repeat
from .shared import assumptions, joined, notice, reproduce

QUESTION = (
    "How much non-IID, noise, failure and novelty does each method bear before not federating would "
    "have been better?"
)
MAX_BREAKING_POINTS = 6  # sentences on breaking points of a method in the summary


def stress_page(results: Results) -> Page:
    """Make the page of a stress run, finished or not."""
    rows = stressed.outcomes(results)
    spaces = listing([str(space) for space in results.meta.get("spaces") or ["?"]])
    quick = ", quick" if results.meta.get("quick") else ""
    return Page(
        title=f"Stress test of {spaces}{quick}",
        question=QUESTION,
        lead=lead(results, rows),
        flags=flags(results, rows),
        notice=notice(results, progress(results)),
        commands=repeat(results),
        sections=[
            Section("Overview", overview(results, rows)),
            Section("How verdicts are made", [Text(points=rule(results))]),
            Section("Case by case", list(by_case(results, rows))),
            Section("What was run", without_result(results, rows), facts=facts(results)),
            Section("What can be trusted", [Text(points=trust(results))]),
            reproduce(results, commands(results)),
        ],
    )


def lead(results: Results, rows: Sequence[Outcome]) -> list[str]:
    """Say how many cases each method passes, and where it breaks."""
    groups = stressed.by_entry(rows)
    counted, points = [], []
    titles = {case["name"]: case["title"] for case in stressed.cases(results)}
    for space, label in methods(results):
        cases = {case: levels for (case, s, entry), levels in groups.items() if (s, entry) == (space, label)}
        counts = Counter(stressed.worst_verdict(levels) for levels in cases.values())
        early = sum(stressed.broken_from_start(levels) for levels in cases.values())
        hint = {
            "break": f" (in {early} of them at the mildest level already, so that the stress is not what "
            "broke it)"
            if early
            else ""
        }
        clauses = [
            f"{_verb(verdict)} in {counts[verdict]}{hint.get(verdict, '')}"
            for verdict in stressed.VERDICTS
            if counts[verdict]
        ]
        if clauses:
            counted.append(f"{label}: of {count(len(cases), 'case')}, {', '.join(clauses)}.")
        broken = [
            f"{titles[case]}: {label} {stressed.breaking_point(levels).sentence}."
            for case, levels in cases.items()
            if stressed.worst_verdict(levels) == "break" and not stressed.broken_from_start(levels)
        ]
        left = len(broken) - MAX_BREAKING_POINTS
        points += broken[:MAX_BREAKING_POINTS] + (
            [f"And {left} more for {label}: see the overview."] if left > 0 else []
        )
    if not counted:
        return ["Nothing was measured so far."]
    return [" ".join(counted), *points]


def _verb(verdict: str) -> str:
    return {"break": "shown to break", "degrade": "shown to degrade", "pass": "shown to pass"}.get(
        verdict, verdict
    )


def methods(results: Results) -> list[tuple[str, str]]:
    """Return space and label of the methods under test: the first entry of each space."""
    first_entries = [
        (space, stressed.labels_of(case, space)[0])
        for case in stressed.cases(results)
        for space in stressed.spaces_of(case)
        if stressed.labels_of(case, space)
    ]
    return list(dict.fromkeys(first_entries))


def flags(results: Results, rows: Sequence[Outcome]) -> list[str]:
    """Say what was left out, and which signatures fired most often."""
    late = [
        o
        for o in rows
        if o.remark.startswith(("time:", "out of time")) and (o.space, o.label) in methods(results)
    ]
    names = {case["name"]: case["title"] for case in stressed.cases(results)}
    texts = []
    if late:
        where = short_listing(list(dict.fromkeys(f"{names[o.case]} ({o.space}) at {o.level}" for o in late)))
        texts.append(f"Time did not allow {count(len(late), 'level')}: {where}.")
    skipped = [
        f"{case['title']}: {case['skipped']}" for case in stressed.cases(results) if case.get("skipped")
    ]
    texts += [f"Skipped. {text}." for text in skipped]
    texts += [f"Diverged: {names[o.case]} at {o.level}, {o.label}." for o in rows if o.diverged]
    fired = stressed.signatures_of_runs(results)
    label_of = {run: o.label for o in rows for run in o.runs}
    counts = Counter(
        (label_of[run], name) for run, signs in fired.items() if run in label_of for name in signs
    )
    texts += [
        f"Signature in {count(n, 'run')} of {label}: {signatures.words(name)}."
        for (label, name), n in counts.most_common()
    ]
    return texts


def overview(results: Results, rows: Sequence[Outcome]) -> list[Part]:
    """Make the matrix of verdicts, or say that there is none."""
    return [breaking.matrix(results, rows)] if stressed.cases(results) else [Text(["No case is declared."])]


def rule(results: Results) -> list[str]:
    """Sentences that define the verdicts, with the numbers of this run."""
    margin = f"{100 * stressed.margin(results):g} points"
    return [
        "At each level, the method is compared seed by seed with zero-shot, with local-only, and with itself "
        "at the mildest level. All these differences of the run are one family: their intervals are adjusted "
        "together (false coverage rate), with the noise that all trials of a case share. An interval shows "
        "something only if all of it lies on one side of the margin.",
        f"Pass: all differences are shown to be above \u2212{margin}: the method is no worse than the "
        "references, and it has not lost more than that against its own mildest level.",
        f"Degrade: it is shown to be more than {margin} below one reference, or below itself at the mildest "
        "level, and not shown to be so below all references.",
        f"Break: it is shown to be more than {margin} below all references, so that neither training nor "
        "federating was of any use; or training diverged on at least half of the seeds.",
        "Undecided: anything else. Not run: no result, with the reason.",
        "The breaking point is a range: after the last milder level that is shown to pass, up to the first "
        "that is shown to break. The grey lines are rules without training: zero-shot, and naming each "
        "client's own most frequent class.",
    ]


def by_case(results: Results, rows: Sequence[Outcome]) -> list[Part]:
    """Make the curves and the table of every case."""
    fired = stressed.signatures_of_runs(results)
    shown: list[Part] = []
    for case in stressed.cases(results):
        shown.append(breaking.exhibit(results, case, rows))
        if (table := breaking.table(results, case, rows, fired)) is not None:
            shown.append(table)
    return shown


def without_result(results: Results, rows: Sequence[Outcome]) -> list[Part]:
    """List what has no result."""
    table = breaking.failures(results, rows)
    return [table] if table else [Text(["Everything that was started has a result."])]


def progress(results: Results) -> str:
    """Write `12 of 40 planned trials are finished`."""
    planned = (results.meta.get("planned") or {}).get("stress")
    return (
        f"{len(results.trials)} of {planned} planned trials are finished"
        if planned
        else f"{count(len(results.trials), 'trial')} finished"
    )


def facts(results: Results) -> list[tuple[str, str]]:
    """Facts on what was run: name and value."""
    meta, trials = results.meta, results.trials
    tasks = [(json_object(t.get("experiment")).get("task") or {}) for t in trials]
    data = list(dict.fromkeys(f"{task.get('dataset')}" for task in tasks if task))
    seeds = meta.get("seeds") or []
    states = Counter(t["state"] for t in trials)
    limit = f"at most {meta['minutes']:g} minutes" if meta.get("minutes") else "the budgets of its cases"
    return [
        ("data", listing(data) or "not recorded"),
        (
            "seeds",
            f"{', '.join(map(str, seeds))}; shared by all entries of a level; measured on validation, the "
            "test split is closed",
        ),
        ("trials", f"{states['COMPLETE']} complete, {states['FAIL']} failed"),
        ("time", f"{duration(meta.get('seconds'))} of {limit} on {joined(meta.get('hardware'))}"),
    ]


def trust(results: Results) -> list[str]:
    """Sentences on what this page can and cannot show."""
    seeds = results.meta.get("seeds") or []
    points = [
        f"Intervals are over {count(len(seeds), 'seed')}: a seed changes the partition, the cohorts and "
        "the first weights, on one dataset.",
        "Verdicts at many levels are read at once: about one in ten that name a loss may be wrong.",
        "Methods are not tuned again at each level: a verdict is on the method with the settings of its "
        "space, not on the best settings for that level.",
    ]
    if results.meta.get("quick"):
        points.append(
            "A quick run trains small federations for a few rounds: it shows that stress has an effect and "
            f"where to look, not final {results.metric.plural}."
        )
    return [*points, *assumptions(results)]
