"""Two choices moved together: what that gives beyond the sum of both moved alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.forest import mark, reach
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import FAINT, NARROW, SOFT, VERDICT_MARK, WIDTH, blank, drawing
from ...look.words import WITHIN, chance, count, listing, mean_span, points, seeds, shorten
from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished
from ...stats.intervals import firm, multiplicity, t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAID = {
    "helps": "more than the sum",
    "hurts": "less than the sum",
    "level": "additive",
    "undecided": "undecided",
}
QUERY = f"""WITH seeds AS (
  SELECT study, scenario, kind, factor, level, factor2, level2, unnest(seeds) AS seed, unnest(acc_personal_own) AS y
  FROM {parts("trials")} WHERE kind IN ('contrast', 'interaction') AND state = 'COMPLETE')
SELECT b.study, b.scenario, b.factor, b.level, b.factor2, b.level2, avg(b.y - one.y - two.y + a.y) AS mean,
  stddev_samp(b.y - one.y - two.y + a.y) AS sd, count(*) AS seeds
FROM seeds b
JOIN seeds one ON one.kind = 'contrast' AND one.study = b.study AND one.seed = b.seed AND one.factor = b.factor AND one.level = b.level
JOIN seeds two ON two.kind = 'contrast' AND two.study = b.study AND two.seed = b.seed AND two.factor = b.factor2 AND two.level = b.level2
JOIN seeds a ON a.kind = 'contrast' AND a.study = b.study AND a.seed = b.seed AND a.factor IS NULL
WHERE b.kind = 'interaction' GROUP BY ALL ORDER BY ALL"""


def table_interactions(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """One row per finished pair: y_ab - y_a - y_b + y_0, paired by seed, on validation.

    Returns:
        Rows with study, scenario, first, level, second, level2, name, interval, mean, low, high, seeds,
        verdict (`helps`: more than the sum) and firm (it stands when adjusted for the number of pairs).
    """
    alone = {
        (t["study"], t.get("factor"), str(t.get("level")) if t.get("factor") else None): by_seed(t, metric)
        for t in finished(results.trials, "contrast")
    }
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    rows = []
    for trial in finished(results.trials, "interaction"):
        first, second = str(trial["factor"]), str(trial["factor2"])
        keys = [(first, str(trial["level"])), (second, str(trial["level2"])), (None, None)]
        a, b, zero = (alone.get((trial["study"], *key), {}) for key in keys)
        both = by_seed(trial, metric)
        interval = t_interval(
            [y - a[s] - b[s] + zero[s] for s, y in both.items() if s in a and s in b and s in zero],
            results.confidence,
        )
        if interval is None:
            continue
        one, two = (symbols.get(path) or path.rpartition(".")[2] for path in (first, second))
        rows.append(
            {
                "study": trial["study"],
                "scenario": trial["scenario"],
                "first": first,
                "level": str(trial["level"]),
                "second": second,
                "level2": str(trial["level2"]),
                "name": f"{one}={trial['level']}, {two}={trial['level2']}",
                "pair": f"{one} and {two}",
                "interval": interval,
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "seeds": interval.n,
                "verdict": interval.verdict,
            }
        )
    for row, sure in zip(rows, firm([r["interval"] for r in rows], 1 - results.confidence), strict=True):
        row["firm"] = sure
    return rows


@drawing
def draw_interactions(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """A line per pair of levels of one study."""
    figure, axes = blank(0.55 + 0.2 * len(rows), width)
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        mark(axes, y, row, limit)
    axes.set_yticks(range(len(rows)), [shorten(r["name"], 30) for r in rows], fontsize=7)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-limit, limit), ylim=(len(rows) - 0.4, -0.6), xlabel="points beyond the sum of both")
    return figure


def exhibit(results: Results, rows: Sequence[Row]) -> Exhibit | None:
    """The pairs, a panel per study; None where none was asked for."""
    title = "Two choices together"
    if not rows:
        missing = "No pair is finished yet beside both of its choices alone and the anchor."
        promised = results.meta.get("interactions") or any(t["kind"] == "interaction" for t in results.trials)
        return Exhibit("interactions", title, missing=missing) if promised else None
    limit, studies = reach(rows), list(dict.fromkeys(r["study"] for r in rows))
    panels = []
    for study in studies:
        own = [r for r in rows if r["study"] == study]
        panels.append(
            Panel(
                f"interactions-{slug(study)}",
                own[0]["scenario"],
                draw_interactions(own, limit, WIDTH if len(studies) < 3 else NARROW),
            )
        )
    caption = (
        "Validation accuracy (personal, own distribution) with both choices changed, minus each changed "
        "alone, plus the anchor; "
        "paired by seed "
        f"({seeds(sorted({r['seeds'] for r in rows}))}), mean and {results.confidence:.0%} t interval. "
        f"{VERDICT_MARK['helps']} "
        "blue: together they "
        f"give more than the sum; {VERDICT_MARK['hurts']} orange: less; green: they add up ({WITHIN}); "
        "grey: undecided. "
        + chance(
            multiplicity([r["interval"] for r in rows], results.confidence),
            results.confidence,
            "if all choices added up",
        )
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
    """The pairs as a table."""
    if not rows:
        return None
    body: list[list[Any]] = [
        [
            r["scenario"],
            Cell(r["name"], "code"),
            mean_span(r["interval"], points),
            r["seeds"],
            Cell(SAID[r["verdict"]] + (" *" if r["firm"] else ""), r["verdict"]),
        ]
        for r in rows
    ]
    head = ["scenario", "pair", f"beyond the sum, points [{results.confidence:.0%}]", "seeds", "verdict"]
    caption = "A star: it stands when adjusted for the number of pairs."
    return Table(head, body, caption, QUERY, key="table-interactions", title="Pairs of choices")


def sentences(rows: Sequence[Row]) -> list[str]:
    """Which pairs are shown to act together."""
    if not rows:
        return []
    where: dict[str, dict[str, None]] = {}
    found = [r for r in rows if r["firm"] and r["verdict"] in ("helps", "hurts")]
    for r in found:
        where.setdefault(r["pair"], {})[r["scenario"]] = None
    sure = [f"{pair} (under {listing(list(places))})" for pair, places in where.items()]
    may = sum(r["verdict"] in ("helps", "hurts") for r in rows) - len(found)
    level, left = (sum(r["verdict"] == word for r in rows) for word in ("level", "undecided"))
    said = [
        f"{', '.join(sure)} {'is' if len(found) == 1 else 'are'} shown to act together"
        if sure
        else "none is shown to act together"
    ]
    said += [f"{may} may (not when adjusted for their number)"] if may else []
    said += [f"{level} add{'s' if level == 1 else ''} up ({WITHIN})"] if level else []
    said += [f"{left} {'is' if left == 1 else 'are'} undecided"] if left else []
    return [f"Of {count(len(rows), 'pair')} of changed choices, {'; '.join(said)}."]
