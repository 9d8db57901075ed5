"""What a trial costs beyond its own training: raysim's sweep beside plain Ray Tune, on two cores, in one run.

    python -m benchmarks.overhead [--trials 20] [--slots 2] [--json FILE]

Every trial is one tiny federation. raysim's side is `python -m raysim.sweep` on a space of contrasts (nothing
waits for another trial). The others are function trainables with Tune's default actors, a process per trial:
one runs the same federation on the serial engine, one imports torch and does nothing, which is the least that
a trial can be. Per trial: seconds from the end of the slot's trial before to its own end, less the seconds of
its rounds (training and evaluation). raysim's first trial of a slot starts its processes and is left out.
Medians and quartiles, because a machine is seldom alone; the ratio is the more robust number.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

CORES = 2
SETTINGS = {
    "rounds": 2,
    "scenario.clients": 4,
    "task.shots": 4,
    "evaluation.every": 1,
    "training.lr": 0.05,
    "resources.workers": 1,
    "method.shared_init": "a photo of a",
}
SPACE = '''"""One tiny federation, over and over."""
from raysim.experiment import Experiment, override


def base():
    return override(Experiment(), {settings})


SCENARIOS = [{{"scenario": "even"}}]
CONTRASTS = {{"method.lam": {levels}}}


def space(trial):
    return {{"method.lam": trial.suggest_float("method.lam", 0.01, 0.5)}}
'''
Trial = tuple[float, float, float]  # begin and end, unix seconds; seconds of its rounds


def of_raysim(trials: int, slots: int, folder: Path) -> list[Trial]:
    """A sweep with one seed per trial, from its files: a trial ends when its row is on disk."""
    space, out = folder / "tiny.py", folder / "out"
    levels = np.linspace(0.1, 0.4, trials + slots - 1).round(6).tolist()  # and the anchor
    space.write_text(SPACE.format(settings=SETTINGS, levels=levels))
    sizes = ["--trials", "0", "--seeds", "1", "--workers", str(slots), "--out", str(out), "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "raysim.sweep", str(space), *sizes], check=True, stdout=subprocess.DEVNULL
    )
    found = []
    for part in (out / "tables" / "trials").glob("*.parquet"):
        row = ds.dataset(part).to_table().to_pylist()[0]
        if row["kind"] == "contrast" and row["state"] == "COMPLETE":
            end = part.stat().st_mtime
            found.append((end - row["wall_seconds"], end, row["seconds"]))
    return found


def of_tune(
    trials: int, slots: int, folder: Path, trainable: Callable[[dict[str, Any]], dict[str, float]]
) -> list[Trial]:
    """Function trainables of plain Tune."""
    from ray import tune

    from raysim.engines import ray_pool
    from raysim.experiment import Experiment, Resources, override
    from raysim.simulation.images import prepare

    prepare([override(Experiment(), SETTINGS)], lambda done, total: None)
    os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
    ray_pool.start(Resources(workers=slots))
    try:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={
                "lam": tune.grid_search(np.linspace(0.1, 0.4, trials + slots).tolist()),
                "folder": str(folder),
            },
            tune_config=tune.TuneConfig(max_concurrent_trials=slots),
            run_config=tune.RunConfig(name="plain", storage_path=str(folder), verbose=0),
        )
        results = [result.metrics for result in tuner.fit()]
    finally:
        ray_pool.stop()
    return [(row["begin"], row["end"], row["seconds"]) for row in results]


def idle_trial(config: dict[str, Any]) -> dict[str, float]:
    """A trial that needs torch and has nothing to do."""
    begin = time.time()
    import torch

    torch.set_num_threads(1)
    return {"begin": begin, "end": time.time(), "seconds": 0.0}


def plain_trial(config: dict[str, Any]) -> dict[str, float]:
    """What a user of Tune writes: import, build, train, report."""
    begin = time.time()
    import torch

    from raysim.engines.serial import Serial
    from raysim.experiment import Experiment, override
    from raysim.simulation.rounds import Simulation
    from raysim.storage.store import Store

    torch.set_num_threads(1)
    experiment = override(Experiment(), {**SETTINGS, "method.lam": config["lam"]})
    simulation = Simulation(experiment, Serial(), Store(Path(config["folder"]) / experiment.id, experiment))
    for _ in simulation.rounds():
        pass
    return {"begin": begin, "end": time.time(), "seconds": simulation.totals["seconds"]}


def beyond(trials: list[Trial], slots: int) -> list[float]:
    """Seconds per trial beyond its rounds. A trial follows the one that ended last before it began, if no other follows that one."""
    free: list[float] = []
    found = []
    for begin, end, seconds in sorted(trials):
        before = [other for other in free if other <= begin]
        if before:
            free.remove(max(before))
            found.append(end - max(before) - seconds)
        free.append(end)
    return found[slots - len(trials) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="trials that count, on each side")
    parser.add_argument("--slots", type=int, default=2, help="trials at once")
    parser.add_argument("--json", type=Path, help="where to write every trial's seconds")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sides: dict[str, Callable[[int, int, Path], list[Trial]]] = {
        "raysim": of_raysim,
        "Tune, idle": partial(of_tune, trainable=idle_trial),
        "Tune, same": partial(of_tune, trainable=plain_trial),
    }
    found: dict[str, list[float]] = {}
    for name, side in sides.items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = beyond(side(options.trials, options.slots, Path(folder)), options.slots)
        low, middle, high = np.quantile(found[name], [0.25, 0.5, 0.75])
        said = (
            f"(quartiles {low:.3f} to {high:.3f}, {len(found[name])} trials, load {os.getloadavg()[0]:.1f})"
        )
        print(f"{name:12}{middle:7.3f} s per trial beyond its rounds {said}", flush=True)
    ratios = {
        name: float(np.median(found["raysim"]) / np.median(seconds))
        for name, seconds in found.items()
        if name != "raysim"
    }
    print(
        f"{options.slots} at once on {CORES} cores: "
        + ", ".join(f"{ratio:.3f} of '{name}'" for name, ratio in ratios.items())
    )
    if options.json:
        command = f"python -m benchmarks.overhead --trials {options.trials} --slots {options.slots}"
        options.json.write_text(
            json.dumps({"command": command, "seconds": found, "ratios": ratios}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
