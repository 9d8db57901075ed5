"""Which open choices change who wins: at every contrast level, the method against its strongest rival on the same seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ...look.page import Exhibit, Panel, numbers
from ...look.style import INK, SOFT, VERDICT_MARK, blank, drawing
from ...look.words import WITHIN, count, listing, points, seeds, shorten
from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished
from ...stats.intervals import Interval, Verdict, firm, paired
from .contrasts import lacking, ordered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Effect = Literal["changes", "may change", "keeps", "may keep", "undecided"]
# the choices that are the method's own; the other settings are the rivals' too, which keep the anchor's
METHOD = "method."
OPEN = ("level", "undecided")  # what a winner is called where there is none
TINTS = {"helps": "#b5d6ea", "hurts": "#f6c9a8", "level": "#bfe3d5", "undecided": "#f1f1ee"}
LEFT = 104  # points that the symbols stand left of the tiles
QUERY = f"""WITH seeds AS (
  SELECT study, scenario, kind, factor, level, label, unnest(seeds) AS seed, unnest(acc_personal_own) AS accuracy
  FROM {parts("trials")}
  WHERE kind IN ('contrast', 'rival') AND state = 'COMPLETE')
SELECT c.scenario, c.factor, c.level, r.label AS rival, avg(c.accuracy - r.accuracy) AS mean,
       stddev_samp(c.accuracy - r.accuracy) AS sd, count(*) AS seeds,
       row_number() OVER (PARTITION BY c.study, c.factor, c.level ORDER BY avg(r.accuracy) DESC) AS place
