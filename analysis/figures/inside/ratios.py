"""SAFE's class ratios (CR) round by round: the weight of each class, and its relation to rarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...look.page import Exhibit, slug
from ...look.style import INK, SMALL, SOFT, Figure, Look, drawing, legend_below, stacked
from ...read.results import Results, Row
from ..estimates import panel, sort
from ..exhibits import Draft
from ..lines import Axis, ends_said, lines_of, put_lines
from ..outcomes.curves import SHOWN, runs_of, table_curves
from ..rows import grouped, two_digits

TITLE, CORRELATION = "Class ratios (CR) over rounds", "cr_spearman"
EXPLANATION = (
    "CR_c weighs the loss of class c at the clients (dotted: all classes weigh the same). Below: Spearman's "
    "rank correlation of CR with 1/n_c (n_c: training {unit} of class c over all clients). At 1, a rarer "
    "class always weighs more; below 0, frequent classes weigh more. CR comes from gradients on the "
    "server's own samples. It measures how hard a class is for the model; rarity is one reason for that."
)


def query_of_ratios(results: Results) -> str:
    """Return the SQL of CR by the place of a class in the order of training images; 1 is the most frequent.

    The place is used because seeds may order the classes differently.
    """
    return f"""WITH {runs_of(results)}, once AS (
  FROM ratios WHERE cr IS NOT NULL QUALIFY row_number() OVER (PARTITION BY run, round, label) = 1
), ranked AS (
  SELECT run, round, class_name, images, cr,
    row_number() OVER (PARTITION BY run, round ORDER BY images DESC, label) AS place FROM once
)
SELECT scenario, label, any_value(method) AS method, any_value(kind) AS kind, 'rank ' || place AS measure,
place,
  string_agg(DISTINCT class_name, ', ' ORDER BY class_name) AS class, avg(images) AS images, round, round AS x, avg(cr) AS mean,
  min(cr) AS low, max(cr) AS high, count(*) AS seeds
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
    """Return the figure of a run or of a sweep, a panel per scenario; None where no method has class ratios.

    A panel shows CR of the first configuration that has any.
    """
    query, of_run = query_of_ratios(results), results.kind == "run"
    ranks = sort(results, results.sql(query))
    if not ranks:
        return None
    correlations = table_curves(results, CORRELATION)
    if of_run:
        correlations = [{**row, "look": Look(INK, "")} for row in correlations]
    panels = []
    for scenario, group in grouped(ranks, "scenario").items():
        rows = [row for row in group if row["label"] == group[0]["label"]]
        below = [row for row in correlations if row["scenario"] == scenario]
        title = "" if of_run else f"{scenario}: CR of {rows[0]['label']}"
        panels.append(panel(f"ratios-{slug(scenario)}", title, draw_ratios(rows, below), _seen(rows, below)))
    unit = "pixels" if results.metric.segments else "images"
    which = " Of a sweep: the first configuration of a scenario that has class ratios, mean over seeds."
    caption = (
        f"A line per place of a class in the order of training {unit}, from the most frequent to the "
        f"rarest, as the colour bar says.{'' if of_run else which} {EXPLANATION.format(unit=unit)}"
    )
    rows, columns = [*correlations, *ranks], (*SHOWN, "class", "images")
    return Draft(results, "ratios", TITLE).exhibit(panels, rows, columns, query, caption)


def _seen(rows: Sequence[Row], correlations: Sequence[Row]) -> str:
    """Return what is seen: CR of the rarest and the most frequent class at the end, and the correlations."""
    last = [row for row in rows if row["x"] == max(row["x"] for row in rows)]
    rare, frequent, after = last[-1]["mean"], last[0]["mean"], last[0]["x"]
    text = f"CR of the rarest class {rare:.2f}, of the most frequent {frequent:.2f} after round {after}"
    said = ends_said(correlations, two_digits, "").strip()
    return f"{text}; correlation with rarity, first to last round: {said}" if said else text
