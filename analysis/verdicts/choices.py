"""Differences on the selection seeds: each level to the anchor, two changes together, leads over rivals."""

from __future__ import annotations

from collections.abc import Iterator

from ..read.results import Row
from .samples import OWN, Difference, added
from .study import ANCHOR, VALIDATION, Entry, Study

METHOD = "method."  # start of the paths of the method's own choices; other settings change the rivals too
SUM = "both effects added"
Changes = tuple[tuple[str, str], ...]  # path and level of each setting that is not the anchor's


def choices(study: Study) -> Iterator[Difference]:
    """Yield each declared or tried level of each choice against the anchor, in each scenario."""
    for scenario in study.scenarios if study.plans("contrast") else ():
        anchor = _entry(study, scenario, ())
        for path, level in _levels(study):
            changed = _entry(study, scenario, ((path, level),))
            yield from study.compared("choice", scenario, changed, anchor, subject=path, level=level)


def pairs(study: Study) -> Iterator[Difference]:
    """Yield for two choices that were changed together what goes beyond both effects added.

    a is both changed, plus the anchor; b is each changed alone, added. So a minus b is the interaction.
    """
    last = dict(_levels(study))  # two choices are changed together to their last levels
    named = [tuple(pair) for pair in study.meta.get("interactions") or []]
    declared = [((p, last[p]), (q, last[q])) for p, q in named if p in last and q in last]
    for scenario in study.scenarios if study.plans("interaction") else ():
        tried = [_changes(t) for t in study.of("interaction", scenario)]
        for changes in dict.fromkeys([*declared, *tried]):
            wanted = (changes, (), changes[:1], changes[1:])
            entries = [_entry(study, scenario, only) for only in wanted]
            sides = [side for entry in entries if (side := study.side(entry, OWN))]
            if len(sides) == len(entries):
                a = added(study.prefix + entries[0].label, sides[:2])
                b = added(study.prefix + SUM, sides[2:])
                subject, level = (" & ".join(words) for words in zip(*changes, strict=True))
                yield study.difference(
                    "pair", scenario, a, b, OWN, VALIDATION, subject=subject, level=level, parts=2,
                    reason=study.reason(scenario, *entries),
                )  # fmt: skip


def leads(study: Study) -> Iterator[Difference]:
    """Yield the method at the anchor and at each level of its own choices, against every rival beside it."""
    own = [("", ""), *(key for key in _levels(study) if key[0].startswith(METHOD))]
    for scenario in study.scenarios if study.plans("rival") else ():
        rivals = study.labelled("rival", scenario)
        for path, level in own:
            a = _entry(study, scenario, ((path, level),) if path else ())
            for rival in study.rivals:
                b = Entry(rival, rivals.get(rival), "rival")
                yield from study.compared("lead", scenario, a, b, subject=path, level=level)


def _entry(study: Study, scenario: str, changes: Changes) -> Entry:
    """Return the anchor with these changes: the anchor itself, a contrast, or an interaction."""
    kind = "interaction" if len(changes) > 1 else "contrast"
    trials = {_changes(t): t for t in study.of(kind, scenario)}
    label = " & ".join(f"{path}={level}" for path, level in changes)
    return Entry(label or ANCHOR, trials.get(changes), kind)


def _changes(trial: Row) -> Changes:
    pairs = ((trial["factor"], trial["level"]), (trial["factor2"], trial["level2"]))
    return tuple((str(path), str(level)) for path, level in pairs if path)


def _levels(study: Study) -> list[tuple[str, str]]:
    """Return path and level of the declared levels but the anchor's, then of others that were tried."""
    declared = [
        (str(factor["path"]), str(level))
        for factor in study.meta.get("factors") or []
        for level in factor.get("levels") or []
        if str(level) != str(factor.get("anchor"))
    ]
    tried = [change for t in study.trials if t["kind"] == "contrast" for change in _changes(t)]
    return list(dict.fromkeys([*declared, *tried]))
