"""Cost of a configuration beside a plain one: FLOPs and time of a training round, paired by seed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, median

from ..figures.rows import place_in, scenario_order, with_firm
from ..look.entries import base_label, entries, families, number_at
from ..read.results import Results, Row, finished_trials, flatten
from ..stats.intervals import NO_WIDTH, Interval, t_interval

QUANTITIES = {"seconds": "time", "flops": "FLOPs"}


OT_COLUMNS = ("ot_iterations", "ot_marginal_error", "ot_unconverged")


def per_round(rounds: Iterable[Row]) -> dict[str, Row]:
    """Return the cost of a training round without evaluation, by run.

    Args:
        rounds: Rows of the rounds table on validation.

    Returns:
        Run -> seconds (median), flops (mean), and the mean of each of `OT_COLUMNS`, None where not reported.
    """
    run_rounds: dict[str, list[Row]] = defaultdict(list)
    for row in rounds:
        if row["round"] > 0 and row.get("acc_personal_own") is None and row.get("seconds") is not None:
            run_rounds[row["run"]].append(row)
    costs: dict[str, Row] = {}
    for run, rows in run_rounds.items():
        seconds, flops = (row["seconds"] for row in rows), (row.get("flops") or 0.0 for row in rows)
        costs[run] = {"seconds": median(seconds), "flops": mean(flops)}
        for name in OT_COLUMNS:
            values = [row[name] for row in rows if row.get(name) is not None]
            costs[run][name] = mean(values) if values else None
    return costs


def ratio_interval(ratios: Sequence[float], confidence: float) -> Interval | None:
    """Return the geometric mean of ratios with Student's t interval of their logarithms.

    `p` is that of a ratio of one; `verdict` has no meaning.
    """
    interval = t_interval([math.log(ratio) for ratio in ratios if ratio > 0], confidence)
    if interval is None:
        return None
    low, high = (None if end is None else math.exp(end) for end in (interval.low, interval.high))
    return Interval(math.exp(interval.mean), low, high, interval.n, interval.p)


def differs_from_one(interval: Interval) -> bool:
    """Return whether a ratio is shown to differ from one."""
    if interval.low is None or interval.high is None or interval.high - interval.low <= NO_WIDTH:
        return False
    return interval.low > 1 or interval.high < 1


def table_cost(results: Results, rounds: Iterable[Row], reference: str, paths: Sequence[str]) -> list[Row]:
    """Return the cost of a training round by scenario and configuration, as ratios to the reference's.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        reference: The label of the plain configuration, with or without `(tuned)`.
        paths: Settings that the cost is drawn against.

    Returns:
        Rows with scenario, label, line (see `entries.families`), x (path -> number or None), plain (it is the
        reference), seconds and flops (means over seeds), time and work (see `ratio_interval`; paired by
        seed), pairs (seed -> ratio of time), seeds, and `OT_COLUMNS`; the reference's too.
    """
    trials, run_costs = finished_trials(results.trials, "confirm"), per_round(rounds)
    lines, labels, scenarios = families(trials, paths), list(entries(results)), scenario_order(results)
    costs, reference_costs = {}, {}
    for trial in trials:
        runs = zip(trial["seeds"], trial.get("runs") or [], strict=False)
        cost = {seed: run_costs[run] for seed, run in runs if run in run_costs}
        costs[(trial["scenario"], trial["label"])] = cost
        if reference in (trial["label"], base_label(trial["label"])):
            reference_costs[trial["scenario"]] = cost
    rows = []
    for trial in trials:
        scenario, label = trial["scenario"], trial["label"]
        row = _cost_row(costs[(scenario, label)], reference_costs.get(scenario, {}), results.confidence)
        if row:
            x = {path: number_at(trial, path) for path in paths}
            place = {"scenario": scenario, "label": label, "line": lines[label], "x": x}
            rows.append({**place, "plain": reference in (label, base_label(label)), **row})
    rows.sort(key=lambda row: (place_in(scenarios, row["scenario"]), labels.index(row["label"])))
    return rows


def _cost_row(cost: Mapping[int, Row], reference: Mapping[int, Row], confidence: float) -> Row | None:
    """Return the ratios of a configuration's cost to the reference's; None where no seed is shared.

    Args:
        cost: Seed -> cost of a round.
        reference: The same of the reference.
        confidence: Coverage of the intervals.
    """
    ratios = {
        quantity: {
            seed: cost[seed][quantity] / reference[seed][quantity]
            for seed in cost
            if seed in reference and reference[seed][quantity]
        }
        for quantity in QUANTITIES
    }
    if not ratios["seconds"]:
        return None
    measured = {
        name: [seed_cost[name] for seed_cost in cost.values() if seed_cost[name] is not None]
        for name in (*QUANTITIES, *OT_COLUMNS)
    }
    return {
        "seeds": len(ratios["seconds"]),
        "pairs": ratios["seconds"],
        "time": ratio_interval(list(ratios["seconds"].values()), confidence),
        "work": ratio_interval(list(ratios["flops"].values()), confidence),
        **{name: mean(values) if values else None for name, values in measured.items()},
    }


def typical(results: Results, rows: Sequence[Row], paths: Sequence[str]) -> dict[str, float]:
    """Return path -> the most frequent value; of several, the one nearest to the base's value."""
    base, values = flatten(results.meta.get("anchor") or {}), {}
    for path in paths:
        counts = Counter(row["x"][path] for row in rows if not row["plain"] and row["x"][path] is not None)
        candidates = [value for value, number in counts.items() if number == max(counts.values())]
        base_value = base.get(path)
        if (
            len(candidates) > 1
            and isinstance(base_value, int | float)
            and base_value > 0
            and min(candidates) > 0
        ):
            candidates.sort(key=lambda value: abs(math.log(value / base_value)))
        if candidates:
            values[path] = candidates[0]
    return values


