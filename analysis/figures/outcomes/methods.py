"""Methods against each other: on the test split, on fresh seeds, paired where seeds are shared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from ...look.entries import CONFIRMED, bare, entries, groups, looks, quoted
from ...look.forest import forest, forest_height
from ...look.page import Cell, Exhibit, Panel, Table, numbers
from ...look.placing import levels
from ...look.style import FAINT, INK, SOFT, blank, drawing, legend_below, percent_axis
from ...look.words import chance, listing, percent, plus_minus, points, size, span
from ...read.results import Results, Row, by_seed, finished, standing
from ...stats.intervals import MARGIN, Interval, firm, multiplicity, paired, t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = {
    "acc_personal_own": "on each client's own distribution",
    "acc_personal_global": "on the global split",
}
ALL_METRICS = (
    "acc_personal_own",
    "acc_personal_global",
    "acc_shared_own",
    "acc_shared_global",
    "worst_client_accuracy",
)
QUERY = f"""{CONFIRMED}
SELECT scenario, label, avg(acc_personal_own) AS personal_own, stddev_samp(acc_personal_own) AS sd_own,
  avg(acc_personal_global) AS personal_global, stddev_samp(acc_personal_global) AS sd_global, count(*) AS seeds
FROM confirmed GROUP BY ALL ORDER BY ALL"""
NOT_YET = "No configuration has been confirmed on fresh seeds yet: the test split is still closed."


def table_methods(results: Results) -> list[Row]:
    """One row per confirmed configuration, scenario and metric, on the test split.

    Returns:
        Rows with label, method, look, scenario, metric, values, interval, mean, low, high, seeds and trial;
        scenarios in the sweep's order, configurations by their mean over scenarios, best first.

    Raises:
        ValueError: Two studies confirmed a configuration of one name under one scenario.
    """
    latest: dict[tuple[str, str], Row] = {}
    for trial in finished(results.trials, "confirm"):
        other = latest.setdefault((trial["label"], trial["scenario"]), trial)
        if other["study"] != trial["study"]:
            raise ValueError(
                f"{trial['label']!r} is confirmed under {trial['scenario']!r} by two studies, "
                f"{other['study']!r} and "
                f"{trial['study']!r}: no table can tell them apart"
            )
        latest[trial["label"], trial["scenario"]] = trial
    look, rows = looks(entries(results)), []
    for (label, scenario), trial in latest.items():
        for metric in METRICS:
            values = by_seed(trial, f"test_{metric}")
            interval = t_interval(list(values.values()), results.confidence)
            if interval:
                rows.append(
                    {
                        "label": label,
                        "method": trial["method"],
                        "look": look[label],
                        "scenario": scenario,
                        "metric": metric,
                        "values": values,
                        "interval": interval,
                        "mean": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                        "seeds": interval.n,
                        "trial": trial,
                    }
                )
    order = [s["label"] for s in results.meta.get("scenarios") or []]
    rank = {
        label: -sum(r["mean"] for r in own) / len(own)
        for label in {r["label"] for r in rows}
        if (own := [r for r in rows if r["label"] == label and r["metric"] == "acc_personal_own"])
    }
    return sorted(
        rows,
        key=lambda r: (
            order.index(r["scenario"]) if r["scenario"] in order else len(order),
            rank.get(r["label"], 0.0),
            r["label"],
            r["metric"],
        ),
    )


def primary(results: Results, rows: Sequence[Row]) -> str | None:
    """What the report is about: the first of a recipe; else the tuned configuration of the sweep's own space, else any tuned one."""
    labels = [label for label in entries(results) if any(r["label"] == label for r in rows)]
    first = [label for label in labels if bare(label) in (results.meta.get("grid") or [])]
    tuned = [label for label in labels if standing(label) == "tuned"]
    space = str(results.meta.get("space"))
    names = (space, ((results.meta.get("spaces_declared") or {}).get(space) or {}).get("method") or space)
    own = [label for label in tuned if bare(label) in names]
    declared = [label for label in labels if not standing(label)]
    return next(iter(first or own or tuned or declared), None)


