"""Memory, open handles, files and disk of the process that owns a run, while rounds, clients and trials grow.

Nothing may grow with the number of rounds: the tables show parts of the rounds. `clients` is a federation of
which 100 clients train in a round, `everyone` one of which all do; both have as many scenes as that takes. Of
a sweep with many trials the process of the command is measured, which holds the plan and Tune.

    python -m benchmarks.load rounds [--count 500]
    python -m benchmarks.load clients [--count 10000]
    python -m benchmarks.load everyone [--count 1000]
    python -m benchmarks.load trials [--count 200]
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raysim.data.scenes import PER_CELL
from raysim.engines.serial import Serial
from raysim.experiment import Experiment, override
from raysim.simulation.images import prepare
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store

COLUMNS = ("at", "own memory, MB", "handles", "files", "disk, MB", "seconds")
FEW = {"scenario.clients": 4, "task.shots": 4, "training.lr": 0.05, "evaluation.every": 10}
DRAWN = {"scenario": "dirichlet", "scenario.alpha": 0.5, "scenario.min_images": 1, "task.shots": None}
MANY = {**DRAWN, "rounds": 50, "evaluation.every": 25}
IMAGES = 2.5  # training images a client at least, of which 64 % are for training
COUNTS = {"rounds": 500, "clients": 10_000, "everyone": 1_000, "trials": 200}
SPACE = '''
"""Trials that cost little."""
from raysim.experiment import Experiment, override

def base():
    settings = {"rounds": 1, "scenario.clients": 2, "task.shots": 2, "task.classes": 2, "evaluation.every": 1}
    return override(Experiment(), settings | {"resources.workers": 1})

SCENARIOS = [{"scenario": "even"}]

def space(trial):
    return {"method.lam": trial.suggest_float("method.lam", 0.005, 0.5, log=True)}
'''


def measured(at: Any, folder: Path, started: float) -> tuple[Any, ...]:
    """A row of the table: this process, and the files of a result."""
    gc.collect()
    status = Path("/proc/self/status").read_text().splitlines()
    memory = next(int(line.split()[1]) / 1000 for line in status if line.startswith("RssAnon"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    disk = sum(path.stat().st_size for path in files) / 1e6
    handles = len(os.listdir("/proc/self/fd"))
    return at, f"{memory:.0f}", handles, len(files), f"{disk:.1f}", f"{time.monotonic() - started:.0f}"


def of_run(experiment: Experiment, folder: Path, parts: int) -> Iterator[tuple[Any, ...]]:
    """Rows of a run in this process: after each part of its rounds, and at its end."""
    prepare([experiment], lambda done, total: None)
    started, every = time.monotonic(), max(1, experiment.rounds // parts)
    simulation = Simulation(experiment, Serial(), Store(folder, experiment)).open()
    yield measured("clients and images", folder, started)
    for record in simulation.rounds():
        if record.round % every == 0 or record.round == 1:
            yield measured(f"round {record.round}", folder, started)
    yield measured("the end", folder, started)


def of_sweep(count: int, folder: Path) -> Iterator[tuple[Any, ...]]:
    """Rows of a sweep: the process of the command after each quarter of its trials."""
    from raysim.cli.main import main
    from raysim.search.running import tune

    space, started, rows, write = folder / "load_space.py", time.monotonic(), list[Any](), tune.write_trial
    space.write_text(SPACE)

    def counted(out: Path, row: Any) -> None:
        write(out, row)
        ended = len(list((out / "tables/trials").glob("*.parquet")))
        if ended % max(1, count // 4) == 0:
            rows.append(measured(f"trial {ended}", out, started))

    tune.write_trial = counted
    words = ["--trials", str(count), "--seeds", "1", "--race", "0", "--no-contrasts", "--quiet"]
    if main(["sweep", str(space), *words, "--out", str(folder / "out")]) != 0:
        raise SystemExit("the sweep failed")
    yield from rows
    yield measured("the end", folder / "out", started)


def main() -> None:
    """Measure one of the three, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kind", choices=COUNTS)
    parser.add_argument("--count", type=int, help=f"how many (default: {COUNTS})")
    arguments = parser.parse_args()
    folder, count = Path(tempfile.mkdtemp(prefix="load-")), arguments.count or COUNTS[arguments.kind]
    if arguments.kind == "trials":
        rows = of_sweep(count, folder)
    elif arguments.kind == "rounds":
        rows = of_run(override(Experiment(), {**FEW, "rounds": count}), folder / "run", 5)
    else:
        share = min(1.0, 100 / count) if arguments.kind == "clients" else 1.0
        per_cell = PER_CELL * math.ceil(count * IMAGES / 0.64 / (24 * 6) / PER_CELL)
        settings = {**MANY, "scenario.clients": count, "participation": share, "task.per_cell": per_cell}
        rows = of_run(override(Experiment(), settings), folder / "run", 5)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
