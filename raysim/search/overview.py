"""What a sweep says about itself: before it runs, while it does, and of its design in run.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from raysim.core.console import duration
from raysim.experiment.records import to_dict
from raysim.search.plan import Plan
from raysim.search.spaces import Space, level_name
from raysim.search.spec import OBJECTIVES, Options
from raysim.search.study import Study


def line(plan: Plan) -> str:
    """One line for a log."""
    states = [row["state"] for row in plan.finished]
    counts = ", ".join(
        f"{states.count(state)} {word}"
        for state, word in (("COMPLETE", "complete"), ("PRUNED", "pruned"), ("FAIL", "failed"))
        if state in states
    )
    done = f"{len(states)} trials done ({counts or 'none yet'})"
    words = {
        "design": "measuring on validation",
        "search": "searching on validation",
        "race": "racing on validation",
        "confirm": "confirming on fresh seeds",
    }
    return (
        f"sweep: {words[plan.phase]}, {done}, {len(plan.running)} running, about "
        f"{duration(plan.seconds_left())} left"
    )


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
        f"{study.name}: {study.base.scenario.clients} clients, {study.base.total_rounds} rounds, "
        f"experiment {study.base.id}"
        for study in plan.studies
    ]
    for space in spaces:
        lines += [
            f"  {space.name}: {factor} in {[level_name(factor, level) for level in levels]}"
            for factor, levels in space.contrasts.items()
            if options.contrasts and not options.design
        ]
    limit = f", at most {options.minutes:g} minutes" if options.minutes else ""
    if "design" in planned:
        said = f"{planned['design']} trials of a {options.design} design"
    else:
        sampled = any(not study.closed for study in plan.studies)
        search = (
            "as many search trials as fit"
            if planned["search"] is None
            else f"{planned['search']} search trials"
        )
        parts = {
            f"{planned['contrast']} contrast trials": planned["contrast"],
            f"{planned['rival']} of rivals beside them": planned["rival"],
            f"{planned.get('interaction')} of two factors together": planned.get("interaction"),
            search + f" ({options.sampler})" * sampled: planned["search"] != 0,
            f"up to {options.race.seeds} more seeds for {options.race.candidates} configurations of "
            "each study": options.race.seeds and sampled,
            f"{planned['confirm']} or more on fresh seeds and the test split": True,
        }
        said = ", ".join(text for text, there in parts.items() if there)
    lines.append(f"{said}; {options.seeds} seeds each, {options.slots} at once{limit}")
    return "\n".join(lines)


def declared(plan: Plan) -> dict[str, Any]:
    """The study's design as plain data, for run.json."""
    first, options = plan.studies[0], plan.options
    spaces = {study.space.name: study for study in reversed(plan.studies) if not study.rival}
    objectives = [
        {"name": name, "direction": "maximize" if OBJECTIVES[name] > 0 else "minimize"}
        for name in options.objectives
    ]
    race = {
        "candidates": options.race.candidates,
        "seeds": options.race.seeds,
        "error": options.race.error,
        "rule": options.race.text,
    }
    return {
        "anchor": to_dict(first.base),
        "factors": _factors(first),
        "spaces_declared": {name: _space(plan, study) for name, study in reversed(spaces.items())},
        "interactions": [list(pair) for study in spaces.values() for pair in study.space.interactions],
        "grid": list(first.space.grid),
        "figures": [dict(figure) for figure in first.space.figures],
        "search": {"sampler": options.sampler, "objectives": objectives},
        "race": race if options.race.seeds and not options.design else None,
        "design": plan.designed,
    }


def _space(plan: Plan, study: Study) -> dict[str, Any]:
    own = {other.entry for other in plan.studies if other.rival and other.space is study.space}
    rivals = {label: "tuned" if label in own else "untuned" for label in study.space.rivals}
    return {
        "method": study.base.method.name,
        "anchor": to_dict(study.base),
        "seed": study.base.seed,
        "factors": _factors(study),
        "rivals": rivals,
    }


def _factors(study: Study) -> list[dict[str, Any]]:
    """Each choice that is varied: its anchor and levels, what it is, and where its default comes from."""
    values = to_dict(study.base)
    found = []
    for path, levels in study.space.contrasts.items():
        block, _, name = path.rpartition(".")
        model: Any = getattr(study.base, block) if block else study.base
        info = type(model).model_fields[name]
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        anchor = values[block][name] if block else values[name]
        provenance = {key: extra.get(key, "") for key in ("basis", "source", "search")}
        names = [level_name(path, level) for level in levels]
        found.append(
            {
                "path": path,
                "symbol": name,
                "levels": names,
                "anchor": anchor,
                "doc": info.description,
                **provenance,
            }
        )
    return found
