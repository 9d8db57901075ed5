"""The page of a stress run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..figures import breaking
from ..look.page import Page, Part, Section, Text
from ..look.words import count, duration, listing, some
from ..read import stressed
from ..read.results import Results, loads
from ..read.stressed import Outcome
from .commands import commands, repeat
from .shared import OWN, joined, notice, reproduce, small_backbone

QUESTION = (
    "How much non-IID, noise, failure and novelty does each method bear before not federating would "
    "have been better?"
)
SAID = 6  # sentences about breaking points in the summary


def stress_page(results: Results) -> Page:
    """Everything about a stress run that its folder tells, finished or not."""
    found = stressed.outcomes(results)
    spaces = listing([str(space) for space in results.meta.get("spaces") or ["?"]])
    quick = ", quick" if results.meta.get("quick") else ""
    return Page(
        title=f"Stress test of {spaces}{quick}",
        question=QUESTION,
        lead=lead(results, found),
        flags=flags(results, found),
        notice=notice(results, progress(results)),
        commands=repeat(results),
        sections=[
            Section("Overview", overview(results, found)),
            Section("How verdicts are made", [Text(points=rule(results))]),
            Section("Case by case", list(by_case(results, found))),
            Section("What was run", list(ran(results, found)), facts=facts(results)),
            Section("What can be trusted", [Text(points=trust(results))]),
            reproduce(results, commands(results)),
        ],
    )


def lead(results: Results, found: Sequence[Outcome]) -> list[str]:
    """The answer: how many cases each method passes, and where it breaks."""
    groups = stressed.grouped(found)
    said, points = [], []
    titles = {case["name"]: case["title"] for case in stressed.cases(results)}
    for space, label in methods(results):
        own = {case: levels for (case, s, entry), levels in groups.items() if (s, entry) == (space, label)}
        counts = Counter(stressed.worst(levels) for levels in own.values())
        early = sum(stressed.unstressed(levels) for levels in own.values())
        hint = {
            "break": f" (in {early} of them at the mildest level already, so that the stress is not what "
            "broke it)"
            if early
            else ""
        }
        told = [
            f"{_verb(verdict)} in {counts[verdict]}{hint.get(verdict, '')}"
            for verdict in stressed.VERDICTS
            if counts[verdict]
        ]
        if told:
            said.append(f"{label}: of {count(len(own), 'case')}, {', '.join(told)}.")
        broken = [
            f"{titles[case]}: {label} {stressed.breaking(levels).sentence}."
            for case, levels in own.items()
            if stressed.worst(levels) == "break" and not stressed.unstressed(levels)
        ]
        left = len(broken) - SAID
        points += broken[:SAID] + ([f"And {left} more for {label}: see the overview."] if left > 0 else [])
    if not said:
        return ["Nothing has been measured yet."]
    seeds = len(results.meta.get("seeds") or [])
    closing = ["With one seed nothing is decided."] if seeds == 1 else []
    return [" ".join(said), *points, *closing]


def _verb(verdict: str) -> str:
    return {"break": "shown to break", "degrade": "shown to degrade", "pass": "shown to pass"}.get(
        verdict, verdict
    )


def methods(results: Results) -> list[tuple[str, str]]:
    """Space and label of the methods that the run is about: the first entry of each space."""
    found = [
        (space, stressed.labels_of(case, space)[0])
        for case in stressed.cases(results)
        for space in stressed.spaces_of(case)
        if stressed.labels_of(case, space)
    ]
    return list(dict.fromkeys(found))


def flags(results: Results, found: Sequence[Outcome]) -> list[str]:
    """What was left out, and which signatures fired most."""
    late = [
        o
        for o in found
        if o.remark.startswith(("time:", "out of time")) and (o.space, o.label) in methods(results)
    ]
    names = {case["name"]: case["title"] for case in stressed.cases(results)}
    said = []
    if late:
        where = some(list(dict.fromkeys(f"{names[o.case]} ({o.space}) at {o.level}" for o in late)))
        said.append(f"Time did not allow {count(len(late), 'level')}: {where}.")
    skipped = [
        f"{case['title']}: {case['skipped']}" for case in stressed.cases(results) if case.get("skipped")
    ]
    said += [f"Skipped. {text}." for text in skipped]
    said += [f"Diverged: {names[o.case]} at {o.level}, {o.label}." for o in found if o.diverged]
    fired = stressed.signatures(results)
    runs = {run: o for o in found for run in o.runs}
    counts = Counter((runs[run].label, name) for run, own in fired.items() if run in runs for name in own)
    said += [
        f"Signature in {count(n, 'run')} of {label}: {breaking.signatures.words(name)}."
        for (label, name), n in counts.most_common()
    ]
    return said


def overview(results: Results, found: Sequence[Outcome]) -> list[Part]:
    """The matrix, or the sentence that there is none."""
    return (
        [breaking.matrix(results, found)] if stressed.cases(results) else [Text(["No case is declared yet."])]
    )


def rule(results: Results) -> list[str]:
    """The definition of the verdicts, with this run's numbers."""
    margin, confidence = f"{100 * stressed.margin(results):g} points", f"{results.confidence:.0%}"
    return [
        "At each level the method minus zero-shot and the method minus local-only are formed seed by "
        f"seed, each with its {confidence} t "
        "interval. An interval shows something only if all of it lies on one side of the margin.",
        f"Pass: both differences are shown to be above \u2212{margin}, so the method is no worse than the "
        f"better reference minus {margin}.",
        f"Degrade: it is shown to be more than {margin} below one reference, and not shown to be so below "
        "the other.",
        f"Break: it is shown to be more than {margin} below both: neither training nor federating was "
        "worth anything; or training "
        "diverged and left no model. Where a case has one reference only, being shown below that is a break.",
        "Undecided: anything else. One seed, and seeds that agree to the last bit, decide nothing. Not "
        "run: no result, with the reason.",
        "The breaking point is a range: after the last milder level that is shown to pass, up to the first "
        "that is shown to break.",
    ]


