"""Do scenarios agree on which choices matter most? Ranks of the choices by the size of their effect, and how alike the rankings are."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.page import Cell, Exhibit, Panel, Table, numbers
from ...look.style import INK, MARKERS, PALETTE, SOFT, blank, drawing
from ...look.words import count, listing, shorten
from ...read import queries
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWS = 2000
LEAST_SEEDS, LEAST_CHOICES = 3, 3
Differences = Mapping[
    str, Mapping[str, Mapping[int, float]]
]  # path -> level -> seed -> difference to the anchor


def differences(results: Results, metric: str = OBJECTIVE) -> dict[str, Differences]:
    """Scenario -> path -> level -> seed -> difference to the anchor, of the choices that have a finished level in every scenario."""
    done = finished(results.trials, "contrast")
    anchors = {t["scenario"]: by_seed(t, metric) for t in done if not t.get("factor")}
    found: dict[str, dict[str, dict[str, dict[int, float]]]] = {}
    for trial in (t for t in done if t.get("factor") and t["scenario"] in anchors):
        anchor = anchors[trial["scenario"]]
        gaps = {
            seed: value - anchor[seed] for seed, value in by_seed(trial, metric).items() if seed in anchor
        }
        if gaps:
            found.setdefault(trial["scenario"], {}).setdefault(trial["factor"], {})[str(trial["level"])] = (
                gaps
            )
    common = set.intersection(*(set(own) for own in found.values())) if found else set()
    return {s: {path: levels for path, levels in own.items() if path in common} for s, own in found.items()}


def sizes(own: Differences, seeds: Sequence[int]) -> np.ndarray:
    """The size of each choice's effect [choices]: the largest absolute mean difference over its levels, on these seeds."""
    return np.array(
        [
            max(
                abs(float(np.mean([gaps[s] for s in seeds if s in gaps] or [0.0])))
                for gaps in levels.values()
            )
            for levels in own.values()
        ]
    )


def table_ranks(results: Results, metric: str = OBJECTIVE) -> tuple[list[Row], list[Row]]:
    """Ranks of the choices by scenario, and the agreement of each pair of scenarios.

    Returns:
        Rows with scenario, path, symbol, size (a fraction) and rank (1 = largest); and rows with first,
        second, tau (Kendall's tau-b of the two rankings), low, high (percentiles over resampled seeds, the
        same in both scenarios; None with fewer than three seeds or three choices), choices and seeds.
    """
    found = differences(results, metric)
    if not found or len(next(iter(found.values()))) < 2:
        return [], []
    order = list(next(iter(found.values())))
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    seeds = sorted(
        {s for own in found.values() for levels in own.values() for gaps in levels.values() for s in gaps}
    )
    rows = []
    for scenario, own in found.items():
        size = sizes({p: own[p] for p in order}, seeds)
        for rank, i in enumerate(np.argsort(-size, kind="stable"), 1):
            rows.append(
                {
                    "scenario": scenario,
                    "path": order[i],
                    "symbol": symbols.get(order[i]) or order[i].rpartition(".")[2],
                    "size": float(size[i]),
                    "rank": rank,
                }
            )
    same = {scenario: {path: own[path] for path in order} for scenario, own in found.items()}
    pairs = [
        {"first": a, "second": b, **_agreement(same[a], same[b], seeds, results.confidence)}
        for a, b in itertools.combinations(found, 2)
    ]
    return rows, pairs


def _agreement(a: Differences, b: Differences, seeds: Sequence[int], confidence: float) -> Row:
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
            if n**n <= DRAWS
            else rng.integers(n, size=(DRAWS, n)).tolist()
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
    """Kendall's tau-b of two lists of equal length; 0 where one of them is constant."""
    first, second = (np.sign(v[:, None] - v[None, :]) for v in (a, b))
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale else 0.0


def word(pair: Row) -> str:
    """What the interval of an agreement shows."""
    if pair["low"] is None:
        return "undecided"
    return "alike" if pair["low"] > 0 else "opposite" if pair["high"] < 0 else "undecided"


