"""Differences of a stress run: each entry at each level to the references there, and to its mildest level."""

from __future__ import annotations

from collections.abc import Iterator

from ..read.results import Results, Row
from ..read.stressed import REFERENCES, cases, labels_of, metric_of, reason_not_run, spaces_of
from .samples import FLOORS, OWN, Difference, Samples, Side
from .study import VALIDATION


def stresses(results: Results, samples: Samples) -> Iterator[Difference]:
    """Yield the differences of all cases; the references themselves are not judged."""
    trials = {
        (str(t["study"]).split(" | ")[0], str(t["factor"]), str(t["level"]), str(t["label"])): t
        for t in results.sql("FROM trials WHERE kind = 'stress' ORDER BY trial")
    }
    for case in cases(results):
        for space in spaces_of(case):
            yield from _of_case(results, samples, case, space, trials)


def _of_case(
    results: Results, samples: Samples, case: Row, space: str, trials: dict[tuple[str, str, str, str], Row]
) -> Iterator[Difference]:
    prefix = f"{space}: " if len(results.meta.get("spaces") or []) > 1 else ""
    name, levels = str(case["name"]), [str(level["label"]) for level in case["levels"]]
    entries = case["entries"][space]

    def side(label: str, level: str, floor: str = "") -> Side | None:
        """Return an entry at a level, or the rule without training that was measured beside it."""
        words = FLOORS[floor] if floor else label
        trial, metric = trials.get((space, name, level, label)), metric_of(case, space, label)
        return samples.side(f"{prefix}{words} at {level}", trial, metric, VALIDATION, floor)

    for label in labels_of(case, space):
        metric = metric_of(case, space, label)
        for level in levels:
            others = [side(reference, level) for reference in entries if reference in REFERENCES]
            others += [side(label, levels[0])] if level != levels[0] else []
            others += [side(label, level, f) for f in FLOORS if metric == OWN and f not in entries]
            a = side(label, level)
            for b in others:
                if a and b:
                    ran = bool(a.sample.outcomes)
                    yield Difference(
                        space=space, scenario=name, family="stress", kind="stress", subject=label,
                        level=level, a=a, b=b, metric=metric, split=VALIDATION,
                        planned=len(results.meta.get("seeds") or []), group=(space, name, "stress"),
                        reason="" if ran else reason_not_run(results, case, space, level, label),
                    )  # fmt: skip
