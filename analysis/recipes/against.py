"""Accuracy against a number that the scenarios differ in: the number of clients, say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..entries import CONFIRMED, common, entries, families, groups, number_at, settings, subject
from ..figures.methods import METRICS, limits
from ..page import Exhibit, Panel, numbers, slug
from ..results import Results, Row, params
from ..stats import Interval, paired
from ..style import NARROW, WIDTH, blank, drawing, legend_below, percent_axis
from ..words import WITHIN, listing, percent, points, span

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG = 4  # from this ratio of the largest to the smallest value on, the axis is logarithmic
WHERE = {"acc_personal_own": "each client's own distribution", "acc_personal_global": "the global split"}
VERBS = {"helps": "ahead", "hurts": "behind", "level": f"level ({WITHIN})", "undecided": "undecided"}


def table_against(results: Results, compared: Sequence[Row], path: str) -> list[Row]:
    """The rows of `methods.table_methods` with `x`, `line` and `family`.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        path: The setting along x; rows whose trial has no number there are left out.

    Returns:
        Rows with x; line, the configurations that are one line (a label, unless x is a setting of the method); and family, the
        scenarios that differ in x alone. Families of a single x are left out.
    """
    order = list(entries(results))
    lines = families([r["trial"] for r in compared], [path])
    rows = [{**r, "x": x, "line": lines[r["label"]]} for r in compared if (x := number_at(r["trial"], path)) is not None]
    alike: dict[str, list[str]] = {}
    for scenario in dict.fromkeys(r["scenario"] for r in rows):
        first = min((r for r in rows if r["scenario"] == scenario), key=lambda r: order.index(r["label"]))
        free = ("seed", path, *params(first["trial"]))
        kept = {k: v for k, v in settings(first["trial"]).items() if k not in free and not k.startswith(("method.", "resources."))}
        alike.setdefault(repr(sorted(kept.items())), []).append(scenario)
    names = {scenario: common(scenarios) for scenarios in alike.values() for scenario in scenarios}
    rows = [{**r, "family": names[r["scenario"]]} for r in rows]
    several = {name for name in names.values() if len({r["x"] for r in rows if r["family"] == name}) > 1}
    return sorted((r for r in rows if r["family"] in several), key=lambda r: (list(names.values()).index(r["family"]),
                  order.index(r["label"]), r["x"], r["metric"]))  # fmt: skip


@drawing
def draw_against(rows: Sequence[Row], frame: tuple[float, float], name: str, width: float = WIDTH) -> Figure:
    """One family and metric: a line per configuration, slightly shifted so that intervals show.

    Args:
        rows: Rows of `table_against`.
        frame: The y axis, as fractions.
        name: Of the x axis.
        width: Of the panel, inches.
    """
    figure, axes = blank(3.3, width)
    lines, values = list(dict.fromkeys(r["line"] for r in rows)), sorted({r["x"] for r in rows})
    logarithmic = values[0] > 0 and values[-1] / values[0] >= LOG
    for i, line in enumerate(lines):
        own = sorted((r for r in rows if r["line"] == line), key=lambda r: r["x"])
        part = 0.012 * (i - (len(lines) - 1) / 2)
        x = [shifted_along(r["x"], part, values, logarithmic) for r in own]
        look = own[0]["look"]
        for at, row in zip(x, own, strict=True):
            if row["low"] is not None:
                axes.plot([at, at], [row["low"], row["high"]], color=look.colour, linewidth=1)
        axes.plot(x, [r["mean"] for r in own], look.marker, linestyle=look.line, color=look.colour, markersize=4.5, linewidth=1.1,
                  markerfacecolor=look.face, label=line)  # fmt: skip
    number_axis(axes, values, logarithmic)
    axes.grid(axis="y")
    axes.set(ylim=frame, xlabel=name, ylabel="test accuracy, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def shifted_along(x: float, part: float, values: Sequence[float], logarithmic: bool) -> float:
    """A place moved by a part of the axis, so that intervals at one value stand side by side."""
    return x * (values[-1] / values[0]) ** part if logarithmic else x + (values[-1] - values[0]) * part


def number_axis(axes: Any, values: Sequence[float], logarithmic: bool) -> None:
    """An x axis with a tick at each value that was run."""
    from matplotlib.ticker import NullLocator

    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(values, [f"{v:g}" for v in values])


def exhibit_against(results: Results, compared: Sequence[Row], figure: Row, key: str) -> Exhibit:
    """Accuracy against a setting: two panels, own and global, for each family of scenarios.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: x, name and title.
        key: The exhibit's.
    """
    path, name = figure["x"], name_of_x(figure)
    title, rows = figure.get("title") or f"Accuracy against {name}", table_against(results, compared, path)
    if not rows:
        return Exhibit(key, title, missing=f"It takes configurations confirmed at two values of {path} in scenarios alike otherwise.")
    frame = limits(rows)
    places = [(family, metric, lines) for family in dict.fromkeys(r["family"] for r in rows)
              for lines in groups(list(dict.fromkeys(r["line"] for r in rows if r["family"] == family))) for metric in METRICS]  # fmt: skip
    panels = []
    for i, (family, metric, lines) in enumerate(places):
        own = [r for r in rows if (r["family"], r["metric"]) == (family, metric) and r["line"] in lines]
        panels.append(Panel(f"{key}-{slug(family)}-{i}", f"{family}: {WHERE[metric]}",
                            draw_against(own, frame, name, NARROW if len(places) > 2 else WIDTH)))  # fmt: skip
    caption = (
        f"Test accuracy on fresh seeds against {name} ({path}): mean and {results.confidence:.0%} t interval over seeds. Within a panel "
        "nothing else differs between scenarios. Hollow and dashed: untuned. Intervals of single lines may overlap where the paired "
        "difference is still clear."
    )
    query = f"""{CONFIRMED}, places AS (SELECT scenario, label, (experiment ->> '$.{path}')::DOUBLE AS x FROM latest)
