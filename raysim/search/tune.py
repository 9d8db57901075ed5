"""Ray Tune around a trial."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.search import Searcher

from raysim.core.console import Panel
from raysim.core.errors import Diverged, OutOfTime, UserError, first_cause
from raysim.core.types import Row
from raysim.engines import ray_pool
from raysim.experiment.records import from_dict, to_dict
from raysim.search.spec import Spec
from raysim.search.trial import SeedGroup
from raysim.storage.files import write_json
from raysim.storage.report import Refresher, write_report
from raysim.storage.trials import write_trial

SHOWN = ("number", "study", "kind", "label", "factor", "level")  # of a trial, to trackers


class SweepTrial(tune.Trainable):
    """Tune's trial process: the driver of its runs. It and its client actors stay warm from trial to trial."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start the client actors in the trial's own placement group."""
        torch.set_num_threads(1)
        first = from_dict(config["experiments"][0])
        self.pool = ray_pool.RayPool(first.resources, ray.util.get_current_placement_group())
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another trial, the same processes."""
        self.spec, self.begun = new_config, time.perf_counter()
        self.group: SeedGroup | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Advance all seeds to the next evaluation; a failed client is an outcome of this trial, with its reason."""
        state, reason, round_ = "FAIL", "", 0
        try:
            if self.group is None:
                experiments = [from_dict(values) for values in self.spec["experiments"]]
                thresholds = {int(rung): value for rung, value in self.spec["thresholds"].items()}
                self.group = SeedGroup(
                    experiments,
                    Path(self.spec["folder"]),
                    self.pool,
                    thresholds,
                    self.spec["test"],
                    self.spec["limit_s"],
                )
            state, round_ = self.group.advance()
        except Exception as error:
            cause = first_cause(error)
            known = {Diverged: "diverged", UserError: "not possible", OutOfTime: "out of time"}
            kind = next(
                (words for what, words in known.items() if isinstance(cause, what)), type(cause).__name__
            )
            reason = f"{kind}: {cause}"[:2000]
        row: Row = {"state": state, "reason": reason, "rounds": round_, "objective": float("nan")}
        if self.group is not None and self.group.curve:
            row |= {"objective": self.group.curve[-1][1], "curve": json.dumps(self.group.curve)}
            if state in ("COMPLETE", "PRUNED"):
                row |= self.group.numbers(state)
                self.group.drop_networks()
        if self.group is not None and state != "RUNNING":
            self.group.close()
        row["wall_seconds"] = time.perf_counter() - self.begun
        return {
            "row": json.dumps(row),
            "objective": row["objective"],
            "timesteps_total": round_,
            "done": state != "RUNNING",
        }

    def cleanup(self) -> None:
        """End the client actors."""
        if self.group is not None:
            self.group.close()
        self.pool.close()


class PlanSearcher(Searcher):
    """Tune's view of the plan: rows that are already on disk are told, not run again; every ended trial is written at once."""

    def __init__(
        self, plan: Any, folder: Path, changed: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        super().__init__(metric=None, mode=None)
        self.plan, self.folder, self.changed, self.ended = plan, folder, changed, ended
        self.trials: dict[str, Spec] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial that is not on disk yet."""
        while True:
            spec = self.plan.next()
            if spec is None:
                return Searcher.FINISHED
            if not isinstance(spec, Spec):
                return None
            if spec.key in self.plan.stored:
                self.plan.tell(spec, self.plan.stored[spec.key])
                continue
            self.trials[trial_id] = spec
            experiments = [to_dict(experiment) for experiment in spec.experiments]
            thresholds = {str(rung): value for rung, value in spec.thresholds.items()}
            shown = {name: value for name in SHOWN if (value := getattr(spec, name)) is not None} | dict(
                spec.params
            )
            return {
                "experiments": experiments,
                "thresholds": thresholds,
                "test": spec.test,
                "limit_s": spec.limit_s,
                "shown": shown,
                "folder": str(self.folder),
            }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A rung was reached."""
        self.changed()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Write the trial's row, then tell the plan."""
        spec = self.trials.pop(trial_id, None)
        if spec is None:
            return
        ended = json.loads(result["row"]) if result and "row" in result else {}
        if error or ended.get("state") not in ("COMPLETE", "PRUNED", "FAIL"):
            ended |= {
                "state": "FAIL",
                "reason": "the trial's process died; see the log",
                "objective": float("nan"),
            }
        row = {
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
            "params": json.dumps(dict(spec.params)),
            "experiment": json.dumps(to_dict(spec.experiments[0])),
            "runs": [experiment.id for experiment in spec.experiments],
            "seeds": [experiment.seed for experiment in spec.experiments],
            "curve": "[]",
            "wall_seconds": 0.0,
            "rounds": 0,
            "finished": time.time(),
            **ended,
        }
        write_trial(self.folder, row)
        self.plan.tell(spec, row)
        self.ended()


def execute(
    plan: Any,
    folder: Path,
    described: Mapping[str, Any],
    shown: Panel,
    refresh: bool = True,
    callbacks: Sequence[tune.Callback] = (),
) -> None:
    """Run what a plan hands out, on Ray; every ended trial and `run.json` are on disk at once.

    Args:
        plan: `raysim.search.plan.plan.Plan`, or another with its `next`, `tell`, `planned`, `resources`,
            `options`, `stored` and `elapsed`.
        folder: Where results go.
        described: What `run.json` says beside its progress.
        shown: What people see meanwhile.
        refresh: Whether the report is written along the way.
        callbacks: Trackers of Ray's own.

    Raises:
        KeyboardInterrupt: everything finished is on disk.
    """
    resources = plan.resources

    def note(status: str) -> None:
        progress = {
            "status": status,
            "seconds": plan.elapsed,
            "planned": plan.planned(),
            "dropped_contrasts": plan.dropped,
        }
        write_json(folder / "run.json", {**described, **progress, "asked": plan.asked})

    refresher = Refresher(folder)

    def ended() -> None:
        note("running")
        if refresh:
            refresher.touch()

    note("running")
    status = "failed"
    scratch = tempfile.mkdtemp(prefix="raysim-tune-")
    try:
        with shown:
            searcher = PlanSearcher(plan, folder.absolute(), shown.touch, ended)
            ray_pool.start(resources.model_copy(update={"workers": resources.workers * plan.options.slots}))
            _fit(searcher, resources, plan.options.slots, scratch, callbacks)
        status = "done"
        _put_aside(folder, plan)
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        ray_pool.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        note(status)
        refresher.close()
        if status != "done":
            with contextlib.suppress(
                Exception
            ):  # the page says what is there, and no longer that the sweep runs
                write_report(folder)


def _put_aside(folder: Path, plan: Any) -> None:
    """Rows that the finished plan has no use for (a winner before an extension) go to `tables/superseded`: kept, and in no table."""
    used = {f"{int(row['trial']):06d}-{row['key']}" for row in plan.finished}
    for path in (folder / "tables" / "trials").glob("*.parquet"):
        if path.stem not in used:
            (folder / "tables" / "superseded").mkdir(exist_ok=True)
            path.replace(folder / "tables" / "superseded" / path.name)


def _fit(
    searcher: PlanSearcher, resources: Any, slots: int, scratch: str, callbacks: Sequence[tune.Callback]
) -> None:
    os.environ |= {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "RAY_AIR_NEW_OUTPUT": "0",
        "TUNE_MAX_PENDING_TRIALS_PG": str(slots),
    }
    bundles = tune.PlacementGroupFactory([{}, *ray_pool.bundles_of(resources)])
    tuner = tune.Tuner(
        tune.with_resources(SweepTrial, bundles),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=slots,
            reuse_actors=True,
            trial_name_creator=lambda trial: (
                f"{trial.config['shown']['study']}: {trial.config['shown']['label']}"
            ),
            trial_dirname_creator=lambda trial: f"{trial.config['shown']['number']:06d}",
        ),
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=scratch,
            verbose=0,
            callbacks=list(callbacks),
            failure_config=tune.FailureConfig(max_failures=2),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
