"""The pages of a sweep: the answer with its evidence, and how the outcome responds over the whole space."""

from __future__ import annotations

from collections.abc import Sequence

from .. import declared as recipes
from ..figures.choices import indices, ranks, responses
from ..figures.choices.matrix import matrix
from ..figures.choices.verdicts import GLOBAL, rows_of
from ..figures.inside import masks, rounds, signatures
from ..figures.outcomes import accuracies, classes, communication, curves
from ..figures.outcomes.classes import exhibit_partition
from ..figures.searching import pareto, search
from ..figures.searching.search import edges, table_tuning
from ..look.page import Page, Part, Section, Table, Text
from ..look.words import capitalized, count, listing
from ..read.results import TESTED, Results, Row
from . import evidence, headline
from .shared import (
    GLOSSARY,
    assumptions,
    commands,
    data_said,
    of_space,
    page_of,
    present,
    progress,
    rest_words,
    took,
    under_name,
)

OTHERS = ("rival", "floor", "pair", "tuning", "transfer", "recipe")  # comparisons beside those of choices
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
OVER_SPACE = [  # what can be trusted of the second page
    "Everything here is measured on validation; nothing opened the test split.",
    "Curves around the anchor move one choice at a time; another anchor may give other curves. Only designs "
    "show how choices act together.",
]


def sweep_page(results: Results) -> Page:
    """Make the page of a sweep, finished or not; a sweep of several spaces has all parts for each space."""
    views, spaces = results.views(), results.meta.get("spaces") or [results.meta.get("space") or "?"]
    lead, alert, answer, sections = list[str](), list[str](), list[Part](), list[Section]()
    for view in views:
        choices, asked = rows_of(view, "choice"), recipes.answers(view)
        below = headline.floor_sentence(rows_of(view, "floor"))
        lead += under_name(view, sentences(view, choices, recipes.headlines(view, asked)))
        alert += under_name(view, [below] if below else [])
        tables = (matrix(view, choices), headline.best_table(view))
        answer += of_space(view, [table for table in tables if table])
        parts = [
            Section("What the recipe asks", [p for one in asked for p in recipes.parts_of(view, one)]),
            *evidence.sections(view),
            Section("Outcomes, curves, clients and cost", outcomes(view), folded=True),
            Section("Inside the runs", inside(view), folded=True),
            Section("The search", searching(view), folded=True),
            Section("All trials", present(search.table_trials(view)), folded=True),
        ]
        sections += of_space(view, parts)
    run = [scenarios_table(results), trial_counts(results)]
    trusted = [Text(points=trust(view), title=view.space) for view in views]
    sections += [
        Section("What was run", run, facts=facts(results), folded=True),
        Section("What can be trusted", trusted, folded=True),
    ]
    asked_for = results.meta.get("title") if len(views) == 1 else None
    return page_of(
        results,
        progress(results),
        sections,
        [commands(view) for view in views],
        title=f"Sweep of {listing([str(name) for name in spaces])}",
        question=str(
            asked_for
            or "Which of the choices left open change the outcome, under which data, and how sure is that?"
        ),
        lead=lead,
        alert=" ".join(alert),
        answer=answer,
        flags=signatures.sentences(results),
        glossary=GLOSSARY,
    )


def sensitivity_page(results: Results) -> Page | None:
    """Make the second page of a sweep; None where it holds no figure that the first page has not."""
    views, lead, sections = results.views(), list[str](), list[Section]()
    for view in views:
        said, figures = over_space(view)
        lead += under_name(view, said)
        sections += of_space(view, figures)
    if not sections:
        return None
    nothing = (
        "No design is finished, so nothing is said about the whole space; the curves are around the anchor."
    )
    return page_of(
        results,
        progress(results),
        [*sections, Section("What can be trusted", [Text(points=OVER_SPACE)], folded=True)],
        title=f"Sensitivity of {listing([str(v.space or v.meta.get('space') or '?') for v in views])}",
        question="How does the outcome respond over the whole space of the choices?",
        lead=lead or [nothing],
        name="sensitivity",
        glossary=GLOSSARY,
    )


def over_space(results: Results) -> tuple[list[str], list[Section]]:
    """Make the lead and the sections of the second page on one space; those without a figure are left out."""
    choices = any(row["estimate"] is not None for row in rows_of(results, "choice"))
    ranked, agreement = ranks.table_ranks(results)
    designs = indices.points_of(results)
    estimates = [indices.estimate(results, design) for design in designs]
    agreed = [ranks.exhibit(results, ranked) if choices else None, ranks.table(results, agreement)]
    parts: dict[str, Sequence[Part | None]] = {
        "The whole space": indices.exhibits(results, estimates),
        "Response curves": responses.exhibits(results, designs),
        "Agreement of the scenarios": agreed,
        "Search diagnostics": [ranks.exhibit_importances(results)],
    }
    lead = [*indices.sentences(estimates), *ranks.sentences(agreement)]
    return lead, [Section(title, present(*made)) for title, made in parts.items() if any(made)]


def sentences(results: Results, choices: Sequence[Row], headlines: Sequence[str]) -> list[str]:
    """Write the first sentences: the answer on `choices`, or a recipe's own `headlines`; then the rivals."""
    others, rest = rows_of(results, *OTHERS), rest_words(results)
    rivals = [row for row in others if row["kind"] == "rival"]
    against = headline.rival_headline(results, rivals, rows_of(results, "rival", metric=GLOBAL))
    if choices:
        return [text for text in (headline.choice_headline(results, choices, others, rest), against) if text]
    start = headline.how_many_ran(results, others, rest)
    said = [text for text in (*headlines[:3], against) if text] or ["Nothing was compared."]
    return [f"{start}. {said[0]}" if start else said[0], *said[1:]]


def outcomes(results: Results) -> list[Part]:
    """List the figures of what was reached, by whom, and at what cost. A new figure is one line here."""
    return present(
        accuracies.exhibit_methods(results),
        accuracies.table_of_methods(results),
        communication.exhibit_heterogeneity(results),
        curves.exhibit_curves(results),
        exhibit_partition(results),
        communication.exhibit_communication(results),
        pareto.exhibit(results),
        pareto.table(results),
    )


def inside(results: Results) -> list[Part]:
    """List the figures on the inside of methods such as SAFE that the recipe does not declare itself."""
    declared = recipes.kinds_of(results)
    gated = "masks" not in declared and masks.any_gate(results)
    return present(
        None if "groups" in declared else classes.exhibit_groups(results),
        rounds.exhibit_ratios(results),
        rounds.exhibit_divergence(results),
        *(recipes.parts_of(results, recipes.show_masks(results, {}, "masks")) if gated else []),
        signatures.exhibit(results),
        signatures.table(results),
    )


def searching(results: Results) -> list[Part]:
    """List the figures of the search; empty where nothing was searched."""
    if not any(t["kind"] == "search" for t in results.trials):
        return []
    return present(
        search.exhibit_optimism(results),
        search.exhibit_tuning(results) or search.exhibit_search(results),
        pareto.table_race(results),
    )


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
