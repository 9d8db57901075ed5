"""Learning curves, and accuracy against what is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .page import Exhibit, Panel, numbers, slug
from .results import Results, Row, finished, standing
from .stats import t_interval
from .style import NARROW, WIDTH, blank, colour, drawing, integer_axis, legend_below, marker, percent_axis
from .words import size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCURACIES = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global")
LINES = {"acc_personal_own": ("#0072B2", "-"), "acc_personal_global": ("#56B4E9", "--"), "acc_shared_own": ("#D55E00", "-"),
         "acc_shared_global": ("#E69F00", "--")}  # fmt: skip
LINE_NAMES = {"acc_personal_own": "personal, own", "acc_personal_global": "personal, global", "acc_shared_own": "shared, own",
              "acc_shared_global": "shared, global"}  # fmt: skip


def shown_trials(results: Results) -> list[Row]:
    """The trials whose runs are drawn: the confirmed ones, or the anchors while there are none."""
    confirmed = finished(results.trials, "confirm")
    return confirmed or [t for t in finished(results.trials, "contrast") if not t.get("factor")]


def table_curves(results: Results, rounds: Iterable[Row], metric: str = "acc_personal_own") -> list[Row]:
    """Validation accuracy by scenario, configuration and round.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the shown trials' runs.
        metric: The accuracy.

    Returns:
        Rows with scenario, label, method, hollow (untuned), round, mean, low, high, least, most, seeds; rounds without
        evaluation are left out.
    """
    groups: dict[tuple[str, str], Row] = {}
    where: dict[str, tuple[str, str]] = {}
    for trial in shown_trials(results):
        label = trial["label"] if trial["kind"] == "confirm" else f"{trial['method']} {trial['label']}"
        groups[(trial["scenario"], label)] = trial
        where |= {run: (trial["scenario"], label) for run in trial.get("runs") or []}
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rounds:
        if row.get("run") in where and row.get(metric) is not None:
            values[(*where[row["run"]], row["round"])].append(row[metric])
    rows = []
    for (scenario, label, number), found in sorted(values.items(), key=lambda item: item[0]):
        interval = t_interval(found, results.confidence)
        if interval:
            rows.append({"scenario": scenario, "label": label, "method": groups[(scenario, label)]["method"], "round": number,
                         "hollow": standing(label) == "untuned", "mean": interval.mean, "low": interval.low, "high": interval.high,
                         "least": min(found), "most": max(found), "seeds": interval.n})  # fmt: skip
    return rows


@drawing
def draw_curves(rows: Sequence[Row], limits: tuple[float, float], everyone: list[str], width: float = WIDTH) -> Figure:
    """One scenario: mean and range over seeds against the round; a method that does not train is a dotted line across."""
    figure, axes = blank(3.1, width)
    last = max(r["round"] for r in rows)
    for label in sorted({r["label"] for r in rows}, key=lambda name: -max((r["round"], r["mean"]) for r in rows if r["label"] == name)[1]):
        own = [r for r in rows if r["label"] == label]
        tint = colour(own[0]["method"], everyone)
        if len(own) == 1:
            axes.plot([0, last], [own[0]["mean"]] * 2, ":", color=tint, linewidth=1.2, label=label)
            continue
        axes.plot([r["round"] for r in own], [r["mean"] for r in own], linestyle=(0, (3, 1.5)) if own[0]["hollow"] else "-", color=tint,
                  marker=marker(own[0]["method"], everyone), markersize=3, markerfacecolor="white" if own[0]["hollow"] else tint,
                  label=label)  # fmt: skip
        x = [r["round"] for r in own]
        axes.fill_between(x, [r["least"] for r in own], [r["most"] for r in own], color=tint, alpha=0.12, linewidth=0)
    axes.grid(axis="y")
    axes.set(ylim=limits, xlabel="round", ylabel="validation accuracy, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_curves(results: Results, rounds: Sequence[Row]) -> Exhibit:
    """Learning curves, a panel per scenario."""
    title, rows = "Learning curves", table_curves(results, rounds)
    if not rows:
        return Exhibit("curves", title, missing="No evaluated round of an anchor or a confirmed configuration is on disk yet.")
    low, high = min(r["least"] for r in rows), max(r["most"] for r in rows)
    limits = (max(0.0, low - 0.02), min(1.0, high + 0.02))
    everyone = sorted({r["method"] for r in rows})
    order = [s["label"] for s in results.meta.get("scenarios") or []]
    scenarios = sorted({r["scenario"] for r in rows}, key=lambda s: (order.index(s) if s in order else len(order), s))
    width = NARROW if len(scenarios) > 2 else WIDTH
    own = {s: [r for r in rows if r["scenario"] == s] for s in scenarios}
    panels = [Panel(f"curves-{slug(s)}", s, draw_curves(own[s], limits, everyone, width)) for s in scenarios]
    kind = "configurations confirmed on fresh seeds" if finished(results.trials, "confirm") else "the anchors (nothing is confirmed yet)"
    caption = (
        f"Validation accuracy (personal, own distribution) after each evaluated round, of {kind}: mean over seeds, and the range from the "
        "lowest to the highest seed (band). Dashed and hollow: untuned; dotted: no training."
    )
    query = "tables/rounds where split = 'validation' and run in (runs of those trials): mean over runs of acc_personal_own by round"
    return Exhibit(
        "curves",
        title,
        caption,
        query,
        panels,
        numbers(rows, ("scenario", "label", "round", "mean", "low", "high", "least", "most", "seeds")),
    )


def table_communication(methods: Sequence[Row], rounds: Iterable[Row]) -> list[Row]:
    """What each confirmed configuration sends and what it reaches.

    Args:
        methods: Rows of `methods.table_methods`.
        rounds: Rows of the rounds table of their runs.

    Returns:
        Rows with scenario, label, method, hollow, mean, low, high, total (bytes up and down of a whole run) and each (bytes up and down
        per client and round).
    """
    per_client: dict[str, list[float]] = defaultdict(list)
    for row in rounds:
        if row["round"] > 0 and row.get("clients"):
            per_client[row.get("run") or ""].append(((row.get("bytes_up") or 0) + (row.get("bytes_down") or 0)) / row["clients"])
    rows = []
    for row in (r for r in methods if r["metric"] == "acc_personal_own"):
        trial = row["trial"]
        each = [v for run in trial.get("runs") or [] for v in per_client.get(run, [])]
        if trial.get("bytes_up") is None:
            continue
        sent = {"total": trial["bytes_up"] + (trial.get("bytes_down") or 0), "each": sum(each) / len(each) if each else 0.0}
        rows.append({**{k: row[k] for k in ("scenario", "label", "method", "hollow", "mean", "low", "high")}, **sent})
    return rows


@drawing
def draw_communication(rows: Sequence[Row], key: str, xlabel: str, limits: tuple[float, float]) -> Figure:
    """Accuracy against bytes on a log axis; what sends nothing stands apart at 0.

    Args:
        rows: Rows of `table_communication`.
        key: `each` or `total`.
        xlabel: The name of the x axis.
        limits: The y axis, as fractions.
    """
    from matplotlib.ticker import NullLocator

    figure, axes = blank(3.3)
    everyone, labels = sorted({r["method"] for r in rows}), list(dict.fromkeys(r["label"] for r in rows))
    sent = [r[key] for r in rows if r[key] > 0] or [1.0]
    low, high = min(sent) / 3, max(sent) * 3
    nothing = low / (high / low) ** 0.18
    seen: set[str] = set()
    for row in rows:
        shift = (high / nothing) ** (0.014 * (labels.index(row["label"]) - (len(labels) - 1) / 2))
        x, tint = (row[key] if row[key] > 0 else nothing) * shift, colour(row["method"], everyone)
        if row["low"] is not None:
            axes.plot([x, x], [row["low"], row["high"]], color=tint, linewidth=0.9, alpha=0.6)
        axes.plot([x], [row["mean"]], marker(row["method"], everyone), color=tint, markersize=4.5, linestyle="",
                  markerfacecolor="white" if row["hollow"] else tint,
                  label=None if row["label"] in seen else row["label"])  # fmt: skip
        seen.add(row["label"])
    axes.set_xscale("log")
    axes.set(xlim=(nothing / (high / low) ** 0.1, high), ylim=limits, xlabel=xlabel, ylabel="test accuracy, %")
    powers = [p for p in (10.0**k for k in range(-1, 16)) if low <= p <= high]
    ticks = powers if len(powers) > 1 else sorted({min(sent), max(sent)})
    axes.set_xticks([nothing, *ticks], ["0", *map(size, ticks)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(low / (high / low) ** 0.06, color="#bbbbbb", linewidth=0.8, linestyle=(0, (1, 2)))
    axes.grid(axis="y")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_communication(results: Results, methods: Sequence[Row], rounds: Sequence[Row], limits: tuple[float, float]) -> Exhibit:
    """Accuracy against transmitted bytes, per client and round and in total."""
    title, rows = "Accuracy against transmitted bytes", table_communication(methods, rounds)
    if not rows:
        return Exhibit("communication", title, missing="No configuration has been confirmed on fresh seeds yet.")
    draws: tuple[tuple[str, str], ...] = (("each", "up and down, per client and round"), ("total", "up and down, all clients, whole run"))
    panels = [Panel(f"communication-{k}", what.capitalize(), draw_communication(rows, k, f"bytes {what}", limits)) for k, what in draws]
    caption = (
        "Test accuracy (personal, own distribution; a mark per scenario) against the bytes of the real payloads, on a logarithmic axis. "
        "What sends nothing stands left of the dotted line; marks of the same size are moved apart a little. Up and left is better."
    )
    query = (
        "tables/trials where kind = 'confirm': bytes_up + bytes_down; per client and round: mean of (bytes_up + bytes_down) / clients of "
        "tables/rounds where round > 0 and run in (their runs)"
    )
    columns = ("scenario", "label", "each", "total", "mean", "low", "high")
    return Exhibit("communication", title, caption, query, panels, numbers(rows, columns))


@drawing
def draw_run_curve(rows: Sequence[Row]) -> Figure:
    """One run: the four accuracies, the worst client and the tenth percentile against the round."""
    figure, axes = blank(3.1)
    for key in ACCURACIES:
        _line(axes, rows, key, color=LINES[key][0], linestyle=LINES[key][1], marker="o", markersize=2.5, label=LINE_NAMES[key])
    _line(axes, rows, "p10_client_accuracy", color="#777777", linewidth=0.9, label="tenth percentile of clients")
    _line(axes, rows, "worst_client_accuracy", color="#777777", linewidth=0.9, linestyle=":", label="worst client")
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
    caption = ("Validation accuracy after each evaluated round: shared and private parameters together (personal) and the shared ones "
               "alone, on each client's own distribution and on the global split. Grey: how the weakest clients fare "
               "(personal, own).")  # fmt: skip
    query = "tables/rounds where split = 'validation': round, acc_*, p10_client_accuracy, worst_client_accuracy"
    columns = ("round", *ACCURACIES, "p10_client_accuracy", "worst_client_accuracy")
    return Exhibit("curve", title, caption, query, [Panel("curve", "", draw_run_curve(rows))], numbers(rows, columns))


def losses(rows: Sequence[Row]) -> list[str]:
    """The loss and its components that were recorded."""
    keys = dict.fromkeys(k for r in rows for k, v in r.items() if (k == "loss" or k.startswith("loss_")) and v is not None)
    return sorted(keys, key=lambda k: (k != "loss", k))


@drawing
def draw_losses(rows: Sequence[Row]) -> Figure:
    """One run: the training loss and its components against the round."""
    from .style import PALETTE

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
    caption = "The training loss over all clients of a round and, as far as the method has them, its parts (before weighting)."
    panel = Panel("losses", "", draw_losses(rows))
    query = f"tables/rounds where split = 'validation': round, {', '.join(keys)}"
    return Exhibit("losses", "Loss components", caption, query, [panel], numbers(rows, ("round", *keys)))
