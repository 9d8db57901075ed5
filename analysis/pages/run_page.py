"""The page of one run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from ..figures.estimates import FLOORS, accuracy_text
from ..figures.inside import masks, rounds, signatures
from ..figures.outcomes import curves
from ..figures.outcomes.accuracies import ALL_METRICS
from ..figures.outcomes.classes import exhibit_balance, exhibit_classes, exhibit_partition, table_domains
from ..look.page import Cell, Page, Section, Table, Text, show
from ..look.words import TITLES, capitalized, count, percent, points, size
from ..read.results import Results, Row, flatten
from .shared import assumptions, data_said, joined, page_of, present, run_command, took

ROW_NAMES = {**TITLES, "worst_client_accuracy": "worst client (personal, own)"}
TRUST = (
    "One seed. Differences between two such runs of a few points are usually chance; compare with several "
    "seeds.",
    "Spread between clients is not uncertainty of the mean.",
)
# A run's accuracies; over images only, because it is one seed. Its last evaluated round while it is not
# finished.
ACCURACIES = """SELECT if(kind = 'floor', label, metric) AS name, split, mean, coalesce(low_both, low) AS low,
  coalesce(high_both, high) AS high, len(seeds) AS seeds, seeds_planned, lost
FROM estimates WHERE kind <> 'floor' OR metric = 'acc_personal_own' ORDER BY number"""
LAST = f"""SELECT round, {", ".join(ALL_METRICS)}, clients_measured, clients_evaluated FROM rounds
WHERE split = 'validation' AND acc_personal_own IS NOT NULL ORDER BY round DESC LIMIT 1"""
COST = """SELECT max(round) AS rounds, sum(bytes_up) AS bytes_up, sum(bytes_down) AS bytes_down,
  sum(flops) AS flops, sum(flops_server) AS flops_server, sum(seconds) AS seconds,
  avg(bytes_up / clients) FILTER (round > 0 AND clients > 0) AS up_each,
  avg(bytes_down / clients) FILTER (round > 0 AND clients > 0) AS down_each,
  avg(bytes_weights_up / clients) FILTER (round > 0 AND clients > 0) AS weights_up,
  avg(bytes_weights_down / clients) FILTER (round > 0 AND clients > 0) AS weights_down
