"""What the paper leaves open and what that changes: choice by choice the largest effect, and whether the method's lead lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...look.forest import mark, reach
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import FAINT, NARROW, SOFT, WIDTH, blank, drawing
from ...look.words import WITHIN, count, listing, points, shorten, span
from ...read import queries
from ...read.results import OBJECTIVE, Results, Row, by_seed, finished
from ...stats.intervals import Interval, adjusted, firm, paired
from .contrasts import lacking, ordered
from .rivals import Rival, strongest
from .winners import METHOD, QUERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANCHOR = "anchor"
SAID = {
    "helps": "raises accuracy",
    "hurts": "lowers accuracy",
    "level": "does not matter",
    "undecided": "undecided",
}
LASTS = {
    "survives": "helps",
    "reverses": "hurts",
    "behind": "hurts",
    "deficit": "hurts",
    "undecided": "undecided",
    "": "",
}
WORDS = {
    "survives": "survives",
    "reverses": "reverses",
    "behind": "none: behind at the anchor too",
    "deficit": "behind there; open at the anchor",
    "undecided": "undecided",
    "": "not asked: rivals train by it too",
}
Values = Mapping[int, float]


def table_gaps(results: Results, metric: str = OBJECTIVE) -> list[Row]:
    """One row per scenario and declared choice, tried or not.

    All intervals of a row hold together over the choice's levels (Bonferroni), so that the largest of them
    may be shown.

    Returns:
        Rows with study, scenario, path, symbol, doc, basis, source, tried and searched (in words), tried_all
        (every declared level ran); level, interval, verdict and firm of the level that says most (of those
        decided the largest difference to the anchor, else the largest of all; None where nothing ran),
        effects (all differences), best and best_interval (`anchor` and None where no level has a higher
        mean); rival (see `rivals.strongest`), least and lead (the level where the method's lead is least, and
        its interval), lasts (`survives`; `reverses`: ahead at the anchor, behind at some level; `deficit`:
        behind at some level, undecided at the anchor; `behind`: at the anchor too; `undecided`; empty where
        it is not asked) and lasts_firm.
    """
    done, left = finished(results.trials, "contrast"), lacking(results)
    rows = []
    for study, scenario in _places(results):
        own = [t for t in done if t["study"] == study]
        anchor = next((by_seed(t, metric) for t in own if not t.get("factor")), None)
        rival = strongest(results, study, scenario, metric)
        for factor in _choices(results):
            levels = {str(t["level"]): by_seed(t, metric) for t in own if t.get("factor") == factor["path"]}
            open_ = left.get((study, factor["path"]), "" if levels else "not tried yet")
            row = {"study": study, "scenario": scenario, "lacking": open_, "rival": rival, **factor}
            row |= _effect(anchor or {}, levels, open_, results.confidence)
            asked = factor["path"].startswith(METHOD)
            rows.append(
                row
                | _lasting(
                    {ANCHOR: anchor or {}, **levels} if asked else {}, rival, open_, results.confidence
                )
            )
    for name in ("interval", "lead"):
        shown = [r for r in rows if r[name] is not None]
        stands = firm([replace(r[name], p=r[f"{name}_p"]) for r in shown], 1 - results.confidence)
        for row, sure in zip(shown, stands, strict=True):
            row["firm" if name == "interval" else "lasts_firm"] = sure
    return ordered(results, rows)


def _places(results: Results) -> list[tuple[str, str]]:
    """Study and scenario of the method under each scenario, run or to come."""
    seen = {t["study"]: str(t["scenario"]) for t in results.trials if t["kind"] == "contrast"}
    if seen:
        return list(seen.items())
    return [
        (f"{results.meta.get('space')} | {s['label']}", s["label"])
        for s in results.meta.get("scenarios") or []
    ]


def _choices(results: Results) -> list[Row]:
    """Every declared choice, and those that were tried without being declared, in words."""
    declared = {f["path"]: f for f in results.meta.get("factors") or []}
    tried: dict[str, Row] = {
        t["factor"]: {}
        for t in results.trials
        if t["kind"] == "contrast" and t.get("factor") and t["factor"] not in declared
    }
    found = []
    for path, f in {**declared, **tried}.items():
        levels = [str(v) for v in f.get("levels") or [] if str(v) != str(f.get("anchor"))]
        found.append(
            {
                "path": path,
                "symbol": f.get("symbol") or path.rpartition(".")[2],
                "doc": f.get("doc") or "",
                "basis": f.get("basis") or "",
                "source": f.get("source") or "",
                "anchor": f.get("anchor"),
                "tried": ", ".join(levels),
                "searched": f.get("search") or "",
            }
        )
    return found


def _effect(anchor: Values, levels: Mapping[str, Values], left: str, confidence: float) -> Row:
    """What a choice changes, by its levels' differences to the anchor."""
    each = adjusted(confidence, len(levels))
    found = {level: i for level, values in levels.items() if (i := paired(values, anchor, each))}
    if not found:
        return {
            "level": None,
            "interval": None,
            "verdict": "undecided",
            "firm": False,
            "effects": {},
            "best": None,
            "best_interval": None,
            "interval_p": None,
        }
    sure = [level for level in found if found[level].excludes_zero]
    level = max(sure or found, key=lambda name: abs(found[name].mean))
    verdict = found[level].verdict
    if verdict == "level" and (left or any(i.verdict != "level" for i in found.values())):
        verdict = "undecided"
    top = max(found, key=lambda name: found[name].mean)
    best = (top, found[top]) if found[top].mean > 0 else (ANCHOR, None)
    p = None if found[level].p is None else min(1.0, len(levels) * (found[level].p or 0.0))
    return {
        "level": level,
        "interval": found[level],
        "verdict": verdict,
        "firm": False,
        "effects": {k: i.mean for k, i in found.items()},
        "best": best[0],
        "best_interval": best[1],
        "interval_p": p,
    }


