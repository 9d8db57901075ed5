"""The race for the last place: which configurations got more seeds, and who fell out when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.page import Cell, Table
from ...look.words import count, mean_span, points
from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, params, standing
from ...stats.intervals import paired, t_interval
from ..choices.rivals import home
from .pareto import FRACTIONS, Objective, named, objectives, shown, value

DECIDES = 2  # race seeds from which the race, not the search, says what is taken


def query(name: str) -> str:
    """SQL of the race by an objective."""
    of = f"list_avg({name})" if name.startswith(FRACTIONS) else name
    return f"""SELECT study, scenario, label, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds
FROM (SELECT study, scenario, label, {of} AS value FROM {parts("trials")}
      WHERE kind = 'race' AND state = 'COMPLETE')
GROUP BY ALL ORDER BY study, seeds DESC, mean DESC"""


QUERY = query(OBJECTIVE)


def decisive(results: Results) -> Objective:
    """What the race is decided by: the first objective of the search."""
    return next(iter(objectives(results)), {"name": OBJECTIVE, "direction": "maximize"})


def table_racing(results: Results) -> list[Row]:
    """One row per raced configuration, those that stayed longest first.

    Returns:
        Rows with study, scenario, label, set (what it changed), seeds, interval (of the first objective over
        its race seeds), gap (minus the one that stayed and leads, paired), verdict of the gap (`helps`:
        better), and fate: `taken`, `left at the end`, `out after N seeds`, `not decided: N seed`, `failed` or
        `racing`.
    """
    aim = decisive(results)
    sign, metric = -1 if aim["direction"] == "minimize" else 1, aim["name"]
    raced: dict[tuple[str, str], list[Row]] = {}
    for trial in (t for t in results.trials if t["kind"] == "race"):
        raced.setdefault((trial["study"], trial["label"]), []).append(trial)
    over = _over(results) if raced else set()
    rows = []
    for study in dict.fromkeys(study for study, _ in raced):
        own = {label: trials for (s, label), trials in raced.items() if s == study}
        values = {label: _values(trials, metric) for label, trials in own.items()}
        looks = {label: len({s for t in trials for s in t["seeds"]}) for label, trials in own.items()}
        most = max(looks.values())
        failed = {label for label in own if len(values[label]) < looks[label]}
        means = {
            label: sum(v.values()) / len(v)
            for label, v in values.items()
            if looks[label] == most and label not in failed
        }
        leader = max(means, key=lambda label: sign * means[label], default=None)
        for label, trials in own.items():
            gap = (
                paired(values[label], values[leader], results.confidence)
                if leader is not None and label != leader
                else None
            )
            rows.append(
                {
                    "study": study,
                    "scenario": trials[0]["scenario"],
                    "label": label,
                    "params": params(trials[0]),
                    "seeds": len(values[label]),
                    "interval": t_interval(list(values[label].values()), results.confidence),
                    "gap": gap,
                    "verdict": _verdict(gap.verdict, sign) if gap else "",
                    "fate": "failed"
                    if label in failed
                    else _fate(looks[label], most, label == leader, study in over),
                }
            )
    order = list(dict.fromkeys(r["study"] for r in rows))
    worst = float("-inf")
    return sorted(
        rows,
        key=lambda r: (
            order.index(r["study"]),
            -r["seeds"],
            -(sign * r["interval"].mean if r["interval"] else worst),
        ),
    )


def _over(results: Results) -> set[str]:
    """Studies whose winner was confirmed; that of a tuned rival is confirmed beside the method's."""
    met = [t for t in results.trials if t["kind"] == "confirm"]
    return {t["study"] for t in met} | {home(results, t) for t in met if standing(t["label"]) == "tuned"}


def _fate(looks: int, most: int, leads: bool, over: bool) -> str:
    out = f"out after {count(looks, 'seed')}"
    if not over:
        return "racing" if looks >= most - 1 else out
    if looks < most:
        return out
    if most < DECIDES:
        return f"not decided: {count(most, 'seed')}"
    return "taken" if leads else "left at the end"


def _verdict(verdict: str, sign: int) -> str:
    return verdict if sign > 0 else {"helps": "hurts", "hurts": "helps"}.get(verdict, verdict)


def _values(trials: Sequence[Row], metric: str) -> dict[int, float]:
    """Race seed -> value; a race trial has one seed, and traffic is a number of the trial."""
    found = {int(t["seeds"][0]): value(t, metric) for t in trials if t["state"] == "COMPLETE"}
    return {seed: number for seed, number in found.items() if number is not None}


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """The race as a table, with the rule in words; None where nothing was raced."""
    race, aim = results.meta.get("race") or {}, decisive(results)
    if not rows:
        return None
    form, fraction = shown(aim["name"]), aim["name"].startswith(FRACTIONS)
    body: list[list[Any]] = []
    for r in rows:
        word = {"helps": "ahead", "hurts": "behind", "level": "level", "undecided": "undecided"}.get(
            r["verdict"], ""
        )
        gap = Cell(
            f"{mean_span(r['gap'], points if fraction else form)} {word}" if r["gap"] else "the leader",
            r["verdict"],
        )
        changed = " ".join(f"{path}={level}" for path, level in r["params"].items()) or "nothing: the anchor"
        body.append(
            [
                r["study"],
                r["label"],
                r["seeds"],
                mean_span(r["interval"], form),
                gap,
                r["fate"],
                Cell(changed, "code"),
            ]
        )
    rule = str(race.get("rule") or "The rule is not recorded.")
    what = named(aim["name"]).removesuffix(", %")
    least = " (less is better)" if aim["direction"] == "minimize" else ""
    caption = (
        f"Rule: {rule} Validation: {what}{least} on the race's seeds alone, mean [{results.confidence:.0%} "
        "t interval], and the paired "
        "difference to the leader. These intervals are not adjusted for the number of looks; the rule is."
    )
    if any(r["fate"].startswith("not decided") for r in rows):
        caption += (
            " A race that ended after one seed decides nothing: there the best of the search by "
            "validation was taken."
        )
    unit, apart = (", %", ", points") if fraction else ("", "")
    head = [
        "study",
        "configuration",
        "race seeds",
        f"validation{unit}",
        f"minus the leader{apart}",
        "outcome",
        "set",
    ]
    return Table(
        head, body, caption, query(aim["name"]), key="table-racing", title="The race for the last place"
    )
