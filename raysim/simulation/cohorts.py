"""Cohorts: the clients of a round and of an evaluation, and the micro-cohorts that they are cut into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from raysim.clients.faults import RoundOutcome
from raysim.core.seeds import numpy_rng
from raysim.core.types import POOLED, MicroCohort
from raysim.simulation.federation import Federation
from raysim.storage.store import Privates


def draw_cohort(federation: Federation, size: int, round_: int) -> list[int]:
    """Draw the clients that are asked to train in a round, ascending.

    Args:
        federation: The clients.
        size: How many are drawn.
        round_: Number of the round, from 0; with the experiment's seed it addresses the draw.
    """
    experiment = federation.experiment
    if experiment.method.traits.pooled:
        return [POOLED]
    rng = numpy_rng(experiment.seed, "cohort", round_)
    return sorted(rng.choice(federation.trainers, size, replace=False).tolist())


def evaluation_sample(federation: Federation, clients: np.ndarray) -> np.ndarray:
    """Choose which of some clients are evaluated: all, or a fixed seeded sample of `evaluation.clients`."""
    experiment = federation.experiment
    most = experiment.evaluation.clients
    if len(clients) <= most:
        return clients
    return np.sort(numpy_rng(experiment.seed, "evaluation").choice(clients, most, replace=False))


def micro_cohorts(
    federation: Federation, clients: Sequence[int], privates: Privates, vault: str = ""
) -> list[MicroCohort]:
    """Cut clients of one architecture into micro-cohorts by falling number of local steps.

    So stacks stay full. They come in even numbers, and the last two are equally large: two workers have
    equally much to do. On any number of workers they are the same.

    Args:
        federation: The clients.
        clients: Numbers of the clients.
        privates: The private states of all clients that have one.
        vault: The folder of the large private states.
    """
    training, method = federation.experiment.training, federation.experiment.method
    size = training.micro_cohort if method.traits.stackable else 1
    exact = method.traits.inputs == "pixels"  # networks run without padding, so equal shards stand together

    def place(client: int) -> tuple[int, int, int]:
        images = len(federation.shard(client))
        return images // -training.batch, -images if exact and size > 1 else 0, client

    ordered = sorted(clients, key=place)
    alike: dict[str, list[int]] = {}
    for client in ordered:
        alike.setdefault(method.architecture(client) if size > 1 else "", []).append(client)
    groups = [group for members in alike.values() for group in _in_pairs(members, size)]
    return [
        MicroCohort(index, group, tuple(privates.get(client) for client in group), vault)
        for index, group in enumerate(groups)
    ]


def _in_pairs(clients: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Cut clients into pairs of groups of `size`; the last pair shares the rest."""
    full = len(clients) - len(clients) % (2 * size)
    half = full + -(-(len(clients) - full) // 2)
    ends = [*range(size, full + 1, size), half, len(clients)]
    groups = [tuple(clients[start:end]) for start, end in pairwise([0, *ends])]
    return [group for group in groups if group]


def training_cohorts(
    federation: Federation, outcome: RoundOutcome, privates: Privates, vault: str
) -> list[MicroCohort]:
    """Cut the clients of a round into micro-cohorts: first those that arrive in time, then the late ones.

    Late clients train too. Clients that dropped out are in none.
    """
    experiment = federation.experiment
    in_time = [
        replace(cohort, needs_client_tensors=experiment.server.robust)
        for cohort in micro_cohorts(federation, outcome.arrived, privates, vault)
    ]
    late = [
        replace(cohort, needs_client_tensors=experiment.faults.stale == "keep")
        for cohort in micro_cohorts(federation, sorted(outcome.late), privates, vault)
    ]
    return [replace(cohort, index=index) for index, cohort in enumerate([*in_time, *late])]