def _lasting(levels: Mapping[str, Values], rival: Rival | None, left: str, confidence: float) -> Row:
    """Whether the lead over the rival lasts over all levels, the anchor among them."""
    each = adjusted(confidence, len(levels))
    found = {
        level: i for level, values in levels.items() if rival and (i := paired(values, rival.values, each))
    }
    if len(found) < 2 or ANCHOR not in found:  # the anchor alone says nothing of the choice
        return {
            "least": None,
            "lead": None,
            "lasts": "undecided" if levels else "",
            "lasts_firm": False,
            "lead_p": None,
        }
    least = min(found, key=lambda name: found[name].mean)
    lead, lasts = found[least], "undecided"
    behind = [i.p / 2 for i in found.values() if i.p is not None and i.mean < 0]
    p: float | None = None
    if all(i.verdict == "helps" for i in found.values()) and not left:
        lasts, p = "survives", max(i.p or 0.0 for i in found.values())
    elif any(i.verdict == "hurts" for i in found.values()):
        lasts = {"hurts": "behind", "helps": "reverses"}.get(found[ANCHOR].verdict, "deficit")
        p = min(1.0, 2 * len(levels) * min(behind))
    return {"least": least, "lead": lead, "lasts": lasts, "lasts_firm": False, "lead_p": p}


@drawing
def draw_effects(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """A line per choice: grey dots are the mean differences of all levels, the mark with the interval is the one that says most."""
    figure, axes = blank(0.55 + 0.19 * len(rows), width)
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        axes.plot(
            [100 * m for m in row["effects"].values()],
            [y] * len(row["effects"]),
            "o",
            color="#b9b9b9",
            markersize=2.6,
            zorder=1,
        )
        if row["interval"] is not None:
            interval: Interval = row["interval"]
            mark(
                axes,
                y,
                {
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "verdict": row["verdict"],
                },
                limit,
            )
    return _named(figure, axes, rows, limit, "points against the anchor")


@drawing
def draw_leads(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """A line per choice of the method: its least lead over the rival, over all levels and the anchor."""
    figure, axes = blank(0.55 + 0.19 * len(rows), width)
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        lead: Interval | None = row["lead"]
        if lead is not None:
            mark(
                axes,
                y,
                {"mean": lead.mean, "low": lead.low, "high": lead.high, "verdict": LASTS[row["lasts"]]},
                limit,
            )
    return _named(figure, axes, rows, limit, "points ahead of the rival, where that is least")


def _named(figure: Figure, axes: Any, rows: Sequence[Row], limit: float, label: str) -> Figure:
    axes.set_yticks(range(len(rows)), [shorten(r["symbol"], 18) for r in rows])
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-limit, limit), ylim=(len(rows) - 0.4, -0.6), xlabel=label)
    return figure


