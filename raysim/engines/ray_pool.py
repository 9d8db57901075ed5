"""The Ray engine: client actors with fractional GPUs that serve micro-cohorts.

A client actor is a process that holds what is frozen (backbone, features) and serves one micro-cohort at a
time. The state of a client comes with the call and goes back with the result. So any actor serves any client,
and an actor that dies is restarted and its call is repeated, with the same result. An actor returns sums over
clients, so messages grow with workers and not with clients.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import ray
import torch
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from raysim.core import plugins
from raysim.core.plugins import PluginFile
from raysim.core.types import InitialState, MicroCohort, Score, ServerState, Split, Update, nbytes
from raysim.engines import bundles, calls, library, messages, places, ray_session
from raysim.engines.serial import Serial
from raysim.engines.watch import Watch
from raysim.experiment.records import of_identity
from raysim.experiment.resources import Resources
from raysim.simulation.datasets import dataset_of
from raysim.simulation.device import device_of
from raysim.simulation.engine import Result
from raysim.simulation.worker import Worker

STREAMED_BYTES = 1_000_000  # bytes of shared tensors above which updates are streamed
UPDATES_AHEAD = 2  # updates that an actor may compute before the driver takes them


class ClientActor(Serial):
    """The serial engine in a process of its own.

    It holds only caches that can be rebuilt, so Ray may restart it at any time.
    """

    def __init__(self, resources: Resources, files: Sequence[PluginFile]) -> None:
        """Set up the process and its plug-ins; Ray calls this again in a restarted actor."""
        plugins.install(files)
        library.connect()
        messages.use_arrays()
        super().__init__(resources)
        torch.set_num_threads(1)
        if device_of(resources).type == "cuda":  # Ray only counts the share; this enforces it
            torch.cuda.set_per_process_memory_fraction(min(1.0, resources.gpus))

    def train(
        self, experiment: str, state: ServerState, micro_cohorts: Iterable[MicroCohort]
    ) -> list[Update]:
        """Return all updates in one message."""
        return list(super().train(experiment, state, places.unpacked(micro_cohorts)))

    def stream(
        self, experiment: str, state: ServerState, micro_cohorts: Iterable[MicroCohort]
    ) -> Iterator[Update]:
        """Yield one update after the other, for a driver that has no room for all."""
        yield from super().train(experiment, state, places.unpacked(micro_cohorts))

    def evaluate(
        self, experiment: str, state: ServerState, micro_cohorts: Iterable[MicroCohort], split: Split
    ) -> list[Score | None]:
        """Score one micro-cohort after the other."""
        return super().evaluate(experiment, state, places.unpacked(micro_cohorts), split)

    def images(self, experiment: str) -> tuple[str, str]:
        """Return the name of this host and the fingerprint of the images that it has."""
        task = of_identity(experiment).task
        return os.uname().nodename, dataset_of(task).fingerprint

    def misses(self, path: str) -> str:
        """Return the name of this host where a file of the driver's node is not there; empty where it is."""
        return "" if os.path.exists(path) else os.uname().nodename

    def load(self, experiment: str) -> None:
        """Load what the experiment needs, before anything is asked."""
        self.worker(experiment).load()

    def place(self) -> tuple[int, str, list[str]]:
        """Return the process, the node and the GPUs of this actor, for error messages."""
        return os.getpid(), ray.get_runtime_context().get_node_id(), [str(gpu) for gpu in ray.get_gpu_ids()]


