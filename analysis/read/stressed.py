"""What a stress run's files say: accuracies by level, differences to the references, verdicts, breaking points. Numbers only."""

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
NAMES = {"zeroshot": "zero-shot", "local": "local-only", "local_network": "local-only"}


def judge(gaps: Sequence[Interval | None], margin: float) -> Verdict:
    """The verdict on a method at a level.

    Args:
        gaps: Method minus reference, paired by seed, for every reference of the case; None where that has no
            result.
        margin: How much worse may pass, an accuracy.

    Returns:
        `break` when every gap is shown to be below -margin, `degrade` when some are and not all, `pass` when
        every gap is shown to be above -margin (so the method is no worse than the better reference minus the
        margin), else `undecided`. An interval shows something when all of it lies on one side; one seed, and
        seeds that agree to the last bit, show nothing.
    """
    able = [
        (gap.low, gap.high)
        for gap in gaps
        if gap and gap.low is not None and gap.high is not None and gap.high - gap.low > NO_WIDTH
    ]
    below = [high < -margin for _, high in able]
    if gaps and len(able) == len(gaps) and all(below):
        return "break"
    if any(below):
        return "degrade"
    return (
        "pass" if gaps and len(able) == len(gaps) and all(low > -margin for low, _ in able) else "undecided"
    )


@dataclass(frozen=True)
class Outcome:
    """A method, or a variant of it, at one level.

    Attributes:
        values: Accuracy by seed; empty where there is none.
        accuracy: Their mean and interval.
        gaps: Reference -> method minus reference, paired by seed.
        own: Method at this level minus itself at the mildest, paired by seed.
        verdict: See `judge`; a trial that diverged on two or more seeds' terms is a `break` too.
        remark: Why there is no value, or what happened.
        runs: Of its trial.
    """

    case: str
    space: str
    label: str
    level: str
    x: float
    values: Mapping[int, float]
    accuracy: Interval | None
    gaps: Mapping[str, Interval | None]
    own: Interval | None
    verdict: Verdict
    remark: str
    runs: tuple[str, ...]

    @property
    def diverged(self) -> bool:
        """Whether it left no model."""
        return self.remark.startswith("diverged")


@dataclass(frozen=True)
class Breaking:
    """Where a method breaks: between the last level shown to pass and the first shown to break, as far as there are such."""

    passed: str | None
    broke: str | None
    sentence: str


def cases(results: Results) -> list[Row]:
    """The declared cases."""
    return [case for case in results.meta.get("cases") or [] if isinstance(case, dict)]


def margin(results: Results) -> float:
    """How much worse than a reference may pass."""
    return float(results.meta.get("margin") or 0.05)


def spaces_of(case: Row) -> list[str]:
    """The spaces that a case is run for."""
    return list(case.get("entries") or {})


def labels_of(case: Row, space: str) -> list[str]:
    """The method, its sibling and its variants: what is judged."""
    return [label for label in (case.get("entries") or {}).get(space, []) if label not in REFERENCES]


def outcomes(results: Results) -> list[Outcome]:
    """Everything that is judged or drawn: entries by level by space by case, in the declared order, references too."""
    trials = {(t["study"], t["label"]): t for t in results.trials if t.get("kind") == "stress"}
    found: list[Outcome] = []
    for case in cases(results):
        for space in spaces_of(case):
            mildest: dict[str, Mapping[int, float]] = {}
            for level in case["levels"]:
                at = {
                    label: trials.get((f"{space} | {case['name']} | {level['label']}", label))
                    for label in case["entries"][space]
                }
                values = {label: _values(trial, case, space, label) for label, trial in at.items()}
                for label, trial in at.items():
                    mildest.setdefault(label, values[label])
                    found.append(_outcome(results, case, space, level, label, trial, values, mildest[label]))
    return found


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
    confidence = results.confidence
    gaps = {
        name: paired(values[label], values[name], confidence)
        for name in values
        if name in REFERENCES and name != label
    }
    own = None if level is case["levels"][0] else paired(values[label], mildest, confidence)
    remark = _remark(case, space, level["label"], label, trial)
    verdict: Verdict = "not run"
    if trial is not None and trial["state"] == "COMPLETE":
        verdict = judge(list(gaps.values()), margin(results))
    elif remark.startswith("diverged"):
        seeds = re.match(r"diverged: (\d+) of", remark)  # one seed decides nothing, also where it diverges
        verdict = "break" if seeds and int(seeds[1]) > 1 else "undecided"
    accuracy, runs = (
        t_interval(list(values[label].values()), confidence),
        tuple((trial or {}).get("runs") or ()),
    )
    return Outcome(
        case["name"],
        space,
        label,
        level["label"],
        float(level["x"]),
        values[label],
        accuracy,
        gaps,
        own,
        verdict,
        remark,
        runs,
    )


