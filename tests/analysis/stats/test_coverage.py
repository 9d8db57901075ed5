"""The bars of the benchmark at few repeats, and that the rules that were replaced miss them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import coverage


def rows(study: Any, repeats: int, old: bool = False) -> dict[tuple[str, str], coverage.Row]:
    return {(row.setting, row.figure): row for row in study(repeats, 0, old)}


REPEATS = {coverage.inert_rows: 10, coverage.rank_rows: 20}


@pytest.mark.parametrize("study", [s for s in coverage.STUDIES if s is not coverage.index_rows])
def test_the_bars_hold_at_few_repeats(study: Any) -> None:
    """With few studies a row, a bar is missed by chance where the margin is small: a tenth is allowed."""
    for row in rows(study, REPEATS.get(study, 30)).values():
        assert row.low - 0.1 <= row.value <= row.high + 0.1, row


def test_the_old_rules_miss_the_bars() -> None:
    old = rows(coverage.contrast_rows, 30, old=True)
    assert old["3 seeds, equal variances", "power at 2 points"].value < 0.4
    named = rows(coverage.named_rows, 60, old=True)
    assert named["true effects of sd 0.5 points", "the largest holds"].value < 0.8
    inert = rows(coverage.inert_rows, 10, old=True)
    for kind, size in (("Sobol", "128 blocks"), ("Morris", "64 trajectories")):
        row = inert[f"{kind}, {size}, noise 10%, 1 seed a point", "called important"]
        assert row.value > 0.8 and not row.passes
    images = rows(coverage.image_rows, 30, old=True)
    assert images["rule without training", "coverage"].value == 0
    assert not rows(coverage.rival_rows, 60, old=True)["3 scenarios", "bias, points"].passes


def test_the_command_writes_its_table_and_fails_when_a_bar_is_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(coverage, "STUDIES", (coverage.divergence_rows,))
    table = tmp_path / "table.md"
    assert (
        coverage.main(["--repeats", "5", "--markdown", str(table), "--json", str(tmp_path / "t.json")]) == 0
    )
    assert "level that diverges" in table.read_text() and "3 of 3 rows pass" in capsys.readouterr().out
    monkeypatch.setattr(coverage, "REPLACED", (coverage.rival_rows,))
    assert coverage.main(["--repeats", "40", "--old"]) == 1
