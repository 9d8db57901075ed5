"""The race for the last place: which configurations got more seeds, and who fell out when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..page import Cell, Table
from ..queries import parts
from ..results import Results, Row, by_seed, finished, params
from ..stats import paired, t_interval
from ..words import count, mean_span, points
from .contrasts import OBJECTIVE

QUERY = f"""SELECT study, scenario, label, avg(accuracy) AS mean, stddev_samp(accuracy) AS sd, count(*) AS seeds
FROM (SELECT study, scenario, label, unnest(acc_personal_own) AS accuracy FROM {parts("trials")}
      WHERE kind = 'race' AND state = 'COMPLETE')
GROUP BY ALL ORDER BY study, seeds DESC, mean DESC"""


def table_racing(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """One row per raced configuration, those that stayed longest first.

    Returns:
        Rows with study, scenario, label, set (what it changed), seeds, interval (of its race seeds), gap (minus the one that stayed and
        leads, paired), verdict of the gap, and fate: `taken`, `left at the end`, `out after N seeds`, `failed` or `racing`.
    """
    raced: dict[tuple[str, str], list[Row]] = {}
    for trial in (t for t in results.trials if t["kind"] == "race"):
        raced.setdefault((trial["study"], trial["label"]), []).append(trial)
    rows = []
    for study in dict.fromkeys(study for study, _ in raced):
        own = {label: trials for (s, label), trials in raced.items() if s == study}
        values = {label: _values(trials, metric) for label, trials in own.items()}
        most = max(len(v) for v in values.values())
        failed = {label for label, trials in own.items() if any(t["state"] != "COMPLETE" for t in trials)}
        means = {label: sum(v.values()) / len(v) for label, v in values.items() if len(v) == most and label not in failed and v}
        leader = max(means, key=lambda label: means[label], default=None)
        confirmed = any(t["study"] == study for t in finished(results.trials, "confirm"))
        for label, trials in own.items():
            gap = paired(values[label], values[leader], results.confidence) if leader is not None and label != leader else None
            n = len(values[label])
            fate = "failed" if label in failed else f"out after {count(n, 'seed')}" if n < most else "left at the end"
            if not confirmed:
                fate = "failed" if label in failed else "racing" if n >= most - 1 else f"out after {count(n, 'seed')}"
            rows.append({"study": study, "scenario": trials[0]["scenario"], "label": label, "params": params(trials[0]), "seeds": n,
                         "interval": t_interval(list(values[label].values()), results.confidence), "gap": gap,
                         "verdict": gap.verdict if gap else "", "fate": "taken" if confirmed and label == leader else fate})  # fmt: skip
    order = list(dict.fromkeys(r["study"] for r in rows))
    return sorted(rows, key=lambda r: (order.index(r["study"]), -r["seeds"], -(r["interval"].mean if r["interval"] else -1.0)))


def _values(trials: Sequence[Row], metric: str) -> dict[int, float]:
    return {seed: value for t in trials if t["state"] == "COMPLETE" for seed, value in by_seed(t, metric).items()}


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """The race as a table, with the rule in words; None where nothing was raced."""
    race = results.meta.get("race") or {}
    if not rows:
        return None
    body: list[list[Any]] = []
    for r in rows:
        word = {"helps": "ahead", "hurts": "behind", "level": "level", "undecided": "undecided"}.get(r["verdict"], "")
        gap = Cell(f"{mean_span(r['gap'], points)} {word}" if r["gap"] else "the leader", r["verdict"])
        changed = " ".join(f"{path}={value}" for path, value in r["params"].items()) or "nothing: the anchor"
        body.append([r["study"], r["label"], r["seeds"], mean_span(r["interval"]), gap, r["fate"], Cell(changed, "code")])
    rule = str(race.get("rule") or "The rule is not recorded.")
    caption = (
        f"Rule: {rule} Validation accuracy (personal, own distribution) on the race's seeds alone, mean [{results.confidence:.0%} t "
        "interval], and the paired difference to the leader. These intervals are not adjusted for the number of looks; the rule is."
    )
    head = ["study", "configuration", "race seeds", "validation, %", "minus the leader, points", "outcome", "set"]
    return Table(head, body, caption, QUERY, key="table-racing", title="The race for the last place")
