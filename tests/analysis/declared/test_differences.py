"""Differences to one entry: to the digit, and sentences by verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.declared import differences
from analysis.look.style import VERDICT_COLOUR
from analysis.stats.intervals import t_interval
from tests.fakes.recipe import NOISE, SEEDS, Recipe, at, drawn, marks, query


def ablation(folder: Path, to: str = "fedrsclip") -> Recipe:
    """Leaving out the private prompt costs 3 points on own and global.

    OT is level; 'OT alone' is undecided.
    """
    made = Recipe(
        folder,
        {"even": {"scenario": {"name": "even", "clients": 4}}},
        [{"kind": "differences", "to": to}],
        ["fedrsclip", "without private prompt", "without OT", "OT alone"],
    )
    made.trial("fedrsclip (tuned)", "even", at(0.75, 5.0))
    made.trial("without private prompt (tuned)", "even", lambda s: at(0.72, 5.0)(s) + NOISE[s], shift=0.02)
    made.trial("without OT (tuned)", "even", lambda s: at(0.7501, 5.0)(s) + NOISE[s])
    made.trial("OT alone (tuned)", "even", lambda s: at(0.752, 5.0)(s) + 10 * NOISE[s])
    return made


def test_differences_are_paired_and_said_by_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = ablation(tmp_path).open()
    compared, (exhibit,), sentences = drawn(results)
    rows = differences.table_pairs(results, compared, "fedrsclip")
    own = {r["label"]: r for r in rows if r["metric"] == "acc_personal_own"}
    assert list(own) == ["without private prompt (tuned)", "without OT (tuned)", "OT alone (tuned)"]
    assert [r["mean"] for r in own.values()] == pytest.approx([-0.03, 0.0001, 0.002])
    assert [r["verdict"] for r in own.values()] == ["hurts", "level", "undecided"]
    costs = t_interval([-0.03 + NOISE[s] for s in SEEDS])
    wide = t_interval([0.002 + 10 * NOISE[s] for s in SEEDS])
    assert costs and wide and costs.low and costs.high and wide.low and wide.high
    assert sentences == [
        "Under even, on the clients' own distributions, compared with fedrsclip (tuned), leaving out "
        f"private prompt costs 3.0 points (90% interval {-100 * costs.high:.1f} to "
        f"{-100 * costs.low:.1f}); leaving out OT does not matter (within 1 point).",
        "Under even, on the global split, leaving out private prompt gains 4.0 points "
        f"({100 * (costs.low + 0.07):.1f} to {100 * (costs.high + 0.07):.1f}).",
        "Under even, on the clients' own distributions, \u201cOT alone\u201d (+0.2 points, "
        f"\u2212{-100 * wide.low:.1f} to +{100 * wide.high:.1f}) is undecided.",
    ]
    own_panel, world_panel = exhibit.panels
    assert [marks(own_panel, VERDICT_COLOUR[v]) for v in ("helps", "hurts", "level", "undecided")] == [
        0,
        1,
        1,
        1,
    ]
    assert [marks(world_panel, VERDICT_COLOUR[v]) for v in ("helps", "hurts", "level", "undecided")] == [
        1,
        0,
        1,
        1,
    ]
    sql_rows = {r["label"]: r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert {k: r["own"] for k, r in sql_rows.items()} == pytest.approx({k: r["mean"] for k, r in own.items()})
    assert sql_rows["without OT (tuned)"]["sd_own"] > 0 and sql_rows["without OT (tuned)"]["seeds"] == 4


def test_differences_that_do_not_stand_may_cost(tmp_path: Path) -> None:
    grid = ["whole", "without 0", "other 0", *(f"other {i}" for i in range(1, 5))]
    made = Recipe(tmp_path, {"even": {}}, [{"kind": "differences", "to": "whole"}], grid)
    for label in grid:
        step = {"whole": 0.0, "without 0": -0.0046, "other 0": 0.0046, "other 1": 0.05}.get(label, 0.0)
        made.trial(
            label, "even", lambda s, step=step, label=label: 0.7 + step + (label != "whole") * NOISE[s]
        )  # type: ignore[misc]
    results = made.open()
    compared, (exhibit,), sentences = drawn(results)
    assert "leaving out 0 may cost 0.5 points (" in sentences[0]
    assert (
        "\u201cother 1\u201d gains 5.0 points (4.6 to 5.4); \u201cother 0\u201d may gain 0.5 points ("
        in sentences[1]
    )
    assert "Of those that do not stand, sentences say \u201cmay\u201d." in exhibit.caption
    assert {r["label"] for r in differences.table_pairs(results, compared, "whole") if r["firm"]} == {
        "other 1"
    }


def test_nothing_is_left_out_of_a_reference_that_is_not_the_whole(tmp_path: Path) -> None:
    _, _, sentences = drawn(ablation(tmp_path, to="OT alone").open())
    assert "\u201cwithout OT\u201d" in sentences[0] and "leaving out" not in sentences[0]
