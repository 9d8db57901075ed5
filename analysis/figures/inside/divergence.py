"""SAFE's D_CKA: how far each client's features are from the server's, and what of its own model that lets it keep."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.entries import places_of
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import INK, NARROW, SOFT, WIDTH, drawing, integer_axis, legend_below, stacked
from ...read.queries import parts
from ...read.results import Results, Row
from ..outcomes.curves import panels_by_scenario, query_of_measures, table_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE, MEASURES = "D_CKA over rounds", ("d_cka", "mu", "beta")
SHOWN_LINES = 40  # clients; of more, evenly spaced ones
LEAST_TOP = 0.05  # of the axis: a D_CKA that is stuck at zero has to look like it
MEANING = (
    "D_CKA is 1 minus the CKA of a client's and the server's features of the same samples: 0, alike; 1, "
    "unrelated. Below, what that and "
    "the schedule beta(t) (dashed) make of it: mu, the share of a client's own model in the model that it "
    "starts a round with (solid, "
    "mean over the cohort). D_CKA stuck at 0 discards what clients know, stuck at 1 ignores the server."
)


def table_divergence(results: Results, runs: Sequence[str] | None = None) -> list[Row]:
    """D_CKA by run, client and round; rows with run, client, round, d_cka, in order."""
    table = results.table("clients", runs, ["run", "split", "round", "client", "d_cka"])
    if "d_cka" not in table.column_names:
        return []
    found = {
        (r.get("run") or "", r["client"], r["round"]): r
        for r in table.to_pylist()
        if r.get("split", "validation") == "validation" and r["d_cka"] is not None and isfinite(r["d_cka"])
    }
    return [found[key] for key in sorted(found)]


@drawing
def draw_divergence(
    thin: Sequence[Row], thin_colour: str, bold: Sequence[Row], width: float = WIDTH
) -> Figure:
    """Above: D_CKA, clients as thin lines and means as bold ones. Below: mu and beta.

    Args:
        thin: Rows of `table_divergence` of one run.
        thin_colour: Of these.
        bold: Rows with label, what (of `MEASURES`), colour, line, x, y, least and most.
        width: Of the panel, inches.
    """
    figure, (above, below) = stacked(3.9, (1.9, 1), width)
    everyone = sorted({r["client"] for r in thin})
    chosen = {
        everyone[i]
        for i in np.linspace(0, len(everyone) - 1, min(SHOWN_LINES, len(everyone))).round().astype(int)
    }
    for client in sorted(chosen):
        own = [r for r in thin if r["client"] == client]
        mark = "." if len(own) == 1 else ""
        above.plot(
            [r["round"] for r in own],
            [r["d_cka"] for r in own],
            color=thin_colour,
            linewidth=0.5,
            alpha=0.4,
            marker=mark,
        )
    for row in bold:
        axes, style = (
            (above, row["line"])
            if row["what"] == "d_cka"
            else (below, row["line"] if row["what"] == "mu" else (0, (3, 1.5)))
        )
        weight = 1.0 if row["what"] == "beta" else 1.9
        axes.plot(
            row["x"],
            row["y"],
            color=row["colour"],
            linestyle=style,
            linewidth=weight,
            label=row["label"] or None,
            marker="o" if len(row["x"]) == 1 else "",
            markersize=3.5,
        )
        axes.fill_between(row["x"], row["least"], row["most"], color=row["colour"], alpha=0.12, linewidth=0)
    highest = max(
        [
            LEAST_TOP,
            *(r["d_cka"] for r in thin),
            *(v for r in bold if r["what"] == "d_cka" for v in r["most"]),
        ]
    )
    above.set(ylim=(-0.02 * highest, min(1.02, 1.05 * highest)), ylabel="D_CKA")
    below.set(ylim=(-0.04, 1.04), yticks=(0, 0.5, 1), ylabel="mu and beta", xlabel="round")
    integer_axis(below.xaxis)
    for axes in (above, below):
        axes.grid(axis="y")
    if any(row["label"] for row in bold):
        legend_below(figure, above, below)
    return figure


def exhibit_divergence(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Of a run; None where the method measures no D_CKA."""
    measured = [r for r in rounds if r.get("d_cka") is not None]
    if not measured:
        return None
    thin = table_divergence(results)
    bold = []
    for what, colour, name in zip(
        MEASURES, ("#0072B2", "#0072B2", INK), ("mean of the cohort", "", "beta(t)"), strict=True
    ):
        own = [r for r in rounds if r.get(what) is not None]
        y = [r[what] for r in own]
        bold += [
            {
                "label": name,
                "what": what,
                "colour": colour,
                "line": "-",
                "x": [r["round"] for r in own],
                "y": y,
                "least": y,
                "most": y,
            }
        ]
    names = [name for name in MEASURES if any(r.get(name) is not None for r in rounds)]
    behind = [
        {"round": r["round"], **{name: r.get(name) for name in names}, **_ends(thin, r["round"])}
        for r in measured
    ]
    number, several = len({r["client"] for r in thin}), f" (of {SHOWN_LINES} evenly spaced clients)"
    caption = (
        f"A thin line per client{several if number > SHOWN_LINES else ''}, in the rounds in which it took "
        "part; bold, the mean of "
        f"the cohort. {MEANING}"
    )
    query = f"""SELECT round, {", ".join(names)}, least, most
FROM (SELECT DISTINCT round, {", ".join(names)} FROM {parts("rounds")} WHERE split = 'validation' AND d_cka IS NOT NULL)
LEFT JOIN (
  SELECT round, min(d_cka) AS least, max(d_cka) AS most FROM {parts("clients")}
  WHERE split = 'validation' AND isfinite(d_cka) GROUP BY round
) USING (round) ORDER BY round"""
    panel = Panel("divergence", "", draw_divergence(thin, SOFT, bold))
    return Exhibit(
        "divergence", TITLE, caption, query, [panel], numbers(behind, ("round", *names, "least", "most"))
    )


