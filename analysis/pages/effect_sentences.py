"""The sentence on the effects of the open choices on the validation metric."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures.choices import contrasts
from ..look.words import WITHIN, listing, share_of_choices, untried_clause
from ..read.metric import Metric
from ..read.results import Row


def effects_sentence(
    changed: Sequence[Row], open_choices: Sequence[str], scenarios: int, metric: Metric
) -> str:
    """Say, over all studies, which choices change the validation metric beyond chance.

    It also says which choices may change it, which do not matter, and how many are undecided.

    Args:
        changed: Rows of `contrasts.table_contrasts`.
        open_choices: Paths of all open choices, tried or not.
        scenarios: Number of scenarios of the sweep.
        metric: The metric of the results.
    """
    studies, symbols = contrasts.study_names(changed), {r["path"]: r["symbol"] for r in changed}
    firm = _where([r for r in changed if r["firm"]])
    hints = {path: places for path, places in _where(changed).items() if path not in firm}
    per_study = [
        contrasts.paths_without_effect([r for r in changed if r["study"] == study]) for study in studies
    ]
    same = [path for path in symbols if all(path in unaffected for unaffected in per_study)]
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
    ends += [f"{share_of_choices(left, total)} undecided"] if left else []
    ends += [untried_clause(total - tried)] if total > tried else []
    if firm:
        start = [
            f"{_places(firm, symbols, scenarios)} {'changes' if len(firm) == 1 else 'change'} validation "
            f"{metric}"
        ]
        start += [f"{listing([symbols[p] for p in hints])} may too"] if hints else []
        return "; ".join([*start, *ends]) + "."
    why = ": one seed gives no interval" if all(r["low"] is None for r in changed) else ""
    where = f"in any of {len(studies)} scenarios" if len(studies) > 1 else f"under {changed[0]['scenario']}"
    start = [f"No open choice is shown to change validation {metric} {where}{why}"]
    many = "hint at it by an interval" if len(hints) > 1 else "hints at it by an interval"
    tail = (
        f"{_places(hints, symbols, scenarios)} {many}, which does not stand when adjusted for the "
        "number of intervals"
    )
    return "; ".join([*start, *([tail] if hints else []), *ends]) + "."


def _where(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return choice -> the scenarios in which one of these rows excludes zero."""
    where: dict[str, list[str]] = {}
    for row in (r for r in rows if r["interval"].excludes_zero):
        if row["scenario"] not in where.setdefault(row["path"], []):
            where[row["path"]].append(row["scenario"])
    return where


def _places(where: dict[str, list[str]], symbols: dict[str, str], scenarios: int) -> str:
    """Write `h and lam (everywhere), s (under A)`, the choices with most scenarios first."""
    together: dict[tuple[str, ...], list[str]] = {}
    for path in sorted(where, key=lambda path: -len(where[path])):
        together.setdefault(tuple(where[path]), []).append(symbols[path])
    names = {
        places: "everywhere" if len(places) == scenarios > 1 else "under " + listing(places)
        for places in together
    }
    return listing([f"{listing(choices)} ({names[places]})" for places, choices in together.items()])
