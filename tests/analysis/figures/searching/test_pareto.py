"""What the objectives of a search decide: its front, and the race, who left it when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.figures.searching import pareto, search
from analysis.figures.searching.pareto import Objective, objectives
from analysis.read.metric import Metric
from analysis.read.results import Results, open_results
from tests.fakes import sensitivity as fake

EVEN, SKEWED = fake.SCENARIOS


def test_no_trial_of_the_front_is_beaten_and_confirmed_ones_are_marked(full_sweep: Path) -> None:
    results = open_results(full_sweep)
    rows = [row for row in pareto.table_pareto(results) if row["study"] == f"m | {EVEN}"]
    points = [(row["acc_personal_own"], -row["bytes_up"]) for row in rows]
    for row, mine in zip(rows, points, strict=True):
        beaten = any(
            all(o >= m for o, m in zip(other, mine, strict=True)) and other != mine for other in points
        )
        assert row["front"] == (not beaten)
    front = {row["label"] for row in rows if row["front"]}
    assert "tpe 4" in front and "tpe 5" not in front
    assert [row["label"] for row in rows if row["confirmed"] and row["front"]] == ["tpe 4"]
    exhibit, table = pareto.exhibit(results), pareto.table(results)
    assert exhibit and "bytes sent up (least)" in exhibit.caption
    assert table and "test: accuracy (personal, own distribution), %" in table.columns


def test_the_promise_of_a_tuned_rival_is_that_of_its_own_search(full_sweep: Path) -> None:
    rows = open_results(full_sweep).sql(search.OPTIMISM)
    chosen = {(row["label"], row["scenario"]): row["chosen"] for row in rows if row["kind"] != "floor"}
    assert chosen["near", EVEN] == "tpe 1" and chosen["m", EVEN] == "tpe 4" and len(chosen) == 4


def race(results: Results) -> list[list[str]]:
    """Configuration, values, gap and outcome of each row."""
    table = pareto.table_race(results)
    assert table is not None
    return [[row[1], row[3], row[4], row[5]] for row in table.rows]


def test_the_race_says_who_fell_out_when(tmp_path: Path) -> None:
    results = open_results(fake.write(tmp_path, fake.full(kinds=["race", "confirm"], scenarios=[EVEN])))
    rows = race(results)
    assert {label: fate for label, _, _, fate in rows} == {
        "tpe 4": "taken",
        "tpe 3": "left at the end",
        "anchor": "out after 2 seeds",
        "tpe 2": "diverges or failed on 1 of 2 seeds",
    }
    assert rows[0][2] == "the leader" and rows[1][2].startswith("\u2212")
    table = pareto.table_race(results)
    assert table and "Rule: The best 4 race." in table.caption


@pytest.mark.parametrize(
    ("name", "direction", "decided"),
    [
        ("worst_client_accuracy", "maximize", {"tpe 3": 0.5, "tpe 4": 0.4}),
        ("bytes_up", "minimize", {"tpe 3": 1000.0, "tpe 4": 2000.0}),
    ],
)
def test_a_race_is_decided_by_the_first_objective(
    tmp_path: Path, name: str, direction: str, decided: dict[str, float]
) -> None:
    """`tpe 4` has the higher mean accuracy, `tpe 3` is better where it counts."""
    sheet = fake.full(kinds=["race", "confirm"], scenarios=[EVEN])
    sheet.rows = [row for row in sheet.rows if row["kind"] != "race" or row["label"] in decided]
    for row in (row for row in sheet.rows if row["kind"] == "race"):
        aim = decided[row["label"]] * (1 + 0.001 * row["seeds"][0] * (row["label"] == "tpe 3"))
        row[name] = int(aim) if name == "bytes_up" else [aim]
    both = [{"name": name, "direction": direction}, {"name": "acc_personal_own", "direction": "maximize"}]
    results = open_results(fake.write(tmp_path, sheet, search={"sampler": "tpe", "objectives": both}))
    rows = results.sql(pareto.query_of_race(objectives(results)[0]))
    assert [(row["label"], row["leads"]) for row in rows] == [("tpe 3", True), ("tpe 4", False)]
    theirs, ours = (
        [v for r in sheet.rows if r["kind"] == "race" and r["label"] == label for v in np.ravel(r[name])]
        for label in decided
    )
    assert rows[1]["gap"] == pytest.approx(np.mean(ours) - np.mean(theirs))
    table = pareto.table_race(results)
    assert table and Objective(name, direction).words(Metric()) in table.caption


def test_a_race_of_one_seed_decides_nothing_and_its_table_follows_the_rows(tmp_path: Path) -> None:
    sheet = fake.full(kinds=["race", "confirm"], scenarios=[EVEN])
    sheet.rows = [row for row in sheet.rows if row["kind"] != "race" or row["seeds"] == fake.RACE[:1]]
    results = open_results(fake.write(tmp_path, sheet))
    fates = {label: fate for label, _, _, fate in race(results)}
    assert fates["tpe 4"] == "taken, not decided: 1 seed"  # its settings were confirmed as the tuned ones
    table = pareto.table_race(results)
    assert table and "the best of the search was taken" in table.caption
    assert all(row[3].endswith("(one seed)") or row[3] == "\u2013" for row in table.rows)


@pytest.mark.parametrize(("confirmed", "fate"), [("tuned", "taken"), ("untuned", "racing")])
def test_the_race_of_a_rival_ends_with_its_confirmation_beside_the_method(
    tmp_path: Path, confirmed: str, fate: str
) -> None:
    sheet = fake.Sheet()
    for seed in fake.RACE[:2]:
        sheet.add(EVEN, "race", "tpe 1", 0.6, [seed], rival="near")
    sheet.add(EVEN, "confirm", f"near ({confirmed})", 0.6, fake.FRESH, method="near")
    assert [row[3] for row in race(open_results(fake.write(tmp_path, sheet)))] == [fate]
