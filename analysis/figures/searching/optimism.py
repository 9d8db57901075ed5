"""Optimism gap: the value of a chosen configuration in the search, on fresh seeds, and on the test split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.entries import base_label, entry_of, looks_of
from ...look.marks import draw_intervals, panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import SOFT, Look, blank, drawing, legend_below, percent_axis
from ...look.words import percent, points, span
from ...read import queries
from ...read.metric import Metric
from ...read.results import Results, Row, by_seed, finished_trials, parameters_of, tuning_of
from ...stats.intervals import paired, t_interval
from ..choices.rivals import home
from ..rows import interval_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure


STAGES = ("search", "validation", "test")


MOST_STUDIES = 5  # in one panel


INEXACT_NOTE = " (best; no trial has exactly these settings)"


def table_optimism(results: Results) -> list[Row]:
    """Return the chosen configuration of each study, with its values in the search and when confirmed.

    The chosen trial is the complete contrast or search trial with the parameters of the study's tuned confirm
    trial; where none has the same, the one with the best objective.

    Returns:
        Rows with study, scenario, method, entry (the confirmed configuration's name), chosen (the label of
        the trial), exact (it has the same parameters), the intervals search, validation, test, and gap (test
        minus validation on the same fresh seeds, paired).
    """
    rows, trials = [], finished_trials(results.trials, "contrast", "search")
    for trial in (t for t in finished_trials(results.trials, "confirm") if tuning_of(t["label"]) == "tuned"):
        study = home(results, trial)
        tried = [t for t in trials if t["study"] == study and t["method"] == trial["method"]]
        tried = [t for t in tried if t.get("objective") is not None]
        same = [t for t in tried if parameters_of(t) == parameters_of(trial)]
        if not tried:
            continue
        chosen = max(same or tried, key=lambda t: t["objective"])
        validation, test = by_seed(trial, "acc_personal_own"), by_seed(trial, "test_acc_personal_own")
        values = dict(zip(STAGES, (by_seed(chosen, "acc_personal_own"), validation, test), strict=True))
        stages = {stage: t_interval(list(v.values()), results.confidence) for stage, v in values.items()}
        if all(stages.values()):
            about = {"study": chosen["study"], "scenario": trial["scenario"], "method": trial["method"]}
            names = {"entry": base_label(trial["label"]), "chosen": chosen["label"], "exact": bool(same)}
            rows.append({**about, **names, **stages, "gap": paired(test, validation, results.confidence)})
    return rows


@drawing
def draw_optimism(
    rows: Sequence[Row], names: Sequence[tuple[str, Look]], metric: Metric, width: float
) -> Figure:
    """Draw a line per study over the three stages, with intervals.

    Args:
        rows: Rows of `table_optimism`.
        names: Name and look of each row.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(2.8, width)
    for i, (row, (name, look)) in enumerate(zip(rows, names, strict=True)):
        stages = [interval_columns(row[stage]) for stage in STAGES]
        x = [place + 0.05 * (i - (len(rows) - 1) / 2) for place in range(3)]
        marker: dict[str, Any] = {"marker": look.marker, "markersize": 4.5, "linewidth": 1.2}
        axes.plot(x, [stage["mean"] for stage in stages], color=look.colour, label=name, **marker)
        draw_intervals(axes, x, stages, look.colour, alpha=0.7)
    axes.axvline(0.5, color=SOFT, linewidth=0.6, linestyle=(0, (1, 2)))
    labels = ["validation,\nselection seeds", "validation,\nfresh seeds", "test,\nfresh seeds"]
    axes.set_xticks(range(3), labels)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set(xlim=(-0.35, 2.35), ylabel=f"{metric}, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_optimism(results: Results) -> Exhibit:
    """Return the figure of the optimism gap."""
    title, rows = "Optimism gap", table_optimism(results)
    if not rows:
        missing = "No tuned configuration has been confirmed on fresh seeds yet, so the gap is not known."
        return Exhibit("optimism", title, missing=missing)
    gaps = "; ".join(
        f"{row['entry']} under {row['scenario']} {points(row['gap'].mean)} ({span(row['gap'])})"
        for row in rows
        if row["gap"]
    )
    caption = (
        f"The configuration that the search chose: the {results.metric} that made it win (left), the same "
        "settings on seeds that the search never saw (middle), and on the test split with those seeds "
        "(right). The fall from left to middle is the cost of choosing the best of many noisy values; it "
        "also holds chance, because selection and fresh seeds differ. Test minus validation is paired by "
        f"seed{': ' + gaps if len(rows) <= MOST_STUDIES else ''}."
    )
    ends = {stage: f"{stage}, interval in %" for stage in STAGES}
    table_rows = [
        {
            **{key: row[key] for key in ("scenario", "entry")},
            "chosen": row["chosen"] + ("" if row["exact"] else INEXACT_NOTE),
            **{stage: row[stage].mean for stage in STAGES},
            **{name: span(row[stage], percent) for stage, name in ends.items()},
        }
        for row in rows
    ]
    table = numbers(table_rows, ("scenario", "entry", "chosen", *STAGES, *ends.values()))
    return Exhibit("optimism", title, caption, queries.OPTIMISM, _panels(results, rows), table)


def _panels(results: Results, rows: Sequence[Row]) -> list[Panel]:
    """Return one panel with all studies, or where they are many, a panel per scenario."""
    if len(rows) <= MOST_STUDIES:
        names = list(looks_of({row["study"]: "" for row in rows}).items())
        return [Panel("optimism", "", draw_optimism(rows, names, results.metric, 3.6))]
    named = [{**row, "name": entry_of(results, row["study"], row["scenario"])} for row in rows]
    look_of = looks_of({row["name"]: row["method"] for row in named})
    scenarios, panels = list(dict.fromkeys(row["scenario"] for row in rows)), []
    for scenario in scenarios:
        scenario_rows = [row for row in named if row["scenario"] == scenario]
        names = [(row["name"], look_of[row["name"]]) for row in scenario_rows]
        figure = draw_optimism(scenario_rows, names, results.metric, panel_width(len(scenarios)))
        panels.append(Panel(f"optimism-{slug(scenario)}", scenario, figure))
    return panels
