"""A cluster of two nodes on this machine: equal bits with clients on both, the driver on the head.

The second node has a cache folder of its own, so that features must reach it.

A program of its own, because a process can be in one cluster only. It prints a JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from raysim.core.types import MicroCohort, StoredState
from raysim.engines import library, places, ray_pool, survey
from raysim.engines.driver import run_on_ray
from raysim.engines.ray_pool import RayPool
from raysim.engines.serial import Serial
from raysim.experiment import Experiment, Resources, override
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from tests.experiments import small

SAFE = {
    "method": "safe", "method.network": "cnn", "task.image_size": 32, "task.classes": 3, "task.shots": 8,
    "task.ses": 2, "scenario.clients": 4, "rounds": 2, "training.batch": 8, "evaluation.every": 1,
}  # fmt: skip


class Apart(RayPool):
    """A pool on hosts without a common folder: what it sends must not need one."""

    def shares(self, vault: str) -> bool:
        """Whether the actors see the vault: they do not."""
        return not vault

    def _shares(self, micro_cohorts: Sequence[MicroCohort]) -> list[list[MicroCohort]]:
        for cohort in micro_cohorts:
            assert not cohort.vault and not any(isinstance(p, StoredState) for p in cohort.private)
        return super()._shares(micro_cohorts)


def finish(simulation: Simulation) -> str:
    """Run to the end; return the digest."""
    for _ in simulation.rounds():
        pass
    return str(simulation.result()["state_sha256"])


def main(folder: Path) -> None:
    """Compare the engines, with and without a folder that all hosts see."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1, env_vars={"RAYSIM_CACHE": str(folder / "cache")})
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        ray_pool.start(Resources(workers=2))
        lines = contextlib.ExitStack()
        lines.enter_context(library.spoken(quiet=False))
        experiments = {"safe": override(Experiment(), SAFE), "fedrsclip": small()}
        said: dict[str, object] = {}
        for name, experiment in experiments.items():
            both = override(experiment, {"resources.workers": 2})
            serial = finish(
                Simulation(experiment, Serial(), Store(folder / f"{name}-serial", experiment)).open()
            )
            *_, last = run_on_ray(both, folder / f"{name}-ray", False, False)
            pool = Apart(Resources(workers=2)).start()
            nodes = {node for _, node, _ in ray.get([actor.place.remote() for actor in pool.actors])}
            simulation = Simulation(both, pool, Store(folder / f"{name}-apart", both)).open()
            apart = finish(simulation)
            pool.close()
            assert isinstance(last, dict)
            said[name] = [serial, last["state_sha256"], apart, len(nodes), places.blind(folder, [])]
        home = ray.get_runtime_context().get_node_id()
        where = ray.remote(lambda: ray.get_runtime_context().get_node_id())
        said["driver"] = [
            ray.get(where.options(num_cpus=0, scheduling_strategy=places.here()).remote()) == home
            for _ in range(4)
        ]
        found = survey.ask_nodes(folder)
        said["survey"] = [survey.differences(found), [node["cache"] for node in found]]
        said["files"] = sorted(path.name for path in (folder / "safe-apart/checkpoints/private").glob("*"))[
            :1
        ]
        said["cache"] = sorted(path.suffix for path in (folder / "cache").glob("*.arrow"))
        print(json.dumps(said))
    finally:
        lines.close()
        ray_pool.stop()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
