"""Transfer of a tuning: the cost on the test split of using a configuration tuned under another scenario."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...look.marks import TILE_COLOURS, hide_frame
from ...look.page import Cell, Exhibit, Panel, Table, numbers
from ...look.style import INK, SOFT, blank, drawing
from ...look.words import WITHIN, chance_sentence, count, listing, mean_span, points, seed_count, span
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row, by_seed, finished_trials, parameters_of
from ...stats.intervals import multiplicity, paired
from ..rows import interval_columns, scenario_order, with_firm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_METRIC = "test_acc_personal_own"
# The regret is a loss: where it is positive the own tuning is better.
VERDICT_WORDS = {"helps": "costs", "hurts": "gains", "level": "level", "undecided": "undecided"}
CELL_LOOKS = {"helps": "hurts", "hurts": "helps", "level": "level", "undecided": "undecided"}
QUERY = f"""WITH latest AS (
  FROM {parts("trials")} WHERE kind IN ('confirm', 'transfer') AND state = 'COMPLETE'
  QUALIFY row_number() OVER (PARTITION BY study, kind, label, level ORDER BY finished DESC) = 1
), seeds AS (
  SELECT study, kind, label, level, scenario, unnest(seeds) AS seed, unnest({TEST_METRIC}) AS accuracy
  FROM latest
)
SELECT t.study, t.level AS tuned_on, t.scenario AS used_on, avg(o.accuracy - t.accuracy) AS regret,
  stddev_samp(o.accuracy - t.accuracy) AS sd, count(*) AS seeds
FROM seeds t JOIN seeds o ON o.study = t.study AND o.seed = t.seed AND o.kind = 'confirm'
  AND o.label = regexp_replace(t.label, ' tuned on .*$', '') || ' (tuned)'
