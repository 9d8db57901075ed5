"""Agreement of scenarios on which choices matter most: ranks by the size of the effect."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.marks import hide_frame
from ...look.page import Cell, Exhibit, Panel, Table, numbers
from ...look.style import INK, MARKERS, PALETTE, SOFT, blank, drawing
from ...look.words import count, listing, shorten
from ...read import queries
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished_trials
from ..rows import symbol_of, symbols_of, two_digits
from ..sentences import be

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_DRAWS = 2000
LEAST_SEEDS, LEAST_CHOICES = 3, 3
# Path -> level -> seed -> difference to the anchor.
Differences = Mapping[str, Mapping[str, Mapping[int, float]]]


def differences(results: Results, metric: str = OBJECTIVE) -> dict[str, Differences]:
    """Return scenario -> path -> level -> seed -> difference to the anchor.

    Only choices that have a finished level in every scenario are kept.
    """
    trials = finished_trials(results.trials, "contrast")
    anchors = {t["scenario"]: by_seed(t, metric) for t in trials if not t.get("factor")}
    gaps_of: dict[str, dict[str, dict[str, dict[int, float]]]] = {}
    for trial in (t for t in trials if t.get("factor") and t["scenario"] in anchors):
        anchor = anchors[trial["scenario"]]
        gaps = {
            seed: value - anchor[seed] for seed, value in by_seed(trial, metric).items() if seed in anchor
        }
        if gaps:
            gaps_of.setdefault(trial["scenario"], {}).setdefault(trial["factor"], {})[str(trial["level"])] = (
                gaps
            )
    common = set.intersection(*(set(paths) for paths in gaps_of.values())) if gaps_of else set()
    return {
        s: {path: levels for path, levels in paths.items() if path in common} for s, paths in gaps_of.items()
    }


def sizes(choices: Differences, seeds: Sequence[int]) -> np.ndarray:
    """Return the size of each choice's effect: its largest absolute mean difference, on these seeds."""
    return np.array(
        [
            max(
                abs(float(np.mean([gaps[s] for s in seeds if s in gaps] or [0.0])))
                for gaps in levels.values()
            )
            for levels in choices.values()
        ]
    )


def table_ranks(results: Results, metric: str = OBJECTIVE) -> tuple[list[Row], list[Row]]:
    """Return the ranks of the choices by scenario, and the agreement of each pair of scenarios.

    Returns:
        Rows with scenario, path, symbol, size (a fraction) and rank (1 = largest); and rows with first,
        second, tau (Kendall's tau-b of the two rankings), low, high (percentiles over resampled seeds, the
        same in both scenarios; None with fewer than three seeds or three choices), choices and seeds.
    """
    gaps = differences(results, metric)
    if not gaps or len(next(iter(gaps.values()))) < 2:
        return [], []
    paths, symbols = list(next(iter(gaps.values()))), symbols_of(results)
    in_order = {scenario: {path: choices[path] for path in paths} for scenario, choices in gaps.items()}
    seeds = sorted(
        {
            s
            for choices in gaps.values()
            for levels in choices.values()
            for gap in levels.values()
            for s in gap
        }
    )
    rows = []
    for scenario, choices in in_order.items():
        size = sizes(choices, seeds)
        for rank, i in enumerate(np.argsort(-size, kind="stable"), 1):
            choice = {"path": paths[i], "symbol": symbol_of(symbols, paths[i])}
            rows.append({"scenario": scenario, **choice, "size": float(size[i]), "rank": rank})
    pairs = [
        {"first": a, "second": b, **_agreement(in_order[a], in_order[b], seeds, results.confidence)}
        for a, b in itertools.combinations(gaps, 2)
    ]
    return rows, pairs


def _agreement(a: Differences, b: Differences, seeds: Sequence[int], confidence: float) -> Row:
    """Return tau of two scenarios' rankings, with percentiles over resampled seeds."""
    row: Row = {
        "tau": kendall(sizes(a, seeds), sizes(b, seeds)),
        "low": None,
        "high": None,
        "choices": len(a),
        "seeds": len(seeds),
    }
    if len(seeds) >= LEAST_SEEDS and len(a) >= LEAST_CHOICES:
        n = len(seeds)
        rng = np.random.default_rng(0)
        draws = (
            list(itertools.product(range(n), repeat=n))
            if n**n <= MOST_DRAWS
            else rng.integers(n, size=(MOST_DRAWS, n)).tolist()
        )
        taus = [
            kendall(sizes(a, picked), sizes(b, picked))
            for draw in draws
            if (picked := [seeds[i] for i in draw])
        ]
        row["low"], row["high"] = (
            float(v) for v in np.quantile(taus, [(1 - confidence) / 2, (1 + confidence) / 2])
        )
    return row


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Return Kendall's tau-b of two lists of equal length; 0 where one of them is constant."""
    first, second = (np.sign(v[:, None] - v[None, :]) for v in (a, b))
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale else 0.0


def verdict(pair: Row) -> str:
    """Return what the interval of an agreement shows: `alike`, `opposite` or `undecided`."""
    if pair["low"] is None:
        return "undecided"
    return "alike" if pair["low"] > 0 else "opposite" if pair["high"] < 0 else "undecided"


