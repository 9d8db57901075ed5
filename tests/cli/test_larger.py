"""A plan of a larger federation of clients like the planned ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from raysim.api.costs import Costs
from raysim.cli.larger import OBJECT, STATE, Client, client_of, larger_lines
from raysim.cli.main import main
from raysim.cli.nodes import Node
from raysim.experiment import Experiment
from raysim.simulation.device import CPU
from raysim.simulation.federation import Federation
from raysim.simulation.sampled import sampled_frozen
from raysim.storage.vault import LARGE
from tests.experiments import small

COSTS = Costs(
    client=0.5, flops=1.0, server=0.1, evaluation=2.0, once=1.0, process=3.0, memory=1.0, kept=1000.0,
    clients=10, rounds=4, evaluations=3, measured=10,
)  # fmt: skip
CLIENT = Client(images=20.0, inputs=2.0**20, head=2.0**10, disk=2.0**10, payload=2**20)


def experiment(**settings: object) -> Experiment:
    return small(method="promptfl", **settings)


def test_time_memory_and_traffic_grow_with_clients() -> None:
    planned = experiment(participation=0.5, resources__workers=2)
    lines = larger_lines(7200, CLIENT, COSTS, planned, Node(2, 0, 16), None)
    # 4 rounds of 3,600 clients of half a second; the server's tenth of a second grows 360 times; three
    # evaluations of two seconds become ten times as long (200 of 20 clients)
    assert lines[0] == "7,200 clients of 20 images each, 3,600 in a round:"
    assert "2 hours of training on one core; on 2 workers with a core each 63 min," in lines[1]
    assert lines[1].endswith("of which the server takes 2 min at most")
    assert "maps 7.03 GiB of inputs" in lines[2] and lines[2].endswith("room for 14 GiB")
    assert "0.00687 GiB of clients in memory" in lines[3]
    assert "would send 14.1 GiB" in lines[4]  # 4 rounds of 3,600 MiB
    assert lines[6].startswith("  nodes of 2 CPU")


def test_evaluation_grows_with_the_clients_that_have_models_of_their_own() -> None:
    """Up to `evaluation.clients`: three evaluations of two seconds, here for ten clients."""
    planned = experiment(resources__workers=1, evaluation__clients=50)
    node = Node(2, 0, 16)

    def seconds(costs: Costs) -> str:
        return larger_lines(1000, CLIENT, costs, planned, node, None)[1].split("of which")[0]

    without, free = replace(COSTS, kept=0.0), replace(COSTS, evaluation=0.0)
    assert seconds(COSTS) == seconds(replace(free, once=1.0 + 3 * 5 * 2.0))  # 50 of 10 clients: five times
    assert seconds(without) == seconds(replace(free, kept=0.0, once=1.0 + 3 * 2.0))


@pytest.mark.parametrize(
    ("inputs", "head", "order"),
    [
        (2.0**20, 1.0, "a node's memory for inputs (14,000 clients), then 24 hours of a run"),
        (1.0, 2.0**20, "the head's memory (14,000 clients), then 24 hours of a run"),
        (1.0, 1.0, "24 hours of a run (83,000 clients), then "),
    ],
)
def test_what_runs_out_first_is_told_first(inputs: float, head: float, order: str) -> None:
    client = Client(images=1.0, inputs=inputs, head=head, disk=1.0, payload=1)
    planned = experiment(resources__workers=2)
    lines = larger_lines(100_000, client, COSTS, planned, Node(2, 0, 16), None)
    assert f"what runs out first as clients are added: {order}" in lines[5]


def test_a_client_is_the_mean_of_the_planned_ones() -> None:
    planned = experiment(scenario__clients=6)
    federation = Federation.of(planned)
    frozen = sampled_frozen(planned, CPU, 4)
    client = client_of(federation, frozen, COSTS, 1024)
    images = np.mean([len(shard) for shard in federation.shards])
    assert client.images == images and client.inputs == images * frozen.x[:1].nbytes
    statistics = federation.frequencies.nbytes + federation.samples.nbytes + federation.newcomers.nbytes
    assert client.head == pytest.approx(8 * images + OBJECT + statistics / 6 + 1000 + STATE)
    large = Costs(**{**vars(COSTS), "kept": LARGE + 1.0})
    assert client_of(federation, frozen, large, 1024).head == pytest.approx(client.head - 1000 - STATE)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scenario.clients=1", "--clients", "0"], "--clients 0 is not allowed: it should be at least 1"),
        (["--clients", "3"], "--clients 3 is not allowed: it should be at least 16, as planned"),
        (
            ["method=zeroshot", "--clients", "50"],
            "--clients 50: zeroshot trains no clients; leave the option",
        ),
        (["method=centralized", "--clients", "50"], "centralized trains no clients; leave the option out"),
    ],
)
def test_a_number_that_means_nothing_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_command_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["method=promptfl", "task.shots=12", "scenario.clients=4", "rounds=2", "--clients", "1000000"]
    assert main(["plan", *words]) == 0
    assert "1,000,000 clients of 72 images each, 1,000,000 in a round:" in capsys.readouterr().out
