"""The report's main configuration against all others on the test split, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ...look.entries import base_label, entries
from ...look.words import WITHIN, chance_sentence, listing, points, span
from ...read.metric import Metric
from ...read.results import Results, Row, by_seed, tuning_of
from ...stats.intervals import Interval, benjamini_hochberg, multiplicity, paired, t_interval
from ..sentences import with_confidence
from .accuracies import PERSONAL_METRICS

ON_OWN = "on the clients' own distributions"
VERBS = {
    "helps": "beats {}",
    "hurts": "loses to {}",
    "level": f"is level ({WITHIN}) with {{}}",
    "undecided": "is undecided against {}",
}
MAY_VERBS = {"helps": "may beat {}", "hurts": "may lose to {}"}


def primary(results: Results, rows: Sequence[Row]) -> str | None:
    """Return the label of the main configuration, None where nothing is confirmed.

    It is the first entry of a recipe; else the tuned configuration of the sweep's own space; else any tuned
    one; else any.

    Args:
        results: The sweep.
        rows: Rows of `methods.table_methods`.
    """
    confirmed = {row["label"] for row in rows}
    labels = [label for label in entries(results) if label in confirmed]
    recipe_labels = [label for label in labels if base_label(label) in (results.meta.get("grid") or [])]
    tuned_labels = [label for label in labels if tuning_of(label) == "tuned"]
    space = str(results.meta.get("space"))
    method = ((results.meta.get("spaces_declared") or {}).get(space) or {}).get("method")
    own_labels = [label for label in tuned_labels if base_label(label) in (space, method or space)]
    declared_labels = [label for label in labels if not tuning_of(label)]
    return next(iter(recipe_labels or own_labels or tuned_labels or declared_labels), None)


def rivalry(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return the paired differences of the main configuration to all others, by scenario, on the test split.

    Args:
        results: The sweep.
        rows: Rows of `methods.table_methods`.

    Returns:
        Rows with scenario, ours, label, sibling (of the same method), validation (the other's mean validation
        accuracy on these seeds), interval on the clients' own distributions, global_interval (on the global
        split), and firm and global_firm (it remains when adjusted for the number of all these intervals).
    """
    main, pairs = primary(results, rows), []
    row_of = {(row["scenario"], row["label"], row["metric"]): row for row in rows}
    own_metric, global_metric = PERSONAL_METRICS
    for (scenario, label, metric), row in row_of.items():
        main_row = row_of.get((scenario, main or "", own_metric))
        if metric != own_metric or main_row is None or label == main:
            continue
        interval = paired(main_row["values"], row["values"], results.confidence)
        sides = [row_of.get((scenario, name, global_metric)) for name in (main or "", label)]
        if interval is None:
            continue
        global_interval = None
        if sides[0] and sides[1]:
            global_interval = paired(sides[0]["values"], sides[1]["values"], results.confidence)
        validation = t_interval(list(by_seed(row["trial"], own_metric).values()))
        pairs.append(
            {
                "scenario": scenario,
                "ours": main,
                "label": label,
                "sibling": row["method"] == main_row["method"],
                "validation": validation.mean if validation else 0.0,
                "interval": interval,
                "global_interval": global_interval,
            }
        )
    _add_firm(pairs, results.confidence)
    return pairs


def _add_firm(pairs: Sequence[Row], confidence: float) -> None:
    """Add the columns `firm` and `global_firm`, adjusted for the number of all intervals together."""
    flags = {"interval": "firm", "global_interval": "global_firm"}
    shown = [(pair, key) for pair in pairs for key in flags if pair[key]]
    for (pair, key), flag in zip(
        shown, benjamini_hochberg([pair[key] for pair, key in shown], 1 - confidence), strict=True
    ):
        pair[flags[key]] = flag