@drawing
def draw_ranks(rows: Sequence[Row], scenarios: Sequence[str]) -> Figure:
    """A bump chart: a line per choice over the scenarios, its rank upwards, its name at both ends."""
    paths = [r["path"] for r in rows if r["scenario"] == scenarios[0]]
    rank = {(r["path"], r["scenario"]): r["rank"] for r in rows}
    names = {r["path"]: r["symbol"] for r in rows}
    figure, axes = blank(0.7 + 0.23 * len(paths), 2.9 + 0.75 * len(scenarios))
    for i, path in enumerate(paths):
        tint = PALETTE[i % len(PALETTE)]
        ys = [rank[path, s] for s in scenarios]
        axes.plot(
            range(len(scenarios)),
            ys,
            "-",
            color=tint,
            linewidth=1.6,
            marker=MARKERS[i // len(PALETTE) % len(MARKERS)],
            markersize=5,
            clip_on=False,
        )
        for x, side, at in ((0, -8, ys[0]), (len(scenarios) - 1, 8, ys[-1])):
            axes.annotate(
                shorten(names[path], 18),
                (x, at),
                xytext=(side, 0),
                textcoords="offset points",
                va="center",
                ha="right" if side < 0 else "left",
                fontsize=7,
                color=INK,
                annotation_clip=False,
            )
    axes.set_xticks(range(len(scenarios)), ["\n".join(textwrap.wrap(s, 16)) for s in scenarios], fontsize=7.5)
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.tick_params(length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    for x in range(len(scenarios)):
        axes.axvline(x, color="#ececec", linewidth=0.8, zorder=0)
    axes.set(xlim=(-0.15, len(scenarios) - 0.85), ylim=(len(paths) + 0.5, 0.5))
    axes.annotate(
        "largest effect on top",
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -6),
        textcoords="offset points",
        fontsize=6.5,
        color=SOFT,
        va="top",
        annotation_clip=False,
    )
    return figure


def exhibit(results: Results, rows: Sequence[Row], pairs: Sequence[Row]) -> Exhibit | None:
    """The bump chart; None where there are not two scenarios to compare."""
    title, scenarios = (
        "Do scenarios agree on what matters most?",
        list(dict.fromkeys(r["scenario"] for r in rows)),
    )
    if len(results.meta.get("scenarios") or scenarios) < 2:
        return None
    if len(scenarios) < 2:
        return Exhibit("ranks", title, missing="It takes the contrasts of two choices in two scenarios.")
    caption = (
        "Choices ranked by the size of their effect, the largest absolute mean difference to the anchor "
        "over the tried levels (on "
        "validation). "
        "A size is never below nought and grows with noise and with the number of levels: neighbours in "
        "rank may well be equal. " + " ".join(_said(p, results.confidence) for p in pairs)
    )
    columns = ("scenario", "rank", "path", "size")
    return Exhibit(
        "ranks",
        title,
        caption,
        queries.CONTRASTS,
        [Panel("ranks", "", draw_ranks(rows, scenarios))],
        numbers(rows, columns),
    )


def _said(pair: Row, confidence: float) -> str:
    end = (
        f" ({confidence:.0%} interval {_two(pair['low'])} to {_two(pair['high'])})"
        if pair["low"] is not None
        else " (no interval)"
    )
    return f"{pair['first']} and {pair['second']}: Kendall's tau {_two(pair['tau'])}{end}."


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-", "\u2212")


def table(results: Results, pairs: Sequence[Row]) -> Table | None:
    """The agreement of each pair of scenarios."""
    if not pairs:
        return None
    looks = {"alike": "level", "opposite": "hurts", "undecided": "undecided"}
    body: list[list[Any]] = [
        [
            p["first"],
            p["second"],
            _two(p["tau"]) + (f" [{_two(p['low'])}, {_two(p['high'])}]" if p["low"] is not None else ""),
            p["choices"],
            p["seeds"],
            Cell(word(p), looks[word(p)]),
        ]
        for p in pairs
    ]
    caption = (
        "Kendall's tau-b between the two rankings: 1 = the same order, 0 = unrelated, \u22121 = reversed. "
        "The interval holds the middle "
        f"{results.confidence:.0%} of the values over seeds drawn again with replacement, the same for "
        "both scenarios; with few "
        "seeds it is "
        "coarse. Alike: it lies above 0."
    )
    head = ["scenario", "scenario", f"tau [{results.confidence:.0%}]", "choices", "seeds", "verdict"]
    return Table(head, body, caption, queries.CONTRASTS, key="table-ranks", title="Agreement of the rankings")


def sentences(pairs: Sequence[Row]) -> list[str]:
    """Whether the scenarios are shown to rank the choices alike."""
    if not pairs:
        return []
    total, said = count(len(pairs), "pair") + " of scenarios", []
    for name, verb in (
        ("alike", "shown to rank the choices alike"),
        ("opposite", "shown to rank them the other way round"),
    ):
        found = [f"{p['first']} with {p['second']}" for p in pairs if word(p) == name]
        said += (
            [
                f"{'all are' if len(found) == len(pairs) > 1 else listing(found) + (' is' if len(found) == 1 else ' are')} {verb}"
            ]
            if found
            else []
        )
    left = sum(word(p) == "undecided" for p in pairs)
    said += [f"{left} {'is' if left == 1 else 'are'} undecided"] if left else []
    return [f"Of {total}, {'; '.join(said)}."]
