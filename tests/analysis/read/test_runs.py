"""The view `runs`: run.json of each run, as raysim writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.read.results import open_results
from tests.fakes import results as fake_results


@pytest.mark.parametrize("watched", [{}, {"semantic_drift": "the prompts drift apart"}])
def test_what_a_run_watches_is_an_object_also_an_empty_one(watched: dict[str, str], tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2)
    meta = json.loads((folder / "run.json").read_text()) | {"signatures_watched": watched}
    (folder / "run.json").write_text(json.dumps(meta))
    (row,) = open_results(folder).sql("SELECT signatures_watched FROM runs")
    assert json.loads(row["signatures_watched"]) == watched
