"""Noise of the points of a design, and the ranges in which they are lost."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.stats import (
    MU_LIMIT,
    TOTAL_LIMIT,
    lost_ranges,
    mean_and_noise,
    morris_effects,
    sobol_indices,
    verdict,
)
from benchmarks.known_functions import half_inert
from raysim.search.plans import designs

F = half_inert()
NAMES = [f"u{j}" for j in range(F.k)]


def test_noise_is_what_seeds_do_not_share() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 1)) + np.array([0.0, 4.0, -4.0]) + 0.3 * rng.normal(size=(4000, 3))
    y[7, 1] = np.nan
    mean, noise = mean_and_noise(y)
    assert noise is not None and noise.mean() == pytest.approx(0.3**2 / 3, rel=0.05)
    assert mean[7] == pytest.approx(np.nanmean(y[7] - [0, 4, -4]), abs=0.05)
    same, none = mean_and_noise(y[:, 0])
    assert none is None and (same == y[:, 0]).all()
    exact = mean_and_noise(np.repeat(y[:5, :1], 2, axis=1))[1]
    assert exact is not None and exact.max() == 0


def indices(kind: str, seeds: int, share: float, seed: int = 0) -> tuple[list[float], list[str]]:
    """Values and verdicts with run noise of this share of the variance."""
    rng = np.random.default_rng(seed)
    U, _ = designs.sobol(6, 128 * 8, seed) if kind == "sobol" else designs.morris(6, 64 * 7, seed)
    y = 0.6 + 0.05 * F.f(U) / np.sqrt(F.variance)
    Y = y[:, None] + rng.normal(0, 0.05 * np.sqrt(share), (len(y), seeds))
    found = sobol_indices(Y, NAMES).total if kind == "sobol" else morris_effects(U, Y, NAMES).mu_star
    limit = TOTAL_LIMIT if kind == "sobol" else MU_LIMIT
    return [i.value for i in found], [verdict(i, limit) for i in found]


@pytest.mark.parametrize("kind", ["sobol", "morris"])
@pytest.mark.parametrize("seeds", [1, 2])
def test_inert_parameters_are_not_called_important(kind: str, seeds: int) -> None:
    """With noise at a tenth of the variance they were, in each of these designs."""
    _, said = indices(kind, seeds, 0.10)
    assert said[0] == "matters" and "matters" not in said[3:]


def test_noise_is_taken_out_of_the_values() -> None:
    values = np.mean([indices("sobol", 2, 0.20, seed)[0] for seed in range(12)], axis=0)
    np.testing.assert_allclose(values, F.total, atol=0.03)
    assert max(values[3:]) < 0.02
    exact, _ = indices("morris", 2, 0.0)
    noisy, _ = indices("morris", 2, 0.10)
    np.testing.assert_allclose(noisy, exact, atol=0.008)


def test_where_noise_dominates_nothing_is_said() -> None:
    rng = np.random.default_rng(0)
    U, _ = designs.sobol(6, 64 * 8, 0)
    found = sobol_indices(F.f(U)[:, None] + rng.normal(0, 3, (len(U), 2)), NAMES)
    assert (
        not found.total and "run noise is" in found.reason and found.noise is not None and found.noise > 0.5
    )


def test_identical_runs_of_a_switched_off_parameter_have_no_noise_between_them() -> None:
    """A parameter that changes one block in eight is not made smaller by the noise of the others."""
    rng = np.random.default_rng(0)
    U, _ = designs.sobol(2, 400 * 4, 0)
    noise = rng.normal(0, 0.1, (len(U), 2))
    acts = (U[:, 0] < 0.125) * U[:, 1]
    rows, b = noise.reshape(400, 4, 2), (U.reshape(400, 4, 2)[:, 0, 0] >= 0.125)
    rows[b, 2] = rows[b, 0]  # changing u1 changes nothing there: the run is the same
    found = sobol_indices((3 * acts)[:, None] + rows.reshape(-1, 2), ["u0", "u1"])
    plain = sobol_indices(np.repeat(3 * acts[:, None], 2, axis=1), ["u0", "u1"])
    assert found.total[1].value == pytest.approx(plain.total[1].value, abs=0.05)


def test_the_range_that_diverges_is_named() -> None:
    U = np.random.default_rng(0).random((300, 4))
    lost = (U[:, 2] > 0.8) | (np.arange(300) % 40 == 0)
    found = lost_ranges(U, lost, list("abcd"))
    assert [(r.name, r.low, r.high) for r in found] == [("c", pytest.approx(2 / 3), 1)]
    assert found[0].points == int((U[:, 2] >= 2 / 3).sum()) and found[0].lost <= int(lost.sum())
    scattered = [lost_ranges(U, np.random.default_rng(s).random(300) < 0.1, list("abcd")) for s in range(60)]
    assert sum(bool(r) for r in scattered) <= 3