@drawing
def draw_ranks(rows: Sequence[Row], scenarios: Sequence[str]) -> Figure:
    """Draw a bump chart: a line per choice over the scenarios, the largest effect on top.

    Args:
        rows: Rows of `table_ranks`.
        scenarios: The columns, in order.
    """
    rank_of = {(row["path"], row["scenario"]): row["rank"] for row in rows}
    symbols = {row["path"]: row["symbol"] for row in rows if row["scenario"] == scenarios[0]}
    figure, axes = blank(0.7 + 0.23 * len(symbols), 2.9 + 0.75 * len(scenarios))
    for i, (path, symbol) in enumerate(symbols.items()):
        ranks = [rank_of[path, scenario] for scenario in scenarios]
        marker = MARKERS[i // len(PALETTE) % len(MARKERS)]
        style: dict[str, Any] = {"linewidth": 1.6, "markersize": 5, "clip_on": False}
        axes.plot(range(len(scenarios)), ranks, "-", color=PALETTE[i % len(PALETTE)], marker=marker, **style)
        name = shorten(symbol, 18)
        _write_note(axes, name, (0, ranks[0]), (-8, 0), ha="right", va="center", fontsize=7, color=INK)
        last = len(scenarios) - 1
        _write_note(axes, name, (last, ranks[-1]), (8, 0), ha="left", va="center", fontsize=7, color=INK)
    names = ["\n".join(textwrap.wrap(scenario, 16)) for scenario in scenarios]
    axes.set_xticks(range(len(scenarios)), names, fontsize=7.5)
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.tick_params(length=0)
    hide_frame(axes)
    for x in range(len(scenarios)):
        axes.axvline(x, color="#ececec", linewidth=0.8, zorder=0)
    axes.set(xlim=(-0.15, len(scenarios) - 0.85), ylim=(len(symbols) + 0.5, 0.5))
    note: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": 6.5, "color": SOFT, "va": "top"}
    _write_note(axes, "largest effect on top", (0, 0), (0, -6), **note)
    return figure


def _write_note(
    axes: Axes, text: str, place: tuple[float, float], shift: tuple[float, float], **style: Any
) -> None:
    """Write a text at a place, moved by `shift` points."""
    axes.annotate(text, place, xytext=shift, textcoords="offset points", annotation_clip=False, **style)


def exhibit(results: Results, rows: Sequence[Row], pairs: Sequence[Row]) -> Exhibit | None:
    """Return the figure of the ranks; None where there are not two scenarios.

    Args:
        results: The sweep.
        rows: The first rows of `table_ranks`.
        pairs: Its second rows.
    """
    title, scenarios = (
        "Do scenarios agree on what matters most?",
        list(dict.fromkeys(r["scenario"] for r in rows)),
    )
    if len(results.meta.get("scenarios") or scenarios) < 2:
        return None
    if len(scenarios) < 2:
        return Exhibit("ranks", title, missing="It takes the contrasts of two choices in two scenarios.")
    caption = (
        "Choices ranked by the size of their effect: the largest absolute mean difference to the anchor "
        "over the tried levels, on validation. A size is never below zero, and grows with noise and with "
        "the number of levels. So the effects of neighbours in rank may be equal. "
        + " ".join(_agreement_sentence(pair, results.confidence) for pair in pairs)
    )
    panel, columns = Panel("ranks", "", draw_ranks(rows, scenarios)), ("scenario", "rank", "path", "size")
    return Exhibit("ranks", title, caption, queries.CONTRASTS, [panel], numbers(rows, columns))


def _agreement_sentence(pair: Row, confidence: float) -> str:
    interval = "no interval"
    if pair["low"] is not None:
        interval = f"{confidence:.0%} interval {two_digits(pair['low'])} to {two_digits(pair['high'])}"
    return f"{pair['first']} and {pair['second']}: Kendall's tau {two_digits(pair['tau'])} ({interval})."


def table(results: Results, pairs: Sequence[Row]) -> Table | None:
    """Return the agreement of each pair of scenarios as a table; None where there is no pair."""
    if not pairs:
        return None
    looks = {"alike": "level", "opposite": "hurts", "undecided": "undecided"}
    body: list[list[Any]] = [
        [
            p["first"],
            p["second"],
            two_digits(p["tau"])
            + (f" [{two_digits(p['low'])}, {two_digits(p['high'])}]" if p["low"] is not None else ""),
            p["choices"],
            p["seeds"],
            Cell(verdict(p), looks[verdict(p)]),
        ]
        for p in pairs
    ]
    caption = (
        "Kendall's tau-b between the two rankings: 1 = the same order, 0 = unrelated, \u22121 = reversed. "
        f"The interval holds the middle {results.confidence:.0%} of the values over resampled seeds, the "
        "same in both scenarios; with few seeds it is coarse. Alike: it lies above 0."
    )
    head = ["scenario", "scenario", f"tau [{results.confidence:.0%}]", "choices", "seeds", "verdict"]
    return Table(head, body, caption, queries.CONTRASTS, key="table-ranks", title="Agreement of the rankings")


def sentences(pairs: Sequence[Row]) -> list[str]:
    """Return a sentence that says how many pairs of scenarios are shown to rank the choices alike.

    Args:
        pairs: The second rows of `table_ranks`.
    """
    if not pairs:
        return []
    clauses = []
    for word, phrase in (
        ("alike", "shown to rank the choices alike"),
        ("opposite", "shown to rank them in opposite order"),
    ):
        names = [f"{pair['first']} with {pair['second']}" for pair in pairs if verdict(pair) == word]
        if names and len(names) == len(pairs) > 1:
            clauses.append(f"all are {phrase}")
        elif names:
            clauses.append(f"{listing(names)} {be(len(names))} {phrase}")
    undecided = sum(verdict(pair) == "undecided" for pair in pairs)
    clauses += [f"{undecided} {be(undecided)} undecided"] if undecided else []
    return [f"Of {count(len(pairs), 'pair')} of scenarios, {'; '.join(clauses)}."]
