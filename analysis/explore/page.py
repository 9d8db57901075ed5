"""The explore page as a file: one HTML page with its data inside, and Plotly's script beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..look.page import environment, notice, write_whole, written
from ..look.words import capitalized
from ..read.results import Results, Row
from .data import clients_of, curves_of, tidy, trials_of

LIBRARY = "plotly.min.js"
SCRIPTS = ("data.js", "figures.js", "page.js")  # in the order in which they need each other


def title_of_page(results: Results) -> str:
    """Return the title of the explore page of a result folder."""
    return "Explore the run" if results.kind == "run" else "Explore every trial"


def write_explore(results: Results, folder: Path) -> Path:
    """Write the explore page of a result folder, finished or not, into the folder of the report.

    `plotly.min.js` is written there, too, unless it is there already.
    """
    from plotly.offline import get_plotlyjs

    folder.mkdir(parents=True, exist_ok=True)
    script, library = get_plotlyjs().encode(), folder / LIBRARY
    if not library.is_file() or library.stat().st_size != len(script):
        write_whole(library, script)
    return write_whole(folder / "explore.html", render(results))


def render(results: Results) -> str:
    """Write the explore page as HTML."""
    template = environment(Path(__file__).parent / "templates").get_template("explore.html")
    data, title = Markup(in_script(data_of(results))), title_of_page(results)
    return template.render(data=data, title=title, library=LIBRARY, scripts=SCRIPTS)


def data_of(results: Results) -> Row:
    """Return all that the page shows, as plain data."""
    data = {
        "kind": results.kind,
        "name": _name(results),
        "metric": str(results.metric),
        "Metric": capitalized(str(results.metric)),
        "trials": trials_of(results) if results.kind != "run" else None,
        "curves": curves_of(results),
        "clients": clients_of(results),
    }
    time = written(results)  # after all files are read
    texts = (notice(results), f"Written {time}." if time else "")
    return tidy({**data, "notice": [text for text in texts if text]})


def _name(results: Results) -> str:
    meta = results.meta
    if results.kind == "run":
        return " | ".join(str(meta[key]) for key in ("label", "scenario_label") if meta.get(key))
    return ", ".join(str(name) for name in meta.get("spaces") or [meta.get("space") or ""])


def in_script(data: Any) -> str:
    """Write data as JSON that can stand in a script element: no text of a user can end that element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
