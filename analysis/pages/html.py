"""A page as one HTML file: drawings inside, no scripts, no links to other servers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..look.page import Exhibit, Page, show
from ..look.style import inline

RELOAD = 60  # seconds after which the page of a running sweep reloads itself


def render(page: Page, drawings: Mapping[str, str]) -> str:
    """Write a page as HTML.

    Args:
        page: The page.
        drawings: Key of a panel -> its SVG text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    templates = Path(__file__).parent / "templates"
    env = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    env.filters["show"] = show
    env.tests["number"] = _is_number
    panels = {
        panel.key: panel.title or part.title
        for part in page.parts()
        if isinstance(part, Exhibit)
        for panel in part.panels
    }
    names = page.names()
    return env.get_template("report.html").render(
        page=page,
        svg={key: Markup(inline(drawings[key], title)) for key, title in panels.items()},
        css=Markup((templates / "style.css").read_text(encoding="utf-8")),
        kind=lambda part: type(part).__name__,
        name=lambda part: names.get(id(part), ""),
        reload=RELOAD if page.written else 0,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
