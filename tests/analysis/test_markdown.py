"""Markdown: it says what the HTML says, and takes no text for markup."""

from __future__ import annotations

import itertools
import re
from html import unescape
from pathlib import Path

import pytest

from analysis.look.page import Cell, Table
from analysis.report import markdown_code, markdown_sentence, markdown_table, pages_of, write
from tests.fakes.pages import PAGE_KINDS, results_of_kind


@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_markdown_says_what_the_page_says(kind: str, tmp_path: Path) -> None:
    results = results_of_kind(kind, tmp_path)
    folder, pages = results.folder, pages_of(results)
    html, page = write(pages, folder / "report").read_text(encoding="utf-8"), pages[0]
    text = (folder / "report" / "index.md").read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^\n]*\]\((figures/[\w.-]+)\)", text)
    both = "".join(file.read_text(encoding="utf-8") for file in (folder / "report").glob("*.md"))
    assert len(linked) > 3 and set(re.findall(r"!\[[^\n]*\]\((figures/[\w.-]+)\)", both)) == {
        f"figures/{f.name}" for f in (folder / "report" / "figures").glob("*.svg")
    }
    heads = [
        [unescape(h) for h in re.findall(r"<th[^>]*>(.*?)</th>", table, re.S)]
        for table in re.findall(r"<thead>(.*?)</thead>", html)
    ]
    lines = text.split("\n")
    tables = [
        cells(before) for before, line in itertools.pairwise(lines) if re.fullmatch(r"\|( --- \|)+", line)
    ]
    assert tables == heads and len(heads) >= 5
    plain = re.sub(r"\\(.)", r"\1", unescape(text))
    assert (
        f"# {page.title}" in plain
        and all(sentence in plain for sentence in page.lead)
        and f"**{page.lead[0]}**" in plain
    )
    assert "](#" not in text  # such links lead nowhere here
    assert not re.search(r"<(?!/?(details|summary)>)|class=", re.sub(r"```.*?```", "", text, flags=re.S))
    assert text.count("<details>") == text.count("</details>") and text.count("```sql") == html.count(
        '<details class="source">'
    )


def cells(line: str) -> list[str]:
    """The cells of a table's row in Markdown."""
    return [unescape(re.sub(r"\\(.)", r"\1", cell.strip())) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_takes_no_cell_for_markup() -> None:
    evil = "a|b <b>*c*</b> `d` $e$ [f](g) \\| h_i\nj"
    (head, rule, row) = markdown_table(Table(["x|y", "z"], [[evil, Cell(evil, "again")]])).split("\n")
    assert (
        cells(head) == ["x|y", "z"] and rule == "| --- | --- |" and cells(row) == [" ".join(evil.split()), ""]
    )
    assert not re.search(r"(?<!\\)[*`$\[\]_]|<", row)
    said = markdown_sentence("a_b: run `raysim --out x_y`, *c* `<b>")
    assert said == r"a\_b: run `raysim --out x_y`, \*c\* \`&lt;b&gt;"
    assert markdown_code("a ``` b", "sh") == "````sh\na ``` b\n````"