def _ends(thin: Sequence[Row], number: int) -> Row:
    known = [r["d_cka"] for r in thin if r["round"] == number]
    return {"least": min(known, default=None), "most": max(known, default=None)}


def exhibit_divergence_of_sweep(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Of a sweep: a panel per scenario; None where no drawn configuration measures D_CKA."""
    found = {what: rows for what in MEASURES if (rows := table_curves(results, rounds, what))}
    if "d_cka" not in found:
        return None
    places = panels_by_scenario(results, found["d_cka"])
    first = {scenario: _first_run(results, scenario, labels[0]) for scenario, labels, _ in reversed(places)}
    thin = table_divergence(results, list(first.values()))
    panels = []
    for scenario, labels, part in places:
        bold = [
            _bold(what, label, own)
            for what, rows in found.items()
            for label in labels
            if (own := [r for r in rows if (r["scenario"], r["label"]) == (scenario, label)])
        ]
        own = [r for r in thin if r["run"] == first[scenario]]
        plot = draw_divergence(own, bold[0]["colour"], bold, NARROW if len(places) > 2 else WIDTH)
        panels.append(Panel(f"divergence-{slug(scenario + part)}", scenario + part, plot))
    caption = (
        "Bold: the mean of the cohort, mean over seeds, and the range from the lowest to the highest seed "
        "(band). Thin: the clients of the "
        f"first configuration with its first seed. {MEANING}"
    )
    columns = ("scenario", "label", "what", "round", "mean", "low", "high", "least", "most", "seeds")
    behind = [{**row, "what": what} for what, rows in found.items() for row in rows]
    return Exhibit(
        "divergence",
        TITLE,
        caption,
        query_of_measures(results, list(found)),
        panels,
        numbers(behind, columns),
    )


def _bold(what: str, label: str, rows: Sequence[Row]) -> Row:
    look = rows[0]["look"]
    columns: dict[str, list[Any]] = {
        name: [r[key] for r in rows]
        for name, key in (("x", "round"), ("y", "mean"), ("least", "least"), ("most", "most"))
    }
    return {
        "label": label if what == "d_cka" else "",
        "what": what,
        "colour": look.colour,
        "line": look.line,
        **columns,
    }


def _first_run(results: Results, scenario: str, label: str) -> str:
    """The run of a configuration's first seed."""
    runs = {
        seed: run
        for run, places in places_of(results).items()
        for place, name, seed in places
        if (place, name) == (scenario, label)
    }
    return runs[min(runs)]
