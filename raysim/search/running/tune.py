"""Execution of a plan under Ray Tune: the searcher that asks the plan, and run.json."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, cast

from ray import tune
from ray.tune.search import Searcher

from raysim.core import plugins
from raysim.core.console import Panel
from raysim.core.words import plain
from raysim.engines import bundles, library, memory, places, ray_pool, ray_session
from raysim.experiment.records import to_dict
from raysim.experiment.resources import Resources
from raysim.search.constraints import violated
from raysim.search.plans.left_out import command_of_rest
from raysim.search.plans.protocol import Plan
from raysim.search.running.trainable import STOPPED, SweepTrial
from raysim.search.trial_spec import TrialSpec
from raysim.storage.files import write_record
from raysim.storage.report import Refresher, write_report
from raysim.storage.trials import (
    TrialOutcome,
    TrialRow,
    complete_row,
    part_name,
    superseded_folder,
    trials_folder,
    write_trial,
)

TRACKED_FIELDS = ("number", "study", "kind", "label", "factor", "level")  # of a trial, for trackers


class PlanSearcher(Searcher):
    """Searcher of Tune that takes trials from the plan and skips those whose rows are on disk."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        on_rung: Callable[[], None],
        on_end: Callable[[], None],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect a plan with a folder.

        Args:
            plan: The plan.
            folder: The result folder.
            on_rung: Called when a trial has reached an evaluation.
            on_end: Called when the row of a trial has been written.
            on_start: Called before a trial starts.
        """
        super().__init__(metric=None, mode=None)
        self.plan, self.folder = plan, folder
        self.on_rung, self.on_end, self.on_start = on_rung, on_end, on_start
        self.trials: dict[str, TrialSpec] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune stores its searcher, which draws on a terminal and belongs to this process.

        A sweep that is resumed starts from its own tables.
        """
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial that is not on disk yet."""
        left = self.plan.budget.left
        deadline = None if left is None else time.time() + left
        while True:
            spec = self.plan.next()
            if spec is None:
                return Searcher.FINISHED
            if not isinstance(spec, TrialSpec):
                return None
            if spec.key in self.plan.stored:
                self.plan.tell(spec, self.plan.stored[spec.key])
                continue
            self.trials[trial_id] = spec
            self.on_start()
            experiments = [to_dict(experiment) for experiment in spec.experiments]
            thresholds = {str(rung): value for rung, value in spec.thresholds.items()}
            tracked = {name: value for name in TRACKED_FIELDS if (value := getattr(spec, name)) is not None}
            return {
                "experiments": experiments,
                "thresholds": thresholds,
                "test": spec.opens_test,
                "limit_s": spec.limit_s,
                "deadline": deadline,
                "tracked": {**tracked, **spec.params},
                "folder": str(self.folder),
            }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report that a trial has reached an evaluation."""
        self.on_rung()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Write the row of the trial, then tell the plan."""
        spec = self.trials.pop(trial_id, None)
        if spec is None:
            return
        outcome: dict[str, Any] = {"curve": "[]", "wall_seconds": 0.0, "startup_seconds": 0.0, "rounds": 0}
        outcome |= json.loads(result["row"]) if result and "row" in result else {}
        if not error and outcome.get("state") == STOPPED:
            self.plan.put_back(spec)
            self.on_end()
            return
        if error or outcome.get("state") not in ("COMPLETE", "PRUNED", "FAIL"):
            outcome |= {
                "state": "FAIL",
                "reason": "the trial's process died, three times; --resume tries again",
                "outcomes": ["failed"] * len(spec.experiments),
                "objective": float("nan"),
            }
        row = row_of(spec, cast(TrialOutcome, outcome))
        row["violated"] = violated(row, self.plan.options.constraints)
        write_trial(self.folder, row)
        self.plan.tell(spec, row)
        move_rows(self.folder, {part_name(earlier) for earlier in self.plan.superseded})
        self.on_end()


class LostTrials(tune.Callback):
    """Says in one line what Tune logs with a traceback: that the process of a trial was lost."""

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that it starts again."""
        print(
            f"raysim: the process of trial '{plain(str(trial))}' was lost; it starts again and goes on from "
            "its last round",
            file=sys.stderr,
            flush=True,
        )


