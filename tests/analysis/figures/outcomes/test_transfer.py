"""Transfer: one winner of two scenarios has no regret."""

from __future__ import annotations

from pathlib import Path

from analysis.figures.outcomes import transfer
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake

EVEN, SKEWED = fake.SCENARIOS[:2]


def test_two_scenarios_with_one_winner_have_no_regret_by_definition(tmp_path: Path) -> None:
    sheet = fake.Sheet("m", "m")
    for scenario, other, params in ((EVEN, SKEWED, {"method.lam": 0.5}), (SKEWED, EVEN, {"method.lam": 0.1})):
        sheet.add(scenario, "confirm", "m (tuned)", 0.6, fake.FRESH, params={"method.lam": 0.5})
        sheet.add(scenario, "transfer", f"m tuned on {other}", 0.6, fake.FRESH, level=other, params=params)
        confirmed, moved = sheet.rows[-2:]
        moved["test_acc_personal_own"] = (
            confirmed["test_acc_personal_own"] if scenario == EVEN else moved["test_acc_personal_own"]
        )
    results = open_results(fake.write(tmp_path, sheet))
    rows = {row["used_on"]: row for row in transfer.table_transfer(results)}
    assert rows[EVEN]["same"] and rows[EVEN]["verdict"] == "level" and not rows[SKEWED]["same"]
    table = transfer.table(results, list(rows.values()))
    assert table is not None and [row[-1].text for row in table.rows].count("the same settings") == 1
