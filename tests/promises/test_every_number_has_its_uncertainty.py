"""Every number carries its uncertainty, and "undecided" is a possible verdict.

Checked on the pages of a synthetic sweep: with several seeds every accuracy and every difference has an
interval, with one seed there is none anywhere, and the page says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.look.page import Cell, Exhibit, Page, Table, Text
from analysis.read.results import open_results
from analysis.report import pages_of
from analysis.stats.intervals import EQUIVALENCE_MARGIN
from tests.fakes.results import fake_sweep

MEASURED = re.compile(r"^(personal|shared) (own|global)$|^worst client$|%|, points")  # columns of tables
INTERVAL = re.compile(r"±|\[[^\]]* to [^\]]*\]|\[[^\]]*, [^\]]*\]|\d to [+−]?\d")
POINTS = re.compile(
    r"\([^()]*[+−]?\d points[^()]*\)"
)  # a difference in a sentence, with what is said about it
UNMEASURED = ("", "–", "reference", "anchor")
WITHOUT_INTERVAL = {"search"}  # one mark a trial; its caption says that the best of them is too good


@pytest.fixture(scope="module")
def several_seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Page]:
    return pages_of(open_results(fake_sweep(tmp_path_factory.mktemp("several") / "sweep")))


@pytest.fixture(scope="module")
def one_seed(tmp_path_factory: pytest.TempPathFactory) -> list[Page]:
    folder = fake_sweep(tmp_path_factory.mktemp("one") / "sweep", seeds=1, fresh=1)
    return pages_of(open_results(folder))


def exhibits(pages: Sequence[Page]) -> Iterator[tuple[Exhibit, list[dict[str, Any]]]]:
    """Figures, each with the rows of its numbers."""
    for part in (part for page in pages for part in page.parts()):
        if isinstance(part, Exhibit) and part.numbers is not None:
            yield part, [dict(zip(part.numbers.columns, row, strict=True)) for row in part.numbers.rows]


def measured_cells(pages: Sequence[Page]) -> Iterator[tuple[str, str]]:
    """Column and text of each cell of a table that holds an accuracy or a difference."""
    for part in (part for page in pages for part in page.parts()):
        if not isinstance(part, Table):
            continue
        for row in part.rows:
            for column, cell in zip(part.columns, row, strict=True):
                text = str(cell.text if isinstance(cell, Cell) else cell).strip()
                if MEASURED.search(column) and text not in UNMEASURED:
                    yield f"{part.key}: {column}", text


def sentences(pages: Sequence[Page]) -> Iterator[str]:
    for page in pages:
        yield from page.lead
        for part in page.parts():
            if isinstance(part, Text):
                yield from [*part.paragraphs, *part.points]


def verdicts(pages: Sequence[Page]) -> list[str]:
    return [row["verdict"] for _, rows in exhibits(pages) for row in rows if row.get("verdict")]


def test_every_mean_behind_a_figure_has_an_interval(several_seeds: list[Page]) -> None:
    checked = set()
    for exhibit, rows in exhibits(several_seeds):
        for row in rows:
            mean = row.get("mean", row.get("accuracy"))
            if (exhibit.key, mean) == ("responses", 0.0):
                assert "minus the anchor on the same seeds (at 0, without an interval)" in exhibit.caption
            elif mean is not None:
                assert row["low"] <= mean <= row["high"], (exhibit.key, row)
                checked.add(exhibit.key)
    assert {"winners", "contrasts", "methods", "curves", "communication", "gaps", "gaps-lead"} <= checked


def test_an_accuracy_without_an_interval_is_known(several_seeds: list[Page]) -> None:
    """The optimism gap writes its intervals as text; the search says why its best value is none to trust."""
    for exhibit, rows in exhibits(several_seeds):
        for row in rows:
            accuracies = {name for name in row if name in ("objective", "search", "validation", "test")}
            if exhibit.key in WITHOUT_INTERVAL:
                assert "The best of many noisy values is too good" in exhibit.caption
            else:
                assert all(INTERVAL.search(row[f"{name}, interval in %"]) for name in accuracies)


def test_every_accuracy_and_difference_in_a_table_has_an_interval(several_seeds: list[Page]) -> None:
    cells = list(measured_cells(several_seeds))
    assert {column.partition(":")[0] for column, _ in cells} >= {
        "table-methods",
        "table-contrasts",
        "table-trials",
        "table-gaps",
    }
    assert len(cells) > 200
    for column, text in cells:
        assert INTERVAL.search(text) or not re.search(r"\d", text), (column, text)


def test_every_difference_in_a_sentence_has_an_interval(several_seeds: list[Page]) -> None:
    found = [match for sentence in sentences(several_seeds) for match in POINTS.findall(sentence)]
    assert len(found) > 20
    for words in found:
        assert INTERVAL.search(words), words


def test_a_verdict_is_what_its_interval_says(several_seeds: list[Page]) -> None:
    for exhibit, rows in exhibits(several_seeds):
        if exhibit.key != "contrasts":
            continue
        for row in rows:
            low, high = row["low"], row["high"]
            is_level = low >= -EQUIVALENCE_MARGIN and high <= EQUIVALENCE_MARGIN
            is_decided = low > 0 or high < 0 or is_level
            assert (row["verdict"] == "undecided") == (not is_decided), row
    assert {"helps", "hurts", "level", "undecided"} <= set(verdicts(several_seeds))


def test_one_seed_has_no_interval_anywhere_and_decides_nothing(one_seed: list[Page]) -> None:
    for exhibit, rows in exhibits(one_seed):
        for row in rows:
            assert row.get("low") is None and row.get("high") is None, (exhibit.key, row)
            written = [row[name] for name in row if name.endswith("interval in %")]
            assert set(written) <= {"no interval: one seed"}
    for column, text in measured_cells(one_seed):
        assert not INTERVAL.search(text), (column, text)
    assert set(verdicts(one_seed)) == {"undecided"}
    assert "nothing is decided about the winner: one seed gives no interval" in one_seed[0].lead[0]
    for words in (match for sentence in sentences(one_seed) for match in POINTS.findall(sentence)):
        assert "no interval: one seed" in words, words


def test_no_effect_is_never_called_one(tmp_path: Path) -> None:
    """Without any effect nothing that is adjusted for the number of intervals is said to help."""
    pages = pages_of(open_results(fake_sweep(tmp_path / "sweep", effects=False, search=0)))
    assert "undecided" in pages[0].lead[0] or "undecided" in pages[0].lead[1]
    firm = [
        row for exhibit, rows in exhibits(pages) if exhibit.key == "contrasts" for row in rows if row["firm"]
    ]
    assert not [row for row in firm if row["verdict"] in ("helps", "hurts")], firm
    assert "undecided" in verdicts(pages)
