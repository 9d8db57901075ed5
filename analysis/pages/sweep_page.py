"""The page of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import declared as recipes
from ..figures.choices import contrast_sentences, contrast_tables, contrasts, winner_tiles, winners
from ..figures.inside import divergence, ratios, signature_figures
from ..figures.outcomes import (
    balance,
    communication,
    curves,
    heterogeneity,
    methods,
    methods_table,
    rivalry,
    transfer,
)
from ..figures.outcomes.partition import exhibit_partition
from ..figures.searching import optimism, pareto, racing, search, trial_tables
from ..figures.searching.tuning import exhibit_tuning
from ..look.entries import shown_trials
from ..look.page import Page, Part, Section, Text
from ..look.words import capitalized, listing
from ..read.results import Results, Row
from . import summary
from .commands import commands, repeat
from .shared import notice, of_space, reproduce, under_name
from .sweep_facts import facts, progress, scenarios_table, trial_counts, trust
from .winner_sentences import scenario_sentences

QUESTION = (
    "Which of the choices that are left open change the outcome, under which data, and how sure is that?"
)


def sweep_page(results: Results) -> Page:
    """Make the page of a sweep, finished or not: words first, then figures, then tables.

    A sweep of several spaces has these sections for each space.
    """
    views = results.views()
    stories = [story(view) for view in views]
    spaces = listing([str(s) for s in results.meta.get("spaces") or [results.meta.get("space") or "?"]])
    by_space = list(zip(views, stories, strict=True))
    return Page(
        title=f"Sweep of {spaces}",
        question=str(results.meta.get("title") or QUESTION) if len(views) == 1 else QUESTION,
        lead=[sentence for view, one in by_space for sentence in under_name(view, one.lead)],
        flags=signature_figures.sentences(results),
        notice=notice(results, progress(results)),
        commands=repeat(results),
        sections=[
            *(section for view, one in by_space for section in of_space(view, one.sections)),
            Section("What was run", [scenarios_table(results), trial_counts(results)], facts=facts(results)),
            Section(
                "What can be trusted", [Text(points=one.trust, title=view.space) for view, one in by_space]
            ),
            reproduce(results, *(commands(view) for view in views)),
        ],
    )


@dataclass(frozen=True)
class Story:
    """Parts of the page on one space: the lead, the sections, and what can be trusted."""

    lead: Sequence[str]
    sections: Sequence[Section]
    trust: Sequence[str]


def story(results: Results) -> Story:
    """Make the parts of the page on one space."""
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
    """List the figures in their order on the page. A new figure is one line here."""
    open_choices = summary.contrasted(results)
    signs, front = signature_figures.exhibit(results), pareto.exhibit(results, pareto.table_pareto(results))
    moved = transfer.exhibit(results, transfer.table_transfer(results))
    limits = methods.limits(compared) if compared else (0.0, 1.0)
    return [
        *(
            [winner_tiles.exhibit_winners(results, won)]
            if open_choices and (won or with_rivals(results))
            else []
        ),
        *([contrasts.exhibit_contrasts(results, changed)] if open_choices else []),
        *recipes.exhibits(results, compared, rounds),
        methods.exhibit_methods(results, compared),
        *(
            [heterogeneity.exhibit_heterogeneity(results, compared)]
            if len(results.meta.get("scenarios") or []) > 1
            else []
        ),
        *([moved] if moved else []),
        curves.exhibit_curves(results, rounds),
        *inside(results, compared, rounds),
        *([signs] if signs else []),
        exhibit_partition(results),
        communication.exhibit_communication(results, compared, rounds, limits),
        *([front] if front else []),
        *(
            [optimism.exhibit_optimism(results), exhibit_tuning(results) or search.exhibit_search(results)]
            if searches(results)
            else []
        ),
    ]


def inside(results: Results, compared: Sequence[Row], rounds: Sequence[Row]) -> list[Part]:
    """List the figures on the inside of methods such as SAFE that the recipe does not declare itself."""
    declared = recipes.kinds_of(results)
    exhibits = [
        None if "groups" in declared else balance.exhibit_groups(results, compared, rounds),
        ratios.exhibit_ratios_of_sweep(results, rounds),
        divergence.exhibit_divergence_of_sweep(results, rounds),
    ]
    gated = "masks" not in declared and any(r.get("mask_ratio") is not None for r in rounds)
    return [
        *(exhibit for exhibit in exhibits if exhibit),
        *(recipes.exhibit_masks(results, {}, "masks") if gated else []),
    ]


def tables_of(results: Results, compared: Sequence[Row], changed: Sequence[Row]) -> list[Part]:
    """List the tables, or say that there are none."""
    tables = [
        methods_table.table_of_methods(results, compared),
        contrast_tables.table_verdicts(results, changed),
        contrast_tables.table_differences(results, changed),
        transfer.table(results, transfer.table_transfer(results)),
        pareto.table(results, pareto.table_pareto(results)),
        racing.table(results, racing.table_racing(results)),
        trial_tables.table_choices(results, changed),
        signature_figures.table(results),
        trial_tables.table_trials(results),
    ]
    return [t for t in tables if t] or [Text(["No trial is finished yet, so there are no tables."])]


def words_of(
    results: Results, compared: Sequence[Row], changed: Sequence[Row], won: Sequence[Row]
) -> list[Part]:
    """Write what the figures show of each scenario."""
    symbols, of_recipe = summary.symbols_of(results, changed), recipes.sentences(results, compared)
    metric = capitalized(str(results.metric))
    groups = {
        "Who wins, on validation": scenario_sentences(winners.cases(won), symbols),
        f"{metric} and the open choices, on validation": contrast_sentences.sentences(results, changed),
        "What the figures of this recipe say": (
            of_recipe if len(of_recipe) > summary.MAX_RECIPE_SENTENCES else []
        ),
        "Methods, on the test split and fresh seeds": rivalry.sentences(
            rivalry.rivalry(results, compared), results.confidence
        ),
    }
    return [Text(points=group, folded=title) for title, group in groups.items() if group] or [
        Text(["Nothing can be said yet."])
    ]


def searches(results: Results) -> bool:
    """Whether anything is selected on validation; a plain recipe is a declared set."""
    return summary.contrasted(results) or any(t["kind"] == "search" for t in results.trials)


def with_rivals(results: Results) -> bool:
    """Whether rivals are run or planned beside the contrasts."""
    return bool((results.meta.get("planned") or {}).get("rival")) or any(
        t["kind"] == "rival" for t in results.trials
    )
