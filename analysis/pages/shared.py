"""Parts that several pages share: state of the run, assumptions, and how to reproduce the numbers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from ..look.page import Exhibit, Part, Section, Table, Text, show, slug
from ..look.words import capitalized, short_listing
from ..read.results import Results, Row, json_object
from .commands import repeat

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
    prefix = f"{slug(view.space)}-"
    return [
        replace(
            s,
            title=f"{view.space}: {s.title[0].lower()}{s.title[1:]}",
            parts=[_with_prefix(part, prefix) for part in s.parts],
        )
        for s in sections
    ]


def _with_prefix(part: Part, prefix: str) -> Part:
    if isinstance(part, Exhibit):
        return replace(
            part,
            key=prefix + part.key,
            panels=[replace(panel, key=prefix + panel.key) for panel in part.panels],
        )
    return replace(part, key=prefix + part.key) if isinstance(part, Table) and part.key else part


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
        f"A t interval is mean \u00b1 t \u00d7 sd / \u221an, with the {0.5 + results.confidence / 2:.0%} "
        "quantile t of Student's distribution with n \u2212 1 degrees of freedom."
    )
    run = (
        f'pip install duckdb\ncd {folder}\npython -c "import duckdb; '
        "duckdb.sql(open('q.sql').read()).show(max_rows=500)\""
    )
    return Section(
        "How to reproduce each number",
        [Text([facts], code="\n".join(repeat(results))), Text([queries], code=run), *commands],
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
