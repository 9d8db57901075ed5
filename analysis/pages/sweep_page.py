"""The page of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .. import declared as recipes
from ..figures.choices import contrasts, winners
from ..figures.inside import divergence, ratios, signatures
from ..figures.outcomes import balance, curves, methods, transfer
from ..figures.outcomes.clients import exhibit_partition
from ..figures.searching import pareto, racing, search
from ..figures.searching.tuning import edges, exhibit_tuning, table_tuning
from ..look.entries import shown_trials
from ..look.page import Page, Part, Section, Table, Text
from ..look.words import chance, count, duration, listing
from ..read import queries
from ..read.results import TESTED, Results, Row, loads, standing
from . import summary
from .commands import commands, repeat
from .shared import OWN, joined, notice, of_space, reproduce, small_backbone, under_name

QUESTION = (
    "Which of the choices that are left open change the outcome, under which data, and how sure is that?"
)


def sweep_page(results: Results) -> Page:
    """Everything about a sweep that its folder tells, in words first, then figures, then tables; of several spaces one after the other."""
    views = results.views()
    stories = [story(view) for view in views]
    spaces = listing([str(s) for s in results.meta.get("spaces") or [results.meta.get("space") or "?"]])
    named = list(zip(views, stories, strict=True))
    return Page(
        title=f"Sweep of {spaces}",
        question=str(results.meta.get("title") or QUESTION) if len(views) == 1 else QUESTION,
        lead=[said for view, own in named for said in under_name(view, own.lead)],
        flags=signatures.sentences(results),
        notice=notice(results, progress(results)),
        commands=repeat(results),
        sections=[
            *(section for view, own in named for section in of_space(view, own.sections)),
            Section("What was run", [scenarios_table(results), trial_counts(results)], facts=facts(results)),
            Section("What can be trusted", [Text(points=own.trust, title=view.space) for view, own in named]),
            reproduce(results, *(commands(view) for view in views)),
        ],
    )


@dataclass(frozen=True)
class Story:
    """What a page says of one space: the lead, the sections, and what can be trusted."""

    lead: Sequence[str]
    sections: Sequence[Section]
    trust: Sequence[str]


def story(results: Results) -> Story:
    """What there is to say of one space."""
    rounds = results.rounds([run for t in shown_trials(results) for run in t.get("runs") or []])
    compared, changed, won = (
        methods.table_methods(results),
        contrasts.table_contrasts(results),
        winners.table_winners(results),
    )
    sections = [
        Section("Figures", figures_of(results, rounds, compared, changed, won)),
        Section("Scenario by scenario", words_of(results, compared, changed, won)),
        Section("Tables", tables_of(results, compared, changed)),
    ]
    return Story(summary.lead(results, compared, changed, won), sections, trust(results, compared, changed))


def figures_of(
    results: Results,
    rounds: Sequence[Row],
    compared: Sequence[Row],
    changed: Sequence[Row],
    won: Sequence[Row],
) -> list[Part]:
    """The figures, in the order in which they are read. A new figure is one line here."""
    open_choices = summary.contrasted(results)
    signs, front = signatures.exhibit(results), pareto.exhibit(results, pareto.table_pareto(results))
    moved = transfer.exhibit(results, transfer.table_transfer(results))
    limits = methods.limits(compared) if compared else (0.0, 1.0)
    return [
        *([winners.exhibit_winners(results, won)] if open_choices and (won or with_rivals(results)) else []),
        *([contrasts.exhibit_contrasts(results, changed)] if open_choices else []),
        *recipes.exhibits(results, compared, rounds),
        methods.exhibit_methods(results, compared),
        *(
            [methods.exhibit_heterogeneity(results, compared)]
            if len(results.meta.get("scenarios") or []) > 1
            else []
        ),
        *([moved] if moved else []),
        curves.exhibit_curves(results, rounds),
        *inside(results, compared, rounds),
        *([signs] if signs else []),
        exhibit_partition(results),
        curves.exhibit_communication(results, compared, rounds, limits),
        *([front] if front else []),
        *(
            [search.exhibit_optimism(results), exhibit_tuning(results) or search.exhibit_search(results)]
            if searches(results)
            else []
        ),
    ]


def inside(results: Results, compared: Sequence[Row], rounds: Sequence[Row]) -> list[Part]:
    """What methods like SAFE show of their inside, as far as runs have it and the recipe does not draw it itself."""
    declared = recipes.kinds_of(results)
    own = [
        None if "groups" in declared else balance.exhibit_groups(results, compared, rounds),
        ratios.exhibit_ratios_of_sweep(results, rounds),
        divergence.exhibit_divergence_of_sweep(results, rounds),
    ]
    gated = "masks" not in declared and any(r.get("mask_ratio") is not None for r in rounds)
    return [
        *(exhibit for exhibit in own if exhibit),
        *(recipes.exhibit_masks(results, {}, "masks") if gated else []),
    ]


def tables_of(results: Results, compared: Sequence[Row], changed: Sequence[Row]) -> list[Part]:
    """The tables, or the sentence that there are none."""
    tables = [
        methods.table_of_methods(results, compared),
        contrasts.table_verdicts(results, changed),
        contrasts.table_differences(results, changed),
        transfer.table(results, transfer.table_transfer(results)),
        pareto.table(results, pareto.table_pareto(results)),
        racing.table(results, racing.table_racing(results)),
        search.table_choices(results, changed),
        signatures.table(results),
        search.table_trials(results),
    ]
    return [t for t in tables if t] or [Text(["No trial is finished yet, so there are no tables."])]


def words_of(
    results: Results, compared: Sequence[Row], changed: Sequence[Row], won: Sequence[Row]
) -> list[Part]:
    """What the figures say of each scenario, in words."""
    symbols, of_recipe = summary.symbols_of(results, changed), recipes.sentences(results, compared)
    groups = {
        "Who wins, on validation": summary.by_scenario(winners.cases(won), symbols),
        "Accuracy and the open choices, on validation": contrasts.sentences(results, changed),
        "What the figures of this recipe say": of_recipe if len(of_recipe) > summary.FIRST else [],
        "Methods, on the test split and fresh seeds": methods.sentences(
            methods.rivalry(results, compared), results.confidence
        ),
    }
    return [Text(points=said, folded=title) for title, said in groups.items() if said] or [
        Text(["Nothing can be said yet."])
    ]


def searches(results: Results) -> bool:
    """Whether anything is selected on validation; a plain recipe is a declared set."""
    return summary.contrasted(results) or any(t["kind"] == "search" for t in results.trials)


def with_rivals(results: Results) -> bool:
    """Whether rivals are run beside the contrasts, or are planned."""
    return bool((results.meta.get("planned") or {}).get("rival")) or any(
        t["kind"] == "rival" for t in results.trials
    )


def progress(results: Results) -> str:
    """`12 of 40 planned trials are finished`."""
    planned = results.meta.get("planned") or {}
    done = len(results.trials)
    if not planned or None in planned.values():  # a search that goes on until its time is over
        return f"{count(done, 'trial')} finished"
    return f"{done} of {sum(planned.values())} planned trials are finished"


def facts(results: Results) -> list[tuple[str, str]]:
    """What was run, in a few lines."""
    meta, trials = results.meta, results.trials
    experiment = next((e for t in trials if (e := loads(t.get("experiment")))), {})
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
            "scenario; the searcher saw "
            "validation only",
        ),
        ("confirmation", f"{count(len(fresh), 'fresh seed')} ({', '.join(map(str, fresh))}); {opened}"),
        ("rounds", " or ".join(map(str, rounds)) or "none yet"),
        ("took", f"{duration(meta.get('seconds'))} on {joined(meta.get('hardware'))}"),
    ]


def scenarios_table(results: Results) -> Table | Text:
    """The scenarios with what was asked for and what came out."""
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
        "What was asked for, and the heterogeneity that came out.",
        queries.SCENARIOS,
        title="Scenarios",
    )


def trial_counts(results: Results) -> Table | Text:
    """Trials by kind and state, against the plan."""
    if not results.trials:
        return Text(["No trial is finished yet."])
    counts = Counter((t["kind"], t["state"]) for t in results.trials)
    planned = results.meta.get("planned") or {}
    what = {
        "contrast": "contrast: one choice changed, seeds shared with the anchor",
        "rival": "rival: what the contrasts are compared with, same seeds, untuned",
        "search": "search: proposed by the searcher",
        "interaction": "interaction: two choices changed together, seeds shared with the anchor",
        "design": "design: a point of a design over the whole space",
        "race": "race: one more seed for a configuration still in question",
        "confirm": "confirm: fresh seeds, test opened",
        "transfer": "transfer: the winner of another scenario, fresh seeds, test opened",
    }
    kinds = [k for k in what if planned.get(k, 0) != 0 or any(kind == k for kind, _ in counts)]
    body = [
        [what[k], planned.get(k), *(counts[(k, s)] for s in ("COMPLETE", "PRUNED", "FAIL"))] for k in kinds
    ]
    dropped = results.meta.get("dropped_contrasts")
    left = (
        f" {count(dropped, 'contrast was', 'contrasts were')} left out because the time limit was near."
        if dropped
        else ""
    )
    return Table(
        ["trials", "planned", "complete", "stopped early", "failed"],
        body,
        left.strip(),
        queries.COUNTS,
        title="Trials by kind and state",
    )


def trust(results: Results, compared: Sequence[Row], changed: Sequence[Row]) -> list[str]:
    """What this page can and cannot show."""
    seeds, fresh = results.meta.get("selection_seeds") or [], results.meta.get("fresh_seeds") or []
    points = [
        f"Intervals are Student's t over {count(len(seeds), 'seed')} (contrasts) and "
        f"{count(len(fresh), 'seed')} (methods), "
        f"{results.confidence:.0%}, "
        "paired by seed for differences. With so few seeds they are wide, and an effect that is not "
        "decided may still be there. A "
        "difference that is the same to the last bit for all seeds has no measured spread and decides "
        "nothing.",
        "A seed changes the partition, the cohort and the initial values, on one dataset: intervals speak "
        "about such repetitions, not "
        "about other data.",
    ]
    if changed:
        points.append(
            "Contrasts change one choice at a time around the anchor: they see no interactions; another "
            "anchor may give other verdicts."
        )
    points += [said] if (said := edges(table_tuning(results))) else []
    by_chance = chance(contrasts.count_chance(changed, results.confidence), results.confidence)
    if by_chance:
        points.append(f"Contrasts: {by_chance[0].lower()}{by_chance[1:]}")
    if compared:
        labels = list(dict.fromkeys(r["label"] for r in compared))
        tuned, untuned = (
            [label for label in labels if standing(label) == word] for word in ("tuned", "untuned")
        )
        if tuned and untuned:
            points.append(
                f"{listing(tuned)} had a search behind it, {listing(untuned)} did not: part of a tuned "
                "method's lead may be the tuning."
            )
    backbones = {(loads(t.get("experiment")).get("task") or {}).get("backbone") for t in results.trials}
    return [*points, OWN, *(small_backbone("scenes-clip") if "scenes-clip" in backbones else [])]
