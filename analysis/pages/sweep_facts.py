"""Facts on a sweep: what was planned and run, and what can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..figures.choices import contrasts
from ..figures.searching.tuning import edges, table_tuning
from ..look.page import Table, Text
from ..look.words import chance_sentence, count, duration, listing
from ..read import queries
from ..read.results import TESTED, Results, Row, json_object, tuning_of
from .shared import assumptions, joined

KINDS = {
    "contrast": "contrast: one choice changed, seeds shared with the anchor",
    "rival": "rival: a method for comparison with the contrasts, same seeds, untuned",
    "search": "search: proposed by the searcher",
    "interaction": "interaction: two choices changed together, seeds shared with the anchor",
    "design": "design: a point of a design over the whole space",
    "race": "race: one more seed for a configuration still in question",
    "confirm": "confirm: fresh seeds, test opened",
    "transfer": "transfer: the winner of another scenario, fresh seeds, test opened",
}


def progress(results: Results) -> str:
    """Write `12 of 40 planned trials are finished`."""
    planned = results.meta.get("planned") or {}
    done = len(results.trials)
    if not planned or None in planned.values():  # a search without a planned number of trials
        return f"{count(done, 'trial')} finished"
    return f"{done} of {sum(planned.values())} planned trials are finished"


def facts(results: Results) -> list[tuple[str, str]]:
    """Facts on what was run: name and value."""
    meta, trials = results.meta, results.trials
    experiment = next((e for t in trials if (e := json_object(t.get("experiment")))), {})
    task = experiment.get("task") or {}
    rounds = sorted({t["rounds"] for t in trials if t.get("rounds") is not None})
    seeds, fresh = meta.get("selection_seeds") or [], meta.get("fresh_seeds") or []
    confirmed = any(t["kind"] in TESTED for t in trials)
    opened = (
        "the test split was opened once per confirmed configuration, for these only"
        if confirmed
        else "the test split is still closed"
    )
    return [
        (
            "data and backbone",
            f"{task.get('dataset')}, {task.get('backbone') or 'no backbone'}" if task else "not recorded yet",
        ),
        ("methods", listing(list(dict.fromkeys(t["method"] for t in trials))) or "none yet"),
        (
            "selection",
            f"{count(len(seeds), 'seed')} ({', '.join(map(str, seeds))}), shared by all trials of a "
            "scenario; the searcher saw validation only",
        ),
        ("confirmation", f"{count(len(fresh), 'fresh seed')} ({', '.join(map(str, fresh))}); {opened}"),
        ("rounds", " or ".join(map(str, rounds)) or "none yet"),
        ("took", f"{duration(meta.get('seconds'))} on {joined(meta.get('hardware'))}"),
    ]


def scenarios_table(results: Results) -> Table | Text:
    """Make the table of scenarios: what was asked for, and the heterogeneity that was achieved."""
    scenarios = results.meta.get("scenarios") or []
    if not scenarios:
        return Text(["No scenario is recorded yet."])
    body = []
    for scenario in scenarios:
        achieved = (scenario.get("heterogeneity") or {}).get("achieved") or {}
        sizes = (
            f"{achieved['min_size']} to {achieved['max_size']}"
            if "min_size" in achieved and "max_size" in achieved
            else None
        )
        asked = " ".join(f"{k}={v}" for k, v in (scenario.get("values") or {}).items() if v is not None)
        body.append(
            [
                scenario["label"],
                asked,
                achieved.get("clients"),
                achieved.get("js_divergence"),
                achieved.get("domain_js"),
                achieved.get("effective_classes"),
                achieved.get("size_gini"),
                sizes,
            ]
        )
    head = [
        "scenario",
        "asked for",
        "clients",
        "JS divergence of classes",
        "of domains",
        "effective classes per client",
        "size Gini",
        "images per client",
    ]
    return Table(
        head,
        body,
        "What was asked for, and the heterogeneity that was achieved.",
        queries.SCENARIOS,
        title="Scenarios",
    )


def trial_counts(results: Results) -> Table | Text:
    """Make the table of trials by kind and state, beside the plan."""
    if not results.trials:
        return Text(["No trial is finished yet."])
    counts = Counter((t["kind"], t["state"]) for t in results.trials)
    planned = results.meta.get("planned") or {}
    kinds = [k for k in KINDS if planned.get(k, 0) != 0 or any(kind == k for kind, _ in counts)]
    body = [
        [KINDS[k], planned.get(k), *(counts[(k, s)] for s in ("COMPLETE", "PRUNED", "FAIL"))] for k in kinds
    ]
    dropped = results.meta.get("dropped_contrasts")
    caption = (
        f"{count(dropped, 'contrast was', 'contrasts were')} left out because the time limit was near."
        if dropped
        else ""
    )
    return Table(
        ["trials", "planned", "complete", "stopped early", "failed"],
        body,
        caption,
        queries.COUNTS,
        title="Trials by kind and state",
    )


def trust(results: Results, compared: Sequence[Row], changed: Sequence[Row]) -> list[str]:
    """Sentences on what this page can and cannot show."""
    seeds, fresh = results.meta.get("selection_seeds") or [], results.meta.get("fresh_seeds") or []
    points = [
        f"Intervals are Student's t over {count(len(seeds), 'seed')} (contrasts) and "
        f"{count(len(fresh), 'seed')} (methods), {results.confidence:.0%}, paired by seed for differences. "
        "With so few seeds they are wide, and an effect that is not decided may still be there. A "
        "difference that is the same to the last bit for all seeds has no measured spread and decides "
        "nothing.",
        "A seed changes the partition, the cohort and the initial values, on one dataset: intervals "
        "describe such repetitions, not other data.",
    ]
    if changed:
        points.append(
            "Contrasts change one choice at a time around the anchor: they see no interactions; another "
            "anchor may give other verdicts."
        )
    at_edges = edges(table_tuning(results))
    points += [at_edges] if at_edges else []
    by_chance = chance_sentence(contrasts.count_chance(changed, results.confidence), results.confidence)
    if by_chance:
        points.append(f"Contrasts: {by_chance[0].lower()}{by_chance[1:]}")
    if compared:
        labels = list(dict.fromkeys(r["label"] for r in compared))
        tuned, untuned = (
            [label for label in labels if tuning_of(label) == word] for word in ("tuned", "untuned")
        )
        if tuned and untuned:
            points.append(
                f"{listing(tuned)} had a search behind it, {listing(untuned)} did not: part of a tuned "
                "method's lead may be the tuning."
            )
    return [*points, *assumptions(results)]
