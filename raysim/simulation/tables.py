"""Tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raysim.core.types import POOLED, TRAFFIC, RoundRecord, Score, Update


def _observed(scores: Sequence[Score]) -> dict[int, dict[str, float]]:
    """What the method measured about each client's model, by client."""
    found: dict[int, dict[str, float]] = {}
    for score in scores:
        for k, client in enumerate(score.clients):
            found[client] = {name: float(values[k]) for name, values in score.observed.items()}
    return found


def _with_training(record: RoundRecord, updates: Sequence[Update], found: Mapping[str, float]) -> RoundRecord:
    """Add what training measured: mean metrics, traffic and FLOPs to the row, each client's own metrics to its row; and what was found."""
    rows = {row["client"]: row for row in record.clients}
    sums: dict[str, list[float]] = {}
    for update in updates:
        for name, (totals, counts) in update.metrics.items():
            pair = sums.setdefault(name, [0.0, 0.0])
            pair[0] += float(totals.sum())
            pair[1] += float(counts.sum())
        for k, (client, images) in enumerate(zip(update.clients, update.examples, strict=True)):
            if client != POOLED:
                own = {
                    name: float(totals[k] / counts[k]) for name, (totals, counts) in update.metrics.items()
                }
                rows[client] = {**rows.get(client, {"client": client}), "examples": int(images), **own}
    row = {
        **record.row,
        **{name: total / count for name, (total, count) in sums.items()},
        "clients": sum(len(update.clients) for update in updates),
        **{name: sum(getattr(update, name) for update in updates) for name in TRAFFIC},
        "flops": record.row.get("flops", 0.0) + sum(update.flops for update in updates),
    }
    row |= {name: row.get(name, 0) + value for name, value in found.items()}
    return RoundRecord(record.round, row, [rows[client] for client in sorted(rows)], record.classes)
