"""Learning curves, and accuracy against what is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isfinite, log10
from typing import TYPE_CHECKING, Any

from ...look.entries import LATEST, entries, groups, looks, places_of, runs_of, scenarios_of
from ...look.page import Exhibit, Panel, Table, numbers, slug
from ...look.placing import Mark, amount, name_marks, spread_ticks
from ...look.style import NARROW, WIDTH, blank, drawing, integer_axis, legend_below, percent_axis
from ...look.words import size
from ...read.queries import parts
from ...read.results import Results, Row, finished
from ...stats.intervals import t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCURACIES = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global")
LINES = {
    "acc_personal_own": ("#0072B2", "-"),
    "acc_personal_global": ("#56B4E9", "--"),
    "acc_shared_own": ("#D55E00", "-"),
    "acc_shared_global": ("#E69F00", "--"),
}
LINE_NAMES = {
    "acc_personal_own": "personal, own",
    "acc_personal_global": "personal, global",
    "acc_shared_own": "shared, own",
    "acc_shared_global": "shared, global",
}


def table_curves(results: Results, rounds: Iterable[Row], metric: str = "acc_personal_own") -> list[Row]:
    """Validation accuracy, or whatever else the rounds table holds, by scenario, configuration and round.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the shown trials' runs.
        metric: The accuracy, or any column of the rounds table.

    Returns:
        Rows with scenario, label, method, look, round, mean, low, high, least, most, seeds; rounds without
        evaluation are left out.
    """
    where, drawn = places_of(results), entries(results)
    look = looks(drawn)
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rounds:
        if row.get(metric) is not None and isfinite(row[metric]):
            for scenario, label, _ in where.get(row.get("run") or "", []):
                values[(scenario, label, row["round"])].append(row[metric])
    rows = []
    for (scenario, label, number), found in sorted(values.items(), key=lambda item: item[0]):
        interval = t_interval(found, results.confidence)
        if interval:
            rows.append(
                {
                    "scenario": scenario,
                    "label": label,
                    "method": drawn[label],
                    "round": number,
                    "look": look[label],
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "least": min(found),
                    "most": max(found),
                    "seeds": interval.n,
                }
            )
    return rows


@drawing
def draw_curves(rows: Sequence[Row], limits: tuple[float, float], width: float = WIDTH) -> Figure:
    """One scenario: mean and range over seeds against the round; a method that does not train is a dotted line across."""
    figure, axes = blank(3.1, width)
    last = max(r["round"] for r in rows)
    for label in sorted(
        {r["label"] for r in rows},
        key=lambda name: -max((r["round"], r["mean"]) for r in rows if r["label"] == name)[1],
    ):
        own = [r for r in rows if r["label"] == label]
        look = own[0]["look"]
        if len(own) == 1:
            axes.plot([0, last], [own[0]["mean"]] * 2, ":", color=look.colour, linewidth=1.2, label=label)
            continue
        x = [r["round"] for r in own]
        axes.plot(
            x,
            [r["mean"] for r in own],
            linestyle=look.line,
            color=look.colour,
            marker=look.marker,
            markersize=3,
            markerfacecolor=look.face,
            markevery=max(1, len(x) // 8),
            label=label,
        )
        axes.fill_between(
            x, [r["least"] for r in own], [r["most"] for r in own], color=look.colour, alpha=0.12, linewidth=0
        )
    axes.grid(axis="y")
    axes.set(ylim=limits, xlabel="round", ylabel="validation accuracy, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def panels_by_scenario(results: Results, rows: Sequence[Row]) -> list[tuple[str, list[str], str]]:
    """Scenario, labels and what is added to the title of each panel, so that no panel holds too many configurations."""
    places = []
    for scenario in scenarios_of(results, [r["scenario"] for r in rows]):
        there = {r["label"] for r in rows if r["scenario"] == scenario}
        shown = groups([label for label in entries(results) if label in there])
        places += [
            (scenario, labels, f" ({i} of {len(shown)})" if len(shown) > 1 else "")
            for i, labels in enumerate(shown, 1)
        ]
    return places


def panels_of_curves(results: Results, rows: Sequence[Row], key: str) -> list[Panel]:
    """A panel per scenario, or several where one would hold too many lines."""
    low, high = min(r["least"] for r in rows), max(r["most"] for r in rows)
    limits = (max(0.0, low - 0.02), min(1.0, high + 0.02))
    places = panels_by_scenario(results, rows)
    width = NARROW if len(places) > 2 else WIDTH
    return [
        Panel(
            f"{key}-{slug(scenario + part)}",
            scenario + part,
            draw_curves(
                [r for r in rows if r["scenario"] == scenario and r["label"] in labels], limits, width
            ),
        )
        for scenario, labels, part in places
    ]


def query_of_curves(results: Results, metric: str) -> str:
    """The numbers of `table_curves` as SQL."""
    return f"""{runs_of(results)}, measured AS (
  SELECT DISTINCT run, round, {metric} AS value FROM {parts("rounds")}
  WHERE split = 'validation' AND isfinite({metric})
)
SELECT scenario, label, round, avg(value) AS mean, stddev_samp(value) AS sd, min(value) AS least, max(value) AS most, count(*) AS seeds
FROM run_of JOIN measured USING (run) GROUP BY ALL ORDER BY ALL"""


def query_of_measures(results: Results, metrics: Sequence[str]) -> str:
    """The numbers of `table_curves` of several columns as SQL, a row for each of them; `what` says which."""
    columns = ", ".join(f"{name}::DOUBLE AS {name}" for name in metrics)
    return f"""{runs_of(results)}, measured AS (
  SELECT run, round, what, value
  FROM (SELECT DISTINCT run, round, {columns} FROM {parts("rounds")} WHERE split = 'validation')
  UNPIVOT (value FOR what IN ({", ".join(metrics)})) WHERE isfinite(value)
)
SELECT scenario, label, what, round, avg(value) AS mean, stddev_samp(value) AS sd, min(value) AS least, max(value) AS most,
  count(*) AS seeds