def row_of(spec: TrialSpec, outcome: TrialOutcome) -> TrialRow:
    """Return the row of a trial that ends now."""
    return complete_row(
        {
            "key": spec.key,
            "trial": spec.number,
            "number": spec.number,
            "study": spec.study,
            "scenario": spec.scenario,
            "method": spec.method,
            "kind": spec.kind,
            "label": spec.label,
            "factor": spec.factor,
            "level": spec.level,
            "factor2": spec.factor2,
            "level2": spec.level2,
            "point": spec.point,
            "unit": spec.unit,
            "space": spec.space,
            "tuning": spec.tuning,
            "params": json.dumps(dict(spec.params)),
            "experiment": json.dumps(to_dict(spec.experiments[0])),
            "runs": [experiment.id for experiment in spec.experiments],
            "seeds": [experiment.seed for experiment in spec.experiments],
            "finished": time.time(),
            **outcome,
        }
    )


def execute(
    plan: Plan,
    folder: Path,
    record: Mapping[str, Any],
    panel: Panel,
    refresh: bool = True,
    callbacks: Sequence[tune.Callback] = (),
) -> None:
    """Run a plan on Ray. The row of a trial and `run.json` are written as soon as the trial ends.

    Args:
        plan: The plan.
        folder: The result folder.
        record: What `run.json` says beside the progress.
        panel: Display while trials run.
        refresh: Whether the report is written while trials run.
        callbacks: Ray's trackers.

    Raises:
        KeyboardInterrupt: The user interrupted; everything finished is on disk.
    """
    resources, refresher = plan.resources, Refresher(folder)

    def progress() -> None:
        write_progress(folder, record, plan, "running")

    def on_end() -> None:
        progress()
        if refresh:
            refresher.touch()
            plan.budget.keep_for_report(refresher.page_seconds)

    progress()
    status = "failed"
    try:
        with panel:
            searcher = PlanSearcher(plan, folder.absolute(), panel.touch, on_end, progress)
            room = resources.model_copy(update={"workers": resources.workers * plan.options.slots})
            with ray_pool.session(room), library.spoken(panel.quiet):
                bundles.check_room(resources)
                scratch = ray_session.own_folder(ray_session.TUNE)
                _fit(searcher, resources, plan.options.slots, str(scratch), callbacks)
        status = "done"
        move_superseded_rows(folder, plan.finished)
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        ray_session.remove_own_folders(ray_session.TUNE)
        write_progress(folder, record, plan, status)
        refresher.close()
        if status != "done":  # the page must not say that the sweep still runs
            with contextlib.suppress(Exception):
                write_report(folder)


def write_progress(folder: Path, record: Mapping[str, Any], plan: Plan, status: str) -> None:
    """Write `run.json`: the record of the run, and its progress."""
    left = plan.left_out()
    if left is not None:
        left["command"] = command_of_rest(str(record.get("command", "raysim sweep")), folder, left["minutes"])
    progress = {
        "status": status,
        "seconds": plan.budget.elapsed,
        "planned": plan.planned(),
        "asked": plan.asked,
        "left_out": left,
        **plan.progress(),
    }
    write_record(folder, {**record, **progress})


def move_superseded_rows(folder: Path, rows: Sequence[TrialRow]) -> None:
    """Move rows that a finished plan did not use to `tables/superseded`.

    Such a row is, for example, the confirmation of a configuration that won before the sweep was extended.

    Args:
        folder: The result folder.
        rows: The rows that the plan used.
    """
    used = {part_name(row) for row in rows}
    move_rows(folder, {path.stem for path in trials_folder(folder).glob("*.parquet")} - used)


def move_rows(folder: Path, parts: Set[str]) -> None:
    """Move parts of the table of trials to `tables/superseded`, where they are still there."""
    superseded = superseded_folder(folder)
    for path in trials_folder(folder).glob("*.parquet"):
        if path.stem in parts:
            superseded.mkdir(exist_ok=True)
            path.replace(superseded / path.name)


def _fit(
    searcher: PlanSearcher,
    resources: Resources,
    slots: int,
    scratch: str,
    callbacks: Sequence[tune.Callback],
) -> None:
    """Run Tune until the searcher has no more trials."""
    os.environ |= {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # raysim writes its own tables
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C must raise KeyboardInterrupt in `execute`
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a relative RAYSIM_DATA means the same in every process
        "TUNE_MAX_PENDING_TRIALS_PG": str(slots),
    }
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # `LostTrials` and the table say it in a line
    factory = tune.PlacementGroupFactory([places.bundle_here(), *bundles.bundles_of(resources)])
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(SweepTrial, files=plugins.active()), factory),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=slots,
            reuse_actors=True,
            trial_name_creator=lambda trial: (
                f"{trial.config['tracked']['study']}: {trial.config['tracked']['label']}"
            ),
            trial_dirname_creator=lambda trial: f"{trial.config['tracked']['number']:06d}",
        ),
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=scratch,
            verbose=0,
            callbacks=[LostTrials(), *callbacks],
            failure_config=tune.FailureConfig(max_failures=2),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    with memory.told():
        tuner.fit()