WHERE t.kind = 'transfer' GROUP BY ALL ORDER BY ALL"""


def table_transfer(results: Results) -> list[Row]:
    """Return a row per transfer trial: the scenario's own tuned configuration minus the transferred one.

    Returns:
        Rows with study, method, tuned_on, used_on, interval (paired by fresh seed), mean, low, high, seeds,
        same (both tunings are one configuration), verdict (`helps`: the own tuning is better) and firm.
    """
    confirmed = {
        (trial["study"], trial["label"]): trial for trial in finished_trials(results.trials, "confirm")
    }
    rows = []
    for trial in finished_trials(results.trials, "transfer"):
        label = trial["label"].removesuffix(f" tuned on {trial['level']}")
        own_trial = confirmed.get((trial["study"], f"{label} (tuned)"))
        if own_trial is None:
            continue
        own_values, values = by_seed(own_trial, TEST_METRIC), by_seed(trial, TEST_METRIC)
        interval = paired(own_values, values, results.confidence)
        if interval is None:
            continue
        same = parameters_of(own_trial) == parameters_of(trial) and own_values == values
        place = {"tuned_on": str(trial["level"]), "used_on": trial["scenario"]}
        about = {"study": trial["study"], "method": trial["method"], **place}
        verdict = "level" if same else interval.verdict
        rows.append({**about, **interval_columns(interval), "same": same, "verdict": verdict})
    return with_firm(rows, results.confidence)


@drawing
def draw_transfer(rows: Sequence[Row], places: Sequence[str]) -> Figure:
    """Draw a tile per pair of scenarios with the regret in points and its interval; the diagonal has none.

    Args:
        rows: Rows of `table_transfer`.
        places: Scenarios, in order.
    """
    from matplotlib.patches import Rectangle

    n = len(places)
    figure, axes = blank(0.95 + 0.5 * n, 1.45 + 1.05 * n)
    for i in range(n):
        axes.annotate("own", (i, i), ha="center", va="center", fontsize=7, color=SOFT)
    for row in rows:
        x, y = places.index(row["used_on"]), places.index(row["tuned_on"])
        axes.add_patch(
            Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=TILE_COLOURS[row["verdict"]], linewidth=0)
        )
        text = (
            "the same\nsettings"
            if row["same"]
            else f"{points(row['mean'])}\n{span(row['interval']) if row['low'] is not None else 'one seed'}"
        )
        axes.annotate(
            text,
            (x, y),
            ha="center",
            va="center",
            fontsize=7,
            color=SOFT if row["verdict"] == "undecided" else INK,
        )
    names = ["\n".join(textwrap.wrap(place, 15)) for place in places]
    axes.set_xticks(range(n), names, fontsize=7)
    axes.set_yticks(range(n), names, fontsize=7)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    hide_frame(axes)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), xlabel="used under", ylabel="tuned under")
    return figure


def exhibit(results: Results, rows: Sequence[Row]) -> Exhibit | None:
    """Return the figure of the regrets; None where no transfer was planned."""
    title = "Transfer between scenarios"
    if not rows:
        planned = (results.meta.get("planned") or {}).get("transfer") or any(
            t["kind"] == "transfer" for t in results.trials
        )
        missing = "No transferred configuration is finished yet in a scenario that has its own tuned one."
        return Exhibit("transfer", title, missing=missing) if planned else None
    order = scenario_order(results)
    scenarios = {r[side] for r in rows for side in ("tuned_on", "used_on")}
    places = [s for s in order if s in scenarios] + sorted(scenarios - set(order))
    caption = (
        f"Regret: test {results.metric} (personal, own distribution) of the scenario's own tuned "
        "configuration minus that of the configuration tuned under another scenario, on the same "
        f"{seed_count(sorted({r['seeds'] for r in rows}))}, which no search has seen: mean and "
        f"{results.confidence:.0%} t interval, points. Orange: the other tuning costs {results.metric}; "
        f"blue: it gains; green: level ({WITHIN}); grey: undecided. "
        + chance_sentence(
            multiplicity([r["interval"] for r in rows], results.confidence),
            results.confidence,
            "if all were equal",
        )
    )
    columns = ("tuned_on", "used_on", "mean", "low", "high", "seeds", "verdict", "firm")
    return Exhibit(
        "transfer",
        title,
        caption,
        QUERY,
        [Panel("transfer", "", draw_transfer(rows, places))],
        numbers(rows, columns),
    )


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the regrets as a table; None where there are none."""
    if not rows:
        return None
    body = [
        [
            r["tuned_on"],
            r["used_on"],
            mean_span(r["interval"], points),
            r["seeds"],
            Cell(
                "the same settings"
                if r["same"]
                else VERDICT_WORDS[r["verdict"]] + (" *" if r["firm"] else ""),
                CELL_LOOKS[r["verdict"]],
            ),
        ]
        for r in rows
    ]
    head = [
        "tuned under",
        "used under",
        f"regret, points [{results.confidence:.0%}]",
        "fresh seeds",
        "the other tuning",
    ]
    caption = (
        "The own tuned configuration minus the transferred one, on the test split. A star: the difference "
        "remains when adjusted for the number of pairs."
    )
    return Table(head, body, caption, QUERY, key="table-transfer", title="Transfer regret")


def sentences(rows: Sequence[Row], metric: Metric) -> list[str]:
    """Return a sentence that says how often a tuning serves another scenario.

    Args:
        rows: Rows of `table_transfer`.
        metric: The metric of the sweep.
    """
    if not rows:
        return []
    verdict_rows: dict[str, list[Row]] = {}
    for row in rows:
        verdict_rows.setdefault(row["verdict"], []).append(row)
    clauses = []
    for verdict, verb in (("helps", f"costs {metric}"), ("hurts", f"gains {metric}")):
        pairs = [
            f"{row['tuned_on']} to {row['used_on']} "
            f"({points(abs(row['mean']))}{'' if row['firm'] else ', not when adjusted'})"
            for row in verdict_rows.get(verdict, [])
        ]
        clauses += [f"{verb} in {len(pairs)} ({listing(pairs).replace('+', '')})"] if pairs else []
    for verdict, phrase in (("level", f"is level ({WITHIN})"), ("undecided", "is undecided")):
        clauses += [f"{phrase} in {len(verdict_rows[verdict])}"] if verdict in verdict_rows else []
    return [
        f"Using a tuning under another scenario than its own {'; '.join(clauses)} of "
        f"{count(len(rows), 'pair')} of scenarios."
    ]
