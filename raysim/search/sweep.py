"""Sweep."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysim.core.config import digest
from raysim.core.console import Panel, bar
from raysim.core.errors import UserError
from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment, to_dict
from raysim.search import trackers
from raysim.search.overview import declared, line, panel
from raysim.search.plan import Plan
from raysim.search.spaces import Space, changes_of
from raysim.search.spec import Options
from raysim.search.standing import standing
from raysim.search.study import FRESH
from raysim.search.tune import execute
from raysim.simulation import images
from raysim.simulation.federation import Federation
from raysim.simulation.worker import try_method
from raysim.storage.files import hold, open_or_resume
from raysim.storage.provenance import provenance
from raysim.storage.trials import read_trials

CONFIDENCE = 0.9


def prepare(spaces: Sequence[Space], quiet: bool) -> list[dict[str, Any]]:
    """Check every scenario and compute every feature before Ray starts; the scenarios as data.

    Raises:
        UserError: whatever would fail in every trial: missing data or weights, a scenario that cannot be met.
    """
    scenarios: dict[str, dict[str, Any]] = {}
    variants: dict[tuple[Any, Any], Experiment] = {}
    for space in spaces:
        compared: list[Mapping[str, Any]] = [{}, *space.rivals.values(), *space.grid.values()]
        compared += [
            changes_of(factor, level) for factor, levels in space.contrasts.items() for level in levels
        ]
        for name, experiment in space.experiments().items():
            scenarios[name] = {
                "values": to_dict(experiment)["scenario"],
                "heterogeneity": Federation.of(experiment).heterogeneity(),
            }
            made = [override(experiment, changes) for changes in compared]
            variants |= {(variant.task, variant.method): variant for variant in made}
    with bar("images and features", quiet) as progress:
        images.prepare(variants.values(), progress)
    for variant in variants.values():
        try_method(variant)
    return [{"label": label, **values} for label, values in scenarios.items()]


def sweep(
    spaces: Sequence[Space],
    options: Options,
    folder: Path,
    resume: bool,
    quiet: bool,
    command: str,
    track: Sequence[str] = (),
) -> Plan:
    """Run a sweep to its end and leave its folder complete; `track` names what Ray's loggers write for besides.

    Raises:
        UserError: before Ray starts, for anything that a user can mend.
        KeyboardInterrupt: everything finished is on disk.
    """
    callbacks = trackers.trackers(track, folder)
    lock = hold(folder)
    try:
        described = _open(folder, spaces, options, resume or options.extend > 0)
        options = _extended(folder, described, options, resume)
        plan = Plan(
            list(spaces),
            options,
            {row["key"]: row for row in standing(read_trials(folder), options.extended)},
        )
        described |= {"scenarios": prepare(spaces, quiet)}
        plan.continue_from(float(described.get("seconds", 0.0)))
        described |= (
            declared(plan)
            | provenance(command)
            | {"status": "running", "command": command, "slots": options.slots}
        )
        described |= {
            "trials": options.trials,
            "minutes": options.minutes,
            "extended": {name: list(ends) for name, ends in options.extended.items()},
        }
        described.setdefault("started", time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        seeds = [spaces[0].base.seed + index for index in range(options.seeds)]
        selection = seeds[: spaces[0].tune_seeds] if spaces[0].tune else seeds
        described |= {
            "confidence": CONFIDENCE,
            "selection_seeds": selection,
            "fresh_seeds": [seed + FRESH for seed in seeds],
        }
        timed = any(
            figure["kind"] == "cost" for figure in described["figures"]
        )  # a page being written would be timed too
        execute(
            plan,
            folder,
            described,
            Panel(lambda: panel(plan), lambda: line(plan), quiet),
            not timed,
            callbacks,
        )
        return plan
    finally:
        lock.release()


def _open(folder: Path, spaces: Sequence[Space], options: Options, resume: bool) -> dict[str, Any]:
    """The folder's run.json, or the beginnings of one."""
    design = {
        "spaces": [
            [space.name, to_dict(experiment)]
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
            options.race.seeds,
        ],
    }
    names = [space.name for space in spaces]
    begun = {
        "id": digest(design),
        "kind": "sweep",
        "space": names[0],
        "spaces": names,
        "title": spaces[0].title,
    }
    differs = (
        "another space, scenario or override, or other --seeds, --search, --objectives, --race, "
        "--no-contrasts, --design or --budget"
    )
    return open_or_resume(folder, begun, differs, resume)


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
            raise UserError(
                f"--extend {options.extend}: {folder} holds no finished search; only a search can be extended"
            )
        if described["status"] != "done":
            raise UserError(
                f"--extend {options.extend}: the sweep in {folder} is {described['status']}; finish it "
                "with --resume first"
            )
        ends = {
            name: (*ends.get(name, ()), asked, asked + options.extend)
            for name, asked in described["asked"].items()
        }
    return replace(options, trials=described.get("trials"), minutes=None, extended=ends) if ends else options
