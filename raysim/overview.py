"""What a sweep says about itself: before it runs, while it does, and of its design in run.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from raysim.console import duration
from raysim.experiment import to_dict
from raysim.search import Options, Plan
from raysim.spaces import Space, level_name


def line(plan: Plan) -> str:
    """One line for a log."""
    states = [row["state"] for row in plan.finished]
    counts = ", ".join(
        f"{states.count(state)} {word}"
        for state, word in (("COMPLETE", "complete"), ("PRUNED", "pruned"), ("FAIL", "failed"))
        if state in states
    )
    done = f"{len(states)} trials done ({counts or 'none yet'})"
    words = {"contrast": "selecting on validation", "search": "searching on validation", "confirm": "confirming on fresh seeds"}
    return f"sweep: {words[plan.phase]}, {done}, {len(plan.running)} running, about {duration(plan.seconds_left())} left"


def panel(plan: Plan) -> Table:
    """Trials by study, best so far, time left."""
    table = Table(title=line(plan), title_justify="left", box=None)
    for name, justify in (
        ("study", "left"),
        ("done", "right"),
        ("running", "right"),
        ("best validation accuracy", "right"),
        ("by", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for study in plan.studies:
        best = study.best()
        running = sum(spec.study == study.name for spec in plan.running.values())
        accuracy, label = (f"{100 * best['objective']:.1f} %", best["label"]) if best else ("", "")
        table.add_row(study.name, str(len(study.rows)), str(running), accuracy, label)
    return table


def dry_run(spaces: Sequence[Space], options: Options) -> str:
    """What a sweep would run, in words."""
    plan = Plan(list(spaces), options)
    planned = plan.planned()
    lines = [
        f"{study.name}: {study.base.scenario.clients} clients, {study.base.total_rounds} rounds, experiment {study.base.id}"
        for study in plan.studies
    ]
    for space in spaces:
        lines += [
            f"  {space.name}: {factor} in {[level_name(factor, level) for level in levels]}"
            for factor, levels in space.contrasts.items()
            if options.contrasts
        ]
    search = "as many search trials as fit" if planned["search"] is None else f"{planned['search']} search trials"
    limit = f", at most {options.minutes:g} minutes" if options.minutes else ""
    lines.append(
        f"{planned['contrast']} contrast trials, {planned['rival']} of rivals beside them, {search}, "
        f"{planned['confirm']} or more on fresh seeds and the test split; "
        f"{options.seeds} seeds each, {options.slots} at once{limit}"
    )
    return "\n".join(lines)


def declared(plan: Plan) -> dict[str, Any]:
    """The study's design as plain data, for run.json."""
    first = plan.studies[0]
    values = to_dict(first.base)
    factors = []
    for path, levels in first.space.contrasts.items():
        block, _, name = path.rpartition(".")
        model: Any = getattr(first.base, block) if block else first.base
        info = type(model).model_fields[name]
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        anchor = values[block][name] if block else values[name]
        provenance = {key: extra.get(key, "") for key in ("basis", "source", "search")}
        factors.append(
            {
                "path": path,
                "symbol": name,
                "levels": [level_name(path, level) for level in levels],
                "anchor": anchor,
                "doc": info.description,
                **provenance,
            }
        )
    return {
        "anchor": values,
        "factors": factors,
        "grid": list(first.space.grid),
        "figures": [dict(figure) for figure in first.space.figures],
    }
