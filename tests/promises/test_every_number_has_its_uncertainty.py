"""Every number carries its uncertainty, and "undecided" is a possible verdict.

Checked on the tables and pages of synthetic sweeps: with several seeds every accuracy and every difference
has an interval, a verdict is what its interval says, with one seed there is no interval anywhere and nothing
is decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from analysis.look.page import Cell, Exhibit, Page, Table, Text
from analysis.read.results import Results, Row, open_results
from analysis.report import pages_of
from analysis.stats.comparisons import MARGIN
from analysis.verdicts import verdict_tables
from tests.fakes.results import fake_sweep

INTERVAL = re.compile(r"\[[^\]]*, [^\]]*\]")
POINTS = re.compile(
    r"\([^()]*[+−]\d[\d.]* points[^()]*\)|costs [^;.]* points[^;.]*|gains [^;.]* points[^;.]*"
)
MEASURED = re.compile(r"^(personal|shared) (own|global)$|^worst client$|, points$|^(validation|test), %$")
UNMEASURED = ("", "–", "reference")
DECIDED = ("ahead", "behind")
# curves are means of seeds with the range of these; the search draws one mark a trial, the partition counts
NO_INTERVALS = ("curves", "partition", "search", "signatures")


def judged(folder: Path) -> tuple[Results, list[Page]]:
    """The results with their tables of verdicts and estimates, and their pages."""
    results = open_results(folder)
    verdict_tables(results)
    return results, pages_of(results)


@pytest.fixture(scope="module")
def several_seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, list[Page]]:
    return judged(fake_sweep(tmp_path_factory.mktemp("several") / "sweep"))


@pytest.fixture(scope="module")
def one_seed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, list[Page]]:
    return judged(fake_sweep(tmp_path_factory.mktemp("one") / "sweep", seeds=1, fresh=1))


def parts(pages: Sequence[Page]) -> Iterator[Exhibit | Table | Text]:
    for page in pages:
        yield from page.parts()


def measured_cells(pages: Sequence[Page]) -> Iterator[tuple[str, str]]:
    """Column and text of each cell of a table that holds an accuracy or a difference."""
    for part in parts(pages):
        for row in part.rows if isinstance(part, Table) else ():
            for column, cell in zip(part.columns, row, strict=True):
                text = str(cell.text if isinstance(cell, Cell) else cell).strip()
                if MEASURED.search(column) and text not in UNMEASURED and re.search(r"\d", text):
                    yield f"{part.key}: {column}", text


def sentences(pages: Sequence[Page]) -> Iterator[str]:
    for page in pages:
        yield from page.lead
    for part in parts(pages):
        if isinstance(part, Text):
            yield from [*part.paragraphs, *part.points]
        else:
            yield part.says


def differences(pages: Sequence[Page]) -> list[str]:
    """Each difference in a sentence, with what is said about it."""
    return [match for sentence in sentences(pages) for match in POINTS.findall(sentence)]


def rows_drawn(pages: Sequence[Page]) -> Iterator[tuple[str, Row]]:
    """Key of a figure, and each row of its numbers that has a mean."""
    for part in parts(pages):
        if isinstance(part, Exhibit) and part.numbers is not None and part.key not in NO_INTERVALS:
            for cells in part.numbers.rows:
                row = dict(zip(part.numbers.columns, cells, strict=True))
                if row.get("mean", row.get("accuracy")) is not None:
                    yield part.key, row


def test_every_estimate_of_several_seeds_has_an_interval_that_holds_it(
    several_seeds: tuple[Results, list[Page]],
) -> None:
    rows = several_seeds[0].sql("FROM estimates")
    several = [row for row in rows if len(row["seeds"]) > 1]
    assert len(several) > 400
    for row in several:
        assert row["low"] < row["mean"] < row["high"], row
    assert len(rows) > len(several)  # trials that lost their seeds are there too
    assert all(row["low"] is row["high"] is None for row in rows if not row["seeds"])


def test_a_verdict_is_what_its_interval_says(several_seeds: tuple[Results, list[Page]]) -> None:
    rows = several_seeds[0].sql("FROM verdicts WHERE worst_case IS NULL AND p IS NOT NULL")
    found = set()
    for row in rows:
        low, high = row["adjusted_low"], row["adjusted_high"]
        assert low < row["estimate"] < high, row
        within = low >= -MARGIN and high <= MARGIN
        sign = "ahead" if low > 0 else "behind"
        same = "negligible" if low > 0 or high < 0 else "level"
        expected = same if within else sign if low > 0 or high < 0 else "undecided"
        assert row["verdict"] == expected, row
        found.add(expected)
    assert found >= {"ahead", "behind", "level", "undecided"} and len(rows) > 200


def test_every_mean_of_a_figure_has_an_interval(several_seeds: tuple[Results, list[Page]]) -> None:
    checked = set()
    for key, row in rows_drawn(several_seeds[1]):
        mean = row.get("mean", row.get("accuracy"))
        if not (key == "responses" and mean == 0.0):  # the anchor, against itself
            assert row["low"] <= mean <= row["high"], (key, row)
            checked.add(key)
    assert checked >= {"methods", "heterogeneity", "communication", "optimism", "responses"}


def test_every_accuracy_and_difference_in_a_table_has_an_interval(
    several_seeds: tuple[Results, list[Page]],
) -> None:
    cells = list(measured_cells(several_seeds[1]))
    assert {column.partition(":")[0] for column, _ in cells} >= {"table-methods", "table-trials"}
    assert len(cells) > 200
    for column, text in cells:
        assert INTERVAL.search(text) or text.startswith("diverges"), (column, text)


def test_every_difference_in_a_sentence_has_an_interval(several_seeds: tuple[Results, list[Page]]) -> None:
    found = differences(several_seeds[1])
    assert len(found) > 5
    for words in found:
        assert INTERVAL.search(words), words


def test_one_seed_has_no_interval_anywhere_and_decides_nothing(one_seed: tuple[Results, list[Page]]) -> None:
    results, pages = one_seed
    (ends,) = results.sql("SELECT count(low) + count(high) + count(low_both) AS n FROM estimates")
    assert ends["n"] == 0
    assert {row["verdict"] for row in results.sql("FROM verdicts")} == {"undecided"}
    for key, row in rows_drawn(pages):
        assert row["low"] is None and row["high"] is None, (key, row)
    cells = list(measured_cells(pages))
    assert len(cells) > 100
    for column, text in cells:
        assert not INTERVAL.search(text), (column, text)
    assert "No choice is shown to matter" in pages[0].lead[0]
    assert differences(pages) and not any(INTERVAL.search(words) for words in differences(pages))


def test_no_effect_is_never_called_one(tmp_path: Path) -> None:
    """Without any effect of a choice, no row of the family of choices is named."""
    results, pages = judged(fake_sweep(tmp_path / "sweep", effects=False, search=0))
    rows = results.sql("FROM verdicts WHERE kind = 'choice'")
    assert len(rows) > 50 and not [row for row in rows if row["verdict"] in DECIDED]
    assert "No choice is shown to matter" in pages[0].lead[0]
