"""The first sentences of a sweep's page; all of them follow from the intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .. import recipes
from ..figures import contrasts, methods, winners
from ..figures.winners import OPEN, Case, Effect
from ..results import Results, Row
from ..words import WITHIN, count, listing, points, share, some, span, untried

NO_CONTRAST = "No contrast is finished yet, so nothing can be said about the open choices."
NO_RIVAL = "No rival is finished on the seeds of the contrasts yet, so no winner can be named."

FIRST = 3  # sentences of a recipe that stand in its summary; all of them follow below
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
    on_test = methods.headline(methods.rivalry(results, compared), confidence) if compared else methods.NOT_YET
    if not contrasted(results):
        of_test = [on_test, *methods.sentences(methods.rivalry(results, compared), confidence)]
        return (recipes.sentences(results, compared) or of_test)[:FIRST]
    found = winners.cases(won)
    promised = (results.meta.get("planned") or {}).get("rival")
    said = [winner(found, symbols, confidence), elsewhere(found, symbols)] if found else [NO_RIVAL if promised and changed else ""]
    said += [headline(changed, list(symbols), len(results.meta.get("scenarios") or [])) if changed else NO_CONTRAST, on_test]
    return [sentence for sentence in said if sentence]


def contrasted(results: Results) -> bool:
    """Whether the sweep has open choices to contrast with an anchor."""
    return bool(results.meta.get("factors")) or any(t["kind"] == "contrast" for t in results.trials)


def symbols_of(results: Results, changed: Sequence[Row]) -> dict[str, str]:
    """Symbol by path of every open choice, tried or not."""
    return {f["path"]: f["symbol"] for f in results.meta.get("factors") or []} | {r["path"]: r["symbol"] for r in changed}


# --- who wins ----------------------------------------------------------------------------------------------------------------------


def winner(found: Sequence[Case], symbols: dict[str, str], confidence: float) -> str:
    """Which choices change the winner under which scenario, which do not, how many are undecided.

    Args:
        found: What `winners.cases` gives.
        symbols: What `symbols_of` gives.
        confidence: Coverage of the intervals.
    """
    changing = [c for c in found if "changes" in c.effects.values()]
    won = changing or [c for c in found if c.anchor["winner"] not in OPEN]
    if not won:
        return no_winner(found, confidence)
    changed, kept = _paths(won, "changes", any), _paths(won, "keeps", all)
    hints = [path for path in _paths(won, "may change", any) if path not in changed]
    tried = {path for case in won for path in case.effects}
    all_kept = set(kept) == set(symbols)
    change = "changes" if all_kept else "is shown to change"
    none = f"No open choice {change} the winner under {listing([c.place for c in won])} (at the anchor it is {_who(won)})"
    clauses = [_changes(case, symbols, "under" if i else "Under") for i, case in enumerate(changing)] or [none]
    if hints:
        clauses.append(f"{some([symbols[p] for p in hints])} may, {HINT}")
    if kept and not all_kept:
        verb = "does" if len(kept) == 1 else "do"
        verb = f"{verb} not{' under any of these' if len(changing) > 1 else ''}" if changing else f"{_be(kept)} shown not to"
        clauses.append(f"{some([symbols[p] for p in kept])} {verb}")
    left = len(tried - {*changed, *hints, *kept})
    clauses += [f"{share(left, len(symbols))} undecided"] if left else []
    clauses += [untried(len(symbols) - len(tried))] if len(symbols) > len(tried) else []
    return "; ".join([*clauses, *([] if changing else _open(found))]) + "."


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def elsewhere(found: Sequence[Case], symbols: dict[str, str]) -> str:
    """What is to be said of the other scenarios where some choice changes the winner in one."""
    if not any("changes" in c.effects.values() for c in found):
        return ""
    rest = [c for c in found if c.anchor["winner"] not in OPEN and "changes" not in c.effects.values()]
    may = {case.place: [symbols[path] for path, what in case.effects.items() if what == "may change"] for case in rest}
    sure = [case for case in rest if not may[case.place]]
    hints = [f"under {place} {listing(names)} may change it" for place, names in may.items() if names]
    clauses = [f"under {listing([c.place for c in sure])} no choice is shown to change it ({_who(sure)})"] if sure else []
    clauses += [f"{', '.join(hints)}, {HINT}"] if hints else []
    text = "; ".join([*clauses, *_open(found)])
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _paths(found: Sequence[Case], wanted: Effect, ask: Callable[[Iterable[bool]], bool]) -> list[str]:
    paths = dict.fromkeys(path for case in found for path in case.effects)
    return [path for path in paths if ask(case.effects.get(path) == wanted for case in found)]


def _changes(case: Case, symbols: dict[str, str], under: str) -> str:
    """`Under A, lam changes the winner (m at the anchor, r at lam 0.5)`."""
    paths = [path for path, what in case.effects.items() if what == "changes"]
    levels: dict[str, list[str]] = {}
    for path in paths:
        for row in case.others[path]:
            levels.setdefault(row["winner"], []).append(f"{symbols[path]} {row['level']}")
    ends = [f"{name} at {some(where)}" for name, where in levels.items()]
    verb = "changes" if len(paths) == 1 else "change"
    who = ", ".join([f"{case.anchor['winner']} at the anchor", *ends])
    return f"{under} {case.place}, {listing([symbols[p] for p in paths])} {verb} the winner ({who})"


def _who(found: Sequence[Case]) -> str:
    """Who wins at these anchors: `m`, or `m under A and B, local under C`."""
    places: dict[str, list[str]] = {}
    for case in found:
        places.setdefault(case.anchor["winner"], []).append(case.place)
    if len(places) == 1:
        return next(iter(places))
    return ", ".join(f"{name} under {listing(where)}" for name, where in places.items())


def _open(found: Sequence[Case]) -> list[str]:
    """Clauses on the scenarios whose anchor has no winner."""
    level, left = ([c for c in found if c.anchor["winner"] == word] for word in OPEN)
    clauses = [f"under {c.place} {c.anchor['method']} is level with {c.anchor['rival']} at the anchor ({WITHIN})" for c in level]
    return clauses + ([f"under {listing([c.place for c in left])} the winner is undecided at the anchor"] if left else [])


def no_winner(found: Sequence[Case], confidence: float) -> str:
    """That no anchor has a winner, and why."""
    left = [c for c in found if c.anchor["winner"] == "undecided"]
    if len(left) < len(found):
        return f"There is no winner that a choice could change: {'; '.join(_open(found))}."
    if all(c.anchor["low"] is None for c in left):
        return "Nothing is decided about the winner: one seed gives no interval."
    method = listing(list(dict.fromkeys(c.anchor["method"] for c in left)))
    where = listing([c.place for c in left])
    return f"Nothing is decided about the winner: no {confidence:.0%} interval separates {method} from its strongest rival under {where}."


def by_scenario(found: Sequence[Case], symbols: dict[str, str]) -> list[str]:
    """One sentence per study: who leads at the anchor and by how much, and what each choice does to that."""
    said = []
    for case in found:
        anchor = case.anchor
        verb = {"helps": "leads", "hurts": "is behind", "level": f"is level ({WITHIN}) with"}.get(anchor["verdict"], "is undecided against")
        difference = f"{points(anchor['mean'])} points, {span(anchor['interval'])}"
        parts = [f"Under {case.place}, {anchor['method']} {verb} {anchor['rival']} at the anchor ({difference})"]
        verbs: dict[Effect, tuple[str, str]] = {"changes": ("changes", "change"), "may change": ("may change", "may change"),
                                                "keeps": ("does not change", "do not change")}  # fmt: skip
        for what, (one, many) in verbs.items():
            names = [symbols[path] for path, effect in case.effects.items() if effect == what]
            parts += [f"{listing(names)} {one if len(names) == 1 else many} the winner"] if names else []
        left = sum(what == "undecided" for what in case.effects.values())
        parts += [f"{count(left, 'choice is', 'choices are')} undecided"] if left and anchor["winner"] not in OPEN else []
        said.append("; ".join(parts) + ".")
    return said


# --- accuracy ----------------------------------------------------------------------------------------------------------------------


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
    ends = [f"{listing([symbols[p] for p in same])} {'does' if len(same) == 1 else 'do'} not matter {anywhere} ({WITHIN})"] if same else []
    ends += [f"{share(left, total)} undecided"] if left else []
    ends += [untried(total - tried)] if total > tried else []
    if firm:
        start = [f"{_places(firm, symbols, scenarios)} {'changes' if len(firm) == 1 else 'change'} validation accuracy"]
        start += [f"{listing([symbols[p] for p in hints])} may too"] if hints else []
        return "; ".join([*start, *ends]) + "."
    why = ": one seed gives no interval" if all(r["low"] is None for r in changed) else ""
    where = f"in any of {len(studies)} scenarios" if len(studies) > 1 else f"under {changed[0]['scenario']}"
    start = [f"No open choice is shown to change validation accuracy {where}{why}"]
    many = "hint at it by an interval" if len(hints) > 1 else "hints at it by an interval"
    tail = f"{_places(hints, symbols, scenarios)} {many}, which does not stand when adjusted for the number of intervals"
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
    names = {places: "everywhere" if len(places) == scenarios > 1 else "under " + listing(places) for places in together}
    return listing([f"{listing(found)} ({names[places]})" for places, found in together.items()])