FROM seeds c JOIN seeds r ON r.study = c.study AND r.seed = c.seed
WHERE c.kind = 'contrast' AND r.kind = 'rival' AND (c.factor IS NULL OR starts_with(c.factor, '{METHOD}'))
GROUP BY c.study, c.scenario, c.factor, c.level, r.label
ORDER BY ALL"""


def table_winners(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """One row per study and contrast trial of the method's choices, the anchor's first: the method against its rivals, paired by seed.

    Returns:
        Rows with study, scenario, method, path and symbol (None at the anchor), level, rival (of the highest
        mean on these seeds), rivals (how many), interval, mean, low, high (the method minus that rival),
        seeds, verdict (see `outcome`), winner (the method, the rival, `level` or `undecided`), lacking (see
        `contrasts.lacking`) and firm (the verdict stands when adjusted for all rows).
    """
    rivals: dict[str, dict[str, dict[int, float]]] = {}
    for trial in finished(results.trials, "rival"):
        rivals.setdefault(trial["study"], {})[trial["label"]] = by_seed(trial, metric)
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    left, rows, tested = lacking(results), [], []
    for trial in finished(results.trials, "contrast"):
        ours, path = by_seed(trial, metric), trial.get("factor")
        theirs = rivals.get(trial["study"], {}) if not path or path.startswith(METHOD) else {}
        gaps = {
            name: gap for name, values in theirs.items() if (gap := paired(ours, values, results.confidence))
        }
        if not gaps:
            continue
        means = {
            name: sum(shared) / len(shared)
            for name in gaps
            if (shared := [v for s, v in theirs[name].items() if s in ours])
        }
        strongest = max(means, key=lambda name: means[name])
        interval = gaps[strongest]
        verdict, p = outcome(gaps, strongest, results.confidence)
        tested.append(replace(interval, p=p))
        rows.append(
            {
                "study": trial["study"],
                "scenario": trial["scenario"],
                "method": trial["method"],
                "path": path or None,
                "symbol": symbols.get(path) or path.rpartition(".")[2] if path else None,
                "level": str(trial["level"]) if path else None,
                "rival": strongest,
                "rivals": len(gaps),
                "interval": interval,
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "seeds": interval.n,
                "verdict": verdict,
                "lacking": left.get((trial["study"], path or ""), ""),
                "winner": {"helps": trial["method"], "hurts": strongest}.get(verdict, verdict),
            }
        )
    for row, stands in zip(rows, firm(tested, 1 - results.confidence), strict=True):
        row["firm"] = stands
    return ordered(results, rows)


def outcome(gaps: Mapping[str, Interval], strongest: str, confidence: float) -> tuple[Verdict, float | None]:
    """What the differences to all rivals show of the winner, and how likely that is if all were equal (two-sided p).

    The strongest rival is a maximum, chosen and tested on the same seeds. So the method is the winner only
    where it is ahead of every rival; as all of these must hold, none needs an adjustment (intersection-union:
    Berger, Technometrics 24 (1982) 295-300) and p is the largest. The strongest rival is the winner only
    where its lead stands when adjusted for the number of rivals (Holm, Scandinavian Journal of Statistics 6
    (1979) 65-70).

    Args:
        gaps: Rival -> the interval of the method minus it.
        strongest: The rival of the highest mean.
        confidence: Coverage of the intervals.
    """
    gap, verdicts = gaps[strongest], {interval.verdict for interval in gaps.values()}
    if gap.low is None:  # one seed
        return "undecided", None
    if gap.mean > 0:
        known = [interval.p for interval in gaps.values() if interval.p is not None and interval.mean > 0]
        p = max(known) if len(known) == len(gaps) else None
    else:
        p = min(1.0, 2 * holm({name: _behind(interval) for name, interval in gaps.items()})[strongest])
    if verdicts == {"helps"}:
        return "helps", p
    if gap.verdict == "hurts" and p is not None and p <= 1 - confidence:
        return "hurts", p
    return ("level" if gap.verdict == "level" and verdicts <= {"level", "helps"} else "undecided"), p


def _behind(interval: Interval) -> float:
    """The one-sided p of the method not being behind."""
    if interval.p is None:
        return 1.0
    return interval.p / 2 if interval.mean < 0 else 1 - interval.p / 2


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """The p of each hypothesis, adjusted so that the chance of any false rejection is held."""
    adjusted, most = {}, 0.0
    for k, name in enumerate(sorted(ps, key=lambda name: ps[name])):
        most = max(most, min(1.0, (len(ps) - k) * ps[name]))
        adjusted[name] = most
    return adjusted


@dataclass(frozen=True)
class Case:
    """One study: its anchor, and what each choice does to the winner there.

    Attributes:
        place: The scenario, with the method where several are studied.
        anchor: Its row of `table_winners`.
        effects: Path -> effect on the winner. `keeps` is said only where every declared level ran to its end,
            is decided and has the anchor's winner; `may change` and `may keep` where that does not stand when
            adjusted for the number of all rows.
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
    if any(r["winner"] != anchor["winner"] or r["lacking"] for r in levels):
        return "undecided", []
    return ("keeps" if all(r["firm"] for r in (anchor, *levels)) else "may keep"), []


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
        other = row["winner"] not in OPEN and anchors.get(row["study"], "undecided") not in (
            *OPEN,
            row["winner"],
        )
        axes.add_patch(
            Rectangle(
                (x - 0.46, y - 0.46),
                0.92,
                0.92,
                facecolor=TINTS[row["verdict"]],
                linewidth=1.4 if other else 0,
                edgecolor=INK,
                zorder=2 if other else 1,
            )
        )
        axes.annotate(
            f"{VERDICT_MARK[row['verdict']]} {points(row['mean'])}",
            (x, y),
            ha="center",
            va="center_baseline",
            fontsize=7,
            color=SOFT if row["verdict"] == "undecided" else INK,
            zorder=3,
        )
    for path in dict.fromkeys(path for path, _, _ in lines):
        first = min(height[line] for line in lines if line[0] == path)
        name = next(symbol for p, symbol, _ in lines if p == path)
        axes.annotate(
            shorten(name or "anchor", 20),
            (0, first),
            xycoords=("axes fraction", "data"),
            xytext=(-LEFT, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=7,
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_yticks(list(height.values()), [shorten(level or "", 12) for _, _, level in lines], fontsize=7)
    top = {r["study"]: r for r in reversed(rows)}
    heads = [
        [*textwrap.wrap(top[s]["scenario"], 13), *textwrap.wrap(f"against {top[s]['rival']}", 13)]
        for s in studies
    ]
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
        return Exhibit(
            "winners",
            title,
            missing="No anchor and rival are finished on the same seeds yet, so no winner can be named.",
        )
    method = listing(list(dict.fromkeys(r["method"] for r in rows)))
    most = max(r["rivals"] for r in rows)
    caption = (
        f"{method} minus its strongest rival (of {most}), at the anchor and with one choice of the method "
        "changed: points of validation "
        f"accuracy (personal, own distribution), mean over {seeds(sorted({r['seeds'] for r in rows}))}, "
        "paired by seed. "
        f"{VERDICT_MARK['helps']} blue: {method} is ahead of every rival; {VERDICT_MARK['hurts']} orange: "
        "the strongest rival is ahead, "
        f"adjusted for the number of rivals (Holm); {VERDICT_MARK['level']} green: level ({WITHIN}); "
        f"{VERDICT_MARK['undecided']} grey: "
        f"undecided ({results.confidence:.0%} t intervals). Framed: another winner than at the anchor. "
        "Rivals are untuned. Training "
        "settings are left out: they change the rivals too, which ran with the anchor's only. "
        f"{by_chance(rows, results.confidence)}"
    )
    columns = (
        "scenario",
        "path",
        "level",
        "rival",
        "mean",
        "low",
        "high",
        "seeds",
        "verdict",
        "winner",
        "firm",
    )
    return Exhibit(
        "winners", title, caption, QUERY, [Panel("winners", "", draw_winners(rows))], numbers(rows, columns)
    )


def by_chance(rows: Sequence[Row], confidence: float) -> str:
    """How many of these rows would name a winner by chance alone."""
    able = [r for r in rows if r["low"] is not None]
    named = [r for r in able if r["winner"] not in OPEN]
    if not able:
        return ""
    text = (
        f"Of {count(len(able), 'tile')}, {len(named)} name a winner; by chance alone, if all were "
        "equal, at most about "
    )
    text += f"{len(able) * (1 - confidence):.0f} would."
    stand = sum(r["firm"] for r in named)
    stands = (
        "all of them stand"
        if stand == len(named)
        else f"{stand or 'none'} of them stand{'s' if stand <= 1 else ''}"
    )
    return (
        f"{text} Adjusted for their number (false discovery rate {1 - confidence:.0%}), {stands}."
        if named
        else text
    )
