"""One GPU, without Ray: rounds of raysim beside plain client code, and the share of the card's matrix rate.

    python -m benchmarks.gpu                   on a machine with CUDA, from a copy of the tree
    python -m benchmarks.gpu --device cpu      the same script on the CPU, to try it

The first table is the card's own rate: the product of two square matrices, in float32 as it is set for
training, and in bfloat16. The second is a step of K clients with the text tower of ViT-B (ViT-B-32 with 21
classes, ViT-B-16 with 45) beside the plain loop of 77 tokens, with the share of the float32 rate that it
reaches. The third are the rounds B1 to B4 of `benchmarks.rounds`, in this one process: B1, B1s and B2 beside
the plain loop on the same device, B3 and B4 beside another method of raysim.

Seconds are medians; the two sides take turns. Results are compared: max_rel_diff is the norm of the
difference over the norm of the plain result. Waits are the calls in one round at which the host waits for the
GPU, as CUDA's own debug mode reports them (`torch.cuda.set_sync_debug_mode`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import text_tower
from benchmarks.plain import Clients
from benchmarks.settings import BENCHMARKS, Settings, relative_difference
from raysim.core.types import RoundRecord, Tensors
from raysim.engines.serial import Serial
from raysim.experiment import Experiment, override
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store

RESULTS = Path(__file__).parent / "results" / "gpu.json"
SQUARE = {"cuda": 8192, "cpu": 1024}  # side of the matrices whose product is timed
TOWERS = {"ViT-B-32, 21 classes": ("ViT-B-32", 21), "ViT-B-16, 45 classes": ("ViT-B-16", 45)}
STACKS = (1, 4, 16, 64)  # clients side by side
ROUNDS = ("B1", "B1s", "B2", "B3", "B4")


def seconds_of(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the median seconds of some work, after one call that is not counted."""
    times = []
    for number in range(repeats + 1):
        synchronise(device)
        started = time.perf_counter()
        work()
        synchronise(device)
        if number:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def synchronise(device: torch.device) -> None:
    """Return when the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype, side: int, repeats: int) -> float:
    """Return the floating-point operations per second of a product of two square matrices."""
    one, two = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds_of(lambda: one @ two, device, repeats)


def tower_rows(
    name: str, device: torch.device, rate: float, stacks: tuple[int, ...], repeats: int
) -> Iterator[dict[str, Any]]:
    """Measure a step of K clients with the fast tower and with the plain one, for each K."""
    import open_clip

    architecture, count = TOWERS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        clip = open_clip.create_model(architecture).eval().requires_grad_(False).to(device)
    names = [text_tower.CLASSES[number % len(text_tower.CLASSES)] for number in range(count)]
    for clients in stacks:
        steps = text_tower.Steps(clip, names, clients, str(device))
        ours, theirs = (seconds_of(work, device, repeats) for work in (steps.fast, steps.plain))
        yield {
            "tower": name,
            "clients": clients,
            "seconds": ours,
            "plain_seconds": theirs,
            "ratio": ours / theirs,
            "share_of_rate": steps.flops / ours / rate,
            "max_rel_diff": steps.difference(),
        }


class Run:
    """A run of raysim in this process, whose rounds are asked for one by one."""

    def __init__(self, settings: Settings, device: torch.device, folder: Path) -> None:
        gpus = 1.0 if device.type == "cuda" else 0.0
        self.experiment = override(Experiment(), {**settings, "resources.gpus": gpus})
        store = Store(folder / self.experiment.id, self.experiment)
        self.simulation = Simulation(self.experiment, Serial(self.experiment.resources), store).open()
        self.rounds: Iterator[RoundRecord] = self.simulation.rounds()
        for _ in range(2):  # the first state, and a round after which clients have private states
            next(self.rounds)

    def round_(self) -> None:
        """Do the next round."""
        next(self.rounds)


class Plain:
    """The plain loop over all clients, from the state of a run of raysim."""

    def __init__(self, run: Run, device: torch.device) -> None:
        self.simulation, self.clients = run.simulation, Clients(run.experiment, device)
        self.result: Tensors = {}

    def round_(self) -> None:
        """Train all clients one after the other, and average."""
        state = self.simulation.state
        arrays = {name: tensor.numpy() for name, tensor in state.shared.items()}
        everyone = list(range(self.clients.federation.clients))
        sums, images = self.clients.train(arrays, state.round, everyone)
        means = {name: torch.from_numpy(total / images) for name, total in sums.items()}
        self.result = {name: mean.to(state.shared[name].dtype) for name, mean in means.items()}


def round_row(
    name: str, device: torch.device, folder: Path, rounds: int, changes: Settings
) -> dict[str, Any]:
    """Measure rounds of a benchmark and of what it stands beside, in turns."""
    settings, other = BENCHMARKS[name]
    ours = Run({**settings, **changes}, device, folder)
    theirs = Plain(ours, device) if other is None else Run({**other, **changes}, device, folder)
    times: dict[str, list[float]] = {"control": [], "raysim": []}
    differences = []
    for _ in range(rounds):
        for side, work in (("control", theirs.round_), ("raysim", ours.round_)):
            synchronise(device)
            started = time.perf_counter()
            work()
            synchronise(device)
            times[side].append(time.perf_counter() - started)
        if isinstance(theirs, Plain):
            differences.append(relative_difference(ours.simulation.state.shared, theirs.result))
    seconds, control = (statistics.median(times[side]) for side in ("raysim", "control"))
    return {
        "benchmark": name,
        "seconds": seconds,
        "control_seconds": control,
        "ratio": seconds / control,
        "max_rel_diff": max(differences, default=None),
        "waits": waits(ours.round_) if device.type == "cuda" else None,
    }


def waits(work: Callable[[], object]) -> int:
    """Return how often the host waits for the GPU in some work."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchron" in str(warning.message) for warning in caught)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run all of it, print the tables, and write the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each side")
    parser.add_argument("--only", nargs="*", choices=ROUNDS, default=list(ROUNDS), metavar="B")
    parser.add_argument("--towers", nargs="*", choices=TOWERS, default=list(TOWERS), metavar="TOWER")
    parser.add_argument("--stacks", nargs="+", type=int, default=list(STACKS), metavar="K")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the numbers are written")
    parser.add_argument("changes", nargs="*", help="changes of the rounds' settings, such as task.shots=8")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device is seen; --device cpu tries the script, and measures the CPU")
    device, repeats = torch.device(options.device), max(3, options.rounds)
    card = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, one thread"
    torch.set_num_threads(1)
    side = SQUARE[device.type]
    rates = {
        str(dtype).removeprefix("torch."): matrix_rate(device, dtype, side, repeats)
        for dtype in (torch.float32, torch.bfloat16)
    }
    print(f"{card}, torch {torch.__version__}")
    for name, rate in rates.items():
        print(f"  {name}: {rate / 1e12:.2f} TFLOP/s, {side} x {side}")
    towers = []
    for name in options.towers:
        for row in tower_rows(name, device, rates["float32"], tuple(options.stacks), repeats):
            towers.append(row)
            print(
                f"{name}  K={row['clients']:<3} {1e3 * row['seconds']:9.2f} ms  plain "
                f"{1e3 * row['plain_seconds']:9.2f} ms  ratio {row['ratio']:.3f}  "
                f"{row['share_of_rate']:.0%} of the float32 rate  difference {row['max_rel_diff']:.0e}",
                flush=True,
            )
    rounds, changes = [], dict(word.split("=", 1) for word in options.changes)
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            row = round_row(name, device, Path(folder), options.rounds, changes)
        rounds.append(row)
        difference = "-" if row["max_rel_diff"] is None else f"{row['max_rel_diff']:.0e}"
        waited = "not measured" if row["waits"] is None else row["waits"]
        print(
            f"{name:4} {row['seconds']:8.3f} s  control {row['control_seconds']:8.3f} s  ratio "
            f"{row['ratio']:.3f}  difference {difference}  waits {waited}",
            flush=True,
        )
    numbers = {"device": card, "torch": torch.__version__, "flops_per_second": rates}
    result = {**numbers, "towers": towers, "rounds": rounds}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
