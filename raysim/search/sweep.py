"""Sweep: search of spaces over their scenarios, a recipe, or a sensitivity design, in a result folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysim.core.config import digest
from raysim.core.console import bar
from raysim.core.errors import UserError
from raysim.data.contents import refuse_other_images
from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment, check_travels, identity_values, to_dict
from raysim.experiment.task import Task
from raysim.search.options import SweepOptions
from raysim.search.overview import panel, plan_record, status_line
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.plans.valid_rows import valid_rows
from raysim.search.running.plan_run import PlanSetup, run_plan
from raysim.search.seeds import drawn_seeds
from raysim.search.spaces.record import Space, level_overrides
from raysim.simulation import images
from raysim.simulation.federation import Federation
from raysim.simulation.worker import try_method
from raysim.storage.files import read_record
from raysim.storage.trials import TrialRow, superseded_numbers

IDENTITY = (
    "spaces, scenarios, overrides, --seeds, --search, --objectives, --constraint, --race, --no-contrasts, "
    "--design and --budget"
)


def sweep(
    spaces: Sequence[Space],
    options: SweepOptions,
    folder: Path,
    *,
    resume: bool,
    quiet: bool,
    command: str,
    started: float,
    track: Sequence[str] = (),
) -> SweepPlan:
    """Run a sweep to its end and leave its folder complete, but for the last report.

    Args:
        spaces: The spaces, or one recipe.
        options: How large the sweep is.
        folder: The result folder.
        resume: Whether to go on with the sweep that the folder holds.
        quiet: Whether to show no progress.
        command: The command line.
        started: `time.monotonic()` at the start of the command; the time limit counts from there.
        track: Names of Ray's trackers that write too.

    Raises:
        UserError: Before Ray starts, for anything that a user can correct.
        KeyboardInterrupt: The user interrupted; everything finished is on disk.
    """

    def make_plan(record: Mapping[str, Any], rows: list[TrialRow]) -> SweepPlan:
        refuse_other_images(f"--out {folder}", record.get("datasets", []), images.contents_of(_tasks(spaces)))
        extended = extended_options(folder, record, options, resume)
        stored = {row["key"]: row for row in valid_rows(rows, extended.extended)}
        return SweepPlan(spaces, extended, stored, record.get("learned"), superseded_numbers(folder))

    def facts(plan: SweepPlan) -> dict[str, Any]:
        scenarios = prepare(spaces, quiet)
        datasets = images.contents_of(_tasks(spaces))
        return {
            "scenarios": scenarios,
            "datasets": datasets,
            **plan_record(plan),
            **_seeds_record(spaces[0], options),
        }

    setup = PlanSetup(
        new_record=_new_record(spaces, options),
        identity=IDENTITY,
        make_plan=make_plan,
        prepare=facts,
        panel=panel,
        status_line=status_line,
        # writing a page would slow the trials that a cost figure times
        refreshes_report=not any(figure["kind"] == "cost" for figure in spaces[0].figures),
    )
    resume_or_extend = resume or options.extend > 0
    return run_plan(
        setup,
        folder,
        resume=resume_or_extend,
        quiet=quiet,
        command=command,
        started=started,
        track=track,
    )


def prepare(spaces: Sequence[Space], quiet: bool) -> list[dict[str, Any]]:
    """Check every scenario, compute every feature before Ray starts, and return the scenarios as plain data.

    Raises:
        UserError: Something would fail in every trial: data or weights are missing, or a scenario is not
            possible.
    """
    scenarios = {
        name: {
            "values": to_dict(experiment)["scenario"],
            "heterogeneity": Federation.of(experiment).heterogeneity(),
        }
        for space in spaces
        for name, experiment in space.experiments().items()
    }
    variants = {(variant.task, variant.method): variant for variant in _variants(spaces)}
    with bar("images and features", quiet) as progress:
        images.prepare(variants.values(), progress)
    for variant in variants.values():
        check_travels(variant)
        try_method(variant)
    return [{"label": label, **values} for label, values in scenarios.items()]


def _variants(spaces: Sequence[Space]) -> Iterator[Experiment]:
    """Yield the experiments of all spaces that may need other images, features or methods."""
    for space in spaces:
        configurations: list[Mapping[str, Any]] = [{}, *space.rivals.values(), *space.grid.values()]
        configurations += [
            level_overrides(factor, level) for factor, levels in space.contrasts.items() for level in levels
        ]
        for experiment in space.experiments().values():
            yield from (override(experiment, overrides) for overrides in configurations)


def _tasks(spaces: Sequence[Space]) -> list[Task]:
    """Return the tasks of all experiments of these spaces."""
    return [variant.task for variant in _variants(spaces)]


def original_limits(folder: Path, options: SweepOptions, has_minutes: bool) -> SweepOptions:
    """Return the options with the limits that the sweep in a folder was started with.

    Args:
        folder: The result folder.
        options: The options.
        has_minutes: Whether the user has given the minutes: then they are the time of the sweep in all.
    """
    record = read_record(folder)
    names = ("trials",) if has_minutes else ("trials", "minutes")
    return options.replace(**{name: record[name] for name in names if name in record})


def extended_options(
    folder: Path, record: Mapping[str, Any], options: SweepOptions, resume: bool
) -> SweepOptions:
    """Return the options with what earlier extensions of the sweep and this one add.

    An extension that was interrupted and is resumed adds no more.

    Raises:
        UserError: There is no finished search to extend.
    """
    extended = {name: tuple(counts) for name, counts in record.get("extended", {}).items()}
    if resume and extended and record["status"] != "done":
        options = options.replace(extend=0)
    if options.extend:
        if options.design or not record.get("asked"):
            raise UserError(
                f"--extend {options.extend}: {folder} holds no finished search; only a search can be extended"
            )
        if record["status"] != "done":
            raise UserError(
                f"--extend {options.extend}: the sweep in {folder} is {record['status']}; finish it "
                "with --resume first"
            )
        extended = {
            name: (*extended.get(name, ()), asked, asked + options.extend)
            for name, asked in record["asked"].items()
        }
    if not extended:
        return options
    minutes = None if options.extend else options.minutes  # an extension has a number of trials as its limit
    return options.replace(trials=record.get("trials"), minutes=minutes, extended=extended)


def _new_record(spaces: Sequence[Space], options: SweepOptions) -> dict[str, Any]:
    """Return what `run.json` of a new sweep holds; its id is a digest of all that decides what is run."""
    names = [space.name for space in spaces]
    identity = {
        "spaces": [
            [space.name, identity_values(experiment)]
            for space in spaces
            for experiment in space.experiments().values()
        ],
        "seeds": options.seeds,
        "search": [
            options.sampler,
            options.objectives,
            options.design,
            options.budget,
            options.contrasts,
            options.race_seeds,
            # behind the others, so that sweeps without constraints keep their ids
            *([[str(constraint) for constraint in options.constraints]] if options.constraints else []),
        ],
    }
    return {
        "id": digest(identity),
        "kind": "sweep",
        "space": names[0],
        "spaces": names,
        "title": spaces[0].title,
    }


def _seeds_record(space: Space, options: SweepOptions) -> dict[str, Any]:
    """Return the seeds of the sweep for `run.json`; a recipe may be tuned on fewer seeds."""
    seeds = drawn_seeds(space.base.seed, "selection", options.seeds)
    return {
        "selection_seeds": list(seeds[: space.tune_seeds] if space.tune else seeds),
        "fresh_seeds": list(drawn_seeds(space.base.seed, "confirmation", options.seeds)),
    }
