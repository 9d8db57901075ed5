"""Parts that several pages share: state of the run, assumptions, and how to reproduce the numbers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..look.page import Cell, Exhibit, Part, Section, Table, Text, show, slug
from ..look.words import capitalized, short_listing
from ..read.results import Results, Row, json_object
from .commands import repeat

AnyPart = TypeVar("AnyPart", bound=Part)
SMALL_BACKBONE = "scenes-clip"  # the bundled CLIP


def notice(results: Results, finished: str) -> str:
    """Say what is unfinished or unreadable; empty when nothing is.

    Args:
        results: The result folder.
        finished: How much is finished, in words.
    """
    what = {"stress": "stress run"}.get(results.kind, results.kind)
    states = {
        "running": f"This {what} is still running: {finished}. The page shows what is on disk so far.",
        "interrupted": f"This {what} was interrupted: {finished}. All of that is on disk; run the command "
        "again with --resume.",
        "failed": f"This {what} failed: {finished}. The page shows what it left on disk.",
        "done": "",
    }
    status = str(results.meta.get("status", "running"))
    text = states.get(status, f"Status: {status}.")
    if results.meta.get("reason") and status != "done":
        text += f" Reason: {results.meta['reason']}."
    if results.unreadable:
        text += f" Left out because they cannot be read: {short_listing(sorted(set(results.unreadable)), 6)}."
    return text.strip()


def joined(values: Row | None) -> str:
    """Write values as `key: value; key: value`."""
    return "; ".join(f"{k}: {show(v)}" for k, v in (values or {}).items() if v != []) or "not recorded"


def under_name(view: Results, sentences: Sequence[str]) -> list[str]:
    """Put the name of the space before the first sentence, where a sweep has several spaces."""
    if not view.space or not sentences:
        return list(sentences)
    return [f"{view.space}: {sentences[0]}", *sentences[1:]]


def of_space(view: Results, sections: Sequence[Section]) -> list[Section]:
    """Name the sections after their space and make their keys unique, where a sweep has several spaces."""
    if not view.space:
        return list(sections)
    return [
        replace(s, title=_named(view, s.title), parts=[_with_prefix(view, part) for part in s.parts])
        for s in sections
    ]


def tables_of_space(view: Results, tables: Sequence[Table]) -> list[Table]:
    """Name tables after their space and make their keys unique, where a sweep has several spaces."""
    if not view.space:
        return list(tables)
    return [replace(_with_prefix(view, table), title=_named(view, table.title)) for table in tables]


def _named(view: Results, title: str) -> str:
    return f"{view.space}: {title[:1].lower()}{title[1:]}"


def _with_prefix(view: Results, part: AnyPart) -> AnyPart:
    """Return the part with the space before its key, the keys of its panels, and links inside the page."""
    prefix = f"{slug(view.space)}-"
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
    folder = shlex.quote(str(results.folder))
    facts = (
        f"Commit {results.meta.get('commit') or 'not recorded'}; versions: "
        f"{joined(results.meta.get('versions'))}."
    )
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
    experiments = [results.meta.get("experiment") or {}]
    experiments += [json_object(trial.get("experiment")) for trial in results.trials]
    backbones = {(experiment.get("task") or {}).get("backbone") for experiment in experiments}
    return [own_distribution, *([small] if SMALL_BACKBONE in backbones else [])]
