"""Tune's trial process: the driver of the runs of a trial."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from raysim.core import plugins
from raysim.core.errors import DamagedFile, Diverged, OutOfTime, UserError, first_cause
from raysim.core.plugins import PluginFile
from raysim.engines import ray_pool
from raysim.experiment.records import from_dict
from raysim.search.running.trial import SeedGroup, Stopped

STOPPED = "STOPPED"  # state of a trial that the end of the time has interrupted; it has no row
EXPECTED_FAILURES: dict[type[BaseException], str] = {
    Diverged: "diverged",
    DamagedFile: "damaged file",  # before its base class: once the file is whole, a resume runs the trial
    UserError: "not possible",
    OutOfTime: "out of time",
}


class SweepTrial(tune.Trainable):
    """Tune's trial process: the driver of its runs. It keeps its client actors from trial to trial."""

    def setup(self, config: dict[str, Any], files: Sequence[PluginFile] = ()) -> None:
        """Load the plug-ins, and start the client actors in the trial's own placement group."""
        plugins.install(files)
        torch.set_num_threads(1)
        first = from_dict(config["experiments"][0])
        self.pool = ray_pool.RayPool(first.resources, ray.util.get_current_placement_group()).start()
        self.reset_config(config)
        self.is_first = True

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial without starting new processes."""
        self.spec, self.start, self.is_first = new_config, time.perf_counter(), False
        self.seed_group: SeedGroup | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Advance all seeds to the next evaluation. A failure is a result of this trial, with its reason."""
        state, round_, is_measured = "FAIL", 0, False
        failure: BaseException | None = None
        try:
            if self.seed_group is None:
                self.seed_group = self._open_seed_group()
            state, round_ = self.seed_group.advance()
            failure = self.seed_group.failure if state == "FAIL" else None
            is_measured = state != "RUNNING"
        except Stopped:
            state = STOPPED
        except Exception as error:
            failure = first_cause(error)
        columns: dict[str, Any] = {
            "state": state,
            "reason": "" if failure is None else failure_reason(failure),
            "outcomes": ["failed"] * len(self.spec["experiments"]),
            "rounds": round_,
            "objective": float("nan"),
        }
        if self.seed_group is not None:
            columns |= self.seed_group.curve_columns()
            if is_measured:
                columns |= self.seed_group.measure_columns(state)
                self.seed_group.drop_networks()
            if state != "RUNNING":
                columns["outcomes"] = self.seed_group.outcomes(state)
                self.seed_group.close()
            columns["startup_seconds"] = self.seed_group.startup_seconds if self.is_first else 0.0
        columns["wall_seconds"] = time.perf_counter() - self.start
        return {
            "row": json.dumps(columns),
            "objective": columns["objective"],
            "timesteps_total": round_,
            "done": state != "RUNNING",
        }

    def _open_seed_group(self) -> SeedGroup:
        """Open the runs of the trial, one per seed."""
        return SeedGroup(
            [from_dict(values) for values in self.spec["experiments"]],
            Path(self.spec["folder"]),
            self.pool,
            {int(rung): value for rung, value in self.spec["thresholds"].items()},
            self.spec["test"],
            self.spec["limit_s"],
            self.spec["deadline"],
        )

    def cleanup(self) -> None:
        """End the client actors."""
        if self.seed_group is not None:
            self.seed_group.close()
        self.pool.close()


def failure_reason(cause: BaseException) -> str:
    """Return the reason of a failed trial: the kind of failure, then its message."""
    names = [name for kind, name in EXPECTED_FAILURES.items() if isinstance(cause, kind)]
    return f"{names[0] if names else type(cause).__name__}: {cause}"[:2000]
