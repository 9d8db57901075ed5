"""What SAFE measures in each round: class ratios (CR), D_CKA, and the share of a client's own model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...look.page import Exhibit, slug
from ...look.style import INK, SMALL, SOFT, UNTUNED, Figure, Look, drawing, legend_below, stacked
from ...read.results import Results, Row
from ..estimates import sort
from ..exhibits import Draft, evenly_spaced, panel
from ..lines import Axis, ends_said, lines_of, panels_of, put_lines
from ..outcomes.curves import SHOWN, query_of_rounds, runs_of, table_curves
from ..rows import grouped, two_digits

COLUMNS = ("d_cka", "mu", "beta")
MOST_CLIENTS = 40  # drawn; of more clients, evenly spaced ones
SMALLEST_TOP = 0.05  # of the y axis, so that a D_CKA that is stuck at zero is visible
D_CKA_MEANING = (
    "D_CKA is 1 minus the CKA of a client's and the server's features of the same samples: 0 means alike, 1 "
    "means unrelated. Below: mu, the share of a client's own model in the model that it starts a round with "
    "(solid, mean over the cohort). It follows from D_CKA and the schedule beta(t) (dashed). D_CKA stuck at "
    "0 discards what clients have learned; D_CKA stuck at 1 ignores the server."
)
RATIOS_MEANING = (
    "CR_c weighs the loss of class c at the clients (dotted: all classes weigh the same). Below: Spearman's "
    "rank correlation of CR with 1/n_c (n_c: training {unit} of class c over all clients). At 1, a rarer "
    "class always weighs more; below 0, frequent classes weigh more. CR comes from gradients on the "
    "server's own samples. It measures how hard a class is for the model; rarity is one reason for that."
)


def query_of_ratios(results: Results) -> str:
    """Return the SQL of CR by a class's rank in images (1: most); seeds may order the classes differently."""
    return f"""WITH {runs_of(results)}, once AS (
  FROM ratios WHERE cr IS NOT NULL QUALIFY row_number() OVER (PARTITION BY run, round, label) = 1
), ranked AS (
  SELECT run, round, class_name, images, cr,
    row_number() OVER (PARTITION BY run, round ORDER BY images DESC, label) AS place FROM once
)
SELECT scenario, label, any_value(method) AS method, any_value(kind) AS kind, 'rank ' || place AS measure,
  place, string_agg(DISTINCT class_name, ', ' ORDER BY class_name) AS class, avg(images) AS images,
  round, round AS x, avg(cr) AS mean, min(cr) AS low, max(cr) AS high, count(*) AS seeds
FROM run_of JOIN ranked USING (run)
GROUP BY scenario, label, place, round ORDER BY scenario, label, place, round"""


@drawing
def draw_ratios(rows: Sequence[Row], correlations: Sequence[Row]) -> Figure:
    """Draw a line per class of one configuration, coloured by how rare it is; below, all correlations."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure, (above, below) = stacked(4.1, (2.3, 1))
    by_place = grouped(rows, "place")
    last, colours = max(2, *by_place), colormaps["viridis_r"]
    scale = Normalize(1 - (last - 1) / 3, last)  # without the yellow that is invisible on paper
    for place, line in by_place.items():
        x, y = [row["x"] for row in line], [row["mean"] for row in line]
        above.plot(x, y, color=colours(scale(place)), linewidth=1.1)
    above.axhline(1, color=SOFT, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
    values = [0.9, 1.1, *(row["mean"] for row in rows)]
    low, high = min(values), max(values)
    above.set(ylabel="CR of a class", ylim=(max(0.0, 1.03 * low - 0.03 * high), 1.03 * high - 0.03 * low))
    above.grid(axis="y")
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=above, aspect=22, pad=0.02)
    bar.set_ticks(sorted({round(1 + (last - 1) * step / 4) for step in range(5)}))
    bar.set_label("classes, 1 is the most frequent", fontsize=SMALL)
    bar.ax.set_ylim(last, 1)
    bar.outline.set_linewidth(0.4)
    lines = lines_of(correlations, band=True, width=1.5, marked=False)
    lines = lines if len(lines) > 1 else [replace(line, name="") for line in lines]
    below.axhline(0, color=SOFT, linewidth=0.7, zorder=0)
    put_lines(below, lines, Axis("round", "correlation\nwith 1/n_c", (-1.05, 1.05), fractions=False))
    below.set_yticks((-1, 0, 1))
    legend_below(figure, below)
    return figure


def exhibit_ratios(results: Results) -> Exhibit | None:
    """Return a panel per scenario, of its first configuration that has class ratios; None without any."""
    draft = Draft(results, "ratios", "Class ratios (CR) over rounds")
    query, of_run = query_of_ratios(results), results.kind == "run"
    ranks = sort(results, results.sql(query))
    if not ranks:
        return None
    correlations = table_curves(results, "cr_spearman")
    if of_run:
        correlations = [{**row, "look": Look(INK, "")} for row in correlations]
    panels = []
    for scenario, group in grouped(ranks, "scenario").items():
        rows = [row for row in group if row["label"] == group[0]["label"]]
        below = [row for row in correlations if row["scenario"] == scenario]
        title = "" if of_run else f"{scenario}: CR of {rows[0]['label']}"
        figure, said = draw_ratios(rows, below), _ratios_seen(rows, below)
        panels.append(panel(f"{draft.key}-{slug(scenario)}", title, figure, said))
    unit = "pixels" if results.metric.segments else "images"
    which = " Of a sweep: the first configuration of a scenario that has class ratios, mean over seeds."
    caption = (
        f"A line per place of a class in the order of training {unit}, from the most frequent to the "
        f"rarest, as the colour bar says.{'' if of_run else which} {RATIOS_MEANING.format(unit=unit)}"
    )
    rows, columns = [*correlations, *ranks], (*SHOWN, "class", "images")
    return draft.exhibit(panels, rows, columns, query, caption)


def _ratios_seen(rows: Sequence[Row], correlations: Sequence[Row]) -> str:
    last = [row for row in rows if row["x"] == max(row["x"] for row in rows)]
    rare, frequent, after = last[-1]["mean"], last[0]["mean"], last[0]["x"]
    text = f"CR of the rarest class {rare:.2f}, of the most frequent {frequent:.2f} after round {after}"
    said = ends_said(correlations, two_digits, "").strip()
    return f"{text}; correlation with rarity, first to last round: {said}" if said else text


def query_of_clients(results: Results) -> str:
    """Return the SQL of D_CKA of each client in the first seed of each configuration."""
    return f"""WITH {runs_of(results)}
