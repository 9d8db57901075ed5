"""Sentences on the winner: which method leads at the anchors, and which choices change that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..figures.choices.winners import OPEN, Case, Effect
from ..look.words import WITHIN, count, listing, points, short_listing, span, untried_clause
from ..read.metric import Metric
from ..read.results import Row

HINT = "by an interval that does not stand when adjusted for the number of intervals"


def winner_sentence(cases: Sequence[Case], symbols: dict[str, str], metric: Metric) -> str:
    """Say which choices of the method change the winner, and under which scenarios.

    It also says which choices do not change it, and how many are undecided.

    Args:
        cases: The result of `winners.cases`.
        symbols: Symbol by path of the method's open choices, tried or not.
        metric: The metric of the results.
    """
    changing = [c for c in cases if "changes" in c.effects.values()]
    won = changing or [c for c in cases if c.anchor["winner"] not in OPEN]
    if not won:
        return _no_winner(cases, metric)
    changed, kept = _paths(won, {"changes"}, any), _paths(won, {"keeps"}, all)
    hints = [path for path in _paths(won, {"may change"}, any) if path not in changed]
    may_keep = [path for path in _paths(won, {"keeps", "may keep"}, all) if path not in kept]
    tried = {path for case in won for path in case.effects}
    all_kept = set(kept) == set(symbols)
    change = "changes" if all_kept else "is shown to change"
    none = (
        f"no choice of the method {change} the winner under {listing([c.place for c in won])} (at the "
        f"anchor it {_winners(won)})"
    )
    clauses = [
        _changes(case, symbols, " the winner" if i == 0 else " it") for i, case in enumerate(changing)
    ] or [none]
    clauses += [f"{short_listing([symbols[p] for p in hints])} may, {HINT}"] if hints else []
    if kept and not all_kept:
        verb = "does" if len(kept) == 1 else "do"
        verb = (
            f"{verb} not{' under any of these' if len(changing) > 1 else ''}"
            if changing
            else f"{_be(kept)} shown not to"
        )
        clauses.append(f"{short_listing([symbols[p] for p in kept])} {verb}")
    clauses += [f"{short_listing([symbols[p] for p in may_keep])} may leave it as it is"] if may_keep else []
    left = len(tried - {*changed, *hints, *kept, *may_keep})
    clauses += (
        [f"{left} of {count(len(symbols), 'choice')} {'is' if left == 1 else 'are'} undecided"]
        if left
        else []
    )
    clauses += [untried_clause(len(symbols) - len(tried))] if len(symbols) > len(tried) else []
    return f"{_basis(metric)}, {'; '.join([*clauses, *([] if changing else _open(cases))])}."


def _basis(metric: Metric) -> str:
    return f"By validation {metric} on the clients' own distributions"


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def elsewhere_sentence(cases: Sequence[Case], symbols: dict[str, str]) -> str:
    """Describe the other scenarios, where some choice changes the winner in one scenario."""
    if not any("changes" in c.effects.values() for c in cases):
        return ""
    rest = [c for c in cases if c.anchor["winner"] not in OPEN and "changes" not in c.effects.values()]
    may = {
        case.place: [symbols[path] for path, what in case.effects.items() if what == "may change"]
        for case in rest
    }
    unchanged = [case for case in rest if not may[case.place]]
    hints = [f"under {place} {listing(names)} may change it" for place, names in may.items() if names]
    clauses = []
    if unchanged:
        where = listing([case.place for case in unchanged])
        clauses.append(f"under {where} no choice is shown to change it (it {_winners(unchanged)})")
    clauses += [f"{', '.join(hints)}, {HINT}"] if hints else []
    text = "; ".join([*clauses, *_open(cases)])
    return f"{text[0].upper()}{text[1:]}." if text else ""


def global_sentence(on_own: Sequence[Case], on_global: Sequence[Case]) -> str:
    """Name the winners at the anchors on the global split, where they differ from those on own distributions.

    Args:
        on_own: The result of `winners.cases` on the clients' own distributions.
        on_global: The same on the global split.
    """
    winner_on_own = {case.place: case.anchor["winner"] for case in on_own}
    other = [c for c in on_global if c.anchor["winner"] not in (*OPEN, winner_on_own.get(c.place))]
    if not other:
        return ""
    return f"On the global split the winner at the anchor {_winners(other, len(winner_on_own) > 1)}."


def _paths(
    cases: Sequence[Case], wanted: set[Effect], quantifier: Callable[[Iterable[bool]], bool]
) -> list[str]:
    """Choices whose effect is a wanted one in any, or in all, of the cases."""
    paths = dict.fromkeys(path for case in cases for path in case.effects)
    return [path for path in paths if quantifier(case.effects.get(path) in wanted for case in cases)]


def _changes(case: Case, symbols: dict[str, str], what: str) -> str:
    """Write `lam changes the winner under A (m at the anchor, r at lam 0.5)`."""
    paths = [path for path, effect in case.effects.items() if effect == "changes"]
    levels: dict[str, list[str]] = {}
    for path in paths:
        for row in case.others[path]:
            levels.setdefault(row["winner"], []).append(f"{symbols[path]} {row['level']}")
    ends = [f"{name} at {short_listing(where)}" for name, where in levels.items()]
    verb = "changes" if len(paths) == 1 else "change"
    names = ", ".join([f"{case.anchor['winner']} at the anchor", *ends])
    return f"{listing([symbols[p] for p in paths])} {verb}{what} under {case.place} ({names})"


def _winners(cases: Sequence[Case], places: bool = False) -> str:
    """Write the winners at these anchors: `is m`, or `is m under A and may be local under B`.

    A winner "may be" one where its lead is not significant after the adjustment for the number of intervals.
    """
    names: dict[str, dict[str, list[str]]] = {}
    for case in cases:
        verb = "is" if case.anchor["firm"] else "may be"
        names.setdefault(verb, {}).setdefault(case.anchor["winner"], []).append(case.place)
    if not places and sum(map(len, names.values())) == 1:
        return next(f"{verb} {name}" for verb, of_verb in names.items() for name in of_verb)
    return " and ".join(
        f"{verb} " + ", ".join(f"{name} under {listing(where)}" for name, where in of_verb.items())
        for verb, of_verb in names.items()
    )


def _open(cases: Sequence[Case]) -> list[str]:
    """Write clauses on the scenarios whose anchor has no winner."""
    level, left = ([c for c in cases if c.anchor["winner"] == word] for word in OPEN)
    clauses = [
        f"under {c.place} {c.anchor['method']} is level with {c.anchor['rival']} at the anchor ({WITHIN})"
        for c in level
    ]
    return clauses + (
        [f"under {listing([c.place for c in left])} the winner is undecided at the anchor"] if left else []
    )


def _no_winner(cases: Sequence[Case], metric: Metric) -> str:
    """Say that no anchor has a winner, and why."""
    left = [c for c in cases if c.anchor["winner"] == "undecided"]
    if len(left) < len(cases):
        return f"{_basis(metric)}, there is no winner that a choice could change: {'; '.join(_open(cases))}."
    if all(c.anchor["low"] is None for c in left):
        return f"{_basis(metric)}, nothing is decided about the winner: one seed gives no interval."
    method, where = (
        listing(list(dict.fromkeys(c.anchor["method"] for c in left))),
        listing([c.place for c in left]),
    )
    many = max(c.anchor["rivals"] for c in left)
    neither = (
        f"neither shown to be ahead of {'its rival' if many == 1 else 'all of its rivals'} nor "
        f"behind {'it' if many == 1 else 'one'}"
    )
    return f"{_basis(metric)}, nothing is decided about the winner: under {where} {method} is {neither}."


def scenario_sentences(cases: Sequence[Case], symbols: dict[str, str]) -> list[str]:
    """Write one sentence per study: the lead at the anchor, and the effect of each choice on the winner."""
    sentences = []
    for case in cases:
        anchor = case.anchor
        parts = [f"Under {case.place}, {anchor['method']} {_lead(anchor)}"]
        verbs: dict[Effect, tuple[str, str]] = {
            "changes": ("changes", "change"),
            "may change": ("may change", "may change"),
            "keeps": ("does not change", "do not change"),
            "may keep": ("may not matter to", "may not matter to"),
        }
        for kind, (singular, plural) in verbs.items():
            names = [symbols[path] for path, effect in case.effects.items() if effect == kind]
            verb = singular if len(names) == 1 else plural
            parts += [f"{listing(names)} {verb} the winner"] if names else []
        left = sum(effect == "undecided" for effect in case.effects.values())
        parts += (
            [f"{count(left, 'choice is', 'choices are')} undecided"]
            if left and anchor["winner"] not in OPEN
            else []
        )
        sentences.append("; ".join(parts) + ".")
    return sentences


def _lead(anchor: Row) -> str:
    """Write `leads local at the anchor (+2.0 points, +1.0 to +3.0)`, with what the adjustment leaves open."""
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
