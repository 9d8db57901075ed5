"""Cost of a trial beyond its own training: raysim's sweep beside plain Ray Tune, on two cores, in one run.

    python -m benchmarks.overhead [--trials 20] [--slots 2] [--json FILE]

Every trial is one tiny federation. There are three sides:

    raysim       `python -m raysim.sweep` on a space of contrasts, where no trial waits for another one
    Tune, idle   a function trainable that imports torch and does nothing, which is the least possible trial
    Tune, same   a function trainable that runs the same federation on the serial engine

Function trainables use Tune's default actors: one process per trial.

A trial's value is the time from the end of the previous trial in the same slot to its own end, minus the
seconds of its rounds (training and evaluation). In raysim the first trial of a slot starts its processes and
is left out. The output has medians and quartiles, because other work often runs on the same machine. The
ratio is the more robust number.
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


def raysim_trials(trials: int, slots: int, folder: Path) -> list[Trial]:
    """Run a sweep with one seed per trial and read its files: a trial ends when its row is on disk."""
    space, out = folder / "tiny.py", folder / "out"
    levels = np.linspace(0.1, 0.4, trials + slots - 1).round(6).tolist()  # and the anchor
    space.write_text(SPACE.format(settings=SETTINGS, levels=levels))
    sizes = ["--trials", "0", "--seeds", "1", "--workers", str(slots), "--out", str(out), "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "raysim.sweep", str(space), *sizes], check=True, stdout=subprocess.DEVNULL
    )
    ended = []
    for part in (out / "tables" / "trials").glob("*.parquet"):
        row = ds.dataset(part).to_table().to_pylist()[0]
        if row["kind"] == "contrast" and row["state"] == "COMPLETE":
            end = part.stat().st_mtime
            ended.append((end - row["wall_seconds"], end, row["seconds"]))
    return ended


def tune_trials(
    trials: int, slots: int, folder: Path, trainable: Callable[[dict[str, Any]], dict[str, float]]
) -> list[Trial]:
    """Run a function trainable with plain Tune."""
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
    """Import torch and do nothing."""
    begin = time.time()
    import torch

    torch.set_num_threads(1)
    return {"begin": begin, "end": time.time(), "seconds": 0.0}


def plain_trial(config: dict[str, Any]) -> dict[str, float]:
    """Run the federation as a user of Tune would write it: import, build, train, report."""
    begin = time.time()
    import torch

    from raysim.engines.serial import Serial
    from raysim.experiment import Experiment, override
    from raysim.simulation.rounds import Simulation
    from raysim.storage.store import Store

    torch.set_num_threads(1)
    experiment = override(Experiment(), {**SETTINGS, "method.lam": config["lam"]})
    simulation = Simulation(
        experiment, Serial(), Store(Path(config["folder"]) / experiment.id, experiment)
    ).open()
    for _ in simulation.rounds():
        pass
    return {"begin": begin, "end": time.time(), "seconds": simulation.totals["seconds"]}


def overhead_seconds(trials: list[Trial], slots: int) -> list[float]:
    """Seconds per trial beyond its rounds.

    A trial follows the trial that ended last before it began, if no other trial follows that one.
    """
    free: list[float] = []
    extra_seconds = []
    for begin, end, seconds in sorted(trials):
        before = [other for other in free if other <= begin]
        if before:
            free.remove(max(before))
            extra_seconds.append(end - max(before) - seconds)
        free.append(end)
    return extra_seconds[slots - len(trials) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="trials that count, on each side")
    parser.add_argument("--slots", type=int, default=2, help="trials at once")
    parser.add_argument("--json", type=Path, help="where to write every trial's seconds")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sides: dict[str, Callable[[int, int, Path], list[Trial]]] = {
        "raysim": raysim_trials,
        "Tune, idle": partial(tune_trials, trainable=idle_trial),
        "Tune, same": partial(tune_trials, trainable=plain_trial),
    }
    extra_seconds: dict[str, list[float]] = {}
    for name, side in sides.items():
        with tempfile.TemporaryDirectory() as folder:
            extra_seconds[name] = overhead_seconds(
                side(options.trials, options.slots, Path(folder)), options.slots
            )
        low, middle, high = np.quantile(extra_seconds[name], [0.25, 0.5, 0.75])
        details = (
            f"(quartiles {low:.3f} to {high:.3f}, {len(extra_seconds[name])} trials, "
            f"load {os.getloadavg()[0]:.1f})"
        )
        print(f"{name:12}{middle:7.3f} s per trial beyond its rounds {details}", flush=True)
    ratios = {
        name: float(np.median(extra_seconds["raysim"]) / np.median(seconds))
        for name, seconds in extra_seconds.items()
        if name != "raysim"
    }
    print(
        f"{options.slots} at once on {CORES} cores: "
        + ", ".join(f"{ratio:.3f} of '{name}'" for name, ratio in ratios.items())
    )
    if options.json:
        command = f"python -m benchmarks.overhead --trials {options.trials} --slots {options.slots}"
        options.json.write_text(
            json.dumps({"command": command, "seconds": extra_seconds, "ratios": ratios}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
