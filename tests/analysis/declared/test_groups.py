"""Head, medium and tail classes of a recipe: numbers by hand and by SQL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis import declared as recipes
from analysis import write_report
from analysis.figures.outcomes import balance, tested
from analysis.stats.intervals import t_interval
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import NOISE, SEEDS, drawn, marks, query, rounds_of


def test_groups_of_a_recipe_by_hand_and_by_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}]).open()
    compared, (reached, gap, table), said = drawn(results)
    levels = {
        (r["scenario"], r["label"], r["metric"]): r
        for r in tested.table_tested(results, compared, balance.SHARED_METRICS)
    }
    safe = levels["imbalance 100", "safe", "acc_shared_tail"]
    assert (
        safe["values"] == pytest.approx({s: 0.5 + 0.06 + 2 * NOISE[s] for s in SEEDS})
        and len(levels) == 2 * 3 * 3
    )
    gain = t_interval([0.06 + NOISE[s] for s in SEEDS])  # fedavg holds the noise once, SAFE twice
    cost = t_interval([-0.01 + NOISE[s] for s in SEEDS])
    assert gain and gain.low and gain.high and cost and cost.low and cost.high
    assert said[:3] == [
        "Under imbalance 10, on tail classes with the shared parameters alone, compared with fedavg, "
        "\u201csafe\u201d gains 6.0 points "
        f"(90% interval {100 * gain.low:.1f} to {100 * gain.high:.1f}); \u201cwithout CRO\u201d is level "
        "(within 1 point).",
        f"Under imbalance 100, on tail classes, \u201csafe\u201d gains 6.0 points ({100 * gain.low:.1f} to "
        f"{100 * gain.high:.1f}); "
        "\u201cwithout CRO\u201d is level (within 1 point).",
        f"Under imbalance 10, on head classes, \u201csafe\u201d loses 1.0 points ({-100 * cost.high:.1f} "
        f"to {-100 * cost.low:.1f}); "
        "\u201cwithout CRO\u201d is level (within 1 point).",
    ]
    assert len(reached.panels) == 2 and [marks(reached.panels[0], c) for c in ("#0072B2", "#E69F00")] == [
        3,
        3,
    ]
    assert [p.title for p in gap.panels] == [
        f"Shared accuracy on {g} classes" for g in ("tail", "medium", "head")
    ]
    assert "of 12 intervals of 90% shown, 6 exclude zero" in gap.caption.lower()
    found = {(r["scenario"], r["label"], r["metric"]): r for r in query(gap.source, tmp_path, monkeypatch)}
    assert (
        found["imbalance 10", "safe", "acc_shared_tail"]["mean"] == pytest.approx(gain.mean)
        and len(found) == 12
    )
    whole = {(r["scenario"], r["label"], r["metric"]): r for r in query(table.source, tmp_path, monkeypatch)}
    assert whole["imbalance 10", "safe", "acc_shared_head"]["difference"] == pytest.approx(-0.01)
    assert {k: r["mean"] for k, r in whole.items()} == pytest.approx(
        {k: r["mean"] for k, r in levels.items()}
    )
    first = [getattr(cell, "text", cell) for cell in table.rows[0]]
    assert first[:2] == ["imbalance 10", "safe"] and first[-1].startswith("+6.0 \u00b1 0.4 better *")
    assert [cell.text for cell in table.rows[2][-3:]] == ["reference"] * 3
    assert "groups" in recipes.kinds_of(results)


def test_groups_need_classes_of_different_frequency(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}], groups=False).open()
    compared, (missing,), said = drawn(results)
    assert "1.5 times the training images of others" in missing.missing and said == []
    assert balance.exhibit_groups(results, compared, rounds_of(results)) is None


def test_what_a_recipe_draws_itself_is_not_drawn_twice(tmp_path: Path) -> None:
    plain = fake_safe.safe_recipe(tmp_path / "plain", [])
    declared = fake_safe.safe_recipe(
        tmp_path / "declared", [{"kind": "groups", "to": "fedavg"}, {"kind": "masks"}]
    )
    for made, keys in (
        (plain, ["curves", "groups", "ratios", "divergence", "masks"]),
        (declared, ["groups", "groups-gap", "masks"]),
    ):
        page = write_report(made.folder).read_text(encoding="utf-8")
        ids = re.findall(r'<figure id="([\w-]+)"', page)
        assert len(ids) == len(set(ids)) and [i for i in ids if i in keys] == keys
