"""Figures and tables of the verdicts: one row of the table of verdicts has one verdict wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures.choices import matrix, verdicts
from analysis.figures.choices.verdicts import difference_cell
from analysis.look.page import Cell, Exhibit, Table
from analysis.look.style import VERDICTS, svg
from analysis.look.words import MINUS, quoted_names
from analysis.pages import evidence
from analysis.read.results import Results, Row, open_results
from tests.fakes import answers as fake


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A sweep with verdicts of every kind."""
    return open_results(fake.write(tmp_path_factory.mktemp("sweep"), fake.every_kind(), fake.estimates()))


def cells(table: Table | None) -> dict[tuple[str, str], Cell]:
    """(first cell, column) -> cell."""
    assert table is not None
    return {
        (row[0].text, column): cell
        for row in table.rows
        for column, cell in zip(table.columns[1:], row[1:], strict=True)
    }


def answer(tmp_path: Path, *rows: fake.Row) -> dict[tuple[str, str], Cell]:
    """The cells of the first table, of choices with these verdicts."""
    results = open_results(fake.write(tmp_path, rows))
    return cells(matrix.matrix(results, verdicts.rows_of(results, "choice")))


def test_a_cell_names_its_level_its_size_and_its_verdict(sweep: Results) -> None:
    table = matrix.matrix(sweep, verdicts.rows_of(sweep, "choice"))
    found = cells(table)
    assert (
        found["lr", "even"].text.startswith("\u2715 diverges at 0.2")
        and found["lr", "even"].look == "diverges"
    )
    assert found["lam", "even"].text == "\u25b2 +3.4 at 0.1" and found["lam", "even"].look == "ahead"
    assert found["lr", "domain per client"].text == "\u25bc \u22128.1 at 0.2"
    assert (
        found["fusion", "even"].text == "= within 1 point"
        and found["dpa_detach_shared", "even"].look == "no-effect"
    )
    assert found["w_ot", "even"].look == "undecided" and " at " in found["w_ot", "even"].text
    assert table is not None and [row[0].text for row in table.rows][:3] == [
        "lr",
        "lam",
        "h",
    ]  # what says most is first
    assert "Anchor 0.02: guess" in table.rows[1][0].hint  # what the paper leaves open stands with the choice


def test_the_best_and_the_worst_level_share_a_cell(tmp_path: Path) -> None:
    rows = (fake.verdict(word="ahead", estimate=0.03), fake.verdict(word="behind", estimate=-0.05, level="9"))
    assert answer(tmp_path, *rows)["lam", "even"].text == "\u25b2 +3.0 at 0.1\n\u25bc \u22125.0 at 9"


def test_what_did_not_run_is_said_where_the_answer_would_stand(tmp_path: Path) -> None:
    rows = [fake.verdict(word="missing"), fake.verdict(word="missing", level="9")]
    assert answer(tmp_path / "a", *rows)["lam", "even"].text == "\u2013 not run"
    rows[0] = fake.verdict(word="level")
    assert answer(tmp_path / "b", *rows)["lam", "even"].text == "? 1 of 2 levels not run"
    rows[0] = fake.verdict(word="behind", estimate=-0.04)
    assert answer(tmp_path / "c", *rows)["lam", "even"].text == "\u25bc \u22124.0 at 0.1"


def test_one_difference_has_one_verdict_in_the_figure_its_table_and_the_first_table(sweep: Results) -> None:
    rows = {(r["symbol"], str(r["level"]), r["scenario"]): r for r in verdicts.rows_of(sweep, "choice")}
    first = cells(matrix.matrix(sweep, list(rows.values())))
    sections = {section.title: section for section in evidence.sections(sweep)}
    figure = next(p for p in sections[evidence.CHOICES].parts if isinstance(p, Exhibit))
    assert figure.numbers is not None and len(figure.numbers.rows) == len(rows)
    for scenario, name, _, verdict, *_ in figure.numbers.rows:
        row = rows[(*name.text.split(" = "), scenario.text)]
        assert verdict.text == f"{VERDICTS[row['verdict']].sign} {row['verdict']}"
        if f" at {row['level']}" in first[row["symbol"], scenario.text].text:
            assert VERDICTS[row["verdict"]].sign in first[row["symbol"], scenario.text].text
    assert "lr = 0.2 under even (diverged on 3 of 3 seeds)" in figure.says


def test_marks_say_their_values_where_the_reader_points(sweep: Results) -> None:
    sections = evidence.sections(sweep)
    panels = [p for s in sections for part in s.parts if isinstance(part, Exhibit) for p in part.panels]
    drawing = next(svg(panel.figure, panel.key) for panel in panels if panel.key == "choices-even")
    said = "method.lam=0.1 against anchor, even: ahead, +3.4 points [+2.4, +4.4]; the interval says so"
    assert f"<title>{said}</title>" in drawing and drawing.count("<title>") >= 20 and ">diverges<" in drawing


def test_the_order_of_the_questions_and_what_is_empty(sweep: Results, tmp_path: Path) -> None:
    titles = [evidence.RIVALS, evidence.CHOICES, evidence.LEADS, evidence.PAIRS, evidence.TUNING]
    assert [section.title for section in evidence.sections(sweep)] == titles
    rows = fake.choices({}, "missing")
    sections = evidence.sections(open_results(fake.write(tmp_path, rows)))
    assert [section.title for section in sections] == [evidence.CHOICES]
    figure = sections[0].parts[0]
    assert (
        isinstance(figure, Exhibit)
        and figure.missing == f"none of {len(rows)} comparisons ran."
        and not figure.panels
    )


