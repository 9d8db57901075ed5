"""Everything that a method sends: weights, other tensors up and down, and what goes out once at the start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from ..look.entries import LATEST, bare, entries, scenarios_of, subject
from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import INK, NARROW, WIDTH, blank, drawing, legend_below
from ..look.words import listing, percent, size
from ..read.queries import parts
from ..read.results import Results, Row, finished

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = {  # what a bar is stacked of, in order: name, colour, hatching
    "weights_up": ("weights up", "#0072B2", ""),
    "weights_down": ("weights down", "#56B4E9", ""),
    "other_up": ("other tensors up", "#D55E00", "////"),
    "other_down": ("other tensors down", "#E69F00", "////"),
    "setup": ("once, at the start", "#999999", "...."),
}
SUMS = ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down")


def table_traffic(results: Results, rounds: Iterable[Row]) -> list[Row]:
    """What the runs of each confirmed configuration sent, by what it was.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs, on validation.

    Returns:
        Rows with scenario, label, the parts of `PARTS` and total (bytes of a whole run over all clients,
        means over seeds), least and most (total of a seed), up and down (bytes per client and round), and
        times (total as a multiple of the weights alone; None where there are none). Configurations whose runs
        did not record their weights apart are left out.
    """
    sums: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys((*SUMS, "turns"), 0.0))
    for row in rounds:
        if row.get("bytes_weights_up") is not None:
            own = sums[row["run"]]
            for name in SUMS:
                own[name] += row.get(name) or 0
            own["turns"] += row.get("clients") or 0 if row["round"] > 0 else 0
    order, rows = list(entries(results)), []
    for trial in {(t["scenario"], t["label"]): t for t in finished(results.trials, "confirm")}.values():
        runs = [
            _parts(sums[run], setup_of(results, trial, i))
            for i, run in enumerate(trial.get("runs") or [])
            if run in sums
        ]
        if runs:
            means = {name: mean(r[name] for r in runs) for name in runs[0]}
            weights = means["weights_up"] + means["weights_down"]
            rows.append(
                {
                    "scenario": trial["scenario"],
                    "label": trial["label"],
                    **means,
                    "least": min(r["total"] for r in runs),
                    "most": max(r["total"] for r in runs),
                    "times": means["total"] / weights if weights else None,
                    "seeds": len(runs),
                }
            )
    places = scenarios_of(results, [r["scenario"] for r in rows])
    return sorted(rows, key=lambda r: (places.index(r["scenario"]), order.index(r["label"])))


def _parts(own: dict[str, float], setup: float) -> dict[str, float]:
    found = {
        "weights_up": own["bytes_weights_up"],
        "weights_down": own["bytes_weights_down"],
        "other_up": own["bytes_up"] - own["bytes_weights_up"],
        "other_down": own["bytes_down"] - own["bytes_weights_down"],
        "setup": setup,
    }
    turns = own["turns"] or 1.0
    return {
        **found,
        "total": sum(found.values()),
        "up": own["bytes_up"] / turns,
        "down": own["bytes_down"] / turns,
    }


def setup_of(results: Results, trial: Row, place: int) -> float:
    """Bytes that a trial's run sent once: of the trial's row, else of the run's own `run.json`."""
    value = trial.get("bytes_setup")
    if value is None:
        value = (results.run_meta(trial["runs"][place]).get("result") or {}).get("bytes_setup")
    return float(value or 0)


@drawing
def draw_traffic(rows: Sequence[Row], most: float, width: float = WIDTH) -> Figure:
    """One scenario: a stacked bar per configuration, with its sum and how many times the weights alone that is.

    Args:
        rows: Rows of `table_traffic`.
        most: The largest sum of all panels, bytes.
        width: Of the panel, inches.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure, axes = blank(0.95 + 0.3 * len(rows), width)
    left = [0.0] * len(rows)
    for key, (name, tint, hatch) in PARTS.items():
        values = [r[key] for r in rows]
        if any(values):
            axes.barh(
                range(len(rows)),
                values,
                0.62,
                left,
                color=tint,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.4,
                label=name,
            )
        left = [a + b for a, b in zip(left, values, strict=True)]
    for y, row in enumerate(rows):
        times = "" if row["times"] is None else f" (\u00d7 {row['times']:.3g})"
        axes.annotate(
            size(row["total"]) + times,
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=INK,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(rows)), [bare(r["label"]) for r in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(2 if width < WIDTH else 4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: size(v)))
    axes.set(xlim=(0, 1.02 * most), ylim=(len(rows) - 0.5, -0.5), xlabel="a whole run, all clients")
    legend_below(figure, axes)
    return figure


def exhibit_traffic(results: Results, rounds: Sequence[Row], figure: Row, key: str) -> list[Exhibit | Table]:
    """Stacked bars, a panel per scenario, and the table.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: reference and title.
        key: The exhibit's.
    """
    title, rows = figure.get("title") or "What is sent", table_traffic(results, rounds)
    if not rows:
        return [
            Exhibit(
                key, title, missing="It takes confirmed runs that record the bytes of their weights apart."
            )
        ]
    scenarios, most = list(dict.fromkeys(r["scenario"] for r in rows)), max(r["total"] for r in rows) or 1.0
    panels = []
    for scenario in scenarios:
        plot = draw_traffic(
            [r for r in rows if r["scenario"] == scenario], most, NARROW if len(scenarios) > 2 else WIDTH
        )
        panels.append(Panel(f"{key}-{slug(scenario)}", scenario, plot))
    spread = max(r["most"] - r["least"] for r in rows)
    same = "all seeds send the same" if not spread else f"seeds differ by up to {size(spread)}"
    caption = (
        "Bytes of the real payloads of a whole run over all clients, mean over seeds; "
        f"{same}. Weights are what the server averages of the network or the prompt; other tensors are all "
        "else that a round sends; once "
        "is what a client gets when it first takes part. In brackets: all of it as a multiple of the "
        "weights alone."
    )
    query = query_of_traffic(results)
    columns = ("scenario", "label", *PARTS, "total", "least", "most", "up", "down", "times", "seeds")
    return [
        Exhibit(key, title, caption, query, panels, numbers(rows, columns)),
        table_of_traffic(rows, query, key, figure.get("reference")),
    ]


def table_of_traffic(rows: Sequence[Row], query: str, key: str, reference: str | None = None) -> Table:
    """Bytes by what they are, a line per scenario and configuration; with a reference, all of it as a multiple of the reference's."""
    plain = {r["scenario"]: r["total"] for r in rows if reference in (r["label"], bare(r["label"]))}
    body: list[list[Any]] = []
    for row in rows:
        first = not any(line[0].text == row["scenario"] for line in body)
        sent = [Cell(size(row[name]), "tight") for name in ("up", "down", *PARTS, "total")]
        body.append(
            [
                Cell(row["scenario"], "tight" if first else "again"),
                Cell(row["label"], "tight"),
                *sent,
                "" if row["times"] is None else row["times"],
                *([_beside(row, plain)] if plain else []),
            ]
        )
    head = [
        "scenario",
        "configuration",
        "up, per client and round",
        "down, per client and round",
        *(name for name, _, _ in PARTS.values()),
        "whole run",
        "times the weights alone",
        *([f"times {reference}"] if plain else []),
    ]
    caption = (
        "The first two are of one client and one round, all others of a whole run over all clients; "
        "means over seeds."
    )
    return Table(head, body, caption, query, key=f"{key}-table", title="What is sent, by what it is")


