"""Learning curves of a sweep and of one run, with the clients and the components of the loss of that run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...look.marks import draw_range, name_rows, write_beside
from ...look.page import Exhibit, Panel
from ...look.style import INK, PALETTE, SOFT, Figure, Look, blank, drawing
from ...look.words import count, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import ONE_FLOOR, floors_of, is_number, limits, sort
from ..exhibits import Draft, finished
from ..lines import Axis, Line, draw_floors, draw_lines, ends_said, lines_of, panels_of
from ..rows import grouped
from .accuracies import FOUR_METRICS, SCOPE_NAMES, SCOPES

# In the folder of one run: that run, under empty names.
RUN = """run_of AS (
  SELECT '' AS scenario, '' AS label, '' AS method, 'run' AS kind, run, 0 AS seed
  FROM (SELECT DISTINCT run FROM rounds)
)"""
# The drawn runs: those of confirmed configurations, or of the anchors while nothing is confirmed.
RUNS = """drawn AS (
  SELECT *, if(kind = 'confirm', label, method || ' ' || label) AS name FROM trials
  WHERE (kind = 'confirm' OR (kind = 'contrast' AND factor IS NULL)) AND state <> 'PRUNED'
  QUALIFY (kind = 'confirm') = bool_or(kind = 'confirm') OVER ()
), run_of AS (
  SELECT scenario, name AS label, method, kind, unnest(runs) AS run, unnest(seeds) AS seed FROM drawn
)"""
FLOORS = f"""SELECT scenario, label, kind, metric, mean FROM estimates
WHERE kind = 'floor' AND split = 'validation' AND metric = 'acc_personal_own'
{ONE_FLOOR}
ORDER BY ALL"""
SHOWN = ("scenario", "label", "measure", "round", "mean", "low", "high", "seeds")
GOLDEN_ANGLE = 2.399963  # radians: dots of equal value stand apart
CLIENT_COLUMNS = ("client", "examples", *FOUR_METRICS)
CLIENTS = f"""SELECT client, round, examples, {", ".join(FOUR_METRICS)} FROM clients
WHERE split = 'validation' AND acc_personal_own IS NOT NULL
QUALIFY round = max(round) OVER () AND row_number() OVER (PARTITION BY client, round) = 1
ORDER BY client"""
FLOORS_OF_RUN = """SELECT acc_majority_own AS "most frequent class", acc_zeroshot_own AS "zero-shot",
  clients_measured, clients_evaluated
FROM rounds WHERE split = 'validation' AND acc_personal_own IS NOT NULL
ORDER BY round DESC LIMIT 1"""
LINES = {  # column -> name, look
    "acc_personal_own": (FOUR_METRICS["acc_personal_own"], Look("#0072B2", "o")),
    "acc_personal_global": (FOUR_METRICS["acc_personal_global"], Look("#2E93CC", "o", "--", hollow=True)),
    "acc_shared_own": (FOUR_METRICS["acc_shared_own"], Look("#D55E00", "s")),
    "acc_shared_global": (FOUR_METRICS["acc_shared_global"], Look("#B87A00", "s", "--", hollow=True)),
    "p10_client_accuracy": ("tenth percentile of clients", Look("#777777", "v")),
    "worst_client_accuracy": ("worst client", Look("#777777", "x", ":")),
}
CURVE = f"""SELECT round, {", ".join(LINES)} FROM rounds WHERE split = 'validation' ORDER BY round"""
LOSSES = """SELECT round, COLUMNS('^loss(_.*)?$') FROM rounds WHERE split = 'validation' ORDER BY round"""


def runs_of(results: Results) -> str:
    """Return the start of a query: `run_of` holds the drawn runs with scenario, label and seed."""
    return RUN if results.kind == "run" else RUNS


def query_of_rounds(results: Results, *columns: str) -> str:
    """Return the SQL of columns of the rounds table by scenario, configuration and round, on validation."""
    measured = ", ".join(f"{column}::DOUBLE AS {column}" for column in columns)
    return f"""WITH {runs_of(results)}, measured AS (
  FROM (SELECT run, round, {measured} FROM rounds WHERE split = 'validation')
  UNPIVOT (value FOR measure IN ({", ".join(columns)}))
)
SELECT scenario, label, any_value(method) AS method, any_value(kind) AS kind, measure, round, round AS x,
  avg(value) AS mean, min(value) AS low, max(value) AS high, count(*) AS seeds
