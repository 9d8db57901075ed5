"""The second page of a sweep: designs over the whole space, response curves, ranks and search hints."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures.choices import importances, indices, ranks, responses
from ..figures.choices.verdicts import rows_of
from ..look.page import Page, Part, Section, Text
from ..look.words import listing
from ..read.results import Results
from .commands import repeat
from .glossary import WORDS
from .shared import notice, of_space, reproduce, under_name
from .sweep_facts import progress

QUESTION = "How does the outcome respond over the whole space of the choices?"
NOTHING = "No design is finished, so nothing is said about the whole space; the curves are around the anchor."


def sensitivity_page(results: Results) -> Page | None:
    """Make the second page of a sweep; None where it holds no figure that the first page has not."""
    stories = [(view, *story(view)) for view in results.views()]
    if not any(sections for _, _, sections in stories):
        return None
    spaces = listing([str(v.space or v.meta.get("space") or "?") for v, _, _ in stories])
    lead = [sentence for view, lead, _ in stories for sentence in under_name(view, lead)]
    return Page(
        title=f"Sensitivity of {spaces}",
        question=QUESTION,
        lead=lead or [NOTHING],
        notice=notice(results, progress(results)),
        commands=repeat(results),
        name="sensitivity",
        sections=[
            *(section for view, _, sections in stories for section in of_space(view, sections)),
            Section("What can be trusted", [Text(points=trust(results))], folded=True),
            reproduce(results),
        ],
        glossary=WORDS,
    )


def story(results: Results) -> tuple[list[str], list[Section]]:
    """Make the lead and the sections of one space; a section without a figure is left out."""
    choices = any(row["estimate"] is not None for row in rows_of(results, "choice"))
    ranked, agreement = ranks.table_ranks(results)
    designs = indices.points_of(results)
    estimates = [indices.estimate(results, design) for design in designs]
    suggested = importances.diagnoses(results)
    sections = [
        _section("The whole space", *indices.exhibits(results, estimates)),
        _section("Response curves", *responses.exhibits(results, designs)),
        _section(
            "Agreement of the scenarios",
            ranks.exhibit(results, ranked) if choices else None,
            ranks.table(results, agreement),
        ),
        _section("Search diagnostics", importances.exhibit(results, suggested)),
    ]
    lead = [*indices.sentences(estimates), *ranks.sentences(agreement)]
    return lead, [section for section in sections if section.parts]


def _section(title: str, *parts: Part | None) -> Section:
    return Section(title, [part for part in parts if part])


def trust(results: Results) -> Sequence[str]:
    """Sentences on what this page can and cannot show."""
    return [
        "Everything here is measured on validation; nothing opened the test split.",
        "Curves around the anchor move one choice at a time; another anchor may give other curves. Only "
        "designs "
        "show how choices act together.",
    ]
