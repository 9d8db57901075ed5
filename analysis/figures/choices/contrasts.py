"""Effect of each open choice: paired differences to the anchor, by study, with verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.forest import LABEL_OFFSET, axis_limit, draw_difference
from ...look.marks import panel_width, write_heading
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import SOFT, WIDTH, blank, drawing
from ...look.words import (
    WITHIN,
    chance_sentence,
    count,
    seed_count,
    shorten,
)
from ...read import queries
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished_trials
from ...stats.intervals import EQUIVALENCE_MARGIN, Multiplicity, multiplicity, paired
from ..rows import interval_columns, place_in, scenario_order, with_firm

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table_contrasts(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """Return a row per study and one-factor trial: the paired difference to the anchor, in fractions.

    Returns:
        Rows with study, scenario, method, path, symbol, level, anchor, basis, interval, mean, low, high,
        seeds, verdict, missing_levels (see `missing_levels`; empty if none) and firm (the verdict remains
        when adjusted for the number of all contrasts); ordered as the sweep declared scenarios, factors and
        levels.
    """
    factors = {factor["path"]: factor for factor in results.meta.get("factors") or []}
    trials, missing = finished_trials(results.trials, "contrast"), missing_levels(results)
    anchors = {trial["study"]: trial for trial in trials if not trial.get("factor")}
    rows = []
    for trial in (trial for trial in trials if trial.get("factor") and trial["study"] in anchors):
        anchor_values = by_seed(anchors[trial["study"]], metric)
        interval = paired(by_seed(trial, metric), anchor_values, results.confidence)
        if interval is None:
            continue
        path = trial["factor"]
        factor = factors.get(path, {})
        rows.append(
            {
                **{key: trial[key] for key in ("study", "scenario", "method")},
                "path": path,
                "symbol": factor.get("symbol") or path.rpartition(".")[2],
                "level": str(trial.get("level")),
                "anchor": factor.get("anchor"),
                "basis": factor.get("basis", ""),
                **interval_columns(interval),
                "verdict": interval.verdict,
                "missing_levels": missing.get((trial["study"], path), ""),
            }
        )
    return sort_as_declared(results, with_firm(rows, results.confidence))


def sort_as_declared(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return rows as the sweep declared scenarios, factors and levels; rows without a path come first."""
    factors = {
        factor["path"]: [str(level) for level in factor.get("levels") or []]
        for factor in results.meta.get("factors") or []
    }
    scenarios, paths = scenario_order(results), list(factors)

    def place(row: Row) -> tuple[Any, ...]:
        path = row["path"]
        choice = (path is not None, place_in(paths, path), path or "")
        level = place_in(factors.get(path, []), row["level"])
        return (place_in(scenarios, row["scenario"]), row["study"], *choice, level)

    return sorted(rows, key=place)


def missing_levels(results: Results) -> dict[tuple[str, str], str]:
    """Return in words how many levels of a choice have no finished trial, by study and path.

    Such a level was not tried, was stopped, or diverged. Levels are those that the sweep declares, without
    the anchor, and those that were tried. Choices without a missing level have no entry.
    """
    declared = {
        factor["path"]: {str(level) for level in factor.get("levels") or []} - {str(factor.get("anchor"))}
        for factor in results.meta.get("factors") or []
    }
    finished_levels: dict[tuple[str, str], dict[str, bool]] = {}
    for trial in (t for t in results.trials if t["kind"] == "contrast" and t.get("factor")):
        level, key = str(trial.get("level")), (trial["study"], trial["factor"])
        levels = finished_levels.setdefault(key, dict.fromkeys(declared.get(trial["factor"], ()), False))
        levels[level] = levels.get(level, False) or trial["state"] == "COMPLETE"
    return {
        key: f"{list(levels.values()).count(False)} of {count(len(levels), 'level')} without a finished trial"
        for key, levels in finished_levels.items()
        if not all(levels.values())
    }


def study_names(rows: Sequence[Row]) -> list[str]:
    """Return the studies, in the order of the rows."""
    return list(dict.fromkeys(r["study"] for r in rows))


