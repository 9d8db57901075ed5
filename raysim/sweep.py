"""A sweep: Ray Tune runs the trials of a plan, each a federation on warm client actors; results are files.

`python -m raysim.sweep` alone is a good first run. Tune's and Optuna's own state is disposable: the truth is one Parquet row per
finished trial and one folder per run, so a sweep killed at any moment goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import ray
import torch
from ray import tune
from ray.tune.search import Searcher

from raysim import federation, ray_pool
from raysim.config import UserError, digest, first_cause
from raysim.console import Panel, bar
from raysim.experiment import Experiment, from_dict, override, to_dict
from raysim.federation import Federation
from raysim.overview import declared, line, panel
from raysim.provenance import provenance
from raysim.reports import Refresher, write_report
from raysim.search import Plan
from raysim.simulate import MEASURED, TRAFFIC
from raysim.spaces import Space, changes_of
from raysim.spec import Options, Row, Spec, standing
from raysim.store import hold, taken_up, write_json, write_table
from raysim.study import FRESH
from raysim.trial import OutOfTime, SeedGroup
from raysim.worker import Diverged, try_method

CONFIDENCE = 0.9
SHOWN = ("number", "study", "kind", "label", "factor", "level")  # of a trial, to trackers
LISTS = (*MEASURED, *(f"test_{name}" for name in MEASURED))
TRIAL_COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(("key", "study", "method", "scenario", "kind", "label", "state", "reason", "space"), pa.string()),
    **dict.fromkeys(("factor", "level", "factor2", "level2", "params", "experiment", "curve"), pa.string()),
    "point": pa.int32(), "unit": pa.list_(pa.float64()), "finished": pa.float64(),
    "trial": pa.int32(), "number": pa.int32(), "rounds": pa.int32(), "patches": pa.int32(),
    "runs": pa.list_(pa.string()), "seeds": pa.list_(pa.int64()),
    "objective": pa.float64(), **dict.fromkeys(LISTS, pa.list_(pa.float64())),
    **dict.fromkeys(TRAFFIC, pa.int64()), "bytes_setup": pa.int64(), "shared_parameters": pa.int64(),
    **dict.fromkeys(("flops", "seconds", "wall_seconds"), pa.float64()),
}  # fmt: skip


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
                    experiments, Path(self.spec["folder"]), self.pool, thresholds, self.spec["test"], self.spec["limit_s"]
                )
            state, round_ = self.group.advance()
        except Exception as error:
            cause = first_cause(error)
            known = {Diverged: "diverged", UserError: "not possible", OutOfTime: "out of time"}
            kind = next((words for what, words in known.items() if isinstance(cause, what)), type(cause).__name__)
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
        return {"row": json.dumps(row), "objective": row["objective"], "timesteps_total": round_, "done": state != "RUNNING"}

    def cleanup(self) -> None:
        """End the client actors."""
        if self.group is not None:
            self.group.close()
        self.pool.close()


class PlanSearcher(Searcher):
    """Tune's view of the plan: rows that are already on disk are told, not run again; every ended trial is written at once."""

    def __init__(self, plan: Any, folder: Path, changed: Callable[[], None], ended: Callable[[], None]) -> None:
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
            shown = {name: value for name in SHOWN if (value := getattr(spec, name)) is not None} | dict(spec.params)
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

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Write the trial's row, then tell the plan."""
        spec = self.trials.pop(trial_id, None)
        if spec is None:
            return
        ended = json.loads(result["row"]) if result and "row" in result else {}
        if error or ended.get("state") not in ("COMPLETE", "PRUNED", "FAIL"):
            ended |= {"state": "FAIL", "reason": "the trial's process died; see the log", "objective": float("nan")}
        row = {
            "key": spec.key, "trial": spec.number, "number": spec.number, "study": spec.study,
            "scenario": spec.scenario, "method": spec.method,
            "kind": spec.kind, "label": spec.label, "factor": spec.factor, "level": spec.level, "factor2": spec.factor2,
            "level2": spec.level2, "point": spec.point, "unit": spec.unit, "space": spec.space, "params": json.dumps(dict(spec.params)),
            "experiment": json.dumps(to_dict(spec.experiments[0])), "runs": [experiment.id for experiment in spec.experiments],
            "seeds": [experiment.seed for experiment in spec.experiments], "curve": "[]", "wall_seconds": 0.0, "rounds": 0,
            "finished": time.time(), **ended,
        }  # fmt: skip
        write_trial(self.folder, row)
        self.plan.tell(spec, row)
        self.ended()


