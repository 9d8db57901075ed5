"""Effect of the open choices on the winner: the method against its strongest rival at every level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished_trials
from ...stats.intervals import Interval, Verdict, benjamini_hochberg, paired
from ..rows import interval_columns, symbol_of, symbols_of
from .contrasts import missing_levels, sort_as_declared

Effect = Literal["changes", "may change", "keeps", "may keep", "undecided"]


# Start of the paths of the method's own choices. Other settings change the rivals too.
METHOD = "method."


OPEN = ("level", "undecided")  # values of `winner` where there is none


QUERY = f"""WITH seeds AS (
  SELECT study, scenario, kind, factor, level, label, unnest(seeds) AS seed,
    unnest(acc_personal_own) AS accuracy
  FROM {parts("trials")}
  WHERE kind IN ('contrast', 'rival') AND state = 'COMPLETE')
SELECT c.scenario, c.factor, c.level, r.label AS rival, avg(c.accuracy - r.accuracy) AS mean,
       stddev_samp(c.accuracy - r.accuracy) AS sd, count(*) AS seeds,
       row_number() OVER (PARTITION BY c.study, c.factor, c.level ORDER BY avg(r.accuracy) DESC) AS place
FROM seeds c JOIN seeds r ON r.study = c.study AND r.seed = c.seed
WHERE c.kind = 'contrast' AND r.kind = 'rival' AND (c.factor IS NULL OR starts_with(c.factor, '{METHOD}'))
GROUP BY c.study, c.scenario, c.factor, c.level, r.label
ORDER BY ALL"""


def table_winners(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """Return a row per study and contrast trial of the method's choices, the anchor's first.

    Returns:
        Rows with study, scenario, method, path and symbol (None at the anchor), level, rival (of the highest
        mean on these seeds), rivals (their number), interval, mean, low, high (the method minus that rival,
        paired by seed), seeds, verdict (see `outcome`), winner (the method, the rival, `level` or
        `undecided`), missing_levels (see `contrasts.missing_levels`) and firm (the verdict remains when
        adjusted for the number of rows).
    """
    rivals: dict[str, dict[str, dict[int, float]]] = {}
    for trial in finished_trials(results.trials, "rival"):
        rivals.setdefault(trial["study"], {})[trial["label"]] = by_seed(trial, metric)
    symbols, missing, rows, intervals = symbols_of(results), missing_levels(results), [], []
    for trial in finished_trials(results.trials, "contrast"):
        path = trial.get("factor")
        rival_values = rivals.get(trial["study"], {}) if not path or path.startswith(METHOD) else {}
        comparison = _compare(by_seed(trial, metric), rival_values, results.confidence)
        if comparison is None:
            continue
        interval, verdict = comparison.interval, comparison.verdict
        intervals.append(replace(interval, p=comparison.p))
        rows.append(
            {
                **{key: trial[key] for key in ("study", "scenario", "method")},
                "path": path or None,
                "symbol": symbol_of(symbols, path) if path else None,
                "level": str(trial["level"]) if path else None,
                "rival": comparison.rival,
                "rivals": comparison.rivals,
                **interval_columns(interval),
                "verdict": verdict,
                "missing_levels": missing.get((trial["study"], path or ""), ""),
                "winner": {"helps": trial["method"], "hurts": comparison.rival}.get(verdict, verdict),
            }
        )
    for row, is_firm in zip(rows, benjamini_hochberg(intervals, 1 - results.confidence), strict=True):
        row["firm"] = is_firm
    return sort_as_declared(results, rows)


@dataclass(frozen=True)
class Comparison:
    """The method against its rivals on common seeds.

    Attributes:
        rival: The rival of the highest mean on these seeds.
        rivals: Number of rivals.
        interval: The method minus that rival, paired by seed.
        verdict: See `outcome`.
        p: See `outcome`.
    """

    rival: str
    rivals: int
    interval: Interval
    verdict: Verdict
    p: float | None


def _compare(
    values: Mapping[int, float], rivals: Mapping[str, Mapping[int, float]], confidence: float
) -> Comparison | None:
    """Return the comparison of the method with its rivals; None where no seed is shared."""
    gaps = {name: gap for name, other in rivals.items() if (gap := paired(values, other, confidence))}
    means = {}
    for name in gaps:
        shared = [value for seed, value in rivals[name].items() if seed in values]
        if shared:
            means[name] = sum(shared) / len(shared)
    if not means:
        return None
    strongest = max(means, key=lambda name: means[name])
    verdict, p = outcome(gaps, strongest, confidence)
    return Comparison(strongest, len(gaps), gaps[strongest], verdict, p)


def outcome(gaps: Mapping[str, Interval], strongest: str, confidence: float) -> tuple[Verdict, float | None]:
    """Return the verdict on the winner from the differences to all rivals, and its two-sided p.

    The strongest rival is a maximum, chosen and tested on the same seeds. So the method is the winner only
    where it is ahead of every rival; as all of these must hold, none needs an adjustment (intersection-union:
    Berger, Technometrics 24 (1982) 295-300) and p is the largest. The strongest rival is the winner only
    where its lead remains when adjusted for the number of rivals (Holm, Scandinavian Journal of Statistics 6
    (1979) 65-70).

    Args:
        gaps: Rival -> the interval of the method minus it.
        strongest: The rival of the highest mean.
        confidence: Coverage of the intervals.
    """
    gap, verdicts = gaps[strongest], {interval.verdict for interval in gaps.values()}
    if gap.low is None:  # one seed
        return "undecided", None
    if gap.mean > 0:
        ps = [interval.p for interval in gaps.values() if interval.p is not None and interval.mean > 0]
        p = max(ps) if len(ps) == len(gaps) else None
    else:
        p = min(1.0, 2 * holm({name: _behind(interval) for name, interval in gaps.items()})[strongest])
    if verdicts == {"helps"}:
        return "helps", p
    if gap.verdict == "hurts" and p is not None and p <= 1 - confidence:
        return "hurts", p
    return ("level" if gap.verdict == "level" and verdicts <= {"level", "helps"} else "undecided"), p


def _behind(interval: Interval) -> float:
    """Return the one-sided p of the method not being behind."""
    if interval.p is None:
        return 1.0
    return interval.p / 2 if interval.mean < 0 else 1 - interval.p / 2


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Return the p of each hypothesis, adjusted so that the chance of any false rejection is held."""
    adjusted, largest = {}, 0.0
    for k, name in enumerate(sorted(ps, key=lambda name: ps[name])):
        largest = max(largest, min(1.0, (len(ps) - k) * ps[name]))
        adjusted[name] = largest
    return adjusted


