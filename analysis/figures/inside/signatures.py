"""Failure signatures: what went wrong inside the runs, in which share of them, and the measurement that says so."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ...look.page import SHOWN_ROWS, Cell, Exhibit, Panel, Table, numbers
from ...look.style import FAINT, INK, MARKERS, PALETTE, SOFT, WIDTH, blank, drawing
from ...look.words import count, listing, shorten
from ...read.queries import parts
from ...read.results import Results, Row, finished

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {
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
ORDER = ("confirm", "contrast", "rival", "search")
MOST_SENTENCES, MOST_ROWS, MOST_LINES = (
    4,
    14,
    12,
)  # of the summary, of the figure, of a table that is not folded
CONFIGURATION = """CASE kind WHEN 'confirm' THEN label WHEN 'rival' THEN label || ' (rival)'
       WHEN 'search' THEN split_part(study, ' | ', 1) || ', search' ELSE method || ' ' || label END"""
RUNS = f"""WITH runs AS (
  SELECT DISTINCT kind, method, {CONFIGURATION} AS configuration, scenario, unnest(runs) AS run, unnest(seeds) AS seed
  FROM {parts("trials")} WHERE state = 'COMPLETE')"""
SHARES = f"""{RUNS}, total AS (SELECT kind, method, configuration, scenario, count(DISTINCT run) AS runs FROM runs GROUP BY ALL),
fired AS (SELECT configuration, scenario, name, count(DISTINCT run) AS fired FROM runs JOIN {parts("signatures")} USING (run) GROUP BY ALL)
SELECT configuration, scenario, name, coalesce(fired, 0) AS fired, runs, coalesce(fired, 0) / runs AS share
FROM total LEFT JOIN fired USING (configuration, scenario)
WHERE configuration IN (SELECT configuration FROM fired) OR (kind = 'confirm' AND method IN ({{watched}}))
ORDER BY ALL"""
FIRED = f"""{RUNS}
SELECT scenario, configuration, seed, name, round, value, "limit", detail FROM runs JOIN {parts("signatures")} USING (run)
ORDER BY ALL"""
FIRED_OF_RUN = f'SELECT name, round, value, "limit", detail FROM {parts("signatures")} ORDER BY ALL'
FINISHED = """SELECT count(*) AS runs, coalesce(sum(len(signatures)), 0) AS fired
FROM read_json('run.json', columns = {status: 'VARCHAR', signatures: 'VARCHAR[]'}) WHERE status = 'done'"""
WATCHING = f"""{RUNS}, told AS (
  SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run, signatures
  FROM read_json('runs/*/run.json', columns = {{signatures: 'VARCHAR[]', signatures_watched: 'JSON'}}, filename = true)
  WHERE len(json_keys(signatures_watched)) > 0
)
SELECT count(DISTINCT run) AS runs, coalesce(sum(len(signatures)), 0) AS fired FROM told WHERE run IN (SELECT run FROM runs)"""


def words(name: str) -> str:
    """A signature's name for people."""
    return WORDS.get(name, name.replace("_", " "))


def fired(results: Results) -> list[Row]:
    """The rows of the signatures table; of a run that was finished twice, the last one counts."""
    rows = results.table("signatures").to_pylist()
    return list({(row.get("run"), row["name"]): row for row in rows}.values())


def configuration(trial: Row) -> str:
    """What the runs of a trial are counted under; the trials of a search together."""
    kind, label = trial["kind"], str(trial["label"])
    if kind == "search":
        return f"{str(trial['study']).split(' | ')[0]}, search"
    return (
        label
        if kind == "confirm"
        else f"{label} (rival)"
        if kind == "rival"
        else f"{trial['method']} {label}"
    )


def table_signatures(results: Results) -> list[Row]:
    """Every signature that fired in a finished trial.

    Returns:
        Rows with kind, method, configuration, scenario, seed, run, name, round, value, limit and detail; a
        run of several configurations has a row under each.
    """
    found: dict[str, list[Row]] = {}
    for row in fired(results):
        found.setdefault(str(row.get("run")), []).append(row)
    rows = {}
    for trial in sorted(finished(results.trials, *ORDER), key=lambda t: ORDER.index(t["kind"])):
        at = {
            "kind": trial["kind"],
            "method": trial["method"],
            "configuration": configuration(trial),
            "scenario": trial["scenario"],
        }
        for run, seed in zip(trial.get("runs") or [], trial.get("seeds") or [], strict=False):
            for row in found.get(run, []):
                rows[(at["configuration"], at["scenario"], run, row["name"])] = {**row, **at, "seed": seed}
    return list(rows.values())


