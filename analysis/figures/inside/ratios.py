"""SAFE's class ratios (CR) round by round: the weight of each class, and its relation to rarity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import isfinite
from typing import Any

from ...look.entries import drawn_places, entries, runs_of
from ...look.marks import panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import INK
from ...read.queries import parts
from ...read.results import Results, Row
from ...stats.intervals import t_interval
from ..outcomes.curves import panels_by_scenario, table_curves
from ..rows import interval_columns
from .mean_lines import MeanLine, mean_line
from .ratio_drawing import ClassLine, ShadeScale, draw_ratios, shade_of

TITLE, CORRELATION = "Class ratios (CR) over rounds", "cr_spearman"


EXPLANATION = (
    "CR_c weighs the loss of class c at the clients (dotted: all classes weigh the same). Below: "
    "Spearman's rank correlation of CR with 1/n_c (n_c: training {unit} of class c over all clients). At "
    "1, a rarer class always weighs more; below 0, frequent classes weigh more. CR comes from gradients "
    "on the server's own samples. It measures how hard a class is for the model; rarity is one reason for "
    "that."
)


QUERY_OF_RUN = f"""SELECT DISTINCT c.round, c.label, c.class_name AS class, c.images, c.cr, r.{CORRELATION}
FROM {parts("ratios")} c
JOIN (FROM {parts("rounds")} WHERE split = 'validation') r ON r.run = c.run AND r.round = c.round
ORDER BY ALL"""


def unit_of(results: Results) -> str:
    """Return the unit of a class's frequency: images, or pixels in segmentation."""
    return "pixels" if results.metric.segments else "images"


def table_ratios(results: Results, runs: Sequence[str] | None = None) -> list[Row]:
    """Return the rows of the ratios table with `rank`, the place of the class by training images.

    Rank 1 is the most frequent class. Of a row that was written twice, the last counts.
    """
    row_at = {
        (r.get("run"), r["round"], r["label"]): r
        for r in results.table("ratios", runs).to_pylist()
        if r.get("cr") is not None
    }
    round_rows: dict[Any, list[Row]] = defaultdict(list)
    for row in row_at.values():
        round_rows[row.get("run"), row["round"]].append(row)
    return [
        {**row, "rank": rank}
        for key in sorted(round_rows, key=lambda k: (k[0] or "", k[1]))
        for rank, row in enumerate(sorted(round_rows[key], key=lambda r: (-r["images"], r["label"])), 1)
    ]


