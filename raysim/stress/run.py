"""Stress run: the suite, run to its end or to the end of its time, in a result folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raysim.core.config import digest
from raysim.core.console import bar
from raysim.data.contents import refuse_other_images
from raysim.experiment.records import Experiment, identity_values
from raysim.search.plans.valid_rows import has_final_result
from raysim.search.running.plan_run import PlanSetup, run_plan
from raysim.search.seeds import drawn_seeds
from raysim.search.spaces.record import Space
from raysim.simulation import images
from raysim.simulation.worker import try_method
from raysim.storage.trials import TrialRow
from raysim.stress.overview import panel, status_line
from raysim.stress.plan import StressOptions, StressPlan

NONINFERIORITY_MARGIN = 0.05  # a method passes where its accuracy is less than this below a reference


def stress(
    spaces: Sequence[Space],
    options: StressOptions,
    folder: Path,
    *,
    resume: bool,
    quiet: bool,
    command: str,
    started: float,
) -> StressPlan:
    """Run the suite and leave its folder complete, but for the last report.

    Args:
        spaces: The spaces whose methods are stressed.
        options: How large the run is.
        folder: The result folder.
        resume: Whether to go on with the run that the folder holds.
        quiet: Whether to show no progress.
        command: The command line.
        started: `time.monotonic()` at the start of the command; the time limit counts from there.

    Raises:
        UserError: Before Ray starts, for anything that a user can correct.
        KeyboardInterrupt: The user interrupted; everything finished is on disk.
    """

    def make_plan(record: Mapping[str, Any], rows: list[TrialRow]) -> StressPlan:
        plan = StressPlan(spaces, options, {row["key"]: row for row in rows if has_final_result(row)})
        refuse_other_images(f"--out {folder}", record.get("datasets", []), contents(plan))
        return plan

    def contents(plan: StressPlan) -> list[dict[str, Any]]:
        return images.contents_of(experiment.task for spec in plan.specs() for experiment in spec.experiments)

    def facts(plan: StressPlan) -> dict[str, Any]:
        prepare(plan, quiet)
        return {
            "datasets": contents(plan),
            "cases": plan.cases,
            "margin": NONINFERIORITY_MARGIN,
            "quick": options.quick,
            "seeds": list(drawn_seeds(spaces[0].base.seed, "selection", options.seeds)),
        }

    setup = PlanSetup(
        new_record=_new_record(spaces, options),
        identity="spaces, overrides, --seeds, --cases and --quick",
        make_plan=make_plan,
        prepare=facts,
        panel=panel,
        status_line=status_line,
    )
    return run_plan(setup, folder, resume=resume, quiet=quiet, command=command, started=started)


def prepare(plan: StressPlan, quiet: bool) -> None:
    """Compute every feature before Ray starts, and try every method once.

    Raises:
        UserError: Data or weights are missing.
    """
    experiments = [spec.experiments[0] for spec in plan.specs()]
    variants: dict[Any, Experiment] = {
        (e.task.replace(shots=None, ses=None), e.method.traits.inputs): e for e in experiments
    }
    with bar("images and features", quiet) as progress:
        images.prepare(variants.values(), progress)
    for experiment in {e.method: e for e in experiments}.values():
        try_method(experiment)


def _new_record(spaces: Sequence[Space], options: StressOptions) -> dict[str, Any]:
    """Return what `run.json` of a new stress run holds."""
    names = [space.name for space in spaces]
    identity = {
        "spaces": [[space.name, identity_values(space.base)] for space in spaces],
        "seeds": options.seeds,
        "quick": options.quick,
        "cases": options.cases,
    }
    return {
        "id": digest(identity),
        "kind": "stress",
        "space": names[0],
        "spaces": names,
        "spaces_declared": {space.name: space.record() for space in spaces},
        "title": "Where does it break?",
    }
