"""Coverage of the nominal 90 % intervals behind the verdicts, on functions with known answers.

    python -m benchmarks.coverage [--repeats 400 --blocks 32 128 --trajectories 16 64 --seeds 3 5 --seed 0
    --markdown FILE --json FILE]

Functions: Ishigami's and Sobol's g have indices in closed form. `conditional` has a switch that chooses which
of two parameters acts, each in half of the space; `rare` has the switch at 1 in 8. Morris' mu* is exact too:
it is the mean over the whole grid from which the steps are drawn.

Contrasts move one parameter from the anchor. Each seed has noise that both sides share and noise of its own,
as runs paired by seed have.

Each repeat is a new design. The exit status is 1 when any interval covers in fewer than 85 of 100 repeats. An
exact 90 % interval would do so by chance in 1 of 25 tables of 100 repeats, and there are 120 intervals. That
is why the default is 400 repeats.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from analysis.stats import Index, morris_effects, sobol_indices
from analysis.stats.intervals import paired
from raysim.search.plans import designs

ENOUGH = 0.85
LEVELS = 4
CHEAP = 5  # as many repeats of a contrast as of a design
SHARED_NOISE, OWN_NOISE = 0.5, 0.1  # standard deviations between seeds, in those of the outcome


@dataclass(frozen=True)
class KnownFunction:
    """A function on the unit cube with its indices in closed form."""

    name: str
    k: int
    f: Callable[[np.ndarray], np.ndarray]
    variance: float
    first: tuple[float, ...]
    total: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """Number of repeats in which one estimator's interval covered the answer."""

    function: str
    estimator: str
    n: int
    parameter: str
    answer: float
    covered: int
    repeats: int
    width: float  # median

    @property
    def share(self) -> float:
        return self.covered / self.repeats


def ishigami() -> KnownFunction:
    """Ishigami and Homma (1990) with a = 7, b = 0.1."""
    a, b, pi = 7.0, 0.1, np.pi
    v1, v2, v13 = 0.5 * (1 + b * pi**4 / 5) ** 2, a**2 / 8, b**2 * pi**8 * 8 / 225
    v = v1 + v2 + v13

    def f(u: np.ndarray) -> np.ndarray:
        x = pi * (2 * u - 1)
        return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])

    return KnownFunction("ishigami", 3, f, v, (v1 / v, v2 / v, 0.0), ((v1 + v13) / v, v2 / v, v13 / v))


def sobol_g() -> KnownFunction:
    """Saltelli and Sobol' (1995) with a = 0, 0.5, 3, 9, 99, 99."""
    a = np.array([0.0, 0.5, 3.0, 9.0, 99.0, 99.0])
    partial_variances = 1 / (3 * (1 + a) ** 2)
    v = float(np.prod(1 + partial_variances) - 1)
    total = tuple(
        float(partial_variances[j] * np.prod(np.delete(1 + partial_variances, j)) / v) for j in range(6)
    )
    return KnownFunction(
        "sobol g",
        6,
        lambda u: np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=1),
        v,
        tuple((partial_variances / v).tolist()),
        total,
    )


def conditional(name: str, p: float) -> KnownFunction:
    """A switch u0: the outcome is 2 u1 where u0 < p, else u2 + 0.3."""
    (m1, v1), (m2, v2) = (1.0, 4 / 12), (0.8, 1 / 12)
    apart, q = p * (1 - p) * (m1 - m2) ** 2, 1 - p
    v = p * v1 + q * v2 + apart
    total = ((apart + p * q * (v1 + v2)) / v, p * v1 / v, q * v2 / v)
    return KnownFunction(
        name,
        3,
        lambda u: np.where(u[:, 0] < p, 2 * u[:, 1], u[:, 2] + 0.3),
        v,
        (apart / v, p * p * v1 / v, q * q * v2 / v),
        total,
    )


FUNCTIONS = (ishigami(), sobol_g(), conditional("conditional", 0.5), conditional("rare", 0.125))


def exact_mu_star(function: KnownFunction) -> np.ndarray:
    """Exact mu* of every parameter, over every step on the grid of levels. [k]"""
    grid = np.array(list(itertools.product(np.linspace(0, 1, LEVELS), repeat=function.k)))
    size = LEVELS / (2 * LEVELS - 2)
    answers = []
    for j in range(function.k):
        low = grid[grid[:, j] <= 1 - size + 1e-9]
        high = low.copy()
        high[:, j] += size
        answers.append(np.abs(function.f(high) - function.f(low)).mean() / size)
    return np.array(answers)


def tally(
    function: str, estimator: str, n: int, answers: np.ndarray, runs: list[tuple[Index, ...]]
) -> list[Row]:
    """Count for every parameter the repeats whose interval covers the answer; one row per parameter."""
    rows = []
    for j, answer in enumerate(answers):
        ends = np.array(
            [[np.nan if end is None else end for end in (run[j].low, run[j].high)] for run in runs]
        )
        covered = int(((ends[:, 0] <= answer + 1e-9) & (answer <= ends[:, 1] + 1e-9)).sum())
        width = float(np.median(ends[:, 1] - ends[:, 0]))
        rows.append(Row(function, estimator, n, f"u{j}", float(answer), covered, len(runs), width))
    return rows


