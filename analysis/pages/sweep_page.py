"""The page of a sweep: the answer on its first screen, then the evidence, then how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import declared as recipes
from ..figures.choices.matrix import matrix
from ..figures.choices.verdicts import GLOBAL, rows_of
from ..figures.inside import masks, rounds, signatures
from ..figures.outcomes import accuracies, classes, communication, curves
from ..figures.outcomes.classes import exhibit_partition
from ..figures.searching import pareto, search
from ..look.page import Page, Part, Section, Table, Text
from ..look.words import listing
from ..read.results import Results, Row
from . import evidence, headline
from .best import best_table
from .commands import commands, rest_words
from .glossary import WORDS
from .shared import of_space, page_of, present, progress, under_name
from .sweep_facts import facts, scenarios_table, trial_counts, trust

QUESTION = "Which of the choices left open change the outcome, under which data, and how sure is that?"
OTHERS = ("rival", "floor", "pair", "tuning", "transfer", "recipe")  # comparisons beside those of choices
NOTHING = "Nothing was compared."


def sweep_page(results: Results) -> Page:
    """Make the page of a sweep, finished or not; a sweep of several spaces has all parts for each space."""
    views = results.views()
    by_space = [(view, story(view)) for view in views]
    spaces = [str(name) for name in results.meta.get("spaces") or [results.meta.get("space") or "?"]]
    run = [scenarios_table(results), trial_counts(results)]
    trusted = [Text(points=trust(view), title=view.space) for view in views]
    return page_of(
        results,
        progress(results),
        [
            *(section for view, one in by_space for section in of_space(view, one.sections)),
            Section("What was run", run, facts=facts(results), folded=True),
            Section("What can be trusted", trusted, folded=True),
        ],
        [commands(view) for view in views],
        title=f"Sweep of {listing(spaces)}",
        question=str(results.meta.get("title") or QUESTION) if len(views) == 1 else QUESTION,
        lead=[sentence for view, one in by_space for sentence in under_name(view, one.lead)],
        alert=" ".join(sentence for view, one in by_space for sentence in under_name(view, one.alert)),
        answer=[table for view, one in by_space for table in of_space(view, one.answer)],
        flags=signatures.sentences(results),
        glossary=WORDS,
    )


@dataclass(frozen=True)
class Story:
    """Parts of the page on one space: the first sentences, the first tables, and the sections."""

    lead: Sequence[str]
    alert: Sequence[str]
    answer: Sequence[Table]
    sections: Sequence[Section]


def story(results: Results) -> Story:
    """Make the parts of the page on one space."""
    choices, asked = rows_of(results, "choice"), recipes.answers(results)
    answer = [part for part in (matrix(results, choices), best_table(results)) if part]
    sections = [
        *_declared(results, asked),
        *evidence.sections(results),
        Section("Outcomes, curves, clients and cost", outcomes(results), folded=True),
        Section("Inside the runs", inside(results), folded=True),
        Section("The search", searching(results), folded=True),
        Section("All trials", present(search.table_trials(results)), folded=True),
    ]
    below = headline.floor_sentence(rows_of(results, "floor"))
    sentences = lead(results, choices, recipes.headlines(results, asked))
    return Story(sentences, [below] if below else [], answer, [s for s in sections if s.parts])


def lead(results: Results, choices: Sequence[Row], headlines: Sequence[str]) -> list[str]:
    """Write the first sentences: the answer, then the rivals; of a recipe, its own headlines.

    Args:
        results: The sweep.
        choices: Rows of the table of verdicts of the kind `choice`.
        headlines: Of the figures that a recipe declares.
    """
    others, rest = rows_of(results, *OTHERS), rest_words(results)
    rivals = [row for row in others if row["kind"] == "rival"]
    against = headline.rival_headline(results, rivals, rows_of(results, "rival", metric=GLOBAL))
    if choices:
        return [text for text in (headline.choice_headline(results, choices, others, rest), against) if text]
    start = headline.how_many_ran(results, others, rest)
    said = [text for text in (*headlines[:3], against) if text] or [NOTHING]
    return [f"{start}. {said[0]}" if start else said[0], *said[1:]]


def _declared(results: Results, asked: Sequence[recipes.Answer]) -> list[Section]:
    """Return the section of the figures that a recipe declares."""
    parts = [part for answer in asked for part in recipes.parts_of(results, answer)]
    return [Section("What the recipe asks", parts)] if parts else []


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
