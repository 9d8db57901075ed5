"""Differences to one entry: rows of the table of verdicts, forest plots, and sentences by verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import declared as recipes
from analysis import write_report
from analysis.declared import differences
from analysis.figures.outcomes import balance
from analysis.look.style import VERDICTS
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import NOISE, Recipe, Row, at, drawn, marks, query


def ablation(folder: Path, to: str = "fedrsclip") -> Recipe:
    """Leaving out the private prompt costs 3 points on own and gains 4 on global.

    OT is level; 'OT alone' is undecided.
    """
    grid = ["fedrsclip", "without private prompt", "without OT", "OT alone"]
    place = {"even": {"scenario": {"name": "even", "clients": 4}}}
    made = Recipe(folder, place, [{"kind": "differences", "to": to}], grid)
    made.trial("fedrsclip (tuned)", "even", at(0.75, 5.0))
    made.trial("without private prompt (tuned)", "even", lambda s: at(0.72, 5.0)(s) + NOISE[s], shift=0.02)
    made.trial("without OT (tuned)", "even", lambda s: at(0.7501, 5.0)(s) + NOISE[s])
    made.trial("OT alone (tuned)", "even", lambda s: at(0.752, 5.0)(s) + 10 * NOISE[s])
    return made


def test_differences_are_those_of_the_table_and_said_by_verdict(tmp_path: Path) -> None:
    results = ablation(tmp_path).open()
    (exhibit,), sentences = drawn(results)
    rows = differences.table_pairs(results, "fedrsclip", ["acc_personal_own", "acc_personal_global"])
    own = {row["a"]: row for row in rows if row["metric"] == "acc_personal_own"}
    assert list(own) == ["without private prompt (tuned)", "without OT (tuned)", "OT alone (tuned)"]
    assert [row["estimate"] for row in own.values()] == pytest.approx([-0.03, 0.0001, 0.002])
    assert [row["removed"] for row in own.values()] == [True, True, False]
    assert own["without private prompt (tuned)"]["verdict"] == "behind"
    assert "compared with fedrsclip (tuned), leaving out private prompt (\u22123.0 points [" in sentences[0]
    assert "] costs points" in sentences[0].replace("])", "]") and "\u201cOT alone\u201d" in sentences[0]
    assert "on the global split, leaving out private prompt (+4.0 points [" in sentences[1]
    for panel in exhibit.panels:
        shown = [row for row in rows if row["metric"].replace("_", "-") in panel.key]
        for verdict in ("ahead", "behind"):
            number = sum(row["verdict"] == verdict for row in shown)
            assert marks(panel, VERDICTS[verdict].colour) == number


def test_one_difference_has_one_verdict_wherever_it_stands(tmp_path: Path) -> None:
    """The main configuration against a rival, and the rival against it in a declared figure."""
    results = ablation(tmp_path).open()
    drawn(results)
    for row in differences.table_pairs(results, "fedrsclip", ["acc_personal_own"]):
        (same,) = results.sql(
            "SELECT verdict, estimate FROM verdicts WHERE b = $a AND a = $b AND metric = 'acc_personal_own'",
            a=row["a"], b=row["b"],
        )  # fmt: skip
        other = {"ahead": "behind", "behind": "ahead"}.get(same["verdict"], same["verdict"])
        assert (row["verdict"], row["estimate"]) == (other, pytest.approx(-same["estimate"]))


def test_nothing_is_left_out_of_a_reference_that_is_not_the_whole(tmp_path: Path) -> None:
    _, sentences = drawn(ablation(tmp_path, to="OT alone").open())
    assert "\u201cwithout OT\u201d" in sentences[0] and "leaving out" not in sentences[0]


def test_differences_by_declared_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["acc_shared_global", "acc_shared_class_mean", "acc_shared_tail", "acc_personal_own"]
    figure = {"kind": "differences", "to": "safe", "metrics": [*wanted, "acc_personal_tail"]}
    (exhibit,), said = drawn(fake_safe.safe_recipe(tmp_path, [figure]).open())
    assert [panel.title for panel in exhibit.panels] == [
        "Shared accuracy on the global split",
        "Shared accuracy in the mean over classes",
        "Shared accuracy on tail classes",
        "Personal accuracy on each client's own distribution",
    ]  # no run has a personal accuracy on tail classes
    found = {(r["scenario"], r["a"], r["metric"]): r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert len(found) == 2 * 2 * 4
    assert found["imbalance 10", "without CRO", "acc_shared_tail"]["estimate"] == pytest.approx(-0.059)
    assert said[0].startswith(
        "Under imbalance 10, on the global split with the shared model alone, compared with safe, leaving "
        "out CRO (\u22123.0 points ["
    )
    assert not any("tail" in sentence for sentence in said)  # it says what the first metric says


def test_head_medium_and_tail_classes(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}]).open()
    (reached, gap, table), said = drawn(results)
    assert said[0].startswith(
        "Under imbalance 10, on tail classes with the shared model alone, compared with fedavg, ahead: "
        "\u201csafe\u201d (+6.0 points ["
    )
    assert "on head classes, behind: \u201csafe\u201d (\u22121.0 points [" in said[2]
    assert len(reached.panels) == 2
    assert [marks(reached.panels[0], colour) for colour in ("#0072B2", "#B87A00")] == [3, 3]
    assert [p.title for p in gap.panels] == [
        f"Shared accuracy on {g} classes" for g in ("tail", "medium", "head")
    ]
    cells = [[getattr(cell, "text", cell) for cell in row] for row in table.rows]
    assert cells[0][:2] == ["imbalance 10", "safe"] and cells[0][-1].startswith("+6.0 [")
    assert cells[0][-1].endswith("] ahead") and cells[2][-3:] == ["reference"] * 3


def test_groups_need_classes_of_different_frequency(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}], groups=False).open()
    (missing,), said = drawn(results)
    assert "1.5 times the training images of others" in missing.missing and said == []
    assert balance.exhibit_groups(results) is None


def test_what_a_recipe_draws_itself_is_not_drawn_twice(tmp_path: Path) -> None:
    figures: list[Row] = [{"kind": "groups", "to": "fedavg"}, {"kind": "masks"}]
    for name, wanted in (("plain", []), ("declared", figures)):
        made = fake_safe.safe_recipe(tmp_path / name, wanted)
        page = write_report(made.folder).read_text(encoding="utf-8")
        for key in ("groups", "masks"):
            assert page.count(f'<figure id="{key}"') == 1
        assert recipes.kinds_of(made.open()) == {figure["kind"] for figure in wanted}
