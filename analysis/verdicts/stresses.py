"""Differences of a stress run: each entry at each level to the references there, and to its mildest level."""

from __future__ import annotations

from collections.abc import Iterator

from ..read.results import Results, Row
from ..read.stressed import REFERENCES, cases
from .samples import FLOORS, OWN, Difference, Samples, Side
from .study import pool_name


def stresses(results: Results, samples: Samples) -> Iterator[Difference]:
    """Yield the differences of all cases; the references themselves are not judged."""
    for case in cases(results):
        for space, labels in (case.get("entries") or {}).items():
            yield from _of_case(results, samples, case, space, labels)


def _of_case(
    results: Results, samples: Samples, case: Row, space: str, labels: list[str]
) -> Iterator[Difference]:
    trials = stress_trials(results)
    prefix = f"{space}: " if len(results.meta.get("spaces") or []) > 1 else ""
    levels = [str(level["label"]) for level in case["levels"]]
    metrics = (case.get("metrics") or {}).get(space) or {}

    def side(label: str, level: str, floor: str = "", of: str = "") -> Side | None:
        trial = trials.get((space, case["name"], level, of or label))
        metric = metrics.get(of or label) or OWN
        return samples.side(f"{prefix}{label} at {level}", trial, metric, "validation", floor)

    for label in (label for label in labels if label not in REFERENCES):
        metric = metrics.get(label) or OWN
        for level in levels:
            others = [(name, level, "", "") for name in labels if name in REFERENCES]
            others += [(label, levels[0], "", "")] if level != levels[0] else []
            if metric == OWN:
                others += [
                    (words, level, floor, label) for floor, words in FLOORS.items() if floor not in labels
                ]
            a = side(label, level)
            for other in others:
                b = side(*other)
                if a and b:
                    yield Difference(
                        space=space,
                        scenario=str(case["name"]),
                        family="stress",
                        kind="stress",
                        subject=label,
                        level=level,
                        a=a,
                        b=b,
                        metric=metric,
                        split="validation",
                        planned=len(results.meta.get("seeds") or []),
                        pool=pool_name(space, str(case["name"]), "stress", metric, "validation"),
                        reason=not_run(case, space, level, label) if not a.sample.outcomes else "",
                    )


def stress_trials(results: Results) -> dict[tuple[str, str, str, str], Row]:
    """Return (space, case, level, entry) -> trial."""
    rows = results.sql("FROM trials WHERE kind = 'stress' ORDER BY trial")
    return {
        (str(t["study"]).split(" | ")[0], str(t["factor"]), str(t["level"]), str(t["label"])): t for t in rows
    }


def not_run(case: Row, space: str, level: str, label: str) -> str:
    """Return why an entry has no trial at a level."""
    listed = [
        str(row["reason"])
        for row in case.get("not_run") or []
        if row["space"] == space and row["level"] == level and row["label"] in ("", label)
    ]
    return next(iter([*listed, str(case.get("skipped") or "")]), "") or "never ran"
