"""The race: who left it when, by which objective."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from analysis import write_report
from analysis.figures.searching import pareto, racing
from analysis.read.metric import Metric
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake

EVEN = fake.SCENARIOS[0]


def test_the_race_says_who_fell_out_when(tmp_path: Path) -> None:
    folder = fake.write(tmp_path, fake.full(kinds=["race", "confirm"], scenarios=[EVEN]))
    fate = {r["label"]: r["fate"] for r in racing.table_racing(open_results(folder)) if r["scenario"] == EVEN}
    assert fate == {
        "tpe 4": "taken",
        "tpe 3": "left at the end",
        "anchor": "out after 2 seeds",
        "tpe 2": "failed",
    }
    assert "Rule: The best 4 race." in write_report(folder).read_text(encoding="utf-8")
    rows = [r for r in racing.table_racing(open_results(folder)) if r["scenario"] == EVEN]
    assert rows[1]["gap"].n == 4 and rows[1]["verdict"] == "hurts" and rows[0]["gap"] is None


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
    sheet.rows = [r for r in sheet.rows if r["kind"] != "race" or r["label"] in decided]
    for row in (r for r in sheet.rows if r["kind"] == "race"):
        aim = decided[row["label"]] * (1 + 0.001 * row["seeds"][0] * (row["label"] == "tpe 3"))
        row[name] = aim if name == "bytes_up" else [aim]
    both = [{"name": name, "direction": direction}, {"name": "acc_personal_own", "direction": "maximize"}]
    made = fake.write(tmp_path, sheet, search={"sampler": "tpe", "objectives": both})
    results = open_results(made)
    rows = racing.table_racing(results)
    assert [(r["label"], r["fate"], r["verdict"]) for r in rows] == [
        ("tpe 3", "taken", ""),
        ("tpe 4", "left at the end", "hurts"),
    ]
    theirs, ours = (
        [v for r in sheet.rows if r["kind"] == "race" and r["label"] == label for v in np.ravel(r[name])]
        for label in decided
    )
    assert rows[1]["gap"].mean == pytest.approx(np.mean(ours) - np.mean(theirs))
    shown = racing.table(results, rows)
    assert shown is not None and pareto.named(name, Metric()).removesuffix(", %") in shown.caption
    again = {
        row[2]: row[3] for row in duckdb.sql(shown.source.replace("tables/", f"{made}/tables/")).fetchall()
    }
    assert again == pytest.approx({r["label"]: r["interval"].mean for r in rows})


def test_a_race_of_one_seed_takes_nobody(tmp_path: Path) -> None:
    sheet = fake.full(kinds=["race", "confirm"], scenarios=[EVEN])
    sheet.rows = [r for r in sheet.rows if r["kind"] != "race" or r["seeds"] == fake.RACE[:1]]
    results = open_results(fake.write(tmp_path, sheet))
    rows = racing.table_racing(results)
    assert {r["fate"] for r in rows} == {"not decided: 1 seed"} and len(rows) == 4
    shown = racing.table(results, rows)
    assert shown is not None and "the best of the search by validation was taken" in shown.caption


@pytest.mark.parametrize(("confirmed", "fate"), [("tuned", "taken"), ("untuned", "racing")])
def test_the_race_of_a_rival_ends_with_its_confirmation_beside_the_method(
    tmp_path: Path, confirmed: str, fate: str
) -> None:
    sheet = fake.Sheet()
    for seed in fake.RACE[:2]:
        sheet.add(EVEN, "race", "tpe 1", 0.6, [seed], rival="near")
    sheet.add(EVEN, "confirm", f"near ({confirmed})", 0.6, fake.FRESH, method="near")
    assert [r["fate"] for r in racing.table_racing(open_results(fake.write(tmp_path, sheet)))] == [fate]
