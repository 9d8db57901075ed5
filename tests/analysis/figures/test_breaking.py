"""The page of a stress run from invented files: verdicts, breaking points, a run that is half done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analysis import write_report
from analysis.figures import breaking
from analysis.read import stressed
from analysis.read.results import open_results
from analysis.read.stressed import Outcome, breaking_point, outcomes, worst_verdict
from analysis.verdicts import verdict_tables
from tests.fakes.stress_results import MEANS, folder
from tests.fakes.tables import write

CASE = "corrupt_nan"


def judged(path: Path) -> list[Outcome]:
    results = open_results(path)
    verdict_tables(results)
    return outcomes(results)


def of(rows: list[Outcome], label: str) -> list[Outcome]:
    return stressed.by_entry(rows)[(CASE, "fedrsclip", label)]


def test_verdicts_and_the_breaking_point(tmp_path: Path) -> None:
    rows = judged(folder(tmp_path / "a"))
    own = of(rows, "fedrsclip")
    assert [o.verdict for o in own] == ["pass", "degrade", "break"]
    assert own[1].gaps["zeroshot"]["estimate"] == pytest.approx(0.02)
    assert own[2].change is not None and own[2].change["estimate"] == pytest.approx(-0.4)
    assert breaking_point(own).sentence == "breaks between 10 % and 40 %" and worst_verdict(own) == "break"
    assert breaking_point(own[2:]).sentence == "is broken at the mildest level already"
    median = of(rows, "fedrsclip, median")
    assert breaking_point(median).sentence == "not reached: passes at 40 %"
    assert worst_verdict(median) == "pass"
    assert {o.role for o in rows if o.label in ("zeroshot", "local")} == {"reference"}


def test_a_method_that_falls_to_the_references_does_not_pass(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(MEANS, "fedrsclip", (0.90, 0.75, 0.60))
    monkeypatch.setitem(MEANS, "local", (0.60, 0.60, 0.60))
    own = of(judged(folder(tmp_path / "a")), "fedrsclip")
    assert [o.verdict for o in own] == ["pass", "degrade", "degrade"]


def test_a_diverged_level_is_broken_and_the_milder_one_was_not_run(tmp_path: Path) -> None:
    late = {"space": "fedrsclip", "level": "20 %", "label": ""}
    late["reason"] = "time: it would not fit the 100 s of this case"
    failed = {("fedrsclip", "40 %"): "diverged: 3 of 3 seeds: round 1: NaN"}
    path = folder(tmp_path / "a", lambda label, level: level != "20 %", failed)
    meta = json.loads((path / "run.json").read_text())
    meta["cases"][0]["not_run"] = [late]
    (path / "run.json").write_text(json.dumps(meta))
    own = of(judged(path), "fedrsclip")
    assert [(o.verdict, o.remark[:5]) for o in own] == [
        ("pass", ""),
        ("not run", "time:"),
        ("break", "diver"),
    ]
    assert breaking_point(own).sentence == "breaks between 10 % and 40 %" and own[2].diverged
    page = write_report(path).read_text()
    for said in ("round 1: NaN", "100 s of this case", "no result", "Skipped: there is no second dataset"):
        assert said in page


def test_a_lost_seed_of_three_is_counted_and_the_others_are_kept(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    file = next(f for f in (path / "tables/trials").glob("*.parquet") if _is(f, "fedrsclip", "10 %"))
    (row,) = duckdb.sql(f"FROM '{file}'").df().to_dict("records")
    row |= {"seeds": [0, 1, 2], "runs": list(row["runs"]), "outcomes": ["diverged", "complete", "complete"]}
    write(file, [{**row, "acc_personal_own": [float("nan"), 0.80, 0.81]}])
    own = of(judged(path), "fedrsclip")[0]
    assert own.remark == "diverged on 1 of 3 seeds" and not own.diverged
    assert own.accuracy is not None and own.accuracy["seeds"] == 2


def _is(file: Path, label: str, level: str) -> bool:
    return duckdb.sql(f"SELECT label, level FROM '{file}'").fetchall() == [(label, level)]


def test_one_seed_that_others_cannot_explain_decides_nothing(tmp_path: Path) -> None:
    rows = judged(folder(tmp_path / "a", lambda label, level: label != "fedrsclip, median", seeds=[0]))
    assert {o.verdict for o in of(rows, "fedrsclip")} == {"undecided"}


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_page_of_what_is_there_so_far(tmp_path: Path, kept: int) -> None:
    count = iter(range(100))
    path = folder(tmp_path / "a", lambda label, level: next(count) < kept, status="running")
    page = write_report(path).read_text()
    assert f"{kept} of 12 planned trials are finished" in page and "Two datasets" in page
    assert (path / "report" / "index.md").read_text().startswith("# Stress test of fedrsclip, quick")


def test_rules_without_training_are_shown_beside_the_curves(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    for file in (path / "tables/trials").glob("*.parquet"):
        (row,) = duckdb.sql(f"FROM '{file}'").df().to_dict("records")
        lists = {name: list(row[name]) for name in ("seeds", "runs", "acc_personal_own")}
        write(file, [{**row, **lists, "acc_majority_own": [0.5] * 3}])
    results = open_results(path)
    verdict_tables(results)
    rows = outcomes(results)
    assert {o.label for o in rows if o.role == "floor"} == {"most frequent class"}
    own = of(rows, "fedrsclip")
    assert [o.gaps["most frequent class"]["verdict"] for o in own] == ["ahead", "ahead", "behind"]
    table = breaking.table(results, stressed.cases(results)[0], rows, {})
    assert table is not None and "to most frequent class, points" in table.columns


def test_the_page_says_its_rule_its_answer_and_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path / "a")
    fired = {"run": "fedrsclip-40 %-0", "name": "semantic_drift", "round": 6, "value": 0.1, "limit": 0.01}
    write(path / "tables/signatures/a.parquet", [{**fired, "detail": "x"}])
    page = write_report(path).read_text()
    assert "fedrsclip: of 1 case, shown to break in 1." in page and "breaks between 10 % and 40 %" in page
    for said in ("\u2717 break from 40 %", "fedrsclip, median: pass at 40 %", "semantic drift (1 of 3)"):
        assert said in page
    results = open_results(path)
    monkeypatch.chdir(path)
    rows = duckdb.sql(results.shown(stressed.ACCURACIES, cases=[CASE])).df()
    told = rows.set_index(["level", "entry"])["mean"]
    assert told["20 %", "fedrsclip"] == pytest.approx(0.62)
    found = duckdb.sql(results.shown(stressed.DIFFERENCES, cases=[CASE])).df().set_index(["a", "b"])
    assert found.loc[("fedrsclip at 20 %", "local at 20 %"), "estimate"] == pytest.approx(-0.08)


def test_a_difference_stands_in_its_own_interval_and_a_diverged_one_has_no_number() -> None:
    row = {
        "verdict": "behind",
        "estimate": 0.2,
        "worst_case": -0.28,
        "adjusted_low": -0.45,
        "adjusted_high": -0.11,
    }
    assert breaking._gap_text({**row, "reason": ""}) == "\u221228.0 [\u221245.0, \u221211.0]"
    lost = {**row, "verdict": "diverges", "reason": "diverged on 2 of 3 seeds"}
    assert breaking._gap_text(lost) == "diverged on 2 of 3 seeds"
    assert breaking._gap_text(None) == "\u2013"
