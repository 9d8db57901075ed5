"""What each open choice changes: paired differences to the anchor, by study, with verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.forest import BESIDE, mark, reach
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import NARROW, SOFT, VERDICT_MARK, WIDTH, blank, drawing
from ...look.words import (
    WITHIN,
    chance,
    count,
    listing,
    mean_span,
    points,
    seeds,
    share,
    shorten,
    span,
    untried,
)
from ...read import queries
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished
from ...stats.intervals import MARGIN, Interval, Multiplicity, firm, multiplicity, paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table_contrasts(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """One row per study and one-factor trial: the paired difference to the anchor, in fractions.

    Returns:
        Rows with study, scenario, method, path, symbol, level, anchor, basis, interval, mean, low, high,
        seeds, verdict, lacking (in words, how many declared levels of the choice have no finished trial
        there; empty if none) and firm (the verdict stands when adjusted for the number of all contrasts);
        ordered as the sweep declared scenarios, factors and levels.
    """
    factors = {f["path"]: f for f in results.meta.get("factors") or []}
    done = finished(results.trials, "contrast")
    left = lacking(results)
    anchors = {t["study"]: t for t in done if not t.get("factor")}
    rows = []
    for trial in done:
        anchor = anchors.get(trial["study"])
        interval = (
            paired(by_seed(trial, metric), by_seed(anchor, metric), results.confidence)
            if anchor and trial.get("factor")
            else None
        )
        if interval is None:
            continue
        factor = factors.get(trial["factor"], {})
        rows.append(
            {
                "study": trial["study"],
                "scenario": trial["scenario"],
                "method": trial["method"],
                "path": trial["factor"],
                "symbol": factor.get("symbol") or trial["factor"].rpartition(".")[2],
                "level": str(trial.get("level")),
                "anchor": factor.get("anchor"),
                "basis": factor.get("basis", ""),
                "interval": interval,
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "seeds": interval.n,
                "verdict": interval.verdict,
                "lacking": left.get((trial["study"], trial["factor"]), ""),
            }
        )
    for row, stands in zip(rows, firm([r["interval"] for r in rows], 1 - results.confidence), strict=True):
        row["firm"] = stands
    return ordered(results, rows)


def ordered(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Rows as the sweep declared scenarios, factors and levels; what has no path first."""
    factors = {f["path"]: [str(v) for v in f.get("levels") or []] for f in results.meta.get("factors") or []}
    scenarios = [s["label"] for s in results.meta.get("scenarios") or []]

    def place(row: Row) -> tuple[Any, ...]:
        path = row["path"]
        choice = (
            path is not None,
            _place(path, list(factors)),
            path or "",
            _place(row["level"], factors.get(path, [])),
        )
        return (_place(row["scenario"], scenarios), row["study"], *choice)

    return sorted(rows, key=place)


def lacking(results: Results) -> dict[tuple[str, str], str]:
    """Study and path of each choice of which some level has no finished trial (not tried, stopped, diverged), with how many, in words.

    Levels are those that the sweep declares, without the anchor, and those that were tried.
    """
    declared = {
        f["path"]: {str(v) for v in f.get("levels") or []} - {str(f.get("anchor"))}
        for f in results.meta.get("factors") or []
    }
    tried: dict[tuple[str, str], dict[str, bool]] = {}
    for trial in (t for t in results.trials if t["kind"] == "contrast" and t.get("factor")):
        levels = tried.setdefault(
            (trial["study"], trial["factor"]), dict.fromkeys(declared.get(trial["factor"], ()), False)
        )
        levels[str(trial.get("level"))] = (
            levels.get(str(trial.get("level")), False) or trial["state"] == "COMPLETE"
        )
    return {
        key: f"{list(done.values()).count(False)} of {count(len(done), 'level')} without a finished trial"
        for key, done in tried.items()
        if not all(done.values())
    }


def _place(item: Any, order: Sequence[Any]) -> int:
    return order.index(item) if item in order else len(order)


def studies(rows: Sequence[Row]) -> list[str]:
    """The studies, in the order of the rows."""
    return list(dict.fromkeys(r["study"] for r in rows))


def decided(rows: Sequence[Row]) -> list[Row]:
    """Of each decided factor, the level that says most: firm verdicts first, then the best that helps, then the worst that hurts."""
    chosen = []
    for path in dict.fromkeys(r["path"] for r in rows):
        own = [r for r in rows if r["path"] == path and r["interval"].excludes_zero]
        own = [r for r in own if r["firm"]] or own
        helping, hurting = ([r for r in own if r["verdict"] == verdict] for verdict in ("helps", "hurts"))
        if own:
            chosen.append(
                max(helping, key=lambda r: r["mean"]) if helping else min(hurting, key=lambda r: r["mean"])
            )
    return sorted(chosen, key=lambda r: not r["firm"])


def without_effect(rows: Sequence[Row]) -> list[str]:
    """Paths of the choices that are shown not to matter: every declared level ran to its end, its difference lies within the margin."""
    paths = dict.fromkeys(r["path"] for r in rows)
    return [
        path
        for path in paths
        if all(r["verdict"] == "level" and not r["lacking"] for r in rows if r["path"] == path)
    ]


