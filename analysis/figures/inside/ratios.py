"""SAFE's class ratios (CR): which classes the server's gradients call neglected, round by round, and whether these are the rare ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import isfinite, log
from typing import TYPE_CHECKING, Any

from ...look.entries import entries, places_of, runs_of
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.placing import amount
from ...look.style import INK, NARROW, SOFT, WIDTH, drawing, integer_axis, legend_below, stacked
from ...read.queries import parts
from ...read.results import Results, Row
from ...stats.intervals import t_interval
from ..outcomes.curves import panels_by_scenario, table_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE, CORRELATION = "Class ratios (CR) over rounds", "cr_spearman"
MEANING = (
    "CR_c weighs the loss of class c at the clients (dotted: all classes weigh the same). Below: "
    "Spearman's rank correlation of CR with "
    "1/n_c (n_c: training {unit} of class c over all clients). At 1 a rarer class always weighs more, "
    "below 0 frequent classes weigh more. "
    "CR comes from gradients on the server's own samples: it measures how hard a class is for the model, "
    "which rarity is one reason for."
)
OF_RUN = f"""SELECT DISTINCT c.round, c.label, c.class_name AS class, c.images, c.cr, r.{CORRELATION}
FROM {parts("ratios")} c JOIN (FROM {parts("rounds")} WHERE split = 'validation') r ON r.run = c.run AND r.round = c.round
ORDER BY ALL"""


def unit_of(results: Results) -> str:
    """What a class's frequency is counted in: segmentation counts its pixels."""
    return "images" if results.metric == "accuracy" else "pixels"


def table_ratios(results: Results, runs: Sequence[str] | None = None) -> list[Row]:
    """Rows of the ratios table with `rank`, the class's place by training images (1 is the most frequent); the last one written wins."""
    unique = {
        (r.get("run"), r["round"], r["label"]): r
        for r in results.table("ratios", runs).to_pylist()
        if r.get("cr") is not None
    }
    by_round: dict[Any, list[Row]] = defaultdict(list)
    for row in unique.values():
        by_round[row.get("run"), row["round"]].append(row)
    return [
        {**row, "rank": rank}
        for key in sorted(by_round, key=lambda k: (k[0] or "", k[1]))
        for rank, row in enumerate(sorted(by_round[key], key=lambda r: (-r["images"], r["label"])), 1)
    ]


def table_ranks(results: Results, rows: Sequence[Row]) -> list[Row]:
    """CR by scenario, configuration, rank of the class and round: mean over seeds, which may order the classes differently.

    Args:
        results: The sweep.
        rows: Rows of `table_ratios` of the drawn runs.

    Returns:
        Rows with scenario, label, what (`rank 1`: the most frequent class), rank, round, mean, low, high,
        least, most and seeds.
    """
    where = places_of(results)
    values: dict[tuple[str, str, int, int], list[float]] = defaultdict(list)
    for row in rows:
        for scenario, label, _ in where.get(row["run"], []):
            values[(scenario, label, row["rank"], row["round"])].append(row["cr"])
    found = []
    for (scenario, label, rank, number), own in sorted(values.items()):
        if interval := t_interval(own, results.confidence):
            found.append(
                {
                    "scenario": scenario,
                    "label": label,
                    "what": f"rank {rank}",
                    "rank": rank,
                    "round": number,
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "least": min(own),
                    "most": max(own),
                    "seeds": interval.n,
                }
            )
    return found


