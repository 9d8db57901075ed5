"""Several objectives: which configurations of a search no other beats in all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import INK, NARROW, PALETTE, WIDTH, blank, drawing, legend_below
from ...look.words import TITLES, listing, mean_span, percent, size
from ...read.queries import parts
from ...read.results import Results, Row, by_seed, finished, params
from ...stats.intervals import Interval, t_interval
from ..choices.rivals import home

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRACTIONS = ("acc_", "worst_client_", "p10_", "test_acc_")
NAMES = {
    **{name: f"accuracy ({words})" for name, words in TITLES.items()},
    "bytes_up": "bytes sent up",
    "bytes_down": "bytes sent down",
    "flops": "FLOPs",
    "seconds": "seconds",
}
Objective = Mapping[str, str]


def objectives(results: Results) -> list[Objective]:
    """What the search looked at: name and direction, the first one leading."""
    return list((results.meta.get("search") or {}).get("objectives") or [])


def value(trial: Row, name: str) -> float | None:
    """A trial's value of an objective: the mean of a list, or the number itself; None where there is none."""
    found = trial.get(name)
    numbers_ = (
        [float(v) for v in found if v is not None]
        if isinstance(found, list)
        else []
        if found is None
        else [float(found)]
    )
    mean = sum(numbers_) / len(numbers_) if numbers_ else math.nan
    return mean if math.isfinite(mean) else None


def table_pareto(results: Results) -> list[Row]:
    """One row per complete contrast and search trial of each study that was searched, with all objectives.

    Returns:
        Rows with study, scenario, label, params, values (by objective), intervals (over seeds, of those
        measured per seed), front (no other trial of the study is at least as good in all and better in one)
        and confirmed (the trial on fresh seeds, or None).
    """
    wanted = objectives(results)
    if len(wanted) < 2:
        return []
    done, rows = finished(results.trials, "contrast", "search"), []
    for study in dict.fromkeys(t["study"] for t in done if t["kind"] == "search"):
        own = []
        chosen = [t for t in finished(results.trials, "confirm") if study in (t["study"], home(results, t))]
        for trial in (t for t in done if t["study"] == study):
            values = {o["name"]: value(trial, o["name"]) for o in wanted}
            if any(v is None for v in values.values()):
                continue
            spread = {
                o["name"]: t_interval(list(by_seed(trial, o["name"]).values()), results.confidence)
                for o in wanted
                if isinstance(trial.get(o["name"]), list)
            }
            met = next(
                (t for t in chosen if params(t) == params(trial) and t["method"] == trial["method"]), None
            )
            own.append(
                {
                    "study": study,
                    "scenario": trial["scenario"],
                    "label": trial["label"],
                    "params": params(trial),
                    "values": values,
                    "intervals": spread,
                    "confirmed": met,
                }
            )
        for row in own:
            row["front"] = not any(dominates(other["values"], row["values"], wanted) for other in own)
        rows += own
    return rows


def dominates(a: Mapping[str, float], b: Mapping[str, float], wanted: Sequence[Objective]) -> bool:
    """Whether `a` is at least as good as `b` in every objective and better in one."""
    gains = [(a[o["name"]] - b[o["name"]]) * (-1 if o["direction"] == "minimize" else 1) for o in wanted]
    return all(g >= 0 for g in gains) and any(g > 0 for g in gains)


def shown(name: str) -> Callable[[float | None], str]:
    """How a value of an objective is written."""
    if name.startswith(FRACTIONS):
        return percent
    return size if name.startswith("bytes") else lambda v: "\u2013" if v is None else f"{v:.4g}"


def named(name: str) -> str:
    """An objective in words, with its unit."""
    return NAMES.get(name, name.replace("_", " ")) + (", %" if name.startswith(FRACTIONS) else "")