SELECT scenario, run_of.label, client, round AS x, any_value(d_cka) AS mean
FROM run_of JOIN clients USING (run) WHERE split = 'validation' AND isfinite(d_cka)
GROUP BY scenario, run_of.label, seed, client, round
QUALIFY seed = min(seed) OVER (PARTITION BY scenario, run_of.label) ORDER BY ALL"""


@drawing
def draw_divergence(client_rows: Sequence[Row], rows: Sequence[Row]) -> Figure:
    """Draw D_CKA above, clients of one configuration thin and means bold; mu and beta below."""
    figure, (above, below) = stacked(3.9, (1.9, 1))
    by_client, by_measure = grouped(client_rows, "client"), grouped(rows, "measure")
    for place in evenly_spaced(len(by_client), MOST_CLIENTS):
        line = by_client[sorted(by_client)[place]]
        x, y = [row["x"] for row in line], [row["mean"] for row in line]
        above.plot(x, y, color=SOFT, linewidth=0.5, alpha=0.5, marker="." if len(line) == 1 else "")
    ends = [*(row["mean"] for row in client_rows), *(row["high"] for row in by_measure["d_cka"])]
    highest = max([SMALLEST_TOP, *ends])
    axis = Axis("", "D_CKA", (-0.02 * highest, min(1.02, 1.05 * highest)), fractions=False)
    style: dict[str, Any] = {"band": True, "width": 1.9, "marked": False}
    put_lines(above, lines_of(_named(by_measure["d_cka"]), **style), axis)
    shares, betas = (lines_of(by_measure.get(measure, []), **style) for measure in ("mu", "beta"))
    shares += [replace(beta, look=replace(beta.look, line=UNTUNED), width=1.0) for beta in betas]
    unnamed = [replace(share, name="") for share in shares]
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

    panels, query = panels_of(rows, "divergence", draw, _divergence_seen), query_of_rounds(results, *COLUMNS)
    many = any(len({row["client"] for row in group}) > MOST_CLIENTS for group in clients.values())
    sampled = f" (of {MOST_CLIENTS} evenly spaced clients)" if many else ""
    of_run = results.kind == "run"
    whose = "in the rounds in which they took part" if of_run else "of the first configuration and seed"
    caption = (
        f"Thin lines: single clients{sampled}, {whose}. Bold: the mean of the cohort; of a sweep the mean "
        f"over seeds, with the range from the lowest to the highest seed (band). {D_CKA_MEANING}"
    )
    return Draft(results, "divergence", "D_CKA over rounds").exhibit(panels, rows, SHOWN, query, caption)


def _divergence_seen(rows: Sequence[Row]) -> str:
    d_cka = _named([row for row in rows if row["measure"] == "d_cka"])
    return f"D_CKA, first to last round: {ends_said(d_cka, two_digits, '')}"
