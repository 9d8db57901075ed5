"""A page as one HTML file: drawings, style and script inside, no links to other servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..look.output import environment
from ..look.page import Exhibit, Page, show, slug
from ..look.style import inline

RELOAD = 60  # seconds after which the page of a running sweep reloads itself


def render(page: Page, drawings: Mapping[str, str]) -> str:
    """Write a page as HTML, with the SVG text of each panel by its key."""
    from markupsafe import Markup

    env = environment(Path(__file__).parent / "templates")
    env.filters |= {"show": show, "slug": slug}
    env.filters["lines"] = lambda text: Markup("<br>").join(str(text).split("\n"))
    env.filters["words"] = lambda text: _explained(text, page.glossary)
    env.tests["number"] = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    panels = {
        panel.key: panel.alt or ". ".join(p for p in (panel.title or part.title, part.says) if p)
        for part in page.parts()
        if isinstance(part, Exhibit)
        for panel in part.panels
    }
    names = page.names()
    return env.get_template("report.html").render(
        page=page,
        svg={key: Markup(inline(drawings[key], title)) for key, title in panels.items()},
        kind=lambda part: type(part).__name__,
        name=lambda part: names.get(id(part), ""),
        reload=RELOAD if page.written else 0,
    )


def _explained(text: str, glossary: Mapping[str, str]) -> Any:
    """Return the text as HTML; each word of the glossary leads once to its meaning; `code` is code."""
    from markupsafe import Markup, escape

    left = {term: meaning for term, meaning in glossary.items() if term in text}
    words = "|".join([r"`[^`]+`", *(rf"\b{re.escape(term)}\b" for term in left)])
    link = Markup('<a class="word" href="#word-{}" title="{}">{}</a>')
    pieces = []
    for piece in re.split(f"({words})", text):
        if piece.startswith("`"):
            pieces.append(Markup("<code>{}</code>").format(piece[1:-1]))
        elif meaning := left.pop(piece, ""):
            pieces.append(link.format(slug(piece), meaning, piece))
        else:
            pieces.append(escape(piece))
    return Markup("").join(pieces)
