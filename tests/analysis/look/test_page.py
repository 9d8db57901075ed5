"""The notice on top of a page."""

from __future__ import annotations

import shutil
from pathlib import Path

from analysis.look.page import notice
from analysis.read.results import open_results
from tests.fakes.results import fake_sweep


def test_complete_trials_without_their_rounds_are_named(tmp_path: Path) -> None:
    folder = fake_sweep(tmp_path, search=2)
    assert notice(open_results(folder)) == ""
    shutil.rmtree(folder / "tables/rounds")
    said = notice(open_results(folder))
    assert said.startswith("Complete by their rows, but the rounds of their runs are not in this folder")
    assert "trial 0 (anchor)" in said and " others" in said
