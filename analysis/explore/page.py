"""The explore page as a file: one HTML page with its data inside, and Plotly's script beside it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ..look.words import capitalized, short_listing
from ..read.results import Results, Row
from .clients import clients_of
from .curves import curves_of
from .trials import trials_of

NAME = "explore.html"
TITLE = "Explore every trial"
TITLE_OF_RUN = "Explore the run"
LIBRARY = "plotly.min.js"
WHAT = {"run": "run", "sweep": "sweep", "stress": "stress run"}
SCRIPTS = ("data.js", "figures.js", "page.js")  # in the order in which they need each other
TEMPLATES = Path(__file__).parent / "templates"


def title_of_page(results: Results) -> str:
    """Return the title of the explore page of a result folder."""
    return TITLE_OF_RUN if results.kind == "run" else TITLE


def write_explore(results: Results, folder: Path) -> Path:
    """Write the explore page of a run, a sweep or a stress run, finished or not.

    Args:
        results: The result folder.
        folder: The folder of the report. `plotly.min.js` is written there, too, unless it is there already.

    Returns:
        The path of the page.
    """
    from plotly.offline import get_plotlyjs

    folder.mkdir(parents=True, exist_ok=True)
    script, library = get_plotlyjs().encode(), folder / LIBRARY
    if not library.is_file() or library.stat().st_size != len(script):
        _replace(library, script)
    return _replace(folder / NAME, render(results).encode())


def render(results: Results) -> str:
    """Write the explore page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    data = data_of(results)
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return env.get_template("explore.html").render(
        data=Markup(in_script(data)),
        title=title_of_page(results),
        library=LIBRARY,
        css=Markup((TEMPLATES / "explore.css").read_text(encoding="utf-8")),
        scripts=[Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in SCRIPTS],
    )


def data_of(results: Results) -> Row:
    """Return all that the page shows, as plain data."""
    trials, curves, clients = trials_of(results), curves_of(results), clients_of(results)
    return {
        "kind": results.kind,
        "name": _name(results),
        "metric": str(results.metric),
        "Metric": capitalized(str(results.metric)),
        "notice": notice(results),
        "trials": trials if results.kind != "run" else None,
        "curves": curves,
        "clients": clients,
    }


def _name(results: Results) -> str:
    meta = results.meta
    if results.kind == "run":
        return " | ".join(str(meta[key]) for key in ("label", "scenario_label") if meta.get(key))
    return ", ".join(str(name) for name in meta.get("spaces") or [meta.get("space") or ""])


def notice(results: Results) -> list[str]:
    """Return sentences on what is unfinished, and on damaged files that were left out."""
    status, what = str(results.meta.get("status", "running")), WHAT[results.kind]
    sentences = []
    if status == "running":
        written = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        sentences.append(f"This {what} is still running. The page shows what was on disk on {written}.")
    elif status != "done":
        sentences.append(f"This {what} ended before it was done ({status}). The page shows what is on disk.")
    if results.unreadable:
        damaged = short_listing(sorted(set(results.unreadable)), 6)
        sentences.append(f"Left out because they cannot be read: {damaged}.")
    return sentences


def in_script(data: Any) -> str:
    """Write data as JSON that can stand in a script element: no text of a user can end that element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _replace(path: Path, contents: bytes) -> Path:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(contents)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
