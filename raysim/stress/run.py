"""Run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from raysim.core.config import digest
from raysim.core.console import Panel, bar, duration
from raysim.core.errors import UserError
from raysim.experiment.records import Experiment, to_dict
from raysim.search.spaces import Space
from raysim.search.standing import settled
from raysim.simulation import images
from raysim.simulation.federation import Federation
from raysim.simulation.worker import try_method
from raysim.storage.files import hold, open_or_resume
from raysim.storage.provenance import provenance
from raysim.stress.plan import StressOptions, StressPlan

MARGIN = 0.05  # accuracy: a method that is worse than a reference by less than five points passes


QUICK_SEEDS, SEEDS, QUICK_MINUTES = (
    3,
    5,
    8.0,
)  # with two seeds a t interval is six times as wide as its error: nothing would be decided


def stress(
    spaces: Sequence[Space], options: StressOptions, folder: Path, resume: bool, quiet: bool, command: str
) -> StressPlan:
    """Run the suite to its end, or to the end of its time, and leave its folder complete.

    Raises:
        UserError: before Ray starts, for anything that a user can mend.
        KeyboardInterrupt: everything finished is on disk.
    """
    from raysim.search.sweep import CONFIDENCE
    from raysim.search.tune import execute
    from raysim.storage.trials import read_trials

    lock = hold(folder)
    try:
        described = _open(folder, spaces, options, resume)
        plan = StressPlan(spaces, options, {row["key"]: row for row in read_trials(folder) if settled(row)})
        prepare(plan, quiet)
        plan.continue_from(float(described.get("seconds", 0.0)))
        described |= provenance(command) | {
            "status": "running",
            "command": command,
            "slots": options.slots,
            "cases": plan.cases,
        }
        described |= {
            "confidence": CONFIDENCE,
            "margin": MARGIN,
            "quick": options.quick,
            "minutes": options.minutes,
        }
        described["seeds"] = [spaces[0].base.seed + index for index in range(options.seeds)]
        described.setdefault("started", time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        execute(plan, folder, described, Panel(lambda: panel(plan), lambda: line(plan), quiet))
        return plan
    finally:
        lock.release()


def prepare(plan: StressPlan, quiet: bool) -> None:
    """Compute every feature before Ray starts, and try every method once.

    Raises:
        UserError: missing data or weights.
    """
    experiments = [spec.experiments[0] for spec in plan.specs()]
    variants: dict[Any, Experiment] = {
        (e.task.replace(shots=None, ses=None), e.method.inputs): e for e in experiments
    }
    with bar("images and features", quiet) as progress:
        images.prepare(variants.values(), progress)
    for experiment in {e.method: e for e in experiments}.values():
        try_method(experiment)


def _open(folder: Path, spaces: Sequence[Space], options: StressOptions, resume: bool) -> dict[str, Any]:
    """The folder's run.json, or the beginnings of one."""
    design = {
        "spaces": [[space.name, to_dict(space.base)] for space in spaces],
        "seeds": options.seeds,
        "quick": options.quick,
        "cases": options.cases,
    }
    names = [space.name for space in spaces]
    begun = {
        "id": digest(design),
        "kind": "stress",
        "space": names[0],
        "spaces": names,
        "title": "Where does it break?",
    }
    return open_or_resume(
        folder, begun, "another space, override, number of seeds, choice of cases, or --quick", resume
    )


def line(plan: StressPlan) -> str:
    """One line for a log."""
    failed = sum(row["state"] == "FAIL" for row in plan.finished)
    left = sum(1 for _ in plan.specs()) + len(plan.running)
    said = f"stress: {len(plan.finished)} trials done{f' ({failed} failed)' if failed else ''}, {left} to go"
    return f"{said}, about {duration(plan.seconds_left())} left"


def panel(plan: StressPlan) -> Table:
    """Trials by case, and what was left out."""
    table = Table(title=line(plan), title_justify="left", box=None)
    for name, justify in (("case", "left"), ("done", "right"), ("running", "right"), ("not run", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for case in plan.cases:
        done = sum(row["factor"] == case["name"] for row in plan.finished)
        running = sum(spec.factor == case["name"] for spec in plan.running.values())
        table.add_row(
            case["title"],
            str(done),
            str(running),
            "all" if case["skipped"] else str(len(case["not_run"]) or ""),
        )
    return table


def dry_run(plan: StressPlan) -> str:
    """What a stress run would run, in words; every federation is dealt once, so that what cannot be is said."""
    lines = []
    for case in plan.cases:
        levels = ", ".join(level["label"] for level in case["levels"])
        lines.append(
            f"{case['name']}: {case['title']}; {case['axis']}: {levels} (at most {case['seconds']:g} s "
            "per space)"
        )
        lines += [f"  skipped: {case['skipped']}"] if case["skipped"] else []
        lines += [f"  {space}: {', '.join(labels)}" for space, labels in case["entries"].items()]
        lines += [
            f"  {left['space']} at {left['level']}: {left['label']} {left['reason']}"
            for left in case["not_run"]
        ]
    for spec in plan.specs():
        try:
            Federation.of(spec.experiments[0])
        except UserError as error:
            lines.append(f"{spec.study}, {spec.label}: not possible: {error}")
    options = plan.options
    limit = f", at most {options.minutes:g} minutes" if options.minutes else ""
    lines.append(
        f"{plan.planned()['stress']} trials of {options.seeds} seeds, {options.slots} at once{limit}"
    )
    return "\n".join(lines)