def headline(pairs: Sequence[Row], confidence: float, metric: Metric) -> str:
    """Return what is decided against the strongest rival, scenario by scenario.

    The strongest rival is chosen by validation accuracy. So the difference on the test split is not that of a
    chosen maximum.

    Args:
        pairs: Rows of `rivalry`.
        confidence: Coverage of the intervals.
        metric: The metric of the sweep.
    """
    if not pairs:
        return ""
    rivals = [pair for pair in pairs if not pair["sibling"]] or list(pairs)
    validation: dict[str, list[float]] = {}
    for pair in rivals:
        validation.setdefault(pair["label"], []).append(pair["validation"])
    strongest = max(validation, key=lambda label: (len(validation[label]), _mean(validation[label])))
    clauses = _clauses([pair for pair in rivals if pair["label"] == strongest], "scenario", strongest)
    text = f"On fresh seeds and the test split, {ON_OWN}, {pairs[0]['ours']} {clauses}."
    choice = (
        f" {strongest} is the strongest of {len(validation)} rivals by validation {metric} on these seeds."
    )
    return with_confidence([text], confidence)[0] + (choice if len(validation) > 1 else "")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def opposite(interval: Interval) -> Interval:
    """Return the interval of the difference in the other direction."""
    if interval.low is None or interval.high is None:
        return Interval(-interval.mean, None, None, interval.n)
    return Interval(-interval.mean, -interval.high, -interval.low, interval.n, interval.p)


def sentences(pairs: Sequence[Row], confidence: float) -> list[str]:
    """Return a sentence per scenario with the verdicts on the main configuration against all others.

    Args:
        pairs: Rows of `rivalry`.
        confidence: Coverage of the intervals.
    """
    texts = []
    for scenario in dict.fromkeys(pair["scenario"] for pair in pairs):
        scenario_pairs = [pair for pair in pairs if pair["scenario"] == scenario]
        clauses = _clauses(scenario_pairs, "label")
        texts.append(f"Under {scenario}, {ON_OWN}, {scenario_pairs[0]['ours']} {clauses}.")
    return with_confidence(texts, confidence)


def _clauses(pairs: Sequence[Row], name: str, rival: str = "") -> str:
    """Return the verdicts of these differences; a second sentence has those that differ on the global split.

    Args:
        pairs: Rows of `rivalry`.
        name: Column that tells them apart: `label`, or `scenario` where all are differences to `rival`.
        rival: See `name`.
    """
    differing = [
        pair
        for pair in pairs
        if pair["global_interval"]
        and pair["global_interval"].excludes_zero
        and pair["global_interval"].verdict != pair["interval"].verdict
    ]
    text = _verdicts([(pair[name], pair["interval"], pair["firm"]) for pair in pairs], rival)
    if not differing:
        return text
    on_global = [(pair[name], pair["global_interval"], pair["global_firm"]) for pair in differing]
    return f"{text}. On the global split it {_verdicts(on_global, rival)}"


def _verdicts(differences: Sequence[tuple[str, Interval, bool]], rival: str) -> str:
    """Return the differences by verdict; one that excludes zero but is not firm is reported with `may`."""
    clauses = []
    for (verdict, verb), certain in product(VERBS.items(), (True, False)):
        names = [
            f"{name} ({points(interval.mean)} points, {span(interval)})"
            for name, interval, firm_flag in differences
            if interval.verdict == verdict and certain == (firm_flag or not interval.excludes_zero)
        ]
        phrase = verb if certain else MAY_VERBS.get(verdict, "")
        if names and rival:
            clauses.append(f"{phrase.format(rival)} under {listing(names)}")
        elif names:
            clauses.append(phrase.format(listing(names)))
    return "; it ".join(clauses)


def by_chance(results: Results, pairs: Sequence[Row]) -> str:
    """Return how many of the paired differences chance alone would decide, own and global together."""
    intervals = [pair[key] for pair in pairs for key in ("interval", "global_interval") if pair[key]]
    text = chance_sentence(
        multiplicity(intervals, results.confidence), results.confidence, "if all were equal"
    )
    if not text:
        return ""
    return f"Paired differences to {pairs[0]['ours']}, own and global: {text[0].lower()}{text[1:]}"
