"""Differences of a sweep, of a single run, and of a stress run.

Of a sweep on the selection seeds: each level to the anchor, two changes together, leads over rivals; on fresh
seeds and the test split: to rivals, to rules without training, to other tunings. Of a stress run: each entry
at each level to the references there, and to its mildest level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..read.results import Results, Row, json_object, tuning_of
from ..read.stressed import REFERENCES, cases, labels_of, metric_of, reason_not_run, spaces_of
from ..stats.comparisons import Sample, strongest
from .samples import FLOORS, OWN, PERSONAL, Difference, Samples, Side, added
from .study import ANCHOR, TEST, VALIDATION, Entry, Study, all_trials, base_of, group_of

Changes = tuple[tuple[str, str], ...]  # path and level of each setting that is not the anchor's
NOT_TUNED = ("", "untuned")


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
                b = added(f"{study.prefix}both effects added", sides[2:])
                subject, level = (" & ".join(words) for words in zip(*changes, strict=True))
                yield study.difference(
                    "pair", scenario, a, b, OWN, VALIDATION, subject=subject, level=level, parts=2,
                    reason=study.reason(scenario, *entries),
                )  # fmt: skip


def leads(study: Study) -> Iterator[Difference]:
    """Yield the method at the anchor and at each level of its own choices, against every rival beside it."""
    # other settings than the method's own change the rivals too
    own = [("", ""), *(key for key in _levels(study) if key[0].startswith("method."))]
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


def confirmed(study: Study) -> Iterator[Difference]:
    """Yield the main configuration against all others, in each scenario, on both distributions."""
    for scenario in study.scenarios if study.plans("confirm") else ():
        trials = study.labelled("confirm", scenario)
        main = main_label(study, list(trials))
        own, best = Entry(main, trials.get(main)), strongest_rival(study, scenario)
        for label, kind in _others(study, main, trials).items():
            yield from study.compared(
                kind, scenario, own, Entry(label, trials.get(label)), PERSONAL, TEST,
                subject=main, level=label, strongest=label == best if kind == "rival" else None,
            )  # fmt: skip
        yield from _floors(study, scenario, own, list(trials.values()))
        if tuning_of(main) == "untuned" and not study.grid:
            for label in study.left_out("confirm", scenario):  # it was searched, and not confirmed
                if label != main and base_of(label) == base_of(main):
                    yield from study.compared(
                        "tuning", scenario, Entry(label, None), own, PERSONAL, TEST, subject=label, level=main
                    )


def main_label(study: Study, labels: Sequence[str]) -> str:
    """Return the configuration that a page is about.

    It is the first entry of a recipe; else the space's own method, tuned where that was confirmed.
    """
    wanted = study.grid[:1] or [study.method, study.space]
    own = [label for label in labels if base_of(label) in wanted]
    tuned = [label for label in own if tuning_of(label) not in NOT_TUNED]
    return next(iter([*tuned, *own]), wanted[0] if study.grid else f"{wanted[0]} (tuned)")


def _others(study: Study, main: str, trials: Mapping[str, Row]) -> dict[str, str]:
    """Return the label of each other configuration -> kind of the difference, in the order of the trials."""
    names = {study.method, study.space} - set(study.rivals) if not study.grid else set()
    own = {label for label in trials if base_of(label).partition(", front ")[0] in names}
    others = {label: "tuning" if label in own else "rival" for label in trials if label != main}
    known = {base_of(label) for label in (main, *others)}
    missing = [label for label in study.grid or study.rivals if label not in known]
    never_tuned = main in trials and json_object(trials[main].get("params")) == {}
    if study.grid or main not in trials or tuning_of(main) == "untuned" or never_tuned:
        untuned = {}  # nothing was tuned, or the untuned configuration was the best
    else:
        untuned = {f"{base_of(main)} (untuned)": "tuning"}
    return {**untuned, **others, **dict.fromkeys(missing, "rival")}


def _floors(study: Study, scenario: str, main: Entry, beside: Sequence[Row]) -> Iterator[Difference]:
    """Yield the main configuration against the rules without training that were measured beside it.

    Zero-shot that was confirmed as a rival is one already. Where nothing was confirmed, it is the anchor on
    validation.
    """
    a, split = main, TEST
    if main.trial is None:
        a, split = _entry(study, scenario, ()), VALIDATION
    methods = [trial["method"] for trial in beside]
    for floor, words in FLOORS.items():
        if a.trial and floor not in methods:
            b = Entry(words, with_floor(a.trial, floor, split, beside), floor=floor)
            yield from study.compared("floor", scenario, a, b, PERSONAL, split, subject=a.label, level=words)


def with_floor(trial: Row, floor: str, split: str, beside: Sequence[Row]) -> Row:
    """Return a trial with the accuracies of a floor on the seeds that it lost.

    Such a rule needs the clients and their images only, so other trials on the same seeds have measured it
    too. Those are taken whose accuracies agree on the seeds that both have.
    """
    before = "test_" if split == TEST else ""
    columns = ("runs", *(f"{before}{metric.replace('personal', floor)}" for metric in PERSONAL))
    by_seed = _columns_by_seed(trial, columns)
    for other in beside:
        others = {s: row for s, row in _columns_by_seed(other, columns).items() if _is_measured(row)}
        common = [seed for seed in others if seed in by_seed and _is_measured(by_seed[seed])]
        if common and all(others[seed][1:] == by_seed[seed][1:] for seed in common):
            by_seed |= {seed: others[seed] for seed in by_seed if seed in others and seed not in common}
    lists = zip(*by_seed.values(), strict=True)
    return {**trial, **{column: list(values) for column, values in zip(columns, lists, strict=False)}}


def _columns_by_seed(trial: Row, columns: Sequence[str]) -> dict[int, list[Any]]:
    """Return seed -> the run, then the accuracies; nothing where a column is missing."""
    lists = (trial.get(column) or [] for column in ("seeds", *columns))
    return {seed: values for seed, *values in zip(*lists, strict=False)}


def _is_measured(row: Sequence[Any]) -> bool:
    """Whether all accuracies, which follow the run, are finite."""
    return all(value is not None and math.isfinite(value) for value in row[1:])


def strongest_rival(study: Study, scenario: str) -> str:
    """Return the rival that was strongest on the selection seeds, by its label among the confirmed ones.

    It is one of all rivals: one that was not confirmed is returned by its own name, and no other takes its
    place. A tuned rival has the validation accuracy of its chosen configuration. One that diverged on at
    least half of its seeds is not the strongest. Empty where none ran.
    """
    beside = study.labelled("rival", scenario)
    labels = {base_of(label): label for label in study.labelled("confirm", scenario)}
    tried: dict[str, list[Sample]] = {}
    for entry in study.rivals:
        label = labels.get(entry, entry)
        candidates = [beside[entry]] if entry in beside else []
        if label == entry or tuning_of(label) not in NOT_TUNED:
            candidates += study.searched(entry, scenario)
        sides = [study.side(Entry("", trial), OWN) for trial in candidates]
        tried[label] = [side.sample for side in sides if side]
    return strongest(tried)


def transfers(study: Study) -> Iterator[Difference]:
    """Yield the scenario's own tuned configuration against the one that was tuned under another scenario."""
    for scenario in study.scenarios:
        trials = study.labelled("confirm", scenario)
        own = {base_of(label): label for label in trials if tuning_of(label) not in NOT_TUNED}
        tried = [Entry(str(t["label"]), t, "transfer") for t in study.of("transfer", scenario)]
        planned = [Entry(label, None, "transfer") for label in study.left_out("transfer", scenario)]
        for b in (*tried, *planned):
            tuned_on = str(b.trial["level"]) if b.trial else base_of(b.label).rpartition(" from ")[2]
            label = base_of(b.label).removesuffix(f" from {tuned_on}")
            name = own.get(label, f"{label} (tuned)")
            a = Entry(name, trials.get(name), why="no tuned configuration of its own" if b.trial else "")
            yield from study.compared(
                "transfer", scenario, a, b, PERSONAL, TEST, subject=label, level=tuned_on
            )


def alone(results: Results, samples: Samples) -> Iterator[Difference]:
    """Yield a single run against the rules without training that were measured beside it."""
    for trial in all_trials(results):
        for split, floor, metric in itertools.product((VALIDATION, TEST), FLOORS, PERSONAL):
            a = samples.side(str(trial["label"]), trial, metric, split)
            b = samples.side(FLOORS[floor], trial, metric, split, floor)
            if a and b and a.sample.kept:
                yield Difference(
                    space="", scenario=str(trial["scenario"]), family="run", kind="floor", subject=a.words,
                    level=b.words, a=a, b=b, metric=metric, split=split, planned=1,
                    group=group_of(results, trial),
                )  # fmt: skip


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
