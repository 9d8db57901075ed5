"""What the page of a run and the page of a sweep have in common: state, versions, and what can be trusted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from ..look.page import Exhibit, Part, Section, Table, Text, show, slug
from ..read.results import Results, Row
from .commands import repeat

OWN = (
    "Accuracies on a client's own distribution (acc_*_own) are accuracies on the global split, reweighted "
    "by the client's class and domain "
    "frequencies. No client gives up training images for this, but it assumes that the images of a class "
    "and domain are alike across "
    "clients."
)
SMALL = (
    "The backbone is scenes-clip, a small CLIP trained on generated scenes. It serves to compare methods "
    "under the same conditions and "
    "to prove that everything works; on real imagery its accuracies are low and say nothing about what a "
    "full-size CLIP would reach."
)


def notice(results: Results, finished: str) -> str:
    """What is unfinished or unreadable, in plain words; empty when nothing is."""
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
        text += f" Left out because they cannot be read: {', '.join(sorted(set(results.unreadable))[:5])}."
    return text.strip()


def joined(values: Row | None) -> str:
    """`key: value; key: value`."""
    return "; ".join(f"{k}: {show(v)}" for k, v in (values or {}).items() if v != []) or "not recorded"


def under_name(view: Results, sentences: Sequence[str]) -> list[str]:
    """Sentences of one space of several, the first with its name."""
    said = list(sentences)
    return [f"{view.space}: {said[0]}", *said[1:]] if view.space and said else said


def of_space(view: Results, sections: Sequence[Section]) -> list[Section]:
    """Sections of one space of several, under its name, with keys that no other space has; of the only space, as they are."""
    if not view.space:
        return list(sections)
    prefix = f"{slug(view.space)}-"
    return [
        replace(
            s,
            title=f"{view.space}: {s.title[0].lower()}{s.title[1:]}",
            parts=[_own(part, prefix) for part in s.parts],
        )
        for s in sections
    ]


def _own(part: Part, prefix: str) -> Part:
    if isinstance(part, Exhibit):
        return replace(
            part,
            key=prefix + part.key,
            panels=[replace(panel, key=prefix + panel.key) for panel in part.panels],
        )
    return replace(part, key=prefix + part.key) if isinstance(part, Table) and part.key else part


def reproduce(results: Results, *commands: Text) -> Section:
    """How to reproduce each number."""
    folder = shlex.quote(str(results.folder))
    facts = (
        f"Commit {results.meta.get('commit') or 'not recorded'}; versions: "
        f"{joined(results.meta.get('versions'))}."
    )
    queries = (
        "Under each figure and table, folded: the command and the query that give its numbers. The query "
        "is SQL for DuckDB over the "
        "Parquet files of the result folder; save it as q.sql and run it there. A t interval is mean "
        "\u00b1 t \u00d7 sd / \u221an, with "
        f"the {0.5 + results.confidence / 2:.0%} quantile t of Student's distribution with n \u2212 1 "
        "degrees of freedom."
    )
    run = (
        f'pip install duckdb\ncd {folder}\npython -c "import duckdb; '
        "duckdb.sql(open('q.sql').read()).show(max_rows=500)\""
    )
    return Section(
        "How to reproduce each number",
        [Text([facts], code="\n".join(repeat(results))), Text([queries], code=run), *commands],
    )


def small_backbone(backbone: str | None) -> list[str]:
    """The warning that belongs to the bundled backbone."""
    return [SMALL] if backbone == "scenes-clip" else []