FROM run_of JOIN measured USING (run) GROUP BY ALL ORDER BY ALL"""


def exhibit_curves(results: Results, rounds: Sequence[Row]) -> Exhibit:
    """Learning curves, a panel per scenario."""
    title, rows = "Learning curves", table_curves(results, rounds)
    if not rows:
        return Exhibit(
            "curves",
            title,
            missing="No evaluated round of an anchor or a confirmed configuration is on disk yet.",
        )
    kind = (
        "configurations confirmed on fresh seeds"
        if finished(results.trials, "confirm")
        else "the anchors (nothing is confirmed yet)"
    )
    caption = (
        f"Validation accuracy (personal, own distribution) after each evaluated round, of {kind}: mean "
        "over seeds, and the range from the "
        "lowest to the highest seed (band). Dashed and hollow: untuned; dotted: no training."
    )
    columns = ("scenario", "label", "round", "mean", "low", "high", "least", "most", "seeds")
    panels = panels_of_curves(results, rows, "curves")
    return Exhibit(
        "curves", title, caption, query_of_curves(results, "acc_personal_own"), panels, numbers(rows, columns)
    )


def table_communication(methods: Sequence[Row], rounds: Iterable[Row]) -> list[Row]:
    """What each confirmed configuration sends and what it reaches.

    Args:
        methods: Rows of `methods.table_methods`.
        rounds: Rows of the rounds table of their runs.

    Returns:
        Rows with scenario, label, look, parameters (shared, sent each way), up, down and each (bytes per
        client and round, each being their sum), total (bytes of a whole run: up, down and once at the start),
        mean, low and high (test accuracy).
    """
    per_client: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rounds:
        if row["round"] > 0 and row.get("clients"):
            pair = (
                (row.get("bytes_up") or 0) / row["clients"],
                (row.get("bytes_down") or 0) / row["clients"],
            )
            per_client[row.get("run") or ""].append(pair)
    rows = []
    for row in (r for r in methods if r["metric"] == "acc_personal_own"):
        trial = row["trial"]
        sent = [pair for run in trial.get("runs") or [] for pair in per_client.get(run, [])]
        if trial.get("bytes_up") is None:
            continue
        up, down = (sum(pair[i] for pair in sent) / len(sent) if sent else 0.0 for i in (0, 1))
        total = sum(trial.get(name) or 0 for name in ("bytes_up", "bytes_down", "bytes_setup"))
        rows.append(
            {
                **{k: row[k] for k in ("scenario", "label", "look")},
                "parameters": trial.get("shared_parameters") or 0,
                "up": up,
                "down": down,
                "each": up + down,
                "total": total,
                **{k: row[k] for k in ("mean", "low", "high")},
            }
        )
    return rows


@drawing
def draw_communication(
    rows: Sequence[Row], key: str, limits: tuple[float, float], width: float = WIDTH
) -> Figure:
    """One scenario: accuracy against what is sent on a log axis, each mark with its name; what sends nothing stands apart at 0.

    Args:
        rows: Rows of `table_communication`.
        key: `each` or `parameters`.
        limits: The y axis, as fractions.
        width: Of the panel, inches.
    """
    figure, axes = blank(3.3, width)
    sent = sorted({float(r[key]) for r in rows if r[key] > 0}) or [1.0]
    reach = max(1.0, log10(sent[-1] / sent[0]))  # decades
    nothing = log10(sent[0]) - 0.3 * reach
    apart = any(r[key] <= 0 for r in rows)
    marks = [
        Mark(
            log10(r[key]) if r[key] > 0 else nothing,
            r["mean"],
            r["label"].removesuffix(" (tuned)"),
            *((r["low"], r["high"]) if r["low"] is not None else (r["mean"], r["mean"])),
        )
        for r in rows
    ]
    shifts = name_marks(axes, marks, limits, (72 * width - 48, 175.0))
    for row, mark, shift in zip(rows, marks, shifts, strict=True):
        x, look = mark.x + shift, row["look"]
        if row["low"] is not None:
            axes.plot([x, x], [row["low"], row["high"]], color=look.colour, linewidth=1)
        axes.plot(
            [x],
            [row["mean"]],
            look.marker,
            color=look.colour,
            markersize=4.8,
            linestyle="",
            markerfacecolor=look.face,
        )
    form = size if key == "each" else amount
    left, right = axes.get_xlim()
    point = (right - left) / (72 * width - 48)  # decades
    ticks = spread_ticks(sent, 36 * point)
    axes.set_xticks(
        [*([nothing] if apart else []), *map(log10, ticks)], [*(["0"] if apart else []), *map(form, ticks)]
    )
    if apart:
        axes.axvline(log10(sent[0]) - 15 * point, color="#bbbbbb", linewidth=0.8, linestyle=(0, (1, 2)))
    axes.grid(axis="y")
    axes.set(
        xlabel={"each": "bytes up and down, per client and round", "parameters": "shared parameters"}[key],
        ylabel="test accuracy, %",
    )
    percent_axis(axes.yaxis)
    return figure


def exhibit_communication(
    results: Results, methods: Sequence[Row], rounds: Sequence[Row], limits: tuple[float, float]
) -> Exhibit:
    """Accuracy against transmitted bytes by scenario; where there is only one, against shared parameters too."""
    title, rows = "Accuracy against transmitted bytes", table_communication(methods, rounds)
    if not rows:
        return Exhibit(
            "communication", title, missing="No configuration has been confirmed on fresh seeds yet."
        )
    scenarios = list(dict.fromkeys(r["scenario"] for r in rows))
    keys = ("each", "parameters") if len(scenarios) == 1 else ("each",)
    width, panels = NARROW if len(scenarios) > 2 else WIDTH, []
    for scenario, key in ((s, k) for s in scenarios for k in keys):
        name = {"each": "Bytes", "parameters": "Parameters"}[key] if len(scenarios) == 1 else scenario
        own = [r for r in rows if r["scenario"] == scenario]
        panels.append(Panel(f"communication-{slug(name)}", name, draw_communication(own, key, limits, width)))
    caption = (
        f"Test accuracy (personal, own distribution; bars are {results.confidence:.0%} intervals) against "
        "the bytes of the real payloads"
        f"{' and the numbers in them' if len(keys) > 1 else ''}, on a logarithmic axis. What sends nothing "
        "stands left of the dotted line; "
        "marks of the same size are moved apart a little. Hollow marks are untuned. Up and left is better."
    )
    once = (
        " + coalesce(bytes_setup, 0)" if any(r.get("bytes_setup") is not None for r in results.trials) else ""
    )
    query = f"""{LATEST.format(where="kind = 'confirm'")}, runs AS (SELECT scenario, label, unnest(runs) AS run FROM latest), sent AS (
  SELECT DISTINCT run, round, bytes_up / clients AS up, bytes_down / clients AS down
  FROM {parts("rounds")} WHERE split = 'validation' AND round > 0 AND clients > 0
)
SELECT scenario, label, any_value(shared_parameters) AS parameters, avg(up) AS up, avg(down) AS down, avg(up + down) AS each,
  any_value(bytes_up + bytes_down{once}) AS total, any_value(list_avg(test_acc_personal_own)) AS mean,
  any_value(list_stddev_samp(test_acc_personal_own)) AS sd, any_value(len(seeds)) AS seeds
