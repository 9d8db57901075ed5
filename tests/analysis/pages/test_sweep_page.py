"""The page of a sweep: complete, unfinished, and of a recipe."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from analysis import write_report
from tests.fakes import results as fake_results


def text_of(folder: Path) -> str:
    """The page without its tags."""
    return unescape(re.sub(r"<[^>]+>", " ", (folder / "report" / "index.html").read_text(encoding="utf-8")))


def test_sweep_page_is_complete_and_self_contained(reported_sweep: Path) -> None:
    page = (reported_sweep / "report" / "index.html").read_text(encoding="utf-8")
    order = [
        "summary",
        "figures",
        "scenario-by-scenario",
        "tables",
        "what-was-run",
        "what-can-be-trusted",
        "how-to-reproduce-each-number",
    ]
    places = [page.index(f'<section id="{name}"') for name in order]
    assert places == sorted(places)
    figures = (
        "winners contrasts methods heterogeneity curves signatures partition communication optimism search"
    )
    for figure in figures.split():
        inside = page[page.index(f'<figure id="{figure}"') :].split("</figure>")[0]
        assert "<svg" in inside and "<figcaption>" in inside and 'class="missing"' not in inside
    assert not re.search(
        r"<script|<link|<iframe|@import|url\(\s*['\"]?(?!#)|(src|href)=\"(?!#|data:image/png|sensitivity\.html\")",
        page,
    )
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_sweep_page_says_what_cannot_be_trusted(reported_sweep: Path) -> None:
    text = text_of(reported_sweep)
    for said in (
        "alike across clients",
        "scenes-clip, a small CLIP",
        "had a search behind it",
        "by chance alone",
        "saw validation only",
    ):
        assert said in text
    assert "still running" not in text


@pytest.mark.parametrize("stop", [0, 1, 2, 21, 72, 76])
def test_unfinished_sweep(tmp_path: Path, stop: int) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=stop, status="running", rounds=4)
    write_report(folder)
    text = text_of(folder)
    assert f"still running: {stop} of 93 planned trials are finished" in text
    assert ("the test split is still closed" in text) == (stop < 73)
    assert ("No contrast is finished yet" in text) == (stop < 16)


def test_a_recipe_compares_its_first_with_the_others_and_speaks_of_no_search(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, recipe=True, rounds=2)
    write_report(folder)
    text = " ".join(text_of(folder).split())
    assert (
        "On fresh seeds and the test split, on the clients' own distributions, fedrsclip beats "
        "promptfl_ft under "
        in text
        and "strongest of 4 rivals" in text
    )
    for word in (
        "contrast is finished",
        "Optimism gap",
        "The search ",
        "(untuned)",
        "had a search behind it",
    ):
        assert word not in text
