"""A page as Markdown, for a repository or an issue: linked figures, tables and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from ..look.page import Cell, Exhibit, Page, Part, Section, Table, Text, show

SPECIAL = re.compile(r"([\\`*_{}\[\]|$~#])")
QUERY = "Command and query"


def render(page: Page) -> str:
    """Write a page as Markdown; its figures are in `figures/` beside it."""
    return "\n".join(_squeezed(_page(page))).strip() + "\n"


def _squeezed(lines: Iterable[str]) -> Iterator[str]:
    """Reduce several empty lines to one, outside of code."""
    previous, fence = "", ""
    for line in lines:
        if not fence and not line and not previous:
            continue
        if line.startswith("```"):
            fence = "" if line == fence else fence or line.rstrip("abcdefghijklmnopqrstuvwxyz")
        yield line
        previous = line


def _file(name: str) -> str:
    """Return the file of a page that another one links to: its Markdown, or the one with its ending."""
    return name if "." in name else f"{name}.md"


def _page(page: Page) -> Iterator[str]:
    yield from (f"# {text(page.title)}", "", f"*{text(page.question)}*", "")
    if page.notice:
        yield from (f"> {text(page.notice)}{text(_written(page))}", "")
    for i, sentence in enumerate(page.lead):
        yield from (f"**{text(sentence)}**" if i == 0 else text(sentence), "")
        yield from (text(page.alert), "") if i == 0 and page.alert else ()
    names = page.names()
    for part in page.answer:
        yield from ("", *_part(part, names, page))
    if page.flags:
        yield from ("Flagged:", "", *(f"- {text(flag)}" for flag in page.flags), "")
    yield from (
        (f"See also: {', '.join(f'[{text(title)}]({_file(name)})' for name, title in page.links)}", "")
        if page.links
        else ()
    )
    for section in page.sections:
        yield from _section(section, names, page)
    if page.glossary:
        yield from (
            "",
            "## Words",
            "",
            *(f"- {text(word)}: {text(meaning)}" for word, meaning in page.glossary),
        )


def _written(page: Page) -> str:
    return f" Written {page.written}." if page.written else ""


def _section(section: Section, names: dict[int, str], page: Page) -> Iterator[str]:
    yield from ("", f"## {text(section.title)}", "", *([text(section.intro), ""] if section.intro else []))
    yield from (f"- {text(name)}: {text(value)}" for name, value in section.facts)
    for part in section.parts:
        yield from ("", *_part(part, names, page))


def _part(part: Part, names: dict[int, str], page: Page) -> Iterator[str]:
    if isinstance(part, Text):
        yield from _text(part)
    elif isinstance(part, Table):
        yield from _table(part, names[id(part)], page)
    else:
        yield from _figure(part, names.get(id(part), ""), page)


def _figure(exhibit: Exhibit, name: str, page: Page) -> Iterator[str]:
    if exhibit.missing:
        yield from (f"**{text(exhibit.title)}:** {text(exhibit.missing)}", "")
        return
    yield from (f"### {_title(name, exhibit.title)}", "", *_says(exhibit))
    for panel in exhibit.panels:
        yield from (f"![{text(panel.alt or panel.title or exhibit.title)}](figures/{panel.key}.svg)", "")
    yield from (text(exhibit.caption), "")
    if exhibit.numbers:
        yield from _folded(exhibit.numbers.folded, grid(exhibit.numbers))
    yield from _source(exhibit.source, page)


def _table(table: Table, name: str, page: Page) -> Iterator[str]:
    yield from (
        f"### {_title(name, table.title or table.folded)}",
        "",
        *_says(table),
    )
    yield from _folded(table.folded, grid(table)) if table.folded else (*grid(table), "")
    for row in table.rows:
        for cell in row:
            if isinstance(cell, Cell) and cell.code:
                yield from _folded(f"{show(row[0])}: {cell.text}", code(cell.code, "sh"))
    yield from ([text(table.caption), ""] if table.caption else [])
    yield from _source(table.source, page)


def _says(part: Table | Exhibit) -> list[str]:
    return [f"**{text(part.says)}**", ""] if part.says else []


def _title(name: str, title: str) -> str:
    return ". ".join(part for part in (name, text(title)) if part)


def _source(source: str, page: Page) -> Iterator[str]:
    if source:
        yield from _folded(
            QUERY,
            [
                *code("\n".join(page.commands), "sh"),
                "",
                "DuckDB, in the result folder:",
                "",
                *code(source, "sql"),
            ],
        )


def _text(part: Text) -> Iterator[str]:
    if part.title:
        yield from (f"### {text(part.title)}", "")
    lines = [line for paragraph in part.paragraphs for line in (text(paragraph), "")]
    lines += [f"- {text(point)}" for point in part.points]
    lines += code(part.code, "sh") if part.code else []
    yield from _folded(part.folded, lines) if part.folded else lines


def _folded(summary: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("<details>", f"<summary>{escape(summary)}</summary>", "", *lines, "", "</details>", "")


def code(source: str, language: str = "") -> list[str]:
    """Write a code block; its fence is longer than any inside."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", source)), 3)
    return [fence + language, *source.split("\n"), fence]


def grid(table: Table) -> list[str]:
    """Write a table as Markdown."""
    body = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in table.rows]
    return [
        "| " + " | ".join(text(str(name)) for name in table.columns) + " |",
        "|" + " --- |" * len(table.columns),
        *body,
    ]


def _cell(value: Any) -> str:
    if not isinstance(value, Cell):
        return text(show(value))
    if value.look == "again":
        return ""
    words = "; ".join(text(line) for line in show(value.text).split("\n"))
    inside = value.link.startswith("#")  # Markdown makes its own anchors
    return f"[{words}]({value.link})" if value.link and not inside else words


def text(words: str) -> str:
    """Escape a text, so that nothing in it is markup."""
    return SPECIAL.sub(r"\\\1", escape(" ".join(str(words).split()), quote=False))