def count_chance(rows: Sequence[Row], confidence: float) -> Multiplicity:
    """How many of these verdicts chance alone would give."""
    return multiplicity([r["interval"] for r in rows], confidence)


def sentences(results: Results, rows: Sequence[Row]) -> list[str]:
    """One sentence per study."""
    paths = [f["path"] for f in results.meta.get("factors") or []]
    several, said = len({r["method"] for r in rows}) > 1, []
    for study in studies(rows):
        own = [r for r in rows if r["study"] == study]
        words = sentence(own, [] if several else paths, results.confidence)
        said.append(f"{own[0]['method']}: {words}" if several else words)
    return said


def sentence(rows: Sequence[Row], open_choices: Sequence[str], confidence: float) -> str:
    """What the contrasts of one study say, in words: what changes accuracy, what may (an interval not adjusted for the many), what is open.

    Args:
        rows: The study's rows of `table_contrasts`.
        open_choices: Paths of all choices that the sweep declared open.
        confidence: Coverage of the intervals.
    """
    chosen, same, tried = decided(rows), without_effect(rows), len({r["path"] for r in rows})
    total = len({*open_choices, *(r["path"] for r in rows)})
    rest = untried(total - tried) if total > tried else ""
    under = f"Under {rows[0]['scenario']}, "
    if all(r["low"] is None for r in rows):
        return f"{under}none of {total} open choices is decided: one seed gives no interval."
    if not chosen and not same:
        of = f" ({rest})" if rest else ""
        return (
            f"{under}none of {total} open choices is decided{of}: every {confidence:.0%} interval "
            "includes zero."
        )
    left = tried - len(chosen) - len(same)
    undecided = f"{share(left, total)} undecided" if left else ""
    effects = {r["path"]: _effect(r, f"{confidence:.0%} interval " if r is chosen[0] else "") for r in chosen}
    sure, hints = [r for r in chosen if r["firm"]], [r for r in chosen if not r["firm"]]
    clauses = [
        _clause(sure, effects, "changes", "change") if sure else "",
        _hint(hints, effects, bool(sure)) if hints else "",
    ]
    nothing = _nothing([r["symbol"] for r in rows if r["path"] in same])
    return under + "; ".join(part for part in (*clauses, nothing, undecided, rest) if part) + "."


def _nothing(symbols: Sequence[str]) -> str:
    names = list(dict.fromkeys(symbols))
    return f"{listing(names)} {'does' if len(names) == 1 else 'do'} not matter ({WITHIN})" if names else ""


def _clause(rows: Sequence[Row], effects: dict[str, str], one: str, many: str) -> str:
    if len(rows) == 1:
        return f"{rows[0]['symbol']} {one} validation accuracy {effects[rows[0]['path']]}"
    return f"{listing([r['symbol'] + ' ' + effects[r['path']] for r in rows])} {many} validation accuracy"


def _hint(rows: Sequence[Row], effects: dict[str, str], after: bool) -> str:
    if not after:
        return _clause(rows, effects, "may change", "may change")
    return listing([r["symbol"] + " " + effects[r["path"]] for r in rows]) + " may too"


def _effect(row: Row, prefix: str) -> str:
    word = "best" if row["verdict"] == "helps" else "worst"
    return f"({word} {row['level']}: {points(row['mean'])} points, {prefix}{span(row['interval'])})"


@drawing
def draw_contrasts(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """A forest plot of one study: level by level the difference to the anchor in points.

    Args:
        rows: One study's rows of `table_contrasts`.
        limit: Half the width of the x axis in points, the same for all studies.
        width: Of the panel, inches.
    """
    lines: list[tuple[float, Row, bool]] = []  # height, row, whether it is the heading of its choice
    y = 0.0
    for path in dict.fromkeys(r["path"] for r in rows):
        own = [r for r in rows if r["path"] == path]
        lines += [(y, own[0], True), *((y + 0.95 + i, row, False) for i, row in enumerate(own))]
        y += len(own) + 1.3
    figure, axes = blank(0.5 + 0.145 * y, width)
    most = int(16 * width) - 10  # letters that have room in a choice's line
    levels = [(at, row) for at, row, heading in lines if not heading]
    axes.set_yticks([at for at, _ in levels], [shorten(r["level"], 14) for _, r in levels])
    for at, row, heading in lines:
        if heading:
            anchor = (
                f", anchor {shorten(str(row['anchor']), most - len(row['symbol']))}"
                if row["anchor"] is not None
                else ""
            )
            bar = axes.axhline(at, -1, 2, color="#e9e9e4", linewidth=8.5, zorder=0.8, clip_on=False)
            bar.set_in_layout(False)
            axes.annotate(
                row["symbol"] + anchor,
                (0, at),
                xycoords=("axes fraction", "data"),
                xytext=(-BESIDE, 0),
                va="center_baseline",
                textcoords="offset points",
                fontsize=7,
                fontweight="bold",
                annotation_clip=False,
            )
        else:
            mark(axes, at, row, limit)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="#f3f3ef", linewidth=0, zorder=0.2)
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-limit, limit), ylim=(y - 0.5, -0.8), xlabel="points against the anchor")
    return figure


