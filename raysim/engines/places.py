"""Where things are on a cluster: the node of this process, and whether all actors see a run's folder.

The driver of a run writes its folder. It stays on the node where the command was typed, so that no result
lies on a worker that may be taken away. A worker on another host need not see that folder: then the large
private states of its clients travel in messages, and the driver writes them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysim.core.errors import UserError
from raysim.core.types import MicroCohort, StoredState, Update
from raysim.engines.calls import answers
from raysim.storage.vault import fetch, keep

DIGITS = 12  # of a fingerprint in a message
SLIVER = 0.001  # of a node's own resource: it places a process and reserves nothing


def here() -> NodeAffinitySchedulingStrategy:
    """Return the strategy that places an actor on the node of this process, and nowhere else."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def bundle_here() -> dict[str, float]:
    """Return a bundle that only the node of this process can give."""
    return {f"node:{ray.util.get_node_ip_address()}": SLIVER}


def nodes() -> int:
    """Return the number of nodes that are alive."""
    return sum(node["Alive"] for node in ray.nodes())


def check_images(fingerprints: Sequence[tuple[str, str]]) -> None:
    """Check that all hosts have the same images.

    Args:
        fingerprints: Host and fingerprint of the images, of each worker.

    Raises:
        UserError: Two differ.
    """
    hosts = {digest: host for host, digest in reversed(fingerprints)}
    if len(hosts) > 1:
        listed = ", ".join(f"{host} {digest[:DIGITS]}" for digest, host in hosts.items())
        raise UserError(
            f"task.dataset: the hosts have different images (fingerprints: {listed}); give every node "
            "the same files, and RAYSIM_DATA the folder where they lie there"
        )


def blind(folder: Path, actors: Sequence[Any]) -> list[str]:
    """Return the names of the hosts that do not see a folder of this node, sorted.

    Args:
        folder: The folder; it is made where it is not there yet.
        actors: Handles of client actors.
    """
    if nodes() < 2:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".seen-{uuid.uuid4().hex}"
    probe.touch()
    try:
        return sorted({*answers([partial(actor.misses.remote, str(probe)) for actor in actors])} - {""})
    finally:
        probe.unlink()


def travel_words(blind_hosts: Sequence[str]) -> str:
    """Return how the large private states of a run travel; the bits are the same.

    Args:
        blind_hosts: Hosts that do not see the run's folder.
    """
    if not blind_hosts:
        return "states of clients above 64 KB travel as files in the run's folder, which all hosts see"
    see = "does" if len(blind_hosts) == 1 else "do"
    return (
        f"states of clients above 64 KB travel in messages, and this host writes them: "
        f"{', '.join(blind_hosts)} {see} not see the run's folder"
    )


def vault_of(micro_cohorts: Sequence[MicroCohort]) -> str:
    """Return the folder of large private states that micro-cohorts name; empty where none has clients."""
    return next((cohort.vault for cohort in micro_cohorts if cohort.vault), "")  # the server's model has none


def packed(micro_cohorts: Sequence[MicroCohort]) -> list[MicroCohort]:
    """Return micro-cohorts whose large private states travel along, as references into Ray's object store."""
    return [
        replace(
            cohort,
            private=tuple(
                ray.put(fetch(private, Path(cohort.vault))) if isinstance(private, StoredState) else private
                for private in cohort.private
            ),
            vault="",
        )
        for cohort in micro_cohorts
    ]


def unpacked(micro_cohorts: Iterable[MicroCohort]) -> Iterator[MicroCohort]:
    """Yield micro-cohorts with their private states, fetched one micro-cohort at a time."""
    for cohort in micro_cohorts:
        states = tuple(
            ray.get(private) if isinstance(private, ray.ObjectRef) else private for private in cohort.private
        )
        yield replace(cohort, private=states)


def kept(update: Update, vault: str) -> Update:
    """Return an update whose large private states lie in the vault of this node."""
    states = tuple(
        private if isinstance(private, StoredState) else keep(private, vault) for private in update.private
    )
    return replace(update, private=states)
