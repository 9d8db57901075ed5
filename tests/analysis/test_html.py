"""HTML of a page: nothing is loaded, everything has a text, and tables are what the script expects."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from analysis import pages
from analysis.look.page import Cell, Page, Section, Table
from analysis.pages.shared import GLOSSARY
from analysis.report import html

HOME = Path(pages.__file__).parent / "templates"


def test_nothing_is_loaded_and_every_link_leads_somewhere(reported_whole: Path) -> None:
    report = reported_whole / "report"
    for file in (report / "index.html", report / "sensitivity.html"):
        page = file.read_text(encoding="utf-8")
        assert page.count("<script>") == 1 and not re.search(
            r"<script [^>]|<link|<iframe|@import|src=\"(?!data:)", page
        )
        assert not re.search(r"url\(\s*['\"]?(?!#)", page)
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        links = set(re.findall(r'<a [^>]*href="([^"]+)"', page))
        assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
        others = {link for link in links if link[0] != "#"}
        assert {link.split("#")[0] for link in others} <= {other.name for other in report.glob("*.html")}


def test_every_drawing_says_what_is_seen(reported_whole: Path) -> None:
    page = (reported_whole / "report" / "index.html").read_text(encoding="utf-8")
    seen = dict.fromkeys(unescape(label) for label in re.findall(r'role="img" aria-label="([^"]*)"', page))
    evidence = [label for label in seen if "comparisons" in label]
    assert evidence and all(len(label.split()) > 6 for label in evidence) and "" not in seen


def test_rows_lead_to_their_run(reported_whole: Path) -> None:
    page = (reported_whole / "report" / "index.html").read_text(encoding="utf-8")
    assert len(set(re.findall(r'href="explore\.html#run=([^"]+)"', page))) > 5


def test_a_command_opens_and_names_are_escaped() -> None:
    evil = '<script>alert("x")</script>'
    table = Table(
        ["a", evil], [[Cell(evil, code=f"run {evil}"), Cell("x\ny", "ahead", evil, "#k")]], key="k", first=1
    )
    page = html(Page("t", "q", [f"`{evil}` {evil}"], "", [Section("s", [table])]), {})
    assert (
        page.count("<script") == 1 and 'title="&lt;script&gt;' in page and '<a href="#k">x<br>y</a>' in page
    )
    assert (
        '<details class="command"><summary>&lt;script' in page and '<p class="first"><code>&lt;script' in page
    )


def test_a_phone_shows_the_first_rows_and_a_box_the_others() -> None:
    table = Table(["a"], [["1"], ["2"], ["3"]], key="k", first=2, look="matrix")
    page = html(Page("t", "q", ["x"], "", [Section("s", [table])]), {})
    assert 'id="all-k"' in page and "show all 3" in page and page.count('<tbody class="rest">') == 1


def test_words_lead_to_their_meaning_once_in_a_text() -> None:
    page = html(Page("t", "q", ["An anchor, an anchor."], "", [], glossary=GLOSSARY), {})
    assert page.count('href="#word-anchor"') == 1 and 'id="word-anchor"' in page
    words = set(GLOSSARY)
    assert {
        "anchor",
        "contrast",
        "rival",
        "own",
        "global",
        "confirmed",
        "transfer",
        "floor",
        "level",
    } <= words


def test_dark_pages_and_paper_have_their_rules() -> None:
    css = (HOME / "style.css").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in css and "@media print" in css and "::details-content" in css


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no JavaScript engine here")
def test_the_script_is_read_without_an_error() -> None:
    subprocess.run(["node", "--check", HOME / "page.js"], check=True)
