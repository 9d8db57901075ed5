"""The front of a search."""

from __future__ import annotations

from pathlib import Path

from analysis.figures.searching import pareto
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake
from tests.fakes.pages import page_text

EVEN, SKEWED = fake.SCENARIOS


def test_no_trial_of_the_front_is_beaten_and_confirmed_ones_are_marked(full_sweep: Path) -> None:
    rows = [r for r in pareto.table_pareto(open_results(full_sweep)) if r["study"] == f"m | {EVEN}"]
    points = {id(r): (r["values"]["acc_personal_own"], -r["values"]["bytes_up"]) for r in rows}
    for row in rows:
        mine = points[id(row)]
        beaten = any(
            all(o >= m for o, m in zip(other, mine, strict=True)) and other != mine
            for other in points.values()
        )
        assert row["front"] == (not beaten)
    front = {r["label"] for r in rows if r["front"]}
    assert "tpe 4" in front and "tpe 5" not in front
    assert [r["label"] for r in rows if r["confirmed"] and r["front"]] == ["tpe 4"]
    said = page_text(full_sweep, "index")
    assert "bytes sent up (least)" in said and "test: accuracy (personal, own distribution), %" in said