def watched(results: Results) -> tuple[set[str], dict[str, str]]:
    """The methods that declare signatures, and each signature with what it means, as the runs say."""
    one = {
        trial["method"]: trial["runs"][0] for trial in finished(results.trials, *ORDER) if trial.get("runs")
    }
    told = {method: results.run_meta(run).get("signatures_watched") or {} for method, run in one.items()}
    return {method for method, own in told.items() if own}, {
        name: meaning for own in told.values() for name, meaning in own.items()
    }


def shares(results: Results) -> list[Row]:
    """In which share of a configuration's runs each signature fired.

    Returns:
        Rows with configuration, kind, scenario, name (None where none fired), fired, runs and share: of every
        configuration in which one fired, and of the confirmed ones of methods that declare any.
    """
    groups: dict[tuple[str, str], Row] = {}
    for trial in sorted(finished(results.trials, *ORDER), key=lambda t: ORDER.index(t["kind"])):
        key = (configuration(trial), trial["scenario"])
        group = groups.setdefault(
            key, {"kind": trial["kind"], "method": trial["method"], "runs": set(), "fired": {}}
        )
        group["runs"] |= set(trial.get("runs") or [])
    for row in table_signatures(results):
        groups[(row["configuration"], row["scenario"])]["fired"].setdefault(row["name"], set()).add(
            row["run"]
        )
    methods, _ = watched(results)
    flagged = {name for (name, _), group in groups.items() if group["fired"]}
    rows = []
    for (name, scenario), group in groups.items():
        if name in flagged or (group["kind"] == "confirm" and group["method"] in methods):
            hits: list[tuple[str | None, set[str]]] = sorted(group["fired"].items()) or [(None, set())]
            rows += [
                {
                    "configuration": name,
                    "kind": group["kind"],
                    "scenario": scenario,
                    "name": sign,
                    "fired": len(runs),
                    "runs": len(group["runs"]),
                    "share": len(runs) / len(group["runs"]),
                }
                for sign, runs in hits
            ]
    return rows


@drawing
def draw_signatures(rows: Sequence[Row], scenarios: Sequence[str]) -> Figure:
    """Configurations by scenarios; in each cell a mark and a count for every signature that fired.

    Args:
        rows: Rows of `shares`.
        scenarios: The columns, in order.
    """
    configurations = list(dict.fromkeys(r["configuration"] for r in rows))
    names = sorted(
        {r["name"] for r in rows if r["name"]},
        key=lambda n: (list(WORDS).index(n) if n in WORDS else len(WORDS), n),
    )
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda r: names.index(r["name"]) if r["name"] else 0):
        cells.setdefault((row["configuration"], row["scenario"]), []).append(row)
    lines = {c: max(len(cells.get((c, s), [])) for s in scenarios) for c in configurations}
    tops, y = {}, 0.0
    for name in configurations:
        tops[name] = y
        y += lines[name] + 0.6
    figure, axes = blank(0.55 + 0.165 * y + 0.16 * len(names), max(WIDTH, 1.7 + 0.8 * len(scenarios)))
    for (name, scenario), own in cells.items():
        x = scenarios.index(scenario)
        for place, row in enumerate(own):
            at = tops[name] + 0.5 + place
            if row["name"]:
                axes.plot(
                    [x - 0.22],
                    [at],
                    MARKERS[names.index(row["name"]) % len(MARKERS)],
                    markersize=4.5,
                    color=PALETTE[names.index(row["name"]) % len(PALETTE)],
                )
            axes.annotate(
                f"{row['fired']} of {row['runs']}",
                (x - 0.1, at),
                va="center",
                fontsize=7,
                color=INK if row["name"] else SOFT,
            )
    for top in [*tops.values(), y]:
        axes.axhline(top - 0.3, color=FAINT, linewidth=0.6, zorder=0)
    for place, name in enumerate(names):
        axes.plot(
            [],
            [],
            MARKERS[place % len(MARKERS)],
            color=PALETTE[place % len(PALETTE)],
            markersize=4.5,
            label=words(name),
        )
    axes.set_yticks(
        [tops[c] + lines[c] / 2 for c in configurations], [shorten(c, 34) for c in configurations]
    )
    axes.set_xticks(range(len(scenarios)), ["\n".join(wrap(shorten(s, 40), 14)) for s in scenarios])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, len(scenarios) - 0.5), ylim=(y - 0.2, -0.4))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    return figure


