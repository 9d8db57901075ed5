"""Cohorts."""

from __future__ import annotations

from collections.abc import Sequence

from raysim.core.types import MicroCohort
from raysim.simulation.federation import Federation
from raysim.storage.store import Privates


def micro_cohorts(
    federation: Federation, clients: Sequence[int], privates: Privates, vault: str = ""
) -> list[MicroCohort]:
    """Cut clients into groups of K by falling number of local steps, so that stacks stay full."""
    training = federation.experiment.training
    size = training.micro_cohort if federation.experiment.method.stackable else 1
    ordered = sorted(clients, key=lambda client: (len(federation.shard(client)) // -training.batch, client))
    groups = [tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)]
    return [
        MicroCohort(index, group, tuple(privates.get(client) for client in group), vault)
        for index, group in enumerate(groups)
    ]
