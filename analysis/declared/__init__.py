"""The figures and sentences that a recipe declares: `FIGURES` of its space, `figures` of its `run.json`.

One object per figure. Its kind says what it shows:

    {"kind": "against", "x": "scenario.clients", "name": "clients"}
        accuracy against a number that differs between scenarios
    {"kind": "differences", "to": "fedrsclip"}
        each entry minus one of them, paired by seed; `metrics` replaces acc_personal_own and
        acc_personal_global
    {"kind": "groups", "to": "fedavg"}
        head, medium and tail classes of each entry beside one of them
    {"kind": "masks"}
        the masks of a gate, and their overlap with the foreground
    {"kind": "traffic"}
        all bytes: weights, other tensors, and once at the start; `reference` adds multiples of one entry's
        bytes
    {"kind": "cost", "reference": "no OT", "x": ["method.lam"]}
        FLOPs and time as multiples of one entry's
    {"kind": "domains"}
        clients grouped by the domain of most of their images
    {"kind": "convergence"}
        the shared parameters alone, round by round

Each may have a `title`. Labels of entries are given without `(tuned)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..figures.outcomes.accuracies import TESTED_METRICS
from ..look.page import Exhibit, Part, Table
from ..read.results import Results, Row
from .against import exhibit_against, sentences_against
from .convergence import exhibit_convergence, sentences_convergence
from .cost import exhibit_cost, sentences_cost
from .differences import exhibit_differences, exhibit_groups, sentences_differences, sentences_groups
from .domains import exhibit_domains, sentences_domains
from .masks import exhibit_masks, sentences_masks
from .traffic import exhibit_traffic, sentences_traffic


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Attributes:
        needs: Keys that must be declared, beside kind and title.
        draw: `draw(results, figure, key)` returns its exhibits and tables.
        say: `say(results, figure)` returns its sentences.
        may: Keys that may be declared.
    """

    needs: tuple[str, ...]
    draw: Callable[[Results, Row, str], Sequence[Exhibit | Table]]
    say: Callable[[Results, Row], list[str]]
    may: tuple[str, ...] = ()


FIGURE_KINDS = {
    "against": FigureKind(("x",), exhibit_against, sentences_against, may=("name",)),
    "differences": FigureKind(("to",), exhibit_differences, sentences_differences, may=("metrics",)),
    "groups": FigureKind(("to",), exhibit_groups, sentences_groups),
    "masks": FigureKind((), exhibit_masks, sentences_masks),
    "traffic": FigureKind((), exhibit_traffic, sentences_traffic, may=("reference",)),
    "cost": FigureKind(("reference", "x"), exhibit_cost, sentences_cost),
    "domains": FigureKind((), exhibit_domains, sentences_domains),
    "convergence": FigureKind((), exhibit_convergence, sentences_convergence),
}


def declared(results: Results) -> list[tuple[FigureKind, Row, str]]:
    """Return the figures of a sweep (see `parse`)."""
    meta = results.meta
    return parse(meta.get("figures") or [], meta.get("grid") or [], f"{results.folder / 'run.json'}: figures")


def parse(figures: Sequence[Any], grid: Sequence[str], source: str) -> list[tuple[FigureKind, Row, str]]:
    """Return the declared figures with their kinds and keys, in order.

    Args:
        figures: As declared.
        grid: Labels of the recipe's entries; a figure may refer to these only, where there are any.
        source: Name of the place where they are declared, for messages.

    Raises:
        ValueError: A figure is of an unknown kind, lacks a key that its kind needs, has an unknown key, or
            refers to an unknown entry or metric.
    """
    parsed: list[tuple[FigureKind, Row, str]] = []
    for i, figure in enumerate(figures):
        place = f"{source}[{i}]"
        kind = _kind_of(figure, place)
        _check_values(figure, grid, place)
        name = figure["kind"]
        earlier = sum(key.split("-")[0] == name for _, _, key in parsed)
        parsed.append((kind, figure, f"{name}-{earlier + 1}" if earlier else name))
    return parsed


def _kind_of(figure: Any, place: str) -> FigureKind:
    """Return the kind of a figure that has the keys that the kind needs, and no unknown one."""
    if not isinstance(figure, dict):
        raise ValueError(f"{place} is {figure!r}; it should be an object with a kind")
    name = figure.get("kind")
    if name not in FIGURE_KINDS:
        names = ", ".join(sorted(FIGURE_KINDS))
        raise ValueError(f"{place}: the kind {name!r} is unknown; known kinds are {names}")
    kind = FIGURE_KINDS[name]
    allowed = (*kind.needs, *kind.may, "title")
    lacking = [key for key in kind.needs if not figure.get(key)]
    unknown = [key for key in figure if key not in ("kind", *allowed)]
    if lacking or unknown:
        fault = f"lacks {', '.join(lacking)}" if lacking else f"has the unknown key {', '.join(unknown)}"
        raise ValueError(f"{place}: a figure of kind {name!r} {fault}; it takes {', '.join(allowed)}")
    return kind


def _check_values(figure: Row, grid: Sequence[str], place: str) -> None:
    """Raise ValueError where a value has the wrong type or refers to an unknown entry or metric."""
    for key, value in figure.items():
        is_list = key == "metrics" or (key == "x" and figure["kind"] == "cost")
        fits = (
            isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)
            if is_list
            else isinstance(value, str)
        )
        if not fits:
            kind = {"x": "a list of paths", "metrics": "a list of metrics"}[key] if is_list else "text"
            raise ValueError(f"{place}: {key} = {value!r} should be {kind}")
        if key in ("to", "reference") and grid and value not in grid:
            raise ValueError(f"{place}: {key} = {value!r} is no entry of GRID; these are {', '.join(grid)}")
        unknown = [name for name in value if name not in TESTED_METRICS] if key == "metrics" else []
        if unknown:
            names = ", ".join(TESTED_METRICS)
            raise ValueError(f"{place}: metrics: {', '.join(unknown)} unknown; known metrics are {names}")


def kinds_of(results: Results) -> set[str]:
    """Return the kinds of figures that a sweep declares."""
    return {figure["kind"] for _, figure, _ in declared(results)}


def exhibits(results: Results) -> list[Part]:
    """Return the declared figures in order, each followed by its table where it has one.

    Raises:
        ValueError: See `parse`.
    """
    return [part for kind, figure, key in declared(results) for part in kind.draw(results, figure, key)]


def sentences(results: Results) -> list[str]:
    """Return the sentences of the declared figures in order; the first is the recipe's headline.

    Raises:
        ValueError: See `parse`.
    """
    return [text for kind, figure, _ in declared(results) for text in kind.say(results, figure)]
