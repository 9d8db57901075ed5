"""The race for the last place: which configurations got more seeds, and when the others left it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...look.page import Cell, Table
from ...look.words import count, mean_span, points
from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, parameters_of, tuning_of
from ...stats.intervals import paired, t_interval
from ..choices.rivals import home
from .pareto import FRACTIONS, Objective, form_of, named, objectives, settings_cell, value

DECISIVE_SEEDS = 2  # from which the race, not the search, decides which configuration is taken


def query(name: str) -> str:
    """Return the SQL of the race by an objective."""
    mean = f"list_avg({name})" if name.startswith(FRACTIONS) else name
    return f"""SELECT study, scenario, label, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds
FROM (SELECT study, scenario, label, {mean} AS value FROM {parts("trials")}
      WHERE kind = 'race' AND state = 'COMPLETE')
GROUP BY ALL ORDER BY study, seeds DESC, mean DESC"""


QUERY = query(OBJECTIVE)


def decisive(results: Results) -> Objective:
    """Return the objective that decides the race: the first of the search."""
    return next(iter(objectives(results)), {"name": OBJECTIVE, "direction": "maximize"})


def table_racing(results: Results) -> list[Row]:
    """Return a row per raced configuration, those that stayed longest first.

    Returns:
        Rows with study, scenario, label, params (what it changed), seeds, interval (of the first objective
        over its race seeds), gap (minus the leader of those that stayed, paired), verdict of the gap
        (`helps`: better), and fate: `taken`, `left at the end`, `out after N seeds`, `not decided: N seed`,
        `failed` or `racing`.
    """
    raced: dict[str, dict[str, list[Row]]] = {}
    for trial in (trial for trial in results.trials if trial["kind"] == "race"):
        raced.setdefault(trial["study"], {}).setdefault(trial["label"], []).append(trial)
    if not raced:
        return []
    ended = _ended_studies(results)
    return [
        row for study, trials in raced.items() for row in _study_rows(results, study, trials, study in ended)
    ]


def _study_rows(results: Results, study: str, raced: Mapping[str, Sequence[Row]], ended: bool) -> list[Row]:
    """Return the rows of one study.

    Args:
        results: The sweep.
        study: Its name.
        raced: Label -> race trials.
        ended: Whether its race has ended.
    """
    aim = decisive(results)
    sign, metric = -1 if aim["direction"] == "minimize" else 1, aim["name"]
    values = {label: _values(trials, metric) for label, trials in raced.items()}
    looks = {label: len({s for trial in trials for s in trial["seeds"]}) for label, trials in raced.items()}
    most = max(looks.values())
    failed = {label for label in raced if len(values[label]) < looks[label]}
    means = {
        label: sum(v.values()) / len(v)
        for label, v in values.items()
        if looks[label] == most and label not in failed
    }
    leader = max(means, key=lambda label: sign * means[label], default=None)
    rows = []
    for label, trials in raced.items():
        gap = None
        if leader is not None and label != leader:
            gap = paired(values[label], values[leader], results.confidence)
        interval = t_interval(list(values[label].values()), results.confidence)
        fate = "failed" if label in failed else _fate(looks[label], most, label == leader, ended)
        about = {
            "study": study,
            "scenario": trials[0]["scenario"],
            "label": label,
            "params": parameters_of(trials[0]),
        }
        measured = {"seeds": len(values[label]), "interval": interval, "gap": gap}
        rows.append(
            {**about, **measured, "verdict": _verdict(gap.verdict, sign) if gap else "", "fate": fate}
        )
    worst = float("-inf")
    rows.sort(key=lambda row: (-row["seeds"], -(sign * row["interval"].mean if row["interval"] else worst)))
    return rows


def _ended_studies(results: Results) -> set[str]:
    """Return the studies whose winner was confirmed; a tuned rival is confirmed in the method's study."""
    confirmed = [trial for trial in results.trials if trial["kind"] == "confirm"]
    tuned = [trial for trial in confirmed if tuning_of(trial["label"]) == "tuned"]
    return {trial["study"] for trial in confirmed} | {home(results, trial) for trial in tuned}


def _fate(looks: int, most: int, leads: bool, ended: bool) -> str:
    """Return what became of a configuration that did not fail."""
    out = f"out after {count(looks, 'seed')}"
    if not ended:
        return "racing" if looks >= most - 1 else out
    if looks < most:
        return out
    if most < DECISIVE_SEEDS:
        return f"not decided: {count(most, 'seed')}"
    return "taken" if leads else "left at the end"


def _verdict(verdict: str, sign: int) -> str:
    """Return the verdict on a gap where `helps` means better, also for an objective to minimise."""
    return verdict if sign > 0 else {"helps": "hurts", "hurts": "helps"}.get(verdict, verdict)


def _values(trials: Sequence[Row], metric: str) -> dict[int, float]:
    """Return race seed -> value; a race trial has one seed, and traffic is a number of the trial."""
    values = {int(t["seeds"][0]): value(t, metric) for t in trials if t["state"] == "COMPLETE"}
    return {seed: number for seed, number in values.items() if number is not None}


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the race as a table, with its rule in words; None where nothing was raced.

    Args:
        results: The sweep.
        rows: Rows of `table_racing`.
    """
    if not rows:
        return None
    aim = decisive(results)
    form, fraction = form_of(aim["name"]), aim["name"].startswith(FRACTIONS)
    words = {"helps": "ahead", "hurts": "behind", "level": "level", "undecided": "undecided"}
    body: list[list[Any]] = []
    for row in rows:
        gap = "the leader"
        if row["gap"]:
            gap = f"{mean_span(row['gap'], points if fraction else form)} {words.get(row['verdict'], '')}"
        interval, settings = mean_span(row["interval"], form), settings_cell(row["params"])
        about = [row["study"], row["label"], row["seeds"]]
        body.append([*about, interval, Cell(gap, row["verdict"]), row["fate"], settings])
    rule = str((results.meta.get("race") or {}).get("rule") or "The rule is not recorded.")
    objective = named(aim["name"], results.metric).removesuffix(", %")
    direction = " (less is better)" if aim["direction"] == "minimize" else ""
    caption = (
        f"Rule: {rule} Validation: {objective}{direction} on the race's seeds alone, mean "
        f"[{results.confidence:.0%} t interval], and the paired difference to the leader. These intervals "
        "are not adjusted for the number of looks; the rule is."
    )
    if any(row["fate"].startswith("not decided") for row in rows):
        caption += (
            " A race that ended after one seed decides nothing: there the best of the search by "
            "validation was taken."
        )
    unit, gap_unit = (", %", ", points") if fraction else ("", "")
    columns = [
        "study",
        "configuration",
        "race seeds",
        f"validation{unit}",
        f"minus the leader{gap_unit}",
        "outcome",
        "set",
    ]
    title = "The race for the last place"
    return Table(columns, body, caption, query(aim["name"]), key="table-racing", title=title)
