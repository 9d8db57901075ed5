"""Specification gaps: the largest change of each choice, and whether the lead over a rival lasts."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import ttest_rel

from analysis.figures.choices import (
    gap_sentences,
    gaps,
    rivals,
)
from analysis.read.metric import Metric
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake
from tests.fakes.pages import accuracies, page_text

EVEN, SKEWED = fake.SCENARIOS


def test_the_largest_change_has_an_interval_for_all_levels_of_its_choice(full_sweep: Path) -> None:
    rows = gaps.table_gaps(open_results(full_sweep))
    row = next(r for r in rows if r["symbol"] == "lam" and r["scenario"] == EVEN)
    level, anchor = (
        accuracies(full_sweep, scenario=EVEN, kind="contrast", label=name)
        for name in ("method.lam=0.5", "anchor")
    )
    low, high = ttest_rel(level, anchor).confidence_interval(1 - 0.1 / 3)
    assert row["level"] == "0.5" and (row["interval"].low, row["interval"].high) == pytest.approx((low, high))
    assert row["verdict"] == "hurts" and row["firm"] and row["best"] in ("anchor", "0.005")
    assert (row["tried"], row["searched"]) == ("0.005, 0.1, 0.5", "log-U [0.005, 0.5]")
    h = next(r for r in rows if r["symbol"] == "h" and r["scenario"] == EVEN)
    assert (h["level"], h["verdict"], h["best"]) == ("16", "helps", "16")
    fusion = next(r for r in rows if r["symbol"] == "fusion" and r["scenario"] == EVEN)
    assert fusion["verdict"] == "level"
    said = gap_sentences.sentences(rows, 0.9, Metric())[0]
    assert "lam and h are shown to change" in said and "fusion is shown not to matter" in said


def test_the_lead_is_measured_against_the_tuned_rival_over_the_whole_range(full_sweep: Path) -> None:
    results = open_results(full_sweep)
    rival = rivals.strongest(results, f"m | {EVEN}", EVEN, "acc_personal_own")
    tuned = accuracies(full_sweep, study=f"m near | {EVEN}", label="tpe 1")
    assert rival is not None and rival.label == "near (tuned)" and list(rival.values.values()) == tuned
    rows = {(r["symbol"], r["scenario"]): r for r in gaps.table_gaps(results)}
    lam = rows["lam", EVEN]  # 0.5 costs 6 points, the tuned rival is 2 points ahead of the anchor
    low, high = ttest_rel(
        accuracies(full_sweep, scenario=EVEN, label="method.lam=0.5"), tuned
    ).confidence_interval(1 - 0.1 / 4)
    assert (
        lam["least"] == "0.5"
        and (lam["lead"].low, lam["lead"].high) == pytest.approx((low, high))
        and lam["lasts"] == "behind"
    )
    assert "near (tuned)" in page_text(full_sweep) and "picked as the best of many" in page_text(full_sweep)


@pytest.mark.parametrize(("rival", "lasts"), [(-0.04, "reverses"), (-0.2, "survives"), (0.05, "behind")])
def test_a_lead_survives_or_turns(tmp_path: Path, rival: float, lasts: str) -> None:
    sheet = fake.Sheet()
    sheet.contrasts(EVEN, 0.6)
    sheet.rows = [r for r in sheet.rows if r["kind"] != "rival"]
    sheet.add(EVEN, "rival", "one", 0.6 + rival, method="one")
    row = gaps.table_gaps(open_results(fake.write(tmp_path, sheet)))[0]
    assert (
        row["symbol"] == "lam"
        and row["lasts"] == lasts
        and row["lasts_firm"]
        and row["rival"].label == "one (untuned)"
    )


def test_no_lead_turns_where_none_was_shown(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.0)
    sheet.contrasts(EVEN, 0.6)
    sheet.rows = [r for r in sheet.rows if r["kind"] != "rival"]
    sheet.add(EVEN, "rival", "one", 0.6, method="one")
    wide = [
        v + e for v, e in zip(sheet.rows[-1]["acc_personal_own"], (0.015, -0.01, 0.005, -0.015), strict=True)
    ]
    sheet.rows[-1]["acc_personal_own"] = wide
    rows = gaps.table_gaps(open_results(fake.write(tmp_path, sheet)))
    assert {r["symbol"]: r["lasts"] for r in rows} == {
        "lam": "deficit",
        "h": "undecided",
        "fusion": "undecided",
    }
    assert (
        "a deficit at some level of lam (undecided at the anchor)"
        in gap_sentences.sentences(rows, 0.9, Metric())[1]
    )


def test_a_level_that_failed_leaves_choice_and_lead_undecided(tmp_path: Path) -> None:
    sheet = fake.Sheet()
    sheet.contrasts(EVEN, 0.6)
    sheet.rows = [r for r in sheet.rows if r["factor"] != "method.fusion"]
    sheet.add(EVEN, "contrast", "method.fusion=mix", None, factor="method.fusion", level="mix")
    sheet.rows = [r for r in sheet.rows if r["label"] != "method.h=16"]
    rows = {r["symbol"]: r for r in gaps.table_gaps(open_results(fake.write(tmp_path, sheet)))}
    assert (rows["h"]["verdict"], rows["h"]["lasts"]) == ("undecided", "undecided") and "1 of 2" in rows["h"][
        "missing_levels"
    ]
    assert (
        rows["fusion"]["interval"] is None
        and "1 of 1 level without a finished trial" in rows["fusion"]["missing_levels"]
    )


def test_training_settings_are_not_asked_for_the_lead(tmp_path: Path) -> None:
    sheet = fake.Sheet()
    sheet.contrasts(EVEN, 0.6)
    sheet.add(
        EVEN,
        "contrast",
        "training.lr=0.2",
        0.7,
        factor="training.lr",
        level="0.2",
        params={"training.lr": 0.2},
    )
    row = next(
        r for r in gaps.table_gaps(open_results(fake.write(tmp_path, sheet))) if r["path"] == "training.lr"
    )
    assert row["verdict"] == "helps" and row["lead"] is None and row["lasts"] == ""
