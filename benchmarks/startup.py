"""Seconds from the command to the first client's update: raysim on Ray beside a pool of two processes.

    python -m benchmarks.startup [--repeats 3]

Every side starts from nothing, in turn, and ends when two micro-cohorts have been trained:

    pool     a Python process that starts two others by `spawn`; they import what a client needs, load
             features and backbone, and train
    raysim   what `raysim run --engine ray` does: checks, Ray, a driver, two client actors, a round

Features are cached before. Beside other work the ratio is the more robust number. The stages of raysim say
where its seconds go.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raysim.core.types import RoundRecord

SETTINGS: dict[str, Any] = {
    "method": "promptfl",
    "task.shots": 48,
    "scenario.clients": 16,
    "rounds": 1,
    "resources.workers": 2,
}
WORKERS = 2
TRAINED = "two micro-cohorts trained"


def experiment() -> Any:
    from raysim.experiment import Experiment, override

    return override(Experiment(), SETTINGS)


def train(share: int) -> int:
    """Train a micro-cohort from the first state."""
    import torch

    from raysim.simulation.cohorts import micro_cohorts
    from raysim.simulation.federation import Federation
    from raysim.simulation.worker import Worker

    torch.set_num_threads(1)
    worker = Worker(Federation.of(experiment()))
    cohorts = micro_cohorts(worker.federation, range(worker.federation.clients), {})
    return len(worker.train(worker.initial().state, cohorts[share % len(cohorts)]).clients)


def pool(say: Callable[[str], None]) -> None:
    with multiprocessing.get_context("spawn").Pool(WORKERS) as processes:
        processes.map(train, range(WORKERS))
        say(TRAINED)


def raysim(say: Callable[[str], None]) -> None:
    from raysim.api.running import check_experiment

    run = experiment()
    say("imports of the command")
    check_experiment(run, lambda done, total: None)
    say("checks: data, features, backbone, an image classified")
    from raysim.engines import driver, ray_pool

    ray_pool.start(run.resources)
    say("Ray")
    try:
        with tempfile.TemporaryDirectory() as folder:
            for record in driver.run_on_ray(run, Path(folder) / "run", resume=False, open_test=False):
                if isinstance(record, RoundRecord):
                    say(TRAINED if record.round else "actors, features, backbone, first evaluation")
    finally:
        ray_pool.stop()


SIDES = {side.__name__: side for side in (pool, raysim)}


def stages_of(side: str) -> dict[str, float]:
    """Run a side in a process of its own; return the seconds at which it passed its stages."""
    started = time.monotonic()  # one clock for all processes of a machine
    words = [sys.executable, "-m", "benchmarks.startup", "--side", side]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = (line.split(" ", 1) for line in done.stdout.splitlines())
    return {stage: float(moment) - started for moment, stage in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        SIDES[options.side](lambda stage: print(f"{time.monotonic():.3f} {stage}", flush=True))
        return
    train(0)  # the features are cached from here on
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(options.repeats):
        for side, stages in runs.items():
            stages.append(stages_of(side))
    control = statistics.median(stages[TRAINED] for stages in runs["pool"])
    for side, stages in runs.items():
        for stage in stages[0]:
            middle = statistics.median(run[stage] for run in stages)
            print(f"{side:8}{middle:7.2f} s  {middle / control:5.2f} of the pool  {stage}")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
