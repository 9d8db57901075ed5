"""Fixtures of prompt methods: a worker of the small federation, and a batch of two of its clients."""

from __future__ import annotations

import pytest

from raysim.core.types import Batch
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import small


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Federation.of(small()))


@pytest.fixture(scope="module")
def batch(worker: Worker) -> Batch:
    return worker.batches.stack([worker.batches.plan(client, 0, 1, "batches")[0] for client in range(2)])
