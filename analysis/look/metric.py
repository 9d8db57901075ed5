"""A page in the word of its metric: where runs measure mIoU, nothing on it may say accuracy."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from .page import Cell, Page, Panel, Part, Table, Text

ORDINARY = "accuracy"
# Whole words: columns such as worst_client_accuracy keep their names, and so does SQL, which is not touched.
WORD = re.compile(r"\b(accuracy|accuracies)\b", re.IGNORECASE)
BY_CLASS = re.compile(r"\baccuracy (by|of each) class\b", re.IGNORECASE)


def worded(page: Page, metric: str) -> Page:
    """The page with `accuracy` replaced by its metric, in texts, tables and drawings; commands and queries stay.

    Args:
        page: Said in accuracies; its drawings are changed in place.
        metric: What the columns acc_* hold; `accuracy` leaves all as it is.
    """
    if metric == ORDINARY:
        return page
    sections = [
        dataclasses.replace(s, intro=word(s.intro, metric), parts=[_part(p, metric) for p in s.parts])
        for s in page.sections
    ]
    question, notice = word(page.question, metric), word(page.notice, metric)
    lead, flags = _all(page.lead, metric), _all(page.flags, metric)
    return dataclasses.replace(
        page, question=question, lead=lead, flags=flags, notice=notice, sections=sections
    )


def word(text: str, metric: str) -> str:
    """A text in the word of the metric; by single class it is IoU, not its mean."""
    text = BY_CLASS.sub(lambda found: f"IoU {found[1]} class", text) if metric == "mIoU" else text
    return WORD.sub(lambda found: metric + ("s" if found[1].lower() == "accuracies" else ""), text)


def _part(part: Part, metric: str) -> Part:
    if isinstance(part, Table):
        return _table(part, metric)
    if isinstance(part, Text):
        said = {name: word(getattr(part, name), metric) for name in ("folded", "title")}
        return dataclasses.replace(
            part, paragraphs=_all(part.paragraphs, metric), points=_all(part.points, metric), **said
        )
    said = {name: word(getattr(part, name), metric) for name in ("title", "caption", "missing")}
    table = _table(part.numbers, metric) if part.numbers else None
    return dataclasses.replace(part, panels=[_panel(p, metric) for p in part.panels], numbers=table, **said)


def _all(texts: Sequence[str], metric: str) -> list[str]:
    return [word(text, metric) for text in texts]


def _table(table: Table, metric: str) -> Table:
    said = {name: word(getattr(table, name), metric) for name in ("caption", "folded", "title")}
    rows = [[_cell(value, metric) for value in row] for row in table.rows]
    return dataclasses.replace(table, columns=_all(table.columns, metric), rows=rows, **said)


def _cell(value: Any, metric: str) -> Any:
    if isinstance(value, Cell):
        return (
            value
            if value.look == "code"
            else dataclasses.replace(value, text=word(value.text, metric), hint=word(value.hint, metric))
        )
    return word(value, metric) if isinstance(value, str) else value


def _panel(panel: Panel, metric: str) -> Panel:
    from matplotlib.text import Text as Drawn

    for drawn in panel.figure.findobj(Drawn):
        drawn.set_text(word(drawn.get_text(), metric))
    return dataclasses.replace(panel, title=word(panel.title, metric))