FROM run_of JOIN measured USING (run) WHERE isfinite(value)
GROUP BY scenario, label, measure, round ORDER BY ALL"""


def table_curves(results: Results, *columns: str) -> list[Row]:
    """Return `query_of_rounds` in order, with looks, of evaluated rounds; low and high: extreme seeds."""
    return sort(results, results.sql(query_of_rounds(results, *columns)))


def panels_of_curves(results: Results, rows: Sequence[Row], key: str, floors: bool = True) -> list[Panel]:
    """Return a panel per scenario, or several where one would hold too many lines."""
    frame, known = limits(rows), grouped(results.sql(FLOORS), "scenario") if floors else {}

    def draw(shown: list[Row]) -> Figure:
        axis = Axis("round", f"validation {results.metric}, %", frame)
        lines = sorted(lines_of(shown, band=True), key=lambda line: -line.rows[-1]["mean"])
        return draw_lines(lines, axis, floors_of(known.get(shown[0]["scenario"], [])))

    return panels_of(rows, key, draw, ends_said)


def exhibit_curves(results: Results) -> Exhibit:
    """Return the figure of the learning curves, a panel per scenario."""
    draft, rows = Draft(results, "curves", "Learning curves"), table_curves(results, "acc_personal_own")
    if not rows:
        return draft.missing("No evaluated round of an anchor or a confirmed configuration is on disk.")
    confirmed = any(row["kind"] == "confirm" for row in rows)
    which = "configurations confirmed on fresh seeds" if confirmed else "the anchors (nothing is confirmed)"
    caption = (
        f"Validation {results.metric} (personal, own distribution) after each evaluated round, of {which}: "
        "mean over seeds, and the range from the lowest to the highest seed (band; no interval). A curve "
        "that ends early diverged. Dashed lines and hollow marks: untuned; a single mark: no training. The "
        "thin grey lines are what no method should fall below."
    )
    panels, query = panels_of_curves(results, rows, draft.key), query_of_rounds(results, "acc_personal_own")
    several = len({row["scenario"] for row in rows}) > 1
    said = "; ".join(panel.alt for panel in panels) if several else ends_said(rows)
    says = f"First to last round: {said}."
    return draft.exhibit(panels, rows, SHOWN, query, caption, says)


def floors_of_run(results: Results) -> dict[str, float]:
    """Return the floors of a run on the clients' own distributions: label -> accuracy."""
    last = next(iter(results.sql(FLOORS_OF_RUN)), {})
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
        heights = height + 0.05 + 0.16 * np.sin(np.arange(len(values)) * GOLDEN_ANGLE)
        axes.plot(values, heights, "o", color=colour, markersize=2.4, alpha=0.6, markeredgewidth=0)
        low, high = np.quantile(values, [0.1, 0.9])
        draw_range(axes, height - 0.28, low, high, colour, 2.2)
        mean: dict[str, Any] = {"markersize": 4.6, "markeredgecolor": "white", "markeredgewidth": 0.6}
        axes.plot([values.mean()], [height - 0.28], "D", color=colour, **mean)
        write_beside(axes, height, percent(values.mean()))
    name_rows(axes, list(FOUR_METRICS.values()))
    return finished(figure, axes, "x", "x", ylim=(3.6, -0.6), xlabel=f"validation {metric}, %")


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
    name = f"validation {metric}\non the client's own distribution, %"
    return finished(figure, axes, "x", "xy", ylim=(0, 1.02), xlabel=name, ylabel="clients at or below, %")


