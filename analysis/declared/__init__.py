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

from ..figures.outcomes.tested import TESTED_METRICS
from ..look.entries import shown_trials
from ..look.page import Exhibit, Part, Table
from ..read.results import Results, Row
from .against import exhibit_against, sentences_against
from .convergence import exhibit_convergence, sentences_convergence
from .cost_figures import exhibit_cost
from .cost_sentences import sentences_cost
from .differences import exhibit_differences, sentences_differences
from .domain_figures import exhibit_domains
from .domain_sentences import sentences_domains
from .groups import exhibit_groups, sentences_groups
from .masks import exhibit_masks, sentences_masks
from .traffic import exhibit_traffic, sentences_traffic

Rows = Sequence[Row]


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Attributes:
        needs: Keys that must be declared, beside kind and title.
        draw: `draw(results, compared, rounds, figure, key)` returns its exhibits and tables.
        say: `say(results, compared, rounds, figure)` returns its sentences.
        may: Keys that may be declared.
        measured: Whether `draw` and `say` use the rounds.
    """

    needs: tuple[str, ...]
    draw: Callable[[Results, Rows, Rows, Row, str], Sequence[Exhibit | Table]]
    say: Callable[[Results, Rows, Rows, Row], list[str]]
    may: tuple[str, ...] = ()
    measured: bool = False


FIGURE_KINDS = {
    "against": FigureKind(
        ("x",),
        lambda r, compared, _, f, key: [exhibit_against(r, compared, f, key)],
        lambda r, compared, _, f: sentences_against(r, compared, f),
        may=("name",),
    ),
    "differences": FigureKind(
        ("to",),
        lambda r, compared, _, f, key: [exhibit_differences(r, compared, f, key)],
        lambda r, compared, _, f: sentences_differences(r, compared, f),
        may=("metrics",),
    ),
    "groups": FigureKind(
        ("to",),
        lambda r, compared, _, f, key: exhibit_groups(r, compared, f, key),
        lambda r, compared, _, f: sentences_groups(r, compared, f),
    ),
    "masks": FigureKind(
        (),
        lambda r, _compared, _, f, key: exhibit_masks(r, f, key),
        lambda r, _compared, _, _f: sentences_masks(r),
    ),
    "traffic": FigureKind(
        (),
        lambda r, _, rounds, f, key: exhibit_traffic(r, rounds, f, key),
        lambda r, _, rounds, f: sentences_traffic(r, rounds, f),
        may=("reference",),
        measured=True,
    ),
    "cost": FigureKind(
        ("reference", "x"),
        lambda r, _, rounds, f, key: exhibit_cost(r, rounds, f, key),
        lambda r, _, rounds, f: sentences_cost(r, rounds, f),
        measured=True,
    ),
    "domains": FigureKind(
        (),
        lambda r, compared, _, f, key: exhibit_domains(r, compared, f, key),
        lambda r, compared, _, f: sentences_domains(r, compared),
    ),
    "convergence": FigureKind(
        (),
        lambda r, _, rounds, f, key: exhibit_convergence(r, rounds, f, key),
        lambda r, _, rounds, f: sentences_convergence(r, rounds),
        measured=True,
    ),
}


def declared(results: Results) -> list[tuple[FigureKind, Row, str]]:
    """Return the figures of a sweep (see `parse`)."""
    return parse(
        results.meta.get("figures") or [],
        results.meta.get("grid") or [],
        f"{results.folder / 'run.json'}: figures",
    )


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


def exhibits(results: Results, compared: Sequence[Row], rounds: Sequence[Row]) -> list[Part]:
    """Return the declared figures in order, each followed by its table where it has one.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        rounds: Rows of the rounds table of the confirmed trials' runs.

    Raises:
        ValueError: See `parse`.
    """
    return [
        part
        for kind, figure, key in declared(results)
        for part in kind.draw(results, compared, rounds, figure, key)
    ]


def sentences(results: Results, compared: Sequence[Row]) -> list[str]:
    """Return the sentences of the declared figures in order; the first is the recipe's headline.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.

    Raises:
        ValueError: See `parse`.
    """
    figures = declared(results)
    runs = [run for trial in shown_trials(results) for run in trial.get("runs") or []]
    rounds = results.rounds(runs) if any(kind.measured for kind, _, _ in figures) else []
    return [text for kind, figure, _ in figures for text in kind.say(results, compared, rounds, figure)]
