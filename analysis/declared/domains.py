"""Accuracy of the clients by their main domain: the domain that most of their images have."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..figures.rows import interval_columns, with_firm
from ..look.entries import entries, subject
from ..read.results import Results, Row
from ..stats.intervals import paired, t_interval

LEAST_SHARE = 0.5  # share of a client's images from which on its main domain is meaningful


OWN_METRIC = "acc_personal_own"
RIVALS = ("local", "promptfl")


def main_domains(results: Results, run: str) -> dict[int, tuple[int, float]]:
    """Return client -> its main domain and the share of its training images there; empty without a partition.

    Of equally frequent domains, the first counts.
    """
    partition = results.partition(run)
    if partition is None:
        return {}
    client = partition["client"].to_numpy()
    domain = partition["domain"].to_numpy() if "domain" in partition.column_names else np.zeros_like(client)
    clients, client_rows = np.unique(client, return_inverse=True)
    counts = np.zeros((len(clients), int(domain.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (client_rows, domain), 1)
    return {
        int(number): (int(images.argmax()), float(images.max() / images.sum()))
        for number, images in zip(clients, counts, strict=True)
    }


def tested_clients(results: Results, runs: Sequence[str]) -> dict[str, dict[int, Row]]:
    """Return run -> client -> its row of the clients table on the test split."""
    table = results.table("clients", runs, ["run", "split", "client", *PERSONAL_METRICS])
    run_rows: dict[str, dict[int, Row]] = {}
    if table.num_rows:
        for row in table.filter(pc.equal(table["split"], "test")).to_pylist():
            run_rows.setdefault(row["run"], {})[row["client"]] = row
    return run_rows


def members(
    results: Results, trial: Row, scores: dict[str, dict[int, Row]]
) -> tuple[dict[tuple[int, str], dict[int, list[Row]]], float]:
    """Return the tested clients of each main domain.

    Args:
        results: The sweep.
        trial: A confirmed trial.
        scores: What `tested_clients` returns.

    Returns:
        (Number and name of a domain) -> seed -> rows of its clients; and the share of a client's images in
        its main domain, mean over clients.
    """
    domain_clients: dict[tuple[int, str], dict[int, list[Row]]] = {}
    shares = []
    for seed, run in zip(trial["seeds"], trial.get("runs") or [], strict=False):
        if run not in scores:
            continue
        names = results.run_meta(run).get("domain_names") or []
        for client, (domain, share) in main_domains(results, run).items():
            if client in scores[run]:
                name = names[domain] if domain < len(names) else str(domain)
                seeds = domain_clients.setdefault((domain, name), {})
                seeds.setdefault(seed, []).append(scores[run][client])
                shares.append(share)
    return domain_clients, sum(shares) / len(shares) if shares else 0.0


def table_main_domains(results: Results, compared: Sequence[Row]) -> list[Row]:
    """Return mean test accuracy over the clients of a main domain, by scenario and configuration.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.

    Returns:
        Rows with scenario, place and domain (number and name), label, method, look, metric, values (by seed),
        interval, mean, low, high, seeds, clients (of that domain, mean over seeds) and share (of a client's
        images that lie in its main domain, mean over clients); domains in the dataset's order, configurations
        in the recipe's.
    """
    labels, scenarios = list(entries(results)), list(dict.fromkeys(row["scenario"] for row in compared))
    scores = tested_clients(results, [run for row in compared for run in row["trial"].get("runs") or []])
    rows = []
    for row in (row for row in compared if row["metric"] == OWN_METRIC):
        configuration = {key: row[key] for key in ("scenario", "label", "method", "look")}
        domain_clients, share = members(results, row["trial"], scores)
        for ((place, name), seeds), metric in itertools.product(domain_clients.items(), PERSONAL_METRICS):
            values = _means_by_seed(seeds, metric)
            interval = t_interval(list(values.values()), results.confidence)
            if interval:
                domain = {"place": place, "domain": name, "metric": metric, "values": values, "share": share}
                clients = {"clients": sum(map(len, seeds.values())) / len(seeds)}
                rows.append({**configuration, **domain, **interval_columns(interval), **clients})
    return sorted(
        rows,
        key=lambda row: (
            scenarios.index(row["scenario"]),
            row["place"],
            labels.index(row["label"]),
            row["metric"],
        ),
    )


def _means_by_seed(seeds: Mapping[int, Sequence[Row]], metric: str) -> dict[int, float]:
    """Return seed -> mean of a metric over clients; seeds without a value are left out."""
    values = {
        seed: [c[metric] for c in clients if c.get(metric) is not None] for seed, clients in seeds.items()
    }
    return {seed: sum(v) / len(v) for seed, v in values.items() if v}


def separated_scenarios(rows: Sequence[Row]) -> list[str]:
    """Return the scenarios whose clients hold mostly images of one domain, the most separated first."""
    shares = {r["scenario"]: r["share"] for r in rows}
    return sorted((s for s in shares if shares[s] >= LEAST_SHARE), key=lambda s: -shares[s])


def table_leads(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return the differences of the first entry to its rivals for the clients of each domain.

    Rivals are local-only and PromptFL, or else the first other entry.

    Args:
        results: The sweep.
        rows: Rows of `table_main_domains`.

    Returns:
        Rows with scenario, label, rival, domain, interval (paired by seed) and firm (it remains when adjusted
        for the number of rows), of the scenarios of `separated_scenarios`.
    """
    main, leads = subject(results), []
    for scenario in separated_scenarios(rows):
        own_rows = [row for row in rows if row["scenario"] == scenario and row["metric"] == OWN_METRIC]
        main_rows = {row["domain"]: row for row in own_rows if row["label"] == main}
        others = [row for row in own_rows if row["label"] != main]
        known_rivals = dict.fromkeys(row["label"] for row in others if row["method"] in RIVALS)
        rivals = list(known_rivals) or [row["label"] for row in others][:1]
        for rival, row in itertools.product(rivals, others):
            main_row = main_rows.get(row["domain"]) if row["label"] == rival else None
            interval = paired(main_row["values"], row["values"], results.confidence) if main_row else None
            if interval:
                place = {"scenario": scenario, "label": main, "rival": rival, "domain": row["domain"]}
                leads.append({**place, "interval": interval})
    return with_firm(leads, results.confidence)
