"""Numbers of a stress run: accuracies by level, differences to the references, verdicts, breaking points.

All of them are rows of the tables `estimates` and `verdicts`, which `analysis.verdicts` writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from ..stats.breaking import LevelVerdict, breaking_level, level_verdict
from ..stats.judgements import Judgement
from .results import Results, Row

VERDICTS: tuple[LevelVerdict, ...] = ("break", "degrade", "pass", "undecided", "not run")
LOCAL = ("local", "local_network")
REFERENCES = ("zeroshot", *LOCAL)
REFERENCE_NAMES = {"zeroshot": "zero-shot", "local": "local-only", "local_network": "local-only"}
ACCURACIES = """SELECT t.factor AS "case", split_part(t.study, ' | ', 1) AS space, t.level, t.label AS entry,
  e.kind = 'floor' AS is_floor, e.label, e.metric, e.mean, coalesce(e.low_both, e.low) AS low,
  coalesce(e.high_both, e.high) AS high, len(e.seeds) AS seeds, e.lost, t.reason, t.runs
FROM estimates e JOIN trials t USING (trial)
WHERE t.kind = 'stress' AND t.factor IN $cases ORDER BY e.number"""
DIFFERENCES = """SELECT * FROM verdicts WHERE kind = 'stress' AND scenario IN $cases ORDER BY number"""


@dataclass(frozen=True)
class Outcome:
    """A method, a variant of it or a reference, at one level.

    Attributes:
        case: Name of the case.
        space: Space of the method.
        label: The method, its sibling, its variant, a reference, or a rule without training.
        role: `entry` (it is judged), `reference`, or `floor` (a rule without training).
        level: Label of the level.
        x: The level as a number.
        accuracy: Its mean with low and high (over seeds and images where these were kept); None without one.
        gaps: Name of a reference or of a rule without training -> the difference to it, a row of `verdicts`.
        change: The difference to itself at the mildest level; None there.
        verdict: See `breaking.level_verdict`.
        remark: Why there is no value, or on how many seeds it diverged; empty where neither holds.
        runs: The runs of its trial.
    """

    case: str
    space: str
    label: str
    role: str
    level: str
    x: float
    accuracy: Row | None
    gaps: Mapping[str, Row]
    change: Row | None
    verdict: LevelVerdict
    remark: str
    runs: tuple[str, ...]

    @property
    def diverged(self) -> bool:
        """Whether training diverged on at least half of the seeds."""
        return self.remark.startswith("diverged") and self.verdict == "break"


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
    """Return by how much a method may be worse than a reference, or than itself, and still pass."""
    return float(results.meta.get("margin") or 0.05)


def spaces_of(case: Row) -> list[str]:
    """Return the spaces for which a case is run."""
    return list(case.get("entries") or {})


def labels_of(case: Row, space: str) -> list[str]:
    """Return what is judged in a space: the method, its sibling and its variants."""
    return [label for label in (case.get("entries") or {}).get(space, []) if label not in REFERENCES]


def metric_of(case: Row, space: str, label: str) -> str:
    """Return the column that a case judges for an entry."""
    return str(((case.get("metrics") or {}).get(space) or {}).get(label) or "acc_personal_own")


def outcomes(results: Results) -> list[Outcome]:
    """Return all outcomes, references and floors included, by case, space and level in the declared order."""
    names = [case["name"] for case in cases(results)] or [""]
    accuracies: dict[tuple[str, ...], Row] = {}
    floors: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in results.sql(ACCURACIES, cases=names):
        key = (row["case"], row["space"], row["level"])
        if row["is_floor"]:
            floors.setdefault(key, {}).setdefault(row["label"], row)
        else:
            accuracies[(*key, row["entry"], row["metric"])] = row
    judged: dict[tuple[str, ...], list[Row]] = {}
    for row in results.sql(DIFFERENCES, cases=names):
        judged.setdefault((row["scenario"], row["space"], row["level"], row["subject"]), []).append(row)
    rows = []
    for case in cases(results):
        for space in spaces_of(case):
            for level in case["levels"]:
                key = (str(case["name"]), space, str(level["label"]))
                for label in case["entries"][space]:
                    accuracy = accuracies.get((*key, label, metric_of(case, space, label)))
                    found = judged.get((*key, label), [])
                    rows.append(_outcome(results, case, space, level, label, accuracy, found))
                own = "acc_personal_own" in {metric_of(case, space, name) for name in labels_of(case, space)}
                for label, row in floors.get(key, {}).items() if own else ():
                    if label == "zero-shot" and "zeroshot" in case["entries"][space]:
                        continue
                    place = (*key[:2], label, "floor", key[2], float(level["x"]))
                    rows.append(Outcome(*place, row, {}, None, "not run", "", ()))
    return rows


def _outcome(
    results: Results,
    case: Row,
    space: str,
    level: Row,
    label: str,
    accuracy: Row | None,
    found: Sequence[Row],
) -> Outcome:
    """Return one outcome from its row of `estimates` and its rows of `verdicts`."""
    name, mildest = str(level["label"]), str(case["levels"][0]["label"])
    against = {row["b"].rpartition(": ")[2].removesuffix(f" at {name}"): row for row in found}
    change = next(
        (row for row in found if row["b"].endswith(f"{label} at {mildest}") and name != mildest), None
    )
    gaps = {other: row for other, row in against.items() if row is not change}
    references = [judgement_of(row) for other, row in gaps.items() if other in REFERENCES]
    verdict = level_verdict(references, judgement_of(change) if change else None, margin(results))
    has_value = accuracy is not None and accuracy["mean"] is not None
    return Outcome(
        case=str(case["name"]),
        space=space,
        label=label,
        role="reference" if label in REFERENCES else "entry",
        level=name,
        x=float(level["x"]),
        accuracy=accuracy if has_value else None,
        gaps=gaps,
        change=change,
        verdict=verdict if label not in REFERENCES else "not run",
        remark=_remark(results, case, space, name, label, accuracy),
        runs=tuple((accuracy or {}).get("runs") or ()),
    )


def judgement_of(row: Row) -> Judgement:
    """Return the judgement that a row of the table of verdicts holds."""
    values = {field.name: row[field.name] for field in fields(Judgement)}
    return Judgement(**{**values, "seeds": tuple(values["seeds"] or ())})


def _remark(results: Results, case: Row, space: str, level: str, label: str, accuracy: Row | None) -> str:
    """Return why there is no value, or on how many seeds it diverged."""
    if accuracy is not None:
        lost = f"diverged on {accuracy['lost']} of {accuracy['lost'] + accuracy['seeds']} seeds"
        return (str(accuracy["reason"] or "") or lost) if accuracy["lost"] else ""
    return reason_not_run(results, case, space, level, label)


def reason_not_run(results: Results, case: Row, space: str, level: str, label: str) -> str:
    """Return why an entry has no trial at a level."""
    listed = [
        str(row["reason"])
        for row in case.get("not_run") or []
        if row["space"] == space and row["level"] == level and row["label"] in ("", label)
    ]
    running = results.meta.get("status") == "running"
    plain = "it has not run so far" if running else "never ran"
    return next(reason for reason in (*listed, case.get("skipped"), plain) if reason)


def breaking_point(levels: Sequence[Outcome]) -> BreakingPoint:
    """Find where one entry breaks.

    Args:
        levels: Its outcomes, from the mildest level to the severest.
    """
    found = breaking_level([o.verdict for o in levels])
    passed = None if found.passed is None else levels[found.passed].level
    broke = None if found.broke is None else levels[found.broke].level
    measured = [o.level for o in levels if o.verdict != "not run"]
    if not measured:
        text = "not run"
    elif broke and passed:
        text = f"breaks between {passed} and {broke}"
    elif broke:
        early = "is broken at the mildest level already"
        text = early if found.broke == 0 else f"broken at {broke}; no milder level is shown to pass"
    elif passed and levels[-1].verdict == "pass":
        text = f"not reached: passes at {passed}"
    else:
        shown = f"passes at {passed}" if passed else "no level is shown to pass"
        text = f"not shown up to {measured[-1]}; {shown}"
    if found.alone:
        text += f" (broken at {', '.join(levels[i].level for i in found.alone)}, but not at a severer level)"
    return BreakingPoint(passed, broke, text)


def worst_verdict(levels: Sequence[Outcome]) -> LevelVerdict:
    """Return the verdict on a case: the worst that was shown; `pass` only where the severest level passes."""
    verdicts = [o.verdict for o in levels]
    for verdict in VERDICTS[:2]:
        if verdict in verdicts:
            return verdict
    if not verdicts or set(verdicts) == {"not run"}:
        return "not run"
    return "pass" if verdicts[-1] == "pass" else "undecided"


def broken_from_start(levels: Sequence[Outcome]) -> bool:
    """Whether an entry is broken at the mildest level; then the stress is not the cause."""
    return bool(levels) and levels[0].verdict == "break"


def by_entry(rows: Iterable[Outcome]) -> dict[tuple[str, str, str], list[Outcome]]:
    """Group outcomes by case, space and label, each from the mildest level to the severest."""
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for row in rows:
        groups.setdefault((row.case, row.space, row.label), []).append(row)
    return groups


def signatures_of_runs(results: Results) -> dict[str, list[str]]:
    """Run -> names of the failure signatures that fired in it."""
    names: dict[str, list[str]] = {}
    for row in results.sql("SELECT DISTINCT run, name FROM signatures ORDER BY ALL"):
        names.setdefault(row["run"], []).append(row["name"])
    return names
