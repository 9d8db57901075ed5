"""Survey of a cluster: the facts of each node, all asked at the same time, and in what the nodes differ."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysim.core.errors import first_cause
from raysim.engines import ray_session
from raysim.engines.facts import COMPARED, facts

NODE_SECONDS = 120.0  # longest wait for the answers of all nodes


class Witness:
    """A process on a node that tells what is there, and what time it is."""

    def facts(self, out: str, probe: str) -> dict[str, Any]:
        """Return the facts of its host."""
        return facts(out, probe)

    def time(self) -> float:
        """Return the time of its host's clock, in seconds since 1970."""
        return time.time()


def survey(out: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Ask every node of the cluster that RAY_ADDRESS names.

    Args:
        out: The result folder; whether all nodes see it is told.

    Returns:
        The facts of each node, the one of this process first: with `address`, `clock` (seconds ahead of this
        host, and half the time that the question took) and `problem`, a message where a node could not be
        asked; and the differences between the nodes in words.

    Raises:
        UserError: No cluster answers.
        OSError: Nothing can be written to the result folder.
    """
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        ray_session.join()
        nodes = ask_nodes(out)
    finally:
        ray_session.leave()
        if made:
            out.rmdir()
    return nodes, differences(nodes)


def ask_nodes(out: Path) -> list[dict[str, Any]]:
    """Return the facts of each node of the cluster that this process has joined; see `survey`."""
    probe = out / f".seen-{uuid.uuid4().hex}"
    probe.touch()
    try:
        here = ray.get_runtime_context().get_node_id()
        nodes = [node for node in ray.nodes() if node["Alive"]]
        nodes.sort(key=lambda node: (node["NodeID"] != here, node["NodeID"]))
        end = time.monotonic() + NODE_SECONDS
        asked = [(node, *_ask(node["NodeID"], out, probe)) for node in nodes]
        return [_answer(node, witness, answer, end) for node, witness, answer in asked]
    finally:
        probe.unlink(missing_ok=True)


def differences(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return in what nodes differ that must be equal, and which could not be asked."""
    lines = [f"{node['address']}: {node['problem']}" for node in nodes if node["problem"]]
    asked = [node for node in nodes if not node["problem"]]
    for name, words in COMPARED.items():
        hosts: dict[str, list[str]] = {}
        for node in asked:
            hosts.setdefault(node[name] or "not set", []).append(node["address"])
        if len(hosts) > 1:
            lines.append(
                f"{words}: " + "; ".join(f"{value} on {', '.join(on)}" for value, on in hosts.items())
            )
    return lines


def _ask(node: str, out: Path, probe: Path) -> tuple[Any, Any]:
    """Start a witness on a node; return it and the reference of its answer."""
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    witness = ray.remote(Witness).options(num_cpus=0, scheduling_strategy=there).remote()
    return witness, witness.facts.remote(str(out.absolute()), str(probe.absolute()))


def _answer(node: Mapping[str, Any], witness: Any, answer: Any, end: float) -> dict[str, Any]:
    """Return the facts of a node, or why there are none."""
    record = {"address": node["NodeManagerAddress"], "host": node["NodeManagerHostname"], "problem": ""}
    try:
        record |= ray.get(answer, timeout=max(1.0, end - time.monotonic()))
        before = time.time()
        there = ray.get(witness.time.remote(), timeout=max(5.0, end - time.monotonic()))
        after = time.time()
        record["clock"] = (there - (before + after) / 2, (after - before) / 2)
    except GetTimeoutError:
        record["problem"] = f"no answer within {NODE_SECONDS:.0f} s"
    except RayError as error:
        record["problem"] = f"raysim cannot be asked there: {str(first_cause(error)).splitlines()[0][:200]}"
    return record
