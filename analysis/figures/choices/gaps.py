"""Specification gaps: the largest effect of each choice that the paper leaves open, and the method's lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...read.results import OBJECTIVE, Results, Row, by_seed, finished_trials
from ...stats.intervals import Interval, benjamini_hochberg, bonferroni_confidence, paired
from ..rows import scenario_order
from .contrasts import missing_levels, sort_as_declared
from .rivals import Rival, SeedValues, strongest
from .winners import METHOD

ANCHOR = "anchor"


def table_gaps(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """Return a row per scenario and declared choice, tried or not.

    All intervals of a row hold together over the choice's levels (Bonferroni), so that the largest of them
    may be shown.

    Returns:
        Rows with study, scenario, path, symbol, doc, basis, source, tried and searched (in words), and
        missing_levels (in words; empty if none). Effect: level, interval, verdict and firm of the level that
        is reported (of the decided levels the one with the largest difference to the anchor, else the largest
        of all; None where nothing ran), effects (all differences), best and best_interval (`anchor` and None
        where no level has a higher mean). Lead: rival (see `rivals.strongest`), least and lead (the level
        where the method's lead is smallest, and its interval), lasts and lasts_firm. The values of lasts are
        `survives`; `reverses` (ahead at the anchor, behind at some level); `deficit` (behind at some level,
        undecided at the anchor); `behind` (at the anchor too); `undecided`; and empty where it is not asked.
    """
    trials, missing = finished_trials(results.trials, "contrast"), missing_levels(results)
    rows = []
    for study, scenario in _studies(results):
        study_trials = [trial for trial in trials if trial["study"] == study]
        anchor = next((by_seed(trial, metric) for trial in study_trials if not trial.get("factor")), {})
        rival = strongest(results, study, scenario, metric)
        for choice in choices_in_words(results):
            path = choice["path"]
            levels = {str(t["level"]): by_seed(t, metric) for t in study_trials if t.get("factor") == path}
            untried = missing.get((study, path), "" if levels else "not tried yet")
            place = {"study": study, "scenario": scenario, "missing_levels": untried, "rival": rival}
            effect = _effect(anchor, levels, untried, results.confidence)
            lead_levels = {ANCHOR: anchor, **levels} if path.startswith(METHOD) else {}
            lead = _lead(lead_levels, rival, untried, results.confidence)
            rows.append({**place, **choice, **effect, **lead})
    for name, flag in (("interval", "firm"), ("lead", "lasts_firm")):
        shown = [row for row in rows if row[name] is not None]
        adjusted_intervals = [replace(row[name], p=row[f"{name}_p"]) for row in shown]
        for row, is_firm in zip(
            shown, benjamini_hochberg(adjusted_intervals, 1 - results.confidence), strict=True
        ):
            row[flag] = is_firm
    return sort_as_declared(results, rows)


def _studies(results: Results) -> list[tuple[str, str]]:
    """Return study and scenario of the method under each scenario, run or planned."""
    contrasts = [trial for trial in results.trials if trial["kind"] == "contrast"]
    if contrasts:
        return list({trial["study"]: str(trial["scenario"]) for trial in contrasts}.items())
    return [(f"{results.meta.get('space')} | {label}", label) for label in scenario_order(results)]


def choices_in_words(results: Results) -> list[Row]:
    """Return every declared choice in words, then those that were tried without being declared."""
    factors: dict[str, Row] = {factor["path"]: factor for factor in results.meta.get("factors") or []}
    for trial in results.trials:
        if trial["kind"] == "contrast" and trial.get("factor"):
            factors.setdefault(trial["factor"], {})
    rows = []
    for path, factor in factors.items():
        levels = [str(v) for v in factor.get("levels") or [] if str(v) != str(factor.get("anchor"))]
        rows.append(
            {
                "path": path,
                "symbol": factor.get("symbol") or path.rpartition(".")[2],
                **{key: factor.get(key) or "" for key in ("doc", "basis", "source")},
                "anchor": factor.get("anchor"),
                "tried": ", ".join(levels),
                "searched": factor.get("search") or "",
            }
        )
    return rows


def _joint_intervals(
    levels: Mapping[str, SeedValues], reference: SeedValues, confidence: float
) -> dict[str, Interval]:
    """Return the interval of each level minus the reference; all of them hold together (Bonferroni)."""
    level_confidence = bonferroni_confidence(confidence, len(levels))
    return {
        level: interval
        for level, values in levels.items()
        if (interval := paired(values, reference, level_confidence))
    }


def _effect(anchor: SeedValues, levels: Mapping[str, SeedValues], missing: str, confidence: float) -> Row:
    """Return the effect of a choice: the differences of its levels to the anchor.

    Args:
        anchor: Values at the anchor.
        levels: Values at each finished level.
        missing: In words, which levels are missing; empty if none.
        confidence: Coverage of all intervals together.
    """
    intervals = _joint_intervals(levels, anchor, confidence)
    if not intervals:
        nothing = dict.fromkeys(("level", "interval", "best", "best_interval", "interval_p"))
        return {**nothing, "verdict": "undecided", "firm": False, "effects": {}}
    decided = [level for level, interval in intervals.items() if interval.excludes_zero]
    level = max(decided or intervals, key=lambda name: abs(intervals[name].mean))
    interval = intervals[level]
    verdict = interval.verdict
    if verdict == "level" and (missing or any(i.verdict != "level" for i in intervals.values())):
        verdict = "undecided"
    top = max(intervals, key=lambda name: intervals[name].mean)
    best, best_interval = (top, intervals[top]) if intervals[top].mean > 0 else (ANCHOR, None)
    return {
        "level": level,
        "interval": interval,
        "verdict": verdict,
        "firm": False,
        "effects": {name: interval.mean for name, interval in intervals.items()},
        "best": best,
        "best_interval": best_interval,
        "interval_p": None if interval.p is None else min(1.0, len(levels) * interval.p),
    }


def _lead(levels: Mapping[str, SeedValues], rival: Rival | None, missing: str, confidence: float) -> Row:
    """Return whether the lead over the rival lasts over all levels.

    Args:
        levels: Values at the anchor and at each finished level; empty where the lead is not asked for.
        rival: The rival, if there is any.
        missing: In words, which levels are missing; empty if none.
        confidence: Coverage of all intervals together.
    """
    intervals = _joint_intervals(levels, rival.values, confidence) if rival else {}
    row: Row = {"least": None, "lead": None, "lasts": "undecided", "lasts_firm": False, "lead_p": None}
    if len(intervals) < 2 or ANCHOR not in intervals:  # the anchor alone says nothing about the choice
        return {**row, "lasts": "undecided" if levels else ""}
    least = min(intervals, key=lambda name: intervals[name].mean)
    row |= {"least": least, "lead": intervals[least]}
    if all(interval.verdict == "helps" for interval in intervals.values()) and not missing:
        row |= {"lasts": "survives", "lead_p": max(interval.p or 0.0 for interval in intervals.values())}
    elif any(interval.verdict == "hurts" for interval in intervals.values()):
        behind = [i.p / 2 for i in intervals.values() if i.p is not None and i.mean < 0]
        at_anchor = intervals[ANCHOR].verdict
        row["lasts"] = {"hurts": "behind", "helps": "reverses"}.get(at_anchor, "deficit")
        row["lead_p"] = min(1.0, 2 * len(levels) * min(behind))
    return row
