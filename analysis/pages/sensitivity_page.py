"""The second page of a sweep: designs over the whole space, response curves, ranks and search hints."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures.choices import indices, ranks, responses
from ..figures.choices.verdicts import rows_of
from ..look.page import Page, Part, Section, Text
from ..look.words import listing
from ..read.results import Results
from .glossary import WORDS
from .shared import of_space, page_of, present, progress, under_name

QUESTION = "How does the outcome respond over the whole space of the choices?"
TRUST = [
    "Everything here is measured on validation; nothing opened the test split.",
    "Curves around the anchor move one choice at a time; another anchor may give other curves. Only designs "
    "show how choices act together.",
]
NOTHING = "No design is finished, so nothing is said about the whole space; the curves are around the anchor."


def sensitivity_page(results: Results) -> Page | None:
    """Make the second page of a sweep; None where it holds no figure that the first page has not."""
    stories = [(view, *story(view)) for view in results.views()]
    if not any(sections for _, _, sections in stories):
        return None
    spaces = listing([str(v.space or v.meta.get("space") or "?") for v, _, _ in stories])
    lead = [sentence for view, lead, _ in stories for sentence in under_name(view, lead)]
    return page_of(
        results,
        progress(results),
        [
            *(section for view, _, sections in stories for section in of_space(view, sections)),
            Section("What can be trusted", [Text(points=TRUST)], folded=True),
        ],
        title=f"Sensitivity of {spaces}",
        question=QUESTION,
        lead=lead or [NOTHING],
        name="sensitivity",
        glossary=WORDS,
    )


def story(results: Results) -> tuple[list[str], list[Section]]:
    """Make the lead and the sections of one space; a section without a figure is left out."""
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