FROM latest LEFT JOIN runs USING (scenario, label) LEFT JOIN sent USING (run) GROUP BY ALL ORDER BY ALL"""
    columns = ("scenario", "label", "parameters", "up", "down", "total", "mean", "low", "high")
    names = (
        "scenario",
        "configuration",
        "shared parameters",
        "bytes up, per client and round",
        "bytes down",
        "bytes of a whole run",
        "accuracy",
        "low",
        "high",
    )
    behind = numbers(rows, columns)
    return Exhibit(
        "communication", title, caption, query, panels, Table(names, behind.rows, folded=behind.folded)
    )


@drawing
def draw_run_curve(rows: Sequence[Row]) -> Figure:
    """One run: the four accuracies, the worst client and the tenth percentile against the round."""
    figure, axes = blank(3.1)
    for key in ACCURACIES:
        _line(
            axes,
            rows,
            key,
            color=LINES[key][0],
            linestyle=LINES[key][1],
            marker="o",
            markersize=2.5,
            label=LINE_NAMES[key],
        )
    _line(
        axes, rows, "p10_client_accuracy", color="#777777", linewidth=0.9, label="tenth percentile of clients"
    )
    _line(
        axes,
        rows,
        "worst_client_accuracy",
        color="#777777",
        linewidth=0.9,
        linestyle=":",
        label="worst client",
    )
    axes.grid(axis="y")
    axes.set(xlabel="round", ylabel="validation accuracy, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def _line(axes: Any, rows: Sequence[Row], key: str, **style: Any) -> None:
    there = [r for r in rows if r.get(key) is not None]
    if there:
        axes.plot([r["round"] for r in there], [r[key] for r in there], **style)


def exhibit_run_curve(rows: Sequence[Row]) -> Exhibit:
    """The learning curve of one run."""
    title = "Learning curve"
    if not any(r.get(k) is not None for r in rows for k in ACCURACIES):
        return Exhibit("curve", title, missing="No round has been evaluated yet.")
    caption = (
        "Validation accuracy after each evaluated round: shared and private parameters together (personal) "
        "and the shared ones "
        "alone, on each client's own distribution and on the global split. Grey: how the weakest "
        "clients fare "
        "(personal, own)."
    )
    columns = [
        k
        for k in ("round", *ACCURACIES, "p10_client_accuracy", "worst_client_accuracy")
        if any(k in r for r in rows)
    ]
    return Exhibit(
        "curve",
        title,
        caption,
        _query(columns),
        [Panel("curve", "", draw_run_curve(rows))],
        numbers(rows, columns),
    )


def _query(columns: Sequence[str]) -> str:
    """Columns of a run's rounds as SQL."""
    return (
        f"SELECT DISTINCT {', '.join(columns)} FROM {parts('rounds')} WHERE split = 'validation' ORDER "
        "BY round"
    )


