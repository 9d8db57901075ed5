"""Accuracy and mIoU by domain."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures.outcomes.classes import table_domains
from analysis.read.results import Results, open_results
from tests.fakes import results as fake_results
from tests.fakes.recipe import query
from tests.fakes.tables import write


def test_miou_by_domain_is_a_mean_over_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2)
    areas = [("a", "urban", 1, 2), ("b", "urban", 30, 40), ("c", "urban", 0, 0), ("a", "rural", 1, 4)]
    write(
        folder / "tables" / "classes" / "0.parquet",
        [
            {
                "run": "x",
                "round": 2,
                "split": "validation",
                "label": i,
                "class_name": name,
                "domain": 0,
                "domain_name": domain,
                "scope": "shared",
                "correct": float(i_),
                "total": float(u),
            }
            for i, (name, domain, i_, u) in enumerate(areas)
        ],
    )
    results = open_results(folder)
    assert [r[:2] for r in table_domains(results).rows] == [["urban", "73.8"], ["rural", "25.0"]]  # type: ignore[union-attr]
    results = Results(folder, {**results.meta, "metric": "mIoU"})
    table = table_domains(results)
    assert table and [r[:2] for r in table.rows] == [
        ["urban", "62.5"],
        ["rural", "25.0"],
    ]  # mean of 1/2 and 3/4
    assert {r["name"]: r["shared"] for r in query(table.source, folder, monkeypatch)} == {
        "urban": 62.5,
        "rural": 25.0,
    }
