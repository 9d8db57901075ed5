"""What the search did, and how much of its best value was luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.entries import bare, entry_of, looks
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import NARROW, SOFT, WIDTH, Look, blank, drawing, integer_axis, legend_below, percent_axis
from ...look.words import mean_span, percent, points, span
from ...read import queries
from ...read.results import Results, Row, by_seed, finished, params, standing
from ...stats.intervals import Interval, paired, t_interval
from ..choices.rivals import home

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES = ("search", "validation", "test")
SHOWN = 5  # studies in one panel of the optimism gap
INEXACT = " (best; no trial has exactly these settings)"


def table_search(results: Results) -> list[Row]:
    """Contrast and search trials of each study in order, with the best objective of complete trials so far.

    Returns:
        Rows with study, scenario, place, label, kind, state, objective and best (None until a trial is
        complete).
    """
    rows: list[Row] = []
    places: dict[str, int] = {}
    best: dict[str, float] = {}
    for trial in (t for t in results.trials if t.get("kind") in ("contrast", "search")):
        study, value = trial["study"], trial.get("objective")
        value = value if value is not None and math.isfinite(value) else None
        places[study] = places.get(study, 0) + 1
        if trial["state"] == "COMPLETE" and value is not None:
            best[study] = max(best.get(study, value), value)
        rows.append(
            {
                "study": study,
                "scenario": trial["scenario"],
                "method": trial["method"],
                "place": places[study],
                "label": trial["label"],
                "kind": trial["kind"],
                "state": trial["state"],
                "objective": value,
                "best": best.get(study),
            }
        )
    return rows


@drawing
def draw_search(rows: Sequence[Row], limits: tuple[float, float], width: float = WIDTH) -> Figure:
    """One study: the best so far as a step line, trials as points: contrasts grey, search blue, pruned a cross, failed at the bottom."""
    figure, axes = blank(2.7, width)
    there = [r for r in rows if r["best"] is not None]
    axes.step(
        [r["place"] for r in there],
        [r["best"] for r in there],
        where="post",
        color="#222222",
        linewidth=1.2,
        label="best so far",
    )
    looks: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("contrast", "COMPLETE", "contrast", {"marker": "o", "color": "#8a8a8a"}),
        ("search", "COMPLETE", "search", {"marker": "o", "color": "#0072B2"}),
        ("", "PRUNED", "stopped early", {"marker": "x", "color": "#E69F00"}),
        ("", "FAIL", "failed", {"marker": "X", "color": "#D55E00"}),
    )
    for kind, state, name, look in looks:
        own = [r for r in rows if r["state"] == state and (not kind or r["kind"] == kind)]
        height = [
            limits[0] if state == "FAIL" or r["objective"] is None else max(limits[0], r["objective"])
            for r in own
        ]
        if own:
            axes.plot(
                [r["place"] for r in own],
                height,
                linestyle="",
                markersize=3.6,
                label=name,
                clip_on=False,
                **look,
            )
    axes.grid(axis="y")
    axes.set(
        ylim=limits,
        xlim=(0, max(r["place"] for r in rows) + 1),
        xlabel="trial of the study",
        ylabel="validation accuracy, %",
    )
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_search(results: Results) -> Exhibit:
    """The search, a panel per study."""
    title, rows = "The search", table_search(results)
    if not rows:
        return Exhibit("search", title, missing="No trial is finished yet.")
    values = sorted(r["objective"] for r in rows if r["objective"] is not None) or [0.0, 1.0]
    low = values[int(0.05 * (len(values) - 1))]  # a few bad trials do not flatten the rest
    pad = max(0.01, 0.12 * (values[-1] - low))
    limits = (max(0.0, low - pad), min(1.0, values[-1] + pad))
    studies = list(dict.fromkeys(r["study"] for r in rows))
    width = NARROW if len(studies) > 2 else WIDTH
    panels = [
        Panel(f"search-{slug(s)}", s, draw_search([r for r in rows if r["study"] == s], limits, width))
        for s in studies
    ]
    caption = (
        "Mean validation accuracy over the selection seeds, trial by trial, and the best complete one so "
        "far. A trial that was stopped "
        "early shows the value of its last rung; a failed one, or a value below the axis, stands at the "
        "bottom. The best of many noisy "
        "values is too good: see the optimism gap."
    )
    columns = ("study", "place", "kind", "label", "state", "objective", "best")
    return Exhibit("search", title, caption, queries.SEARCH, panels, numbers(rows, columns))


def table_optimism(results: Results) -> list[Row]:
    """What the chosen configuration of each study promised, and what it kept.

    The chosen trial is the complete contrast or search trial with the parameters of the study's tuned confirm
    trial; where none has the same, the one with the best objective.

    Returns:
        Rows with study, scenario, entry (the confirmed configuration's name), chosen (the label of the trial)
        and the intervals search, validation, test; gap (test minus validation on the same fresh seeds,
        paired).
    """
    rows = []
    for trial in (t for t in finished(results.trials, "confirm") if standing(t["label"]) == "tuned"):
        tried = [
            t for t in finished(results.trials, "contrast", "search") if t["study"] == home(results, trial)
        ]
        tried = [t for t in tried if t.get("objective") is not None and t["method"] == trial["method"]]
        same = [t for t in tried if params(t) == params(trial)]
        if not tried:
            continue
        chosen = max(same or tried, key=lambda t: t["objective"])
        stages = [
            by_seed(chosen, "acc_personal_own"),
            by_seed(trial, "acc_personal_own"),
            by_seed(trial, "test_acc_personal_own"),
        ]
        found = [t_interval(list(v.values()), results.confidence) for v in stages]
        if all(found):
            rows.append(
                {
                    "study": chosen["study"],
                    "scenario": trial["scenario"],
                    "method": trial["method"],
                    "entry": bare(trial["label"]),
                    "chosen": chosen["label"],
                    "search": found[0],
                    "validation": found[1],
                    "test": found[2],
                    "exact": bool(same),
                    "gap": paired(stages[2], stages[1], results.confidence),
                }
            )
    return rows


@drawing
def draw_optimism(rows: Sequence[Row], drawn: Sequence[tuple[str, Look]], width: float) -> Figure:
    """A line per study over the three stages, with intervals; `drawn` holds their names and looks."""
    figure, axes = blank(2.8, width)
    for i, (row, (name, look)) in enumerate(zip(rows, drawn, strict=True)):
        shift = 0.05 * (i - (len(rows) - 1) / 2)
        stages: list[Interval] = [row["search"], row["validation"], row["test"]]
        x = [k + shift for k in range(3)]
        means = [s.mean for s in stages]
        axes.plot(x, means, marker=look.marker, color=look.colour, markersize=4.5, linewidth=1.2, label=name)
        for at, stage in zip(x, stages, strict=True):
            if stage.low is not None and stage.high is not None:
                axes.plot([at, at], [stage.low, stage.high], color=look.colour, linewidth=1, alpha=0.7)
    axes.axvline(0.5, color=SOFT, linewidth=0.6, linestyle=(0, (1, 2)))
    axes.set_xticks(
        range(3), ["validation,\nselection seeds", "validation,\nfresh seeds", "test,\nfresh seeds"]
    )
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set(xlim=(-0.35, 2.35), ylabel="accuracy, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_optimism(results: Results) -> Exhibit:
    """The optimism gap."""
    title, rows = "Optimism gap", table_optimism(results)
    if not rows:
        return Exhibit(
            "optimism",
            title,
            missing="No tuned configuration has been confirmed on fresh seeds yet, so the gap is not known.",
        )
    caption = (
        "The configuration that the search chose, by the accuracy that made it win (left), with the same "
        "settings on seeds that the "
        "search never saw (middle), and on the test split with those seeds (right). The fall from left to "
        "middle is what choosing the "
        "best of many noisy values costs; selection and fresh seeds differ, so it also holds chance. Test "
        "to validation is paired by "
        "seed"
        + (
            ": "
            + "; ".join(
                f"{r['entry']} under {r['scenario']} {points(r['gap'].mean)} ({span(r['gap'])})"
                for r in rows
                if r["gap"]
            )
            if len(rows) <= SHOWN
            else ""
        )
        + "."
    )
    table = numbers(
        [
            {
                "scenario": r["scenario"],
                "entry": r["entry"],
                "chosen": r["chosen"] + ("" if r["exact"] else INEXACT),
                **{k: r[k].mean for k in STAGES},
                **{f"{k}, interval in %": span(r[k], percent) for k in STAGES},
            }
            for r in rows
        ],
        ("scenario", "entry", "chosen", *STAGES, *(f"{k}, interval in %" for k in STAGES)),
    )
    return Exhibit("optimism", title, caption, queries.OPTIMISM, _optimism_panels(results, rows), table)


def _optimism_panels(results: Results, rows: Sequence[Row]) -> list[Panel]:
    """All studies in one panel, or where these are many a panel per scenario, entries in their usual looks."""
    if len(rows) <= SHOWN:
        plain = looks({r["study"]: "" for r in rows})
        return [Panel("optimism", "", draw_optimism(rows, list(plain.items()), 3.6))]
    scenarios = list(dict.fromkeys(r["scenario"] for r in rows))
    own = {s: [r for r in rows if r["scenario"] == s] for s in scenarios}
    names = {s: [entry_of(results, r["study"], s) for r in own[s]] for s in scenarios}
    look = looks({name: r["method"] for s in scenarios for name, r in zip(names[s], own[s], strict=True)})
    width = NARROW if len(scenarios) > 2 else WIDTH
    return [
        Panel(
            f"optimism-{slug(s)}", s, draw_optimism(own[s], [(name, look[name]) for name in names[s]], width)
        )
        for s in scenarios
    ]


def table_trials(results: Results) -> Table | None:
    """All trials with their state and values, folded away."""
    if not results.trials:
        return None
    body = []
    for t in results.trials:
        own = t_interval(list(by_seed(t, "acc_personal_own").values()), results.confidence)
        test = t_interval(list(by_seed(t, "test_acc_personal_own").values()), results.confidence)
        look = {"FAIL": "hurts", "PRUNED": "undecided"}.get(t["state"], "")
        changed = " ".join(f"{path}={value}" for path, value in params(t).items())
        body.append(
            [
                t.get("trial"),
                t["scenario"],
                t["kind"],
                t["label"],
                Cell(t["state"], look),
                t.get("reason") or "",
                mean_span(own),
                mean_span(test) if test else "",
                len(t.get("seeds") or []),
                t.get("rounds"),
                round(t.get("seconds") or 0, 1),
                Cell(changed, "code"),
            ]
        )
    head = [
        "trial",
        "scenario",
        "kind",
        "label",
        "state",
        "reason",
        "validation, %",
        "test, %",
        "seeds",
        "rounds",
        "seconds",
        "set",
    ]
    caption = (
        f"Personal accuracy on the client's own distribution, mean [{results.confidence:.0%} "
        "interval] over seeds."
    )
    return Table(
        head,
        body,
        caption,
        queries.TRIALS,
        folded=f"All {len(body)} trials",
        key="table-trials",
        title="Trials",
    )


def table_choices(results: Results, contrasts: Sequence[Row]) -> Table | None:
    """The open choices: where each value comes from, what was tried, what was best."""
    factors = results.meta.get("factors") or []
    if not factors:
        return None
    body = []
    for factor in factors:
        own = [r for r in contrasts if r["path"] == factor["path"]]
        best = []
        for scenario in dict.fromkeys(r["scenario"] for r in own):
            top = max((r for r in own if r["scenario"] == scenario), key=lambda r: r["mean"])
            value = (
                "anchor" if top["mean"] <= 0 else f"{top['level']} ({points(top['mean'])}, {top['verdict']})"
            )
            best.append(f"{scenario}: {value}")
        body.append(
            [
                Cell(factor["path"], "code"),
                factor.get("doc") or "",
                factor.get("basis") or "",
                str(factor.get("anchor")),
                ", ".join(map(str, factor.get("levels") or [])),
                "; ".join(best) or "not tried yet",
            ]
        )
    head = ["choice", "what it is", "basis of the anchor", "anchor", "levels", "best mean so far"]
    caption = (
        "Basis: paper = stated in the paper's public text; relative = from the code of a published "
        "relative; computed = follows "
        "from a computation; guess = ours. The best mean is no verdict unless it says helps."
    )
    title = "Open choices and where their values come from"
    return Table(head, body, caption, queries.FACTORS, key="table-choices", title=title)
