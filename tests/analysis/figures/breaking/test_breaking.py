"""The page of a stress run from invented files: the rule, breaking points, a run that is half done."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from analysis import write_report
from analysis.figures.breaking.curves import curves_query
from analysis.figures.breaking.verdicts import differences_query
from analysis.read import stressed
from analysis.read.results import open_results
from analysis.read.stressed import breaking_point, judge, outcomes, worst_verdict
from analysis.stats.intervals import Interval, paired
from tests.fakes.stress_results import SPREAD, folder
from tests.fakes.tables import write


def gap(low: float | None, high: float | None) -> Interval:
    return Interval(0.0, low, high, 3 if low is not None else 1)


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [
        ([gap(-0.049, 0.2), gap(-0.04, 0.1)], "pass"),
        ([gap(-0.05, 0.2), gap(-0.04, 0.1)], "undecided"),  # at the margin nothing is shown
        ([gap(-0.3, -0.051), gap(-0.04, 0.1)], "degrade"),
        ([gap(-0.3, -0.051), gap(-0.2, 0.1)], "degrade"),
        ([gap(-0.3, -0.051), None], "degrade"),
        ([gap(-0.3, -0.051), gap(-0.2, -0.06)], "break"),
        ([gap(-0.3, -0.049), gap(-0.2, -0.06)], "degrade"),
        ([gap(-0.3, 0.3), gap(-0.2, 0.06)], "undecided"),
        ([gap(-0.3, -0.06)], "break"),
        ([gap(-0.04, 0.06)], "pass"),
        ([gap(0.1, 0.2), None], "undecided"),
        ([gap(None, None), gap(None, None)], "undecided"),  # one seed
        ([gap(-0.2, -0.2), gap(-0.2, -0.2)], "undecided"),  # no spread
        ([], "undecided"),
    ],
)
def test_the_rule(gaps: list[Interval | None], verdict: str) -> None:
    assert judge(gaps, 0.05) == verdict


def test_verdicts_and_the_breaking_point(tmp_path: Path) -> None:
    results = open_results(folder(tmp_path / "a"))
    groups = stressed.by_entry(outcomes(results))
    own = groups[("corrupt_nan", "fedrsclip", "fedrsclip")]
    assert [o.verdict for o in own] == ["pass", "degrade", "break"]
    half = 2.919986 * 0.01 / 3**0.5  # t(2) at 95 %, sd of 0.01, three seeds
    zero = own[1].gaps["zeroshot"]
    assert (
        zero is not None
        and zero.low == pytest.approx(0.02 - half, abs=1e-6)
        and zero.high == pytest.approx(0.02 + half, abs=1e-6)
    )
    lost = own[2].change
    assert lost is not None and lost.mean == pytest.approx(-0.4)
    assert breaking_point(own).sentence == "breaks between 10 % and 40 %" and worst_verdict(own) == "break"
    assert breaking_point(own[2:]).sentence == "is broken at the mildest level already"
    median = groups[("corrupt_nan", "fedrsclip", "fedrsclip, median")]
    assert (
        breaking_point(median).sentence == "not reached: passes at 40 %" and worst_verdict(median) == "pass"
    )


def test_a_diverged_level_is_broken_and_the_milder_one_was_not_run(tmp_path: Path) -> None:
    late = [
        {
            "space": "fedrsclip",
            "level": "20 %",
            "label": "",
            "reason": "time: it would not fit the 100 s of this case",
        }
    ]
    path = folder(
        tmp_path / "a",
        lambda label, level: level != "20 %",
        {("fedrsclip", "40 %"): "diverged: 3 of 3 seeds: round 1: NaN"},
    )
    meta = json.loads((path / "run.json").read_text())
    meta["cases"][0]["not_run"] = late
    (path / "run.json").write_text(json.dumps(meta))
    own = stressed.by_entry(outcomes(open_results(path)))[("corrupt_nan", "fedrsclip", "fedrsclip")]
    assert [(o.verdict, o.remark[:5]) for o in own] == [
        ("pass", ""),
        ("not run", "time:"),
        ("break", "diver"),
    ]
    assert breaking_point(own).sentence == "breaks between 10 % and 40 %"
    page = write_report(path).read_text()
    for said in (
        "round 1: NaN",
        "100 s of this case",
        "no result",
        "Skipped: there is no second dataset",
        "Diverged:",
    ):
        assert said in page


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", state={("fedrsclip", "40 %"): "diverged: round 1: NaN"}, seeds=[0])
    assert {o.verdict for o in outcomes(open_results(path)) if o.label == "fedrsclip"} == {"undecided"}
    assert "With one seed nothing is decided." in write_report(path).read_text()


def test_one_diverged_seed_of_several_decides_nothing(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", state={("fedrsclip", "40 %"): "diverged: 1 of 3 seeds: round 1: NaN"})
    [own] = [o for o in outcomes(open_results(path)) if o.label == "fedrsclip" and o.level == "40 %"]
    assert own.verdict == "undecided" and "1 of 3 seeds" in own.remark


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_page_of_what_is_there_so_far(tmp_path: Path, kept: int) -> None:
    count = iter(range(100))
    path = folder(tmp_path / "a", lambda label, level: next(count) < kept, status="running")
    page = write_report(path).read_text()
    assert f"{kept} of 12 planned trials are finished" in page and "Two datasets" in page
    assert ("not finished yet" in page) == (kept < 12)
    assert (path / "report" / "index.md").read_text().startswith("# Stress test of fedrsclip, quick")


def test_the_page_says_its_rule_its_answer_and_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path / "a")
    run = "fedrsclip-40 %-0"
    write(
        path / "tables/signatures/a.parquet",
        [{"run": run, "name": "semantic_drift", "round": 6, "value": 0.1, "limit": 0.01, "detail": "x"}],
    )
    page = write_report(path).read_text()
    assert "fedrsclip: of 1 case, shown to break in 1." in page and "breaks between 10 % and 40 %" in page
    assert "both differences are shown to be above \u22125 points" in page
    assert (
        "\u2717 break from 40 %" in page
        and "fedrsclip, median: pass at 40 %" in page
        and "semantic drift (1 of 3)" in page
    )
    results = open_results(path)
    monkeypatch.chdir(path)
    case = stressed.cases(results)[0]
    told = {
        (level, label): mean for _, level, label, _, mean, *_ in duckdb.sql(curves_query(case)).fetchall()
    }
    assert told[("20 %", "fedrsclip")] == pytest.approx(0.62)
    rows = duckdb.sql(differences_query(case)).fetchall()
    sql = next(row for row in rows if row[1:4] == ("20 %", "fedrsclip", "local"))
    mine = paired({s: 0.62 + d for s, d in enumerate(SPREAD["fedrsclip"])}, dict.fromkeys(range(3), 0.7))
    assert mine is not None and sql[4:] == (pytest.approx(mine.mean), pytest.approx(0.01), 3)
