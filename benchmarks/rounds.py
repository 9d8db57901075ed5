"""Seconds of a round beside plain client code, and of one method beside another.

    python -m benchmarks.rounds [--only B2 ...] [--rounds 7] [--warm-up 2] [--out FILE]

    B0   a round that does nothing: 100 clients, 2,048 floats each
    B1   PromptFL, ViT-B-32 with random weights, 21 classes, 8 clients of 65 or 66 images, batch 33
    B1s  PromptFL, bundled tower, 24 classes, 100 clients of 51 or 52 images, batch 26
    B2   FedAvg, network "cnn" of 62,000 parameters with group norm, 32 px, clients and batch as in B1s
    B3   FedRSCLIP beside PromptFL, as in B1s
    B4   SAFE beside FedAvg: network "small_resnet", 32 px, 20 clients of 51 or 52 images, 240 server samples

B0 to B2 stand beside a pool of two processes with plain client code (`benchmarks.plain`), B3 and B4 beside
another method of raysim. A round of raysim is all that `Simulation.rounds` does on the Ray engine with two
workers: draw the cohort, train, aggregate, write tables, checkpoint and manifest. No measured round is an
evaluation round. A round of the pool sends the state, trains and averages; it writes nothing.

The two sides take turns, so that other work on the machine meets both. wall_ratio and cpu_ratio are ratios of
the two sides' medians. CPU seconds are those of the driver and all processes of that side. Every round of the
pool starts from raysim's state, and max_rel_diff is the largest difference of the results: the norm of the
difference over the norm of the pool's result. Memory is the largest seen after a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.plain import Pool
from benchmarks.processes import cpu_seconds, descendants, memory_mb
from benchmarks.settings import BENCHMARKS, Settings, relative_difference
from raysim.core import plugins
from raysim.core.types import RoundRecord, Tensors
from raysim.engines import ray_pool
from raysim.experiment import Experiment, Resources, override
from raysim.experiment.records import identity
from raysim.simulation.images import prepare
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store

WORKERS = 2
RESULTS = Path(__file__).parent / "results" / "rounds.json"
LARGEST_DIFFERENCE = 1e-5


@dataclass
class Side:
    """One side of a benchmark: what a round of it does, its processes, and what was measured."""

    name: str
    round_: Callable[[], object]
    pids: Callable[[], set[int]]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0.0

    def measure(self, keep: bool) -> None:
        """Do a round; note its seconds, unless it is a warm-up."""
        pids = self.pids()
        cpu, wall = cpu_seconds(pids), time.perf_counter()
        self.round_()
        wall, cpu = time.perf_counter() - wall, cpu_seconds(pids) - cpu
        if keep:
            self.wall.append(wall)
            self.cpu.append(cpu)
            self.memory = max(self.memory, memory_mb(pids))

    def numbers(self) -> dict[str, float]:
        """Return the medians and extremes."""
        return {
            "wall_seconds": statistics.median(self.wall),
            "wall_least": min(self.wall),
            "cpu_seconds": statistics.median(self.cpu),
            "cpu_least": min(self.cpu),
            "memory_mb": self.memory,
        }


class Measured:
    """A run of raysim whose rounds are asked for one by one."""

    def __init__(self, settings: Settings, pool: ray_pool.RayPool, folder: Path) -> None:
        self.experiment = experiment_of(settings)
        store = Store(folder / self.experiment.id, self.experiment)
        self.simulation = Simulation(self.experiment, pool, store).open()
        self.rounds: Iterator[RoundRecord] = self.simulation.rounds()
        next(self.rounds)  # the state before training, evaluated

    def round_(self) -> None:
        """Do the next round."""
        next(self.rounds)


def experiment_of(settings: Settings) -> Experiment:
    """Return the experiment of some settings."""
    return override(Experiment(), {**settings, "resources.workers": WORKERS})


@contextmanager
def engine() -> Iterator[ray_pool.RayPool]:
    """Start Ray with its workers."""
    resources = Resources(workers=WORKERS)
    ray_pool.start(resources)
    pool = ray_pool.RayPool(resources).start()
    try:
        yield pool
    finally:
        pool.close()
        ray_pool.stop()


def beside_pool(measured: Measured, rounds: int, warm_up: int) -> dict[str, Any]:
    """Measure a run of raysim and the pool in turns; compare what each round gives."""
    control = Pool(identity(measured.experiment), WORKERS)
    clients = measured.simulation.federation.clients
    result: dict[str, Tensors] = {}
    try:
        theirs = set(control.pids())

        def plain() -> None:
            state = measured.simulation.state
            result["pool"] = control.round_(state.shared, state.round, clients)

        sides = (
            Side("pool", plain, lambda: theirs | {os.getpid()}),
            Side("raysim", measured.round_, lambda: descendants(os.getpid()) - theirs),
        )
        differences = []
        for number in range(-warm_up, rounds):
            for side in sides:
                side.measure(keep=number >= 0)
            differences.append(relative_difference(measured.simulation.state.shared, result["pool"]))
    finally:
        control.close()
    return {**compared(sides[1], sides[0]), "max_rel_diff": max(differences)}


def beside_method(one: Measured, other: Measured, rounds: int, warm_up: int) -> dict[str, Any]:
    """Measure two runs of raysim on the same workers in turns; their results are not to be equal."""
    sides = [
        Side(run.experiment.method.name, run.round_, lambda: descendants(os.getpid())) for run in (other, one)
    ]
    for number in range(-warm_up, rounds):
        for side in sides:
            side.measure(keep=number >= 0)
    return {**compared(sides[1], sides[0]), "max_rel_diff": None}


def compared(side: Side, control: Side) -> dict[str, Any]:
    """Return the ratios of two sides, and the numbers of each."""
    ours, theirs = side.numbers(), control.numbers()
    return {
        "wall_ratio": ours["wall_seconds"] / theirs["wall_seconds"],
        "cpu_ratio": ours["cpu_seconds"] / theirs["cpu_seconds"],
        side.name: ours,
        control.name: theirs,
        "rounds": len(side.wall),
        "load": os.getloadavg()[0],
    }


def run(name: str, pool: ray_pool.RayPool, folder: Path, rounds: int, warm_up: int) -> dict[str, Any]:
    """Run one benchmark."""
    settings, other = BENCHMARKS[name]
    prepare([experiment_of(settings)], lambda done, total: None)
    measured = Measured(settings, pool, folder)
    if other is None:
        return beside_pool(measured, rounds, warm_up)
    prepare([experiment_of(other)], lambda done, total: None)
    return beside_method(measured, Measured(other, pool, folder), rounds, warm_up)


def line(name: str, row: dict[str, Any]) -> str:
    """Return one benchmark as a line of the table."""
    difference = "-" if row["max_rel_diff"] is None else f"{row['max_rel_diff']:.0e}"
    (_, ours), (_, theirs) = [(key, value) for key, value in row.items() if isinstance(value, dict)]
    seconds = f"{ours['wall_seconds']:7.3f} {theirs['wall_seconds']:7.3f}"
    cpu = f"{ours['cpu_seconds']:7.3f} {theirs['cpu_seconds']:7.3f}"
    memory = f"{ours['memory_mb']:6.0f} {theirs['memory_mb']:6.0f}"
    ratios = f"{row['wall_ratio']:7.3f} {row['cpu_ratio']:7.3f}"
    return f"{name:4}{ratios}   {seconds}   {cpu}   {memory}   {difference:>6}   {row['load']:4.1f}"


def main() -> None:
    """Run the benchmarks, print a table, and write their numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), metavar="B")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds of each side")
    parser.add_argument("--warm-up", type=int, default=2, help="rounds before them")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the numbers are written")
    options = parser.parse_args()
    torch.set_num_threads(1)
    plugins.load_plugin(Path(__file__).parent / "noop.py")
    rows = json.loads(options.out.read_text()) if options.out.exists() else {}
    print("      ratio of     seconds of a round   CPU seconds       MB of memory     largest")
    print("      wall    CPU    ours    control    ours    control   ours control   difference load")
    with engine() as pool, tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            row = run(name, pool, Path(folder) / name, options.rounds, options.warm_up)
            rows[name] = {**row, "commit": commit()}
            print(line(name, row), flush=True)
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1) + "\n")
    worst = {name: row["max_rel_diff"] or 0.0 for name, row in rows.items()}
    if wrong := [name for name, difference in worst.items() if difference > LARGEST_DIFFERENCE]:
        raise SystemExit(f"{', '.join(wrong)}: the two sides differ by more than {LARGEST_DIFFERENCE:g}")


def commit() -> str:
    """Return the commit of this checkout, with a mark where files were changed since."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
