"""The search on paper: what was tried, what was best, whether that is an edge, and the optimism gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analysis.figures.searching import search
from analysis.figures.searching.search import edges, exhibit_tuning, table_tuning
from analysis.read.results import Results, open_results
from analysis.verdicts import verdict_tables
from tests.fakes.tables import trial_type, write
from tests.fakes.trials import confirm, written

BASE: dict[str, Any] = {
    "method": "m",
    "scenario": "A",
    "study": "m | A",
    "kind": "search",
    "runs": ["x", "y"],
}
LEVELS = (0.02, 0.05, 0.12)
MEANS = {
    ("a", "even"): (0.6, 0.7, 0.65),
    ("b", "even"): (0.5, 0.55, 0.6),
    ("a", "domain"): (0.9, 0.8, 0.7),
    ("b", "domain"): (0.4, 0.5, 0.3),
}


def test_optimism_gap_uses_the_configuration_that_was_confirmed(tmp_path: Path) -> None:
    complete = {**BASE, "state": "COMPLETE", "seeds": [1, 2], "factor": None}
    trials = [
        {**complete, "label": "a", "params": '{"x": 1}', "objective": 0.9, "acc_personal_own": [0.9, 0.9]},
        {**complete, "label": "b", "params": '{"x": 2}', "objective": 0.8, "acc_personal_own": [0.7, 0.9]},
        {
            **confirm("m (tuned)", "A", [0.6, 0.7], [8, 9]),
            "params": '{"x": 2}',
            "acc_personal_own": [0.65, 0.75],
        },
    ]
    results = written(tmp_path, trials)
    verdict_tables(results)
    rows = results.sql(search.OPTIMISM)
    assert {row["chosen"] for row in rows} == {"b"}
    assert {row["stage"]: row["mean"] for row in rows} == pytest.approx(
        {"search": 0.8, "validation": 0.7, "test": 0.65}
    )


def test_the_floors_of_the_same_seeds_stand_beside_each_stage(whole: Results) -> None:
    rows = [row for row in whole.sql(search.OPTIMISM) if row["kind"] == "floor"]
    places = [(row["scenario"], row["label"], row["stage"]) for row in rows]
    assert len(places) == len(set(places)) == 2 * 2 * 3  # scenarios, floors, stages
    assert {(row["stage"], row["x"], row["seeds"]) for row in rows} == {
        ("search", 0, 3),
        ("validation", 1, 5),
        ("test", 2, 5),
    }


def test_best_so_far_counts_complete_trials_only(tmp_path: Path) -> None:
    states = [("COMPLETE", 0.5), ("PRUNED", 0.9), ("FAIL", None), ("FAIL", float("nan")), ("COMPLETE", 0.4)]
    states.append(("COMPLETE", 0.6))
    trials = [
        {**BASE, "state": s, "objective": v, "label": f"tpe {i}", "seeds": [1, 2], "factor": None}
        for i, (s, v) in enumerate(states)
    ]
    rows = written(tmp_path, trials).sql(search.QUERY)
    assert [row["best"] for row in rows] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.6] and rows[3]["objective"] is None


def test_a_trial_of_one_seed_has_no_bar_and_one_of_three_has_one(whole: Results) -> None:
    rows = [row for row in whole.sql(search.QUERY) if row["state"] == "COMPLETE"]
    assert all(row["low"] < row["objective"] < row["high"] for row in rows if row["seeds"] > 1)
    exhibit = search.exhibit_search(whole)
    assert exhibit.panels and "interval over seeds (bar; none with one seed)" in exhibit.caption


def recipe(
    folder: Path, failed: tuple[str, str, float] = ("", "", 0.0), objectives: dict[str, float] | None = None
) -> Results:
    """Two entries tuned over three rates under two scenarios; two seeds, one point apart.

    `objectives` has those that are not the mean over the seeds, by trial: `a even 0.05`.
    """
    folder.mkdir()
    scenarios = [{"label": "even"}, {"label": "domain"}]
    (folder / "run.json").write_text(
        json.dumps(
            {"kind": "sweep", "space": "r", "grid": ["b", "a"], "scenarios": scenarios, "confidence": 0.9}
        )
    )
    number = 0
    for (entry, scenario), means in MEANS.items():
        for level, mean in zip(LEVELS, means, strict=True):
            row: dict[str, Any] = {
                "finished": float(number),
                "trial": number,
                "study": f"r {entry} | {scenario}",
                "scenario": scenario,
                "method": "promptfl",
                "kind": "search",
                "label": f"training.lr={level}",
                "state": "FAIL" if (entry, scenario, level) == failed else "COMPLETE",
                "params": json.dumps({"training.lr": level}),
                "seeds": [0, 1],
                "objective": (objectives or {}).get(f"{entry} {scenario} {level}", mean),
                "acc_personal_own": [mean - 0.005, mean + 0.005],
                "acc_majority_own": [0.2, 0.2],
                "acc_zeroshot_own": [0.45, 0.45],
            }
            schema = pa.schema([pa.field(name, trial_type(name)) for name in row])
            write(folder / "tables" / "trials" / f"{number:03d}.parquet", [row], schema)
            number += 1
    results = open_results(folder)
    verdict_tables(results)
    return results


def test_the_best_level_is_that_of_the_search_where_a_lost_seed_counts_as_nothing(tmp_path: Path) -> None:
    rows = table_tuning(recipe(tmp_path / "r", objectives={"a even 0.05": 0.35}))
    assert [r["level"] for r in rows if r["best"] and (r["scenario"], r["entry"]) == ("even", "a")] == [0.12]


def test_the_best_level_of_each_entry_and_edges(tmp_path: Path) -> None:
    rows = table_tuning(recipe(tmp_path / "r"))
    assert [(r["scenario"], r["entry"]) for r in rows[::3]] == [
        ("even", "b"),
        ("even", "a"),
        ("domain", "b"),
        ("domain", "a"),
    ]
    assert {(r["scenario"], r["entry"]): r["level"] for r in rows if r["best"]} == {
        ("even", "b"): 0.12,
        ("even", "a"): 0.05,
        ("domain", "b"): 0.05,
        ("domain", "a"): 0.02,
    }
    assert {(r["scenario"], r["entry"]) for r in rows if r["edge"]} == {("even", "b"), ("domain", "a")}
    assert edges(rows).endswith("be better for them: b (at 0.12 under even) and a (at 0.02 under domain).")
    [best] = [r for r in rows if r["best"] and (r["scenario"], r["entry"]) == ("even", "a")]
    assert best["mean"] == pytest.approx(0.7) and best["low"] < 0.7 < best["high"]


def test_a_failed_level_is_not_drawn_but_was_tried(tmp_path: Path) -> None:
    results = recipe(tmp_path / "r", failed=("b", "even", 0.12))
    rows = table_tuning(results)
    assert [(r["entry"], r["level"], r["best"], r["edge"]) for r in rows[:2]] == [
        ("b", 0.02, False, False),
        ("b", 0.05, True, False),
    ]
    exhibit = exhibit_tuning(results)
    assert (
        exhibit is not None
        and "b (at" not in exhibit.caption
        and "1 trial not drawn: diverged, failed or stopped." in exhibit.caption
    )


def test_the_figure_has_a_panel_per_scenario_with_a_hollow_mark_at_the_best(tmp_path: Path) -> None:
    exhibit = exhibit_tuning(recipe(tmp_path / "r"))
    assert exhibit is not None and [panel.title for panel in exhibit.panels] == ["even", "domain"]
    lines = exhibit.panels[0].figure.axes[0].lines
    rings = [line for line in lines if line.get_markerfacecolor() == "white"]
    assert sorted(line.get_ydata()[0] for line in rings) == pytest.approx([0.6, 0.7])
    places = {(x, y) for line in lines if line not in rings for x, y in zip(*line.get_data(), strict=True)}
    assert {(line.get_xdata()[0], line.get_ydata()[0]) for line in rings} <= places  # around its own point


def test_floors_stand_in_the_figure_of_the_tuning(tmp_path: Path) -> None:
    exhibit = exhibit_tuning(recipe(tmp_path / "r"))
    assert exhibit is not None and "what no method should fall below" in exhibit.caption
    for panel in exhibit.panels:
        labels = {text.get_text() for legend in panel.figure.legends for text in legend.get_texts()}
        assert {"most frequent class", "zero-shot"} <= labels
        low, high = panel.figure.axes[0].get_ylim()
        assert low < 0.2 and high > 0.9  # floors and values are inside


def test_a_study_without_entries_has_no_tuning_figure(whole: Results) -> None:
    assert table_tuning(whole) == [] and exhibit_tuning(whole) is None
