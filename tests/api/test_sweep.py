"""`raysim.sweep` and what `raysim.load` makes of a sweep."""

from __future__ import annotations

import subprocess
import sys

import pytest

import raysim
from tests.sweep_commands import FinishedSweep


def test_a_sweep_as_tables(finished_sweep: FinishedSweep) -> None:
    sweep = raysim.load(finished_sweep.folder)
    assert sweep.finished and len(sweep.trials) and {"verdict", "estimate"} <= set(sweep.verdicts)
    with pytest.raises(raysim.UserError, match="should be one of"):
        sweep.best("nowhere")
    for scenario in sweep.trials["scenario"].unique():
        best = sweep.best(scenario)
        assert best["scenario"] == scenario and 0 < best["mean"] <= 1
        run = sweep.run(best["experiment"].id)
        assert len(run.rounds) and run.rounds["run"].isin(sweep.rounds["run"]).all()
    assert "<table>" in sweep._repr_html_() and "trials" in repr(sweep)


@pytest.mark.parametrize("first", ["import raysim", "import raysim.sweep", "from raysim import sweep"])
def test_the_function_stands_where_the_door_is(first: str) -> None:
    code = f"import raysim\n{first}\ntry: raysim.sweep('nowhere')\nexcept raysim.UserError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert "unknown space 'nowhere'" in done.stdout, done.stderr
