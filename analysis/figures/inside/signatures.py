"""Failure signatures: what went wrong inside the runs, in which share of them, and by which measurement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import itemgetter
from textwrap import wrap

from ...look.page import SHOWN_ROWS, Cell, Exhibit, Table
from ...look.style import FAINT, INK, MARKERS, PALETTE, SMALL, SOFT, WIDTH, Figure, blank, drawing
from ...look.words import capitalized, count, listing, shorten
from ...read.results import Results, Row
from ..exhibits import Draft
from ..rows import Column, grouped, place_in, scenario_order

MOST_SENTENCES = 4  # of the summary
MOST_ROWS = 14  # of the figure
MOST_OPEN_ROWS = 12  # of a table; a longer one is folded
TITLE = "Failure signatures"
SIGNATURE_NAMES = {
    "semantic_drift": "semantic drift",
    "ot_not_converged": "OT did not converge",
    "private_unused": "private prompt unused",
    "cr_inverse": "CR favours frequent classes",
    "cr_erratic": "CR erratic",
    "d_cka_zero": "D_CKA stuck at 0",
    "d_cka_one": "D_CKA stuck at 1",
    "mask_empty": "masks all zero",
    "mask_full": "masks all one",
}
# Finished runs by configuration; the trials of one search are counted together.
COUNTED = """counted AS (
  SELECT DISTINCT kind, list_position(['confirm', 'contrast', 'rival', 'search'], kind) AS place, method,
    scenario, CASE kind WHEN 'confirm' THEN label WHEN 'rival' THEN label || ' (rival)'
      WHEN 'search' THEN split_part(study, ' | ', 1) || ', search'
      ELSE method || ' ' || label END AS configuration, unnest(runs) AS run, unnest(seeds) AS seed
  FROM trials WHERE kind IN ('confirm', 'contrast', 'rival', 'search') AND state = 'COMPLETE'
)"""
FIRED_ONCE = """fired AS (
  FROM signatures QUALIFY row_number() OVER (PARTITION BY run, name ORDER BY round DESC) = 1
)"""
# Of every configuration in which one fired, and of the confirmed ones of methods that watch any.
SHARES = f"""WITH {COUNTED}, {FIRED_ONCE}, total AS (
  SELECT place, kind, method, configuration, scenario, count(DISTINCT run) AS runs FROM counted GROUP BY ALL
), hits AS (
  SELECT configuration, scenario, name, count(DISTINCT run) AS fired FROM counted JOIN fired USING (run)
  GROUP BY ALL
), watching AS (
  SELECT DISTINCT method FROM counted JOIN runs USING (run) WHERE len(json_keys(signatures_watched)) > 0
)
SELECT kind, configuration, scenario, name, coalesce(fired, 0) AS fired, runs,
  coalesce(fired, 0) / runs AS share
FROM total LEFT JOIN hits USING (configuration, scenario)
WHERE configuration IN (SELECT configuration FROM hits)
  OR (kind = 'confirm' AND method IN (SELECT method FROM watching))
ORDER BY place, configuration, scenario, name"""
FIRED = f"""WITH {COUNTED}, {FIRED_ONCE}
SELECT scenario, configuration, seed, name, round, value, "limit", detail
FROM counted JOIN fired USING (run) ORDER BY place, configuration, scenario, seed, name"""
FIRED_OF_RUN = f"""WITH {FIRED_ONCE} SELECT name, round, value, "limit", detail FROM fired ORDER BY ALL"""
# What the methods of the finished runs watch, each its own.
WATCHED = f"""WITH {COUNTED}
SELECT method, any_value(signatures_watched) AS meanings, count(DISTINCT run) AS runs
FROM counted JOIN runs USING (run) WHERE len(json_keys(signatures_watched)) > 0
GROUP BY method ORDER BY method"""
WATCHED_OF_RUN = """SELECT signatures_watched AS meanings, 1 AS runs
FROM runs WHERE status = 'done' AND len(json_keys(signatures_watched)) > 0"""
SHOWN = ("configuration", "scenario", "name", "fired", "runs", "share")


def words(name: str) -> str:
    """Return a signature's name in words."""
    return SIGNATURE_NAMES.get(name, name.replace("_", " "))


@drawing
def draw_signatures(rows: Sequence[Row], scenarios: Sequence[str]) -> Figure:
    """Draw configurations by scenarios (rows of `SHARES`): a mark and a count for each that fired."""
    order, found = list(SIGNATURE_NAMES), {row["name"] for row in rows if row["name"]}
    names = sorted(found, key=lambda name: (place_in(order, name), name))
    cells = grouped(sorted(rows, key=lambda row: place_in(names, row["name"])), "configuration", "scenario")
    tops, centres, bottom = {}, {}, 0.0
    for name in dict.fromkeys(row["configuration"] for row in rows):
        height = max(len(cells.get((name, s), [])) for s in scenarios)
        tops[name], centres[name] = bottom, bottom + height / 2
        bottom += height + 0.6
    figure, axes = blank(0.6 + 0.18 * bottom + 0.17 * len(names), max(WIDTH, 1.8 + 0.9 * len(scenarios)))
    looks = {n: (MARKERS[i % len(MARKERS)], PALETTE[i % len(PALETTE)]) for i, n in enumerate(names)}
    for (name, scenario), cell_rows in cells.items():
        x = scenarios.index(scenario)
        for line, row in enumerate(cell_rows):
            y = tops[name] + 0.5 + line
            if row["name"]:
                marker, colour = looks[row["name"]]
                axes.plot([x - 0.22], [y], marker, markersize=4.5, color=colour)
            text, colour = f"{row['fired']} of {row['runs']}", INK if row["name"] else SOFT
            axes.annotate(text, (x - 0.1, y), va="center", fontsize=SMALL, color=colour)
    for top in [*tops.values(), bottom]:
        axes.axhline(top - 0.3, color=FAINT, linewidth=0.6, zorder=0)
    for name, (marker, colour) in looks.items():
        axes.plot([], [], marker, color=colour, markersize=4.5, label=words(name))
    axes.set_yticks(list(centres.values()), [shorten(name, 30) for name in centres])
    axes.set_xticks(range(len(scenarios)), ["\n".join(wrap(shorten(s, 40), 14)) for s in scenarios])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, len(scenarios) - 0.5), ylim=(bottom - 0.2, -0.4))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    return figure