@dataclass(frozen=True)
class Case:
    """One study: its anchor, and the effect of each choice on the winner there.

    Attributes:
        place: The scenario, with the method where several are studied.
        anchor: Its row of `table_winners`.
        effects: Path -> effect on the winner. `keeps` is used only where every declared level ran to its
            end, is decided and has the anchor's winner; `may change` and `may keep` where that does not
            remain when adjusted for the number of all rows.
        others: Path -> the rows of the levels that have another winner.
    """

    place: str
    anchor: Row
    effects: dict[str, Effect]
    others: dict[str, list[Row]]


def cases(rows: Sequence[Row]) -> list[Case]:
    """Return the studies in order; a study without an anchor and its rivals is left out."""
    several_methods, study_cases = len({r["method"] for r in rows}) > 1, []
    for study in dict.fromkeys(r["study"] for r in rows):
        study_rows = [r for r in rows if r["study"] == study]
        anchor = next((r for r in study_rows if r["path"] is None), None)
        if anchor is None:
            continue
        effects, others = {}, {}
        for path in dict.fromkeys(r["path"] for r in study_rows if r["path"] is not None):
            effects[path], others[path] = effect(anchor, [r for r in study_rows if r["path"] == path])
        place = f"{anchor['scenario']} ({anchor['method']})" if several_methods else anchor["scenario"]
        study_cases.append(Case(place, anchor, effects, others))
    return study_cases


def effect(anchor: Row, levels: Sequence[Row]) -> tuple[Effect, list[Row]]:
    """Return the effect of a choice on the winner, and the levels that have another winner."""
    if anchor["winner"] in OPEN:
        return "undecided", []
    others = [row for row in levels if row["winner"] not in OPEN and row["winner"] != anchor["winner"]]
    if others:
        firm_rows = [row for row in others if row["firm"] and anchor["firm"]]
        return ("changes", firm_rows) if firm_rows else ("may change", others)
    if any(row["winner"] != anchor["winner"] or row["missing_levels"] for row in levels):
        return "undecided", []
    return ("keeps" if all(row["firm"] for row in (anchor, *levels)) else "may keep"), []
