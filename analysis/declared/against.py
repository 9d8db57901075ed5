"""Accuracy against a number that the scenarios differ in: the number of clients, say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..figures.outcomes.methods import METRICS, limits
from ..look.entries import CONFIRMED, common, entries, families, groups, number_at, settings, subject
from ..look.page import Exhibit, Panel, numbers, slug
from ..look.style import NARROW, WIDTH, blank, drawing, legend_below, percent_axis
from ..look.words import WITHIN, listing, percent, points, span
from ..read.results import Results, Row, by_seed, params, standing
from ..stats.intervals import Interval, paired
from .adjusted import may, of_number, with_firm

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
        Rows with x; line, the configurations that are one line (a label, unless x is a setting of the
        method); and family, the scenarios that differ in x alone. Families of a single x are left out.
    """
    order = list(entries(results))
    lines = families([r["trial"] for r in compared], [path])
    rows = [
        {**r, "x": x, "line": lines[r["label"]]}
        for r in compared
        if (x := number_at(r["trial"], path)) is not None
    ]
    alike: dict[str, list[str]] = {}
    for scenario in dict.fromkeys(r["scenario"] for r in rows):
        first = min((r for r in rows if r["scenario"] == scenario), key=lambda r: order.index(r["label"]))
        free = ("seed", path, *params(first["trial"]))
        kept = {
            k: v
            for k, v in settings(first["trial"]).items()
            if k not in free and not k.startswith(("method.", "resources."))
        }
        alike.setdefault(repr(sorted(kept.items())), []).append(scenario)
    names = {scenario: common(scenarios) for scenarios in alike.values() for scenario in scenarios}
    rows = [{**r, "family": names[r["scenario"]]} for r in rows]
    several = {name for name in names.values() if len({r["x"] for r in rows if r["family"] == name}) > 1}
    return sorted(
        (r for r in rows if r["family"] in several),
        key=lambda r: (list(names.values()).index(r["family"]), order.index(r["label"]), r["x"], r["metric"]),
    )


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
        axes.plot(
            x,
            [r["mean"] for r in own],
            look.marker,
            linestyle=look.line,
            color=look.colour,
            markersize=4.5,
            linewidth=1.1,
            markerfacecolor=look.face,
            label=line,
        )
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
        return Exhibit(
            key,
            title,
            missing=f"It takes configurations confirmed at two values of {path} in scenarios alike "
            "otherwise.",
        )
    frame = limits(rows)
    places = [
        (family, metric, lines)
        for family in dict.fromkeys(r["family"] for r in rows)
        for lines in groups(list(dict.fromkeys(r["line"] for r in rows if r["family"] == family)))
        for metric in METRICS
    ]
    panels = []
    for i, (family, metric, lines) in enumerate(places):
        own = [r for r in rows if (r["family"], r["metric"]) == (family, metric) and r["line"] in lines]
        panels.append(
            Panel(
                f"{key}-{slug(family)}-{i}",
                f"{family}: {WHERE[metric]}",
                draw_against(own, frame, name, NARROW if len(places) > 2 else WIDTH),
            )
        )
    told = of_number(
        table_told(results, rows), results.confidence, "The paired differences that sentences speak of"
    )
    tuned = any(standing(r["label"]) == "tuned" for r in rows)
    caption = (
        f"Test accuracy on fresh seeds against {name} ({path}): mean and {results.confidence:.0%} t "
        "interval over seeds. Within a panel "
        "scenarios are set up alike otherwise. Fewer images per client are also fewer steps per round. "
        + (
            "Each entry is tuned in each scenario, so tuned settings may differ along a line. "
            if tuned
            else ""
        )
        + "Hollow and dashed: untuned. Intervals of single lines may overlap where the paired difference "
        "is still clear. " + told
    ).strip()
    query = f"""{CONFIRMED}, places AS (SELECT scenario, label, (experiment ->> '$.{path}')::DOUBLE AS x FROM latest)
SELECT scenario, x, label, avg(acc_personal_own) AS personal_own, stddev_samp(acc_personal_own) AS sd_own,
  avg(acc_personal_global) AS personal_global, stddev_samp(acc_personal_global) AS sd_global, count(*) AS seeds
FROM confirmed JOIN places USING (scenario, label) WHERE x IS NOT NULL GROUP BY ALL ORDER BY label, x"""
    columns = ("scenario", "x", "label", "metric", "mean", "low", "high", "seeds")
    return Exhibit(key, title, caption, query, panels, numbers(rows, columns))


def name_of_x(figure: Row) -> str:
    """What the x axis is called."""
    return str(figure.get("name") or figure["x"].rpartition(".")[2])


