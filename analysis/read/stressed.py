"""Numbers of a stress run: accuracies by level, differences to the references, verdicts, breaking points.

All of them are rows of the tables `estimates` and `verdicts`, which `analysis.verdicts` writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from ..stats.judgements import Judgement, LevelVerdict, breaking_level, level_verdict
from .results import OBJECTIVE, Results, Row

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
        label: The method, its sibling, its variant, a reference, or a rule without training.
        role: `entry` (it is judged), `reference`, or `floor` (a rule without training).
        level: Label of the level; `x` is the level as a number.
        accuracy: Its mean with low and high (over seeds and images where these were kept); None without one.
        gaps: Name of a reference or of a rule without training -> the difference to it, a row of `verdicts`.
        change: The difference to itself at the mildest level; None there.
        verdict: See `judgements.level_verdict`.
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
        lost = self.verdict == "break" or (self.role == "reference" and self.accuracy is None)
        return self.remark.startswith("diverged") and lost


@dataclass(frozen=True)
class BreakingPoint:
    """The first level that is shown to break, the last before it that passes, and both in words."""

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
    return str(((case.get("metrics") or {}).get(space) or {}).get(label) or OBJECTIVE)


def outcomes(results: Results) -> list[Outcome]:
    """Return all outcomes, references and floors included, by case, space and level in the declared order."""
    names = [case["name"] for case in cases(results)] or [""]
    rows, measured = results.sql(ACCURACIES, cases=names), dict[tuple[str, ...], Row]()
    floors = dict.fromkeys(row["label"] for row in rows if row["is_floor"])
    for row in rows:
        label = row["label"] if row["is_floor"] else row["entry"]
        # every entry measures the floors beside itself; the first is taken
        measured.setdefault((row["case"], row["space"], row["level"], label, row["metric"]), row)
    judged: dict[tuple[str, ...], list[Row]] = {}
    for row in results.sql(DIFFERENCES, cases=names):
        judged.setdefault((row["scenario"], row["space"], row["level"], row["subject"]), []).append(row)
    found = []
    for case in cases(results):
        for space, entries in (case.get("entries") or {}).items():
            own = OBJECTIVE in [metric_of(case, space, name) for name in labels_of(case, space)]
            beside = [name for name in floors if own and (name != "zero-shot" or "zeroshot" not in entries)]
            for level in case["levels"]:
                for label in [*entries, *beside]:
                    key = (str(case["name"]), space, str(level["label"]), label)
                    metric = OBJECTIVE if label in beside else metric_of(case, space, label)
                    accuracy = measured.get((*key, metric))
                    if accuracy or label not in beside:
                        found.append(_outcome(results, case, level, key, accuracy, judged.get(key, [])))
    return found


def _outcome(
    results: Results, case: Row, level: Row, key: tuple[str, ...], accuracy: Row | None, rows: Sequence[Row]
) -> Outcome:
    """Return an outcome from its row of `estimates` and its rows of `verdicts`."""
    name, space, here, label = key
    role = "reference" if label in REFERENCES else "entry" if label in case["entries"][space] else "floor"
    mildest = str(case["levels"][0]["label"])
    gaps = {row["b"].rpartition(": ")[2].removesuffix(f" at {here}"): row for row in rows}
    change = gaps.pop(f"{label} at {mildest}", None) if here != mildest else None
    references = [judgement_of(row) for other, row in gaps.items() if other in REFERENCES]
    verdict = level_verdict(references, judgement_of(change) if change else None, margin(results))
    remark = reason_not_run(results, case, space, here, label)
    if accuracy is not None:
        lost = f"diverged on {accuracy['lost']} of {accuracy['lost'] + accuracy['seeds']} seeds"
        remark = (str(accuracy["reason"] or "") or lost) if accuracy["lost"] else ""
    return Outcome(
        case=name, space=space, label=label, level=here, x=float(level["x"]),
        role=role, gaps=gaps, change=change, verdict=verdict if role == "entry" else "not run", remark=remark,
        accuracy=accuracy if accuracy and accuracy["mean"] is not None else None,
        runs=tuple((accuracy or {}).get("runs") or ()) if role != "floor" else (),
    )  # fmt: skip


def judgement_of(row: Row) -> Judgement:
    """Return the judgement that a row of the table of verdicts holds."""
    values = {field.name: row[field.name] for field in fields(Judgement)}
    return Judgement(**{**values, "seeds": tuple(values["seeds"] or ())})


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
    """Find where one entry breaks; its outcomes are from the mildest level to the severest."""
    found = breaking_level([o.verdict for o in levels])
    passed, broke = (None if at is None else levels[at].level for at in (found.passed, found.broke))
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
    shown = [verdict for verdict in VERDICTS[:2] if verdict in verdicts]
    if shown or not set(verdicts) - {"not run"}:
        return shown[0] if shown else "not run"
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
    text = "SELECT run, list(DISTINCT name ORDER BY name) AS names FROM signatures GROUP BY run ORDER BY run"
    return {row["run"]: row["names"] for row in results.sql(text)}
