"""Two choices changed together: the effect beyond the sum of both changed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.forest import axis_limit, draw_difference
from ...look.marks import finish_differences, panel_width
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import FAINT, VERDICT_MARK, WIDTH, blank, drawing
from ...look.words import WITHIN, chance_sentence, count, listing, mean_span, points, seed_count
from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished_trials
from ...stats.intervals import multiplicity, t_interval
from ..rows import interval_columns, symbol_of, symbols_of, with_firm
from ..sentences import be

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERDICT_WORDS = {
    "helps": "more than the sum",
    "hurts": "less than the sum",
    "level": "additive",
    "undecided": "undecided",
}
QUERY = f"""WITH seeds AS (
  SELECT study, scenario, kind, factor, level, factor2, level2, unnest(seeds) AS seed,
    unnest(acc_personal_own) AS y
  FROM {parts("trials")} WHERE kind IN ('contrast', 'interaction') AND state = 'COMPLETE'
), alone AS (FROM seeds WHERE kind = 'contrast')
SELECT b.study, b.scenario, b.factor, b.level, b.factor2, b.level2, avg(b.y - one.y - two.y + a.y) AS mean,
  stddev_samp(b.y - one.y - two.y + a.y) AS sd, count(*) AS seeds
FROM seeds b
JOIN alone one ON one.study = b.study AND one.seed = b.seed AND one.factor = b.factor AND one.level = b.level
JOIN alone two ON two.study = b.study AND two.seed = b.seed
  AND two.factor = b.factor2 AND two.level = b.level2
JOIN alone a ON a.study = b.study AND a.seed = b.seed AND a.factor IS NULL
WHERE b.kind = 'interaction' GROUP BY ALL ORDER BY ALL"""


def table_interactions(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """Return a row per finished pair: y_ab - y_a - y_b + y_0, paired by seed, on validation.

    Returns:
        Rows with study, scenario, first, level, second, level2, name, pair, interval, mean, low, high, seeds,
        verdict (`helps`: more than the sum) and firm (it remains when adjusted for the number of pairs).
    """
    values_alone = {
        (
            trial["study"],
            trial.get("factor"),
            str(trial.get("level")) if trial.get("factor") else None,
        ): by_seed(trial, metric)
        for trial in finished_trials(results.trials, "contrast")
    }
    symbols, rows = symbols_of(results), []
    for trial in finished_trials(results.trials, "interaction"):
        study, levels = trial["study"], (str(trial["level"]), str(trial["level2"]))
        paths = (str(trial["factor"]), str(trial["factor2"]))
        keys = [*zip(paths, levels, strict=True), (None, None)]
        a, b, zero = (values_alone.get((study, *key), {}) for key in keys)
        interval = t_interval(
            [
                value - a[seed] - b[seed] + zero[seed]
                for seed, value in by_seed(trial, metric).items()
                if seed in a and seed in b and seed in zero
            ],
            results.confidence,
        )
        if interval is None:
            continue
        names = [symbol_of(symbols, path) for path in paths]
        rows.append(
            {
                "study": study,
                "scenario": trial["scenario"],
                **dict(zip(("first", "second"), paths, strict=True)),
                **dict(zip(("level", "level2"), levels, strict=True)),
                "name": ", ".join(f"{name}={level}" for name, level in zip(names, levels, strict=True)),
                "pair": " and ".join(names),
                **interval_columns(interval),
                "verdict": interval.verdict,
            }
        )
    return with_firm(rows, results.confidence)


@drawing
def draw_interactions(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """Draw a line per pair of levels of one study.

    Args:
        rows: Rows of `table_interactions` of one study.
        limit: Half the width of the x axis in points.
        width: Width of the panel, inches.
    """
    figure, axes = blank(0.55 + 0.2 * len(rows), width)
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        draw_difference(axes, y, row, (-limit, limit))
    finish_differences(axes, [row["name"] for row in rows], limit, "points beyond the sum of both", 30)
    return figure


def exhibit(results: Results, rows: Sequence[Row]) -> Exhibit | None:
    """Return the figure of the pairs, a panel per study; None where no pair was planned.

    Args:
        results: The sweep.
        rows: Rows of `table_interactions`.
    """
    title = "Two choices together"
    if not rows:
        missing = "No pair is finished yet beside both of its choices alone and the anchor."
        planned = results.meta.get("interactions") or any(t["kind"] == "interaction" for t in results.trials)
        return Exhibit("interactions", title, missing=missing) if planned else None
    limit, studies, panels = axis_limit(rows), list(dict.fromkeys(row["study"] for row in rows)), []
    for study in studies:
        study_rows = [row for row in rows if row["study"] == study]
        figure = draw_interactions(study_rows, limit, panel_width(len(studies)))
        panels.append(Panel(f"interactions-{slug(study)}", study_rows[0]["scenario"], figure))
    adjusted = chance_sentence(
        multiplicity([row["interval"] for row in rows], results.confidence),
        results.confidence,
        "if all choices added up",
    )
    caption = (
        f"Validation {results.metric} (personal, own distribution) with both choices changed, minus each "
        "changed alone, plus the anchor; paired by seed "
        f"({seed_count(sorted({row['seeds'] for row in rows}))}), mean and {results.confidence:.0%} t "
        f"interval. {VERDICT_MARK['helps']} blue: together they give more than the sum; "
        f"{VERDICT_MARK['hurts']} orange: less; green: they add up ({WITHIN}); grey: undecided. {adjusted}"
    )
    columns = (
        "scenario",
        "first",
        "level",
        "second",
        "level2",
        "mean",
        "low",
        "high",
        "seeds",
        "verdict",
        "firm",
    )
    return Exhibit("interactions", title, caption, QUERY, panels, numbers(rows, columns))


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the pairs as a table; None where there are none."""
    if not rows:
        return None
    body: list[list[Any]] = [
        [
            r["scenario"],
            Cell(r["name"], "code"),
            mean_span(r["interval"], points),
            r["seeds"],
            Cell(VERDICT_WORDS[r["verdict"]] + (" *" if r["firm"] else ""), r["verdict"]),
        ]
        for r in rows
    ]
    head = ["scenario", "pair", f"beyond the sum, points [{results.confidence:.0%}]", "seeds", "verdict"]
    caption = "A star: the verdict remains when adjusted for the number of pairs."
    return Table(head, body, caption, QUERY, key="table-interactions", title="Pairs of choices")


def sentences(rows: Sequence[Row]) -> list[str]:
    """Return a sentence that names the pairs shown to act together.

    Args:
        rows: Rows of `table_interactions`.
    """
    if not rows:
        return []
    firm_rows = [row for row in rows if row["firm"] and row["interval"].excludes_zero]
    scenarios: dict[str, dict[str, None]] = {}
    for row in firm_rows:
        scenarios.setdefault(row["pair"], {})[row["scenario"]] = None
    pairs = [f"{pair} (under {listing(list(places))})" for pair, places in scenarios.items()]
    possible = sum(row["interval"].excludes_zero for row in rows) - len(firm_rows)
    level, undecided = (sum(row["verdict"] == verdict for row in rows) for verdict in ("level", "undecided"))
    clauses = [
        f"{', '.join(pairs)} {be(len(firm_rows))} shown to act together"
        if pairs
        else "none is shown to act together",
        f"{possible} may (not when adjusted for their number)" if possible else "",
        f"{level} add{'s' if level == 1 else ''} up ({WITHIN})" if level else "",
        f"{undecided} {be(undecided)} undecided" if undecided else "",
    ]
    text = "; ".join(clause for clause in clauses if clause)
    return [f"Of {count(len(rows), 'pair')} of changed choices, {text}."]
