"""The second page of a sweep: what the first has not, half-finished sweeps, and several spaces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis import write_report
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake
from tests.fakes.pages import page_text

EVEN, SKEWED = fake.SCENARIOS


def test_pages_link_each_other_and_share_no_figure(full_sweep: Path) -> None:
    first, second = (
        (full_sweep / "report" / f"{name}.html").read_text(encoding="utf-8")
        for name in ("index", "sensitivity")
    )
    assert 'href="sensitivity.html"' in first and 'href="index.html"' in second
    assert "](sensitivity.md)" in (full_sweep / "report" / "index.md").read_text(encoding="utf-8")
    sections = re.findall(r'<section id="([^"]+)"', second)
    assert sections == [
        "summary",
        "response-curves",
        "agreement-of-the-scenarios",
        "search-diagnostics",
        "what-can-be-trusted",
        "how-to-reproduce-each-number",
        "glossary",
    ]
    figures = [set(re.findall(r'<figure id="([^"]+)"', page)) for page in (first, second)]
    assert not figures[0] & figures[1] and {"responses", "ranks"} <= figures[1]
    text = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", first + second, flags=re.S)
    assert not re.search(r"\\mathdefault|None|\bnan\b", text)


@pytest.mark.parametrize("kinds", [*((kind,) for kind in fake.KINDS), ("contrast", "search", "transfer")])
def test_half_finished_sweeps_have_their_pages(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    made = fake.write(tmp_path, fake.full(kinds=kinds, scenarios=[EVEN]), status="running")
    write_report(made)
    assert "still running" in page_text(made, "index") and "lam" in page_text(made, "index")


def test_a_sweep_without_choices_has_no_second_page(tmp_path: Path) -> None:
    sheet = fake.full(kinds=["confirm"], scenarios=[EVEN])
    plain = fake.write(tmp_path, sheet, factors=[], planned={"contrast": 0, "confirm": 2})
    assert "sensitivity.html" not in write_report(plain).read_text(encoding="utf-8")
    assert not (plain / "report" / "sensitivity.html").exists()


def test_spaces_of_one_sweep_are_told_apart(tmp_path: Path) -> None:
    first, second = (
        fake.full("m", "m", ["contrast", "rival"], [EVEN]),
        fake.full("n", "n", ["contrast", "rival", "confirm"]),
    )
    second.rows = [r for r in second.rows if r["factor"] in (None, "method.h")]
    for row in second.rows:
        row["factor"] = row["factor"] and "method.tau"
        row["label"] = row["label"].replace("method.h", "method.tau")
    about = {"symbol": "tau", "levels": ["1", "16"], "anchor": 4, "basis": "paper", "doc": ""}
    declared = {
        "m": {"factors": fake.factors(), "rivals": {}, "method": "m"},
        "n": {"factors": [{"path": "method.tau", **about}], "rivals": {}, "method": "n"},
    }
    made = fake.write(tmp_path, first, second, spaces_declared=declared)
    index = write_report(made).read_text(encoding="utf-8")
    assert [v.space for v in open_results(made).views()] == ["m", "n"]
    said = page_text(made, "index")
    assert "m: " in said and "n: " in said
    ids = re.findall(r'\bid="([^"]+)"', index)
    assert len(ids) == len(set(ids)) and {"m-which-choices-matter", "n-which-choices-matter"} <= set(ids)
    inside = index.split('<section id="n-which-choices-matter"')[1].split("</section>")[0]
    assert "tau = 16" in inside and "lam" not in inside
    assert 'id="m-answer"' in index and 'id="n-answer"' in index