def write_trial(folder: Path, row: Row) -> None:
    """One Parquet part per trial."""
    table = pa.table({name: pa.array([row.get(name)], kind) for name, kind in TRIAL_COLUMNS.items()})
    write_table(folder / "tables" / "trials" / f"{row['trial']:06d}-{row['key']}.parquet", table)


def read_trials(folder: Path) -> list[Row]:
    """All finished trials, in their order."""
    path = folder / "tables" / "trials"
    if not path.exists() or not any(path.glob("*.parquet")):
        return []
    return sorted(ds.dataset(path, format="parquet").to_table().to_pylist(), key=lambda row: int(row["trial"]))


def prepare(spaces: Sequence[Space], quiet: bool) -> list[dict[str, Any]]:
    """Check every scenario and compute every feature before Ray starts; the scenarios as data.

    Raises:
        UserError: whatever would fail in every trial: missing data or weights, a scenario that cannot be met.
    """
    scenarios: dict[str, dict[str, Any]] = {}
    variants: dict[tuple[Any, Any], Experiment] = {}
    for space in spaces:
        compared: list[Mapping[str, Any]] = [{}, *space.rivals.values(), *space.grid.values()]
        compared += [changes_of(factor, level) for factor, levels in space.contrasts.items() for level in levels]
        for name, experiment in space.experiments().items():
            scenarios[name] = {
                "values": to_dict(experiment)["scenario"],
                "heterogeneity": Federation.of(experiment).heterogeneity(),
            }
            made = [override(experiment, changes) for changes in compared]
            variants |= {(variant.task, variant.method): variant for variant in made}
    with bar("images and features", quiet) as progress:
        federation.prepare(variants.values(), progress)
    for variant in variants.values():
        try_method(variant)
    return [{"label": label, **values} for label, values in scenarios.items()]