def exhibit_contrasts(results: Results, rows: Sequence[Row]) -> Exhibit:
    """The forest plots, one panel per study."""
    title = "What each open choice changes"
    if not rows:
        return Exhibit(
            "contrasts",
            title,
            missing="No contrast is finished yet: it takes an anchor and one changed choice of one study.",
        )
    limit, several = reach(rows), len({r["method"] for r in rows}) > 1
    panels, width = [], NARROW if len(studies(rows)) > 2 else WIDTH
    for study in studies(rows):
        own = [r for r in rows if r["study"] == study]
        name = study if several else own[0]["scenario"]
        panels.append(Panel(f"contrasts-{slug(study)}", name, draw_contrasts(own, limit, width)))
    caption = (
        "Validation accuracy (personal, own distribution) with one choice changed, minus the anchor with "
        "the same seeds "
        f"({seeds(sorted({r['seeds'] for r in rows}))}): mean and {results.confidence:.0%} t interval. "
        "Blue triangles up help, orange "
        f"triangles down hurt, green squares do not matter ({WITHIN}: the shaded band), grey circles are "
        "undecided. Intervals wider than "
        "the axis end in an arrow; long values are shortened here and in full in the table of contrasts. "
        + chance(count_chance(rows, results.confidence), results.confidence)
    )
    columns = ("scenario", "symbol", "level", "mean", "low", "high", "seeds", "verdict", "firm")
    return Exhibit("contrasts", title, caption, queries.CONTRASTS, panels, numbers(rows, columns))


def table_verdicts(results: Results, rows: Sequence[Row]) -> Table | None:
    """The matrix of choices by studies: in each cell the verdict, with the level that says most."""
    if not rows:
        return None
    columns = studies(rows)
    several = len({r["method"] for r in rows}) > 1
    paths = [f["path"] for f in results.meta.get("factors") or []]
    paths += [p for p in dict.fromkeys(r["path"] for r in rows) if p not in paths]
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []} | {
        r["path"]: r["symbol"] for r in rows
    }
    body = []
    for path in paths:
        line: list[Any] = [Cell(symbols[path], "code")]
        for study in columns:
            line.append(_verdict_cell([r for r in rows if r["path"] == path and r["study"] == study]))
        body.append(line)
    heads = [c if several else next(r["scenario"] for r in rows if r["study"] == c) for c in columns]
    caption = (
        f"{VERDICT_MARK['helps']} some level helps (the best is named), {VERDICT_MARK['hurts']} leaving "
        "the anchor hurts (the worst is "
        f"named), {VERDICT_MARK['level']} no level matters ({WITHIN}), undecided: in brackets what the "
        "intervals leave open, or how many "
        "levels have no finished trial. Points of validation accuracy. A star: it stands when adjusted for "
        "the number of contrasts."
    )
    return Table(
        ["choice", *heads],
        body,
        caption,
        queries.CONTRASTS,
        key="verdicts",
        title="Effect of each open choice on accuracy",
    )


def _verdict_cell(rows: Sequence[Row]) -> Cell:
    if not rows:
        return Cell("not tried yet", "missing")
    chosen = decided(rows)
    if chosen:
        row = chosen[0]
        star = " *" if row["firm"] else ""
        return Cell(
            f"{VERDICT_MARK[row['verdict']]} {row['level']}: {points(row['mean'])}{star}",
            row["verdict"],
            span(row["interval"]),
        )
    if without_effect(rows):
        return Cell(
            f"{VERDICT_MARK['level']} {WITHIN}",
            "level",
            f"every level: no effect of more than {100 * MARGIN:g} point",
        )
    able: list[Interval] = [r["interval"] for r in rows if r["low"] is not None]
    if not able:
        return Cell("undecided (one seed)", "undecided")
    if all(r["verdict"] == "level" for r in rows):
        return Cell(f"undecided ({rows[0]['lacking']})", "undecided", f"each finished level: {WITHIN}")
    span_of_all = f"{points(min(i.low or 0 for i in able))} to {points(max(i.high or 0 for i in able))}"
    return Cell(f"undecided ({span_of_all})", "undecided", rows[0]["lacking"])


def table_differences(results: Results, rows: Sequence[Row]) -> Table | None:
    """Every contrast, folded away."""
    if not rows:
        return None
    body = [
        [
            r["scenario"],
            Cell(r["path"], "code"),
            r["level"],
            str(r["anchor"]),
            mean_span(r["interval"], points),
            r["seeds"],
            Cell(r["verdict"] + (" *" if r["firm"] else ""), r["verdict"]),
        ]
        for r in rows
    ]
    head = [
        "scenario",
        "choice",
        "level",
        "anchor",
        f"difference, points [{results.confidence:.0%}]",
        "seeds",
        "verdict",
    ]
    caption = "Each contrast, paired by seed. A star: it stands when adjusted for the number of contrasts."
    return Table(
        head,
        body,
        caption,
        queries.CONTRASTS,
        folded=f"All {len(rows)} contrasts",
        key="table-contrasts",
        title="Contrasts",
    )