def exhibits(results: Results, rows: Sequence[Row]) -> list[Exhibit]:
    """What each choice changes, and whether the lead over the rival lasts: a panel per scenario each."""
    some = [r for r in rows if r["interval"] is not None]
    if not some:
        missing = "No choice is contrasted yet: it takes an anchor and one changed choice of one study."
        return [Exhibit("gaps", "What each open choice changes at most", missing=missing)]
    flat = [
        {**r, "mean": r["interval"].mean, "low": r["interval"].low, "high": r["interval"].high} for r in some
    ]
    caption = (
        "Choice by choice, validation accuracy (personal, own distribution) against the anchor, paired by "
        "seed. Grey dots: all levels. The "
        "mark is the level that says most: of those whose interval excludes zero the one farthest from the "
        "anchor, else the farthest of "
        "all. As it is picked from several, its interval is widened so that all levels of a choice hold "
        "together with "
        f"{results.confidence:.0%} (Bonferroni). Blue: it raises accuracy; orange: it lowers it; green: no "
        "level matters "
        f"({WITHIN}); grey: undecided."
    )
    columns = ("scenario", "path", "level", "mean", "low", "high", "verdict", "firm")
    effects = _panels("gaps", flat, draw_effects)
    found = [
        Exhibit(
            "gaps",
            "What each open choice changes at most",
            caption,
            queries.CONTRASTS,
            effects,
            numbers(flat, columns),
        )
    ]
    leads = [
        {**r, "mean": r["lead"].mean, "low": r["lead"].low, "high": r["lead"].high}
        for r in rows
        if r["lead"] is not None
    ]
    if leads:
        found.append(_exhibit_leads(results, leads))
    return found


def _exhibit_leads(results: Results, leads: Sequence[Row]) -> Exhibit:
    places: dict[str, dict[str, None]] = {}
    for r in leads:
        places.setdefault(f"{r['rival'].label}, {r['rival'].why}", {})[r["scenario"]] = None
    said = [
        f"{rival} (under {listing(list(where))})" if len(places) > 1 else rival
        for rival, where in places.items()
    ]
    caption = (
        "The least lead of the method over its rival, over all tried levels of one choice and the anchor, "
        "on validation and common seeds; "
        f"intervals widened so that all levels of a choice hold together with {results.confidence:.0%} "
        "(Bonferroni). Blue: ahead at every "
        "level, the lead survives; orange: behind at some level; grey: undecided. The rival: "
        + "; ".join(said)
        + ". Training settings are "
        "left out: they change the rival too."
    )
    body = [{**r, "rival": r["rival"].label} for r in leads]
    columns = ("scenario", "path", "least", "rival", "mean", "low", "high", "lasts", "lasts_firm")
    return Exhibit(
        "gaps-lead",
        "Does the lead survive the whole range?",
        caption,
        QUERY,
        _panels("gaps-lead", leads, draw_leads),
        numbers(body, columns),
    )


def _panels(key: str, rows: Sequence[Row], draw: Any) -> list[Panel]:
    limit, scenarios = reach(rows), list(dict.fromkeys(r["scenario"] for r in rows))
    width = NARROW if len(scenarios) > 2 else WIDTH
    return [
        Panel(f"{key}-{slug(s)}", s, draw([r for r in rows if r["scenario"] == s], limit, width))
        for s in scenarios
    ]


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """The specification gaps as a table: a row per choice and scenario."""
    if not rows:
        return None
    body: list[list[Any]] = []
    rows = sorted(rows, key=lambda r: [f["path"] for f in _choices(results)].index(r["path"]))
    for row, before in zip(rows, [None, *rows[:-1]], strict=True):
        first = before is None or before["path"] != row["path"]
        source = f"{row['basis'] or 'not said'}{': ' + row['source'] if row['source'] else ''}"
        tried = f"{row['anchor']}; tried {row['tried']}" + (
            f"; range {row['searched']}" if row["searched"] else ""
        )
        head = (
            [Cell(row["symbol"], "code", row["doc"]), source, tried]
            if first
            else [Cell(" "), Cell(" "), Cell(" ")]
        )
        body.append([*head, row["scenario"], *_cells(row)])
    columns = [
        "choice",
        "basis of its value",
        "anchor and range",
        "scenario",
        "largest change, points",
        "how sure",
        "best level",
        "least lead, points",
        "the lead",
    ]
    caption = (
        "The paper leaves these open. Basis: paper = stated in its public text; relative = from the code "
        "of a published relative; computed "
        "= follows from a computation; guess = ours. Intervals in brackets, widened for the number of a "
        "choice's levels (Bonferroni over "
        f"levels, {results.confidence:.0%} together): the largest of several is shown. The best level has "
        "the highest mean and is "
        "no verdict "
        "unless its interval excludes zero. A star: it also stands when adjusted for the number of all "
        "rows (false discovery rate)."
    )
    return Table(columns, body, caption, queries.CONTRASTS, key="table-gaps", title="Specification gaps")


