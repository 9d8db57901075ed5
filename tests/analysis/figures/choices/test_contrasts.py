"""Contrasts: paired differences to the anchor, and sentences that follow from their intervals."""

from __future__ import annotations

import pytest

from analysis.figures.choices import contrast_sentences, contrasts
from analysis.figures.outcomes import methods
from analysis.pages import effect_sentences, summary, sweep_page
from analysis.read.metric import Metric
from analysis.read.results import Results
from tests.fakes.trials import FACTORS, SCENARIOS, contrast, sweep_of


def decided_sweep() -> Results:
    return sweep_of(
        [
            contrast("A", None, None, [0.50, 0.60, 0.70]),
            contrast("A", "method.lam", "3", [0.47, 0.56, 0.68]),
            contrast("A", "method.lam", "2", [0.52, 0.6211, 0.7189]),
            contrast("A", "method.h", "2", [0.52, 0.59, 0.70]),
            contrast("B", None, None, [0.50, 0.60, 0.70]),
            contrast("B", "method.lam", "2", [0.52, 0.59, 0.70]),
            contrast("B", "method.h", "2", [0.9, 0.9, 0.9], state="PRUNED"),
        ],
        factors=FACTORS,
        scenarios=SCENARIOS,
    )


def test_contrasts_are_paired_differences_to_the_anchor() -> None:
    rows = contrasts.table_contrasts(decided_sweep())
    names = [" ".join((r["scenario"], r["symbol"], r["level"])) for r in rows]
    assert names == ["A lam 2", "A lam 3", "A h 2", "B lam 2"]
    assert [r["mean"] for r in rows] == pytest.approx([0.02, -0.03, 0.01 / 3, 0.01 / 3])
    assert [r["verdict"] for r in rows] == ["helps", "hurts", "undecided", "undecided"]
    assert [r["firm"] for r in rows] == [
        True,
        True,
        False,
        False,
    ]  # p 0.001 and 0.037 of 4: thresholds 0.025 and 0.05


def test_sentence_says_what_the_intervals_say() -> None:
    results = decided_sweep()
    rows, paths = contrasts.table_contrasts(results), [f["path"] for f in FACTORS]
    assert contrast_sentences.sentence([r for r in rows if r["scenario"] == "A"], paths, 0.9, Metric()) == (
        "Under A, lam changes validation accuracy (best 2: +2.0 points, 90% interval +1.8 to +2.2); 1 of 3 "
        "open choices is undecided; "
        "1 without a finished trial."
    )
    assert contrast_sentences.sentence([r for r in rows if r["scenario"] == "B"], paths, 0.9, Metric()) == (
        "Under B, none of 3 open choices is decided (2 without a finished trial): every 90% interval "
        "includes zero."
    )
    said = (
        "lam (under A) changes validation accuracy; 1 of 3 open choices is undecided; 1 without a "
        "finished trial."
    )
    assert summary.lead(results, [], rows, []) == [said, methods.NOT_YET]
    by_chance = sweep_page.trust(results, [], rows)[3]
    assert "of 4 intervals of 90% shown, 2 exclude zero" in by_chance and "all of them stand" in by_chance


def test_a_verdict_that_does_not_stand_is_only_a_hint() -> None:
    trials = [
        contrast("A", None, None, [0.5, 0.6, 0.7]),
        contrast("A", "method.lam", "2", [0.51, 0.6105, 0.7235]),
    ]
    trials += [contrast("A", "method.h", str(i), [0.5 + 0.01 * i, 0.6 - 0.01 * i, 0.7]) for i in range(1, 7)]
    rows = contrasts.table_contrasts(sweep_of(trials, factors=FACTORS, scenarios=SCENARIOS))
    assert rows[0]["verdict"] == "helps" and not rows[0]["firm"]
    assert contrast_sentences.sentence(rows, [], 0.9, Metric()).startswith(
        "Under A, lam may change validation accuracy (best 2: +1.5 points, "
    )
    lead = effect_sentences.effects_sentence(rows, [], 2, Metric())
    assert lead.startswith(
        "No open choice is shown to change validation accuracy under A; lam (under A) hints at it by an "
        "interval"
    )


def test_one_seed_decides_nothing() -> None:
    trials = [contrast("A", None, None, [0.5]), contrast("A", "method.lam", "2", [0.9])]
    rows = contrasts.table_contrasts(sweep_of(trials, factors=FACTORS[:1], scenarios=SCENARIOS))
    assert (
        contrast_sentences.sentence(rows, [], 0.9, Metric())
        == "Under A, none of 1 open choices is decided: one seed gives no interval."
    )
