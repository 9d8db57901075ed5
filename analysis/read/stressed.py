"""Numbers of a stress run: accuracies by level, differences to the references, verdicts, breaking points."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..stats.intervals import NO_WIDTH, Interval, paired, t_interval
from .results import Results, Row, by_seed

Verdict = Literal["pass", "degrade", "break", "undecided", "not run"]
VERDICTS: tuple[Verdict, ...] = ("break", "degrade", "pass", "undecided", "not run")
LOCAL = ("local", "local_network")
REFERENCES = ("zeroshot", *LOCAL)
REFERENCE_NAMES = {"zeroshot": "zero-shot", "local": "local-only", "local_network": "local-only"}


def judge(gaps: Sequence[Interval | None], margin: float) -> Verdict:
    """The verdict on a method at a level.

    Args:
        gaps: Method minus reference, paired by seed, for every reference of the case; None where that has no
            result.
        margin: By how much a method may be worse and still pass; a difference of accuracies.

    Returns:
        `break` when every gap is shown to be below -margin; `degrade` when some are, but not all; `pass` when
        every gap is shown to be above -margin, so that the method is no worse than the better reference minus
        the margin; else `undecided`. An interval shows that a gap is below or above when all of it is. One
        seed, and seeds that agree to the last bit, show nothing.
    """
    ends = [
        (gap.low, gap.high)
        for gap in gaps
        if gap and gap.low is not None and gap.high is not None and gap.high - gap.low > NO_WIDTH
    ]
    complete = bool(gaps) and len(ends) == len(gaps)
    below = [high < -margin for _, high in ends]
    if complete and all(below):
        return "break"
    if any(below):
        return "degrade"
    return "pass" if complete and all(low > -margin for low, _ in ends) else "undecided"


@dataclass(frozen=True)
class Outcome:
    """A method, or a variant of it, at one level.

    Attributes:
        case: Name of the case.
        space: Space of the method.
        label: The method, its sibling, its variant or a reference.
        level: Label of the level.
        x: The level as a number.
        values: Seed -> accuracy; empty where there is none.
        accuracy: Their mean and interval.
        gaps: Reference -> method minus reference, paired by seed.
        change: Method at this level minus itself at the mildest, paired by seed.
        verdict: See `judge`; a trial that diverged with two or more seeds is a `break` too.
        remark: Why there is no value; empty where there is one.
        runs: The runs of its trial.
    """

    case: str
    space: str
    label: str
    level: str
    x: float
    values: Mapping[int, float]
    accuracy: Interval | None
    gaps: Mapping[str, Interval | None]
    change: Interval | None
    verdict: Verdict
    remark: str
    runs: tuple[str, ...]

    @property
    def diverged(self) -> bool:
        """Whether training diverged and left no model."""
        return self.remark.startswith("diverged")


@dataclass(frozen=True)
class BreakingPoint:
    """The breaking point of a method.

    Attributes:
        passed: The last level before it that is shown to pass, if any.
        broke: The first level that is shown to break, if any.
        sentence: Both in words.
    """

    passed: str | None
    broke: str | None
    sentence: str


def cases(results: Results) -> list[Row]:
    """Return the declared cases."""
    return [case for case in results.meta.get("cases") or [] if isinstance(case, dict)]


def margin(results: Results) -> float:
    """Return by how much a method may be worse than a reference and still pass."""
    return float(results.meta.get("margin") or 0.05)


def spaces_of(case: Row) -> list[str]:
    """Return the spaces for which a case is run."""
    return list(case.get("entries") or {})


def labels_of(case: Row, space: str) -> list[str]:
    """Return what is judged in a space: the method, its sibling and its variants."""
    return [label for label in (case.get("entries") or {}).get(space, []) if label not in REFERENCES]


def outcomes(results: Results) -> list[Outcome]:
    """Return all outcomes, references included, by case, space and level in the declared order."""
    trials = {(t["study"], t["label"]): t for t in results.trials if t.get("kind") == "stress"}
    rows: list[Outcome] = []
    for case in cases(results):
        for space in spaces_of(case):
            mildest: dict[str, Mapping[int, float]] = {}
            for level in case["levels"]:
                study = f"{space} | {case['name']} | {level['label']}"
                at_level = {label: trials.get((study, label)) for label in case["entries"][space]}
                values = {label: _values(trial, case, space, label) for label, trial in at_level.items()}
                for label, trial in at_level.items():
                    mildest.setdefault(label, values[label])
                    rows.append(_outcome(results, case, space, level, label, trial, values, mildest[label]))
    return rows


def _outcome(
    results: Results,
    case: Row,
    space: str,
    level: Row,
    label: str,
    trial: Row | None,
    values: Mapping[str, Mapping[int, float]],
    mildest: Mapping[int, float],
) -> Outcome:
    confidence, first = results.confidence, level is case["levels"][0]
    references = [name for name in values if name in REFERENCES and name != label]
    gaps = {name: paired(values[label], values[name], confidence) for name in references}
    remark = _remark(case, space, level["label"], label, trial)
    return Outcome(
        case=case["name"],
        space=space,
        label=label,
        level=level["label"],
        x=float(level["x"]),
        values=values[label],
        accuracy=t_interval(list(values[label].values()), confidence),
        gaps=gaps,
        change=None if first else paired(values[label], mildest, confidence),
        verdict=_verdict(trial, remark, list(gaps.values()), margin(results)),
        remark=remark,
        runs=tuple((trial or {}).get("runs") or ()),
    )


def _verdict(trial: Row | None, remark: str, gaps: Sequence[Interval | None], margin: float) -> Verdict:
    """The verdict of `judge`, or what follows from a trial without accuracies."""
    if trial is not None and trial["state"] == "COMPLETE":
        return judge(gaps, margin)
    if remark.startswith("diverged"):
        seeds = re.match(r"diverged: (\d+) of", remark)  # one seed decides nothing, also where it diverges
        return "break" if seeds and int(seeds[1]) > 1 else "undecided"
    return "not run"


def _values(trial: Row | None, case: Row, space: str, label: str) -> dict[int, float]:
    """Seed -> the accuracy that the case judges for this entry; empty for a trial that did not finish."""
    if trial is None or trial["state"] != "COMPLETE":
        return {}
    metric = ((case.get("metrics") or {}).get(space) or {}).get(label) or "acc_personal_own"
    return {seed: value for seed, value in by_seed(trial, metric).items() if math.isfinite(value)}


def _remark(case: Row, space: str, level: str, label: str, trial: Row | None) -> str:
    """Return why there is no value."""
    if trial is not None:
        return "" if trial["state"] == "COMPLETE" else str(trial.get("reason") or "failed")
    reasons = [
        r["reason"]
        for r in case.get("not_run") or []
        if r["space"] == space and r["level"] == level and r["label"] in ("", label)
    ]
    return reasons[0] if reasons else "not finished yet"


def breaking_point(levels: Sequence[Outcome]) -> BreakingPoint:
    """Find where one entry breaks.

    Args:
        levels: Its outcomes, from the mildest level to the severest.
    """
    first_break = next((i for i, o in enumerate(levels) if o.verdict == "break"), None)
    milder = levels if first_break is None else levels[:first_break]
    passed = next((o.level for o in reversed(milder) if o.verdict == "pass"), None)
    broke = None if first_break is None else levels[first_break].level
    if first_break is not None:
        passes_again = [o.level for o in levels[first_break + 1 :] if o.verdict == "pass"]
        text = _broken(passed, str(broke), mildest=first_break == 0)
        text += f" (and passes again at {', '.join(passes_again)})" if passes_again else ""
    else:
        text = _not_broken(passed, levels)
    return BreakingPoint(passed, broke, text)


def _broken(passed: str | None, broke: str, mildest: bool) -> str:
    if passed:
        return f"breaks between {passed} and {broke}"
    if mildest:
        return "is broken at the mildest level already"
    return f"broken at {broke}; no milder level is shown to pass"


def _not_broken(passed: str | None, levels: Sequence[Outcome]) -> str:
    measured = [o for o in levels if o.verdict != "not run"]
    if not measured:
        return "not run"
    if passed and levels[-1].verdict == "pass":
        return f"not reached: passes at {passed}"
    return f"not shown up to {measured[-1].level}; " + (
        f"passes at {passed}" if passed else "no level is shown to pass"
    )


def worst_verdict(levels: Sequence[Outcome]) -> Verdict:
    """Return the verdict on a case: the worst that was shown; `pass` only where the severest level passes."""
    verdicts = [o.verdict for o in levels]
    for verdict in ("break", "degrade"):
        if verdict in verdicts:
            return verdict
    if not verdicts or set(verdicts) == {"not run"}:
        return "not run"
    return "pass" if verdicts[-1] == "pass" else "undecided"


def broken_from_start(levels: Sequence[Outcome]) -> bool:
    """Whether an entry is broken at the mildest level; then the stress is not the cause."""
    return bool(levels) and levels[0].verdict == "break"


def by_entry(rows: Sequence[Outcome]) -> dict[tuple[str, str, str], list[Outcome]]:
    """Group outcomes by case, space and label, each from the mildest level to the severest."""
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for row in rows:
        groups.setdefault((row.case, row.space, row.label), []).append(row)
    return groups


def signatures_of_runs(results: Results) -> dict[str, list[str]]:
    """Run -> names of the failure signatures that fired in it."""
    names: dict[str, list[str]] = {}
    for row in results.table("signatures").to_pylist():
        of_run = names.setdefault(str(row.get("run")), [])
        if row["name"] not in of_run:
            of_run.append(row["name"])
    return names
