"""Time and accuracy of raysim's transport solvers beside the public library POT, on the same problems.

    python -m benchmarks.transport [--repeats N]

The problems are those of FedRSCLIP: costs 1 - cosine of 26 images and 24 classes, as of CLIP (0.26 with the
right class, 0.19 else, deviation 0.025) or of the bundled tower (0.39, 0.19, 0.23); masses of the classes are
the labels' or uniform. They are in float32, on one thread. The solvers run one after the other on each
batch of problems, again and again; times are medians of the process's CPU time. All stop at a marginal error
of 1e-3 (L1) or their iteration limit. The error of the plans is their largest L1 distance to those of
Sinkhorn's iteration in float64 at a tolerance of 1e-7. Triples are raysim, Sinkhorn, POT.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch

from raysim.nn import ot, ot_newton, ot_solvers

IMAGES, CLASSES = 26, 24
Problem = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
SOLVERS: dict[str, Callable[..., ot.Transport]] = {
    "raysim": ot_newton.newton,
    "Sinkhorn": ot.sinkhorn,
    "POT": ot_solvers.by_pot,
}


def problems(count: int, weak: bool, histogram: bool) -> Problem:
    """Costs and log masses; a weak backbone mixes classes up, and its costs spread nine times as far."""
    rng = torch.Generator().manual_seed(count)
    labels = torch.randint(CLASSES, (count, IMAGES), generator=rng)
    noise = torch.randn(count, IMAGES, CLASSES, generator=rng)
    spread, gap = (0.23, 0.2) if weak else (0.025, 0.07)
    cost = 0.81 - gap * torch.nn.functional.one_hot(labels, CLASSES) + spread * noise
    log_a = torch.full((count, IMAGES), -math.log(IMAGES))
    if not histogram:
        return cost, log_a, torch.full((count, CLASSES), -math.log(CLASSES))
    shares = torch.stack([torch.bincount(row, minlength=CLASSES) for row in labels]) / IMAGES
    return cost, log_a, shares.log()


def measure(problem: Problem, lam: float, repeats: int) -> dict[str, tuple[float, ot.Transport, float]]:
    """Milliseconds, solution and distance to the exact plan of each solver."""
    cost, log_a, log_b = (part.double() for part in problem)
    exact = ot.sinkhorn(cost, log_a, log_b, lam, tolerance=1e-7, max_iterations=20_000).plan
    times: dict[str, list[float]] = {name: [] for name in SOLVERS}
    solutions = {name: solver(*problem, lam) for name, solver in SOLVERS.items()}
    for _ in range(repeats):
        for name, solver in SOLVERS.items():
            start = time.process_time()
            solver(*problem, lam)
            times[name].append(1e3 * (time.process_time() - start))
    return {
        name: (
            statistics.median(times[name]),
            solved,
            float((solved.plan - exact).abs().sum((-2, -1)).max()),
        )
        for name, solved in solutions.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(
        "| problems | raysim / POT | Sinkhorn / POT | raysim / Sinkhorn | iterations | error of the plans |"
    )
    print("|---|---|---|---|---|---|")
    for weak in (True, False):
        for histogram in (True, False):
            for lam, count in ((0.005, 8), (0.02, 8), (0.02, 64), (0.1, 8)):
                measured = measure(problems(count, weak, histogram), lam, repeats).values()
                raysim, sinkhorn, pot = (milliseconds for milliseconds, _, _ in measured)
                kind = f"{'bundled' if weak else 'CLIP'}, {'labels' if histogram else 'uniform'}"
                iterations = ", ".join(
                    f"{solved.iterations.float().mean():.0f}"
                    + " (stopped)" * bool((solved.marginal_error > 1e-3).any())
                    for _, solved, _ in measured
                )
                errors = ", ".join(f"{distance:.0e}" for _, _, distance in measured)
                print(
                    f"| {count}, {kind}, {lam:g} | {raysim / pot:.2f} | {sinkhorn / pot:.2f} | "
                    f"{raysim / sinkhorn:.2f} | {iterations} | {errors} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
