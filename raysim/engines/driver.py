"""The driver actor of a run on Ray: it owns the rounds, the aggregation and the folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import ObjectLostError, RayActorError, RayError, RaySystemError

from raysim.core import plugins
from raysim.core.errors import LostProcess, first_cause
from raysim.core.plugins import PluginFile
from raysim.core.types import RoundRecord
from raysim.engines import memory, messages, places
from raysim.engines.ray_pool import RayPool
from raysim.experiment.records import Experiment, check_travels, from_dict, identity, to_dict
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store


class Driver:
    """Owns the rounds, the aggregation and the folder of one run."""

    def __init__(self, files: Sequence[PluginFile]) -> None:
        """Set up the process and its plug-ins."""
        plugins.install(files)
        messages.use_arrays()
        torch.set_num_threads(1)

    def run(
        self, values: Mapping[str, Any], folder: Path, resume: bool, open_test: bool, pool: RayPool
    ) -> Iterator[RoundRecord | dict[str, Any]]:
        """Run an experiment, given as plain data, on client actors; yield each round, then the result."""
        experiment = from_dict(values)
        simulation = Simulation(experiment, pool, Store(folder, experiment)).open(resume)
        yield from simulation.rounds()
        yield {**simulation.result(), "test": simulation.open_test() if open_test else None}


def run_on_ray(
    experiment: Experiment, folder: Path, resume: bool, open_test: bool
) -> Iterator[RoundRecord | dict[str, Any]]:
    """Run an experiment in a driver actor; yield each finished round as it comes, then the result.

    The client actors start with the driver and load what they need meanwhile, not when it first asks them.

    Raises:
        UserError: A class of the experiment cannot travel, or the cluster cannot give the resources.
    """
    check_travels(experiment)
    pool = RayPool(experiment.resources).start()
    driver = (
        ray.remote(Driver).options(num_cpus=0, scheduling_strategy=places.here()).remote(plugins.active())
    )
    try:
        pool.load(identity(experiment))
        with memory.told():
            for reference in driver.run.options(num_returns="streaming").remote(
                to_dict(experiment), folder.absolute(), resume, open_test, pool
            ):
                yield ray.get(reference)
    except (RayActorError, RaySystemError, ObjectLostError) as error:
        reason = str(first_cause(error)).splitlines()[0][:200].rstrip(".")
        raise LostProcess(f"a process of Ray was lost: {reason}") from None
    finally:
        with contextlib.suppress(RayError):  # of a Ray that is gone
            ray.kill(driver)
            pool.close()
