"""Nodes, GPU-hours and money of a plan."""

from __future__ import annotations

import pytest

from raysim.cli.main import main
from raysim.cli.nodes import Node, node_lines
from raysim.experiment import Resources

NODE = Node(8, 1, 32)


@pytest.mark.parametrize(
    ("workers", "gpus", "memory", "nodes", "first"),
    [
        (16, 0.25, 2.0, "4 for 16 workers", "GPU runs out first (a client actor needs 0.25 GPU"),
        (17, 0.25, 2.0, "5 for 17 workers", "4 fit"),
        (16, 0.1, 2.0, "2 for 16 workers", "CPU runs out first (a client actor needs 1 CPU"),
        (16, 0.1, 9.0, "6 for 16 workers", "memory runs out first (a client actor needs 9 GiB of memory"),
    ],
)
def test_the_scarcest_resource_decides(
    workers: int, gpus: float, memory: float, nodes: str, first: str
) -> None:
    line = node_lines(Resources(workers=workers, gpus=gpus), memory, NODE, 60, None)[0]
    assert nodes in line and first in line


def test_money_is_nodes_times_hours_times_price() -> None:
    resources = Resources(workers=8, gpus=0.25)
    line = node_lines(resources, 2.0, NODE, 1.5 * 3600, 1.2)[1]
    assert "3 node-hours, 3 GPU-hours; 3.60 dollars at 1.2 per node and hour" in line
    assert "no price is stated (--price-per-hour)" in node_lines(resources, 2.0, NODE, 60, None)[1]


def test_an_actor_that_is_larger_than_a_node_is_told() -> None:
    [line] = node_lines(Resources(gpus=2), 2.0, NODE, 60, 1.0)
    assert line == "nodes: no client actor fits on a node: a client actor needs 2 GPU, a node has 1 GPU"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--price-per-hour", "nan"), ("--price-per-hour", "-1"), ("--node-cpus", "0"), ("--runs", "0")],
)
def test_impossible_nodes_are_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", option, value]) == 2
    assert f"raysim: {option} {value} is not allowed: it should be " in capsys.readouterr().err