def exhibit(results: Results) -> Exhibit | None:
    """Which signatures fired where; that none did; or None where no run says that it looked for any."""
    title = "Failure signatures"
    if results.kind == "run":
        told = results.meta.get("signatures_watched") or {}
        none = told and results.meta.get("status") == "done" and not fired(results)
        return Exhibit("signatures", title, source=FINISHED, missing=_none(told, 1)) if none else None
    rows, (methods, meanings) = shares(results), watched(results)
    if not any(row["name"] for row in rows):
        looked = {
            run
            for t in finished(results.trials, *ORDER)
            if t["method"] in methods
            for run in t.get("runs") or []
        }
        return (
            Exhibit("signatures", title, source=WATCHING, missing=_none(meanings, len(looked)))
            if meanings
            else None
        )
    labels = list(dict.fromkeys(row["configuration"] for row in rows))
    drawn = [row for row in rows if row["configuration"] in labels[:MOST_ROWS]]
    order = [s["label"] for s in results.meta.get("scenarios") or []]
    scenarios = sorted(
        {row["scenario"] for row in drawn}, key=lambda s: (order.index(s) if s in order else len(order), s)
    )
    left = f" The first {MOST_ROWS} of {len(labels)} configurations." if len(labels) > MOST_ROWS else ""
    caption = (
        "In how many finished runs (seeds) of a configuration each signature fired, judged on validation. "
        "Confirmed configurations "
        f"of methods that declare signatures are all shown, others only where one fired.{left} "
        + _meanings(meanings)
    )
    source = SHARES.format(watched=", ".join(f"'{name}'" for name in sorted(methods)) or "NULL")
    columns = ("configuration", "scenario", "name", "fired", "runs", "share")
    return Exhibit(
        "signatures",
        title,
        caption.strip(),
        source,
        [Panel("signatures", "", draw_signatures(drawn, scenarios))],
        numbers(rows, columns),
    )


def _none(meanings: dict[str, str], runs: int) -> str:
    where = "this run" if runs == 1 else f"any of {runs:,} finished runs"
    return (
        f"None of the {count(len(meanings), 'signature')} watched for "
        f"({', '.join(map(words, meanings))}) fired in {where}."
    )


def _meanings(meanings: dict[str, str]) -> str:
    return "; ".join(f"{words(name)}: {meaning}" for name, meaning in meanings.items()) + (
        "." if meanings else ""
    )


def sentences(results: Results) -> list[str]:
    """What fired, with the measurement of the run that is farthest beyond its limit; [] if nothing did.

    Confirmed configurations come first, then the most frequent; a signature of a configuration is one
    sentence over all scenarios.
    """
    if results.kind == "run":
        return [f"{_capital(words(row['name']))}: {row['detail']}." for row in fired(results)]
    rows, groups = table_signatures(results), dict[tuple[str, str], list[Row]]()
    for hit in sorted((row for row in shares(results) if row["name"]), key=lambda row: -row["share"]):
        groups.setdefault((hit["configuration"], hit["name"]), []).append(hit)
    ordered = sorted(
        groups.values(), key=lambda hits: (hits[0]["kind"] != "confirm", -hits[0]["share"], -hits[0]["fired"])
    )
    said = [_sentence(hits, rows) for hits in ordered[:MOST_SENTENCES]]
    left = len(ordered) - len(said)
    return [*said, f"And {left} more: see the table of failure signatures."] if left else said


def _sentence(hits: Sequence[Row], rows: Sequence[Row]) -> str:
    """One signature of one configuration; `hits` holds a row per scenario."""
    first = hits[0]
    worst = max(
        (r for r in rows if all(r[key] == first[key] for key in ("configuration", "name"))), key=_beyond
    )
    where = [
        f"{first['fired']} of {count(first['runs'], 'run')} of {first['configuration']} under "
        f"{first['scenario']}"
    ]
    where += [f"{hit['fired']} of {hit['runs']} under {hit['scenario']}" for hit in hits[1:]]
    at = f"seed {worst['seed']}" + (f", {worst['scenario']}" if len(hits) > 1 else "")
    return f"{_capital(words(first['name']))} in {listing(where)}: {worst['detail']} ({at})."


def _beyond(row: Row) -> float:
    return abs(float(row["value"]) - float(row["limit"]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def table(results: Results) -> Table | None:
    """Every signature that fired, with what was measured; None if none did."""
    one = results.kind == "run"
    rows = fired(results) if one else table_signatures(results)
    if not rows:
        return None
    head = ("scenario", "configuration", "seed", "signature", "round", "measured", "limit", "in words")
    body: list[list[Any]] = [
        [
            row.get("scenario"),
            row.get("configuration"),
            row.get("seed"),
            Cell(words(row["name"]), "tight"),
            row["round"],
            row["value"],
            row["limit"],
            row["detail"],
        ]
        for row in rows[:SHOWN_ROWS]
    ]
    first = 3 if one else 0
    more = f" (the first {SHOWN_ROWS} of {len(rows)} rows)" if len(rows) > SHOWN_ROWS else ""
    folded = f"All failure signatures that fired{more}" if len(rows) > MOST_LINES else ""
    meanings = (results.meta.get("signatures_watched") or {}) if one else watched(results)[1]
    return Table(
        head[first:],
        [line[first:] for line in body],
        _meanings(meanings),
        FIRED_OF_RUN if one else FIRED,
        folded,
        key="table-signatures",
        title="Failure signatures",
    )
