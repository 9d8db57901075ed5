"""Facts on a sweep: what was planned and run, and what can be trusted."""

from __future__ import annotations

from collections import Counter

from ..figures.searching.tuning import edges, table_tuning
from ..look.page import Table, Text
from ..look.words import count, duration, listing
from ..read.results import TESTED, Results, json_object
from .shared import assumptions, joined

SCENARIOS = """SELECT s.label, s.values, unnest(s.heterogeneity.achieved)
FROM (SELECT unnest(scenarios) AS s FROM meta)"""
COUNTS = "SELECT kind, state, count(*) AS trials FROM trials GROUP BY ALL ORDER BY ALL"
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
        else "the test split is closed"
    )
    return [
        (
            "data and backbone",
            f"{task.get('dataset')}, {task.get('backbone') or 'no backbone'}" if task else "not recorded",
        ),
        ("methods", listing(list(dict.fromkeys(t["method"] for t in trials))) or "none"),
        (
            "selection",
            f"{count(len(seeds), 'seed')} ({', '.join(map(str, seeds))}), shared by all trials of a "
            "scenario; the searcher saw validation only",
        ),
        ("confirmation", f"{count(len(fresh), 'fresh seed')} ({', '.join(map(str, fresh))}); {opened}"),
        ("rounds", " or ".join(map(str, rounds)) or "none"),
        ("took", f"{duration(meta.get('seconds'))} on {joined(meta.get('hardware'))}"),
    ]


def scenarios_table(results: Results) -> Table | Text:
    """Make the table of scenarios: what was asked for, and the heterogeneity that was achieved."""
    scenarios = results.meta.get("scenarios") or []
    if not scenarios:
        return Text(["No scenario is recorded."])
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
        results.shown(SCENARIOS),
        title="Scenarios",
    )


def trial_counts(results: Results) -> Table | Text:
    """Make the table of trials by kind and state, beside the plan."""
    if not results.trials:
        return Text(["No trial is finished."])
    counts = Counter((t["kind"], t["state"]) for t in results.trials)
    planned = results.meta.get("planned") or {}
    kinds = [k for k in KINDS if planned.get(k, 0) != 0 or any(kind == k for kind, _ in counts)]
    body = [
        [KINDS[k], planned.get(k), *(counts[(k, s)] for s in ("COMPLETE", "PRUNED", "FAIL"))] for k in kinds
    ]
    return Table(
        ["trials", "planned", "complete", "stopped early", "failed"],
        body,
        "",
        results.shown(COUNTS),
        title="Trials by kind and state",
    )


def _seeds_of(results: Results, kind: str, planned: int) -> str:
    """Write on how many seeds the trials of a kind ran: `2 of 3 seeds`, `2 to 3 of 3 seeds`."""
    counts = sorted({len(t["seeds"] or []) for t in results.trials if t["kind"] == kind})
    ran = " to ".join(dict.fromkeys((str(counts[0]), str(counts[-1]))))
    return count(counts[0], "seed") if counts == [planned] else f"{ran} of {count(planned, 'seed')}"


def trust(results: Results) -> list[str]:
    """Sentences on what this page can and cannot show."""
    seeds, fresh = results.meta.get("selection_seeds") or [], results.meta.get("fresh_seeds") or []
    ran = [
        f"{what} ran on {_seeds_of(results, kind, len(planned))}"
        for what, kind, planned in (("contrasts", "contrast", seeds), ("confirmations", "confirm", fresh))
        if any(t["kind"] == kind for t in results.trials)
    ]
    said = [f"{listing(ran)[:1].upper()}{listing(ran)[1:]}."] if ran else []
    points = [
        " ".join(
            [
                *said,
                "With so few seeds, the noise of a configuration is estimated from all configurations of a "
                "study together; an effect that is undecided may still be there.",
            ]
        ),
        "A seed changes the partition, the cohort and the initial values, on one dataset. Intervals over "
        "seeds hold for these images; those over seeds and images also for other images of the same kind. "
        "Verdicts on validation are of these images, verdicts on the test split of other images too. Neither "
        "describes other data.",
        "All differences that are looked at together share a false coverage rate of "
        f"{1 - results.confidence:.0%}: "
        "a sentence names a difference only by its adjusted interval.",
        "Contrasts change one choice at a time around the anchor; another anchor may give other verdicts.",
    ]
    at_edges = edges(table_tuning(results))
    points += [at_edges] if at_edges else []
    return [*points, *assumptions(results)]