def test_lost_seeds_are_counted_where_the_difference_stands() -> None:
    row = fake.verdict(word="ahead", estimate=0.03, seeds_planned=5, diverged_a=1) | {"seeds": 4}
    assert verdicts.difference(row) == "+3.0 points [+2.0, +4.0]; diverged on 1 of 5 seeds"
    row |= {"worst_case": -0.09, "verdict": "undecided", "adjusted_low": -0.1, "adjusted_high": 0.04}
    assert verdicts.difference(row) == "\u22129.0 points [\u221210.0, +4.0]; diverged on 1 of 5 seeds"
    assert verdicts.seeds_said(fake.verdict(seeds_planned=5) | {"seeds": 4}) == "4 of 5 seeds"
    fewer = fake.verdict(word="diverges", seeds_planned=3, missing=1, diverged_a=1) | {"seeds": 1}
    assert verdicts.seeds_said(fewer) == "diverged on 1 of 2 seeds"
    assert matrix.lead([fewer]).outcome == "diverges"
    other = fake.verdict(b="fedavg", seeds_planned=5, diverged_a=1, diverged_b=2) | {"seeds": 3}
    assert verdicts.seeds_said(other) == "diverged on 1, and fedavg on 2, of 5 seeds"


def test_each_interval_stands_beside_its_own_estimate() -> None:
    row = fake.verdict(word="undecided", estimate=0.03, seeds_planned=5, diverged_a=1) | {"seeds": 4}
    row |= {"worst_case": -0.09, "adjusted_low": -0.1, "adjusted_high": 0.04, "low": 0.02, "high": 0.04}
    (cells,) = verdicts.table_of([{**row, "run": None}], ("", "against"), lambda row: "m").rows
    texts = [cell.text if isinstance(cell, Cell) else cell for cell in cells]
    assert texts[4:7] == [
        "\u22129.0",
        "[\u221210.0, +4.0]",
        "+3.0 [+2.0, +4.0] without the lost seeds",
    ]
    assert difference_cell(row).text == "\u22129.0 [\u221210.0, +4.0] undecided"


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["ahead", "ahead"], "ahead"),
        (["ahead", "behind"], "behind"),
        (["ahead", "level"], "level"),
        (["ahead", "undecided"], "undecided"),
        (["ahead", "missing"], "missing"),
        (["behind", "missing"], "behind"),
    ],
)
def test_the_outcome_beside_all_rivals(words: list[str], outcome: str) -> None:
    sizes = {"ahead": 0.03, "behind": -0.04}
    found = matrix.lead(
        [fake.verdict("lead", word, sizes.get(word, 0.0), b=str(i)) for i, word in enumerate(words)]
    )
    assert found.outcome == outcome


def test_a_level_that_diverges_loses_the_lead_and_a_rival_that_diverges_does_not() -> None:
    own, rival = (
        fake.verdict("lead", "diverges"),
        fake.verdict("lead", "diverges", diverged_a=0, diverged_b=3),
    )
    assert matrix.lead([fake.verdict("lead", "ahead", 0.03), own]).outcome == "diverges"
    beaten = matrix.lead([fake.verdict("lead", "ahead", 0.03, b="near"), rival])
    assert (beaten.outcome, beaten.nearest["b"]) == ("ahead", "near")
    assert matrix.lead([fake.verdict("lead", "undecided", 0.03), rival]).outcome == "undecided"


def test_levels_that_change_the_winner_are_named(sweep: Results) -> None:
    said = matrix.leads_sentence(verdicts.rows_of(sweep, "lead"))
    assert "At the anchor the method is ahead of every rival under even" in said
    assert said.endswith("The winner changes at lr = 0.2 under even.")
    table = matrix.table_leads(sweep, verdicts.rows_of(sweep, "lead"))
    assert table is not None and [row[0].text for row in table.rows][:2] == ["anchor", "lr = 0.2"]


def test_many_undecided_differences_are_named_with_their_range() -> None:
    def row(name: str, value: float, verdict: str = "undecided") -> Row:
        ends = {"adjusted_low": value - 0.05, "adjusted_high": value + 0.05}
        seeds = {"diverged_a": 0, "diverged_b": 0, "worst_case": None}
        return {"b": name, "estimate": value, "verdict": verdict, **seeds, **ends}

    rows = [row("a", 0.01), row("b", -0.02), row("c", 0.03), row("d", 0.0), row("e", 0.2, "ahead")]
    sentence = verdicts.named(rows, lambda shown: str(shown["b"]))
    assert sentence == (
        "is ahead of e (+20.0 points [+15.0, +25.0]); it is undecided against c, b, a and d "
        f"({MINUS}2.0 to +3.0 points)"
    )
    few = verdicts.named(rows[:3], lambda shown: str(shown["b"]))
    assert few.count("[") == 3 and " to " not in few


def test_names_with_commas_stand_in_quotes() -> None:
    assert quoted_names(["safe", "safe, common head"]) == [
        "\u201csafe\u201d",
        "\u201csafe, common head\u201d",
    ]
    assert quoted_names(["a", "b"]) == ["a", "b"]
    assert quoted_names(["\u201ca, b\u201d", "\u201cc\u201d"]) == ["\u201ca, b\u201d", "\u201cc\u201d"]


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (("undecided", -0.03), ("behind", -0.015), "behind"),
        (("ahead", 0.015), ("undecided", 0.02), "undecided"),
        (("ahead", 0.05), ("ahead", 0.02), "ahead"),
    ],
)
def test_the_rival_that_is_named_is_one_that_decides_the_outcome(
    first: tuple[str, float], second: tuple[str, float], outcome: str
) -> None:
    rows = [
        fake.verdict("lead", word, estimate, b=name)
        for (word, estimate), name in zip((first, second), ("promptfl", "fedotp"), strict=True)
    ]
    found = matrix.lead(rows)
    assert (found.outcome, found.nearest["b"]) == (outcome, "fedotp")
