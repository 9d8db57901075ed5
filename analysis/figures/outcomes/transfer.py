"""Tuned under one scenario, used under another: what that costs on the test split, against the tuning of the scenario's own."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...look.page import Cell, Exhibit, Panel, Table, numbers
from ...look.style import INK, SOFT, blank, drawing
from ...look.words import WITHIN, chance, count, listing, mean_span, points, seeds, span
from ...read.queries import parts
from ...read.results import Results, Row, by_seed, finished, params
from ...stats.intervals import MARGIN, firm, multiplicity, paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRIC = "test_acc_personal_own"
# The regret is a loss: where it is positive the own tuning is better.
SAID = {"helps": "costs", "hurts": "gains", "level": "level", "undecided": "undecided"}
LOOKS = {"helps": "hurts", "hurts": "helps", "level": "level", "undecided": "undecided"}
TINTS = {"helps": "#f6c9a8", "hurts": "#b5d6ea", "level": "#bfe3d5", "undecided": "#f1f1ee"}
QUERY = f"""WITH latest AS (
  FROM {parts("trials")} WHERE kind IN ('confirm', 'transfer') AND state = 'COMPLETE'
  QUALIFY row_number() OVER (PARTITION BY study, kind, label, level ORDER BY finished DESC) = 1),
seeds AS (SELECT study, kind, label, level, scenario, unnest(seeds) AS seed, unnest({METRIC}) AS accuracy FROM latest)
SELECT t.study, t.level AS tuned_on, t.scenario AS used_on, avg(o.accuracy - t.accuracy) AS regret,
  stddev_samp(o.accuracy - t.accuracy) AS sd, count(*) AS seeds
FROM seeds t JOIN seeds o ON o.study = t.study AND o.seed = t.seed AND o.kind = 'confirm'
  AND o.label = regexp_replace(t.label, ' tuned on .*$', '') || ' (tuned)'
WHERE t.kind = 'transfer' GROUP BY ALL ORDER BY ALL"""


def table_transfer(results: Results) -> list[Row]:
    """One row per transfer trial: the scenario's own tuned configuration minus the transferred one, paired by fresh seed.

    Returns:
        Rows with study, method, tuned_on, used_on, interval, mean, low, high, seeds, same (both tunings are
        one configuration), verdict (`helps`: the own tuning is better) and firm.
    """
    own = {(t["study"], t["label"]): t for t in finished(results.trials, "confirm")}
    rows = []
    for trial in finished(results.trials, "transfer"):
        label = trial["label"].removesuffix(f" tuned on {trial['level']}")
        kept = own.get((trial["study"], f"{label} (tuned)"))
        interval = paired(by_seed(kept, METRIC), by_seed(trial, METRIC), results.confidence) if kept else None
        if kept and interval:
            same = params(kept) == params(trial) and by_seed(kept, METRIC) == by_seed(trial, METRIC)
            rows.append(
                {
                    "study": trial["study"],
                    "method": trial["method"],
                    "tuned_on": str(trial["level"]),
                    "used_on": trial["scenario"],
                    "interval": interval,
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "seeds": interval.n,
                    "same": same,
                    "verdict": "level" if same else interval.verdict,
                }
            )
    for row, sure in zip(rows, firm([r["interval"] for r in rows], 1 - results.confidence), strict=True):
        row["firm"] = sure
    return rows


@drawing
def draw_transfer(rows: Sequence[Row], places: Sequence[str]) -> Figure:
    """A tile per pair of scenarios: the regret in points with its interval; the diagonal is nought by definition."""
    from matplotlib.patches import Rectangle

    n = len(places)
    figure, axes = blank(0.95 + 0.5 * n, 1.45 + 1.05 * n)
    for i in range(n):
        axes.annotate("own", (i, i), ha="center", va="center", fontsize=7, color=SOFT)
    for row in rows:
        x, y = places.index(row["used_on"]), places.index(row["tuned_on"])
        axes.add_patch(
            Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=TINTS[row["verdict"]], linewidth=0)
        )
        said = (
            "the same\nsettings"
            if row["same"]
            else f"{points(row['mean'])}\n{span(row['interval']) if row['low'] is not None else 'one seed'}"
        )
        axes.annotate(
            said,
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
    for edge in axes.spines.values():
        edge.set_visible(False)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), xlabel="used under", ylabel="tuned under")
    return figure


def exhibit(results: Results, rows: Sequence[Row]) -> Exhibit | None:
    """The matrix of regrets; None where no transfer was asked for."""
    title = "Tuned here, used there"
    if not rows:
        promised = (results.meta.get("planned") or {}).get("transfer") or any(
            t["kind"] == "transfer" for t in results.trials
        )
        missing = "No transferred configuration is finished beside the own tuned one of its scenario yet."
        return Exhibit("transfer", title, missing=missing) if promised else None
    order = [s["label"] for s in results.meta.get("scenarios") or []]
    seen = {r[side] for r in rows for side in ("tuned_on", "used_on")}
    places = [s for s in order if s in seen] + sorted(seen - set(order))
    caption = (
        "Regret: test accuracy (personal, own distribution) of the scenario's own tuned configuration "
        "minus that of the configuration that "
        f"was tuned under another scenario, on the same {seeds(sorted({r['seeds'] for r in rows}))} that "
        "no search has seen: mean and "
        f"{results.confidence:.0%} t interval, points. Orange: using the other's tuning costs; blue: it "
        f"gains; green: level ({WITHIN}); "
        "grey: undecided. "
        + chance(
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
    """The regrets as a table."""
    if not rows:
        return None
    body = [
        [
            r["tuned_on"],
            r["used_on"],
            mean_span(r["interval"], points),
            r["seeds"],
            Cell(
                "the same settings" if r["same"] else SAID[r["verdict"]] + (" *" if r["firm"] else ""),
                LOOKS[r["verdict"]],
            ),
        ]
        for r in rows
    ]
    head = [
        "tuned under",
        "used under",
        f"regret, points [{results.confidence:.0%}]",
        "fresh seeds",
        "the other's tuning",
    ]
    caption = (
        "Own tuned configuration minus the transferred one, test split. A star: it stands when "
        "adjusted for the number of pairs."
    )
    return Table(head, body, caption, QUERY, key="table-transfer", title="Transfer regret")


def sentences(rows: Sequence[Row]) -> list[str]:
    """Whether tuning for one scenario serves another."""
    if not rows:
        return []
    groups = {
        word: [r for r in rows if r["verdict"] == word] for word in ("helps", "hurts", "level", "undecided")
    }
    total, said = len(rows), []
    for word, verb in (("helps", "costs accuracy"), ("hurts", "gains accuracy")):
        if groups[word]:
            where = [
                f"{r['tuned_on']} to {r['used_on']} "
                f"({points(abs(r['mean']))}{'' if r['firm'] else ', not when adjusted'})"
                for r in groups[word]
            ]
            said.append(f"{verb} in {len(where)} ({listing(where).replace('+', '')})")
    said += [f"is level (within {100 * MARGIN:g} point) in {len(groups['level'])}"] if groups["level"] else []
    said += [f"is undecided in {len(groups['undecided'])}"] if groups["undecided"] else []
    return [
        f"Using a tuning under another scenario than its own {'; '.join(said)} of {count(total, 'pair')} "
        "of scenarios."
    ]
