"""The four accuracies of one run, client by client."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...look.marks import draw_spread, name_rows, scatter_offsets, write_beside
from ...look.page import Exhibit
from ...look.style import SOFT, Figure, blank, drawing, legend_below, percent_axis
from ...look.words import count, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import is_number, panel
from ..exhibits import Draft
from ..lines import draw_floors
from .accuracies import FOUR_METRICS, SCOPE_NAMES, SCOPES

QUERY = f"""SELECT client, round, examples, {", ".join(FOUR_METRICS)} FROM clients
WHERE split = 'validation' AND acc_personal_own IS NOT NULL
QUALIFY round = max(round) OVER () AND row_number() OVER (PARTITION BY client, round) = 1
ORDER BY client"""
FLOORS = """SELECT acc_majority_own AS "most frequent class", acc_zeroshot_own AS "zero-shot",
  clients_measured, clients_evaluated
FROM rounds WHERE split = 'validation' AND acc_personal_own IS NOT NULL
ORDER BY round DESC LIMIT 1"""


def floors_of_run(results: Results) -> dict[str, float]:
    """Return the floors of a run on the clients' own distributions: label -> accuracy."""
    last = next(iter(results.sql(FLOORS)), {})
    return {name: last[name] for name in ("most frequent class", "zero-shot") if is_number(last.get(name))}


@drawing
def draw_four(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the four accuracies: a dot per client, the middle 80% as a bar, the mean as a diamond."""
    figure, axes = blank(2.4)
    for height, column in enumerate(FOUR_METRICS):
        values = np.array([row[column] for row in rows if row[column] is not None])
        if not len(values):
            continue
        colour = SCOPES["personal" if "personal" in column else "shared"].colour
        heights = height + 0.05 + scatter_offsets(len(values), 0.16)
        axes.plot(values, heights, "o", color=colour, markersize=2.4, alpha=0.6, markeredgewidth=0)
        draw_spread(axes, height - 0.28, np.quantile(values, [0.1, 0.9]).tolist(), values.mean(), colour)
        write_beside(axes, height, percent(values.mean()))
    name_rows(axes, list(FOUR_METRICS.values()))
    axes.grid(axis="x")
    axes.set(ylim=(3.6, -0.6), xlabel=f"validation {metric}, %")
    percent_axis(axes.xaxis)
    return figure


@drawing
def draw_distribution(rows: Sequence[Row], metric: Metric, floors: dict[str, float]) -> Figure:
    """Draw the share of clients at or below each accuracy, with and without the private parameters."""
    figure, axes = blank(2.7)
    for scope in ("personal", "shared"):
        values = np.sort([row[f"acc_{scope}_own"] for row in rows if row[f"acc_{scope}_own"] is not None])
        if len(values):
            shares = np.arange(1, len(values) + 1) / len(values)
            axes.step(values, shares, where="post", color=SCOPES[scope].colour, label=SCOPE_NAMES[scope])
    axes.axhline(0.1, color=SOFT, linewidth=0.6, linestyle=(0, (1, 2)))
    draw_floors(axes, floors, vertical=True)
    axes.grid(axis="x")
    name = f"validation {metric}\non the client's own distribution, %"
    axes.set(ylim=(0, 1.02), xlabel=name, ylabel="clients at or below, %")
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibits_clients(results: Results) -> list[Exhibit]:
    """Return two figures: the four accuracies with their spread, and the distribution over clients."""
    rows, metric = results.sql(QUERY), results.metric
    titles = {
        "four": f"Four {metric.plural} and the spread between clients",
        "distribution": f"Distribution of the {metric} over clients",
    }
    drafts = {key: Draft(results, key, title) for key, title in titles.items()}
    if not rows:
        return [drafts["four"].missing("No evaluation of single clients is on disk.")]
    floors = floors_of_run(results)
    captions = {
        "four": f"{clients_measured(results, len(rows))} after round {rows[0]['round']}. Dots: single "
        "clients; bar: the middle 80% of them; diamond: their mean. The spread is between clients. It is no "
        "confidence interval of the run, because the run has one seed.",
        "distribution": f"Share of clients whose {metric} is at or below a value. A curve further right is "
        "better; a long tail on the left means that some clients are much worse. Dotted across: the tenth "
        "percentile. " + ("Upright lines: the means of what no method should fall below." if floors else ""),
    }
    own = [row["acc_personal_own"] for row in rows]
    mean, low, high = (percent(float(v)) for v in (np.mean(own), *np.quantile(own, [0.1, 0.9])))
    says = f"Personal, own distribution: mean {mean}%, {low}% to {high}% for the middle 80% of the clients."
    drawings = {"four": draw_four(rows, metric), "distribution": draw_distribution(rows, metric, floors)}
    columns = ("client", "examples", *FOUR_METRICS)
    return [
        draft.exhibit([panel(key, "", drawings[key], says)], rows, columns, QUERY, captions[key], says)
        for key, draft in drafts.items()
    ]


def clients_measured(results: Results, shown: int) -> str:
    """Return `4 of 6 clients measured`, or `6 clients`."""
    row = next(iter(results.sql(FLOORS)), {})
    measured, evaluated = row.get("clients_measured"), row.get("clients_evaluated")
    if measured is None or evaluated is None or measured == evaluated:
        return count(shown, "client")
    whole = count(round(evaluated), "client")
    return f"{measured:.0f} of {whole} measured (the others have no test image of their classes)"
