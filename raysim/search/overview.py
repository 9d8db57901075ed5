"""Overview of a sweep: before it runs, while it runs, and its design for run.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from rich.table import Table

from raysim.core.columns import COUNT_COLUMNS
from raysim.core.console import duration
from raysim.core.words import image_words, measured_clients
from raysim.experiment.records import to_dict
from raysim.search.options import OBJECTIVES, SweepOptions
from raysim.search.plans.confirmations import declared_trials_of
from raysim.search.plans.left_out import stage_counts
from raysim.search.plans.stages import FEWEST_SEEDS, STAGE_WORDS
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.spaces.record import Space, level_name
from raysim.search.studies.samplers import GUIDED
from raysim.search.studies.study import Study
from raysim.simulation.federation import Federation
from raysim.simulation.tables import images_used

STATE_WORDS = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def status_line(plan: SweepPlan) -> str:
    """Return one line for a log: the stage, how much of it is done, and how much of the plan is missing.

    The line of a plan that is over predicts nothing: it says how much of the plan did not run.
    """
    states = [row["state"] for row in plan.finished]
    words = ", ".join(
        f"{states.count(state)} {word}" for state, word in STATE_WORDS.items() if state in states
    )
    counts = stage_counts(plan)
    missing = sum(count["planned"] - count["finished"] for count in counts.values())
    done = f"{len(states)} trials done ({words or 'none'})"
    if plan.over:
        return (
            f"sweep: over, {done}, {f'{missing} of the plan did not run' if missing else 'the plan is done'}"
        )
    here = counts.get(plan.stage, {"planned": 0, "finished": 0})
    return (
        f"sweep: {STAGE_WORDS[plan.stage]}"
        + (f" {here['finished']} of {here['planned']}" if here["planned"] else "")
        + f", {done}, {len(plan.running)} running, "
        f"{missing} of the plan missing, about {duration(plan.seconds_left())} left"
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
        running = sum(trial.spec.study == study.name for trial in plan.running.values())
        accuracy, label = (f"{100 * best['objective']:.1f} %", best["label"]) if best else ("", "")
        if best:  # the clients of all seeds together; a seed that was lost measured none
            counts = {name: np.nansum(cast(Any, best)[name] or [np.nan]) for name in COUNT_COLUMNS}
            accuracy += f" ({said})" if (said := measured_clients(counts)) else ""
        table.add_row(study.name, str(len(study.rows)), str(running), accuracy, label)
    return table


def dry_run(spaces: Sequence[Space], options: SweepOptions) -> str:
    """Return in words what a sweep would run."""
    plan = SweepPlan(spaces, options)
    federations = [Federation.of(study.base) for study in plan.studies]
    lines = [
        f"{study.name}: {federation.clients} clients, {study.base.total_rounds} rounds, "
        f"experiment {study.base.id}; {image_words(images_used(federation))}"
        for study, federation in zip(plan.studies, federations, strict=True)
    ]
    for space in spaces:
        lines += [
            f"  {space.name}: {factor} in {' | '.join(level_name(factor, level) for level in levels)}"
            for factor, levels in space.contrasts.items()
            if options.contrasts and not options.design
        ]
    if options.constraints:
        lines.append(_constraint_words(options))
    limit = f", at most {options.minutes:g} minutes from start to report" if options.minutes else ""
    lines += [f"{place}. {text}" for place, text in enumerate(_stages(plan), start=1)]
    lines.append(f"{options.seeds} seeds each, {options.slots} at once{limit}")
    if options.minutes and not options.design:
        lines.append(
            f"What does not fit runs with fewer seeds (at least {min(options.seeds, FEWEST_SEEDS)}) or is "
            "left out; the report names it, and the command that runs it."
        )
    return "\n".join(lines)


def _constraint_words(options: SweepOptions) -> str:
    """Say which constraints a configuration must meet, and whether the search itself knows of them."""
    guided = "guide the search and " if options.sampler in GUIDED else ""
    return f"Constraints {guided}limit what may be chosen: {', '.join(map(str, options.constraints))}"


def _stages(plan: SweepPlan) -> list[str]:
    """Return what each stage of a plan would run, in their order."""
    options, planned = plan.options, plan.planned()
    texts: list[str] = []
    for stage, count in plan.agenda.counts.items():
        names = [block.name for block in plan.agenda.blocks if block.stage == stage and block.name]
        named = f": {', '.join(names)}" if stage in ("contrast", "rival", "interaction") else ""
        texts.append(f"{STAGE_WORDS[stage]}, {count} trials{named}")
    searched = [study for study in plan.studies if not study.is_closed]
    if searched:
        amount = (
            "as many trials as fit" if planned["search"] is None else f"{planned['search']} trials in all"
        )
        tuned = max(declared_trials_of(study) for study in searched)
        texts.append(
            f"{STAGE_WORDS['search']} ({options.sampler}), {amount}; tuned from {tuned} per study on"
        )
        if options.race.seeds:
            texts.append(
                f"{STAGE_WORDS['race']}, up to {options.race.seeds} more seeds for "
                f"{options.race.candidates} configurations of each study"
            )
    if not options.design:
        texts.append(f"{STAGE_WORDS['confirm']} and the test split, {planned['confirm']} trials or more")
    return texts


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
        "search": {
            "sampler": options.sampler,
            "objectives": objectives,
            "constraints": [str(constraint) for constraint in options.constraints],
        },
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
        **study.space.record(),
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
