"""Facts on a sweep: what was planned and run, and what can be trusted."""

from __future__ import annotations

from ..figures.searching.search import edges, table_tuning
from ..look.page import Table, Text
from ..look.words import capitalized, count, listing
from ..read.results import TESTED, Results
from .shared import assumptions, data_said, took

SCENARIOS = """SELECT s.label, s.values, unnest(s.heterogeneity.achieved)
FROM (SELECT unnest(scenarios) AS s FROM meta)"""
COUNTS = """SELECT kind, count(*) FILTER (state = 'COMPLETE') AS complete,
  count(*) FILTER (state = 'PRUNED') AS "stopped early", count(*) FILTER (state = 'FAIL') AS failed
FROM trials GROUP BY kind ORDER BY kind"""
SEEDS = """SELECT coalesce(min(len(seeds)), 0) AS fewest, coalesce(max(len(seeds)), 0) AS most,
  if(kind = 'confirm', 'confirmations', if(bool_or(factor IS NOT NULL), 'contrasts', 'anchors')) AS what
FROM trials WHERE kind IN ('contrast', 'confirm') GROUP BY kind ORDER BY kind DESC"""
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
ACHIEVED = {
    "clients": "clients",
    "js_divergence": "JS divergence of classes",
    "domain_js": "of domains",
    "effective_classes": "effective classes per client",
    "size_gini": "size Gini",
}


def facts(results: Results) -> list[tuple[str, str]]:
    """Facts on what was run: name and value."""
    meta, trials = results.meta, results.trials
    rounds = sorted({t["rounds"] for t in trials if t.get("rounds") is not None})
    seeds, fresh = meta.get("selection_seeds") or [], meta.get("fresh_seeds") or []
    opened = (
        "the test split was opened once per confirmed configuration, for these only"
        if any(t["kind"] in TESTED for t in trials)
        else "the test split is closed"
    )
    limits = (meta.get("search") or {}).get("constraints") or []
    selection = "shared by all trials of a scenario; the searcher saw validation only"
    return [
        ("data and backbone", data_said(results)),
        ("methods", listing(list(dict.fromkeys(t["method"] for t in trials))) or "none"),
        ("selection", f"{count(len(seeds), 'seed')} ({', '.join(map(str, seeds))}), {selection}"),
        ("confirmation", f"{count(len(fresh), 'fresh seed')} ({', '.join(map(str, fresh))}); {opened}"),
        *([("constraints", ", ".join(limits))] if limits else []),
        ("rounds", " or ".join(map(str, rounds)) or "none"),
        ("took", took(results)),
    ]


def scenarios_table(results: Results) -> Table | Text:
    """Make the table of scenarios: what was asked for, and the heterogeneity that was achieved."""
    body = []
    for scenario in results.meta.get("scenarios") or []:
        achieved = (scenario.get("heterogeneity") or {}).get("achieved") or {}
        ends = [achieved[end] for end in ("min_size", "max_size") if end in achieved]
        asked = " ".join(f"{k}={v}" for k, v in (scenario.get("values") or {}).items() if v is not None)
        sizes = f"{ends[0]} to {ends[1]}" if len(ends) == 2 else None
        body.append([scenario["label"], asked, *map(achieved.get, ACHIEVED), sizes])
    head = ["scenario", "asked for", *ACHIEVED.values(), "images per client"]
    caption = "What was asked for, and the heterogeneity that was achieved."
    table = Table(head, body, caption, results.shown(SCENARIOS), title="Scenarios")
    return table if body else Text(["No scenario is recorded."])


def trial_counts(results: Results) -> Table | Text:
    """Make the table of trials by kind and state, beside the plan."""
    counts = {str(row.pop("kind")): row for row in results.sql(COUNTS)}
    planned = results.meta.get("planned") or {}
    kinds = [kind for kind in KINDS if planned.get(kind, 0) != 0 or kind in counts]
    ended = ("complete", "stopped early", "failed")
    body = [[KINDS[k], planned.get(k), *(counts.get(k, {}).get(how, 0) for how in ended)] for k in kinds]
    source, title = results.shown(COUNTS), "Trials by kind and state"
    table = Table(["trials", "planned", *ended], body, "", source, title=title)
    return table if counts else Text(["No trial is finished."])


def trust(results: Results) -> list[str]:
    """Sentences on what this page can and cannot show."""
    ran = []
    for row in results.sql(SEEDS):  # `contrasts ran on 2 to 3 of 3 seeds`
        stage = "fresh" if row["what"] == "confirmations" else "selection"
        planned = len(results.meta.get(f"{stage}_seeds") or [])
        ends = list(dict.fromkeys((row["fewest"], row["most"])))
        of = "" if ends == [planned] else f"{' to '.join(map(str, ends))} of "
        ran.append(f"{row['what']} ran on {of}{count(planned, 'seed')}")
    said, at_edges = f"{capitalized(listing(ran))}. " if ran else "", edges(table_tuning(results))
    return [
        f"{said}With so few seeds, the noise of a configuration is estimated from all configurations of a "
        "study together; an effect that is undecided may still be there.",
        "A seed changes the partition, the cohort and the initial values, on one dataset. Intervals over "
        "seeds hold for these images; those over seeds and images also for other images of the same kind. "
        "Verdicts on validation are of these images, verdicts on the test split of other images too. Neither "
        "describes other data.",
        "All differences that are looked at together share a false coverage rate of "
        f"{1 - results.confidence:.0%}: a sentence names a difference only by its adjusted interval.",
        "Contrasts change one choice at a time around the anchor; another anchor may give other verdicts.",
        *([at_edges] if at_edges else []),
        *assumptions(results),
    ]