def by_case(results: Results, found: Sequence[Outcome]) -> list[Part]:
    """Curves and table of every case."""
    fired = stressed.signatures(results)
    shown: list[Part] = []
    for case in stressed.cases(results):
        shown.append(breaking.exhibit(results, case, found))
        if (table := breaking.table(results, case, found, fired)) is not None:
            shown.append(table)
    return shown


def ran(results: Results, found: Sequence[Outcome]) -> list[Part]:
    """What has no result."""
    table = breaking.failures(results, found)
    return [table] if table else [Text(["Everything that was started has a result."])]


def progress(results: Results) -> str:
    """`12 of 40 planned trials are finished`."""
    planned = (results.meta.get("planned") or {}).get("stress")
    return (
        f"{len(results.trials)} of {planned} planned trials are finished"
        if planned
        else f"{count(len(results.trials), 'trial')} finished"
    )


def facts(results: Results) -> list[tuple[str, str]]:
    """What was run, in a few lines."""
    meta, trials = results.meta, results.trials
    tasks = [(loads(t.get("experiment")).get("task") or {}) for t in trials]
    data = list(dict.fromkeys(f"{task.get('dataset')}" for task in tasks if task))
    seeds = meta.get("seeds") or []
    states = Counter(t["state"] for t in trials)
    limit = f"at most {meta['minutes']:g} minutes" if meta.get("minutes") else "the budgets of its cases"
    return [
        ("data", listing(data) or "not recorded yet"),
        (
            "seeds",
            f"{', '.join(map(str, seeds))}; shared by all entries of a level; measured on validation, the "
            "test split is closed",
        ),
        ("trials", f"{states['COMPLETE']} complete, {states['FAIL']} failed"),
        ("time", f"{duration(meta.get('seconds'))} of {limit} on {joined(meta.get('hardware'))}"),
    ]


def trust(results: Results) -> list[str]:
    """What this page can and cannot show."""
    seeds = results.meta.get("seeds") or []
    points = [
        f"Intervals are over {count(len(seeds), 'seed')}: a seed changes the partition, the cohorts and "
        "the first weights, on one dataset.",
        "Verdicts at many levels are read at once, each at its own confidence: some would be wrong by "
        "chance alone.",
        "Methods are not tuned again at each level: a verdict is on the method with the settings of its "
        "space, not on the best that it "
        "could do.",
    ]
    if results.meta.get("quick"):
        points.append(
            "A quick run trains small federations for a few rounds: it shows that stress bites and where "
            "to look, not final accuracies."
        )
    backbones = {(loads(t.get("experiment")).get("task") or {}).get("backbone") for t in results.trials}
    return [*points, OWN, *(small_backbone("scenes-clip") if "scenes-clip" in backbones else [])]
