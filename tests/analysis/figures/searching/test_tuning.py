"""The tuning of a recipe's entries: what was tried, what was best, and whether that is an edge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.figures.searching import optimism
from analysis.figures.searching.tuning import edges, exhibit_tuning, table_tuning
from analysis.look.entries import entry_of
from analysis.read.results import Results, open_results
from tests.fakes.tables import trial_type, write

LEVELS = (0.02, 0.05, 0.12)
MEANS = {
    ("a", "even"): (0.6, 0.7, 0.65),
    ("b", "even"): (0.5, 0.55, 0.6),
    ("a", "domain"): (0.9, 0.8, 0.7),
    ("b", "domain"): (0.4, 0.5, 0.3),
}


def recipe(folder: Path, failed: tuple[str, str, float] = ("", "", 0.0)) -> Results:
    """Two entries tuned over three rates under two scenarios; two seeds, one point apart."""
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
                "acc_personal_own": [mean - 0.005, mean + 0.005],
            }
            schema = pa.schema([pa.field(name, trial_type(name)) for name in row])
            write(folder / "tables" / "trials" / f"{number:03d}.parquet", [row], schema)
            number += 1
    return open_results(folder)


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
    # t quantile 0.95 with 1 degree of freedom is 6.3138; the standard error of 0.695 and 0.705 is 0.005
    [best] = [r for r in rows if r["best"] and (r["scenario"], r["entry"]) == ("even", "a")]
    assert best["mean"] == pytest.approx(0.7) and best["high"] - best["mean"] == pytest.approx(
        6.313752 * 0.005, abs=1e-6
    )


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
        and "1 trial not drawn: failed or stopped." in exhibit.caption
    )


def test_the_figure_and_its_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = recipe(tmp_path / "r")
    exhibit = exhibit_tuning(results)
    assert exhibit is not None and [panel.title for panel in exhibit.panels] == ["even", "domain"]
    monkeypatch.chdir(results.folder)
    found = {(study, params): mean for study, _, params, mean, *_ in duckdb.sql(exhibit.source).fetchall()}
    for row in table_tuning(results):
        key = (f"r {row['entry']} | {row['scenario']}", json.dumps({"training.lr": row["level"]}))
        assert found[key] == pytest.approx(row["mean"])


def test_a_study_without_entries_has_no_tuning_figure(tmp_path: Path) -> None:
    results = Results(tmp_path, {"kind": "sweep"})
    results.__dict__["trials"] = [
        {"kind": "search", "state": "COMPLETE", "params": '{"method.lam": 0.1, "method.h": 4}'}
    ]
    assert table_tuning(results) == [] and exhibit_tuning(results) is None


def test_the_optimism_gap_names_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = recipe(tmp_path / "r")
    for number, ((entry, scenario), means) in enumerate(MEANS.items(), 100):
        best = means.index(max(means))
        row: dict[str, Any] = {
            "finished": float(number),
            "trial": number,
            "study": f"r {entry} | {scenario}",
            "scenario": scenario,
            "method": "promptfl",
            "kind": "confirm",
            "label": f"{entry} (tuned)",
            "state": "COMPLETE",
            "params": json.dumps({"training.lr": LEVELS[best]}),
            "seeds": [7, 8],
            "acc_personal_own": [means[best] - 0.01, means[best]],
            "test_acc_personal_own": [means[best] - 0.02, means[best]],
            "runs": ["x", "y"],
            "objective": means[best],
        }
        schema = pa.schema([pa.field(name, trial_type(name)) for name in row])
        write(results.folder / "tables" / "trials" / f"{number}.parquet", [row], schema)
    tried = results.folder / "tables" / "trials"
    for part in sorted(tried.glob("0*.parquet")):
        table = pq.read_table(part)
        pq.write_table(
            table.append_column("objective", [[sum(table["acc_personal_own"][0].as_py()) / 2]]), part
        )
    results = open_results(results.folder)
    found = optimism.exhibit_optimism(results)
    assert found.numbers is not None and "entry" in found.numbers.columns
    names = [(row[0], row[1], row[2]) for row in found.numbers.rows]
    assert (
        ("even", "b", "training.lr=0.12") in names
        and ("domain", "a", "training.lr=0.02") in names
        and len(names) == 4
    )
    assert "a under even \u22120.5 (" in found.caption and "b under domain \u22120.5 (" in found.caption
    monkeypatch.chdir(results.folder)
    sql = {row[:3]: row[3:] for row in duckdb.sql(found.source).fetchall()}
    assert set(sql) == set(names) and sql["even", "b", "training.lr=0.12"][0] == pytest.approx(0.6)


def test_an_entry_is_what_stands_between_space_and_scenario(tmp_path: Path) -> None:
    assert (
        entry_of(
            Results(tmp_path, {"space": "r"}), "r none, 8 tokens | domain per client", "domain per client"
        )
        == "none, 8 tokens"
    )