@drawing
def draw_ratios(
    lines: Sequence[Row],
    shade: tuple[str, Sequence[float], bool],
    correlations: Sequence[Row],
    width: float = WIDTH,
) -> Figure:
    """Above: a line per class, light where it is frequent, dark where it is rare. Below: the rank correlation of each configuration.

    Args:
        lines: Rows with x (rounds), y (CR) and shade (0: most frequent, 1: rarest).
        shade: Name of the colour bar, its ends (at shade 0 and at 1), and whether it is logarithmic.
        correlations: Rows with label, colour, line, x, y, least and most.
        width: Of the panel, inches.
    """
    figure, (above, below) = stacked(4.1, (2.3, 1), width)
    colours = _colours()
    for row in sorted(lines, key=lambda r: r["shade"]):
        above.plot(row["x"], row["y"], color=colours(row["shade"]), linewidth=1.1)
    above.axhline(1, color=SOFT, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
    ends = [0.9, 1.1, *(v for row in lines for v in row["y"])]
    above.set(
        ylabel="CR of a class",
        ylim=(max(0.0, 1.03 * min(ends) - 0.03 * max(ends)), 1.03 * max(ends) - 0.03 * min(ends)),
    )
    _bar(figure, above, colours, *shade)
    for row in correlations:
        below.plot(
            row["x"],
            row["y"],
            color=row["colour"],
            linestyle=row["line"],
            linewidth=1.5,
            label=row["label"],
            marker="o" if len(row["x"]) == 1 else "",
            markersize=3.5,
            clip_on=False,
        )
        below.fill_between(row["x"], row["least"], row["most"], color=row["colour"], alpha=0.12, linewidth=0)
    below.axhline(0, color=SOFT, linewidth=0.7, zorder=0)
    below.set(ylim=(-1.05, 1.05), yticks=(-1, 0, 1), ylabel="correlation\nwith 1/n_c", xlabel="round")
    integer_axis(below.xaxis)
    for axes in (above, below):
        axes.grid(axis="y")
    if len(correlations) > 1:
        legend_below(figure, below)
    return figure


def _colours() -> Any:
    """Viridis, turned round and without the yellow that vanishes on paper."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "frequent to rare", [colormaps["viridis"](0.86 * (1 - i / 31)) for i in range(32)]
    )


def _bar(
    figure: Figure, axes: Axes, colours: Any, name: str, ends: Sequence[float], logarithmic: bool
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import FixedLocator, NullLocator

    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), colours), ax=axes, aspect=22, pad=0.02)
    first, last = ends
    steps = (0.0, 0.25, 0.5, 0.75, 1.0)
    values = (
        [round(first * (last / first) ** s if logarithmic else first + (last - first) * s) for s in steps]
        if first != last
        else [first]
    )
    places = [
        shade_of(v, first, last) if logarithmic or first > last else shade_of(-v, -first, -last)
        for v in values
    ]
    bar.ax.yaxis.set_major_locator(FixedLocator(places))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.set_yticklabels([amount(v) for v in values])
    bar.set_label(name, fontsize=7)
    bar.ax.invert_yaxis()
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6.5, length=2)


def shade_of(images: float, most: float, least: float) -> float:
    """0 for the most frequent class, 1 for the rarest, by the logarithm of images where all have some."""
    if most <= least:
        return 0.5
    return log(most / images) / log(most / least) if least > 0 else (most - images) / (most - least)


def exhibit_ratios(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Of a run: CR by class and round, and its rank correlation; None where the method has no class ratios."""
    rows = table_ratios(results)
    if not rows:
        return None
    images = [r["images"] for r in rows]
    most, least = float(max(images)), float(min(images))
    lines = []
    for label in sorted({r["label"] for r in rows}):
        own = [r for r in rows if r["label"] == label]
        lines.append(
            {
                "x": [r["round"] for r in own],
                "y": [r["cr"] for r in own],
                "shade": shade_of(own[-1]["images"], most, least),
            }
        )
    known = {
        r["round"]: r[CORRELATION]
        for r in rounds
        if r.get(CORRELATION) is not None and isfinite(r[CORRELATION])
    }
    y = list(known.values())
    below = (
        [{"label": "CR", "colour": INK, "line": "-", "x": list(known), "y": y, "least": y, "most": y}]
        if known
        else []
    )
    panel = Panel(
        "ratios",
        "",
        draw_ratios(lines, (f"training {unit_of(results)} of the class", (most, least), least > 0), below),
    )
    behind = [
        {
            "round": r["round"],
            "class": r["class_name"],
            "images": r["images"],
            "cr": r["cr"],
            CORRELATION: known.get(r["round"]),
        }
        for r in rows
    ]
    caption = (
        "A line per class, from the most frequent (light) to the rarest (dark). "
        f"{MEANING.format(unit=unit_of(results))}"
    )
    return Exhibit(
        "ratios",
        TITLE,
        caption,
        OF_RUN,
        [panel],
        numbers(behind, ("round", "class", "images", "cr", CORRELATION)),
    )


def exhibit_ratios_of_sweep(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Of a sweep: a panel per scenario, CR of its first configuration that has any; None where none has class ratios."""
    ranks = table_ranks(results, table_ratios(results, list(places_of(results))))
    if not ranks:
        return None
    correlations = [{**r, "what": CORRELATION} for r in table_curves(results, rounds, CORRELATION)]
    places = panels_by_scenario(results, ranks)
    panels = []
    for scenario, labels, part in places:
        here = [r for r in ranks if r["scenario"] == scenario]
        about = next(label for label in entries(results) if any(r["label"] == label for r in here))
        own = [r for r in correlations if r["scenario"] == scenario and r["label"] in labels]
        plot = draw_ratios(
            *_lines(here, about), _correlations(own, labels), NARROW if len(places) > 2 else WIDTH
        )
        panels.append(Panel(f"ratios-{slug(scenario + part)}", f"{scenario}: CR of {about}{part}", plot))
    unit = unit_of(results)
    caption = (
        "Above, of the first configuration of a scenario that has class ratios: a line per place of a "
        "class in the order of training "
        f"{unit}, from the most frequent (light) to the rarest (dark), mean over seeds; which class is "
        "rare may change with the seed. "
        f"{MEANING.format(unit=unit)} Mean over seeds and the range from the lowest to the highest seed "
        "(band), of every configuration."
    )
    columns = ("scenario", "label", "what", "round", "mean", "low", "high", "least", "most", "seeds")
    return Exhibit(
        "ratios", TITLE, caption, query_of_sweep(results), panels, numbers([*correlations, *ranks], columns)
    )


def _lines(rows: Sequence[Row], about: str) -> tuple[list[Row], tuple[str, tuple[float, float], bool]]:
    """The classes of one configuration by their rank, and what the colour means."""
    own = [r for r in rows if r["label"] == about]
    classes = max(r["rank"] for r in own)
    lines = [
        {
            "x": [r["round"] for r in own if r["rank"] == rank],
            "y": [r["mean"] for r in own if r["rank"] == rank],
            "shade": shade_of(-rank, -1, -classes),
        }
        for rank in range(1, classes + 1)
    ]
    return lines, ("classes, 1 is the most frequent", (1.0, float(classes)), False)


def _correlations(rows: Sequence[Row], labels: Sequence[str]) -> list[Row]:
    """The rank correlation of each configuration."""
    found = []
    for label in labels:
        own = [r for r in rows if r["label"] == label]
        if own:
            found.append(
                {
                    "label": label,
                    "colour": own[0]["look"].colour,
                    "line": own[0]["look"].line,
                    "x": [r["round"] for r in own],
                    "y": [r["mean"] for r in own],
                    "least": [r["least"] for r in own],
                    "most": [r["most"] for r in own],
                }
            )
    return found


def query_of_sweep(results: Results) -> str:
    """The numbers of `table_ranks` and of the rank correlations as SQL."""
    return f"""{runs_of(results)}, ranked AS (
  SELECT run, round, cr, row_number() OVER (PARTITION BY run, round ORDER BY images DESC, label) AS place
  FROM (SELECT DISTINCT run, round, label, images, cr FROM {parts("ratios")} WHERE cr IS NOT NULL)
), measured AS (
  SELECT run, round, 'rank ' || place AS what, cr AS value FROM ranked
  UNION ALL SELECT DISTINCT run, round, '{CORRELATION}', {CORRELATION} FROM {parts("rounds")}
  WHERE split = 'validation' AND isfinite({CORRELATION})
)
SELECT scenario, label, what, round, avg(value) AS mean, stddev_samp(value) AS sd, min(value) AS least, max(value) AS most,
  count(*) AS seeds
FROM run_of JOIN measured USING (run) GROUP BY ALL ORDER BY ALL"""
