"""The first sentences of a sweep's page; all of them follow from the intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .. import declared as recipes
from ..figures.choices import contrasts, winners
from ..figures.choices.winners import METHOD, OPEN, Case, Effect
from ..figures.outcomes import methods
from ..figures.outcomes.methods import METRICS
from ..look.words import WITHIN, count, listing, points, share, some, span, untried
from ..read.results import Results, Row

NO_CONTRAST = "No contrast is finished yet, so nothing can be said about the open choices."
NO_RIVAL = "No rival is finished on the seeds of the contrasts yet, so no winner can be named."

FIRST = 3  # sentences of a recipe that stand in its summary; all of them follow below
BASIS = "validation accuracy on the clients' own distributions"
HINT = "by an interval that does not stand when adjusted for the number of intervals"


def lead(results: Results, compared: Sequence[Row], changed: Sequence[Row], won: Sequence[Row]) -> list[str]:
    """The summary: the winner, the accuracy, the test split; of a recipe, what its figures say.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        changed: Rows of `contrasts.table_contrasts`.
        won: Rows of `winners.table_winners`.
    """
    confidence, symbols = results.confidence, symbols_of(results, changed)
    on_test = (
        methods.headline(methods.rivalry(results, compared), confidence) if compared else methods.NOT_YET
    )
    if not contrasted(results):
        of_test = [on_test, *methods.sentences(methods.rivalry(results, compared), confidence)]
        return (recipes.sentences(results, compared) or of_test)[:FIRST]
    found = winners.cases(won)
    promised = (results.meta.get("planned") or {}).get("rival")
    said = [NO_RIVAL if promised and changed and not found else ""]
    if found:
        own = {path: symbol for path, symbol in symbols.items() if path.startswith(METHOD)}
        world = winners.cases(winners.table_winners(results, list(METRICS)[1]))
        said = [winner(found, own), elsewhere(found, own), on_global(found, world)]
    said += [
        headline(changed, list(symbols), len(results.meta.get("scenarios") or []))
        if changed
        else NO_CONTRAST,
        on_test,
    ]
    return [sentence for sentence in said if sentence]


def contrasted(results: Results) -> bool:
    """Whether the sweep contrasts open choices with an anchor, or is going to."""
    planned = (results.meta.get("planned") or {}).get("contrast") != 0
    return bool(results.meta.get("factors") and planned) or any(
        t["kind"] == "contrast" for t in results.trials
    )


def symbols_of(results: Results, changed: Sequence[Row]) -> dict[str, str]:
    """Symbol by path of every open choice, tried or not."""
    return {f["path"]: f["symbol"] for f in results.meta.get("factors") or []} | {
        r["path"]: r["symbol"] for r in changed
    }


# --- who wins
# ----------------------------------------------------------------------------------------------------------------------


def winner(found: Sequence[Case], symbols: dict[str, str]) -> str:
    """Which of the method's choices change the winner under which scenario, which do not, how many are undecided.

    Args:
        found: What `winners.cases` gives.
        symbols: Symbol by path of the method's open choices, tried or not.
    """
    changing = [c for c in found if "changes" in c.effects.values()]
    won = changing or [c for c in found if c.anchor["winner"] not in OPEN]
    if not won:
        return no_winner(found)
    changed, kept = _paths(won, {"changes"}, any), _paths(won, {"keeps"}, all)
    hints = [path for path in _paths(won, {"may change"}, any) if path not in changed]
    perhaps = [path for path in _paths(won, {"keeps", "may keep"}, all) if path not in kept]
    tried = {path for case in won for path in case.effects}
    all_kept = set(kept) == set(symbols)
    change = "changes" if all_kept else "is shown to change"
    none = (
        f"no choice of the method {change} the winner under {listing([c.place for c in won])} (at the "
        f"anchor it {_who(won)})"
    )
    clauses = [
        _changes(case, symbols, " the winner" if i == 0 else " it") for i, case in enumerate(changing)
    ] or [none]
    clauses += [f"{some([symbols[p] for p in hints])} may, {HINT}"] if hints else []
    if kept and not all_kept:
        verb = "does" if len(kept) == 1 else "do"
        verb = (
            f"{verb} not{' under any of these' if len(changing) > 1 else ''}"
            if changing
            else f"{_be(kept)} shown not to"
        )
        clauses.append(f"{some([symbols[p] for p in kept])} {verb}")
    clauses += [f"{some([symbols[p] for p in perhaps])} may leave it as it is"] if perhaps else []
    left = len(tried - {*changed, *hints, *kept, *perhaps})
    clauses += (
        [f"{left} of {count(len(symbols), 'choice')} {'is' if left == 1 else 'are'} undecided"]
        if left
        else []
    )
    clauses += [untried(len(symbols) - len(tried))] if len(symbols) > len(tried) else []
    return f"By {BASIS}, {'; '.join([*clauses, *([] if changing else _open(found))])}."


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def elsewhere(found: Sequence[Case], symbols: dict[str, str]) -> str:
    """What is to be said of the other scenarios where some choice changes the winner in one."""
    if not any("changes" in c.effects.values() for c in found):
        return ""
    rest = [c for c in found if c.anchor["winner"] not in OPEN and "changes" not in c.effects.values()]
    may = {
        case.place: [symbols[path] for path, what in case.effects.items() if what == "may change"]
        for case in rest
    }
    sure = [case for case in rest if not may[case.place]]
    hints = [f"under {place} {listing(names)} may change it" for place, names in may.items() if names]
    clauses = (
        [f"under {listing([c.place for c in sure])} no choice is shown to change it (it {_who(sure)})"]
        if sure
        else []
    )
    clauses += [f"{', '.join(hints)}, {HINT}"] if hints else []
    text = "; ".join([*clauses, *_open(found)])
    return f"{text[0].upper()}{text[1:]}." if text else ""


def on_global(found: Sequence[Case], world: Sequence[Case]) -> str:
    """Who wins at the anchors on the global split, where that is another than on the clients' own distributions.

    Args:
        found: What `winners.cases` gives on the clients' own distributions.
        world: The same on the global split.
    """
    own = {case.place: case.anchor["winner"] for case in found}
    other = [c for c in world if c.anchor["winner"] not in (*OPEN, own.get(c.place))]
    return f"On the global split the winner at the anchor {_who(other, len(own) > 1)}." if other else ""


def _paths(found: Sequence[Case], wanted: set[Effect], ask: Callable[[Iterable[bool]], bool]) -> list[str]:
    paths = dict.fromkeys(path for case in found for path in case.effects)
    return [path for path in paths if ask(case.effects.get(path) in wanted for case in found)]


def _changes(case: Case, symbols: dict[str, str], what: str) -> str:
    """`lam changes the winner under A (m at the anchor, r at lam 0.5)`."""
    paths = [path for path, effect in case.effects.items() if effect == "changes"]
    levels: dict[str, list[str]] = {}
    for path in paths:
        for row in case.others[path]:
            levels.setdefault(row["winner"], []).append(f"{symbols[path]} {row['level']}")
    ends = [f"{name} at {some(where)}" for name, where in levels.items()]
    verb = "changes" if len(paths) == 1 else "change"
    who = ", ".join([f"{case.anchor['winner']} at the anchor", *ends])
    return f"{listing([symbols[p] for p in paths])} {verb}{what} under {case.place} ({who})"


def _who(found: Sequence[Case], places: bool = False) -> str:
    """Who wins at these anchors: `is m`, or `is m under A and may be local under B`; one that does not stand adjusted only may."""
    names: dict[str, dict[str, list[str]]] = {}
    for case in found:
        verb = "is" if case.anchor["firm"] else "may be"
        names.setdefault(verb, {}).setdefault(case.anchor["winner"], []).append(case.place)
    if not places and sum(map(len, names.values())) == 1:
        return next(f"{verb} {name}" for verb, own in names.items() for name in own)
    told = {
        verb: ", ".join(f"{name} under {listing(where)}" for name, where in own.items())
        for verb, own in names.items()
    }
    return " and ".join(f"{verb} {who}" for verb, who in told.items())


def _open(found: Sequence[Case]) -> list[str]:
    """Clauses on the scenarios whose anchor has no winner."""
    level, left = ([c for c in found if c.anchor["winner"] == word] for word in OPEN)
    clauses = [
        f"under {c.place} {c.anchor['method']} is level with {c.anchor['rival']} at the anchor ({WITHIN})"
        for c in level
    ]
    return clauses + (
        [f"under {listing([c.place for c in left])} the winner is undecided at the anchor"] if left else []
    )


def no_winner(found: Sequence[Case]) -> str:
    """That no anchor has a winner, and why."""
    left = [c for c in found if c.anchor["winner"] == "undecided"]
    if len(left) < len(found):
        return f"By {BASIS}, there is no winner that a choice could change: {'; '.join(_open(found))}."
    if all(c.anchor["low"] is None for c in left):
        return f"By {BASIS}, nothing is decided about the winner: one seed gives no interval."
    method, where = (
        listing(list(dict.fromkeys(c.anchor["method"] for c in left))),
        listing([c.place for c in left]),
    )
    many = max(c.anchor["rivals"] for c in left)
    neither = (
        f"neither shown to be ahead of {'its rival' if many == 1 else 'all of its rivals'} nor "
        f"behind {'it' if many == 1 else 'one'}"
    )
    return f"By {BASIS}, nothing is decided about the winner: under {where} {method} is {neither}."


def by_scenario(found: Sequence[Case], symbols: dict[str, str]) -> list[str]:
    """One sentence per study: who leads at the anchor and by how much, and what each choice does to that."""
    said = []
    for case in found:
        anchor = case.anchor
        parts = [f"Under {case.place}, {anchor['method']} {_stands(anchor)}"]
        verbs: dict[Effect, tuple[str, str]] = {
            "changes": ("changes", "change"),
            "may change": ("may change", "may change"),
            "keeps": ("does not change", "do not change"),
            "may keep": ("may not matter to", "may not matter to"),
        }
        for what, (one, many) in verbs.items():
            names = [symbols[path] for path, effect in case.effects.items() if effect == what]
            parts += [f"{listing(names)} {one if len(names) == 1 else many} the winner"] if names else []
        left = sum(what == "undecided" for what in case.effects.values())
        parts += (
            [f"{count(left, 'choice is', 'choices are')} undecided"]
            if left and anchor["winner"] not in OPEN
            else []
        )
        said.append("; ".join(parts) + ".")
    return said


def _stands(anchor: Row) -> str:
    """`leads local at the anchor (+2.0 points, +1.0 to +3.0)`; what the adjustments leave open is said."""
    verbs = {
        "helps": "leads" if anchor["firm"] else "may lead",
        "hurts": "is behind" if anchor["firm"] else "may be behind",
        "level": f"is level ({WITHIN}) with",
        "undecided": "is undecided against",
    }
    text = (
        f"{verbs[anchor['verdict']]} {anchor['rival']} at the anchor ({points(anchor['mean'])} points, "
        f"{span(anchor['interval'])}"
    )
    if anchor["verdict"] == "undecided" and anchor["interval"].excludes_zero:
        text += (
            "; not ahead of every rival"
            if anchor["mean"] > 0
            else f"; it does not stand when adjusted for {anchor['rivals']} rivals"
        )
    return f"{text})"


# --- accuracy
# ----------------------------------------------------------------------------------------------------------------------


def headline(changed: Sequence[Row], open_choices: Sequence[str], scenarios: int) -> str:
    """Over all studies: which choices change validation accuracy beyond chance, which may, which do not matter, how many are undecided."""
    studies, symbols = contrasts.studies(changed), {r["path"]: r["symbol"] for r in changed}
    firm = _where([r for r in changed if r["firm"]])
    hints = {path: places for path, places in _where(changed).items() if path not in firm}
    per_study = [contrasts.without_effect([r for r in changed if r["study"] == study]) for study in studies]
    same = [path for path in symbols if all(path in found for found in per_study)]
    tried, total = len(symbols), len({*open_choices, *symbols})
    left = tried - len(firm) - len(hints) - len(same)
    names = list(dict.fromkeys(r["scenario"] for r in changed))
    anywhere = "anywhere" if len(names) == scenarios > 1 else f"under {listing(names)}"
    ends = (
        [
            f"{listing([symbols[p] for p in same])} {'does' if len(same) == 1 else 'do'} not matter "
            f"{anywhere} ({WITHIN})"
        ]
        if same
        else []
    )
    ends += [f"{share(left, total)} undecided"] if left else []
    ends += [untried(total - tried)] if total > tried else []
    if firm:
        start = [
            f"{_places(firm, symbols, scenarios)} {'changes' if len(firm) == 1 else 'change'} validation "
            "accuracy"
        ]
        start += [f"{listing([symbols[p] for p in hints])} may too"] if hints else []
        return "; ".join([*start, *ends]) + "."
    why = ": one seed gives no interval" if all(r["low"] is None for r in changed) else ""
    where = f"in any of {len(studies)} scenarios" if len(studies) > 1 else f"under {changed[0]['scenario']}"
    start = [f"No open choice is shown to change validation accuracy {where}{why}"]
    many = "hint at it by an interval" if len(hints) > 1 else "hints at it by an interval"
    tail = (
        f"{_places(hints, symbols, scenarios)} {many}, which does not stand when adjusted for the "
        "number of intervals"
    )
    return "; ".join([*start, *([tail] if hints else []), *ends]) + "."


def _where(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Choice -> the scenarios in which one of these rows decides it."""
    where: dict[str, list[str]] = {}
    for row in (r for r in rows if r["interval"].excludes_zero):
        if row["scenario"] not in where.setdefault(row["path"], []):
            where[row["path"]].append(row["scenario"])
    return where


def _places(where: dict[str, list[str]], symbols: dict[str, str], scenarios: int) -> str:
    """`h and lam (everywhere), s (under A)`: choices with the same scenarios stand together, those with most first."""
    together: dict[tuple[str, ...], list[str]] = {}
    for path in sorted(where, key=lambda path: -len(where[path])):
        together.setdefault(tuple(where[path]), []).append(symbols[path])
    names = {
        places: "everywhere" if len(places) == scenarios > 1 else "under " + listing(places)
        for places in together
    }
    return listing([f"{listing(found)} ({names[places]})" for places, found in together.items()])
