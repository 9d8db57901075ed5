"""The page of one run."""

from __future__ import annotations

from ..figures.inside import divergence, masks, ratios, signatures
from ..figures.outcomes import balance
from ..figures.outcomes.clients import (
    exhibit_classes,
    exhibit_partition,
    exhibits_clients,
    table_clients,
    table_domains,
)
from ..figures.outcomes.curves import exhibit_losses, exhibit_run_curve
from ..look.page import Cell, Page, Part, Section, Table, Text, show
from ..look.words import count, duration, percent, points, size
from ..read.queries import parts
from ..read.results import Results, Row, flatten
from .commands import repeat, run_command
from .shared import OWN, joined, notice, reproduce, small_backbone

FOUR = {
    "acc_personal_own": "personal, own distribution",
    "acc_personal_global": "personal, global split",
    "acc_shared_own": "shared alone, own distribution",
    "acc_shared_global": "shared alone, global split",
    "worst_client_accuracy": "worst client (personal, own)",
}


def run_page(results: Results) -> Page:
    """Everything about one run that its folder tells."""
    rounds = results.rounds()
    clients = table_clients(results)
    signs = signatures.exhibit(results)
    inside = [
        draw(results, rounds)
        for draw in (balance.exhibit_balance, ratios.exhibit_ratios, divergence.exhibit_divergence)
    ]
    found = [*inside, *masks.exhibits_masks(results, rounds), signs]
    figures: list[Part] = [
        *exhibits_clients(clients),
        exhibit_run_curve(rounds),
        exhibit_losses(rounds),
        *(f for f in found if f),
        exhibit_partition(results),
        exhibit_classes(results),
    ]
    tables = [
        table_accuracies(results, rounds),
        table_domains(results),
        table_communication(results, rounds),
        signatures.table(results),
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
        flags=signatures.sentences(results),
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
    """The run's result, or its last evaluated round while it is not finished."""
    evaluated = [r for r in rounds if r.get("acc_personal_own") is not None]
    return results.meta.get("result") or (evaluated[-1] if evaluated else {})


def sentence(results: Results, rounds: list[Row]) -> str:
    """What came out, in words."""
    meta, value = results.meta, final(results, rounds)
    achieved = (meta.get("heterogeneity") or {}).get("achieved") or {}
    many = f" with {count(int(achieved['clients']), 'client')}" if achieved.get("clients") is not None else ""
    who = f"{meta.get('label', 'The run')} under {meta.get('scenario_label', 'its scenario')}{many}"
    if value.get("acc_personal_own") is None:
        return f"{who} has not been evaluated yet."
    worst = value.get("worst_client_accuracy")
    tail = f" (worst client {percent(worst)}%)" if worst is not None else ""
    shared = value.get("acc_shared_own")
    gain = (
        f"; {points(value['acc_personal_own'] - shared)} points against the shared parameters alone"
        if shared is not None
        else ""
    )
    test = meta.get("test") or {}
    own = test.get("acc_personal_own")
    opened = f" On the test split, opened on purpose, it is {percent(own)}%." if own is not None else ""
    return (
        f"{who} reaches {percent(value['acc_personal_own'])}% validation accuracy on the clients' own "
        f"distributions{tail}{gain}. "
        f"It is one seed, so nothing here has an interval or a verdict.{opened}"
    )


def facts(results: Results, rounds: list[Row]) -> list[tuple[str, str]]:
    """What was run."""
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
    """The four accuracies and the worst client; the test split beside them when it was opened."""
    value, test = final(results, rounds), results.meta.get("test") or {}
    if value.get("acc_personal_own") is None:
        return None
    body = [
        [name, percent(value.get(key)), *([percent(test.get(key))] if test else [])]
        for key, name in FOUR.items()
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
    head = ["accuracy", "validation, %", *(["test, %"] if test else [])]
    return Table(head, body, when, query, key="table-accuracies", title="Accuracies")


def table_communication(results: Results, rounds: list[Row]) -> Table | None:
    """What was sent and computed."""
    sums = ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down", "flops", "seconds")
    so_far = {key: sum(r.get(key) or 0 for r in rounds) for key in sums}
    result = results.meta.get("result") or so_far
    trained = [r for r in rounds if r["round"] > 0 and r.get("clients")]
    if not trained:
        return None
    per = {key: sum((r.get(key) or 0) / r["clients"] for r in trained) / len(trained) for key in sums[:4]}
    apart = any(r.get("bytes_weights_up") is not None for r in trained)
    shared = results.meta.get("shared_parameters")
    weights = [[f"of that weights, {way}", size(per[f"bytes_weights_{way}"])] for way in ("up", "down")]
    body = [
        ["shared parameters", show(shared)],
        ["up, per client and round", size(per["bytes_up"])],
        ["down, per client and round", size(per["bytes_down"])],
        *(weights if apart else []),
        ["up, whole run", size(result.get("bytes_up"))],
        ["down, whole run", size(result.get("bytes_down"))],
        ["once, at the start", size(result.get("bytes_setup"))],
        ["FLOPs", f"{result.get('flops') or 0:.3g}"],
        ["seconds", f"{result.get('seconds') or 0:.1f}"],
    ]
    of_weights = "".join(
        f", avg(bytes_weights_{way} / clients) FILTER (round > 0) AS weights_{way}" for way in ("up", "down")
    )
    query = f"""SELECT avg(bytes_up / clients) FILTER (round > 0) AS up_each, avg(bytes_down / clients) FILTER (round > 0) AS down_each,
       sum(bytes_up) AS up, sum(bytes_down) AS down, sum(flops) AS flops, sum(seconds) AS seconds{of_weights if apart else ""}
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
    """The whole experiment, folded away."""
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
    """What this page can and cannot show."""
    task = (results.meta.get("experiment") or {}).get("task") or {}
    return [
        "One seed. Differences between two such runs of a few points are usually chance; compare with "
        "several seeds.",
        "Spread between clients is not uncertainty of the mean.",
        OWN,
        *small_backbone(task.get("backbone")),
    ]
