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
from dataclasses import dataclass, replace
from typing import Any

from ..figures.differences import with_basis
from ..figures.outcomes.accuracies import TESTED_METRICS
from ..look.page import Exhibit, Part
from ..read.results import Results, Row
from .against import show_against
from .answers import Answer
from .convergence import show_convergence
from .cost import show_cost
from .differences import show_differences, show_groups
from .domains import show_domains
from .masks import show_masks
from .traffic import show_traffic


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Attributes:
        needs: Keys that must be declared, beside kind and title.
        show: `show(results, figure, key)` returns what a figure shows; `figure` is as declared, and `key` is
            the key of its first exhibit.
        may: Keys that may be declared.
    """

    needs: tuple[str, ...]
    show: Callable[[Results, Row, str], Answer]
    may: tuple[str, ...] = ()


FIGURE_KINDS = {
    "against": FigureKind(("x",), show_against, may=("name",)),
    "differences": FigureKind(("to",), show_differences, may=("metrics",)),
    "groups": FigureKind(("to",), show_groups),
    "masks": FigureKind((), show_masks),
    "traffic": FigureKind((), show_traffic, may=("reference",)),
    "cost": FigureKind(("reference", "x"), show_cost),
    "domains": FigureKind((), show_domains),
    "convergence": FigureKind((), show_convergence),
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


def answers(results: Results) -> list[Answer]:
    """Return what the declared figures show, in order.

    Raises:
        ValueError: See `parse`.
    """
    return [kind.show(results, figure, key) for kind, figure, key in declared(results)]


def parts_of(results: Results, answer: Answer) -> list[Part]:
    """Return the exhibits and tables of a figure; its sentences stand above the first one."""
    texts = with_basis(answer.sentences, answer.rows, results.confidence)
    first, *others = answer.parts
    said = replace(first, says=" ".join(texts)) if texts and isinstance(first, Exhibit) else first
    return [said, *others]


def headlines(results: Results, found: Sequence[Answer]) -> list[str]:
    """Return a short sentence for each figure that has one; the first is the recipe's headline."""
    told = [answer for answer in found if answer.headline]
    explained = next((answer for answer in told if "[" in answer.headline), None)
    return [
        with_basis([answer.headline], answer.rows if answer is explained else [], results.confidence)[0]
        for answer in told
    ]
