"""The page of a sweep: complete, unfinished, and of a recipe."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from analysis import write_report
from analysis.pages import sweep_page
from tests.fakes import results as fake_results
from tests.fakes import whole as fake_whole
from tests.fakes.trials import contrast, written


def text_of(folder: Path) -> str:
    """The page without its tags."""
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    return " ".join(
        unescape(re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]+>", " ", page, flags=re.S)).split()
    )


def test_the_answer_comes_first_and_the_evidence_in_the_order_of_the_questions(reported_whole: Path) -> None:
    page = (reported_whole / "report" / "index.html").read_text(encoding="utf-8")
    sections = re.findall(r'<section id="([^"]+)"', page)
    assert sections == [
        "summary",
        "does-the-method-beat-its-rivals-and-the-floors",
        "which-choices-matter",
        "do-the-choices-change-who-wins",
        "do-two-choices-act-together",
        "was-tuning-worth-it-and-does-it-carry-over",
        "outcomes-curves-clients-and-cost",
        "inside-the-runs",
        "the-search",
        "all-trials",
        "what-was-run",
        "what-can-be-trusted",
        "how-to-reproduce-each-number",
        "glossary",
    ]
    first = page[page.index('<section id="summary"') :].split("</section>")[0]
    assert first.index('class="first"') < first.index('id="answer"') < first.index('id="best"')
    for name in ("rivals", "choices", "pairs", "tuning"):
        figure = page[page.index(f'<figure id="{name}"') :].split("</figure>")[0]
        assert figure.index('class="says"') < figure.index("<svg") < figure.index("<table")
    assert (
        len(re.findall(r'<details class="section">', page)) == 8
    )  # everything behind the evidence is folded


def test_a_level_that_diverges_is_seen_everywhere(reported_whole: Path) -> None:
    text = text_of(reported_whole)
    assert "The choice lam decides most: 0.5 instead of 0.05 diverged on 3 of 3 seeds under even" in text
    assert "\u2715 diverges at 0.5" in text and "lam = 0.5 under even (diverged on 3 of 3 seeds)" in text
    assert "4 of 5 seeds" in text and "clients measured" in text and "\u00b1 0.0" not in text


def test_no_label_names_what_did_not_take_place(tmp_path: Path) -> None:
    write_report(fake_whole.whole_sweep(tmp_path, search=0))
    text = text_of(tmp_path).split("Outcomes, curves, clients and cost", 2)[0]
    assert "(untuned)" in text and "(tuned)" not in text and "(best of" not in text


def test_a_killed_sweep_says_how_much_ran_and_how_to_go_on(tmp_path: Path) -> None:
    write_report(fake_whole.whole_sweep(tmp_path, stop=20))
    page = (tmp_path / "report" / "index.md").read_text(encoding="utf-8")
    first = next(line for line in page.split("\n") if line.startswith("**"))
    assert re.match(r"\*\*Only \d+ of \d+ comparisons ran \(.*--resume.* runs the rest\): ", first)
    assert " yet" not in page


def test_sweep_page_says_what_cannot_be_trusted(reported_sweep: Path) -> None:
    text = text_of(reported_sweep)
    for said in (
        "alike across clients",
        "scenes-clip, a small CLIP",
        "false coverage rate of 10%",
        "saw validation only",
    ):
        assert said in text
    assert "still running" not in text


@pytest.mark.parametrize("stop", [0, 2, 21, 76])
def test_unfinished_sweep(tmp_path: Path, stop: int) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=stop, status="running", rounds=4)
    write_report(folder)
    text = text_of(folder)
    assert f"still running: {stop} of 93 planned trials are finished" in text
    assert ("the test split is closed" in text) == (stop < 73)
    assert re.search(r"So far \w+ of \d+ comparisons ran", text)
    assert (
        text.count("--resume")
        == text.count("or its command was killed; then the same command with --resume")
        == 1
    )


def test_a_recipe_compares_its_first_with_the_others_and_speaks_of_no_search(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, recipe=True, rounds=2)
    write_report(folder)
    text = text_of(folder)
    assert " distribution), fedrsclip is ahead of promptfl_ft" in text
    for word in ("Optimism gap", "The search ", "(untuned)", "Which choices matter"):
        assert word not in text


def test_what_can_be_trusted_says_how_many_seeds_ran_of_how_many_planned(tmp_path: Path) -> None:
    trials = [contrast("A", None, None, [0.5, 0.6]), contrast("A", "method.lam", "0.1", [0.5, 0.6])]
    meta = {"selection_seeds": [1, 2, 3], "fresh_seeds": [4, 5]}
    first = sweep_page.trust(written(tmp_path / "a", trials, **meta))[0]
    assert first.startswith("Contrasts ran on 2 of 3 seeds. ") and "onfirm" not in first
    whole = sweep_page.trust(written(tmp_path / "b", trials, **meta | {"selection_seeds": [1, 2]}))[0]
    assert whole.startswith("Contrasts ran on 2 seeds. ")
    alone = sweep_page.trust(written(tmp_path / "c", trials[:1], **meta))[0]
    assert alone.startswith("Anchors ran on 2 of 3 seeds. ")