def sobol_rows(function: KnownFunction, blocks: int, repeats: int, seed: int) -> list[Row]:
    estimates = []
    for repeat in range(repeats):
        U, _ = designs.sobol(function.k, blocks * (function.k + 2), seed=seed + repeat)
        estimates.append(sobol_indices(function.f(U), [f"u{j}" for j in range(function.k)], seed=repeat))
    first = tally(
        function.name,
        "Sobol first",
        blocks,
        np.array(function.first),
        [indices.first for indices in estimates],
    )
    return first + tally(
        function.name,
        "Sobol total",
        blocks,
        np.array(function.total),
        [indices.total for indices in estimates],
    )


def morris_rows(function: KnownFunction, trajectories: int, repeats: int, seed: int) -> list[Row]:
    estimates = []
    for repeat in range(repeats):
        U, _ = designs.morris(function.k, trajectories * (function.k + 1), seed=seed + repeat, levels=LEVELS)
        estimates.append(
            morris_effects(
                U, function.f(U), [f"u{j}" for j in range(function.k)], LEVELS, seed=repeat
            ).mu_star
        )
    return tally(function.name, "Morris mu*", trajectories, exact_mu_star(function), estimates)


def contrast_rows(function: KnownFunction, seeds: int, repeats: int, seed: int) -> list[Row]:
    """Contrasts of one parameter at 0.9 with the anchor, where all are at 0.4."""
    rng = np.random.default_rng(seed)
    anchor = np.full((1, function.k), 0.4)
    moved = np.where(np.eye(function.k, dtype=bool), 0.9, 0.4)
    answers = function.f(moved) - function.f(anchor)
    spread = np.sqrt(function.variance)
    estimates = []
    for _ in range(repeats):
        shared = rng.normal(0, SHARED_NOISE * spread, seeds)
        noise = rng.normal(0, OWN_NOISE * spread, (function.k + 1, seeds))
        anchor_values = dict(enumerate((function.f(anchor)[0] + shared + noise[-1]).tolist()))
        values = [
            dict(enumerate((level + shared + noise[j]).tolist())) for j, level in enumerate(function.f(moved))
        ]
        intervals = [paired(level_values, anchor_values) for level_values in values]
        estimates.append(
            tuple(Index(f"u{j}", i.mean, i.low, i.high) for j, i in enumerate(intervals) if i is not None)
        )
    return tally(function.name, "paired contrast", seeds, answers, estimates)


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield every row of the table."""
    for function in FUNCTIONS:
        for blocks in options.blocks:
            yield from sobol_rows(function, blocks, options.repeats, options.seed)
        for trajectories in options.trajectories:
            yield from morris_rows(function, trajectories, options.repeats, options.seed)
        for seeds in options.seeds:
            yield from contrast_rows(function, seeds, CHEAP * options.repeats, options.seed)


def markdown(rows: list[Row]) -> str:
    """The table in markdown: one line per function, estimator and size."""
    lines = [
        "| function | estimator | blocks, trajectories or seeds | covered, of 100, by parameter | least | "
        "median width |"
    ]
    lines.append("|---|---|---:|---|---:|---|")
    for (function, estimator, n), group in itertools.groupby(
        rows, key=lambda row: (row.function, row.estimator, row.n)
    ):
        group_rows = list(group)
        shares = " ".join(f"{100 * row.share:.0f}" for row in group_rows)
        least = 100 * min(row.share for row in group_rows)
        widths = " ".join(f"{row.width:.2g}" for row in group_rows)
        lines.append(f"| {function} | {estimator} | {n} | {shares} | {least:.0f} | {widths} |")
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measured coverage of nominal 90 % intervals.")
    parser.add_argument("--repeats", type=int, default=400, help="of contrasts five times as many")
    parser.add_argument("--blocks", type=int, nargs="*", default=[32, 128], help="of Saltelli designs")
    parser.add_argument("--trajectories", type=int, nargs="*", default=[16, 64], help="of Morris designs")
    parser.add_argument("--seeds", type=int, nargs="*", default=[3, 5], help="of contrasts")
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--json", type=Path, help="where to write every row")
    options = parser.parse_args(arguments)
    if (
        min([options.repeats, *options.blocks, *options.trajectories, *options.seeds]) < 1
        or min([2, *options.blocks, *options.seeds]) < 2
    ):
        parser.error("--repeats and --trajectories should be at least 1, --blocks and --seeds at least 2")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    rows = list(measure(options))
    table = markdown(rows)
    print(table)
    if options.markdown:
        options.markdown.write_text(table + "\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    short = [row for row in rows if row.share < ENOUGH]
    for row in short:
        print(
            f"{row.function}, {row.estimator}, {row.n}, {row.parameter}: {row.covered} of {row.repeats}",
            file=sys.stderr,
        )
    print(
        f"{len(rows) - len(short)} of {len(rows)} intervals cover in at least {100 * ENOUGH:.0f} of "
        "100 repeats"
    )
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