def reported_rows(rows: Sequence[Row]) -> list[Row]:
    """Return one row for each choice that has a decided level, choices with a firm verdict first.

    The row is that of the level that helps most, else that of the level that hurts most. Levels with a firm
    verdict are preferred.
    """
    reported = []
    for path in dict.fromkeys(row["path"] for row in rows):
        decided_rows = [row for row in rows if row["path"] == path and row["interval"].excludes_zero]
        decided_rows = [row for row in decided_rows if row["firm"]] or decided_rows
        helping = [row for row in decided_rows if row["verdict"] == "helps"]
        if helping:
            reported.append(max(helping, key=lambda row: row["mean"]))
        elif decided_rows:
            reported.append(min(decided_rows, key=lambda row: row["mean"]))
    return sorted(reported, key=lambda row: not row["firm"])


def paths_without_effect(rows: Sequence[Row]) -> list[str]:
    """Return the paths of choices shown not to matter: all levels finished, all within the margin."""
    paths = dict.fromkeys(row["path"] for row in rows)
    for row in rows:
        if row["verdict"] != "level" or row["missing_levels"]:
            paths.pop(row["path"], None)
    return list(paths)


def count_chance(rows: Sequence[Row], confidence: float) -> Multiplicity:
    """Count the decided verdicts, and those that chance alone would give."""
    return multiplicity([r["interval"] for r in rows], confidence)


@drawing
def draw_contrasts(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """Draw a forest plot of one study: the difference to the anchor in points, level by level.

    Args:
        rows: One study's rows of `table_contrasts`.
        limit: Half the width of the x axis in points, the same for all studies.
        width: Width of the panel, inches.
    """
    headings: dict[float, Row] = {}
    placed_rows: list[tuple[float, Row]] = []
    y = 0.0
    for path in dict.fromkeys(row["path"] for row in rows):
        levels = [row for row in rows if row["path"] == path]
        headings[y] = levels[0]
        placed_rows += [(y + 0.95 + i, row) for i, row in enumerate(levels)]
        y += len(levels) + 1.3
    figure, axes = blank(0.5 + 0.145 * y, width)
    letters = int(16 * width) - 10  # letters that fit in the heading of a choice
    axes.set_yticks(
        [height for height, _ in placed_rows], [shorten(row["level"], 14) for _, row in placed_rows]
    )
    for height, row in headings.items():
        bar = axes.axhline(height, -1, 2, color="#e9e9e4", linewidth=8.5, zorder=0.8, clip_on=False)
        bar.set_in_layout(False)
        anchor = "" if row["anchor"] is None else shorten(str(row["anchor"]), letters - len(row["symbol"]))
        write_heading(axes, height, row["symbol"] + (f", anchor {anchor}" if anchor else ""), LABEL_OFFSET)
    for height, row in placed_rows:
        draw_difference(axes, height, row, (-limit, limit))
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    axes.axvspan(
        -100 * EQUIVALENCE_MARGIN, 100 * EQUIVALENCE_MARGIN, color="#f3f3ef", linewidth=0, zorder=0.2
    )
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-limit, limit), ylim=(y - 0.5, -0.8), xlabel="points against the anchor")
    return figure


def exhibit_contrasts(results: Results, rows: Sequence[Row]) -> Exhibit:
    """Return the figure of the forest plots, one panel per study.

    Args:
        results: The sweep.
        rows: Rows of `table_contrasts`.
    """
    title = "Effect of each open choice"
    if not rows:
        missing = "No contrast is finished yet: it takes an anchor and one changed choice of one study."
        return Exhibit("contrasts", title, missing=missing)
    limit, several_methods = axis_limit(rows), len({row["method"] for row in rows}) > 1
    panels, width = [], panel_width(len(study_names(rows)))
    for study in study_names(rows):
        study_rows = [row for row in rows if row["study"] == study]
        name = study if several_methods else study_rows[0]["scenario"]
        panels.append(Panel(f"contrasts-{slug(study)}", name, draw_contrasts(study_rows, limit, width)))
    caption = (
        f"Validation {results.metric} (personal, own distribution) with one choice changed, minus the "
        f"anchor with the same seeds ({seed_count(sorted({row['seeds'] for row in rows}))}): mean and "
        f"{results.confidence:.0%} t interval. Blue triangles up help, orange triangles down hurt, green "
        f"squares do not matter ({WITHIN}: the shaded band), grey circles are undecided. Intervals wider "
        "than the axis end in an arrow. Long values are shortened here; the table of contrasts has them "
        "in full. " + chance_sentence(count_chance(rows, results.confidence), results.confidence)
    )
    columns = ("scenario", "symbol", "level", "mean", "low", "high", "seeds", "verdict", "firm")
    return Exhibit("contrasts", title, caption, queries.CONTRASTS, panels, numbers(rows, columns))
