"""The figures and sentences that a recipe declares: `FIGURES` of its space, `figures` of its `run.json`.

One object per figure, such as `{"kind": "differences", "to": "fedrsclip", "title": "What each part gives"}`:

    against      x, name       accuracy against a number that differs between scenarios (`scenario.clients`)
    differences  to, metrics   each entry minus one of them, paired by seed; on both personal metrics
    groups       to            head, medium and tail classes of each entry beside one of them
    masks                      the masks of a gate, and their overlap with the foreground
    traffic      reference     all bytes: weights, other tensors, once at the start; multiples of one entry's
    cost         reference, x  FLOPs and time as multiples of one entry's, against settings (`method.lam`)
    domains                    clients grouped by the domain of most of their images
    convergence                the shared parameters alone, round by round

Each may have a title. Labels of entries are given without `(tuned)`.
Other kinds come from plug-ins (`offer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..figures.choices.verdicts import with_basis
from ..figures.exhibits import Draft
from ..figures.outcomes.accuracies import TESTED_METRICS
from ..look.page import Exhibit, Panel, Part
from ..read.results import Results, Row
from .answers import Answer, nothing
from .cost import show_cost
from .differences import show_against, show_differences, show_groups
from .measured import show_convergence, show_domains, show_masks
from .traffic import show_traffic

TEXT, PATHS, METRICS = "text", "a list of paths", "a list of metrics"  # what a value may be


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure: what shows it, and its keys beside kind and title."""

    show: Callable[[Results, Row, str], Answer]  # of the figure as declared, and the key of its first exhibit
    needs: Mapping[str, str] = field(default_factory=dict)  # key that must be declared -> what its value is
    may: Mapping[str, str] = field(default_factory=dict)  # key that may be declared -> what its value is


FIGURE_KINDS = {
    "against": FigureKind(show_against, {"x": TEXT}, {"name": TEXT}),
    "differences": FigureKind(show_differences, {"to": TEXT}, {"metrics": METRICS}),
    "groups": FigureKind(show_groups, {"to": TEXT}),
    "masks": FigureKind(show_masks),
    "traffic": FigureKind(show_traffic, may={"reference": TEXT}),
    "cost": FigureKind(show_cost, {"reference": TEXT, "x": PATHS}),
    "domains": FigureKind(show_domains),
    "convergence": FigureKind(show_convergence),
}
_offered: dict[str, FigureKind] = {}  # kinds of plug-ins


def offer(classes: Mapping[str, Any]) -> None:
    """Take the figures of plug-ins, name -> class (`raysim.ReportFigure`), in place of those of before.

    Raises:
        ValueError: A name is that of a built-in kind.
    """
    if taken := [name for name in classes if name in FIGURE_KINDS]:
        raise ValueError(f"figure '{taken[0]}': this name belongs to a built-in kind; choose another name")
    _offered.clear()
    for name, figure in classes.items():
        _offered[name] = FigureKind(partial(show_own, figure), may=dict.fromkeys(figure.keys, TEXT))


def show_own(figure_class: Any, results: Results, figure: Row, key: str) -> Answer:
    """Return the answer of a figure of a user's class; a fault of that class is said in its place."""
    name = figure_class.name.replace("_", " ").capitalize()
    draft = Draft(results, key, str(figure.get("title") or name))
    try:
        rows = results.sql(figure_class.sql)
        if not rows:
            return nothing(draft, "rows of its query, which gives none")
        instance = figure_class()
        says, drawing = instance.says(rows, figure), instance.draw(rows, figure)
        panel = Panel(key, draft.title, drawing, says or draft.title)
        query, caption = figure_class.sql, figure_class.caption
        return Answer([draft.exhibit([panel], rows, list(rows[0]), query, caption, says)])
    except Exception as error:  # of code and SQL that are not ours: the rest of the page is written
        return Answer([draft.missing(f"It could not be drawn: {type(error).__name__}: {error}")])


