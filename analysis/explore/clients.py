"""Clients for the explore page: images, skew and accuracy of each client, run by run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ..figures.rows import grouped
from ..look.words import count
from ..read.results import Results, Row
from .columns import ACCURACIES, filled, finite, left_out, spread, titles_of
from .curves import OWNERS

MAX_POINTS = 20_000  # clients of all runs together: about 1.5 MB
MAX_PER_RUN = 500
SKEW = ("images", "classes", "largest", "js")
MEASURED = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global", "loss")
LAST = f"""last AS (
  SELECT run, coalesce(split, 'validation') AS split, round, client, examples,
    {finite(*MEASURED)}
  FROM clients
  WHERE acc_personal_own IS NOT NULL
  QUALIFY clients.round = max(clients.round) OVER (PARTITION BY run, coalesce(clients.split, 'validation'))
)"""
EVALUATIONS = f"""WITH {LAST}, {OWNERS}
SELECT run, split, coalesce(any_value(trials), []) AS trials, any_value(seed) AS seed, count(*) AS clients
FROM last LEFT JOIN owners USING (run) WHERE split = 'validation' OR tested OR run = $alone
GROUP BY run, split ORDER BY any_value(place) NULLS LAST, split = 'test', run"""
# js: the Jensen-Shannon divergence between the classes of a client and those of all clients, in bits; 0 where
# they are the same, 1 where they share nothing.
CLIENTS = f"""WITH {LAST}, counts AS (
  SELECT coalesce(run, $alone) AS run, client, label, count(*) AS images FROM partition GROUP BY ALL
), shares AS (
  SELECT *, images / sum(images) OVER (PARTITION BY run, client) AS p,
    sum(images) OVER (PARTITION BY run, label) / sum(images) OVER (PARTITION BY run) AS q
  FROM counts WHERE run IN $runs
), skew AS (
  SELECT run, client, sum(images)::BIGINT AS images, count(*) AS classes, max(p) AS largest,
    greatest(0, sum(p * log2(2 * p / (p + q)) + q * log2(2 * q / (p + q))) + 1 - sum(q)) / 2 AS js
  FROM shares GROUP BY ALL
)
SELECT last.*, skew.* EXCLUDE (run, client) FROM last LEFT JOIN skew USING (run, client)
WHERE run IN $runs ORDER BY run, split, client"""


def clients_of(results: Results) -> Row:
    """Return the clients of runs at their last evaluation.

    Returns:
        `groups`: a record per run and split with `run`, `trials` (positions of its trials), `seed`, `split`,
        `round`, `columns` (name -> number per client; `client` is its number), `names` of the clients
        where they exist, and `notes`; `titles` of the columns; `notes`: which runs were left out.
    """
    alone = str(results.meta.get("id") or "") if results.kind == "run" else ""
    evaluations = results.sql(EVALUATIONS, alone=alone)
    points = itertools.accumulate(min(row.pop("clients"), MAX_PER_RUN) for row in evaluations)
    kept = [row for row, total in zip(evaluations, list(points), strict=True) if total <= MAX_POINTS]
    runs = sorted({row["run"] for row in kept})
    clients = grouped(results.sql(CLIENTS, runs=runs, alone=alone) if runs else [], "run", "split")
    groups = [{**row, **_group(clients[row["run"], row["split"]])} for row in kept]
    for group in groups:
        group |= _names(results, group["run"], group["columns"]["client"])
    notes = []
    if len(kept) < len(evaluations):
        notes.append(
            f"Clients of {count(len(kept), 'evaluation')} of {len(evaluations):,} are on this page, tested "
            "configurations and first seeds before others. All clients are in tables/clients."
        )
    names = [name for name in (*SKEW, "loss", *ACCURACIES) if any(name in g["columns"] for g in groups)]
    return {"groups": groups, "titles": titles_of(names, results.metric), "notes": notes}


def _names(results: Results, run: str, clients: list[int]) -> Row:
    """Return the names of these clients where clients exist; nothing where they are drawn."""
    meta = results.meta if results.kind == "run" else results.run_meta(run)
    names = meta.get("client_names")
    if not isinstance(names, list) or not all(client < len(names) for client in clients):
        return {}
    return {"names": [str(names[client]) for client in clients]}


def _group(rows: Sequence[Row]) -> Row:
    """Return the columns of one run and split, and what was left out of them."""
    kept, notes = spread(rows, MAX_PER_RUN), left_out(min(len(rows), MAX_PER_RUN), len(rows), "client")
    if not any(row["images"] for row in rows):
        kept = [{**row, "images": row["examples"]} for row in kept]
        notes.append("The file partition.parquet of this run is missing or damaged, so skew is not shown.")
    columns = filled(kept, ("client", *MEASURED, *SKEW))
    return {"round": rows[0]["round"], "columns": columns, "notes": notes}
