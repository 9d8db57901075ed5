"""Clients for the explore page: images, skew and accuracy of each client, run by run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..look.words import count
from ..read.results import TESTED, Results, Row
from .columns import filled, measured, number, title_of
from .curves import left_out, owners_of, spread

MAX_POINTS = 20_000  # clients of all runs together: about 1.5 MB
MAX_PER_RUN = 500
OTHER = {
    "images": "training images",
    "classes": "classes with training images",
    "largest": "share of the most frequent class",
    "js": "label divergence from all clients (Jensen-Shannon, bits)",
    "loss": "training loss",
}


def clients_of(results: Results) -> Row:
    """Return the clients of runs at their last evaluation.

    Returns:
        `groups`: a record per run and split with `run`, `trials` (positions of its trials), `seed`, `split`,
        `round`, `columns` (name -> number per client; `client` is its number), `names` of the clients
        where they exist, and `notes`; `titles` of the columns; `notes`: which runs were left out.
    """
    table = _last_evaluations(results)
    order, owners = _order(results, table), owners_of(results)
    groups: list[Row] = []
    points = 0
    skews: dict[str, dict[int, Row]] = {}
    for run, split in order:
        rows = table.filter(pc.and_(pc.equal(table["run"], run), pc.equal(table["split"], split)))
        rows = rows.sort_by("client")
        if points + min(len(rows), MAX_PER_RUN) > MAX_POINTS:
            break
        if run not in skews:
            skews[run] = skew_of(results.partition(None if results.kind == "run" else run))
        places, seed = owners.get(run, ([], None))
        groups.append(_group(rows, skews[run]) | {"run": run, "split": split, "trials": places, "seed": seed})
        groups[-1] |= _names(results, run, groups[-1]["columns"]["client"])
        points += len(groups[-1]["columns"]["client"])
    notes = []
    if len(groups) < len(order):
        notes.append(
            f"Clients of {count(len(groups), 'evaluation')} of {len(order):,} are on this page, tested "
            "configurations and first seeds before others. All clients are in tables/clients."
        )
    names = {name for group in groups for name in group["columns"]}
    titles = {name: OTHER.get(name) or title_of(name, results.metric) for name in [*OTHER, *measured(names)]}
    return {"groups": groups, "titles": {k: v for k, v in titles.items() if k in names}, "notes": notes}


def _names(results: Results, run: str, clients: list[int]) -> Row:
    """Return the names of these clients where clients exist; nothing where they are drawn."""
    meta = results.meta if results.kind == "run" else results.run_meta(run)
    names = meta.get("client_names")
    if not isinstance(names, list) or not all(client < len(names) for client in clients):
        return {}
    return {"names": [str(names[client]) for client in clients]}


def _last_evaluations(results: Results) -> pa.Table:
    """Return the clients at the last evaluated round of each run and split, with their numbers."""
    table = results.table("clients")
    if "acc_personal_own" not in table.column_names:
        return pa.table({"run": pa.array([], pa.string()), "split": pa.array([], pa.string())})
    names = measured(table.column_names)
    table = table.select(
        [
            n
            for n in ("run", "split", "round", "client", "examples", *names, "loss")
            if n in table.column_names
        ]
    )
    if "split" not in table.column_names:
        table = table.append_column("split", pa.array(["validation"] * len(table), pa.string()))
    table = table.filter(pc.is_valid(table["acc_personal_own"]))
    last = table.group_by(["run", "split"]).aggregate([("round", "max")])
    kept = table.join(last, ["run", "split"])
    return kept.filter(pc.equal(kept["round"], kept["round_max"])).drop_columns(["round_max"])


def _order(results: Results, table: pa.Table) -> list[tuple[str, str]]:
    """Return run and split of each evaluation: first seeds before others, tested trials before others."""
    there = {(r["run"], r["split"]) for r in table.group_by(["run", "split"]).aggregate([]).to_pylist()}
    ranks: dict[str, tuple[int, bool, int]] = {}
    tested = set()
    for place, row in enumerate(results.trials):
        for rank, run in enumerate(row.get("runs") or []):
            mine = (rank, row.get("kind") not in TESTED, place)
            ranks[run] = min(ranks.get(run, mine), mine)
            tested |= {run} if row.get("kind") in TESTED else set()
    last = (len(table), True, 0)  # a single run, or one whose trial has not ended
    shown = [key for key in there if key[1] == "validation" or results.kind == "run" or key[0] in tested]
    return sorted(shown, key=lambda key: (ranks.get(key[0], last), key[1] == "test", key[0]))


def _group(rows: pa.Table, skew: dict[int, Row]) -> Row:
    """Return the columns of one run and split, and what was left out of them."""
    kept = rows.take(spread(len(rows), MAX_PER_RUN))
    clients = kept["client"].to_pylist()
    columns: Row = {"client": clients}
    for name in (*measured(kept.column_names), "loss"):
        if name in kept.column_names:
            columns[name] = [number(value) for value in kept[name].to_pylist()]
    for name in ("images", "classes", "largest", "js"):
        columns[name] = [skew.get(client, {}).get(name) for client in clients]
    if not skew and "examples" in kept.column_names:
        columns["images"] = kept["examples"].to_pylist()
    notes = left_out(len(kept), len(rows), "client")
    if not skew:
        notes.append("The file partition.parquet of this run is missing or damaged, so skew is not shown.")
    return {"round": kept["round"][0].as_py(), "columns": filled(columns), "notes": notes}


def skew_of(partition: pa.Table | None) -> dict[int, Row]:
    """Return client -> its training images, classes, share of the largest class, and divergence.

    The divergence is the Jensen-Shannon divergence of the client's class frequencies from those of all
    clients, in bits: 0 where they are the same, 1 where they share nothing.

    Args:
        partition: Client and label of each training image; None where there is no such file.
    """
    if partition is None or not len(partition):
        return {}
    clients, place = np.unique(partition["client"].to_numpy(), return_inverse=True)
    labels = partition["label"].to_numpy()
    counts = np.zeros((len(clients), int(labels.max()) + 1))
    np.add.at(counts, (place, labels), 1)
    shares, total = counts / counts.sum(1, keepdims=True), counts.sum(0) / counts.sum()
    js = _entropy((shares + total) / 2) - (_entropy(shares) + _entropy(total)) / 2
    return {
        int(client): {
            "images": int(counts[i].sum()),
            "classes": int((counts[i] > 0).sum()),
            "largest": number(float(shares[i].max())),
            "js": number(float(np.clip(js[i], 0, 1))),
        }
        for i, client in enumerate(clients)
    }


def _entropy(shares: Any) -> Any:
    """Return the entropy in bits over the last axis."""
    return -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(-1)
