"""SAFE's D_CKA: the distance of each client's features from the server's, and the share of its own model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...look.page import Exhibit
from ...look.style import SOFT, UNTUNED, Figure, drawing, legend_below, stacked
from ...read.results import Results, Row
from ..exhibits import Draft, evenly_spaced
from ..lines import Axis, ends_said, lines_of, panels_of, put_lines
from ..outcomes.curves import SHOWN, query_of_rounds, runs_of, table_curves
from ..rows import grouped, two_digits

TITLE, COLUMNS = "D_CKA over rounds", ("d_cka", "mu", "beta")
MOST_CLIENTS = 40  # drawn; of more clients, evenly spaced ones
SMALLEST_TOP = 0.05  # of the y axis, so that a D_CKA that is stuck at zero is visible
EXPLANATION = (
    "D_CKA is 1 minus the CKA of a client's and the server's features of the same samples: 0 means alike, 1 "
    "means unrelated. Below: mu, the share of a client's own model in the model that it starts a round with "
    "(solid, mean over the cohort). It follows from D_CKA and the schedule beta(t) (dashed). D_CKA stuck at "
    "0 discards what clients have learned; D_CKA stuck at 1 ignores the server."
)


def query_of_clients(results: Results) -> str:
    """Return the SQL of D_CKA of each client in the first seed of each configuration."""
    return f"""WITH {runs_of(results)}
SELECT scenario, run_of.label, client, round AS x, any_value(d_cka) AS mean
FROM run_of JOIN clients USING (run) WHERE split = 'validation' AND isfinite(d_cka)
GROUP BY scenario, run_of.label, seed, client, round
QUALIFY seed = min(seed) OVER (PARTITION BY scenario, run_of.label) ORDER BY ALL"""


@drawing
def draw_divergence(client_rows: Sequence[Row], rows: Sequence[Row]) -> Figure:
    """Draw D_CKA above, clients as thin lines and means as bold lines; mu and beta below.

    Args:
        client_rows: Rows of `query_of_clients` of one configuration.
        rows: Rows of `curves.table_curves` of one scenario.
    """
    figure, (above, below) = stacked(3.9, (1.9, 1))
    by_client, by_measure = grouped(client_rows, "client"), grouped(rows, "measure")
    for place in evenly_spaced(len(by_client), MOST_CLIENTS):
        line = by_client[sorted(by_client)[place]]
        style: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.5, "marker": "." if len(line) == 1 else ""}
        above.plot([row["x"] for row in line], [row["mean"] for row in line], color=SOFT, **style)
    ends = [*(row["mean"] for row in client_rows), *(row["high"] for row in by_measure["d_cka"])]
    highest = max([SMALLEST_TOP, *ends])
    frame = (-0.02 * highest, min(1.02, 1.05 * highest))
    bold = lines_of(_named(by_measure["d_cka"]), band=True, width=1.9, marked=False)
    put_lines(above, bold, Axis("", "D_CKA", frame, fractions=False))
    shares = lines_of(by_measure.get("mu", []), band=True, width=1.9, marked=False)
    shares += [
        replace(line, look=replace(line.look, line=UNTUNED), width=1.0)
        for line in lines_of(by_measure.get("beta", []), band=True, marked=False)
    ]
    unnamed = [replace(line, name="") for line in shares]
    put_lines(below, unnamed, Axis("round", "mu and beta", (-0.04, 1.04), fractions=False))
    below.set_yticks((0, 0.5, 1))
    legend_below(figure, above, below)
    return figure


def _named(rows: Sequence[Row]) -> list[Row]:
    """Return rows with a label also in the folder of one run."""
    return [{**row, "label": row["label"] or "mean of the cohort"} for row in rows]


def exhibit_divergence(results: Results) -> Exhibit | None:
    """Return the figure of a run or of a sweep, a panel per scenario; None where no method measures D_CKA."""
    rows = table_curves(results, *COLUMNS)
    if not any(row["measure"] == "d_cka" for row in rows):
        return None
    clients = grouped(results.sql(query_of_clients(results)), "scenario", "label")

    def draw(shown: list[Row]) -> Figure:
        return draw_divergence(clients.get((shown[0]["scenario"], shown[0]["label"]), []), shown)

    panels, query = panels_of(rows, "divergence", draw, _seen), query_of_rounds(results, *COLUMNS)
    many = any(len({row["client"] for row in group}) > MOST_CLIENTS for group in clients.values())
    sampled = f" (of {MOST_CLIENTS} evenly spaced clients)" if many else ""
    of_run = results.kind == "run"
    whose = "in the rounds in which they took part" if of_run else "of the first configuration and seed"
    caption = (
        f"Thin lines: single clients{sampled}, {whose}. Bold: the mean of the cohort; of a sweep the mean "
        f"over seeds, with the range from the lowest to the highest seed (band). {EXPLANATION}"
    )
    return Draft(results, "divergence", TITLE).exhibit(panels, rows, SHOWN, query, caption)


def _seen(rows: Sequence[Row]) -> str:
    """Return what is seen: D_CKA at the first and the last round."""
    d_cka = _named([row for row in rows if row["measure"] == "d_cka"])
    return f"D_CKA, first to last round: {ends_said(d_cka, two_digits, '')}"
