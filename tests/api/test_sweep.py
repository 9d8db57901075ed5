"""`raysim.sweep` and what `raysim.load` makes of a sweep."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import raysim
from raysim.api.sweeping import spaces_of
from tests.fakes.rasters import class_folders
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


def test_a_search_leaves_out_what_the_images_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"task.dataset": "folder", "task.path": str(class_folders(tmp_path)), "scenario.clients": 2}
    (space,) = spaces_of(["fedrsclip"], here)
    assert list(space.experiments()) == ["even", "dirichlet alpha=0.1"]
    said = capsys.readouterr().err
    assert "fedrsclip: the scenario domain per client is left out: scenario = 'domain' is not allowed" in said
    (safe,) = spaces_of(["safe"], {**here, "task.classes": None, "task.ses": None})
    assert len(safe.scenarios) == 1 and "safe: the scenario long tail IR=50" in capsys.readouterr().err
    assert len(spaces_of(["fedrsclip"], {})[0].scenarios) == 3  # the bundled scenes have domains
    (asked,) = spaces_of(["fedrsclip"], {**here, "scenario": "domain"})
    assert len(asked.scenarios) == 1  # refused later, as asked for
    assert len(spaces_of(["fedrsclip_domains"], here)[0].scenarios) == 2 and not capsys.readouterr().err


@pytest.mark.parametrize("first", ["import raysim", "import raysim.sweep", "from raysim import sweep"])
def test_the_function_stands_where_the_door_is(first: str) -> None:
    code = f"import raysim\n{first}\ntry: raysim.sweep('nowhere')\nexcept raysim.UserError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert "unknown space 'nowhere'" in done.stdout, done.stderr