def sweep(
    spaces: Sequence[Space], options: Options, folder: Path, resume: bool, quiet: bool, command: str, track: Sequence[str] = ()
) -> Plan:
    """Run a sweep to its end and leave its folder complete; `track` names what Ray's loggers write for besides.

    Raises:
        UserError: before Ray starts, for anything that a user can mend.
        KeyboardInterrupt: everything finished is on disk.
    """
    callbacks = ray_pool.trackers(track, folder)
    lock = hold(folder)
    try:
        described = _open(folder, spaces, options, resume or options.extend > 0)
        options = _extended(folder, described, options, resume)
        plan = Plan(list(spaces), options, {row["key"]: row for row in standing(read_trials(folder), options.extended)})
        described |= {"scenarios": prepare(spaces, quiet)}
        plan.continue_from(float(described.get("seconds", 0.0)))
        described |= declared(plan) | provenance(command) | {"status": "running", "command": command, "slots": options.slots}
        described |= {
            "trials": options.trials,
            "minutes": options.minutes,
            "extended": {name: list(ends) for name, ends in options.extended.items()},
        }
        described.setdefault("started", time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        seeds = [spaces[0].base.seed + index for index in range(options.seeds)]
        selection = seeds[: spaces[0].tune_seeds] if spaces[0].tune else seeds
        described |= {"confidence": CONFIDENCE, "selection_seeds": selection, "fresh_seeds": [seed + FRESH for seed in seeds]}
        timed = any(figure["kind"] == "cost" for figure in described["figures"])  # a page being written would be timed too
        execute(plan, folder, described, Panel(lambda: panel(plan), lambda: line(plan), quiet), not timed, callbacks)
        return plan
    finally:
        lock.release()


def _open(folder: Path, spaces: Sequence[Space], options: Options, resume: bool) -> dict[str, Any]:
    """The folder's run.json, or the beginnings of one."""
    design = {
        "spaces": [[space.name, to_dict(experiment)] for space in spaces for experiment in space.experiments().values()],
        "seeds": options.seeds,
        "search": [options.sampler, options.objectives, options.design, options.budget, options.contrasts, options.race.seeds],
    }
    names = [space.name for space in spaces]
    begun = {"id": digest(design), "kind": "sweep", "space": names[0], "spaces": names, "title": spaces[0].title}
    differs = "another space, scenario or override, or other --seeds, --search, --objectives, --race, --no-contrasts, --design or --budget"
    return taken_up(folder, begun, differs, resume)


def as_started(folder: Path, options: Options) -> Options:
    """The options with the trials and minutes that the sweep in `folder` was started with."""
    path = folder / "run.json"
    described = json.loads(path.read_text()) if path.exists() else {}
    return replace(options, **{name: described[name] for name in ("trials", "minutes") if name in described})


def _extended(folder: Path, described: Mapping[str, Any], options: Options, resume: bool) -> Options:
    """The options with what earlier extensions of the sweep, and this one, add; one that was interrupted and is resumed adds no more.

    Raises:
        UserError: there is nothing finished to extend.
    """
    ends = {name: tuple(counts) for name, counts in described.get("extended", {}).items()}
    if resume and ends and described["status"] != "done":
        options = replace(options, extend=0)
    if options.extend:
        if options.design or not described.get("asked"):
            raise UserError(f"--extend {options.extend}: {folder} holds no finished search; only a search can be extended")
        if described["status"] != "done":
            raise UserError(f"--extend {options.extend}: the sweep in {folder} is {described['status']}; finish it with --resume first")
        ends = {name: (*ends.get(name, ()), asked, asked + options.extend) for name, asked in described["asked"].items()}
    return replace(options, trials=described.get("trials"), minutes=None, extended=ends) if ends else options


def execute(
    plan: Any, folder: Path, described: Mapping[str, Any], shown: Panel, refresh: bool = True, callbacks: Sequence[tune.Callback] = ()
) -> None:
    """Run what a plan hands out, on Ray; every ended trial and `run.json` are on disk at once.

    Args:
        plan: `raysim.search.Plan`, or another with its `next`, `tell`, `planned`, `resources`, `options`, `stored` and `elapsed`.
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
        progress = {"status": status, "seconds": plan.elapsed, "planned": plan.planned(), "dropped_contrasts": plan.dropped}
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
            with contextlib.suppress(Exception):  # the page says what is there, and no longer that the sweep runs
                write_report(folder)


def _put_aside(folder: Path, plan: Any) -> None:
    """Rows that the finished plan has no use for (a winner before an extension) go to `tables/superseded`: kept, and in no table."""
    used = {f"{int(row['trial']):06d}-{row['key']}" for row in plan.finished}
    for path in (folder / "tables" / "trials").glob("*.parquet"):
        if path.stem not in used:
            (folder / "tables" / "superseded").mkdir(exist_ok=True)
            path.replace(folder / "tables" / "superseded" / path.name)


def _fit(searcher: PlanSearcher, resources: Any, slots: int, scratch: str, callbacks: Sequence[tune.Callback]) -> None:
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
            trial_name_creator=lambda trial: f"{trial.config['shown']['study']}: {trial.config['shown']['label']}",
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


if __name__ == "__main__":
    import sys

    from raysim.cli import main

    sys.exit(main(["sweep", *sys.argv[1:]]))