def table_ranks(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return CR by scenario, configuration, rank of the class and round, as means over seeds.

    The rank is used because seeds may order the classes differently.

    Args:
        results: The sweep.
        rows: Rows of `table_ratios` of the drawn runs.

    Returns:
        Rows with scenario, label, measure (`rank 1`: the most frequent class), rank, round, mean, low, high,
        least, most and seeds.
    """
    places = drawn_places(results)
    values_at: dict[tuple[str, str, int, int], list[float]] = defaultdict(list)
    for row in rows:
        for scenario, label, _ in places.get(row["run"], []):
            values_at[(scenario, label, row["rank"], row["round"])].append(row["cr"])
    table = []
    for (scenario, label, rank, number), values in sorted(values_at.items()):
        if interval := t_interval(values, results.confidence):
            place = {
                "scenario": scenario,
                "label": label,
                "measure": f"rank {rank}",
                "rank": rank,
                "round": number,
            }
            ends = {"least": min(values), "most": max(values)}
            table.append({**place, **interval_columns(interval), **ends})
    return table


def exhibit_ratios(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Return the figure of a run: CR by class and round; None where the method has no class ratios.

    Args:
        results: The run.
        rounds: Rows of the rounds table, on validation.
    """
    rows = table_ratios(results)
    if not rows:
        return None
    images, unit = [row["images"] for row in rows], unit_of(results)
    most, least = float(max(images)), float(min(images))
    class_rows: dict[int, list[Row]] = {}
    for row in rows:
        class_rows.setdefault(row["label"], []).append(row)
    lines = [
        ClassLine(
            [row["round"] for row in line],
            [row["cr"] for row in line],
            shade_of(line[-1]["images"], most, least),
        )
        for _, line in sorted(class_rows.items())
    ]
    correlation_at = {
        row["round"]: row[CORRELATION]
        for row in rounds
        if row.get(CORRELATION) is not None and isfinite(row[CORRELATION])
    }
    numbers_at, means = list(correlation_at), list(correlation_at.values())
    correlation = MeanLine(CORRELATION, "CR", INK, "-", numbers_at, means, means, means)
    scale = ShadeScale(f"training {unit} of the class", most, least, least > 0)
    panel = Panel("ratios", "", draw_ratios(lines, scale, [correlation] if means else []))
    table_rows = [
        {**row, "class": row["class_name"], CORRELATION: correlation_at.get(row["round"])} for row in rows
    ]
    caption = (
        "A line per class, from the most frequent (light) to the rarest (dark). "
        f"{EXPLANATION.format(unit=unit)}"
    )
    table = numbers(table_rows, ("round", "class", "images", "cr", CORRELATION))
    return Exhibit("ratios", TITLE, caption, QUERY_OF_RUN, [panel], table)


def exhibit_ratios_of_sweep(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Return the figure of a sweep, a panel per scenario; None where no configuration has class ratios.

    A panel shows CR of the first configuration that has any.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the drawn runs, on validation.
    """
    ranks = table_ranks(results, table_ratios(results, list(drawn_places(results))))
    if not ranks:
        return None
    correlations = [{**row, "measure": CORRELATION} for row in table_curves(results, rounds, CORRELATION)]
    places, panels = panels_by_scenario(results, ranks), []
    for scenario, labels, suffix in places:
        scenario_ranks = [row for row in ranks if row["scenario"] == scenario]
        ranked_labels = {row["label"] for row in scenario_ranks}
        first_label = next(label for label in entries(results) if label in ranked_labels)
        lines, scale = _class_lines([row for row in scenario_ranks if row["label"] == first_label])
        below = _correlation_lines([row for row in correlations if row["scenario"] == scenario], labels)
        figure = draw_ratios(lines, scale, below, panel_width(len(places)))
        title = f"{scenario}: CR of {first_label}{suffix}"
        panels.append(Panel(f"ratios-{slug(scenario + suffix)}", title, figure))
    unit = unit_of(results)
    caption = (
        "Above: CR in the first configuration of a scenario that has class ratios. A line per place of a "
        f"class in the order of training {unit}, from the most frequent (light) to the rarest (dark), mean "
        f"over seeds; which class is rare may change with the seed. {EXPLANATION.format(unit=unit)} Mean "
        "over seeds and the range from the lowest to the highest seed (band), of every configuration."
    )
    columns = ("scenario", "label", "measure", "round", "mean", "low", "high", "least", "most", "seeds")
    table = numbers([*correlations, *ranks], columns)
    return Exhibit("ratios", TITLE, caption, query_of_sweep(results), panels, table)


def _class_lines(rows: Sequence[Row]) -> tuple[list[ClassLine], ShadeScale]:
    """Return the classes of one configuration by their rank, and the meaning of the shades."""
    by_rank: dict[int, list[Row]] = {}
    for row in rows:
        by_rank.setdefault(row["rank"], []).append(row)
    classes = max(by_rank)
    lines = [
        ClassLine(
            [row["round"] for row in line],
            [row["mean"] for row in line],
            shade_of(-rank, -1, -classes),
        )
        for rank, line in sorted(by_rank.items())
    ]
    return lines, ShadeScale("classes, 1 is the most frequent", 1.0, float(classes), False)


def _correlation_lines(rows: Sequence[Row], labels: Sequence[str]) -> list[MeanLine]:
    """Return the rank correlation of each configuration that has one."""
    label_rows = {label: [row for row in rows if row["label"] == label] for label in labels}
    return [mean_line(CORRELATION, label, line) for label, line in label_rows.items() if line]


def query_of_sweep(results: Results) -> str:
    """Return the SQL that gives the numbers of `table_ranks` and of the rank correlations."""
    return f"""{runs_of(results)}, ranked AS (
  SELECT run, round, cr, row_number() OVER (PARTITION BY run, round ORDER BY images DESC, label) AS place
  FROM (SELECT DISTINCT run, round, label, images, cr FROM {parts("ratios")} WHERE cr IS NOT NULL)
), measured AS (
  SELECT run, round, 'rank ' || place AS measure, cr AS value FROM ranked
  UNION ALL SELECT DISTINCT run, round, '{CORRELATION}', {CORRELATION} FROM {parts("rounds")}
  WHERE split = 'validation' AND isfinite({CORRELATION})
)
SELECT scenario, label, measure, round, avg(value) AS mean, stddev_samp(value) AS sd, min(value) AS least,
  max(value) AS most, count(*) AS seeds
FROM run_of JOIN measured USING (run) GROUP BY ALL ORDER BY ALL"""
