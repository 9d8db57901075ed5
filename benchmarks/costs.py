"""What `raysim plan` predicts beside what runs take: CPU-seconds in one process, without its start.

    python -m benchmarks.costs

Every prediction and every run has a process of its own; the inputs of the runs are in the cache before.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.settings import Settings
from raysim.api.costs import measure
from raysim.engines.serial import Serial
from raysim.experiment import Experiment, override
from raysim.simulation.device import CPU
from raysim.simulation.images import prepare
from raysim.simulation.rounds import Simulation
from raysim.simulation.sampled import sampled_frozen
from raysim.storage.store import Store

SAMPLE = 64  # images, as `raysim plan` takes
SHORT: Settings = {"rounds": 20, "evaluation.every": 5, "resources.workers": 1}
NETWORK: Settings = {**SHORT, "task.image_size": 32, "task.shots": 43}
CASES: dict[str, Settings] = {
    "promptfl, 100 clients": {**SHORT, "method": "promptfl", "scenario.clients": 100},
    "fedrsclip, Dirichlet 0.1": {**SHORT, "scenario": "dirichlet", "scenario.alpha": 0.1},
    "promptfl, 1,000 clients, 100 a round": {
        **SHORT,
        "method": "promptfl",
        "scenario.clients": 1000,
        "participation": 0.1,
    },
    "fedavg, small CNN": {**NETWORK, "method": "fedavg", "method.network": "cnn", "method.norm": "group"},
    "safe, small ResNet": {**NETWORK, "method": "safe", "scenario.clients": 20, "task.ses": 10},
}


def predicted(experiment: Experiment) -> float:
    """Return the CPU-seconds that a plan predicts."""
    return measure(experiment, sampled_frozen(experiment, CPU, SAMPLE), 0.0).total


def taken(experiment: Experiment) -> float:
    """Run the experiment; return its CPU-seconds."""
    prepare([experiment], lambda done, total: None)
    with tempfile.TemporaryDirectory() as folder:
        engine = Serial(experiment.resources)
        store = Store(Path(folder) / "run", experiment)
        simulation = Simulation(experiment, engine, store).open()
        started = time.process_time()
        for _ in simulation.rounds():
            pass
        return time.process_time() - started


SIDES = {"predicted": predicted, "taken": taken}


def main() -> None:
    """Predict and run every case, and print the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        torch.set_num_threads(1)
        print(SIDES[options.side](override(Experiment(), CASES[options.case])))
        return
    print("predicted    taken    ratio  (CPU-seconds)")
    for case in CASES:
        words = [sys.executable, "-m", "benchmarks.costs", "--case", case, "--side"]
        one, two = (
            float(subprocess.run([*words, side], check=True, stdout=subprocess.PIPE, text=True).stdout)
            for side in SIDES
        )
        print(f"{one:9.2f} {two:8.2f} {one / two:8.2f}  {case}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
