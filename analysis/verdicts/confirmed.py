"""Differences on fresh seeds and the test split: to rivals, to rules without training, to other tunings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..read.results import Results, Row, json_object, tuning_of
from ..stats.comparisons import Sample, strongest
from .samples import FLOORS, OWN, PERSONAL, Difference, Samples
from .study import ANCHOR, TEST, VALIDATION, Entry, Study, all_trials, base_of, group_of

NOT_TUNED = ("", "untuned")


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
        anchors = [t for t in study.of("contrast", scenario) if not t["factor"]]
        a, split = Entry(ANCHOR, anchors[0] if anchors else None), VALIDATION
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
        others = {seed: row for seed, row in _columns_by_seed(other, columns).items() if seed in by_seed}
        common = [seed for seed, row in others.items() if _is_measured(row) and _is_measured(by_seed[seed])]
        if common and all(others[seed][1:] == by_seed[seed][1:] for seed in common):
            by_seed |= {
                seed: row
                for seed, row in others.items()
                if _is_measured(row) and not _is_measured(by_seed[seed])
            }
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
        for trial in study.of("transfer", scenario):
            tuned_on = str(trial["level"])
            label = base_of(str(trial["label"])).removesuffix(f" from {tuned_on}")
            name = own.get(label, f"{label} (tuned)")
            a = Entry(name, trials.get(name), why="no tuned configuration of its own")
            b = Entry(str(trial["label"]), trial)
            yield from study.compared(
                "transfer", scenario, a, b, PERSONAL, TEST, subject=label, level=tuned_on
            )
        for planned in study.left_out("transfer", scenario):
            label, _, tuned_on = base_of(planned).rpartition(" from ")
            name = own.get(label, f"{label} (tuned)")
            a, b = Entry(name, trials.get(name)), Entry(planned, None, "transfer")
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