def _beside(row: Row, plain: dict[str, float]) -> str:
    """All that a configuration sends as a multiple of the reference's, where that sends anything."""
    return f"{row['total'] / plain[row['scenario']]:.4g}" if plain.get(row["scenario"]) else ""


def query_of_traffic(results: Results) -> str:
    """The numbers of `table_traffic` as SQL."""
    known = any(t.get("bytes_setup") is not None for t in finished(results.trials, "confirm"))
    setup = "bytes_setup::DOUBLE AS setup" if known else "NULL::DOUBLE AS setup"
    told = (
        ""
        if known
        else """, told AS (
  SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run, (result ->> '$.bytes_setup')::DOUBLE AS at_start
  FROM read_json('runs/*/run.json', columns = {result: 'JSON'}, filename = true)
)"""
    )
    once, joined = ("setup", "") if known else ("at_start", " LEFT JOIN told USING (run)")
    return f"""{LATEST.format(where="kind = 'confirm'")}, run_of AS (
  SELECT scenario, label, unnest(runs) AS run, {setup} FROM latest
){told}, measured AS (
  SELECT run, sum(bytes_weights_up) AS weights_up, sum(bytes_weights_down) AS weights_down,
    sum(bytes_up - bytes_weights_up) AS other_up, sum(bytes_down - bytes_weights_down) AS other_down,
    sum(bytes_up) / greatest(1, sum(clients) FILTER (round > 0)) AS up,
    sum(bytes_down) / greatest(1, sum(clients) FILTER (round > 0)) AS down
  FROM (
    SELECT DISTINCT run, round, clients, bytes_up, bytes_down, bytes_weights_up, bytes_weights_down FROM {parts("rounds")}
    WHERE split = 'validation' AND bytes_weights_up IS NOT NULL
  ) GROUP BY run
), sent AS (
  SELECT *, coalesce({once}, 0) AS once, weights_up + weights_down + other_up + other_down + coalesce({once}, 0) AS total
  FROM run_of JOIN measured USING (run){joined}
)
SELECT scenario, label, avg(weights_up) AS weights_up, avg(weights_down) AS weights_down, avg(other_up) AS other_up,
  avg(other_down) AS other_down, avg(once) AS setup, avg(total) AS total, min(total) AS least, max(total) AS most, avg(up) AS up,
  avg(down) AS down, avg(total) / nullif(avg(weights_up + weights_down), 0) AS times, count(*) AS seeds
FROM sent GROUP BY ALL ORDER BY ALL"""


def sentences_traffic(results: Results, rounds: Sequence[Row], figure: Row) -> list[str]:
    """Of the recipe's first entry, per scenario: all that it sends, beside its weights alone and beside the reference, or all others."""
    reference = figure.get("reference")
    rows, about, said = table_traffic(results, rounds), subject(results), list[str]()
    for row in (r for r in rows if r["label"] == about):
        others = [
            r
            for r in rows
            if r["scenario"] == row["scenario"]
            and r["label"] != about
            and r["total"]
            and reference in (None, r["label"], bare(r["label"]))
        ]
        text = f"Under {row['scenario']}, {about} sends {size(row['total'])} in a whole run"
        if row["times"] is not None:
            more = [
                (row["other_up"] + row["other_down"], "for other tensors"),
                (row["setup"], "once at the start"),
            ]
            parts_of = [f"{percent(value / row['total'])}% {name}" for value, name in more if value]
            text += f", {row['times']:.3g} times its weights alone" + (
                f" ({listing(parts_of)})" if parts_of else ""
            )
        beside = [f"{_as_much(row['total'] / r['total'])} as {r['label']}" for r in others]
        said.append(f"{text}{'; ' + listing(beside) if beside else ''}.")
    return said


def _as_much(ratio: float) -> str:
    text = f"{ratio:.3g}"
    return "as much" if text == "1" else f"{text} times as much"
