"""A node of a cluster that is lost in mid-run, and another one that comes: the same bits, with features sent.

A program of its own, because a process can be in one cluster only. It prints a JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

from raysim.engines import ray_pool
from raysim.engines.driver import run_on_ray
from raysim.engines.serial import Serial
from raysim.experiment import Resources, override
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from tests.engines.two_nodes import finish
from tests.experiments import small


def main(folder: Path) -> None:
    """Lose the second node after the second round."""
    experiment = override(small(), {"rounds": 6})
    serial = finish(Simulation(experiment, Serial(), Store(folder / "serial", experiment)).open())
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        ray_pool.start(Resources(workers=2))
        both = override(experiment, {"resources.workers": 2})
        for item in run_on_ray(both, folder / "lost", False, False):
            if getattr(item, "round", 0) == 2:
                cluster.remove_node(second, allow_graceful=False)
                cluster.add_node(num_cpus=1, env_vars={"RAYSIM_CACHE": str(folder / "cache")})
        assert isinstance(item, dict)
        sent = sorted(path.suffix for path in (folder / "cache").glob("*.arrow"))
        print(json.dumps([serial, item["state_sha256"], sent]))
    finally:
        ray_pool.stop()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
