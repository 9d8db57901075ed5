"""Overview of a sweep: before it runs, while it runs, and its design for run.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from raysim.core.console import duration
from raysim.experiment.records import to_dict
from raysim.search.options import OBJECTIVES, SweepOptions
from raysim.search.plans.sweep_plan import Phase, SweepPlan
from raysim.search.spaces.record import Space, level_name
from raysim.search.studies.study import Study

STATE_WORDS = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
PHASE_WORDS: dict[Phase, str] = {
    "declared": "measuring on validation",
    "search": "searching on validation",
    "race": "racing on validation",
    "confirm": "confirming on fresh seeds",
}


def status_line(plan: SweepPlan) -> str:
    """Return one line for a log."""
    states = [row["state"] for row in plan.finished]
    counts = ", ".join(
        f"{states.count(state)} {word}" for state, word in STATE_WORDS.items() if state in states
    )
    return (
        f"sweep: {PHASE_WORDS[plan.phase]}, {len(states)} trials done ({counts or 'none yet'}), "
        f"{len(plan.running)} running, about {duration(plan.seconds_left())} left"
    )


def panel(plan: SweepPlan) -> Table:
    """Return a table with the trials and the best configuration of each study."""
    table = Table(title=status_line(plan), title_justify="left", box=None)
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


def dry_run(spaces: Sequence[Space], options: SweepOptions) -> str:
    """Return in words what a sweep would run."""
    plan = SweepPlan(spaces, options)
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
    lines.append(f"{_trial_counts(plan)}; {options.seeds} seeds each, {options.slots} at once{limit}")
    return "\n".join(lines)


def _trial_counts(plan: SweepPlan) -> str:
    """Return the numbers of planned trials in words."""
    options, planned = plan.options, plan.planned()
    if "design" in planned:
        return f"{planned['design']} trials of a {options.design} design"
    has_search = any(not study.is_closed for study in plan.studies)
    search = (
        "as many search trials as fit" if planned["search"] is None else f"{planned['search']} search trials"
    )
    parts = {
        f"{planned['contrast']} contrast trials": planned["contrast"],
        f"{planned['rival']} of rivals beside them": planned["rival"],
        f"{planned.get('interaction')} of two factors together": planned.get("interaction"),
        search + f" ({options.sampler})" * has_search: planned["search"] != 0,
        f"up to {options.race.seeds} more seeds for {options.race.candidates} configurations of "
        "each study": options.race.seeds and has_search,
        f"{planned['confirm']} or more on fresh seeds and the test split": True,
    }
    return ", ".join(text for text, is_planned in parts.items() if is_planned)


def plan_record(plan: SweepPlan) -> dict[str, Any]:
    """Return the plan as plain data for run.json."""
    first, options = plan.studies[0], plan.options
    first_studies = {study.space.name: study for study in reversed(plan.studies) if not study.is_rival}
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
        "factors": _factor_records(first),
        "spaces_declared": {
            name: _space_record(plan, study) for name, study in reversed(first_studies.items())
        },
        "interactions": [list(pair) for study in first_studies.values() for pair in study.space.interactions],
        "grid": list(first.space.grid),
        "figures": [dict(figure) for figure in first.space.figures],
        "search": {"sampler": options.sampler, "objectives": objectives},
        "race": race if options.race.seeds and not options.design else None,
        "design": plan.design,
        "trials": options.trials,
        "extended": {name: list(counts) for name, counts in options.extended.items()},
    }


def _space_record(plan: SweepPlan, study: Study) -> dict[str, Any]:
    tuned_rivals = {other.entry for other in plan.studies if other.is_rival and other.space is study.space}
    return {
        "method": study.base.method.name,
        "anchor": to_dict(study.base),
        "seed": study.base.seed,
        "factors": _factor_records(study),
        "rivals": {label: "tuned" if label in tuned_rivals else "untuned" for label in study.space.rivals},
    }


def _factor_records(study: Study) -> list[dict[str, Any]]:
    """Return each factor that is moved: its anchor and levels, its meaning, and the source of its default."""
    values = to_dict(study.base)
    records = []
    for path, levels in study.space.contrasts.items():
        block, _, name = path.rpartition(".")
        model: Any = getattr(study.base, block) if block else study.base
        field = type(model).model_fields[name]
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        records.append(
            {
                "path": path,
                "symbol": name,
                "levels": [level_name(path, level) for level in levels],
                "anchor": values[block][name] if block else values[name],
                "doc": field.description,
                **{key: extra.get(key, "") for key in ("basis", "source", "search")},
            }
        )
    return records
