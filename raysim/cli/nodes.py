"""Nodes, GPU-hours and money of a plan: how many client actors fit on a node, and what runs out first."""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import torch

from raysim.core.console import duration
from raysim.core.errors import UserError
from raysim.core.machine import usable_cores
from raysim.core.words import count
from raysim.experiment.resources import Resources
from raysim.storage.provenance import machine

HOUR = 3600.0  # seconds
OPTIONS = {  # option of `raysim plan` -> least value, whether it may be equal to it
    "node_cpus": (0.0, False),
    "node_gpus": (0.0, True),
    "node_memory": (0.0, False),
    "price_per_hour": (0.0, True),
    "runs": (1.0, True),
}


class Node(NamedTuple):
    """What a node has: CPUs, GPUs, and memory in GiB."""

    cpus: float
    gpus: float
    memory: float


def check_options(arguments: argparse.Namespace) -> None:
    """Check the options about nodes before anything is measured.

    Raises:
        UserError: A value is not allowed.
    """
    for name, (least, equal) in OPTIONS.items():
        value = getattr(arguments, name)
        if value is not None and not (math.isfinite(value) and (value > least or (equal and value == least))):
            raise UserError(
                f"--{name.replace('_', '-')} {value:g} is not allowed: it should be "
                f"{'at least' if equal else 'above'} {least:g}"
            )


def node_of(arguments: argparse.Namespace) -> Node:
    """Return the node that the options describe; what they do not say is as on this machine."""
    here = Node(usable_cores(), torch.cuda.device_count(), machine()["memory_gib"])
    stated = (arguments.node_cpus, arguments.node_gpus, arguments.node_memory)
    return Node(*(mine if value is None else value for value, mine in zip(stated, here, strict=True)))


def actors_of_node(resources: Resources, memory: float, node: Node) -> dict[str, int]:
    """Return how many client actors fit on a node by each resource that they need.

    Args:
        resources: What an actor reserves.
        memory: Memory of an actor in GiB.
        node: What a node has.
    """
    needs = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": memory}
    return {
        name: math.floor(has / need + 1e-9)
        for (name, need), has in zip(needs.items(), node, strict=True)
        if need > 0
    }


def node_lines(
    resources: Resources, memory: float, node: Node, seconds: float, price: float | None
) -> list[str]:
    """Return the lines about nodes, GPU-hours and money.

    Args:
        resources: The client actors of a run, and what each reserves.
        memory: Memory of a client actor in GiB.
        node: What a node has.
        seconds: Time of all runs.
        price: Price of a node per hour, in dollars; None: not stated.
    """
    fits = actors_of_node(resources, memory, node)
    first = min(fits, key=lambda name: fits[name])
    need, has = {
        "CPU": (resources.cpus, node.cpus),
        "GPU": (resources.gpus, node.gpus),
        "memory": (memory, node.memory),
    }[first]
    unit = " GiB of" if first == "memory" else ""
    each = f"a client actor needs {need:.2g}{unit} {first}, a node has {has:.3g}{unit} {first}"
    if not fits[first]:
        return [f"nodes: no client actor fits on a node: {each}"]
    nodes, hours = math.ceil(resources.workers / fits[first]), seconds / HOUR
    money = "no price is stated (--price-per-hour)"
    if price is not None:
        money = f"{nodes * hours * price:,.2f} dollars at {price:g} per node and hour"
    return [
        f"nodes of {node.cpus:g} CPU, {node.gpus:g} GPU, {node.memory:g} GiB: {nodes} for "
        f"{count(resources.workers, 'worker')}; {first} runs out first ({each}: {fits[first]} fit)",
        f"on nodes as fast as this machine: {duration(seconds)}, {nodes * hours:.3g} node-hours, "
        f"{nodes * node.gpus * hours:.3g} GPU-hours; {money}",
    ]
