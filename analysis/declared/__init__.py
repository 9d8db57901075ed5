"""The figures and sentences that a recipe declares: `FIGURES` of its space, `figures` of its `run.json`.

    {"kind": "against", "x": "scenario.clients", "name": "clients"}     accuracy against a number in which the scenarios differ
    {"kind": "differences", "to": "fedrsclip"}                          each entry minus one of them, paired by seed; with `metrics`, by
                                                                        these instead of acc_personal_own and
                                                                        acc_personal_global
    {"kind": "groups", "to": "fedavg"}                                  head, medium and tail classes of each entry beside one of them
    {"kind": "masks"}                                                   what a gate lets through, and how well that finds the foreground
    {"kind": "traffic"}                                                 all bytes: weights, other tensors, and once at the start; with
                                                                        `reference`, as multiples of one
                                                                        entry's
    {"kind": "cost", "reference": "no OT", "x": ["method.lam"]}         FLOPs and time as multiples of one entry's
    {"kind": "domains"}                                                 clients grouped by the domain of most of their images
    {"kind": "convergence"}                                             the shared parameters alone, round by round

Each may have a `title`. Labels of entries are given without `(tuned)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..figures.outcomes.tested import MEASURED
from ..look.entries import shown_trials
from ..look.page import Exhibit, Part, Table
from ..read.results import Results, Row
from .against import exhibit_against, sentences_against
from .convergence import exhibit_convergence, sentences_convergence
from .cost import exhibit_cost, sentences_cost
from .differences import exhibit_differences, sentences_differences
from .domains import exhibit_domains, sentences_domains
from .groups import exhibit_groups, sentences_groups
from .masks import exhibit_masks, sentences_masks
from .traffic import exhibit_traffic, sentences_traffic

Rows = Sequence[Row]


@dataclass(frozen=True)
class Kind:
    """A kind of figure: what must and may be declared (beside kind and title), what draws it, what says it in words.

    `draw(results, compared, rounds, figure, key)` and `say(results, compared, rounds, figure)`; `measured`
    says whether they look at the rounds.
    """

    needs: tuple[str, ...]
    draw: Callable[[Results, Rows, Rows, Row, str], Sequence[Exhibit | Table]]
    say: Callable[[Results, Rows, Rows, Row], list[str]]
    may: tuple[str, ...] = ()
    measured: bool = False


KINDS = {
    "against": Kind(
        ("x",),
        lambda r, compared, _, f, key: [exhibit_against(r, compared, f, key)],
        lambda r, compared, _, f: sentences_against(r, compared, f),
        may=("name",),
    ),
    "differences": Kind(
        ("to",),
        lambda r, compared, _, f, key: [exhibit_differences(r, compared, f, key)],
        lambda r, compared, _, f: sentences_differences(r, compared, f),
        may=("metrics",),
    ),
    "groups": Kind(
        ("to",),
        lambda r, compared, _, f, key: exhibit_groups(r, compared, f, key),
        lambda r, compared, _, f: sentences_groups(r, compared, f),
    ),
    "masks": Kind(
        (),
        lambda r, _compared, _, f, key: exhibit_masks(r, f, key),
        lambda r, _compared, _, _f: sentences_masks(r),
    ),
    "traffic": Kind(
        (),
        lambda r, _, rounds, f, key: exhibit_traffic(r, rounds, f, key),
        lambda r, _, rounds, f: sentences_traffic(r, rounds, f),
        may=("reference",),
        measured=True,
    ),
    "cost": Kind(
        ("reference", "x"),
        lambda r, _, rounds, f, key: exhibit_cost(r, rounds, f, key),
        lambda r, _, rounds, f: sentences_cost(r, rounds, f),
        measured=True,
    ),
    "domains": Kind(
        (),
        lambda r, compared, _, f, key: exhibit_domains(r, compared, f, key),
        lambda r, compared, _, f: sentences_domains(r, compared),
    ),
    "convergence": Kind(
        (),
        lambda r, _, rounds, f, key: exhibit_convergence(r, rounds, f, key),
        lambda r, _, rounds, f: sentences_convergence(r, rounds),
        measured=True,
    ),
}


def declared(results: Results) -> list[tuple[Kind, Row, str]]:
    """The figures of a sweep (see `parse`)."""
    return parse(
        results.meta.get("figures") or [],
        results.meta.get("grid") or [],
        f"{results.folder / 'run.json'}: figures",
    )


def parse(figures: Sequence[Any], grid: Sequence[str], name_of_all: str) -> list[tuple[Kind, Row, str]]:
    """The declared figures with their kinds and keys, in order.

    Args:
        figures: As declared.
        grid: Labels of the recipe's entries; what a figure refers to must be one of them, where there are
            any.
        name_of_all: Where they are declared, for messages.

    Raises:
        ValueError: One is of an unknown kind, lacks what its kind needs, has what it does not know, or refers
            to what is not there.
    """
    found: list[tuple[Kind, Row, str]] = []
    for i, figure in enumerate(figures):
        where = f"{name_of_all}[{i}]"
        if not isinstance(figure, dict):
            raise ValueError(f"{where} is {figure!r}; it should be an object with a kind")
        name = figure.get("kind")
        if name not in KINDS:
            raise ValueError(
                f"{where}: the kind {name!r} is unknown; known kinds are {', '.join(sorted(KINDS))}"
            )
        kind = KINDS[name]
        lacking = [key for key in kind.needs if not figure.get(key)]
        unknown = [key for key in figure if key not in ("kind", "title", *kind.needs, *kind.may)]
        if lacking or unknown:
            what = f"lacks {', '.join(lacking)}" if lacking else f"has the unknown key {', '.join(unknown)}"
            raise ValueError(
                f"{where}: a figure of kind {name!r} {what}; it takes "
                f"{', '.join((*kind.needs, *kind.may, 'title'))}"
            )
        _check_values(figure, grid, where)
        again = sum(key.split("-")[0] == name for _, _, key in found)
        found.append((kind, figure, f"{name}-{again + 1}" if again else name))
    return found


def _check_values(figure: Row, grid: Sequence[str], where: str) -> None:
    for key, value in figure.items():
        many = key == "metrics" or (key == "x" and figure["kind"] == "cost")
        fits = (
            isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)
            if many
            else isinstance(value, str)
        )
        if not fits:
            kind = {"x": "a list of paths", "metrics": "a list of metrics"}[key] if many else "text"
            raise ValueError(f"{where}: {key} = {value!r} should be {kind}")
        if key in ("to", "reference") and grid and value not in grid:
            raise ValueError(f"{where}: {key} = {value!r} is no entry of GRID; these are {', '.join(grid)}")
        unknown = [name for name in value if name not in MEASURED] if key == "metrics" else []
        if unknown:
            raise ValueError(
                f"{where}: metrics: {', '.join(unknown)} unknown; known metrics are {', '.join(MEASURED)}"
            )


def kinds_of(results: Results) -> set[str]:
    """The kinds of figures that a sweep declares."""
    return {figure["kind"] for _, figure, _ in declared(results)}


def exhibits(results: Results, compared: Sequence[Row], rounds: Sequence[Row]) -> list[Part]:
    """The declared figures, each followed by its table where it has one, in order; none for a sweep that declares none.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        rounds: Rows of the rounds table of the confirmed trials' runs.

    Raises:
        ValueError: See `declared`.
    """
    return [
        part
        for kind, figure, key in declared(results)
        for part in kind.draw(results, compared, rounds, figure, key)
    ]


def sentences(results: Results, compared: Sequence[Row]) -> list[str]:
    """What these figures say, in the same order; the first is the recipe's headline.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.

    Raises:
        ValueError: See `declared`.
    """
    found = declared(results)
    runs = [run for trial in shown_trials(results) for run in trial.get("runs") or []]
    rounds = results.rounds(runs) if any(kind.measured for kind, _, _ in found) else []
    return [sentence for kind, figure, _ in found for sentence in kind.say(results, compared, rounds, figure)]
