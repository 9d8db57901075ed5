"""The page of one run."""

from __future__ import annotations

from ..figures.inside import divergence, masks, ratios, signature_figures
from ..figures.outcomes import balance
from ..figures.outcomes.classes import exhibit_classes, table_domains
from ..figures.outcomes.clients import exhibits_clients, table_clients
from ..figures.outcomes.partition import exhibit_partition
from ..figures.outcomes.run_curves import exhibit_losses, exhibit_run_curve
from ..look.page import Cell, Page, Part, Section, Table, Text, show
from ..look.words import TITLES, capitalized, count, duration, percent, points, size
from ..read.queries import parts
from ..read.results import Results, Row, flatten
from .commands import repeat, run_command
from .shared import assumptions, joined, notice, reproduce

ROW_NAMES = {**TITLES, "worst_client_accuracy": "worst client (personal, own)"}


def run_page(results: Results) -> Page:
    """Make the page of one run, finished or not."""
    rounds = results.rounds()
    clients = table_clients(results)
    signs = signature_figures.exhibit(results)
    inside = [
        draw(results, rounds)
        for draw in (balance.exhibit_balance, ratios.exhibit_ratios, divergence.exhibit_divergence)
    ]
    optional = [*inside, *masks.exhibits_masks(results, rounds), signs]
    figures: list[Part] = [
        *exhibits_clients(clients, results.metric),
        exhibit_run_curve(rounds, results.metric),
        exhibit_losses(rounds),
        *(figure for figure in optional if figure),
        exhibit_partition(results),
        exhibit_classes(results),
    ]
    tables = [
        table_accuracies(results, rounds),
        table_domains(results),
        table_communication(results, rounds),
        signature_figures.table(results),
        table_settings(results),
    ]
    meta = results.meta
    planned = (meta.get("experiment") or {}).get("rounds")
    last = max((r["round"] for r in rounds), default=0)
    done = f"{last} of {planned} rounds are finished" if planned else f"{count(last, 'round')} finished"
    return Page(
        title=f"{meta.get('label', 'A run')} under {meta.get('scenario_label', 'an unnamed scenario')}",
        question="How accurate is this one run, for whom, and at what cost?",
        lead=[sentence(results, rounds)],
        flags=signature_figures.sentences(results),
        notice=notice(results, done),
        commands=repeat(results),
        sections=[
            Section("Figures", figures),
            Section("Tables", [t for t in tables if t]),
            Section("What was run", [], facts=facts(results, rounds)),
            Section("What can be trusted", [Text(points=trust(results))]),
            reproduce(results, Text(["The same run, every setting spelled out:"], code=run_command(results))),
        ],
    )


def final(results: Results, rounds: list[Row]) -> Row:
    """Return the result of the run, or its last evaluated round while it is not finished."""
    evaluated = [r for r in rounds if r.get("acc_personal_own") is not None]
    return results.meta.get("result") or (evaluated[-1] if evaluated else {})


def sentence(results: Results, rounds: list[Row]) -> str:
    """Say what the run reached."""
    meta, value = results.meta, final(results, rounds)
    achieved = (meta.get("heterogeneity") or {}).get("achieved") or {}
    many = f" with {count(int(achieved['clients']), 'client')}" if achieved.get("clients") is not None else ""
    subject = f"{meta.get('label', 'The run')} under {meta.get('scenario_label', 'its scenario')}{many}"
    if value.get("acc_personal_own") is None:
        return f"{subject} has not been evaluated yet."
    worst = value.get("worst_client_accuracy")
    tail = f" (worst client {percent(worst)}%)" if worst is not None else ""
    shared = value.get("acc_shared_own")
    gain = (
        f"; {points(value['acc_personal_own'] - shared)} points against the shared parameters alone"
        if shared is not None
        else ""
    )
    test = meta.get("test") or {}
    on_test = test.get("acc_personal_own")
    opened = (
        f" On the test split, which was opened by request, it is {percent(on_test)}%."
        if on_test is not None
        else ""
    )
    return (
        f"{subject} reaches {percent(value['acc_personal_own'])}% validation {results.metric} on the "
        f"clients' own distributions{tail}{gain}. It is one seed, so "
        f"nothing here has an interval or a verdict.{opened}"
    )


