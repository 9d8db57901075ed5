"""Bundles of resources for client actors: what a run reserves, whether there is room, and the wait for it."""

from __future__ import annotations

import sys
import time
import uuid

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from raysim.core.errors import UserError
from raysim.engines import ray_session
from raysim.engines.watch import OWN_GROUP
from raysim.experiment.resources import Resources

LOCAL_SECONDS = 120  # longest wait for bundles on this machine
WAIT_INTERVAL = 20.0  # seconds between two lines that say what is waited for
CLUSTER_SECONDS = 1200  # longest wait on a cluster, whose nodes take minutes to come up


def reserve(resources: Resources) -> PlacementGroup:
    """Reserve a bundle per client actor.

    Raises:
        UserError: The cluster cannot give the resources.
    """
    check_room(resources)
    bundles = bundles_of(resources)
    cluster = bool(ray_session.cluster_address())
    group = placement_group(bundles, name=f"{OWN_GROUP} {uuid.uuid4().hex}")  # no two may have one name
    seconds = CLUSTER_SECONDS if cluster else LOCAL_SECONDS
    if not _wait_for(group, f"{len(bundles)} x {bundles[0]}", seconds):
        remove_placement_group(group)
        raise UserError(
            f"resources: {len(bundles)} bundles of {bundles[0]} were not free within {seconds} s; lower "
            "resources.workers"
        )
    return group


def check_room(resources: Resources) -> None:
    """Check that the Ray of this process is large enough for all client actors of a run.

    Raises:
        UserError: It is not. A cluster is not asked: it may still grow by its autoscaler.
    """
    bundles, total = bundles_of(resources), ray.cluster_resources()
    for key, amount in bundles[0].items():
        if not ray_session.cluster_address() and amount * len(bundles) > total.get(key, 0) + 1e-9:
            raise UserError(
                f"resources: {len(bundles)} workers need {amount * len(bundles):g} {key}, "
                f"the cluster has {total.get(key, 0):g}; lower resources.workers"
            )


def _wait_for(group: PlacementGroup, needed: str, seconds: float) -> bool:
    """Wait for a placement group, and say from time to time what is waited for; whether it came."""
    end, interval = time.monotonic() + seconds, WAIT_INTERVAL
    while not group.wait(min(interval, max(0.0, end - time.monotonic()))):
        if time.monotonic() >= end:
            return False
        free = {key: ray.available_resources().get(key, 0) for key in ("CPU", "GPU")}
        print(
            f"raysim: waiting for Ray to reserve {needed} (free now: {free['CPU']:g} CPU, {free['GPU']:g} "
            f"GPU), {end - time.monotonic():.0f} s more at most",
            file=sys.stderr,
            flush=True,
        )
    return True


def bundles_of(resources: Resources) -> list[dict[str, float]]:
    """Return one bundle per client actor. The driver needs none: it waits while they work."""
    bundle = {"CPU": resources.cpus, **({"GPU": resources.gpus} if resources.gpus else {})}
    return [dict(bundle) for _ in range(resources.workers)]