def rivalry(results: Results, rows: Sequence[Row]) -> list[Row]:
    """The paired difference of the primary configuration to each other one, by scenario; test split, shared fresh seeds.

    Returns:
        Rows with scenario, ours, label, sibling (of the same method), validation (the other's mean validation
        accuracy on these seeds), interval on the clients' own distributions, world (the interval on the
        global split), and firm and world_firm (it stands when adjusted for the number of all these
        intervals).
    """
    ours, pairs = primary(results, rows), []
    found = {(r["scenario"], r["label"], r["metric"]): r for r in rows}
    own, world = METRICS
    for (scenario, label, metric), row in found.items():
        mine = found.get((scenario, ours or "", own))
        if metric != own or mine is None or label == ours:
            continue
        interval = paired(mine["values"], row["values"], results.confidence)
        sides = [found.get((scenario, name, world)) for name in (ours or "", label)]
        if interval:
            validation = t_interval(list(by_seed(row["trial"], own).values()))
            pairs.append(
                {
                    "scenario": scenario,
                    "ours": ours,
                    "label": label,
                    "sibling": row["method"] == mine["method"],
                    "validation": validation.mean if validation else 0.0,
                    "interval": interval,
                    "world": paired(sides[0]["values"], sides[1]["values"], results.confidence)
                    if sides[0] and sides[1]
                    else None,
                }
            )
    shown = [(p, key, p[key]) for p in pairs for key in ("interval", "world") if p[key]]
    stands = firm([interval for _, _, interval in shown], 1 - results.confidence)
    for (pair, key, _), sure in zip(shown, stands, strict=True):
        pair["firm" if key == "interval" else "world_firm"] = sure
    return pairs


def headline(pairs: Sequence[Row], confidence: float) -> str:
    """The primary configuration against its strongest rival, scenario by scenario, and where the global split decides otherwise.

    The strongest rival is chosen by validation accuracy, so that the difference on the test split is not that
    of a chosen maximum.
    """
    if not pairs:
        return ""
    rivals = [p for p in pairs if not p["sibling"]] or list(pairs)
    means = {p["label"]: [q["validation"] for q in rivals if q["label"] == p["label"]] for p in rivals}
    strongest = max(means, key=lambda label: (len(means[label]), sum(means[label]) / len(means[label])))
    against = [p for p in rivals if p["label"] == strongest]
    text = (
        f"On fresh seeds and the test split, {OWN}, {pairs[0]['ours']} "
        f"{_clauses(against, 'scenario', strongest)}."
    )
    only = (
        ""
        if len(means) == 1
        else f" {strongest} is the strongest of {len(means)} rivals by validation accuracy on these seeds."
    )
    return text.replace(" points, ", f" points, {confidence:.0%} interval ", 1) + only


OWN = "on the clients' own distributions"
VERBS = {
    "helps": "beats {}",
    "hurts": "loses to {}",
    "level": f"is level (within {100 * MARGIN:g} point) with {{}}",
    "undecided": "is undecided against {}",
}
MAY = {"helps": "may beat {}", "hurts": "may lose to {}"}


def opposite(interval: Interval) -> Interval:
    """The interval of the difference the other way round."""
    if interval.low is None or interval.high is None:
        return Interval(-interval.mean, None, None, interval.n)
    return Interval(-interval.mean, -interval.high, -interval.low, interval.n, interval.p)


def sentences(pairs: Sequence[Row], confidence: float) -> list[str]:
    """One sentence per scenario: against whom the primary configuration is ahead, behind, level, undecided."""
    said = []
    for scenario in dict.fromkeys(p["scenario"] for p in pairs):
        here = [p for p in pairs if p["scenario"] == scenario]
        said.append(f"Under {scenario}, {OWN}, {here[0]['ours']} {_clauses(here, 'label')}.")
    if said:
        said[0] = said[0].replace(" points, ", f" points, {confidence:.0%} interval ", 1)
    return said


def _clauses(pairs: Sequence[Row], name: str, rival: str = "") -> str:
    """What these differences say, and in a sentence of their own those on the global split that decide otherwise.

    Args:
        pairs: Rows of `rivalry`.
        name: What tells them apart: `label`, or `scenario` where all are differences to `rival`.
        rival: See `name`.
    """
    turned = [
        p
        for p in pairs
        if p["world"] and p["world"].excludes_zero and p["world"].verdict != p["interval"].verdict
    ]
    own = _verdicts([(p[name], p["interval"], p["firm"]) for p in pairs], rival)
    world = _verdicts([(p[name], p["world"], p["world_firm"]) for p in turned], rival)
    return own + (f". On the global split it {world}" if turned else "")