def against(rows: Sequence[Row], path: str, typical_settings: dict[str, float]) -> list[Row]:
    """Return the rows that differ from the typical settings in `path` alone."""
    return [
        r
        for r in rows
        if not r["plain"]
        and r["x"][path] is not None
        and all(r["x"][other] in (None, value) for other, value in typical_settings.items() if other != path)
    ]


def several(rows: Sequence[Row], path: str) -> bool:
    """Return whether there are two values to draw against."""
    return len({r["x"][path] for r in rows}) > 1


def table_time_ratios(results: Results, rows: Sequence[Row], paths: Sequence[str]) -> list[Row]:
    """Return the ratios of time in the sentences.

    Args:
        results: The sweep.
        rows: Rows of `table_cost`.
        paths: Settings that the cost is drawn against.

    Returns:
        Of each configuration at the typical settings (path is None), its time beside the reference; of each
        line and path, the time at the largest value beside that at the smallest: rows with path, first and
        last (rows of `table_cost`), change (see `ratio_interval`) and firm (it remains when adjusted for the
        number of rows).
    """
    settings = typical(results, rows, paths)
    ratios: list[Row] = []
    for row in rows:
        at_typical = all(row["x"][path] in (None, value) for path, value in settings.items())
        if at_typical and not row["plain"]:
            ratios.append({"path": None, "first": row, "last": row, "change": row["time"]})
    for path in paths:
        path_rows = against(rows, path, settings)
        for line in dict.fromkeys(row["line"] for row in path_rows):
            line_rows = sorted((r for r in path_rows if r["line"] == line), key=lambda r: r["x"][path])
            first, last = line_rows[0], line_rows[-1]
            pairs = [last["pairs"][s] / first["pairs"][s] for s in last["pairs"] if s in first["pairs"]]
            change = ratio_interval(pairs, results.confidence)
            if several(line_rows, path):
                ratios.append({"path": path, "first": first, "last": last, "change": change})
    return with_firm([ratio for ratio in ratios if ratio["change"]], results.confidence, "change")
