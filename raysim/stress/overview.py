"""Overview of a stress run: before it runs, and while it runs."""

from __future__ import annotations

from rich.table import Table

from raysim.core.console import duration
from raysim.core.errors import UserError
from raysim.simulation.federation import Federation
from raysim.stress.plan import StressPlan


def status_line(plan: StressPlan) -> str:
    """Return one line for a log."""
    failed = sum(row["state"] == "FAIL" for row in plan.finished)
    done = f"{len(plan.finished)} trials done{f' ({failed} failed)' if failed else ''}"
    left = sum(1 for _ in plan.specs()) + len(plan.running)
    return f"stress: {done}, " + (
        f"{left} to go, about {duration(plan.seconds_left())} left" if left else "over"
    )


def panel(plan: StressPlan) -> Table:
    """Return a table with the trials of each case, and how many levels were left out."""
    table = Table(title=status_line(plan), title_justify="left", box=None)
    for name, justify in (("case", "left"), ("done", "right"), ("running", "right"), ("not run", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for case in plan.cases:
        done = sum(row["factor"] == case["name"] for row in plan.finished)
        running = sum(spec.factor == case["name"] for spec in plan.running.values())
        left_out = "all" if case["skipped"] else str(len(case["not_run"]) or "")
        table.add_row(case["title"], str(done), str(running), left_out)
    return table


def dry_run(plan: StressPlan) -> str:
    """Return in words what a stress run would run.

    Every federation is made once, so that the trials that are not possible are named.
    """
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
            f"  {left_out['space']} at {left_out['level']}: {left_out['label']} {left_out['reason']}"
            for left_out in case["not_run"]
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
