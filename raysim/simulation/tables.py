"""Rows of a finished round, and the description of a run in run.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from raysim.clients.heterogeneity import partition_table
from raysim.core.columns import TRAFFIC_COLUMNS
from raysim.core.types import POOLED, InitialState, RoundRecord, Update
from raysim.experiment.records import to_dict
from raysim.simulation.federation import Federation
from raysim.simulation.images import contents_of, images_of


def with_training(
    record: RoundRecord, updates: Sequence[Update], columns: Mapping[str, float]
) -> RoundRecord:
    """Add the metrics, traffic and FLOPs of the training to the record of a round.

    Args:
        record: The evaluation of the round; empty where it was not evaluated.
        updates: The updates of all clients that trained.
        columns: What the clock adds to the row of the round.

    Returns:
        The record with mean metrics, traffic and FLOPs in the row of the round, and each client's own metrics
        in its row.
    """
    client_rows = {row["client"]: row for row in record.clients}
    sums: dict[str, list[float]] = {}
    for update in updates:
        for name, (totals, counts) in update.metrics.items():
            pair = sums.setdefault(name, [0.0, 0.0])
            pair[0] += float(totals.sum())
            pair[1] += float(counts.sum())
        for k, (client, images) in enumerate(zip(update.clients, update.examples, strict=True)):
            if client != POOLED:
                means = {
                    name: float(total[k] / count[k])
                    for name, (total, count) in update.metrics.items()
                    if count[k]
                }
                row = client_rows.get(client, {"client": client})
                client_rows[client] = {**row, "examples": int(images), **means}
    row = {
        **record.row,
        **{name: total / count for name, (total, count) in sums.items()},
        "clients": sum(len(update.clients) for update in updates),
        **{name: sum(getattr(update, name) for update in updates) for name in TRAFFIC_COLUMNS},
        "flops": record.row.get("flops", 0.0) + sum(update.flops for update in updates),
    }
    row |= {name: row.get(name, 0) + value for name, value in columns.items()}
    return replace(record, row=row, clients=[client_rows[client] for client in sorted(client_rows)])


def partition(federation: Federation) -> pa.Table:
    """Return the table of the images with the clients that hold them."""
    images = federation.images
    return partition_table(
        list(federation.shards),
        images.labels,
        images.domains,
        np.arange(len(images.labels)),
        federation.noisy,
        None if images.given is None else images.given.names,
    )


def images_used(federation: Federation) -> dict[str, Any]:
    """Return how many images a run uses, and the settings that leave the others out.

    Returns:
        images_used: Images that clients that may train, or the server, hold.
        images_train: Images of the task's classes that are for training.
        images_total: All images of the task's classes.
        images_reasons: Paths of the settings for which the first number is smaller than the second; no path
            where all are used.
    """
    experiment, images = federation.experiment, federation.images
    task, scenario = experiment.task, experiment.scenario
    train, samples = images.indices("train"), federation.samples
    left_to_clients = np.bincount(images.labels[np.setdiff1d(train, samples)])
    dealable = np.minimum(left_to_clients, task.shots or left_to_clients).sum()
    dealt, held = sum(map(len, federation.shards)), len(federation.shard(POOLED))
    traits = experiment.method.traits
    counted = len(samples) if traits.needs_samples else 0
    used = held + counted if traits.trains else 0
    lost = {
        "task.ses": len(samples) - counted,
        "task.shots": left_to_clients.sum() - dealable,
        f"scenario={scenario.name}": dealable - dealt,
        "evaluation.newcomers": dealt - held,
    }
    reasons = [path for path, images_lost in lost.items() if images_lost > 0]
    return {
        "images_used": used,
        "images_train": len(train),
        "images_total": int((images.parts >= 0).sum()),
        "images_reasons": reasons if traits.trains else [f"method={experiment.method.name}"],
    }


def owners_record(federation: Federation) -> dict[str, Any]:
    """Return what run.json says about clients that exist; nothing where they are drawn.

    Returns:
        client_names: Name of each client.
        owners: `source` in words, `content` (a digest of who holds which image of which split), `absent`
            (names of clients without an image for training), `unnamed_images` (images that nobody holds
            for training, or that are in no split), `drawn_splits` (splits that nothing says).
    """
    given = federation.images.given
    if given is None:
        return {}
    return {
        "client_names": list(given.names),
        "owners": {
            "source": federation.experiment.scenario.skew,
            "content": given.digest,
            "absent": list(given.absent),
            "unnamed_images": given.unnamed,
            "drawn_splits": list(given.drawn),
        },
    }


def description(federation: Federation, initial: InitialState, corrupt: Set[int]) -> dict[str, Any]:
    """Return the record of a run in run.json, as it starts or goes on.

    Args:
        federation: The clients.
        initial: What the run starts from.
        corrupt: The clients whose updates are corrupt.
    """
    experiment, images, task = federation.experiment, federation.images, federation.experiment.task
    newcomers = federation.newcomers.tolist()
    optional = {
        "novel_class_names": list(images_of(experiment, novel=True).class_names) if task.novel else [],
        "newcomers": newcomers,
        "corrupt_clients": sorted(corrupt),
    }
    return {
        "id": experiment.id,
        "kind": "run",
        "status": "running",
        "label": experiment.method.name,
        "scenario_label": experiment.scenario.label,
        "experiment": to_dict(experiment),
        "class_names": list(images.class_names),
        "domain_names": list(images.domain_names),
        "heterogeneity": federation.heterogeneity(),
        "metric": "mIoU" if task.kind == "segmentation" else "accuracy",
        "server_samples": len(federation.samples),
        "dataset": contents_of([task])[0],
        **images_used(federation),
        **owners_record(federation),
        "patches": initial.patches,
        "shared_parameters": sum(tensor.numel() for tensor in initial.state.shared.values()),
        **{name: values for name, values in optional.items() if values},
    }
