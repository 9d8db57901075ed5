"""Parts of the results that a finished sweep did not use."""

from __future__ import annotations

from pathlib import Path

from raysim.search.plans.valid_rows import valid_rows
from raysim.search.running.tune import move_superseded_rows
from raysim.storage.trials import latest_rows, part_name
from tests.fakes.sweeps import TEMPORARY, ended_row


def test_of_a_trial_that_was_run_again_the_later_row_counts(tmp_path: Path) -> None:
    failed, again = (
        ended_row("search", "tpe 1", 1, TEMPORARY, trial=24),
        ended_row("search", "tpe 1", 5, trial=20),
    )
    chosen = ended_row("search", "tpe 4", 9)
    assert valid_rows(latest_rows([again, failed, chosen])) == [chosen, again]
    trials = tmp_path / "tables" / "trials"
    trials.mkdir(parents=True)
    for row in (failed, again):
        (trials / f"{part_name(row)}.parquet").touch()
    move_superseded_rows(tmp_path, [again])
    assert [path.name[:6] for path in trials.iterdir()] == ["000020"]
    assert [path.name[:6] for path in (tmp_path / "tables/superseded").iterdir()] == ["000024"]