def _verdicts(found: Sequence[tuple[str, Interval, bool]], rival: str) -> str:
    """Differences by verdict; one that excludes zero but does not stand adjusted is said with `may`."""
    clauses = []
    for (verdict, verb), sure in product(VERBS.items(), (True, False)):
        told = MAY.get(verdict, "") if not sure else verb
        names = [
            f"{name} ({_difference(i)})"
            for name, i, stands in found
            if i.verdict == verdict and sure == (stands or not i.excludes_zero)
        ]
        if names:
            clauses.append(
                f"{told.format(rival)} under {listing(names)}" if rival else told.format(listing(names))
            )
    return "; it ".join(clauses)


def _difference(interval: Interval) -> str:
    return f"{points(interval.mean)} points, {span(interval)}"


@drawing
def draw_methods(rows: Sequence[Row], limits: tuple[float, float]) -> Figure:
    """One metric: scenario by scenario, a line per configuration: mean, interval, seeds as points; untuned hollow.

    Args:
        rows: Rows of `table_methods` of one metric.
        limits: The x axis, as fractions.
    """
    figure, axes = blank(forest_height(rows))
    forest(axes, rows, _method, lambda row: str(row["label"]))
    axes.grid(axis="x")
    axes.set(xlim=limits, xlabel="test accuracy, %")
    percent_axis(axes.xaxis)
    return figure