FROM rounds WHERE split = 'validation'"""


def run_page(results: Results) -> Page:
    """Make the page of one run, finished or not."""
    meta, cost = results.meta, results.sql(COST)[0]
    last, planned = int(cost["rounds"] or 0), (meta.get("experiment") or {}).get("rounds")
    figures = present(
        *curves.exhibits_clients(results),
        curves.exhibit_run_curve(results),
        curves.exhibit_losses(results),
        exhibit_balance(results),
        rounds.exhibit_ratios(results),
        rounds.exhibit_divergence(results),
        *masks.exhibits_masks(results),
        signatures.exhibit(results),
        exhibit_partition(results),
        exhibit_classes(results),
    )
    tables = present(
        table_accuracies(results),
        table_domains(results),
        table_communication(results, cost),
        signatures.table(results),
        table_settings(results),
    )
    return page_of(
        results,
        f"{last} of {planned} rounds are finished" if planned else f"{count(last, 'round')} finished",
        [
            Section("Figures", figures),
            Section("Tables", tables),
            Section("What was run", [], facts=facts(results, last)),
            Section("What can be trusted", [Text(points=[*TRUST, *assumptions(results)])]),
        ],
        [
            *use_of_model(results),
            Text(["The same run, every setting spelled out:"], code=run_command(results)),
        ],
        title=f"{meta.get('label', 'A run')} under {meta.get('scenario_label', 'an unnamed scenario')}",
        question="How accurate is this one run, for whom, and at what cost?",
        lead=[sentence(results)],
        flags=signatures.sentences(results),
    )


def sentence(results: Results) -> str:
    """Say what the run reached, and what it should not fall below."""
    meta, last = results.meta, next(iter(results.sql(LAST)), {})
    value, metric = meta.get("result") or last, results.metric
    many = ((meta.get("heterogeneity") or {}).get("achieved") or {}).get("clients")
    subject = f"{meta.get('label', 'The run')} under {meta.get('scenario_label', 'its scenario')}"
    subject += f" with {count(int(many), 'client')}" if many is not None else ""
    own, worst, shared = map(value.get, ("acc_personal_own", "worst_client_accuracy", "acc_shared_own"))
    if own is None:
        return f"{subject} is not evaluated."
    if own != own:
        return f"{subject} diverges: it ended without a finite number."
    text = f"{subject} reaches {percent(own)}% validation {metric} on the clients' own distributions"
    text += f" (worst client {percent(worst)}%)" if worst is not None else ""
    if shared is not None:
        text += f"; {points(own - shared)} points against the shared parameters alone"
    floors = curves.floors_of_run(results)
    below = [f"{name} ({percent(floor)}%)" for name, floor in floors.items() if own < floor]
    above = [f"{name} {percent(floor)}%" for name, floor in floors.items() if own >= floor]
    who, tested = curves.clients_measured(results, 0), (meta.get("test") or {}).get("acc_personal_own")
    opened = f"On the test split, which was opened by request, it is {percent(tested)}%."
    rest = [
        f"{text}.",
        f"It is below {' and '.join(below)}." if below else "",
        f"What needs no training reaches: {'; '.join(above)}." if above else "",
        f"The mean is over {who}." if " of " in who else "",
        "It is one seed, so nothing here is a verdict on the method.",
        opened if tested is not None else "",
    ]
    return " ".join(said for said in rest if said)


def facts(results: Results, last: int) -> list[tuple[str, str]]:
    """Facts on what was run: name and value."""
    meta, experiment = results.meta, results.meta.get("experiment") or {}
    achieved = joined((meta.get("heterogeneity") or {}).get("achieved"))
    return [
        ("data and backbone", data_said(results)),
        ("scenario", f"{meta.get('scenario_label', 'not recorded')} (achieved: {achieved})"),
        ("seed", str(experiment.get("seed", "not recorded"))),
        ("rounds", f"{last} of {experiment.get('rounds', '?')}"),
        ("took", took(results)),
        ("test split", "opened" if meta.get("test") else "never opened"),
        ("model", _model_said(results)),
    ]


def use_of_model(results: Results) -> list[Text]:
    """Return the command that classifies images with the model; nothing where none is saved."""
    if not (results.folder / "model.json").is_file():
        return []
    masks = " --out masks" if results.metric.segments else ""
    command = f"raysim predict {shlex.quote(str(results.folder))} IMAGES{masks}"
    said = "Images of your own, with what was learned (`--client K`: a client's own model):"
    return [Text([said], code=command)]


def _model_said(results: Results) -> str:
    """Say where the model of the run lies."""
    card = results.folder / "model.json"
    if not card.is_file():
        return "not saved: the run is not finished, or was made by an earlier version"
    return f"{card}, tensors in {results.folder / 'checkpoints'}"


def table_accuracies(results: Results) -> Table | None:
    """Make the table of the accuracies, the worst client and the floors; on test where it was opened."""
    found = {(row["name"], row["split"]): row for row in results.sql(ACCURACIES)}
    last = next(iter(results.sql(LAST)), {})
    if not last:
        return None
    splits = [split for split in ("validation", "test") if split in {s for _, s in found}] or ["validation"]
    names = ROW_NAMES | {name: name for name, _ in found if name in FLOORS}
    body = []
    for key, name in names.items():
        cells = [accuracy_text(found.get((key, split))) for split in splits]
        if not any(cells) and last.get(key) is not None:
            cells[0] = f"{percent(last[key])} (one seed)"
        body.append([name, *cells])
    brackets = any("[" in cell for row in body for cell in row[1:])
    basis = f" Brackets: {results.confidence:.0%} intervals over images." if brackets else ""
    when = f"After round {last['round']}; one seed.{basis}"
    head = [str(results.metric), *(f"{split}, %" for split in splits)]
    title, source = capitalized(results.metric.plural), results.shown(ACCURACIES)
    return Table(head, body, when, source, key="table-accuracies", title=title)


def table_communication(results: Results, cost: Row) -> Table | None:
    """Make the table of communication and computation; what was not measured is left out."""
    if not cost["rounds"]:
        return None
    lines: dict[str, tuple[Any, Callable[[Any], str]]] = {
        "shared parameters": (results.meta.get("shared_parameters"), show),
        "up, per client and round": (cost["up_each"], size),
        "down, per client and round": (cost["down_each"], size),
        "of that weights, up": (cost["weights_up"], size),
        "of that weights, down": (cost["weights_down"], size),
        "up, whole run": (cost["bytes_up"], size),
        "down, whole run": (cost["bytes_down"], size),
        "once, at the start": ((results.meta.get("result") or {}).get("bytes_setup"), size),
        "FLOPs of the clients": (cost["flops"], "{:.3g}".format),
        "FLOPs of the server": (cost["flops_server"], "{:.3g}".format),
        "seconds": (cost["seconds"], "{:.1f}".format),
    }
    body = [[name, form(value)] for name, (value, form) in lines.items() if value is not None]
    query = f"{results.shown(COST)}\n-- run.json: shared_parameters, result.bytes_setup"
    about, title = "Bytes are those of the real payloads.", "Communication and cost"
    return Table(["", "communication and cost"], body, about, query, key="table-cost", title=title)


def table_settings(results: Results) -> Table | None:
    """Make the folded table of all settings."""
    body = [
        [Cell(path, "code"), str(value) if isinstance(value, int) else show(value)]  # as it is typed again
        for path, value in flatten(results.meta.get("experiment") or {}).items()
    ]
    query, folded = "SELECT unnest(experiment) FROM read_json('run.json')", f"All {len(body)} settings"
    head = ["setting", "value"]
    return Table(head, body, "", query, folded, "table-settings", "Settings") if body else None