def show_unknown(results: Results, figure: Row, key: str) -> Answer:
    """Return the answer of a figure whose kind comes from a plug-in that this process does not have."""
    files = [str(entry.get("file")) for entry in results.meta.get("plugins") or []]
    option = f" --plugin {files[0]}" if len(files) == 1 else " --plugin FILE"
    reason = (
        f"Its kind '{figure['kind']}' comes from a plug-in that was not given; the page has it after "
        f"raysim report {results.folder}{option}."
    )
    return Answer([Draft(results, key, str(figure.get("title") or figure["kind"])).missing(reason)])


def declared(results: Results) -> list[tuple[FigureKind, Row, str]]:
    """Return the figures of a sweep (see `parse`); those of an absent plug-in say so in their place."""
    meta, source = results.meta, f"{results.folder / 'run.json'}: figures"
    return parse(meta.get("figures") or [], meta.get("grid") or [], source, FigureKind(show_unknown))


def parse(
    figures: Sequence[Any], grid: Sequence[str], source: str, unknown: FigureKind | None = None
) -> list[tuple[FigureKind, Row, str]]:
    """Return the declared figures with their kinds and keys, in order.

    Args:
        figures: As declared.
        grid: Labels of the recipe's entries; a figure may refer to these only, where there are any.
        source: Name of the place where they are declared, for messages.
        unknown: What stands for a kind that is not known; None: such a figure is refused.

    Raises:
        ValueError: A figure is of an unknown kind, lacks a key that its kind needs, has an unknown key, or
            refers to an unknown entry or metric.
    """
    parsed: list[tuple[FigureKind, Row, str]] = []
    for i, figure in enumerate(figures):
        place = f"{source}[{i}]"
        kind = _checked(figure, grid, place, unknown)
        name = figure["kind"]
        earlier = sum(key.split("-")[0] == name for _, _, key in parsed)
        parsed.append((kind, figure, f"{name}-{earlier + 1}" if earlier else name))
    return parsed


def _checked(figure: Any, grid: Sequence[str], place: str, unknown: FigureKind | None) -> FigureKind:
    """Return the kind of a figure that has the keys and the values that the kind needs, else raise."""
    if not isinstance(figure, dict):
        raise ValueError(f"{place} is {figure!r}; it should be an object with a kind")
    name = str(figure.get("kind"))
    kind = FIGURE_KINDS.get(name) or _offered.get(name)
    if kind is None:
        if unknown is not None:
            return unknown
        known = ", ".join(sorted({**FIGURE_KINDS, **_offered}))
        raise ValueError(
            f"{place}: the kind {name!r} is unknown; known kinds are {known}. "
            "One of your own: --plugin FILE.py"
        )
    takes = {**kind.needs, **kind.may, "title": TEXT}
    lacking = [key for key in kind.needs if not figure.get(key)]
    strange = [key for key in figure if key not in ("kind", *takes)]
    if lacking or strange:
        fault = f"lacks {', '.join(lacking)}" if lacking else f"has the unknown key {', '.join(strange)}"
        raise ValueError(f"{place}: a figure of kind {name!r} {fault}; it takes {', '.join(takes)}")
    for key, value in figure.items():
        words = takes.get(key, TEXT)
        parts = [value] if words == TEXT else value if isinstance(value, list | tuple) else [None]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError(f"{place}: {key} = {value!r} should be {words}")
        if key in ("to", "reference") and grid and value not in grid:
            raise ValueError(f"{place}: {key} = {value!r} is no entry of GRID; these are {', '.join(grid)}")
        if words == METRICS and (wrong := [str(part) for part in parts if part not in TESTED_METRICS]):
            known = ", ".join(TESTED_METRICS)
            raise ValueError(f"{place}: metrics: {', '.join(wrong)} unknown; known metrics are {known}")
    return kind


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
    answers = [answer for answer in found if answer.headline]
    explained = next((answer for answer in answers if "[" in answer.headline), None)
    return [
        with_basis([answer.headline], answer.rows if answer is explained else [], results.confidence)[0]
        for answer in answers
    ]