@drawing
def draw_pareto(rows: Sequence[Row], wanted: Sequence[Objective], width: float = WIDTH) -> Figure:
    """One study on its first two objectives: all trials grey, the front joined, its confirmed points framed."""
    figure, axes = blank(3.0, width)
    y, x = (o["name"] for o in wanted[:2])
    scale = [100.0 if name.startswith(FRACTIONS) else 1.0 for name in (x, y)]

    def at(some: Sequence[Row]) -> tuple[list[float], list[float]]:
        return [scale[0] * r["values"][x] for r in some], [scale[1] * r["values"][y] for r in some]

    rest, front = (
        [r for r in rows if not r["front"]],
        sorted((r for r in rows if r["front"]), key=lambda r: r["values"][x]),
    )
    met = [r for r in front if r["confirmed"]]
    axes.plot(*at(rest), "o", color="#b9b9b9", markersize=3.2, label="beaten by another")
    for row in front:
        interval: Interval | None = row["intervals"].get(y)
        if interval and interval.low is not None and interval.high is not None:
            ends = [scale[1] * interval.low, scale[1] * interval.high]
            axes.plot([scale[0] * row["values"][x]] * 2, ends, color=PALETTE[0], linewidth=0.8, alpha=0.6)
    axes.plot(*at(front), "-o", color=PALETTE[0], markersize=4.2, linewidth=0.9, label="front")
    if met:
        axes.plot(
            *at(met),
            "o",
            color="none",
            markeredgecolor=INK,
            markersize=8.5,
            markeredgewidth=1.2,
            label="confirmed on fresh seeds",
        )
    axes.grid()
    axes.set(xlabel=named(x), ylabel=named(y))
    if x.startswith("bytes"):
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: size(v)))
    legend_below(figure, axes)
    return figure


def exhibit(results: Results, rows: Sequence[Row]) -> Exhibit | None:
    """The fronts, a panel per study; None where the search had one objective."""
    wanted, title = objectives(results), "Pareto front of the search"
    if len(wanted) < 2:
        return None
    if not rows:
        return Exhibit("pareto", title, missing="No trial of the search has all of its objectives yet.")
    studies = list(dict.fromkeys(r["study"] for r in rows))
    width = NARROW if len(studies) > 2 else WIDTH
    panels = [
        Panel(f"pareto-{slug(s)}", s, draw_pareto([r for r in rows if r["study"] == s], wanted, width))
        for s in studies
    ]
    aims = listing(
        [
            f"{named(o['name']).removesuffix(', %')} ({'least' if o['direction'] == 'minimize' else 'most'})"
            for o in wanted
        ]
    )
    more = (
        f" The axes show the first two of {len(wanted)} objectives: a point of the front may look "
        "beaten here."
        if len(wanted) > 2
        else ""
    )
    caption = (
        f"Complete contrast and search trials on validation, by {aims}. Blue: no other trial of the study "
        "is at least as good in all and "
        f"better in one; bars are {results.confidence:.0%} t intervals over seeds.{more} The front is made "
        "of the luckiest of many noisy "
        "values: what its points keep on fresh seeds stands in the table."
    )
    flat = [{**r, **r["values"]} for r in rows if r["front"]]
    return Exhibit(
        "pareto",
        title,
        caption,
        query(wanted),
        panels,
        numbers(flat, ("study", "label", *(o["name"] for o in wanted))),
    )


def query(wanted: Sequence[Objective]) -> str:
    """SQL of all points of the fronts' figure."""
    found = ", ".join(
        f"list_avg({o['name']}) AS {o['name']}" if o["name"].startswith(FRACTIONS) else o["name"]
        for o in wanted
    )
    return f"""SELECT study, trial, label, {found}
FROM {parts("trials")}
WHERE kind IN ('contrast', 'search') AND state = 'COMPLETE'
ORDER BY ALL"""


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """The front's points in all objectives, and what the confirmed ones keep."""
    wanted, front = objectives(results), [r for r in rows if r["front"]]
    if not front:
        return None
    first, body = wanted[0]["name"], []
    front = sorted(
        front,
        key=lambda r: (
            r["study"],
            -r["values"][first] if wanted[0]["direction"] != "minimize" else r["values"][first],
        ),
    )
    for r in front:
        cells: list[Any] = []
        for name in (o["name"] for o in wanted):
            interval, form = r["intervals"].get(name), shown(name)
            cells.append(mean_span(interval, form) if interval else form(r["values"][name]))
        test = (
            t_interval(list(by_seed(r["confirmed"], f"test_{first}").values()), results.confidence)
            if r["confirmed"]
            else None
        )
        changed = " ".join(f"{path}={v}" for path, v in r["params"].items()) or "nothing: the anchor"
        body.append(
            [
                r["study"],
                r["label"],
                *cells,
                mean_span(test, shown(first)) if test else "not confirmed",
                Cell(changed, "code"),
            ]
        )
    head = ["study", "configuration", *(named(o["name"]) for o in wanted), f"test: {named(first)}", "set"]
    caption = (
        f"Mean [{results.confidence:.0%} interval over seeds] on validation; on the test split with "
        "fresh seeds where it was confirmed."
    )
    return Table(head, body, caption, query(wanted), key="table-pareto", title="The front")
