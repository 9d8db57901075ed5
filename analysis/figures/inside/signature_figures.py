"""Figure, table and sentences of the failure signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ...look.page import SHOWN_ROWS, Cell, Exhibit, Panel, Table, numbers
from ...look.style import FAINT, INK, MARKERS, PALETTE, SOFT, WIDTH, blank, drawing
from ...look.words import count, listing, shorten
from ...read.queries import parts
from ...read.results import Results, Row, finished_trials
from ..rows import place_in, scenario_order
from .signatures import RUNS, SIGNATURE_NAMES, TRIAL_KINDS, fired, shares, table_signatures, watched, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_SENTENCES = 4  # of the summary
MOST_ROWS = 14  # of the figure
MOST_OPEN_ROWS = 12  # of a table; a longer one is folded
SHARES = f"""{RUNS}, total AS (
  SELECT kind, method, configuration, scenario, count(DISTINCT run) AS runs FROM runs GROUP BY ALL
), fired AS (
  SELECT configuration, scenario, name, count(DISTINCT run) AS fired
  FROM runs JOIN {parts("signatures")} USING (run) GROUP BY ALL
)
SELECT configuration, scenario, name, coalesce(fired, 0) AS fired, runs, coalesce(fired, 0) / runs AS share
FROM total LEFT JOIN fired USING (configuration, scenario)
WHERE configuration IN (SELECT configuration FROM fired) OR (kind = 'confirm' AND method IN ({{watched}}))
ORDER BY ALL"""
FIRED = f"""{RUNS}
SELECT scenario, configuration, seed, name, round, value, "limit", detail
FROM runs JOIN {parts("signatures")} USING (run) ORDER BY ALL"""
FIRED_OF_RUN = f'SELECT name, round, value, "limit", detail FROM {parts("signatures")} ORDER BY ALL'
FINISHED = """SELECT count(*) AS runs, coalesce(sum(len(signatures)), 0) AS fired
FROM read_json('run.json', columns = {status: 'VARCHAR', signatures: 'VARCHAR[]'}) WHERE status = 'done'"""
WATCHING = f"""{RUNS}, watching AS (
  SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run, signatures FROM read_json(
    'runs/*/run.json', columns = {{signatures: 'VARCHAR[]', signatures_watched: 'JSON'}}, filename = true
  ) WHERE len(json_keys(signatures_watched)) > 0
)
SELECT count(DISTINCT run) AS runs, coalesce(sum(len(signatures)), 0) AS fired
FROM watching WHERE run IN (SELECT run FROM runs)"""


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
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: names.index(row["name"]) if row["name"] else 0):
        cells.setdefault((row["configuration"], row["scenario"]), []).append(row)
    configurations = list(dict.fromkeys(row["configuration"] for row in rows))
    tops, heights, bottom = {}, {}, 0.0
    for name in configurations:
        tops[name], heights[name] = bottom, max(len(cells.get((name, s), [])) for s in scenarios)
        bottom += heights[name] + 0.6
    height = 0.55 + 0.165 * bottom + 0.16 * len(names)
    figure, axes = blank(height, max(WIDTH, 1.7 + 0.8 * len(scenarios)))
    looks = {n: (MARKERS[i % len(MARKERS)], PALETTE[i % len(PALETTE)]) for i, n in enumerate(names)}
    for (name, scenario), cell_rows in cells.items():
        for line, row in enumerate(cell_rows):
            _draw_count(axes, (scenarios.index(scenario), tops[name] + 0.5 + line), row, looks)
    for top in [*tops.values(), bottom]:
        axes.axhline(top - 0.3, color=FAINT, linewidth=0.6, zorder=0)
    for name, (marker, colour) in looks.items():
        axes.plot([], [], marker, color=colour, markersize=4.5, label=words(name))
    centres = [tops[name] + heights[name] / 2 for name in configurations]
    axes.set_yticks(centres, [shorten(name, 34) for name in configurations])
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
    axes.annotate(text, (x - 0.1, y), va="center", fontsize=7, color=colour)


def exhibit(results: Results) -> Exhibit | None:
    """Return which signatures fired where, or that none did; None where no run looked for any."""
    title = "Failure signatures"
    if results.kind == "run":
        meanings = results.meta.get("signatures_watched") or {}
        if not meanings or results.meta.get("status") != "done" or fired(results):
            return None
        return Exhibit("signatures", title, source=FINISHED, missing=_none_fired(meanings, 1))
    rows, (methods, meanings) = shares(results), watched(results)
    if not any(row["name"] for row in rows):
        trials = [
            trial for trial in finished_trials(results.trials, *TRIAL_KINDS) if trial["method"] in methods
        ]
        runs = {run for trial in trials for run in trial.get("runs") or []}
        missing = _none_fired(meanings, len(runs))
        return Exhibit("signatures", title, source=WATCHING, missing=missing) if meanings else None
    configurations = list(dict.fromkeys(row["configuration"] for row in rows))
    drawn = [row for row in rows if row["configuration"] in configurations[:MOST_ROWS]]
    order = scenario_order(results)
    scenarios = sorted({row["scenario"] for row in drawn}, key=lambda name: (place_in(order, name), name))
    more = len(configurations) > MOST_ROWS
    first = f" The first {MOST_ROWS} of {len(configurations)} configurations." if more else ""
    caption = (
        "In how many finished runs (seeds) of a configuration each signature fired, judged on validation. "
        "All confirmed configurations of methods that declare signatures are shown, others only where one "
        f"fired.{first} {_meanings(meanings)}"
    )
    source = SHARES.format(watched=", ".join(f"'{name}'" for name in sorted(methods)) or "NULL")
    columns = ("configuration", "scenario", "name", "fired", "runs", "share")
    panel = Panel("signatures", "", draw_signatures(drawn, scenarios))
    return Exhibit("signatures", title, caption.strip(), source, [panel], numbers(rows, columns))


def _none_fired(meanings: dict[str, str], runs: int) -> str:
    """Return a sentence that no signature fired."""
    where = "this run" if runs == 1 else f"any of {runs:,} finished runs"
    return (
        f"None of the {count(len(meanings), 'signature')} watched for ({', '.join(map(words, meanings))}) "
        f"fired in {where}."
    )


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
        return [f"{_capital(words(row['name']))}: {row['detail']}." for row in fired(results)]
    rows, groups = table_signatures(results), dict[tuple[str, str], list[Row]]()
    hits = [row for row in shares(results) if row["name"]]
    for hit in sorted(hits, key=lambda hit: -hit["share"]):
        groups.setdefault((hit["configuration"], hit["name"]), []).append(hit)

    def order(hits: Sequence[Row]) -> tuple[bool, float, int]:
        return (hits[0]["kind"] != "confirm", -hits[0]["share"], -hits[0]["fired"])

    in_order = sorted(groups.values(), key=order)
    texts = [_sentence(hits, rows) for hits in in_order[:MOST_SENTENCES]]
    more = len(in_order) - len(texts)
    return [*texts, *([f"And {more} more: see the table of failure signatures."] if more else [])]


def _sentence(hits: Sequence[Row], rows: Sequence[Row]) -> str:
    """Return the sentence of one signature of one configuration.

    Args:
        hits: Its rows of `signatures.shares`, one per scenario.
        rows: Rows of `signatures.table_signatures`.
    """
    first = hits[0]
    name, signature = first["configuration"], first["name"]
    same = [row for row in rows if (row["configuration"], row["name"]) == (name, signature)]
    worst = max(same, key=lambda row: abs(float(row["value"]) - float(row["limit"])))
    places = [f"{first['fired']} of {count(first['runs'], 'run')} of {name} under {first['scenario']}"]
    places += [f"{hit['fired']} of {hit['runs']} under {hit['scenario']}" for hit in hits[1:]]
    seed = f"seed {worst['seed']}" + (f", {worst['scenario']}" if len(hits) > 1 else "")
    return f"{_capital(words(signature))} in {listing(places)}: {worst['detail']} ({seed})."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def table(results: Results) -> Table | None:
    """Return every signature that fired, with its measurement; None if none did."""
    of_run = results.kind == "run"
    rows = fired(results) if of_run else table_signatures(results)
    if not rows:
        return None
    columns: tuple[str, ...] = ("signature", "round", "measured", "limit", "in words")
    body: list[list[Any]] = []
    for row in rows[:SHOWN_ROWS]:
        measured = [row[key] for key in ("round", "value", "limit", "detail")]
        body.append([Cell(words(row["name"]), "tight"), *measured])
    if not of_run:
        places = ("scenario", "configuration", "seed")
        columns = (*places, *columns)
        body = [[*(row.get(key) for key in places), *line] for row, line in zip(rows, body, strict=False)]
    more = f" (the first {SHOWN_ROWS} of {len(rows)} rows)" if len(rows) > SHOWN_ROWS else ""
    folded = f"All failure signatures that fired{more}" if len(rows) > MOST_OPEN_ROWS else ""
    meanings = (results.meta.get("signatures_watched") or {}) if of_run else watched(results)[1]
    source, title = FIRED_OF_RUN if of_run else FIRED, "Failure signatures"
    return Table(columns, body, _meanings(meanings), source, folded, key="table-signatures", title=title)