def meanings_of(results: Results) -> tuple[dict[str, str], int]:
    """Return the signatures that the finished runs watch with their meanings, and how many runs do."""
    rows = results.sql(WATCHED_OF_RUN if results.kind == "run" else WATCHED)
    meanings = {name: text for row in rows for name, text in json.loads(row["meanings"]).items()}
    return meanings, sum(row["runs"] for row in rows)


def exhibit(results: Results) -> Exhibit | None:
    """Return which signatures fired where, or that none did; None if none was watched, or a table says it."""
    draft = Draft(results, "signatures", TITLE)
    of_run, (meanings, runs) = results.kind == "run", meanings_of(results)
    rows = [] if of_run else results.sql(SHARES)
    hits = results.sql(FIRED_OF_RUN) if of_run else [row for row in rows if row["name"]]
    if not hits:
        where = "this run" if of_run else f"any of {count(runs, 'finished run')}"
        names = ", ".join(map(words, meanings))
        missing = f"None of the {count(len(meanings), 'signature')} watched for ({names}) fired in {where}."
        return draft.missing(missing, WATCHED_OF_RUN if of_run else WATCHED) if meanings else None
    if of_run:
        return None
    configurations = list(dict.fromkeys(row["configuration"] for row in rows))
    drawn = [row for row in rows if row["configuration"] in configurations[:MOST_ROWS]]
    order, says = scenario_order(results), " ".join(sentences(results))
    scenarios = sorted({row["scenario"] for row in drawn}, key=lambda name: (place_in(order, name), name))
    more = len(configurations) > MOST_ROWS
    first = f" The first {MOST_ROWS} of {len(configurations)} configurations." if more else ""
    caption = (
        "In how many finished runs (seeds) of a configuration each signature fired, judged on validation. A "
        "method watches its own signatures only. All confirmed configurations of methods that watch any are "
        f"shown, others only where one fired.{first} {_meanings(meanings)}"
    ).strip()
    return draft.drawn(draw_signatures(drawn, scenarios), rows, SHOWN, SHARES, caption, says)


def _meanings(meanings: dict[str, str]) -> str:
    texts = [f"{words(name)}: {meaning}" for name, meaning in meanings.items()]
    return f"{'; '.join(texts)}." if texts else ""


def sentences(results: Results) -> list[str]:
    """Return what fired with its worst run, confirmed ones first, then the most frequent; [] if none did."""
    if results.kind == "run":
        return [f"{capitalized(words(row['name']))}: {row['detail']}." for row in results.sql(FIRED_OF_RUN)]
    fired = grouped(results.sql(FIRED), "configuration", "name")
    hits = sorted((row for row in results.sql(SHARES) if row["name"]), key=lambda hit: -hit["share"])
    groups = list(grouped(hits, "configuration", "name").items())
    groups.sort(
        key=lambda item: (item[1][0]["kind"] != "confirm", -item[1][0]["share"], -item[1][0]["fired"])
    )
    texts = [_sentence(group, fired[key]) for key, group in groups[:MOST_SENTENCES]]
    more = len(groups) - len(texts)
    return [*texts, *([f"And {more} more: see the table of failure signatures."] if more else [])]


def _sentence(hits: Sequence[Row], fired: Sequence[Row]) -> str:
    """Return the sentence of one signature of one configuration, with its rows of `SHARES` and of `FIRED`."""
    first, worst = hits[0], max(fired, key=lambda row: abs(float(row["value"]) - float(row["limit"])))
    runs = f"{count(first['runs'], 'run')} of {first['configuration']}"
    places = [f"{first['fired']} of {runs} under {first['scenario']}"]
    places += [f"{hit['fired']} of {hit['runs']} under {hit['scenario']}" for hit in hits[1:]]
    seed = f"seed {worst['seed']}" + (f", {worst['scenario']}" if len(hits) > 1 else "")
    return f"{capitalized(words(first['name']))} in {listing(places)}: {worst['detail']} ({seed})."


def table(results: Results) -> Table | None:
    """Return every signature that fired, with its measurement; None if none did."""
    of_run = results.kind == "run"
    query, places = (FIRED_OF_RUN, ()) if of_run else (FIRED, ("scenario", "configuration", "seed"))
    rows = results.sql(query)
    columns: list[Column] = [
        *places,
        ("signature", lambda row: Cell(words(row["name"]), "tight")),
        "round",
        ("measured", itemgetter("value")),
        "limit",
        ("in words", itemgetter("detail")),
    ]
    more = f" (the first {SHOWN_ROWS} of {len(rows)} rows)" if len(rows) > SHOWN_ROWS else ""
    folded = f"All failure signatures that fired{more}" if len(rows) > MOST_OPEN_ROWS else ""
    draft, caption = Draft(results, "signatures", TITLE), _meanings(meanings_of(results)[0])
    return draft.plain_table(rows[:SHOWN_ROWS], columns, query, caption, folded)
