"""The page of a stress run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..figures import breaking
from ..figures.inside import signatures
from ..look.page import Page, Part, Section, Text
from ..look.words import count, listing, short_listing
from ..read import stressed
from ..read.results import Results
from ..read.stressed import Outcome
from .shared import assumptions, commands, page_of, present, progress, resume_command, tasks_of, took

WORDS = {"break": "shown to break", "degrade": "shown to degrade", "pass": "shown to pass"}
LATE = ("time:", "out of time")  # how the reason begins of what did not fit in the time
MAX_BREAKING_POINTS = 6  # sentences on breaking points of a method in the summary


def stress_page(results: Results) -> Page:
    """Make the page of a stress run, finished or not."""
    rows, cases = stressed.outcomes(results), stressed.cases(results)
    spaces = listing([str(space) for space in results.meta.get("spaces") or ["?"]])
    quick = ", quick" if results.meta.get("quick") else ""
    overview = breaking.matrix(results, rows) if cases else Text(["No case is declared."])
    fired, by_case = stressed.signatures_of_runs(results), list[Part]()
    for case in cases:
        by_case += present(breaking.exhibit(results, case, rows), breaking.table(results, case, rows, fired))
    failures = breaking.failures(results, rows) or Text(["Everything that was started has a result."])
    return page_of(
        results,
        progress(results),
        [
            Section("Overview", [overview]),
            Section("How verdicts are made", [Text(points=rule(results))]),
            Section("Case by case", by_case),
            Section("What was run", [failures], facts=facts(results)),
            Section("What can be trusted", [Text(points=trust(results))]),
        ],
        [commands(results)],
        title=f"Stress test of {spaces}{quick}",
        question="How much non-IID, noise, failure and novelty does each method bear before not federating "
        "would have been better?",
        lead=lead(results, rows),
        flags=flags(results, rows),
    )


def lead(results: Results, rows: Sequence[Outcome]) -> list[str]:
    """Say how many cases each method passes, and where it breaks."""
    titles = {case["name"]: case["title"] for case in stressed.cases(results)}
    groups, counted, points = stressed.by_entry(rows), [], list[str]()
    for space, label in methods(results):
        cases = {case: levels for (case, s, entry), levels in groups.items() if (s, entry) == (space, label)}
        worst = {case: stressed.worst_verdict(levels) for case, levels in cases.items()}
        early = [case for case, levels in cases.items() if stressed.broken_from_start(levels)]
        counts = Counter(worst.values())
        hint = f" ({len(early)} of them at the mildest level already, so not by the stress)" if early else ""
        clauses = [
            f"{WORDS.get(verdict, verdict)} in {counts[verdict]}{hint if verdict == 'break' else ''}"
            for verdict in stressed.VERDICTS
            if counts[verdict]
        ]
        counted += [f"{label}: of {count(len(cases), 'case')}, {', '.join(clauses)}."] if clauses else []
        broken = [
            f"{titles[case]}: {label} {stressed.breaking_point(levels).sentence}."
            for case, levels in cases.items()
            if worst[case] == "break" and case not in early
        ]
        left = len(broken) - MAX_BREAKING_POINTS
        points += broken[:MAX_BREAKING_POINTS]
        points += [f"And {left} more for {label}: see the overview."] if left > 0 else []
    start, running = _how_many_ran(results), results.meta.get("status") == "running"
    if not counted:
        return [f"{start}{'Nothing is measured so far' if running else 'Nothing was measured'}."]
    return [start + " ".join(counted), *points]


def _how_many_ran(results: Results) -> str:
    """Say how many trials the time allowed, and how the rest can be run; empty where it allowed all."""
    left = [row for case in stressed.cases(results) for row in case.get("not_run") or []]
    planned = (results.meta.get("planned") or {}).get("stress") or 0
    if not any(str(row["reason"]).startswith(LATE) for row in left):
        return ""
    ran = f"Only {len(results.trials)} of {count(planned, 'trial')} ran"
    return f"{ran} (`{resume_command(results)}` runs the rest). "


def methods(results: Results) -> list[tuple[str, str]]:
    """Return space and label of the methods under test: the first entry of each space."""
    cases = stressed.cases(results)
    labels = [
        (space, stressed.labels_of(case, space)) for case in cases for space in stressed.spaces_of(case)
    ]
    return list(dict.fromkeys((space, judged[0]) for space, judged in labels if judged))


def flags(results: Results, rows: Sequence[Outcome]) -> list[str]:
    """Say what was left out, and which signatures fired most often."""
    tested, cases = methods(results), stressed.cases(results)
    names = {case["name"]: case["title"] for case in cases}
    late = [
        f"{names[o.case]} ({o.space}) at {o.level}"
        for o in rows
        if o.remark.startswith(LATE) and (o.space, o.label) in tested
    ]
    where = short_listing(list(dict.fromkeys(late)))
    texts = [f"Time did not allow {count(len(late), 'level')}: {where}."] if late else []
    texts += [f"Skipped. {case['title']}: {case['skipped']}." for case in cases if case.get("skipped")]
    texts += [f"Diverged: {names[o.case]} at {o.level}, {o.label}." for o in rows if o.diverged]
    label_of = {run: o.label for o in rows for run in o.runs}
    fired = stressed.signatures_of_runs(results).items()
    counts = Counter((label_of[run], name) for run, signs in fired if run in label_of for name in signs)
    return texts + [
        f"Signature in {count(n, 'run')} of {label}: {signatures.words(name)}."
        for (label, name), n in counts.most_common()
    ]


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


def facts(results: Results) -> list[tuple[str, str]]:
    """Facts on what was run: name and value."""
    meta, states = results.meta, Counter(trial["state"] for trial in results.trials)
    data = list(dict.fromkeys(str(task.get("dataset")) for task in tasks_of(results)))
    seeds = ", ".join(map(str, meta.get("seeds") or []))
    limit = f"at most {meta['minutes']:g} minutes" if meta.get("minutes") else "the budgets of its cases"
    shared = "shared by all entries of a level; measured on validation, the test split is closed"
    return [
        ("data", listing(data) or "not recorded"),
        ("seeds", f"{seeds}; {shared}"),
        ("trials", f"{states['COMPLETE']} complete, {states['FAIL']} failed"),
        ("time", took(results, f" of {limit}")),
    ]


def trust(results: Results) -> list[str]:
    """Sentences on what this page can and cannot show."""
    quick = (
        "A quick run trains small federations for a few rounds: it shows that stress has an effect and where "
        f"to look, not final {results.metric.plural}."
    )
    return [
        f"Intervals are over {count(len(results.meta.get('seeds') or []), 'seed')}: a seed changes the "
        "partition, the cohorts and the first weights, on one dataset.",
        "Verdicts at many levels are read at once: about one in ten that name a loss may be wrong.",
        "Methods are not tuned again at each level: a verdict is on the method with the settings of its "
        "space, not on the best settings for that level.",
        *([quick] if results.meta.get("quick") else []),
        *assumptions(results),
    ]
