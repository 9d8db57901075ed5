"""Peak memory of driver and workers in every round when clients keep whole networks.

SAFE with torchvision's ResNet-18 (45 MB per network) at 40 clients keeps 1.8 GB between rounds. These
networks are files, and updates are streamed, so memory should stay bounded. The table shows for each process
its own (anonymous) memory and what it shares through Ray's object store, and the size of the files.

    python -m benchmarks.memory [--clients 40] [--rounds 8] [--workers 2] [--network resnet18] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import ray

from raysim.core.types import nbytes
from raysim.engines import ray_pool
from raysim.experiment import Experiment, Resources, override
from raysim.simulation.images import prepare
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store


def held(pid: int) -> dict[str, float]:
    """Megabytes of a process: its own memory, and shared memory."""
    lines = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return {
        name: int(lines.get(key, "0").split()[0]) / 1000
        for name, key in (("own", "RssAnon"), ("shared", "RssShmem"))
    }  # 0: it has ended


class Watch:
    """Sampler of the memory of processes, every 20 ms; `peaks` returns the largest since the last call."""

    def __init__(self, pids: dict[str, int]) -> None:
        self.pids, self.seen, self.lock = pids, {}, threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            for name, pid in self.pids.items():
                if not Path(f"/proc/{pid}").exists():
                    return
                now = held(pid)
                with self.lock:
                    self.seen[name] = {
                        key: max(value, self.seen.get(name, {}).get(key, 0.0)) for key, value in now.items()
                    }
            time.sleep(0.02)

    def peaks(self) -> dict[str, dict[str, float]]:
        """Largest values since the last call."""
        with self.lock:
            found, self.seen = self.seen, {}
        return found


def main() -> None:
    """Run the federation and print one line per round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("clients", 40), ("rounds", 8), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    experiment = override(
        Experiment(),
        {
            "method": "safe",
            "method.network": options.network,
            "rounds": options.rounds,
            "scenario.clients": options.clients,
            "task.classes": 4,
            "task.image_size": 32,
            "task.ses": 2,
            "task.shots": options.clients,
            "training.batch": 8,
            "evaluation.every": options.rounds,
            "evaluation.clients": 2,
            "resources.workers": options.workers,
        },
    )
    prepare([experiment], lambda done, total: None)
    folder = Path(tempfile.mkdtemp())
    ray_pool.start(experiment.resources)
    pool = ray_pool.RayPool(Resources(workers=options.workers)).start()
    rows = []
    try:
        pids = {
            f"worker {index}": ray.get(actor.place.remote())[0] for index, actor in enumerate(pool.actors)
        }
        watch = Watch({"driver": os.getpid(), **pids})
        simulation = Simulation(experiment, pool, Store(folder, experiment)).open()
        print(
            f"{options.network}: {nbytes(simulation.state.shared) / 1e6:.1f} MB a client, "
            f"{options.clients} clients"
        )
        for record in simulation.rounds():
            files = sum(file.stat().st_size for file in folder.rglob("*.safetensors")) / 1e6
            rows.append(
                {"round": record.round, "files": files, "seconds": record.row["seconds"], **watch.peaks()}
            )
            cells = "  ".join(
                f"{name} {row['own']:6.0f} + {row['shared']:5.0f}"
                for name, row in rows[-1].items()
                if isinstance(row, dict)
            )
            print(
                f"round {record.round:3d}  peak MB own + shared: {cells}  files {files:6.0f} MB", flush=True
            )
    finally:
        pool.close()
        ray_pool.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(
            json.dumps({"command": "python -m benchmarks.memory", "rounds": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