def _values(trial: Row | None, case: Row, space: str, label: str) -> dict[int, float]:
    """Seed -> the metric that the case judges of this entry; nothing of a trial that did not finish."""
    if trial is None or trial["state"] != "COMPLETE":
        return {}
    metric = ((case.get("metrics") or {}).get(space) or {}).get(label) or "acc_personal_own"
    return {seed: value for seed, value in by_seed(trial, metric).items() if math.isfinite(value)}


def _remark(case: Row, space: str, level: str, label: str, trial: Row | None) -> str:
    """Why there is no value."""
    if trial is not None:
        return "" if trial["state"] == "COMPLETE" else str(trial.get("reason") or "failed")
    left = [
        r
        for r in case.get("not_run") or []
        if r["space"] == space and r["level"] == level and r["label"] in ("", label)
    ]
    return left[0]["reason"] if left else "not finished yet"


def breaking(own: Sequence[Outcome]) -> Breaking:
    """Where one entry breaks.

    Args:
        own: Its outcomes, from the mildest level to the severest.
    """
    broke = next((i for i, o in enumerate(own) if o.verdict == "break"), None)
    before = own if broke is None else own[:broke]
    passed = next((o for o in reversed(before) if o.verdict == "pass"), None)
    again = [o.level for o in own[broke + 1 :] if o.verdict == "pass"] if broke is not None else []
    run = [o for o in own if o.verdict != "not run"]
    if broke is not None:
        at = own[broke].level
        none = (
            "is broken at the mildest level already"
            if broke == 0
            else f"broken at {at}; no milder level is shown to pass"
        )
        text = f"breaks between {passed.level} and {at}" if passed else none
        text += f" (and passes again at {', '.join(again)})" if again else ""
    elif not run:
        text = "not run"
    elif passed and passed is own[-1]:
        text = f"not reached: passes at {passed.level}"
    else:
        text = f"not shown up to {run[-1].level}; " + (
            f"passes at {passed.level}" if passed else "no level is shown to pass"
        )
    return Breaking(passed.level if passed else None, own[broke].level if broke is not None else None, text)


def worst(own: Sequence[Outcome]) -> Verdict:
    """The verdict on a case: the worst that was shown; `pass` only where the severest level passes."""
    shown = [o.verdict for o in own]
    for verdict in ("break", "degrade"):
        if verdict in shown:
            return verdict
    if not shown or set(shown) == {"not run"}:
        return "not run"
    return "pass" if shown[-1] == "pass" else "undecided"


def unstressed(own: Sequence[Outcome]) -> bool:
    """Whether it is broken at the mildest level: then the stress is not what broke it."""
    return bool(own) and own[0].verdict == "break"


def grouped(found: Sequence[Outcome]) -> dict[tuple[str, str, str], list[Outcome]]:
    """Outcomes by case, space and label, each from the mildest level to the severest."""
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for outcome in found:
        groups.setdefault((outcome.case, outcome.space, outcome.label), []).append(outcome)
    return groups


def signatures(results: Results) -> dict[str, list[str]]:
    """Run -> the failure signatures that fired in it."""
    fired: dict[str, list[str]] = {}
    for row in results.table("signatures").to_pylist():
        names = fired.setdefault(str(row.get("run")), [])
        if row["name"] not in names:
            names.append(row["name"])
    return fired
