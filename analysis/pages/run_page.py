"""The page of one run."""

from __future__ import annotations

from ..figures.estimates import accuracy_text
from ..figures.inside import divergence, masks, ratios, signatures
from ..figures.outcomes import classes, one_run
from ..figures.outcomes.accuracies import ALL_METRICS
from ..figures.outcomes.classes import exhibit_classes, table_domains
from ..figures.outcomes.one_run import exhibit_losses, exhibit_run_curve
from ..figures.outcomes.partition import exhibit_partition
from ..look.page import Cell, Exhibit, Page, Part, Section, Table, Text, show
from ..look.words import TITLES, capitalized, count, duration, percent, points, size
from ..read.results import Results, Row, flatten
from .commands import repeat, run_command
from .shared import assumptions, joined, notice, reproduce

ROW_NAMES = {**TITLES, "worst_client_accuracy": "worst client (personal, own)"}
# A run's accuracies; over images only, because it is one seed. Its last evaluated round while it is not
# finished.
ACCURACIES = """SELECT metric, split, kind, label, mean, coalesce(low_both, low) AS low,
  coalesce(high_both, high) AS high, len(seeds) AS seeds, seeds_planned, lost
FROM estimates ORDER BY number"""
LAST = f"""SELECT round, {", ".join(ALL_METRICS)}, clients_measured, clients_evaluated FROM rounds
WHERE split = 'validation' AND acc_personal_own IS NOT NULL ORDER BY round DESC LIMIT 1"""
COST = """SELECT max(round) AS rounds, sum(bytes_up) AS bytes_up, sum(bytes_down) AS bytes_down,
  sum(flops) AS flops,
  sum(seconds) AS seconds, avg(bytes_up / clients) FILTER (round > 0) AS up_each,
  avg(bytes_down / clients) FILTER (round > 0) AS down_each,
  avg(bytes_weights_up / clients) FILTER (round > 0) AS weights_up,
  avg(bytes_weights_down / clients) FILTER (round > 0) AS weights_down
FROM rounds WHERE split = 'validation'"""


def run_page(results: Results) -> Page:
    """Make the page of one run, finished or not."""
    cost = results.sql(COST)[0]
    optional = [
        classes.exhibit_balance(results),
        ratios.exhibit_ratios(results),
        divergence.exhibit_divergence(results),
        *masks.exhibits_masks(results),
        signatures.exhibit(results),
    ]
    figures: list[Part] = [
        *one_run.exhibits_clients(results),
        exhibit_run_curve(results),
        exhibit_losses(results),
        *(figure for figure in optional if figure),
        exhibit_partition(results),
        exhibit_classes(results),
    ]
    tables = [
        table_accuracies(results),
        table_domains(results),
        table_communication(results, cost),
        signatures.table(results),
        table_settings(results),
    ]
    meta, last = results.meta, int(cost["rounds"] or 0)
    planned = (meta.get("experiment") or {}).get("rounds")
    done = f"{last} of {planned} rounds are finished" if planned else f"{count(last, 'round')} finished"
    return Page(
        title=f"{meta.get('label', 'A run')} under {meta.get('scenario_label', 'an unnamed scenario')}",
        question="How accurate is this one run, for whom, and at what cost?",
        lead=[sentence(results)],
        flags=signatures.sentences(results),
        notice=notice(results, done),
        commands=repeat(results),
        sections=[
            Section("Figures", figures),
            Section("Tables", [t for t in tables if t]),
            Section("What was run", [], facts=facts(results, last)),
            Section("What can be trusted", [Text(points=trust(results))]),
            reproduce(results, Text(["The same run, every setting spelled out:"], code=run_command(results))),
        ],
    )


def accuracies(results: Results) -> dict[tuple[str, str], Row]:
    """Return (metric or label of a floor, split) -> accuracy of the run, with its interval over images."""
    rows = results.sql(ACCURACIES)
    own = [row for row in rows if row["kind"] != "floor" or row["metric"] == "acc_personal_own"]
    return {(row["label"] if row["kind"] == "floor" else row["metric"], row["split"]): row for row in own}


def sentence(results: Results) -> str:
    """Say what the run reached, and what it should not fall below."""
    meta, last = results.meta, next(iter(results.sql(LAST)), {})
    value, test = meta.get("result") or last, meta.get("test") or {}
    achieved = (meta.get("heterogeneity") or {}).get("achieved") or {}
    many = f" with {count(int(achieved['clients']), 'client')}" if achieved.get("clients") is not None else ""
    subject = f"{meta.get('label', 'The run')} under {meta.get('scenario_label', 'its scenario')}{many}"
    own = value.get("acc_personal_own")
    if own is None:
        return f"{subject} is not evaluated."
    if own != own:
        return f"{subject} diverges: it ended without a finite number."
    worst, shared = value.get("worst_client_accuracy"), value.get("acc_shared_own")
    tail = f" (worst client {percent(worst)}%)" if worst is not None else ""
    gain = (
        f"; {points(own - shared)} points against the shared parameters alone" if shared is not None else ""
    )
    floors = one_run.floors_of_run(results)
    below = [f"{name} ({percent(floor)}%)" for name, floor in floors.items() if own < floor]
    above = [f"{name} {percent(floor)}%" for name, floor in floors.items() if own >= floor]
    beside = f" It is below {' and '.join(below)}." if below else ""
    beside += f" What needs no training reaches: {'; '.join(above)}." if above else ""
    opened = (
        f" On the test split, which was opened by request, it is {percent(test['acc_personal_own'])}%."
        if test.get("acc_personal_own") is not None
        else ""
    )
    who = one_run.clients_measured(results, 0)
    measured = f" The mean is over {who}." if " of " in who else ""
    return (
        f"{subject} reaches {percent(own)}% validation {results.metric} on the clients' own "
        f"distributions{tail}{gain}.{beside}{measured} It is one seed, so nothing here is a verdict on the "
        f"method.{opened}"
    )