SELECT scenario, x, label, avg(acc_personal_own) AS personal_own, stddev_samp(acc_personal_own) AS sd_own,
  avg(acc_personal_global) AS personal_global, stddev_samp(acc_personal_global) AS sd_global, count(*) AS seeds
FROM confirmed JOIN places USING (scenario, label) WHERE x IS NOT NULL GROUP BY ALL ORDER BY label, x"""
    columns = ("scenario", "x", "label", "metric", "mean", "low", "high", "seeds")
    return Exhibit(key, title, caption, query, panels, numbers(rows, columns))


def name_of_x(figure: Row) -> str:
    """What the x axis is called."""
    return str(figure.get("name") or figure["x"].rpartition(".")[2])


def sentences_against(results: Results, compared: Sequence[Row], figure: Row) -> list[str]:
    """Per family: what the first entry gains or loses from the smallest to the largest x, and where it is ahead of its strongest rival."""
    name, said = name_of_x(figure), []
    rows = [r for r in table_against(results, compared, figure["x"]) if r["metric"] == "acc_personal_own"]
    about = next((r["line"] for r in rows if r["label"] == subject(results)), None)
    for family in dict.fromkeys(r["family"] for r in rows):
        here = [r for r in rows if r["family"] == family]
        ours = {r["x"]: r for r in here if r["line"] == about}
        if len(ours) < 2:
            continue
        low, high = min(ours), max(ours)
        change = paired(ours[high]["values"], ours[low]["values"], results.confidence)
        text = f"From {low:g} to {high:g} {name} ({family}), {about} {_change(change, results.confidence)}"
        said.append(text + _rival([r for r in here if r["line"] != about], ours, name, results.confidence) + ".")
    return said


def _change(change: Interval | None, confidence: float) -> str:
    if change is None:
        return "was not run on the same seeds, so its change has no interval"
    if change.low is None:
        return f"changes by {points(change.mean)} points (one seed gives no interval)"
    if change.excludes_zero:
        text = f"{'gains' if change.mean > 0 else 'loses'} {percent(abs(change.mean))} points of accuracy on its clients' own distributions"
        ends = " to ".join(percent(end) for end in sorted((abs(change.low), abs(change.high or 0.0))))
    else:
        text = f"stays level {WITHIN}" if change.verdict == "level" else f"changes by {points(change.mean)} points, which is undecided"
        ends = span(change)
    return f"{text} ({confidence:.0%} interval {ends}, paired by seed)"


def _rival(rivals: Sequence[Row], ours: dict[float, Row], name: str, confidence: float) -> str:
    """Against whom, and where, the paired difference is decided."""
    means: dict[str, list[float]] = {}
    for row in (r for r in rivals if r["x"] in ours):
        means.setdefault(row["line"], []).append(row["mean"])
    if not means:
        return ""
    strongest = max(means, key=lambda line: (len(means[line]), sum(means[line]) / len(means[line])))
    found: dict[str, list[str]] = {}
    for row in (r for r in rivals if r["line"] == strongest and r["x"] in ours):
        gap = paired(ours[row["x"]]["values"], row["values"], confidence)
        if gap:
            found.setdefault(gap.verdict, []).append(f"{row['x']:g} ({points(gap.mean)})" if gap.excludes_zero else f"{row['x']:g}")
    clauses = [f"{word} at {listing(found[verdict])}" for verdict, word in VERBS.items() if verdict in found]
    only = "" if len(means) == 1 else ", the strongest of its rivals on average,"
    return f"; against {strongest}{only} it is {', '.join(clauses)} {name}" if clauses else ""
