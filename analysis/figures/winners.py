"""Which open choices change who wins: at every contrast level, the method against its strongest rival on the same seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .. import queries
from ..page import Exhibit, Panel, numbers
from ..results import Results, Row, by_seed, finished
from ..stats import firm, multiplicity, paired
from ..style import INK, SOFT, VERDICT_MARK, blank, drawing
from ..words import WITHIN, chance, listing, points, seeds, shorten
from .contrasts import OBJECTIVE, ordered, unfinished

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Effect = Literal["changes", "may change", "keeps", "undecided"]
OPEN = ("level", "undecided")  # what a winner is called where there is none
TINTS = {"helps": "#b5d6ea", "hurts": "#f6c9a8", "level": "#bfe3d5", "undecided": "#f1f1ee"}
LEFT = 104  # points that the symbols stand left of the tiles


def table_winners(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """One row per study and contrast trial, the anchor's first: the method minus its strongest rival, paired by seed.

    Returns:
        Rows with study, scenario, method, path and symbol (None at the anchor), level, rival (of the highest mean on these seeds),
        interval, mean, low, high, seeds, verdict, winner (the method, the rival, `level` or `undecided`), whole (every tried level of
        the choice ran to its end) and firm (the verdict stands when adjusted for the number of all rows).
    """
    rivals: dict[str, dict[str, dict[int, float]]] = {}
    for trial in finished(results.trials, "rival"):
        rivals.setdefault(trial["study"], {})[trial["label"]] = by_seed(trial, metric)
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    broken, rows = unfinished(results.trials), []
    for trial in finished(results.trials, "contrast"):
        ours, path = by_seed(trial, metric), trial.get("factor")
        shared = {name: [values[s] for s in ours if s in values] for name, values in rivals.get(trial["study"], {}).items()}
        means = {name: sum(values) / len(values) for name, values in shared.items() if values}
        strongest = max(means, key=lambda name: means[name], default="")
        interval = paired(ours, rivals[trial["study"]][strongest], results.confidence) if strongest else None
        if interval is None:
            continue
        rows.append({
            "study": trial["study"], "scenario": trial["scenario"], "method": trial["method"], "path": path or None,
            "symbol": symbols.get(path) or path.rpartition(".")[2] if path else None, "level": str(trial["level"]) if path else None,
            "rival": strongest, "interval": interval, "mean": interval.mean, "low": interval.low, "high": interval.high,
            "seeds": interval.n, "verdict": interval.verdict, "whole": (trial["study"], path) not in broken,
            "winner": {"helps": trial["method"], "hurts": strongest}.get(interval.verdict, interval.verdict),
        })  # fmt: skip
    for row, stands in zip(rows, firm([r["interval"] for r in rows], 1 - results.confidence), strict=True):
        row["firm"] = stands
    return ordered(results, rows)


@dataclass(frozen=True)
class Case:
    """One study: its anchor, and what each choice does to the winner there.

    Attributes:
        place: The scenario, with the method where several are studied.
        anchor: Its row of `table_winners`.
        effects: Path -> effect on the winner. `keeps` is said only where every tried level ran to its end, is decided and has the
            anchor's winner; `may change` where the interval of the change does not stand when adjusted for the number of intervals.
        others: Path -> the rows of the levels that have another winner.
    """

    place: str
    anchor: Row
    effects: dict[str, Effect]
    others: dict[str, list[Row]]


def cases(rows: Sequence[Row]) -> list[Case]:
    """The studies in order; one without an anchor and its rivals is left out."""
    several, found = len({r["method"] for r in rows}) > 1, []
    for study in dict.fromkeys(r["study"] for r in rows):
        own = [r for r in rows if r["study"] == study]
        anchor = next((r for r in own if r["path"] is None), None)
        if anchor is None:
            continue
        effects, others = {}, {}
        for path in dict.fromkeys(r["path"] for r in own if r["path"] is not None):
            effects[path], others[path] = effect(anchor, [r for r in own if r["path"] == path])
        place = f"{anchor['scenario']} ({anchor['method']})" if several else anchor["scenario"]
        found.append(Case(place, anchor, effects, others))
    return found


def effect(anchor: Row, levels: Sequence[Row]) -> tuple[Effect, list[Row]]:
    """What a choice does to the winner, and the levels that have another one."""
    if anchor["winner"] in OPEN:
        return "undecided", []
    others = [r for r in levels if r["winner"] not in OPEN and r["winner"] != anchor["winner"]]
    if others:
        sure = [r for r in others if r["firm"] and anchor["firm"]]
        return ("changes", sure) if sure else ("may change", others)
    return ("keeps" if all(r["winner"] == anchor["winner"] and r["whole"] for r in levels) else "undecided"), []


@drawing
def draw_winners(rows: Sequence[Row]) -> Figure:
    """A tile for each level (row) and study (column): who is ahead, by how many points; framed where the anchor has another winner.

    Args:
        rows: Rows of `table_winners`.
    """
    from matplotlib.patches import Rectangle

    studies = list(dict.fromkeys(r["study"] for r in rows))
    anchors = {r["study"]: r["winner"] for r in rows if r["path"] is None}
    lines = list(dict.fromkeys((r["path"], r["symbol"], r["level"]) for r in rows))
    figure, axes = blank(0.75 + 0.165 * len(lines), 1.65 + 0.72 * max(3, len(studies)))
    height = {line: i + 0.35 * len({path for path, _, _ in lines[: i + 1]}) for i, line in enumerate(lines)}
    for row in rows:
        x, y = studies.index(row["study"]), height[row["path"], row["symbol"], row["level"]]
        other = row["winner"] not in OPEN and anchors.get(row["study"], "undecided") not in (*OPEN, row["winner"])
        axes.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, facecolor=TINTS[row["verdict"]], linewidth=1.4 if other else 0,
                                 edgecolor=INK, zorder=2 if other else 1))  # fmt: skip
        axes.annotate(f"{VERDICT_MARK[row['verdict']]} {points(row['mean'])}", (x, y), ha="center", va="center_baseline", fontsize=7,
                      color=SOFT if row["verdict"] == "undecided" else INK, zorder=3)  # fmt: skip
    for path in dict.fromkeys(path for path, _, _ in lines):
        first = min(height[line] for line in lines if line[0] == path)
        name = next(symbol for p, symbol, _ in lines if p == path)
        axes.annotate(shorten(name or "anchor", 20), (0, first), xycoords=("axes fraction", "data"), xytext=(-LEFT, 0),
                      textcoords="offset points", va="center_baseline", fontsize=7, fontweight="bold", annotation_clip=False)  # fmt: skip
    axes.set_yticks(list(height.values()), [shorten(level or "", 12) for _, _, level in lines], fontsize=7)
    top = {r["study"]: r for r in reversed(rows)}
    heads = [[*textwrap.wrap(top[s]["scenario"], 13), *textwrap.wrap(f"against {top[s]['rival']}", 13)] for s in studies]
    axes.set_xticks(range(len(studies)), ["\n".join(head) for head in heads], fontsize=7)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    axes.set(xlim=(-0.5, len(studies) - 0.5), ylim=(max(height.values()) + 0.55, -0.25))
    return figure


def exhibit_winners(results: Results, rows: Sequence[Row]) -> Exhibit:
    """Who is ahead at the anchor and at every level of every choice."""
    title = "Who wins, whatever is chosen"
    if not rows:
        return Exhibit("winners", title, missing="No anchor and rival are finished on the same seeds yet, so no winner can be named.")
    method = listing(list(dict.fromkeys(r["method"] for r in rows)))
    caption = (
        f"{method} minus its strongest rival, at the anchor and with one choice changed: points of validation accuracy (personal, own "
        f"distribution), mean over {seeds(sorted({r['seeds'] for r in rows}))}, paired by seed. {VERDICT_MARK['helps']} blue: {method} is "
        f"ahead; {VERDICT_MARK['hurts']} orange: the rival is; {VERDICT_MARK['level']} green: level ({WITHIN}); "
        f"{VERDICT_MARK['undecided']} grey: undecided ({results.confidence:.0%} t interval). Framed: another winner than at the anchor. "
        "Rivals are untuned and keep the anchor's settings, so a changed training setting moves the method only. "
        + chance(multiplicity([r["interval"] for r in rows], results.confidence), results.confidence, "if all were equal")
    )
    columns = ("scenario", "path", "level", "rival", "mean", "low", "high", "seeds", "verdict", "winner", "firm")
    return Exhibit("winners", title, caption, queries.WINNERS, [Panel("winners", "", draw_winners(rows))], numbers(rows, columns))