def facts(results: Results, last: int) -> list[tuple[str, str]]:
    """Facts on what was run: name and value."""
    meta = results.meta
    experiment, achieved = (
        meta.get("experiment") or {},
        (meta.get("heterogeneity") or {}).get("achieved") or {},
    )
    task = experiment.get("task") or {}
    took = duration(meta.get("seconds") or (meta.get("result") or {}).get("seconds"))
    hardware = f" on {joined(meta.get('hardware'))}" if meta.get("hardware") else ""
    data = f"{task.get('dataset', 'not recorded')}, {task.get('backbone') or 'no backbone'}"
    return [
        ("data and backbone", data),
        ("scenario", f"{meta.get('scenario_label', 'not recorded')} (achieved: {joined(achieved)})"),
        ("seed", str(experiment.get("seed", "not recorded"))),
        ("rounds", f"{last} of {experiment.get('rounds', '?')}"),
        ("took", f"{took}{hardware}"),
        ("test split", "opened" if meta.get("test") else "never opened"),
    ]


def table_accuracies(results: Results) -> Table | Exhibit | None:
    """Make the table of the accuracies, the worst client and the floors; on test where it was opened."""
    found, last = accuracies(results), next(iter(results.sql(LAST)), {})
    if not last:
        return None
    splits = [split for split in ("validation", "test") if any(key[1] == split for key in found)] or [
        "validation"
    ]
    names = {
        **ROW_NAMES,
        **{key: key for key, _ in found if (key not in ROW_NAMES and " " in key) or key == "zero-shot"},
    }
    body = []
    for key, name in names.items():
        cells = [accuracy_text(found[key, split]) if (key, split) in found else "" for split in splits]
        if not any(cells) and last.get(key) is not None:
            cells = [f"{percent(last[key])} (one seed)", *[""] * (len(splits) - 1)]
        body.append([name, *cells])
    brackets = any("[" in cell for row in body for cell in row[1:])
    basis = f" Brackets: {results.confidence:.0%} intervals over images." if brackets else ""
    when = f"After round {last['round']}; one seed.{basis}"
    head = [str(results.metric), *(f"{split}, %" for split in splits)]
    title, source = capitalized(results.metric.plural), results.shown(ACCURACIES)
    return Table(head, body, when, source, key="table-accuracies", title=title)


def table_communication(results: Results, cost: Row) -> Table | None:
    """Make the table of communication and computation."""
    if not cost["rounds"]:
        return None
    result = results.meta.get("result") or cost
    ways = {"up": cost["weights_up"], "down": cost["weights_down"]}
    weights = [[f"of that weights, {way}", size(sent)] for way, sent in ways.items() if sent is not None]
    body = [
        ["shared parameters", show(results.meta.get("shared_parameters"))],
        ["up, per client and round", size(cost["up_each"])],
        ["down, per client and round", size(cost["down_each"])],
        *weights,
        ["up, whole run", size(result.get("bytes_up"))],
        ["down, whole run", size(result.get("bytes_down"))],
        ["once, at the start", size(result.get("bytes_setup"))],
        ["FLOPs", f"{result.get('flops') or 0:.3g}"],
        ["seconds", f"{result.get('seconds') or 0:.1f}"],
    ]
    query = f"{results.shown(COST)}\n-- run.json: shared_parameters, result.bytes_setup"
    about = "Bytes are those of the real payloads."
    title = "Communication and cost"
    return Table(["", "communication and cost"], body, about, query, key="table-cost", title=title)


def table_settings(results: Results) -> Table | None:
    """Make the folded table of all settings."""
    settings = flatten(results.meta.get("experiment") or {})
    body = [
        [Cell(path, "code"), str(value) if isinstance(value, int) else show(value)]  # as it is typed again
        for path, value in settings.items()
    ]
    query, folded = "SELECT unnest(experiment) FROM read_json('run.json')", f"All {len(body)} settings"
    return (
        Table(["setting", "value"], body, "", query, folded, "table-settings", "Settings") if body else None
    )


def trust(results: Results) -> list[str]:
    """Sentences on what this page can and cannot show."""
    return [
        "One seed. Differences between two such runs of a few points are usually chance; compare with "
        "several seeds.",
        "Spread between clients is not uncertainty of the mean.",
        *assumptions(results),
    ]
