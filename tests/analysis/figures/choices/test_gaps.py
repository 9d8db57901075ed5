"""Specification gaps: a choice that never ran has no lead."""

from __future__ import annotations

from pathlib import Path

from analysis.figures.choices import gap_sentences, gaps
from analysis.read.metric import Metric
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake


def test_a_choice_of_which_no_level_ran_has_no_lead_and_is_not_called_undecided(tmp_path: Path) -> None:
    sheet = fake.full(kinds=("contrast", "rival", "confirm"))
    sheet.rows = [row for row in sheet.rows if row.get("factor") != "method.lam"]
    rows = gaps.table_gaps(open_results(fake.write(tmp_path, sheet)))
    untried = [row for row in rows if row["path"] == "method.lam"]
    assert untried and all(row["lead"] is None and row["least"] is None for row in untried)
    assert any(row["lead"] is not None for row in rows)
    first = gap_sentences.sentences(rows, 0.9, Metric())[0]
    assert first.startswith(f"Of {len(fake.LEVELS)} open choices") and "1 without a finished trial" in first