def losses(rows: Sequence[Row]) -> list[str]:
    """The loss and its components that were recorded."""
    keys = dict.fromkeys(
        k for r in rows for k, v in r.items() if (k == "loss" or k.startswith("loss_")) and v is not None
    )
    return sorted(keys, key=lambda k: (k != "loss", k))


@drawing
def draw_losses(rows: Sequence[Row]) -> Figure:
    """One run: the training loss and its components against the round."""
    from ...look.style import PALETTE

    figure, axes = blank(3.1)
    for key, tint in zip(losses(rows), ("#222222", *PALETTE), strict=False):
        name = "total" if key == "loss" else key.removeprefix("loss_")
        _line(axes, rows, key, color=tint, linewidth=2 if key == "loss" else 1.3, label=name)
    axes.grid(axis="y")
    axes.set(xlabel="round", ylabel="mean training loss")
    integer_axis(axes.xaxis)
    legend_below(figure, axes)
    return figure


def exhibit_losses(rows: Sequence[Row]) -> Exhibit:
    """The loss components of one run."""
    keys = losses(rows)
    if not keys:
        return Exhibit("losses", "Loss components", missing="No round of training is on disk yet.")
    caption = (
        "The training loss over all clients of a round and, as far as the method has them, its parts "
        "(before weighting)."
    )
    panel = Panel("losses", "", draw_losses(rows))
    return Exhibit(
        "losses",
        "Loss components",
        caption,
        _query(("round", *keys)),
        [panel],
        numbers(rows, ("round", *keys)),
    )
