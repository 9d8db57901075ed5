"""Differences on fresh seeds and the test split: to rivals, to rules without training, to other tunings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..read.results import Results, Row, json_object, tuning_of
from ..stats.comparisons import Sample
from ..stats.rivals import strongest
from .estimates import all_trials, pool_of
from .samples import FLOORS, OWN, PERSONAL, Difference, Samples, Side
from .study import Study, base_of

TEST = "test"


def confirmed(study: Study) -> Iterator[Difference]:
    """Yield the main configuration against all others, in each scenario, on both distributions."""
    for scenario in study.scenarios if study.plans("confirm") else ():
        trials = {str(t["label"]): t for t in study.of("confirm", scenario)}
        main = main_label(study, list(trials))
        for label, kind in _others(study, main, trials).items():
            for metric in PERSONAL:
                a = study.side(main, trials.get(main), metric, TEST)
                b = study.side(label, trials.get(label), metric, TEST)
                if a and b:
                    missing = next((name for name in (main, label) if name not in trials), "")
                    yield study.difference(
                        kind, "rivals", scenario, a, b, subject=main, level=label, metric=metric, split=TEST,
                        reason=study.reason("confirm", scenario, missing) if missing else "",
                    )  # fmt: skip
        yield from _floors(study, scenario, main, trials)
        for label in study.left_out("confirm", scenario):  # it was searched, and not confirmed
            if tuning_of(main) == "untuned" and label != main and base_of(label) == base_of(main):
                for metric in PERSONAL:
                    b = study.side(main, trials.get(main), metric, TEST)
                    if b and not study.grid:
                        yield study.difference(
                            "tuning", "rivals", scenario, Side(f"{study.prefix}{label}"), b, subject=label,
                            level=main, metric=metric, split=TEST,
                            reason=study.reason("confirm", scenario, label),
                        )  # fmt: skip


def main_label(study: Study, labels: list[str]) -> str:
    """Return the configuration that a page is about.

    It is the first entry of a recipe; else the space's own method, tuned where that was confirmed.
    """
    wanted = study.grid[:1] or [study.method, study.space]
    own = [label for label in labels if base_of(label) in wanted]
    tuned = [label for label in own if tuning_of(label) not in ("", "untuned")]
    return next(iter([*tuned, *own]), wanted[0] if study.grid else f"{wanted[0]} (tuned)")


def _others(study: Study, main: str, trials: dict[str, Row]) -> dict[str, str]:
    """Return the label of each other configuration -> kind of the difference, in the order of the trials."""
    others = {
        label: "rival" if study.grid or not _is_own(study, label) else "tuning"
        for label in trials
        if label != main
    }
    known = {base_of(label) for label in (main, *others)}
    missing = [label for label in study.grid or study.rivals if label not in known]
    untuned = {} if study.grid or main not in trials else {f"{base_of(main)} (untuned)": "tuning"}
    if tuning_of(main) == "untuned" or json_object((trials.get(main) or {}).get("params")) == {}:
        untuned = {}  # nothing was tuned, or the untuned configuration was the best
    return {**untuned, **others, **dict.fromkeys(missing, "rival")}


def _is_own(study: Study, label: str) -> bool:
    """Return whether a configuration is of the space's own method: tuned, untuned, or of its front."""
    name = base_of(label).partition(", front ")[0]
    return name in (study.method, study.space) and name not in study.rivals


def _floors(study: Study, scenario: str, main: str, trials: dict[str, Row]) -> Iterator[Difference]:
    """Yield the main configuration against the rules without training that were measured beside it.

    Zero-shot that was confirmed as a rival is one already. Where nothing was confirmed, it is the anchor on
    validation.
    """
    known = [t["method"] for t in trials.values()]
    trial, split, label = trials.get(main), TEST, main
    if trial is None:
        anchors = [t for t in study.of("contrast", scenario) if not t["factor"]]
        trial, split, label = (anchors[0] if anchors else None), "validation", "anchor"
    for floor, words in FLOORS.items():
        for metric in PERSONAL if trial and floor not in known else ():
            a = study.side(label, trial, metric, split)
            b = study.side(words, trial, metric, split, floor)
            if a and b:
                yield study.difference(
                    "floor", "rivals", scenario, a, b, subject=label, level=words, metric=metric, split=split
                )


def strongest_rival(study: Study, scenario: str) -> str:
    """Return the confirmed rival that was strongest on the selection seeds; empty where none ran there.

    A tuned rival has the validation accuracy of its chosen configuration. One that diverged on at least half
    of its seeds is not the strongest.
    """
    beside = {str(t["label"]): t for t in study.of("rival", scenario)}
    tried: dict[str, list[Sample]] = {}
    for label in (str(t["label"]) for t in study.of("confirm", scenario)):
        entry = base_of(label)
        if label == main_label(study, [label]) or entry not in study.rivals:
            continue
        tuned = tuning_of(label) not in ("", "untuned")
        candidates = [beside[entry]] if entry in beside else []
        candidates += study.searched(entry, scenario) if tuned else []
        sides = [study.side("", trial, OWN) for trial in candidates]
        tried[label] = [side.sample for side in sides if side]
    return strongest(tried)


def transfers(study: Study) -> Iterator[Difference]:
    """Yield the scenario's own tuned configuration against the one that was tuned under another scenario."""
    for scenario in study.scenarios:
        own = {base_of(str(t["label"])): t for t in study.of("confirm", scenario) if is_tuned(t)}
        for trial in study.of("transfer", scenario):
            tuned_on = str(trial["level"])
            label = base_of(str(trial["label"])).removesuffix(f" from {tuned_on}")
            mine = own.get(label)
            words = str(mine["label"]) if mine else f"{label} (tuned)"
            for metric in PERSONAL:
                a = study.side(words, mine, metric, TEST)
                b = study.side(str(trial["label"]), trial, metric, TEST)
                if a and b:
                    yield study.difference(
                        "transfer", "transfer", scenario, a, b, subject=label, level=tuned_on, metric=metric,
                        split=TEST, reason="" if mine else "no tuned configuration of its own",
                    )  # fmt: skip


def alone(results: Results, samples: Samples) -> Iterator[Difference]:
    """Yield a single run against the rules without training that were measured beside it."""
    for trial in all_trials(results):
        for split, floor, metric in itertools.product(("validation", TEST), FLOORS, PERSONAL):
            a = samples.side(str(trial["label"]), trial, metric, split)
            b = samples.side(FLOORS[floor], trial, metric, split, floor)
            if a and b and a.sample.kept:
                yield Difference(
                    space="", scenario=str(trial["scenario"]), family="run", kind="floor", subject=a.words,
                    level=b.words, a=a, b=b, metric=metric, split=split, planned=1,
                    pool=pool_of(results, trial, metric, split),
                )  # fmt: skip


def is_tuned(trial: Row) -> bool:
    """Return whether a confirmed configuration was chosen by a search."""
    return tuning_of(str(trial["label"])) not in ("", "untuned")
