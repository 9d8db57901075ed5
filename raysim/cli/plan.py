"""`raysim plan`: what an experiment costs, predicted from a few images before any work is done."""

from __future__ import annotations

import argparse
import time

import torch

from raysim.api.costs import Costs, measure, peak_memory
from raysim.cli.arguments import one_experiment
from raysim.cli.larger import check_clients, client_of, larger_lines
from raysim.cli.nodes import check_options, node_lines, node_of
from raysim.core.columns import COUNT_COLUMNS
from raysim.core.console import duration
from raysim.core.errors import Diverged
from raysim.core.types import ServerState, nbytes
from raysim.core.words import count, floor_words, image_words, measured_clients, owner_words
from raysim.experiment.records import Experiment
from raysim.simulation.cohorts import evaluation_sample
from raysim.simulation.contributions import own_weights
from raysim.simulation.datasets import dataset_of
from raysim.simulation.device import device_of
from raysim.simulation.federation import Federation
from raysim.simulation.floors import Floors
from raysim.simulation.sampled import sampled_frozen
from raysim.simulation.tables import images_used, owners_record
from raysim.simulation.worker import Worker, try_method

SAMPLE = 64  # images whose rows stand for all: two blocks of the encoder


def plan(arguments: argparse.Namespace) -> None:
    """Count the images, encode a few, run a few rounds on their rows, and multiply; count nodes.

    Raises:
        UserError: Data or weights are missing, or the experiment is not possible.
    """
    check_options(arguments)
    _, experiment = one_experiment(arguments)
    check_clients(arguments.clients, experiment)
    federation, device = Federation.of(experiment), device_of(experiment.resources)
    sampled_frozen(experiment, device, 1)  # loads the backbone, which is no cost of an image
    process, started = time.process_time(), time.perf_counter()
    frozen = sampled_frozen(experiment, device, SAMPLE)
    images = len(federation.images.labels)
    encoding = (time.perf_counter() - started) * images / min(images, SAMPLE)
    try_method(experiment, frozen)
    worker = Worker(federation, device, frozen)
    state = worker.start_state().state
    _print_size(experiment, federation, state)
    print(f"  predicted from a sample of {min(images, SAMPLE)} of {images:,} images, timed here and now:")
    print(f"  inputs from all images, once, then in the cache: {duration(encoding)}")
    training, costs = 0.0, None
    if experiment.method.traits.trains:
        try:
            costs = measure(experiment, frozen, process)
        except Diverged as error:  # on labels that belong to other images; the run itself may not
            print(f"  its rounds are not predicted, because they diverged on the sample: {error}")
            return
        _print_costs(experiment, costs)
        training = costs.wall(experiment.resources.workers)
    else:
        print("  nothing is trained")
    resources, node, runs = experiment.resources, node_of(arguments), arguments.runs
    seconds = encoding + runs * training
    print(f"  {runs} run{'s' if runs > 1 else ''}, with the inputs computed once: {duration(seconds)}")
    lines = node_lines(resources, peak_memory(), node, seconds, arguments.price_per_hour)
    if arguments.clients is not None and costs is not None:
        client = client_of(federation, frozen, costs, nbytes(state.shared))
        lines += larger_lines(arguments.clients, client, costs, experiment, node, arguments.price_per_hour)
    print(*(f"  {line}" for line in lines), sep="\n")


def _print_size(experiment: Experiment, federation: Federation, state: ServerState) -> None:
    """Print what the experiment is, how heterogeneous its clients are, and what is sent per round."""
    achieved = federation.heterogeneity()["achieved"]
    numbers = {name: value for name, value in achieved.items() if isinstance(value, int | float)}
    parameters = sum(tensor.numel() for tensor in state.shared.values())
    print(
        f"{experiment.method.name} on {experiment.task.dataset} ({experiment.task.backbone}), "
        f"{experiment.scenario.label}, experiment {experiment.id}"
    )
    print("  heterogeneity: " + ", ".join(f"{name} {value:.3g}" for name, value in numbers.items()))
    sample = evaluation_sample(federation, federation.trainers)
    measurable = own_weights(federation, "validation", sample).any(axis=1)
    counts = dict(zip(COUNT_COLUMNS, (int(measurable.sum()), len(sample)), strict=True))
    # zero-shot accuracy would need all images of the split, the pixels of a class all masks
    segments = experiment.task.kind == "segmentation"
    floors = None if segments else Floors(federation, "validation", None, None).columns(sample)
    described = owners_record(federation)
    if described:  # the sizes of the clients that exist, by name
        names = zip(described["client_names"], federation.shards, strict=True)
        described["client_names"] = [f"{name} {len(shard):,}" for name, shard in names]
    left_out = dataset_of(experiment.task).left_out.sentence
    said = (
        image_words(images_used(federation)),
        f"left out: {left_out}" if left_out else "",
        *owner_words(described),
        measured_clients(counts),
        "" if floors is None else floor_words(floors),
    )
    print(*(f"  {line}" for line in said if line), sep="\n")
    print(f"  shared: {parameters:,} parameters, {nbytes(state.shared):,} bytes per client and direction")


def _print_costs(experiment: Experiment, costs: Costs) -> None:
    """Print what the rounds of a run take, and how it was measured."""
    workers, cpus = experiment.resources.workers, 2 + experiment.resources.workers
    device = device_of(experiment.resources)
    unit = "seconds" if device.type == "cuda" else "CPU-seconds"
    server, evaluation = costs.rounds * costs.server, costs.evaluations * costs.evaluation
    print(
        f"  one client's round: {1000 * costs.client:.1f} ms, {costs.flops:.3g} FLOPs "
        f"(measured on {device})\n"
        f"  {costs.rounds} rounds of {costs.clients} clients: {costs.training:.3g} {unit} of training, "
        f"{server:.2g} of the server, {evaluation:.2g} of {costs.evaluations} evaluations\n"
        f"  on {count(workers, 'worker')} with a free core each: {duration(costs.wall(workers))}, after "
        f"the start of {cpus} processes ({cpus * costs.process:.2g} CPU-seconds)\n"
        f"  memory: about {costs.memory:.2g} GiB a worker; between rounds {costs.kept:,.0f} bytes a client"
    )
    if device.type == "cuda":
        peak, whole = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
        print(
            f"  GPU memory: {peak / 2**30:.2f} GiB at the peak, "
            f"so resources.gpus={max(0.01, round(1.3 * peak / whole + 0.005, 2))} per worker"
        )
