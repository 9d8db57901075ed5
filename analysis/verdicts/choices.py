"""Differences on the selection seeds: each level to the anchor, two changes together, leads over rivals."""

from __future__ import annotations

from collections.abc import Iterator

from ..read.results import Row
from .samples import OWN, Difference, Side, added
from .study import Study

METHOD = "method."  # start of the paths of the method's own choices; other settings change the rivals too
SUM = "both effects added"
ANCHOR = "anchor"


def choices(study: Study) -> Iterator[Difference]:
    """Yield each declared or tried level of each choice against the anchor, in each scenario."""
    if not study.plans("contrast"):
        return
    for scenario in study.scenarios:
        contrasts = _contrasts(study, scenario)
        anchor = study.side(ANCHOR, contrasts.get(None), OWN)
        for path, level in _levels(study):
            label = f"{path}={level}"
            a = study.side(label, contrasts.get((path, level)), OWN)
            if a and anchor:
                yield study.difference(
                    "choice", "choices", scenario, a, anchor, subject=path, level=level, metric=OWN,
                    split="validation", reason=_reason(study, scenario, (a, label), (anchor, ANCHOR)),
                )  # fmt: skip


def _reason(study: Study, scenario: str, *sides: tuple[Side, str], kind: str = "contrast") -> str:
    """Return why the first side that never ran did not."""
    for side, label in sides:
        if not side.sample.outcomes:
            return study.reason(kind, scenario, label)
    return ""


def _contrasts(study: Study, scenario: str) -> dict[tuple[str, str] | None, Row]:
    """Return (path, level) -> trial; the anchor's key is None."""
    return {
        (str(t["factor"]), str(t["level"])) if t["factor"] else None: t
        for t in study.of("contrast", scenario)
    }


def _levels(study: Study) -> list[tuple[str, str]]:
    """Return path and level of the declared levels but the anchor's, then of others that were tried."""
    declared = [
        (str(factor["path"]), str(level))
        for factor in study.meta.get("factors") or []
        for level in factor.get("levels") or []
        if str(level) != str(factor.get("anchor"))
    ]
    tried = [
        (str(t["factor"]), str(t["level"])) for t in study.trials if t["kind"] == "contrast" and t["factor"]
    ]
    return list(dict.fromkeys([*declared, *tried]))


def pairs(study: Study) -> Iterator[Difference]:
    """Yield for two choices that were changed together what goes beyond both effects added.

    a is both changed, plus the anchor; b is each changed alone, added. So a minus b is the interaction.
    """
    if not study.plans("interaction"):
        return
    for scenario in study.scenarios:
        contrasts = _contrasts(study, scenario)
        together = {_pair(t): t for t in study.of("interaction", scenario)}
        for (path, level), (path2, level2) in dict.fromkeys([*_declared_pairs(study), *together]):
            label = f"{path}={level} & {path2}={level2}"
            trials = [together.get(((path, level), (path2, level2))), contrasts.get(None)]
            trials += [contrasts.get((path, level)), contrasts.get((path2, level2))]
            sides = [study.side("", trial, OWN) for trial in trials]
            both, anchor, first, second = sides
            if both and anchor and first and second:
                a, b = added(study.prefix + label, [both, anchor]), added(study.prefix + SUM, [first, second])
                yield study.difference(
                    "pair", "choices", scenario, a, b, subject=f"{path} & {path2}",
                    level=f"{level} & {level2}", metric=OWN, split="validation", parts=2,
                    reason=_reason(study, scenario, (both, label), kind="interaction")
                    or _reason(study, scenario, (anchor, ANCHOR), (first, f"{path}={level}"),
                               (second, f"{path2}={level2}")),
                )  # fmt: skip


def _pair(trial: Row) -> tuple[tuple[str, str], tuple[str, str]]:
    return (str(trial["factor"]), str(trial["level"])), (str(trial["factor2"]), str(trial["level2"]))


def _declared_pairs(study: Study) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return the declared pairs; two choices are changed together to their last levels."""
    last = {path: level for path, level in _levels(study)}
    named = [tuple(pair) for pair in study.meta.get("interactions") or []]
    return [((p, last[p]), (q, last[q])) for p, q in named if p in last and q in last]


def leads(study: Study) -> Iterator[Difference]:
    """Yield the method at the anchor and at each level of its own choices, against every rival beside it."""
    if not study.plans("rival"):
        return
    for scenario in study.scenarios:
        contrasts = _contrasts(study, scenario)
        rivals = {str(t["label"]): t for t in study.of("rival", scenario)}
        own = [("", ""), *(key for key in _levels(study) if key[0].startswith(METHOD))]
        for path, level in own:
            label = f"{path}={level}" if path else ANCHOR
            a = study.side(label, contrasts.get((path, level) if path else None), OWN)
            for rival in study.rivals:
                b = study.side(rival, rivals.get(rival), OWN)
                if a and b:
                    yield study.difference(
                        "lead", "leads", scenario, a, b, subject=path, level=level, metric=OWN,
                        split="validation",
                        reason=_reason(study, scenario, (a, label))
                        or _reason(study, scenario, (b, rival), kind="rival"),
                    )  # fmt: skip