def exhibits_clients(results: Results) -> list[Exhibit]:
    """Return two figures: the four accuracies with their spread, and the distribution over clients."""
    rows, metric = results.sql(CLIENTS), results.metric
    four = Draft(results, "four", f"Four {metric.plural} and the spread between clients")
    distribution = Draft(results, "distribution", f"Distribution of the {metric} over clients")
    if not rows:
        return [four.missing("No evaluation of single clients is on disk.")]
    floors = floors_of_run(results)
    own = [row["acc_personal_own"] for row in rows]
    mean, low, high = (percent(float(v)) for v in (np.mean(own), *np.quantile(own, [0.1, 0.9])))
    says = f"Personal, own distribution: mean {mean}%, {low}% to {high}% for the middle 80% of the clients."
    spread = (
        f"{clients_measured(results, len(rows))} after round {rows[0]['round']}. Dots: single clients; bar: "
        "the middle 80% of them; diamond: their mean. The spread is between clients. It is no confidence "
        "interval of the run, because the run has one seed."
    )
    shares = (
        f"Share of clients whose {metric} is at or below a value. A curve further right is better; a long "
        "tail on the left means that some clients are much worse. Dotted across: the tenth percentile. "
    ) + ("Upright lines: the means of what no method should fall below." if floors else "")
    curves = draw_distribution(rows, metric, floors)
    return [
        four.drawn(draw_four(rows, metric), rows, CLIENT_COLUMNS, CLIENTS, spread, says),
        distribution.drawn(curves, rows, CLIENT_COLUMNS, CLIENTS, shares, says),
    ]


def clients_measured(results: Results, shown: int) -> str:
    """Return `4 of 6 clients measured`, or `6 clients`."""
    row = next(iter(results.sql(FLOORS_OF_RUN)), {})
    measured, evaluated = row.get("clients_measured"), row.get("clients_evaluated")
    if measured is None or evaluated is None or measured == evaluated:
        return count(shown, "client")
    whole = count(round(evaluated), "client")
    return f"{measured:.0f} of {whole} measured (the others have no test image of their classes)"


def lines_of_columns(rows: Sequence[Row], columns: Mapping[str, tuple[str, Look]]) -> list[Line]:
    """Return a line for each column that has a value in rows with `round`; `columns` has name and look."""
    points = [
        {"x": row["round"], "mean": row[column], "label": name, "look": look}
        for column, (name, look) in columns.items()
        for row in rows
        if is_number(row.get(column))
    ]
    return lines_of(points)


def ends_of(lines: Sequence[Line], form: Callable[[float | None], str] = percent, unit: str = "%") -> str:
    """Return where each line begins and ends, as a sentence."""
    return f"First to last round: {ends_said([row for line in lines for row in line.rows], form, unit)}."


def exhibit_run_curve(results: Results) -> Exhibit:
    """Return the figure of the learning curve of one run."""
    draft, rows, metric = Draft(results, "curve", "Learning curve"), results.sql(CURVE), results.metric
    lines = lines_of_columns(rows, LINES)
    if not lines:
        return draft.missing("No round is evaluated.")
    floors = floors_of_run(results)
    caption = (
        f"Validation {metric} after each evaluated round: shared and private parameters together (personal) "
        "and the shared parameters alone, on each client's own distribution and on the global split. Grey: "
        "the weakest clients (personal, own distribution). Thin lines: what no method should fall below, on "
        "the clients' own distributions. One seed: no intervals."
    )
    figure = draw_lines(lines, Axis("round", f"validation {metric}, %"), floors=floors, height=4.4)
    last, says = lines[0].rows[-1]["mean"], ends_of(lines)
    below = [f"{name} ({percent(value)}%)" for name, value in floors.items() if last < value]
    says += f" It ends below {' and '.join(below)}." if below else ""
    return draft.drawn(figure, rows, ("round", *LINES), CURVE, caption, says)


def exhibit_losses(results: Results) -> Exhibit:
    """Return the figure of the loss components of one run."""
    draft, rows = Draft(results, "losses", "Loss components"), results.sql(LOSSES)
    columns = [column for column in rows[0] if any(is_number(row[column]) for row in rows)] if rows else []
    columns = sorted((c for c in columns if c != "round"), key=lambda column: (column != "loss", column))
    if not columns:
        return draft.missing("No round of training is on disk.")
    caption = (
        "Mean training loss over all clients of a round and, where the method has them, its components "
        "(before weighting)."
    )
    colours = itertools.cycle((INK, *PALETTE))
    names = {column: "total" if column == "loss" else column.removeprefix("loss_") for column in columns}
    parts = {column: (name, Look(next(colours), "")) for column, name in names.items()}
    lines = lines_of_columns(rows, parts)
    figure = draw_lines(lines, Axis("round", "mean training loss", fractions=False))
    says = ends_of(lines, lambda value: f"{value:.3g}", "")
    return draft.drawn(figure, rows, ("round", *columns), LOSSES, caption, says)