def facts(results: Results, rounds: list[Row]) -> list[tuple[str, str]]:
    """Facts on what was run: name and value."""
    meta = results.meta
    experiment, achieved = (
        meta.get("experiment") or {},
        (meta.get("heterogeneity") or {}).get("achieved") or {},
    )
    task = experiment.get("task") or {}
    seconds = meta.get("seconds") or (meta.get("result") or {}).get("seconds")
    took = (
        f"{duration(seconds)} on {joined(meta.get('hardware'))}"
        if meta.get("hardware")
        else duration(seconds)
    )
    return [
        (
            "data and backbone",
            f"{task.get('dataset', 'not recorded')}, {task.get('backbone') or 'no backbone'}",
        ),
        ("scenario", f"{meta.get('scenario_label', 'not recorded')} (achieved: {joined(achieved)})"),
        ("seed", str(experiment.get("seed", "not recorded"))),
        ("rounds", f"{max((r['round'] for r in rounds), default=0)} of {experiment.get('rounds', '?')}"),
        ("took", took),
        ("test split", "opened" if meta.get("test") else "never opened"),
    ]


def table_accuracies(results: Results, rounds: list[Row]) -> Table | None:
    """Make the table of the four accuracies and the worst client, on test too where that was opened."""
    value, test = final(results, rounds), results.meta.get("test") or {}
    if value.get("acc_personal_own") is None:
        return None
    body = [
        [name, percent(value.get(key)), *([percent(test.get(key))] if test else [])]
        for key, name in ROW_NAMES.items()
    ]
    last = (
        f"SELECT * FROM {parts('rounds')} WHERE split = 'validation' AND acc_personal_own IS NOT NULL "
        "ORDER BY round DESC LIMIT 1"
    )
    query = (
        "SELECT 'validation' AS split, unnest(result) FROM read_json('run.json')"
        if results.meta.get("result")
        else last
    )
    query += (
        "\nUNION ALL BY NAME SELECT 'test' AS split, unnest(test) FROM read_json('run.json')" if test else ""
    )
    when = "After the last round." if results.meta.get("result") else "After the last evaluated round."
    head = [str(results.metric), "validation, %", *(["test, %"] if test else [])]
    return Table(head, body, when, query, key="table-accuracies", title=capitalized(results.metric.plural))


def table_communication(results: Results, rounds: list[Row]) -> Table | None:
    """Make the table of communication and computation."""
    sums = ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down", "flops", "seconds")
    so_far = {key: sum(r.get(key) or 0 for r in rounds) for key in sums}
    result = results.meta.get("result") or so_far
    trained = [r for r in rounds if r["round"] > 0 and r.get("clients")]
    if not trained:
        return None
    per = {key: sum((r.get(key) or 0) / r["clients"] for r in trained) / len(trained) for key in sums[:4]}
    with_weights = any(r.get("bytes_weights_up") is not None for r in trained)
    shared = results.meta.get("shared_parameters")
    weights = [[f"of that weights, {way}", size(per[f"bytes_weights_{way}"])] for way in ("up", "down")]
    body = [
        ["shared parameters", show(shared)],
        ["up, per client and round", size(per["bytes_up"])],
        ["down, per client and round", size(per["bytes_down"])],
        *(weights if with_weights else []),
        ["up, whole run", size(result.get("bytes_up"))],
        ["down, whole run", size(result.get("bytes_down"))],
        ["once, at the start", size(result.get("bytes_setup"))],
        ["FLOPs", f"{result.get('flops') or 0:.3g}"],
        ["seconds", f"{result.get('seconds') or 0:.1f}"],
    ]
    of_weights = "".join(
        f", avg(bytes_weights_{way} / clients) FILTER (round > 0) AS weights_{way}" for way in ("up", "down")
    )
    query = f"""SELECT avg(bytes_up / clients) FILTER (round > 0) AS up_each,
       avg(bytes_down / clients) FILTER (round > 0) AS down_each,
       sum(bytes_up) AS up, sum(bytes_down) AS down, sum(flops) AS flops,
       sum(seconds) AS seconds{of_weights if with_weights else ""}
FROM {parts("rounds")} WHERE split = 'validation'"""
    query += "\n-- run.json: shared_parameters, result.bytes_setup"
    return Table(
        ["", "communication and cost"],
        body,
        "Bytes are those of the real payloads.",
        query,
        key="table-cost",
        title="Communication and cost",
    )


def table_settings(results: Results) -> Table | None:
    """Make the folded table of all settings."""
    settings = [
        [Cell(path, "code"), show(value)]
        for path, value in flatten(results.meta.get("experiment") or {}).items()
    ]
    query = "SELECT unnest(experiment) FROM read_json('run.json')"
    return (
        Table(
            ["setting", "value"],
            settings,
            source=query,
            folded=f"All {len(settings)} settings",
            key="table-settings",
            title="Settings",
        )
        if settings
        else None
    )


def trust(results: Results) -> list[str]:
    """Sentences on what this page can and cannot show."""
    return [
        "One seed. Differences between two such runs of a few points are usually chance; compare with "
        "several seeds.",
        "Spread between clients is not uncertainty of the mean.",
        *assumptions(results),
    ]