def _cells(row: Row) -> list[Any]:
    star = " *" if row["firm"] else ""
    lasts, lead = row["lasts"], row["lead"]
    best = row["best"] or "\u2013"
    if row["best_interval"] is not None:
        best += f": {points(row['best_interval'].mean)} [{span(row['best_interval'])}]"
    change = (
        f"{row['level']}: {points(row['interval'].mean)} [{span(row['interval'])}]"
        if row["interval"]
        else row["lacking"]
    )
    least = f"{row['least']}: {points(lead.mean)} [{span(lead)}]" if lead else "\u2013"
    sure = SAID[row["verdict"]] if row["interval"] else "not tried yet"
    end = WORDS[lasts] + (" *" if row["lasts_firm"] and lasts != "undecided" else "")
    return [change, Cell(sure + star, row["verdict"], row["lacking"]), best, least, Cell(end, LASTS[lasts])]


def sentences(rows: Sequence[Row], confidence: float) -> list[str]:
    """What the gaps say: which choices matter, which do not, how many are open; where the lead survives."""
    tried = [r for r in rows if r["interval"] is not None]
    if not tried:
        return ["No open choice is contrasted with the anchor yet, so nothing can be said about them."]
    names = {r["path"]: r["symbol"] for r in rows}
    by_path = {path: [r for r in tried if r["path"] == path] for path in names}
    sure = [
        p for p, own in by_path.items() if any(r["firm"] and r["verdict"] in ("helps", "hurts") for r in own)
    ]
    may = [
        p
        for p, own in by_path.items()
        if p not in sure and any(r["verdict"] in ("helps", "hurts") for r in own)
    ]
    places = len({r["scenario"] for r in rows})
    same = [
        p for p, own in by_path.items() if len(own) == places and all(r["verdict"] == "level" for r in own)
    ]
    never = sum(not own for own in by_path.values())
    left = len(names) - len(sure) - len(may) - len(same) - never
    many = "is" if len(sure) == 1 else "are"
    said = [
        f"{listing([_where(names[p], by_path[p]) for p in sure])} {many} shown to change validation accuracy"
        if sure
        else "none is shown to change validation accuracy"
    ]
    said += (
        [f"{listing([names[p] for p in may])} may (not when adjusted for the number of choices)"]
        if may
        else []
    )
    said += (
        [
            f"{listing([names[p] for p in same])} {'is' if len(same) == 1 else 'are'} shown not to matter "
            f"({WITHIN})"
        ]
        if same
        else []
    )
    said += [f"{left} {'is' if left == 1 else 'are'} undecided"] if left else []
    said += [f"{never} without a finished trial"] if never else []
    first = (
        f"Of {count(len(names), 'open choice')}, {'; '.join(said)} ({confidence:.0%} intervals, the "
        "largest of a choice's levels adjusted)."
    )
    return [first, *_lead_sentences(rows)]


def _where(name: str, rows: Sequence[Row]) -> str:
    where = [r["scenario"] for r in rows if r["firm"] and r["verdict"] in ("helps", "hurts")]
    return name + ("" if len(where) == len(rows) else f" (under {listing(where)})")


def _lead_sentences(rows: Sequence[Row]) -> list[str]:
    said = []
    for scenario in dict.fromkeys(r["scenario"] for r in rows):
        own = [r for r in rows if r["scenario"] == scenario and r["lead"] is not None]
        if not own:
            continue
        if any(r["lasts"] == "behind" for r in own):
            said.append(
                f"Under {scenario}, the method is behind {own[0]['rival'].label} at the anchor already: "
                "there is no lead to lose."
            )
            continue
        groups = {
            word: [r["symbol"] for r in own if r["lasts"] == word]
            for word in ("survives", "reverses", "deficit", "undecided")
        }
        sure = {word: all(r["lasts_firm"] for r in own if r["lasts"] == word) for word in groups}
        parts = []
        if groups["survives"]:
            parts.append(
                f"{'lasts' if sure['survives'] else 'may last'} over all tried levels of "
                f"{listing(groups['survives'])}"
            )
        if groups["reverses"]:
            parts.append(
                f"{'turns' if sure['reverses'] else 'may turn'} into a deficit at some level of "
                f"{listing(groups['reverses'])}"
            )
        if groups["deficit"]:
            parts.append(
                f"{'is' if sure['deficit'] else 'may be'} a deficit at some level of "
                f"{listing(groups['deficit'])} (open at the anchor)"
            )
        if groups["undecided"]:
            parts.append(f"is undecided over the levels of {count(len(groups['undecided']), 'choice')}")
        said.append(f"Under {scenario}, the lead over {own[0]['rival'].label} {'; '.join(parts)}.")
    return said