class RayPool:
    """A fixed pool of client actors in one placement group. `start` it once for many runs."""

    def __init__(self, resources: Resources, group: PlacementGroup | None = None) -> None:
        """Remember what to start.

        Args:
            resources: How many actors, and what each reserves.
            group: A placement group with a reserved bundle per actor (inside Tune: the trial's). None: the
                pool reserves one of its own.
        """
        self.resources, self.group = resources, group
        self.reserved: PlacementGroup | None = None
        self.actors: list[Any] = []
        self._blind: dict[str, list[str]] = {}  # vault -> hosts that do not see it

    def start(self) -> Self:
        """Reserve bundles, unless there is a group already, and start the actors.

        Raises:
            UserError: The cluster cannot give the resources.
        """
        messages.use_arrays()
        group = self.group or bundles.reserve(self.resources)
        self.reserved = group if self.group is None else None
        first = group.bundle_count - self.resources.workers  # inside Tune the trial's own bundle comes first
        self.actors = [
            ray.remote(ClientActor)
            .options(
                num_cpus=self.resources.cpus,
                num_gpus=self.resources.gpus,
                max_restarts=-1,
                max_task_retries=3,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    group, placement_group_bundle_index=first + index
                ),
            )
            .remote(self.resources, plugins.active())
            for index in range(self.resources.workers)
        ]
        return self

    def load(self, experiment: str) -> None:
        """Ask every actor to load what the experiment needs, and do not wait.

        What fails fails again, with its message, when an actor is first asked for a result.
        """
        for actor in self.actors:
            actor.load.remote(experiment)

    def initial(self, experiment: str) -> InitialState:
        """Return what the run starts from; every actor loads what it needs meanwhile."""
        states: list[InitialState] = calls.answers(
            [partial(actor.initial.remote, experiment) for actor in self.actors]
        )
        if places.nodes() > 1:
            images = calls.answers([partial(actor.images.remote, experiment) for actor in self.actors])
            places.check_images(images)
        return states[0]

    def train(
        self, experiment: str, state: ServerState, micro_cohorts: Sequence[MicroCohort]
    ) -> Iterable[Update]:
        """Train on all actors: one message to and from each; updates of whole networks come one by one."""
        vault = places.vault_of(micro_cohorts)
        travel = not self.shares(vault)
        sent = places.packed(micro_cohorts) if travel else micro_cohorts
        large = nbytes(state.shared) > STREAMED_BYTES
        updates: Iterable[Update] = (
            self._stream(experiment, state, sent) if large else self._call("train", experiment, state, sent)
        )
        return (places.kept(update, vault) for update in updates) if travel else updates

    def evaluate(
        self, experiment: str, state: ServerState, micro_cohorts: Sequence[MicroCohort], split: Split
    ) -> list[Score | None]:
        """Score on all actors: one message to and from each."""
        sent = micro_cohorts if self.shares(places.vault_of(micro_cohorts)) else places.packed(micro_cohorts)
        return self._call("evaluate", experiment, state, sent, split)

    def shares(self, vault: str) -> bool:
        """Return whether all actors see the folder of large private states; asked once.

        Where one of them does not, the states travel in messages.
        """
        if vault and vault not in self._blind:
            self._blind[vault] = places.blind(Path(vault), self.actors)
        return not self._blind.get(vault)

    def describe(self, vault: str) -> dict[str, Any]:
        """Decide how large private states travel, and return it in words; nothing on one node."""
        if places.nodes() < 2:
            return {}
        self.shares(vault)
        words = places.travel_words(self._blind.get(vault, []))
        library.tell(words)
        return {"private_states": words}

    def run(
        self, experiment: str, function: Callable[[Worker, ServerState], Result], state: ServerState
    ) -> Result:
        """Call the function in the first actor."""
        result: Result
        [result] = calls.answers([partial(self.actors[0].run.remote, experiment, function, state)])
        return result

    def close(self) -> None:
        """End the actors and give back the bundles that `start` reserved."""
        for actor in self.actors:
            ray.kill(actor)
        self.actors = []
        if self.reserved is not None:
            remove_placement_group(self.reserved)
            self.reserved = None

    def _call(
        self,
        method: str,
        experiment: str,
        state: ServerState,
        micro_cohorts: Sequence[MicroCohort],
        *rest: Any,
    ) -> list[Any]:
        """Call a method of every actor with its micro-cohorts; return the results in the order of all."""
        state_reference = ray.put(state)
        answers = calls.answers(
            [
                partial(getattr(actor, method).remote, experiment, state_reference, share, *rest)
                for actor, share in zip(self.actors, self._shares(micro_cohorts), strict=True)
                if share
            ]
        )
        count = len(self.actors)  # micro-cohort i was the (i // count)-th of actor i % count
        return [answers[position % count][position // count] for position in range(len(micro_cohorts))]

    def _stream(
        self, experiment: str, state: ServerState, micro_cohorts: Sequence[MicroCohort]
    ) -> Iterator[Update]:
        """Yield updates in order.

        An actor waits when it is `UPDATES_AHEAD` updates ahead, so that memory does not grow with clients.
        """
        state_reference = ray.put(state)
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": UPDATES_AHEAD}
        streams = calls.streamed(
            [
                partial(actor.stream.options(**options).remote, experiment, state_reference, share)
                for actor, share in zip(self.actors, self._shares(micro_cohorts), strict=True)
            ]
        )
        for position in range(len(micro_cohorts)):
            yield next(streams[position % len(streams)])

    def _shares(self, micro_cohorts: Sequence[MicroCohort]) -> list[list[MicroCohort]]:
        """Deal micro-cohorts to the actors in turn; they are sorted by steps, so the work is balanced."""
        return [list(micro_cohorts[start :: len(self.actors)]) for start in range(len(self.actors))]


@contextmanager
def session(resources: Resources) -> Iterator[None]:
    """Use the Ray of this process, or one that ends with this context; watch its processes.

    Raises:
        UserError: Workers could not load a plug-in.
        LostProcess: Ray's server is lost.
    """
    there_already = ray.is_initialized()
    try:
        start(resources)
        with Watch(resources.patience):
            yield
    finally:
        if not there_already:
            stop()


def start(resources: Resources) -> None:
    """Join the cluster that RAY_ADDRESS names, or start Ray on this machine with room for all workers.

    Raises:
        UserError: Workers could not load a plug-in, or no cluster answers.
    """
    plugins.check_loadable()
    if ray.is_initialized():
        return
    if ray_session.cluster_address():
        ray_session.join()
        library.open_here()
    else:
        ray_session.start_own(math.ceil(resources.workers * resources.cpus))


def stop() -> None:
    """Leave the cluster; a local one ends with all its processes."""
    library.close()
    ray_session.leave()
