"""What a plan says of a larger federation of clients like the planned ones, and what runs out first in it.

Time, files and memory grow with clients, so a measured client tells what a million of them take. How accurate
they become it does not tell.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from raysim.api.costs import Costs
from raysim.cli.nodes import HOUR, Node, actors_of_node, node_lines
from raysim.core.console import duration
from raysim.core.errors import UserError
from raysim.core.words import count
from raysim.experiment.records import Experiment
from raysim.simulation.federation import Federation
from raysim.simulation.images import Frozen
from raysim.storage.vault import LARGE

GIB = 2.0**30
DAY = 24 * HOUR
OBJECT = 150  # bytes of a small array in Python beside its numbers (measured)
STATE = 700  # bytes of a small private state beside its numbers (measured)


@dataclass(frozen=True)
class Client:
    """What one client brings, in the mean of the planned federation.

    Attributes:
        images: Training images.
        inputs: Bytes of their inputs, on the disk of every node and mapped into memory.
        head: Bytes in the memory of the driver: its images' numbers, its classes and its private state.
        disk: Bytes of its private state in the folder of results.
        payload: Bytes that it sends, and receives, in a round.
    """

    images: float
    inputs: float
    head: float
    disk: float
    payload: int


def client_of(federation: Federation, frozen: Frozen, costs: Costs, payload: int) -> Client:
    """Return what a client of a federation brings.

    Args:
        federation: The planned federation.
        frozen: Its inputs, or a sample that stands for them.
        costs: What was measured for it.
        payload: Bytes of the shared parameters.
    """
    clients = federation.clients
    images = sum(len(shard) for shard in federation.shards) / clients
    arrays = (getattr(federation, field.name) for field in dataclasses.fields(federation))
    statistics = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
    indices = sum(shard.nbytes + OBJECT for shard in federation.shards)
    state = costs.kept + STATE if 0 < costs.kept <= LARGE else 0.0  # larger ones stay in their files
    rows = [frozen.x[:1]] + ([] if frozen.masks is None else [frozen.masks[:1]])
    return Client(
        images=images,
        inputs=images * sum(row.nbytes for row in rows),
        head=(statistics + indices) / clients + state,
        disk=costs.kept,
        payload=payload,
    )


def check_clients(clients: int | None, experiment: Experiment) -> None:
    """Check the number of clients of the larger federation.

    Raises:
        UserError: There is nothing to count, or it is not larger.
    """
    if clients is None:
        return
    method = experiment.method
    if not method.traits.trains or method.traits.pooled:
        raise UserError(f"--clients {clients}: {method.name} trains no clients; leave the option out")
    planned = experiment.scenario.clients or 1  # clients that exist are counted later
    if clients < planned:
        raise UserError(f"--clients {clients} is not allowed: it should be at least {planned}, as planned")


def larger_lines(
    clients: int, client: Client, costs: Costs, experiment: Experiment, node: Node, price: float | None
) -> list[str]:
    """Return the lines about a larger federation.

    Args:
        clients: Number of its clients.
        client: What each brings.
        costs: What was measured for the planned federation.
        experiment: The planned experiment.
        node: What a node of the cluster has.
        price: Price of a node per hour, in dollars; None: not stated.
    """
    round_, workers = max(1, round(clients * experiment.participation)), experiment.resources.workers
    # both measured with fewer clients; not all of the server's work grows with them
    server = costs.server * max(1.0, round_ / costs.measured)
    has_own = costs.kept > 0 or experiment.method.traits.personal
    most, planned = experiment.evaluation.clients, round(costs.clients / experiment.participation)
    evaluated = min(clients, most) / max(1, min(planned, most)) if has_own else 1.0
    evaluation = costs.evaluation * max(1.0, evaluated)
    grown = dataclasses.replace(costs, clients=round_, server=server, evaluation=evaluation)
    seconds, sent = grown.wall(workers), costs.rounds * round_ * client.payload
    fits = min(actors_of_node(experiment.resources, costs.memory, node).values())
    room = (node.memory - costs.memory * min(workers, fits)) * GIB
    limits = {
        "24 hours of a run": clients * DAY / seconds,
        "a node's memory for inputs": room / client.inputs,
        "the head's memory": room / client.head,
    }
    order = sorted(limits, key=lambda name: limits[name])
    return [
        f"{clients:,} clients of {client.images:.3g} images each, {round_:,} in a round:",
        f"  {grown.training / HOUR:,.3g} hours of training on one core; on {count(workers, 'worker')} with "
        f"a core each {duration(seconds)}, of which the server takes "
        f"{duration(grown.rounds * server)} at most",
        f"  every node maps {_gib(clients * client.inputs)} of inputs from its disk into memory; beside the "
        f"actors it has room for {_gib(max(0.0, room))}",
        f"  the head keeps {_gib(clients * client.head)} of clients in memory and "
        f"{_gib(clients * client.disk)} on its disk",
        f"  real clients would send {_gib(sent)} and receive as much; here sums over clients travel, one of "
        "each worker",
        "  what runs out first as clients are added: "
        + ", then ".join(f"{name} ({_rounded(limits[name])} clients)" for name in order),
        *(f"  {line}" for line in node_lines(experiment.resources, costs.memory, node, seconds, price)),
    ]


def _gib(number: float) -> str:
    return f"{number / GIB:,.3g} GiB"


def _rounded(number: float) -> str:
    """Write a number of clients to two digits: it is no more exact."""
    return f"{float(f'{max(0.0, number):.2g}'):,.0f}"
