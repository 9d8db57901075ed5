"""Figure, table and sentences of the failure signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ...look.page import SHOWN_ROWS, Cell, Exhibit, Table, numbers
from ...look.style import FAINT, INK, MARKERS, PALETTE, SMALL, SOFT, WIDTH, blank, drawing
from ...look.words import capitalized, count, listing, shorten
from ...read.results import Results, Row
from ..estimates import panel
from ..rows import grouped, place_in, scenario_order
from .signatures import FIRED, FIRED_OF_RUN, SHARES, SIGNATURE_NAMES, WATCHED, WATCHED_OF_RUN, shares, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SENTENCES = 4  # of the summary
MOST_ROWS = 14  # of the figure
MOST_OPEN_ROWS = 12  # of a table; a longer one is folded
TITLE = "Failure signatures"


@drawing
def draw_signatures(rows: Sequence[Row], scenarios: Sequence[str]) -> Figure:
    """Draw configurations by scenarios; each cell has a mark and a count for every signature that fired.

    Args:
        rows: Rows of `signatures.shares`.
        scenarios: The columns, in order.
    """
    order = list(SIGNATURE_NAMES)
    names = sorted(
        {row["name"] for row in rows if row["name"]}, key=lambda name: (place_in(order, name), name)
    )
    cells = grouped(sorted(rows, key=lambda row: place_in(names, row["name"])), "configuration", "scenario")
    configurations = list(dict.fromkeys(row["configuration"] for row in rows))
    tops, heights, bottom = {}, {}, 0.0
    for name in configurations:
        tops[name], heights[name] = bottom, max(len(cells.get((name, s), [])) for s in scenarios)
        bottom += heights[name] + 0.6
    figure, axes = blank(0.6 + 0.18 * bottom + 0.17 * len(names), max(WIDTH, 1.8 + 0.9 * len(scenarios)))
    looks = {n: (MARKERS[i % len(MARKERS)], PALETTE[i % len(PALETTE)]) for i, n in enumerate(names)}
    for (name, scenario), cell_rows in cells.items():
        for line, row in enumerate(cell_rows):
            _draw_count(axes, (scenarios.index(scenario), tops[name] + 0.5 + line), row, looks)
    for top in [*tops.values(), bottom]:
        axes.axhline(top - 0.3, color=FAINT, linewidth=0.6, zorder=0)
    for name, (marker, colour) in looks.items():
        axes.plot([], [], marker, color=colour, markersize=4.5, label=words(name))
    centres = [tops[name] + heights[name] / 2 for name in configurations]
    axes.set_yticks(centres, [shorten(name, 30) for name in configurations])
    axes.set_xticks(range(len(scenarios)), ["\n".join(wrap(shorten(s, 40), 14)) for s in scenarios])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, len(scenarios) - 0.5), ylim=(bottom - 0.2, -0.4))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    return figure


def _draw_count(
    axes: Axes, place: tuple[float, float], row: Row, looks: Mapping[str, tuple[str, str]]
) -> None:
    """Draw the mark of a signature, if one fired, and in how many runs it fired."""
    x, y = place
    if row["name"]:
        marker, colour = looks[row["name"]]
        axes.plot([x - 0.22], [y], marker, markersize=4.5, color=colour)
    text, colour = f"{row['fired']} of {row['runs']}", INK if row["name"] else SOFT
    axes.annotate(text, (x - 0.1, y), va="center", fontsize=SMALL, color=colour)


def meanings_of(results: Results) -> tuple[dict[str, str], int]:
    """Return the signatures that the finished runs watch with their meanings, and how many runs do."""
    rows = results.sql(WATCHED_OF_RUN if results.kind == "run" else WATCHED)
    meanings = {name: text for row in rows for name, text in json.loads(row["meanings"]).items()}
    return meanings, sum(row["runs"] for row in rows)


def exhibit(results: Results) -> Exhibit | None:
    """Return which signatures fired where, or one line that none did; None where no run looked for any."""
    of_run, (meanings, runs) = results.kind == "run", meanings_of(results)
    rows = [] if of_run else shares(results)
    hits = results.sql(FIRED_OF_RUN) if of_run else [row for row in rows if row["name"]]
    if not hits:
        where = "this run" if of_run else f"any of {count(runs, 'finished run')}"
        names = ", ".join(map(words, meanings))
        missing = f"None of the {count(len(meanings), 'signature')} watched for ({names}) fired in {where}."
        source = results.shown(WATCHED_OF_RUN if of_run else WATCHED)
        return Exhibit("signatures", TITLE, source=source, missing=missing) if meanings else None
    if of_run:
        return None  # the table says it
    configurations = list(dict.fromkeys(row["configuration"] for row in rows))
    drawn = [row for row in rows if row["configuration"] in configurations[:MOST_ROWS]]
    order = scenario_order(results)
    scenarios = sorted({row["scenario"] for row in drawn}, key=lambda name: (place_in(order, name), name))
    more = len(configurations) > MOST_ROWS
    first = f" The first {MOST_ROWS} of {len(configurations)} configurations." if more else ""
    caption = (
        "In how many finished runs (seeds) of a configuration each signature fired, judged on validation. A "
        "method watches its own signatures only. All confirmed configurations of methods that watch any are "
        f"shown, others only where one fired.{first} {_meanings(meanings)}"
    )
    columns, says = (
        ("configuration", "scenario", "name", "fired", "runs", "share"),
        " ".join(sentences(results)),
    )
    panels = [panel("signatures", "", draw_signatures(drawn, scenarios), says)]
    source, table = results.shown(SHARES), numbers(rows, columns)
    return Exhibit("signatures", TITLE, caption.strip(), source, panels, table, says=says)


def _meanings(meanings: dict[str, str]) -> str:
    """Return the meaning of each signature."""
    return "; ".join(f"{words(name)}: {meaning}" for name, meaning in meanings.items()) + (
        "." if meanings else ""
    )


def sentences(results: Results) -> list[str]:
    """Return what fired, with the measurement of the worst run; [] if nothing did.

    Confirmed configurations come first, then the most frequent; a signature of a configuration is one
    sentence over all scenarios.
    """
    if results.kind == "run":
        return [f"{capitalized(words(row['name']))}: {row['detail']}." for row in results.sql(FIRED_OF_RUN)]
    rows = results.sql(FIRED)
    hits = sorted((row for row in shares(results) if row["name"]), key=lambda hit: -hit["share"])
    groups = list(grouped(hits, "configuration", "name").values())
    groups.sort(key=lambda group: (group[0]["kind"] != "confirm", -group[0]["share"], -group[0]["fired"]))
    texts = [_sentence(group, rows) for group in groups[:MOST_SENTENCES]]
    more = len(groups) - len(texts)
    return [*texts, *([f"And {more} more: see the table of failure signatures."] if more else [])]


def _sentence(hits: Sequence[Row], rows: Sequence[Row]) -> str:
    """Return the sentence of one signature of one configuration.

    Args:
        hits: Its rows of `signatures.shares`, one per scenario.
        rows: Rows of `FIRED`.
    """
    first = hits[0]
    name, signature = first["configuration"], first["name"]
    same = [row for row in rows if (row["configuration"], row["name"]) == (name, signature)]
    worst = max(same, key=lambda row: abs(float(row["value"]) - float(row["limit"])))
    places = [f"{first['fired']} of {count(first['runs'], 'run')} of {name} under {first['scenario']}"]
    places += [f"{hit['fired']} of {hit['runs']} under {hit['scenario']}" for hit in hits[1:]]
    seed = f"seed {worst['seed']}" + (f", {worst['scenario']}" if len(hits) > 1 else "")
    return f"{capitalized(words(signature))} in {listing(places)}: {worst['detail']} ({seed})."


def table(results: Results) -> Table | None:
    """Return every signature that fired, with its measurement; None if none did."""
    of_run = results.kind == "run"
    query = FIRED_OF_RUN if of_run else FIRED
    rows, places = results.sql(query), () if of_run else ("scenario", "configuration", "seed")
    body: list[list[Any]] = []
    for row in rows[:SHOWN_ROWS]:
        measured = [row[key] for key in ("round", "value", "limit", "detail")]
        body.append([*(row[key] for key in places), Cell(words(row["name"]), "tight"), *measured])
    columns = (*places, "signature", "round", "measured", "limit", "in words")
    more = f" (the first {SHOWN_ROWS} of {len(rows)} rows)" if len(rows) > SHOWN_ROWS else ""
    folded = f"All failure signatures that fired{more}" if len(rows) > MOST_OPEN_ROWS else ""
    caption, source = _meanings(meanings_of(results)[0]), results.shown(query)
    return (
        Table(columns, body, caption, source, folded, key="table-signatures", title=TITLE) if rows else None
    )
