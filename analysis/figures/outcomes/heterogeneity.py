"""Accuracy against the heterogeneity that was measured in each scenario."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.entries import base_label
from ...look.page import Exhibit
from ...look.placing import label_lines
from ...look.style import SMALL, SOFT, Axes, Figure, blank, drawing, legend_below
from ...look.words import capitalized
from ...read.results import Results, Row, tuning_of
from ..estimates import COLUMNS, ONE_FLOOR, basis, entries_of, limits, quoted, sort
from ..exhibits import Draft
from ..lines import Axis, ends_said, lines_of, panels_of, put_lines
from .accuracies import NOT_YET, PERSONAL_METRICS, title_of

QUERY = f"""WITH places AS (
  SELECT s ->> '$.label' AS scenario, (s ->> '$.heterogeneity.achieved.js_divergence')::DOUBLE AS x
  FROM (SELECT unnest(json_extract(to_json(scenarios), '$[*]')) AS s FROM meta)
)
SELECT x, {COLUMNS}
FROM estimates JOIN places USING (scenario)
WHERE split = 'test' AND kind IN ('confirm', 'floor') AND metric IN ({quoted(*PERSONAL_METRICS)})
{ONE_FLOOR}
ORDER BY ALL"""
SHOWN = ("scenario", "x", "label", "metric", "mean", "low", "high")


def exhibit_heterogeneity(results: Results) -> Exhibit | None:
    """Return the figure of accuracy against heterogeneity, a panel per metric; None with one scenario."""
    if len(results.meta.get("scenarios") or []) < 2:
        return None
    metric, rows = results.metric, [row for row in results.sql(QUERY) if row["x"] is not None]
    draft = Draft(results, "heterogeneity", f"{capitalized(str(metric))} against heterogeneity")
    if not entries_of(rows):
        return draft.missing(NOT_YET)
    if len({row["x"] for row in rows}) < 2:
        needed = "confirmed configurations in two scenarios of different measured heterogeneity"
        return draft.missing(f"It takes {needed}.")
    rows = [{**row, "panel": title_of(row["metric"], metric)} for row in sort(results, rows)]
    rows.sort(key=lambda row: list(PERSONAL_METRICS).index(row["metric"]))
    lines, frame = joined(rows), limits(rows)
    panels = panels_of(
        lines,
        draft.key,
        lambda shown: draw_heterogeneity(shown, frame, str(metric)),
        ends_said,
        "panel",
    )
    caption = (
        "The heterogeneity is the measured Jensen-Shannon divergence of the clients' class distributions, "
        "not the requested one; it grows from left to right. Scenarios also differ in other ways (domains, "
        f"sizes). So a line joins settings; it is no dose response. Bars: {basis(rows, results.confidence)}."
    )
    own = [row for row in lines if row["metric"] == "acc_personal_own"]
    says = f"From the most even to the most uneven scenario: {ends_said(own)}."
    return draft.exhibit(panels, rows, SHOWN, QUERY, caption, says)


def joined(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with one label for a method whose scenarios chose among different numbers of trials."""
    labels: dict[str, dict[str, Row]] = {}
    for row in rows:
        if tuning_of(row["label"]) not in ("", "untuned"):
            labels.setdefault(base_label(row["label"]), {}).setdefault(row["label"], row)
    several = {base: found for base, found in labels.items() if len(found) > 1}
    changed = {
        label: {"label": f"{base} (best of its trials)", "look": next(iter(found.values()))["look"]}
        for base, found in several.items()
        for label in found
    }
    return [{**row, **changed.get(row["label"], {})} for row in rows]


@drawing
def draw_heterogeneity(rows: Sequence[Row], frame: tuple[float, float], metric: str) -> Figure:
    """Draw accuracy against the measured heterogeneity, a line per configuration, moved a little apart."""
    figure, axes = blank(3.3)
    values = sorted({row["x"] for row in rows})
    divergence = "measured label divergence\nbetween clients (Jensen-Shannon)"
    put_lines(axes, lines_of(rows), Axis(divergence, f"test {metric}, %", frame, values=values))
    _write_scenarios(axes, sorted({(row["x"], row["scenario"]) for row in rows}))
    legend_below(figure, axes)
    return figure


def _write_scenarios(axes: Axes, places: Sequence[tuple[float, str]]) -> None:
    """Write the name of each scenario above its place on the x axis."""
    heights = label_lines([js for js, _ in places], [scenario for _, scenario in places])
    first, reach = places[0][0], places[-1][0] - places[0][0] or 1.0
    for height, (js, scenario) in zip(heights, places, strict=True):
        axes.axvline(js, color="#dddddd", linewidth=0.7, zorder=0)
        part = (js - first) / reach
        side, shift = ("left", -4) if part < 0.2 else ("right", 4) if part > 0.8 else ("center", 0)
        style: dict[str, Any] = {"color": SOFT, "ha": side, "va": "bottom", "fontsize": SMALL}
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        at = (shift, 3 + 9 * height)
        axes.annotate(scenario, (js, 1), xytext=at, annotation_clip=False, **place, **style)
