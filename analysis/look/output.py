"""What all pages of a report share: the notice on an unfinished folder, templates, files written whole."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..read.results import Results
from .words import short_listing

if TYPE_CHECKING:
    from jinja2 import Environment

NAMES = {"run": "run", "sweep": "sweep", "stress": "stress run"}  # kind of a result folder -> its name


def notice(results: Results, finished: str = "") -> str:
    """Say what is unfinished, how much is `finished`, and what is unreadable; empty when nothing is."""
    what, so_far = NAMES[results.kind], f": {finished}" if finished else ""
    states = {
        "running": f"This {what} is still running{so_far}, or its command was killed; then the same command "
        "with --resume goes on. The page shows what is on disk so far.",
        "interrupted": f"This {what} was interrupted{so_far}. What is finished is on disk; run the command "
        "again with --resume.",
        "failed": f"This {what} failed{so_far}. The page shows what it left on disk.",
        "done": "",
    }
    status = str(results.meta.get("status", "running"))
    texts = [states.get(status, f"Status: {status}.")]
    if results.meta.get("reason") and status != "done":
        texts.append(f"Reason: {results.meta['reason']}.")
    if results.unreadable:
        damaged = short_listing(sorted(set(results.unreadable)), 6)
        texts.append(f"Left out because they cannot be read: {damaged}.")
    if without := trials_without_rounds(results):
        texts.append(
            "Complete by their rows, but the rounds of their runs are not in this folder "
            f"(tables/rounds): {short_listing(without, 6)}."
        )
    return " ".join(texts).strip()


def trials_without_rounds(results: Results) -> list[str]:
    """Return the complete trials of which a run has no round on disk, by number and label."""
    rows = results.sql(
        "SELECT DISTINCT trial, label FROM (SELECT trial, label, unnest(runs) AS run FROM trials "
        "WHERE state = 'COMPLETE') WHERE run NOT IN (SELECT run FROM rounds WHERE run IS NOT NULL) "
        "ORDER BY trial, label"
    )
    return [f"trial {row['trial']} ({row['label']})" for row in rows]


def written(results: Results) -> str:
    """Return the time, for a page that will be written again; empty where the results are final."""
    running = results.meta.get("status", "running") == "running"
    return time.strftime("%Y-%m-%d %H:%M:%S %Z") if running else ""


def environment(templates: Path) -> Environment:
    """Return a reader of templates: HTML escapes every text, and nothing may be missing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    escaped, loader = select_autoescape(), FileSystemLoader(templates)
    return Environment(
        autoescape=escaped, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def write_whole(path: Path, contents: str | bytes) -> Path:
    """Write a file whole or not at all; return its path."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
