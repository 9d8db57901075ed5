"""Parts that several pages share: their frame, assumptions, and how to reproduce the numbers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..look.output import notice, written
from ..look.page import Cell, Exhibit, Page, Part, Section, Table, Text, show, slug
from ..look.words import capitalized, count, duration
from ..read.results import Results, Row, json_object
from .commands import repeat

AnyPart = TypeVar("AnyPart", bound=Part | Section)
Named = TypeVar("Named", Section, Table)
SMALL_BACKBONE = "scenes-clip"  # the bundled CLIP


def page_of(
    results: Results, finished: str, sections: Sequence[Section], scripts: Sequence[Text] = (), **parts: Any
) -> Page:
    """Make a page with its state, its commands, and the section on how to reproduce each number.

    `finished` says how much is finished, `scripts` hold commands of single trials, `parts` are other
    attributes of the page. Sections without parts and facts are left out.
    """
    kept = [section for section in sections if section.parts or section.facts]
    return Page(
        notice=notice(results, finished),
        written=written(results),
        commands=repeat(results),
        sections=[*kept, reproduce(results, *scripts)],
        **parts,
    )


def present(*parts: Part | None) -> list[Part]:
    """Return the parts that there are."""
    return [part for part in parts if part]


def progress(results: Results) -> str:
    """Write `12 of 40 planned trials are finished`; a search that time ends has no plan."""
    planned, done = (results.meta.get("planned") or {}).values(), len(results.trials)
    if not planned or None in planned:
        return f"{count(done, 'trial')} finished"
    return f"{done} of {sum(planned)} planned trials are finished"


def took(results: Results, limit: str = "") -> str:
    """Write the time that something took, and the machine."""
    meta = results.meta
    seconds = meta.get("seconds") or (meta.get("result") or {}).get("seconds")
    return f"{duration(seconds)}{limit} on {joined(meta.get('hardware'))}"


def tasks_of(results: Results) -> list[Row]:
    """Return the task of each experiment: of the run, or of the trials."""
    recorded = [results.meta.get("experiment") or {}]
    recorded += [json_object(trial.get("experiment")) for trial in results.trials]
    return [experiment["task"] for experiment in recorded if experiment.get("task")]


def data_said(results: Results) -> str:
    """Write the data and the backbone of the first experiment."""
    task = next(iter(tasks_of(results)), {})
    return f"{task['dataset']}, {task.get('backbone') or 'no backbone'}" if task else "not recorded"


def joined(values: Row | None) -> str:
    """Write values as `key: value; key: value`."""
    return "; ".join(f"{k}: {show(v)}" for k, v in (values or {}).items() if v != []) or "not recorded"


def under_name(view: Results, sentences: Sequence[str]) -> list[str]:
    """Put the name of the space before the first sentence, where a sweep has several spaces."""
    if not view.space or not sentences:
        return list(sentences)
    return [f"{view.space}: {sentences[0]}", *sentences[1:]]


def of_space(view: Results, parts: Sequence[Named]) -> list[Named]:
    """Name sections or tables after their space, with keys of its own, where a sweep has several spaces."""
    if not view.space:
        return list(parts)
    prefix = f"{slug(view.space)}-"
    titles = [f"{view.space}: {part.title[:1].lower()}{part.title[1:]}" for part in parts]
    return [
        replace(_with_prefix(part, prefix), title=title) for part, title in zip(parts, titles, strict=True)
    ]


def _with_prefix(part: AnyPart, prefix: str) -> AnyPart:
    """Return the part with a prefix before its key, the keys of its panels, and links inside the page."""
    if isinstance(part, Section):
        return replace(part, parts=[_with_prefix(inner, prefix) for inner in part.parts])
    if isinstance(part, Exhibit):
        panels = [replace(panel, key=prefix + panel.key) for panel in part.panels]
        return replace(part, key=prefix + part.key, panels=panels)
    if not isinstance(part, Table) or not part.key:
        return part
    rows = [[_linked(cell, prefix) for cell in row] for row in part.rows]
    return replace(part, key=prefix + part.key, rows=rows)


def _linked(cell: Any, prefix: str) -> Any:
    inside = isinstance(cell, Cell) and cell.link.startswith("#")
    return replace(cell, link=f"#{prefix}{cell.link[1:]}") if inside else cell


def reproduce(results: Results, *commands: Text) -> Section:
    """Make the section on how to reproduce each number; `commands` are the commands of single trials."""
    folder, commit = shlex.quote(str(results.folder)), results.meta.get("commit") or "not recorded"
    facts = f"Commit {commit}; versions: {joined(results.meta.get('versions'))}."
    queries = (
        "Under each figure and table, folded: the command and the query that give its numbers. The query "
        "is SQL for DuckDB over the Parquet files of the result folder; save it as q.sql and run it there. "
        "Intervals are in the tables `verdicts` and `estimates`, which every report writes again."
    )
    run = (
        f'pip install duckdb\ncd {folder}\npython -c "import duckdb; '
        "duckdb.sql(open('q.sql').read()).show(max_rows=500)\""
    )
    return Section(
        "How to reproduce each number",
        [Text([facts], code="\n".join(repeat(results))), Text([queries], code=run), *commands],
        folded=True,
    )


def assumptions(results: Results) -> list[str]:
    """Sentences on what every number of a page assumes: own distributions, and the bundled backbone."""
    plural = results.metric.plural
    own_distribution = (
        f"{capitalized(plural)} on a client's own distribution (acc_*_own) are {plural} on the global "
        "split, reweighted by the client's class and domain frequencies. No client gives up training "
        "images for this, but it assumes that the images of a class and domain are alike across clients."
    )
    small = (
        f"The backbone is {SMALL_BACKBONE}, a small CLIP trained on generated scenes. It serves to compare "
        "methods under the same conditions and to prove that everything works. On real imagery its "
        f"{plural} are low and say nothing about what a full-size CLIP would reach."
    )
    backbones = {task.get("backbone") for task in tasks_of(results)}
    return [own_distribution, *([small] if SMALL_BACKBONE in backbones else [])]
