"""Accuracy against a number: differences to the digit, and sentences from intervals."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.declared import against
from analysis.stats.intervals import paired, t_interval
from tests.fakes.recipe import NOISE, SEEDS, Recipe, at, drawn, marks, query


def clients_recipe(folder: Path) -> Recipe:
    """Two families of scenarios.

    The subject falls by 1 point from 5 to 10 clients and by 2 to 20 clients; its rival stays.
    """
    places = {
        f"{name}, {n} clients": {"scenario": {"name": name, "clients": n}, "task": {"dataset": "scenes"}}
        for name in ("even", "disjoint")
        for n in (5, 10, 20)
    }
    made = Recipe(
        folder,
        places,
        [{"kind": "against", "x": "scenario.clients", "name": "clients"}],
        ["fedrsclip", "promptfl", "zeroshot"],
    )
    for scenario, settings in places.items():
        steps = {5: 0, 10: 1, 20: 3}[settings["scenario"]["clients"]]
        made.trial("fedrsclip (tuned)", scenario, at(0.78 - 0.01 * steps, 2.0))
        made.trial("promptfl (tuned)", scenario, at(0.7642), method="promptfl")
        made.trial("zeroshot (untuned)", scenario, at(0.6, 0.0), method="zeroshot", parameters=0)
    return made


def test_accuracy_against_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = clients_recipe(tmp_path).open()
    compared, (exhibit,), sentences = drawn(results)
    rows = against.table_against(results, compared, "scenario.clients")
    assert {r["family"] for r in rows} == {"even", "disjoint"} and len(rows) == 2 * 3 * 3 * 2
    own = [
        r
        for r in rows
        if (r["family"], r["label"], r["metric"]) == ("even", "fedrsclip (tuned)", "acc_personal_own")
    ]
    assert [(r["x"], round(r["mean"], 9)) for r in own] == [(5.0, 0.78), (10.0, 0.77), (20.0, 0.75)]
    assert len(exhibit.panels) == 4 and [marks(p, "#0072B2") for p in exhibit.panels] == [3] * 4
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "log"
    sql_rows = query(exhibit.source, tmp_path, monkeypatch)
    assert {(r["scenario"], r["x"], r["label"]): round(r["personal_own"], 9) for r in sql_rows} == {
        (r["scenario"], r["x"], r["label"]): round(r["mean"], 9)
        for r in rows
        if r["metric"] == "acc_personal_own"
    }
    gaps = [t_interval([0.78 - step - 0.7642 + NOISE[s] for s in SEEDS]) for step in (0, 0.01, 0.03)]
    assert [g.verdict for g in gaps if g] == ["helps", "helps", "hurts"]
    assert sentences == [
        f"From 5 to 20 clients ({name}), fedrsclip (tuned) changes by \u22123.0 points, which is undecided "
        "(90% interval \u22123.0 to \u22123.0, paired by seed); against promptfl (tuned), the strongest "
        "of its rivals on validation, it is ahead at 5 (+1.6) and 10 (+0.6), behind at 20 (\u22121.4) "
        "clients."
        for name in ("even", "disjoint")
    ]


def test_a_change_that_is_decided_is_gained_or_lost(tmp_path: Path) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}} for n in (10, 20)}
    made = Recipe(tmp_path, places, [{"kind": "against", "x": "scenario.clients"}], ["m"])
    made.trial("m", "even, 10 clients", at(0.7, 0.0))
    made.trial("m", "even, 20 clients", at(0.68, 1.0))
    _, (exhibit,), sentences = drawn(made.open())
    low = paired({s: 0.68 + NOISE[s] for s in SEEDS}, dict.fromkeys(SEEDS, 0.7))
    assert low is not None and low.low is not None and low.high is not None
    assert sentences == [
        "From 10 to 20 clients (even), m loses 2.0 points of accuracy on its clients' own distributions "
        f"(90% interval {-100 * low.high:.1f} to {-100 * low.low:.1f}, paired by seed)."
    ]
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "linear"
    assert "may differ along a line" not in exhibit.caption  # nothing was tuned


def test_validation_says_which_rival_is_the_strongest_and_what_does_not_stand_may_be(tmp_path: Path) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}} for n in range(10, 110, 10)}
    made = Recipe(tmp_path, places, [{"kind": "against", "x": "scenario.clients"}], ["m", "a", "b"])
    for scenario, settings in places.items():
        clients = settings["scenario"]["clients"]
        ours = at(0.7046, 2.0) if clients == 100 else at(0.7)
        lead = {10: 0.0046, 20: 0.05}.get(clients, 0.0)
        made.trial("m (tuned)", scenario, ours)
        made.trial(
            "a (tuned)", scenario, at(0.9, 0.0), method="promptfl", validated=-0.3
        )  # strong on test alone
        made.trial(
            "b (tuned)",
            scenario,
            lambda seed, ours=ours, lead=lead: ours(seed) - lead - NOISE[seed],
            method="local",
        )  # type: ignore[misc]
    results = made.open()
    compared, (exhibit,), sentences = drawn(results)
    reported = against.table_reported(results, against.table_against(results, compared, "scenario.clients"))
    hint = t_interval([0.0046 + NOISE[s] for s in SEEDS])  # excludes zero, but is one of eleven
    assert hint and hint.low and hint.high and hint.p and 0.1 * 3 / 11 < hint.p < 0.1
    assert len(reported) == 11 and [(r["rival"], r["x"]) for r in reported if r["firm"]] == [
        ("b (tuned)", 20)
    ]
    assert sentences == [
        "From 10 to 100 clients (even), m (tuned) may gain 0.5 points of accuracy on its clients' own "
        f"distributions (90% interval {100 * hint.low:.1f} to {100 * hint.high:.1f}, paired by seed); "
        "against b (tuned), the strongest of its rivals on validation, it is ahead at 20 (+5.0), level "
        "(within 1 point) at 30, 40, 50, 60, 70, 80, 90 and 100; it may be ahead at 10 (+0.5) clients."
    ]
    for words in (
        "Fewer images per client also mean fewer steps per round.",
        "tuned settings may differ along a line",
        "The paired differences in the sentences: of 11 intervals of 90% shown, 3 exclude zero",
        "1 of them stands. Of those that do not stand, sentences say \u201cmay\u201d.",
    ):
        assert words in exhibit.caption
