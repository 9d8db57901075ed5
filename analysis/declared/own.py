"""Figures that a user adds: a query and what draws its rows (`raysim.ReportFigure`), put on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..figures.exhibits import Draft
from ..look.page import Panel
from ..read.results import Results, Row
from .answers import Answer, nothing


def shown_by(figure_class: Any) -> Callable[[Results, Row, str], Answer]:
    """Return what shows a figure of a user's class; a fault of that class is said in the figure's place."""

    def show(results: Results, figure: Row, key: str) -> Answer:
        draft = Draft(
            results, key, str(figure.get("title") or figure_class.name.replace("_", " ").capitalize())
        )
        try:
            rows = results.sql(figure_class.sql)
            if not rows:
                return nothing(draft, "rows of its query, which gives none")
            instance = figure_class()
            says, drawing = instance.says(rows, figure), instance.draw(rows, figure)
            columns = list(dict.fromkeys(column for row in rows for column in row))
            panel = Panel(key, draft.title, drawing, says or draft.title)
            exhibit = draft.exhibit([panel], rows, columns, figure_class.sql, figure_class.caption, says)
        except Exception as error:  # of code and SQL that are not ours: the rest of the page is written
            return Answer([draft.missing(f"It could not be drawn: {type(error).__name__}: {error}")])
        return Answer([exhibit])

    return show


def show_unknown(results: Results, figure: Row, key: str) -> Answer:
    """Return the answer of a figure whose kind comes from a plug-in that this process does not have."""
    kind = figure["kind"]
    files = [str(entry.get("file")) for entry in results.meta.get("plugins") or []]
    option = f" --plugin {files[0]}" if len(files) == 1 else " --plugin FILE"
    reason = (
        f"Its kind '{kind}' comes from a plug-in that was not given; the page has it after raysim report "
        f"{results.folder}{option}."
    )
    return Answer([Draft(results, key, str(figure.get("title") or kind)).missing(reason)])
