"""The Ray engine: client actors with fractional GPUs that serve micro-cohorts, and the driver actor that owns a run.

A client actor is a process that holds what is frozen (backbone, features) and embodies one micro-cohort at a
time: everything about a client comes in and goes out. So messages grow with workers, not with clients, any
actor serves any client, and an actor that dies is restarted and its call repeated without a trace in the
result. The driver actor owns rounds and aggregation.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ray
import torch
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from raysim.core.errors import UserError
from raysim.core.types import Gallery, InitialState, MicroCohort, Score, ServerState, Split, Update, nbytes
from raysim.engines.serial import Serial
from raysim.experiment.records import Resources

LOCAL_SECONDS = 120
LARGE = 1_000_000  # bytes of shared tensors above which updates are streamed
AHEAD = 2
CLUSTER_SECONDS = 1200  # nodes take minutes to come up


class ClientActor(Serial):
    """The serial engine in a process of its own. It holds only caches that can be rebuilt, so Ray may restart it at any time."""

    def __init__(self, gpus: float) -> None:
        torch.set_num_threads(1)
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a CPU worker on a machine with GPUs
        elif torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(
                min(1.0, gpus)
            )  # Ray's share is book-keeping, this is the limit

    def train(self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort]) -> list[Update]:
        """All updates in one message."""
        return list(super().train(experiment, state, cohorts))

    def stream(self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort]) -> Iterator[Update]:
        """Update by update, for a driver that has no room for all."""
        yield from super().train(experiment, state, cohorts)

    def where(self) -> tuple[int, str, list[str]]:
        """Process, node and GPUs, for messages."""
        return os.getpid(), ray.get_runtime_context().get_node_id(), [str(gpu) for gpu in ray.get_gpu_ids()]


class RayPool:
    """A fixed pool of client actors in one placement group; created once, warm from run to run."""

    def __init__(self, resources: Resources, group: PlacementGroup | None = None) -> None:
        """Start the actors.

        Args:
            resources: How many actors, and what each reserves. The same record makes the bundles.
            group: The placement group whose bundles, one per actor, are already reserved (inside Tune: the
                trial's).
        """
        self._own = reserve(resources) if group is None else None
        bundles = group or self._own
        actor = ray.remote(ClientActor)
        self.actors = [
            actor.options(
                num_cpus=resources.cpus,
                num_gpus=resources.gpus,
                max_restarts=-1,
                max_task_retries=3,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    bundles, placement_group_bundle_index=index
                ),
            ).remote(resources.gpus)
            for index in range(resources.workers)
        ]

    def initial(self, experiment: str) -> InitialState:
        """See `raysim.simulation.engine.Engine`; every actor warms up meanwhile."""
        return ray.get([actor.initial.remote(experiment) for actor in self.actors])[0]

    def serve(self, experiment: str, state: ServerState) -> ServerState:
        """See `raysim.simulation.engine.Engine`; the first actor does it."""
        served: ServerState = ray.get(self.actors[0].serve.remote(experiment, state))
        return served

    def train(self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort]) -> Iterable[Update]:
        """One message to and from each actor; the shared state is put once. Whole networks come one by one."""
        if nbytes(state.shared) > LARGE:
            return self._streamed(experiment, state, cohorts)
        return self._spread("train", experiment, state, cohorts)

    def _streamed(
        self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort]
    ) -> Iterator[Update]:
        """Updates in order; an actor is at most `AHEAD` updates ahead of the driver, so that memory does not grow with clients."""
        shared = ray.put(state)
        streams = [
            actor.stream.options(num_returns="streaming", _generator_backpressure_num_objects=AHEAD).remote(
                experiment, shared, hand
            )
            for actor, hand in zip(self.actors, self._hands(cohorts), strict=True)
        ]
        for position in range(len(cohorts)):
            yield ray.get(next(streams[position % len(streams)]))

    def gallery(self, experiment: str, state: ServerState) -> Gallery | None:
        """See `raysim.simulation.engine.Engine`."""
        found: Gallery | None = ray.get(self.actors[0].gallery.remote(experiment, state))
        return found

    def _hands(self, cohorts: Sequence[MicroCohort]) -> list[list[MicroCohort]]:
        """Dealt in turn: they come sorted by steps, so that this balances the actors."""
        return [list(cohorts[start :: len(self.actors)]) for start in range(len(self.actors))]

    def evaluate(
        self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort], split: Split
    ) -> list[Score | None]:
        """See `raysim.simulation.engine.Engine`."""
        return self._spread("evaluate", experiment, state, cohorts, split)

    def _spread(
        self, call: str, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort], *rest: Any
    ) -> list[Any]:
        shared = ray.put(state)
        pending = [
            getattr(actor, call).remote(experiment, shared, hand, *rest)
            for actor, hand in zip(self.actors, self._hands(cohorts), strict=True)
            if hand
        ]
        answers = ray.get(pending)
        count = len(self.actors)
        return [answers[position % count][position // count] for position in range(len(cohorts))]

    def close(self) -> None:
        """End the actors and give the bundles back."""
        for actor in self.actors:
            ray.kill(actor)
        self.actors = []
        if self._own is not None:
            remove_placement_group(self._own)


def reserve(resources: Resources) -> PlacementGroup:
    """Reserve a bundle per client actor.

    Raises:
        UserError: the cluster cannot give them.
    """
    bundles = bundles_of(resources)
    cluster = bool(os.environ.get("RAY_ADDRESS"))  # may still grow: its autoscaler is asked by reserving
    total = ray.cluster_resources()
    for key, each in bundles[0].items():
        if not cluster and each * len(bundles) > total.get(key, 0) + 1e-9:
            raise UserError(
                f"resources: {len(bundles)} workers need {each * len(bundles):g} {key}, "
                f"the cluster has {total.get(key, 0):g}; lower resources.workers"
            )
    group = placement_group(bundles)
    seconds = CLUSTER_SECONDS if cluster else LOCAL_SECONDS
    if not group.wait(seconds):
        remove_placement_group(group)
        raise UserError(
            f"resources: {len(bundles)} bundles of {bundles[0]} were not free within {seconds} s; lower "
            "resources.workers"
        )
    return group


def bundles_of(resources: Resources) -> list[dict[str, float]]:
    """One bundle per client actor; the driver itself needs none, it waits while they work."""
    bundle = {"CPU": resources.cpus, **({"GPU": resources.gpus} if resources.gpus else {})}
    return [dict(bundle) for _ in range(resources.workers)]


def start(resources: Resources) -> None:
    """Join the cluster that RAY_ADDRESS names, or start Ray on this machine with room for the workers asked for."""
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**{key: value for key, value in quiet.items() if key != "include_dashboard"})
    else:
        needed = -(-int(resources.workers * resources.cpus * 1000) // 1000)
        ray.init(num_cpus=max(os.cpu_count() or 1, needed), **quiet)


def stop() -> None:
    """Leave the cluster; a local one ends with all its processes."""
    ray.shutdown()
