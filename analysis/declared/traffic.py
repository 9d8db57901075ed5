"""Traffic of a method: weights, other tensors up and down, and what is sent once at the start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..figures.exhibits import Draft, panels_by_title
from ..figures.rows import Column, grouped
from ..look.entries import base_label
from ..look.marks import name_rows, write_beside
from ..look.page import Cell, Table
from ..look.style import INK, Figure, blank, drawing, legend_below
from ..look.words import listing, percent, size
from ..read.results import Results, Row
from .answers import Answer, in_order, nothing

TRAFFIC_PARTS = {  # of a bar, in order: name, colour, hatching
    "weights_up": ("weights up", "#0072B2", ""),
    "weights_down": ("weights down", "#2E93CC", ""),
    "other_up": ("other tensors up", "#D55E00", "////"),
    "other_down": ("other tensors down", "#B87A00", "////"),
    "setup": ("once, at the start", "#777777", "...."),
}
SHOWN = ("scenario", "label", *TRAFFIC_PARTS, "total", "least", "most", "up", "down", "times", "seeds")
# Bytes of whole runs over all clients, means over seeds; least and most: of one seed; up and down: of one
# client and one round; times: the total as a multiple of the weights alone. Configurations whose runs did not
# record their weights apart are left out.
QUERY = """WITH run_of AS (
  SELECT scenario, label, unnest(runs) AS run, bytes_setup FROM trials WHERE kind = 'confirm'
), measured AS (
  SELECT run, sum(bytes_weights_up) AS weights_up, sum(bytes_weights_down) AS weights_down,
    sum(bytes_up - bytes_weights_up) AS other_up, sum(bytes_down - bytes_weights_down) AS other_down,
    sum(bytes_up) / greatest(1, sum(clients) FILTER (round > 0)) AS up,
    sum(bytes_down) / greatest(1, sum(clients) FILTER (round > 0)) AS down
  FROM rounds WHERE split = 'validation' AND bytes_weights_up IS NOT NULL GROUP BY run
), sent AS (
  SELECT scenario, run_of.label, measured.*,
    coalesce(bytes_setup, (result ->> '$.bytes_setup')::DOUBLE, 0) AS once
  FROM run_of JOIN measured USING (run) LEFT JOIN runs USING (run)
), whole AS (SELECT *, weights_up + weights_down + other_up + other_down + once AS whole FROM sent)
SELECT scenario, label, avg(weights_up) AS weights_up, avg(weights_down) AS weights_down,
  avg(other_up) AS other_up, avg(other_down) AS other_down, avg(once) AS setup, avg(whole) AS total,
  min(whole) AS least, max(whole) AS most, avg(up) AS up, avg(down) AS down,
  avg(whole) / nullif(avg(weights_up + weights_down), 0) AS times, count(*) AS seeds
FROM whole GROUP BY scenario, label ORDER BY ALL"""


@drawing
def draw_traffic(rows: Sequence[Row], most: float) -> Figure:
    """Draw a stacked bar per configuration of one scenario, with its sum beside it; `most` ends the axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure, axes = blank(1.3 + 0.3 * len(rows))
    left = [0.0] * len(rows)
    style: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.4}
    for key, (name, colour, hatch) in TRAFFIC_PARTS.items():
        values = [row[key] for row in rows]
        if any(values):
            axes.barh(range(len(rows)), values, 0.62, left, color=colour, hatch=hatch, label=name, **style)
        left = [a + b for a, b in zip(left, values, strict=True)]
    for y, row in enumerate(rows):
        write_beside(axes, y, size(row["total"]), INK, 48)
    name_rows(axes, [base_label(row["label"]) for row in rows])
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: size(v)))
    axes.set(xlim=(0, 1.02 * most), ylim=(len(rows) - 0.5, -0.5), xlabel="a whole run, all clients")
    legend_below(figure, axes)
    return figure


def show_traffic(results: Results, figure: Row, key: str) -> Answer:
    """Return stacked bars, a panel per scenario, and the table."""
    draft, rows = Draft(results, key, figure.get("title") or "Traffic"), in_order(results, results.sql(QUERY))
    if not rows:
        return nothing(draft, "confirmed runs that record the bytes of their weights apart")
    most = max(row["total"] for row in rows) or 1.0
    panels = panels_by_title(
        grouped(rows, "scenario"),
        key,
        lambda group: draw_traffic(group, most),
        lambda group: "; ".join(f"{row['label']} {size(row['total'])}" for row in group),
    )
    spread = max(row["most"] - row["least"] for row in rows)
    seeds = f"seeds differ by up to {size(spread)}" if spread else "all seeds send the same"
    caption = (
        f"Bytes of the real payloads of a whole run over all clients, mean over seeds; {seeds}. Weights are "
        "what the server averages of the network or the prompt. Other tensors are everything else that a "
        "round sends. Once, at the start, is what a client gets when it first takes part."
    )
    shown = draft.exhibit(panels, rows, SHOWN, QUERY, caption)
    reference = figure.get("reference")
    texts, headlines = [], []
    for scenario, group in grouped(rows, "scenario").items():
        main, others = group[0], [row for row in group[1:] if row["total"] and _is_asked(row, reference)]
        sent = f"Under {scenario}, {main['label']} sends {size(main['total'])} in a whole run"
        ratios = listing([f"{_as_much(main['total'] / row['total'])} as {row['label']}" for row in others])
        texts.append(f"{sent}{_times_weights(main)}{f'; {ratios}' if ratios else ''}.")
        headlines.append(f"{sent}{f', {ratios}' if ratios else ''}.")
    return Answer([shown, _table(draft, rows, reference)], texts, headlines[0])


def _is_asked(row: Row, reference: str | None) -> bool:
    """Return whether the first entry is compared with this one: with the reference, or with all others."""
    return reference in (None, row["label"], base_label(row["label"]))


def _table(draft: Draft, rows: Sequence[Row], reference: str | None) -> Table:
    """Return bytes by kind, and the total as a multiple of the reference's where there is one."""
    totals = {r["scenario"]: r["total"] for r in rows if reference and _is_asked(r, reference)}

    def sent(name: str, head: str) -> Column:
        return head, lambda row: Cell(size(row[name]), "tight")

    def beside(row: Row) -> str:
        base = totals.get(row["scenario"])
        return f"{row['total'] / base:.4g}" if base else ""

    caption = (
        "The first two columns are bytes of one client and one round, all others of a whole run over all "
        "clients; means over seeds."
    )
    columns = [
        sent("up", "up, per client and round"),
        sent("down", "down, per client and round"),
        *(sent(name, head) for name, (head, _, _) in TRAFFIC_PARTS.items()),
        sent("total", "whole run"),
        ("times the weights alone", lambda row: row["times"] or ""),
        *([(f"times {reference}", beside)] if totals else []),
    ]
    return draft.table(rows, columns, QUERY, caption, "Traffic by kind")


def _times_weights(row: Row) -> str:
    """Return the total as a multiple of the weights alone, with the shares of the rest."""
    if row["times"] is None:
        return ""
    rest = {"for other tensors": row["other_up"] + row["other_down"], "once at the start": row["setup"]}
    shares = [f"{percent(value / row['total'])}% {name}" for name, value in rest.items() if value]
    return f", {row['times']:.3g} times its weights alone" + (f" ({listing(shares)})" if shares else "")


def _as_much(ratio: float) -> str:
    text = f"{ratio:.3g}"
    return "as much" if text == "1" else f"{text} times as much"
