"""What the page of a run and the page of a sweep have in common: state, versions, and what can be trusted."""

from __future__ import annotations

from collections.abc import Iterable

from .page import Exhibit, Section, Table, Text, show
from .results import Results, Row

OWN = (
    "Accuracies on a client's own distribution (acc_*_own) are accuracies on the global split, reweighted by the client's class and domain "
    "frequencies. No client gives up training images for this, but it assumes that the images of a class and domain are alike across "
    "clients."
)
SMALL = (
    "The backbone is scenes-clip, a small CLIP trained on generated scenes. It serves to compare methods under the same conditions and "
    "to prove that everything works; on real imagery its accuracies are low and say nothing about what a full-size CLIP would reach."
)


def notice(results: Results, finished: str) -> str:
    """What is unfinished or unreadable, in plain words; empty when nothing is."""
    states = {
        "running": f"This {results.kind} is still running: {finished}. The page shows what is on disk so far.",
        "interrupted": f"This {results.kind} was interrupted: {finished}. All of that is on disk; run the command again with --resume.",
        "failed": f"This {results.kind} failed: {finished}. The page shows what it left on disk.",
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


def sources(parts: Iterable[Exhibit | Table | Text]) -> Table:
    """Per figure and table, the files and the query its numbers come from."""
    found = [part for part in parts if isinstance(part, Exhibit | Table) and part.source]
    rows = [(part.title or (part.folded if isinstance(part, Table) else "") or part.caption.split(".")[0], part.source) for part in found]
    caption = "Paths are relative to the result folder; tables/X stands for all Parquet parts in that folder."
    return Table(["figure or table", "source"], rows, caption)


def reproduce(results: Results, exhibits: Iterable[Exhibit | Table | Text], commands: Text) -> Section:
    """How to reproduce each number."""
    facts = [f"Commit {results.meta.get('commit') or 'not recorded'}; versions: {joined(results.meta.get('versions'))}."]
    command = Text(["The command:"], code=str(results.meta.get("command") or "not recorded"))
    return Section("How to reproduce each number", [command, Text(facts), sources(exhibits), commands])


def small_backbone(backbone: str | None) -> list[str]:
    """The warning that belongs to the bundled backbone."""
    return [SMALL] if backbone == "scenes-clip" else []