def table_told(results: Results, rows: Sequence[Row]) -> list[Row]:
    """The paired differences that sentences speak of, on the clients' own distributions of the test split.

    Args:
        results: The sweep.
        rows: Rows of `table_against`.

    Returns:
        Of each family, the first entry at the largest x minus itself at the smallest, and at each x minus its
            strongest rival: rows with
        family, line, ends (smallest and largest x), rival (None for the former), rivals (how many there are),
        x, interval and firm (it stands among all of these rows). Validation says which rival is the
        strongest, so that test plays no part in the choice.
    """
    own = [r for r in rows if r["metric"] == "acc_personal_own"]
    about = next((r["line"] for r in own if r["label"] == subject(results)), None)
    told: list[Row] = []
    for family in dict.fromkeys(r["family"] for r in own):
        here = [r for r in own if r["family"] == family]
        ours = {r["x"]: r for r in here if r["line"] == about}
        if len(ours) < 2:
            continue
        others = [r for r in here if r["line"] != about and r["x"] in ours]
        ends, strongest = (min(ours), max(ours)), _strongest(others)
        common = {"family": family, "line": about, "ends": ends, "rivals": len({r["line"] for r in others})}
        pairs = [
            (None, ours[ends[1]], ours[ends[0]]),
            *((strongest, ours[r["x"]], r) for r in others if r["line"] == strongest),
        ]
        told += [
            {**common, "rival": rival, "x": first["x"], "interval": interval}
            for rival, first, second in pairs
            if (interval := paired(first["values"], second["values"], results.confidence))
        ]
    return with_firm(told, results.confidence)


def _strongest(rivals: Sequence[Row]) -> str | None:
    """The line at most values of x; of these, the most accurate on validation."""
    known: dict[str, list[float]] = {}
    for row in rivals:
        values = by_seed(row["trial"], "acc_personal_own").values()
        known.setdefault(row["line"], []).append(sum(values) / max(1, len(values)))
    return max(known, key=lambda line: (len(known[line]), sum(known[line])), default=None)


def sentences_against(results: Results, compared: Sequence[Row], figure: Row) -> list[str]:
    """Per family: what the first entry gains or loses from the smallest to the largest x, and where it is ahead of its strongest rival."""
    told, said = table_told(results, table_against(results, compared, figure["x"])), []
    for family in dict.fromkeys(r["family"] for r in told):
        here = [r for r in told if r["family"] == family]
        name, (low, high) = name_of_x(figure), here[0]["ends"]
        change = _change(next((r for r in here if r["rival"] is None), None), results.confidence)
        rival = _rival([r for r in here if r["rival"] is not None], name)
        said.append(f"From {low:g} to {high:g} {name} ({family}), {here[0]['line']} {change}{rival}.")
    return said


def _change(row: Row | None, confidence: float) -> str:
    if row is None:
        return "was not run on the same seeds, so its change has no interval"
    change: Interval = row["interval"]
    if change.low is None or change.high is None:
        return f"changes by {points(change.mean)} points (one seed gives no interval)"
    if change.excludes_zero:
        verb = "gain" if change.mean > 0 else "lose"
        verb = f"may {verb}" if may(row) else f"{verb}s"
        text = f"{verb} {percent(abs(change.mean))} points of accuracy on its clients' own distributions"
        ends = " to ".join(percent(end) for end in sorted((abs(change.low), abs(change.high))))
    else:
        text = (
            f"stays level {WITHIN}"
            if change.verdict == "level"
            else f"changes by {points(change.mean)} points, which is undecided"
        )
        ends = span(change)
    return f"{text} ({confidence:.0%} interval {ends}, paired by seed)"


def _rival(rows: Sequence[Row], name: str) -> str:
    """Against whom, and where, the paired difference is decided; at last where it may be."""
    if not rows:
        return ""
    sure, unsure = ([r for r in rows if may(r) == hint] for hint in (False, True))
    clauses = [
        f"it {verb} {', '.join(_places(some))}" for verb, some in (("is", sure), ("may be", unsure)) if some
    ]
    only = "" if rows[0]["rivals"] == 1 else ", the strongest of its rivals on validation,"
    return f"; against {rows[0]['rival']}{only} {'; '.join(clauses)} {name}"


def _places(rows: Sequence[Row]) -> list[str]:
    """`ahead at 5 (+1.6) and 10 (+0.6)`, `level (within 1 point) at 20`."""
    found: dict[str, list[str]] = {}
    for row in rows:
        gap: Interval = row["interval"]
        found.setdefault(gap.verdict, []).append(
            f"{row['x']:g}" + (f" ({points(gap.mean)})" if gap.excludes_zero else "")
        )
    return [f"{word} at {listing(found[verdict])}" for verdict, word in VERBS.items() if verdict in found]
