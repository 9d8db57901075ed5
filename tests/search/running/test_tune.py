"""What Tune is given, and parts of the results that a finished sweep did not use."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import cast

from raysim.search.plans.protocol import Plan
from raysim.search.plans.valid_rows import valid_rows
from raysim.search.running.tune import PlanSearcher, move_superseded_rows
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


def test_tune_can_store_the_searcher_of_a_terminal(tmp_path: Path) -> None:
    lock = threading.RLock()  # the display of a terminal holds one
    searcher = PlanSearcher(cast(Plan, None), tmp_path, lambda: None, lock.release)
    assert pickle.loads(pickle.dumps(searcher)).__dict__ == {}
