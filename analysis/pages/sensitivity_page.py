"""The sensitivity page of a sweep: the choices that the paper leaves open, and their effects."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures.choices import (
    contrast_tables,
    contrasts,
    gap_figures,
    gap_sentences,
    gaps,
    importances,
    index_figures,
    indices,
    interactions,
    ranks,
    responses,
)
from ..figures.outcomes import transfer
from ..look.page import Page, Part, Section, Text
from ..look.words import count, listing
from ..read.results import Results
from . import summary
from .commands import repeat
from .shared import notice, of_space, reproduce, under_name
from .sweep_facts import progress

QUESTION = "What does the paper leave open, what does that change, under which data, and how sure is that?"
SENSITIVITY_KINDS = ("contrast", "interaction", "design", "transfer")


def sensitivity_page(results: Results) -> Page | None:
    """Make the page on the open choices of a sweep; None where it has none (a declared set of runs)."""
    views = [view for view in results.views() if _has_choices(view)]
    if not views:
        return None
    spaces = listing([str(v.space or v.meta.get("space") or "?") for v in views])
    stories = [(view, *story(view)) for view in views]
    return Page(
        title=f"Sensitivity of {spaces}",
        question=QUESTION,
        lead=[sentence for view, lead, _ in stories for sentence in under_name(view, lead)],
        notice=notice(results, progress(results)),
        commands=repeat(results),
        name="sensitivity",
        sections=[
            *(section for view, _, sections in stories for section in of_space(view, sections)),
            Section("What can be trusted", [Text(points=trust(results))]),
            reproduce(results),
        ],
    )


def _has_choices(view: Results) -> bool:
    return (
        summary.contrasted(view)
        or bool(view.meta.get("design"))
        or any(t["kind"] in SENSITIVITY_KINDS for t in view.trials)
    )


def story(results: Results) -> tuple[list[str], list[Section]]:
    """Make the lead and the sections of one space, figures before tables.

    A section for which nothing is planned is left out.
    """
    left_open, changed = gaps.table_gaps(results), contrasts.table_contrasts(results)
    pairs, moved = interactions.table_interactions(results), transfer.table_transfer(results)
    ranked, agreement = ranks.table_ranks(results)
    designs = indices.points_of(results)
    estimates = [indices.estimate(results, design) for design in designs]
    suggested = importances.diagnoses(results)
    with_contrasts = summary.contrasted(results)
    sections = [
        _section(
            "Specification gaps",
            *(gap_figures.exhibits(results, left_open) if with_contrasts else []),
            gap_figures.table(results, left_open),
        ),
        _section(
            "One choice at a time",
            *([contrasts.exhibit_contrasts(results, changed)] if with_contrasts else []),
            contrast_tables.table_verdicts(results, changed),
            contrast_tables.table_differences(results, changed),
        ),
        _section(
            "The whole space",
            *index_figures.exhibits(results, estimates),
            *index_figures.tables(results, estimates),
        ),
        _section(
            "Two choices together", interactions.exhibit(results, pairs), interactions.table(results, pairs)
        ),
        _section("Response curves", *responses.exhibits(results, changed, designs)),
        _section(
            "Agreement of the scenarios",
            ranks.exhibit(results, ranked, agreement) if with_contrasts else None,
            ranks.table(results, agreement),
        ),
        _section("Tuned here, used there", transfer.exhibit(results, moved), transfer.table(results, moved)),
        _section(
            "Search diagnostics",
            importances.exhibit(results, suggested),
            importances.table(results, suggested),
        ),
    ]
    lead = [
        *(gap_sentences.sentences(left_open, results.confidence, results.metric) if with_contrasts else []),
        *index_figures.sentences(estimates),
        *interactions.sentences(pairs),
        *ranks.sentences(agreement),
        *transfer.sentences(moved, results.metric),
    ]
    return lead, [section for section in sections if section.parts]


def _section(title: str, *parts: Part | None) -> Section:
    return Section(title, [part for part in parts if part])


def trust(results: Results) -> Sequence[str]:
    """Sentences on what this page can and cannot show."""
    seeds = results.meta.get("selection_seeds") or []
    return [
        f"Contrasts and pairs are measured on validation with {count(len(seeds), 'seed')}; intervals are "
        f"Student's t, {results.confidence:.0%}, paired by seed. With so few seeds they are wide: undecided "
        "means undecided, not that there is no effect.",
        "Where the largest of several levels is shown, its interval is widened for their number "
        "(Bonferroni), so that it is valid although the level was selected. Stars hold the share of false "
        "findings over all rows of a table.",
        "Choices are moved one at a time around the anchor; another anchor may give other verdicts. Only "
        "pairs and designs show interactions.",
        "The lead over a rival is measured with the rival as it was confirmed (tuned, where it has a "
        "search of its own) and the method with one choice moved from the anchor, not tuned again at each "
        "level. A lead that is lost there might be won back by tuning.",
        "Nothing here opened the test split, except for transferred configurations.",
    ]