def _method(axes: Any, y: float, row: Row) -> None:
    look = row["look"]
    tint = look.colour
    axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
    if row["low"] is not None:
        axes.plot([row["low"], row["high"]], [y, y], color=tint, linewidth=2, solid_capstyle="butt")
    axes.plot(
        list(row["values"].values()),
        [y + 0.27] * len(row["values"]),
        "o",
        color=tint,
        markersize=1.8,
        alpha=0.6,
        markeredgewidth=0,
    )
    axes.plot(
        [row["mean"]],
        [y],
        look.marker,
        color=tint,
        markersize=4.8,
        markeredgewidth=1,
        markerfacecolor=look.face,
    )
    axes.annotate(
        percent(row["mean"]),
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(24, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=7,
        color=INK,
        annotation_clip=False,
    )


def limits(rows: Sequence[Row]) -> tuple[float, float]:
    """A common axis for all panels: every mean and seed, and intervals as far as they stay in 0 to 1."""
    ends = [
        v
        for r in rows
        for v in (*r["values"].values(), r["mean"], *((r["low"], r["high"]) if r["low"] is not None else ()))
    ]
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    pad = max(0.01, 0.05 * (high - low))
    return max(0.0, low - pad), min(1.0, high + pad)


def exhibit_methods(results: Results, rows: Sequence[Row]) -> Exhibit:
    """Methods by scenario, a panel per metric."""
    title = "Methods by scenario"
    if not rows:
        return Exhibit("methods", title, missing=NOT_YET)
    panels = [
        Panel(
            f"methods-{m.replace('_', '-')}",
            f"Personal accuracy {where}",
            draw_methods([r for r in rows if r["metric"] == m], limits(rows)),
        )
        for m, where in METRICS.items()
    ]
    caption = (
        f"Test accuracy on fresh seeds: mean (mark), {results.confidence:.0%} t interval over seeds (bar), "
        "single seeds (dots below the "
        "bar). Hollow marks are untuned. Intervals of single methods may overlap where the paired "
        "difference is still "
        "clear: read the verdicts in the table of methods. "
        f"{by_chance(results, rivalry(results, rows))}{patches(rows)}"
    )
    return Exhibit(
        "methods",
        title,
        caption,
        QUERY,
        panels,
        numbers(rows, ("scenario", "label", "metric", "mean", "low", "high", "seeds")),
    )


def by_chance(results: Results, pairs: Sequence[Row]) -> str:
    """How many of the paired differences, on the clients' own distributions and on the global split, chance alone would decide."""
    intervals = [i for p in pairs for i in (p["interval"], p["world"]) if i]
    said = chance(multiplicity(intervals, results.confidence), results.confidence, "if all were equal")
    return (
        f"Paired differences to {pairs[0]['ours']}, own and global: {said[0].lower()}{said[1:]}"
        if said
        else ""
    )


def patches(rows: Sequence[Row]) -> str:
    """Which configurations work on patches, and on how many: with few of them, there is little to transport."""
    found: dict[int, dict[str, None]] = {}
    for row in (r for r in rows if r["trial"].get("patches")):
        found.setdefault(row["trial"]["patches"], {})[row["label"]] = None
    return "".join(
        f" With this backbone, {listing(list(labels))} {'works' if len(labels) == 1 else 'work'} on M = "
        f"{number} patches."
        for number, labels in found.items()
    )


def table_heterogeneity(results: Results, rows: Sequence[Row]) -> list[Row]:
    """The rows of `table_methods` with the achieved Jensen-Shannon divergence of their scenario as `js`; without one, left out."""
    js = {
        s["label"]: ((s.get("heterogeneity") or {}).get("achieved") or {}).get("js_divergence")
        for s in results.meta.get("scenarios") or []
    }
    return [{**r, "js": js[r["scenario"]]} for r in rows if js.get(r["scenario"]) is not None]


@drawing
def draw_heterogeneity(rows: Sequence[Row], limits: tuple[float, float]) -> Figure:
    """One metric: accuracy against the achieved heterogeneity, a line per configuration (slightly shifted so that intervals show)."""
    labels = list(dict.fromkeys(r["label"] for r in rows))
    figure, axes = blank(3.3)
    reach = max(r["js"] for r in rows) - min(r["js"] for r in rows) or 1.0
    for i, label in enumerate(labels):
        own = sorted((r for r in rows if r["label"] == label), key=lambda r: r["js"])
        look = own[0]["look"]
        x = [r["js"] + (i - (len(labels) - 1) / 2) * 0.012 * reach for r in own]
        axes.plot(
            x,
            [r["mean"] for r in own],
            look.marker,
            linestyle=look.line,
            color=look.colour,
            markersize=4.5,
            linewidth=1.1,
            markerfacecolor=look.face,
            label=label,
        )
        for at, row in zip(x, own, strict=True):
            if row["low"] is not None:
                axes.plot([at, at], [row["low"], row["high"]], color=look.colour, linewidth=1)
    places = sorted({(r["js"], r["scenario"]) for r in rows})
    for level, (js, scenario) in zip(
        levels([js for js, _ in places], [s for _, s in places]), places, strict=True
    ):
        axes.axvline(js, color="#dddddd", linewidth=0.7, zorder=0)
        side = (
            "left"
            if js - places[0][0] < 0.2 * reach
            else "right"
            if places[-1][0] - js < 0.2 * reach
            else "center"
        )
        axes.annotate(
            scenario,
            (js, 1),
            xycoords=("data", "axes fraction"),
            xytext=({"left": -4, "right": 4}.get(side, 0), 3 + 8 * level),
            textcoords="offset points",
            color=SOFT,
            fontsize=6.5,
            ha=side,
            va="bottom",
            annotation_clip=False,
        )
    axes.grid(axis="y")
    axes.set(
        ylim=limits,
        xlabel="achieved label divergence between clients (Jensen-Shannon)",
        ylabel="test accuracy, %",
    )
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_heterogeneity(results: Results, methods: Sequence[Row]) -> Exhibit:
    """Accuracy against heterogeneity, a panel per metric."""
    title, rows = "Accuracy against heterogeneity", table_heterogeneity(results, methods)
    if len({r["js"] for r in rows}) < 2:
        return Exhibit(
            "heterogeneity",
            title,
            missing=NOT_YET
            if not methods
            else "It takes confirmed configurations in two scenarios of different achieved heterogeneity.",
        )
    shown = groups([label for label in entries(results) if any(r["label"] == label for r in rows)])
    panels = [
        Panel(
            f"heterogeneity-{m.replace('_', '-')}" + (f"-{i + 1}" if len(shown) > 1 else ""),
            f"Personal accuracy {where}" + (f" ({i + 1} of {len(shown)})" if len(shown) > 1 else ""),
            draw_heterogeneity([r for r in rows if r["metric"] == m and r["label"] in labels], limits(rows)),
        )
        for i, labels in enumerate(shown)
        for m, where in METRICS.items()
    ]
    caption = (
        "What clients differ in is measured, not requested: the Jensen-Shannon divergence of their class "
        "distributions. Scenarios also "
        "differ otherwise (domains, sizes), so a line joins settings; it is no dose response. Left to "
        "right: as clients come to differ "
        "more."
    )
    query = f"""{CONFIRMED}, places AS (
  SELECT s.label AS scenario, s.heterogeneity.achieved.js_divergence AS js FROM (SELECT unnest(scenarios) AS s FROM read_json('run.json'))
)
SELECT scenario, js, label, avg(acc_personal_own) AS personal_own, stddev_samp(acc_personal_own) AS sd_own,
  avg(acc_personal_global) AS personal_global, stddev_samp(acc_personal_global) AS sd_global, count(*) AS seeds
FROM confirmed JOIN places USING (scenario) GROUP BY ALL ORDER BY ALL"""
    columns = ("scenario", "js", "label", "metric", "mean", "low", "high")
    return Exhibit("heterogeneity", title, caption, query, panels, numbers(rows, columns))


def table_of_methods(results: Results, rows: Sequence[Row]) -> Table | None:
    """All four accuracies, the worst client, what is sent, and the paired verdict on the primary configuration."""
    if not rows:
        return None
    rivals, ours = rivalry(results, rows), primary(results, rows)
    pairs = {(p["scenario"], p["label"]): opposite(p["interval"]) for p in rivals}
    sure = {(p["scenario"], p["label"]): p["firm"] for p in rivals}
    body: list[list[Any]] = []
    for row in (r for r in rows if r["metric"] == "acc_personal_own"):
        trial, gap = row["trial"], pairs.get((row["scenario"], row["label"]))
        means = [
            Cell(
                plus_minus(t_interval(list(by_seed(trial, f"test_{m}").values()), results.confidence)),
                "tight",
            )
            for m in ALL_METRICS
        ]
        lead = Cell("reference" if row["label"] == ours else "")
        if gap:
            may = "" if sure[row["scenario"], row["label"]] or not gap.excludes_zero else "may be "
            word = {"helps": "ahead", "hurts": "behind", "level": "level", "undecided": "undecided"}[
                gap.verdict
            ]
            lead = Cell(f"{plus_minus(gap, points)} {may}{word}", f"tight {gap.verdict}")
        first = not any(row["scenario"] == line[0].text for line in body)
        body.append(
            [
                Cell(row["scenario"], "tight" if first else "again"),
                Cell(row["label"], "tight"),
                *means,
                lead,
                Cell(size(trial.get("bytes_up")), "tight"),
                trial.get("shared_parameters"),
            ]
        )
    head = [
        "scenario",
        "method",
        "personal own",
        "personal global",
        "shared own",
        "shared global",
        "worst client",
        f"minus {ours}, points" if ours else "paired difference",
        "bytes up",
        "parameters sent",
    ]
    seeds = listing(sorted({str(r["seeds"]) for r in rows}))
    caption = (
        f"Test accuracy in %, mean \u00b1 half of the {results.confidence:.0%} interval over fresh seeds "
        f"({seeds} of them). The "
        "difference is on personal own and "
        "paired by seed; ahead, behind and level (within one point) follow from its interval. "
        f"{by_chance(results, rivals)}"
    )
    query = f"""{CONFIRMED}
SELECT scenario, label, {", ".join(f"list_avg(test_{m}) AS {m}, list_stddev_samp(test_{m}) AS sd_{m}" for m in ALL_METRICS)},
  len(seeds) AS seeds, bytes_up, shared_parameters, difference, sd_difference, pairs
FROM latest LEFT JOIN (
  SELECT c.scenario, c.label, avg(c.acc_personal_own - o.acc_personal_own) AS difference,
    stddev_samp(c.acc_personal_own - o.acc_personal_own) AS sd_difference, count(*) AS pairs
  FROM confirmed c JOIN confirmed o USING (scenario, seed) WHERE o.label = {quoted(ours or "")} GROUP BY ALL
) USING (scenario, label) ORDER BY ALL"""
    return Table(head, body, caption, query, key="table-methods", title="Methods")
