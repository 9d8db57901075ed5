"""Numerics of optimal transport: types, batches, overflow, convergence, and values out of range."""

from __future__ import annotations

import numpy as np
import ot as pot
import pytest
import torch

from raysim.nn import ot

LAMBDAS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.5]


def cosines(problems: int, rows: int, columns: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Costs 1 - cosine as of CLIP (0.26 with the right class, 0.19 else, deviation 0.025), and classes."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(columns, (problems, rows), generator=rng)
    mean = 0.19 + 0.07 * torch.nn.functional.one_hot(labels, columns)
    return 1 - (mean + 0.025 * torch.randn(problems, rows, columns, generator=rng)).double(), labels


def uniform(*shape: int) -> torch.Tensor:
    return torch.full(shape, -float(np.log(shape[-1])), dtype=torch.float64)


@pytest.mark.parametrize("lam", LAMBDAS)
def test_float32_meets_its_tolerance(lam):
    """The plan of the default tolerance, in the precision of training, is the exact one to that tolerance."""
    cost, _ = cosines(8, 32, 24)
    found = ot.sinkhorn(cost.float(), uniform(8, 32), uniform(8, 24), lam)
    exact = ot.sinkhorn(cost, uniform(8, 32), uniform(8, 24), lam, tolerance=1e-12, max_iterations=50_000)
    assert found.plan.dtype == torch.float32
    assert ((found.plan.sum(-1) - 1 / 32).abs().sum(-1) <= 1.01e-3).all() and (found.iterations < 1000).all()
    assert (found.plan.sum(-2) - 1 / 24).abs().max() < 1e-5
    assert (found.plan - exact.plan).abs().sum((-2, -1)).max() < 0.01


@pytest.mark.parametrize(
    "lam, shape, spread", [(1e-4, (20, 30), 1.0), (2e-4, (64, 8), 2.0), (1e-3, (5, 5), 50.0)]
)
def test_hard_problems_in_float32(lam, shape, spread):
    """exp(-C / lam) is 0 in every precision: scalings overflow and the log-sum-exp steps take over."""
    rng = np.random.default_rng(0)
    cost = spread * rng.random(shape)
    a, b = rng.dirichlet(np.full(shape[0], 0.2)) + 1e-12, rng.dirichlet(np.full(shape[1], 0.2)) + 1e-12
    a, b = a / a.sum(), b / b.sum()
    found = ot.sinkhorn(
        *(torch.tensor(x) for x in (cost, np.log(a), np.log(b))), lam, tolerance=1e-4, max_iterations=200_000
    )
    assert found.marginal_error <= 1e-4
    value = float(ot.transport_cost(found.plan, torch.tensor(cost)))
    assert value == pytest.approx(pot.emd2(a, b, cost), abs=lam * np.log(len(a) * len(b)) + 1e-4 * spread)
    single = ot.sinkhorn(
        *(torch.tensor(x).float() for x in (cost, np.log(a), np.log(b))),
        lam,
        tolerance=2e-2,
        max_iterations=200_000,
    )
    assert single.plan.isfinite().all() and single.marginal_error <= 2e-2
    assert (single.plan.sum(-1) - torch.tensor(a)).abs().sum() < 3e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bits_do_not_depend_on_the_batch(dtype):
    cost, _ = cosines(16, 32, 24)
    cost = (cost * torch.linspace(0.3, 3, 16).double()[:, None, None]).to(dtype)
    log_a, log_b = uniform(16, 32), uniform(16, 24)
    together = ot.sinkhorn(cost, log_a, log_b, 0.005)
    assert len(together.iterations.unique()) > 2  # they stop at different times
    for i in range(16):
        alone = ot.sinkhorn(cost[i], log_a[i], log_b[i], 0.005)
        assert all(torch.equal(one, many[i]) for one, many in zip(alone, together, strict=True))
    nested = ot.sinkhorn(cost.reshape(2, 8, 32, 24), log_a.reshape(2, 8, 32), log_b[0], 0.005)
    assert torch.equal(nested.plan.reshape(16, 32, 24), together.plan) and nested.iterations.shape == (2, 8)


def test_an_empty_problem_in_the_batch_is_left_alone():
    cost, _ = cosines(2, 6, 5)
    log_a, log_b = uniform(2, 6), uniform(2, 5)
    log_a[0], log_b[0] = -torch.inf, -torch.inf
    found = ot.sinkhorn(cost, log_a, log_b, 0.02)
    assert found.plan[0].abs().sum() == 0 and found.marginal_error[0] == 0
    assert found.plan[1].sum() == pytest.approx(1)


def test_non_convergence_is_reported():
    cost, _ = cosines(2, 32, 24)
    short = ot.sinkhorn(cost, uniform(2, 32), uniform(2, 24), 0.005, tolerance=1e-9, max_iterations=7)
    assert (short.iterations == 7).all() and (short.marginal_error > 1e-9).all()
    error = (short.plan.sum(-1) - 1 / 32).abs().sum(-1)
    torch.testing.assert_close(short.marginal_error, error)
    impossible = ot.sinkhorn(cost, uniform(2, 32), uniform(2, 24) + np.log(0.5), 0.05, max_iterations=100)
    assert (impossible.marginal_error > 0.4).all() and impossible.plan.isfinite().all()


def test_nan_stays_visible_and_with_its_own_problem():
    cost, _ = cosines(3, 8, 4)
    cost[1, 2, 3] = torch.nan
    found = ot.sinkhorn(cost, uniform(3, 8), uniform(3, 4), 0.02)
    assert found.marginal_error[1].isnan() and found.plan[1].isnan().any()
    good = ot.sinkhorn(cost[2], uniform(8), uniform(4), 0.02)
    assert torch.equal(found.plan[2], good.plan) and (found.marginal_error[[0, 2]] <= 1e-3).all()


def test_half_precision_is_computed_in_float32_and_nothing_has_a_gradient():
    cost, _ = cosines(1, 8, 4)
    found = ot.sinkhorn(cost.half().requires_grad_(), uniform(1, 8), uniform(1, 4), 0.02)
    assert found.plan.dtype == torch.float32 and not found.plan.requires_grad
    assert found.marginal_error <= 1e-3


def test_flops_grow_with_the_iterations():
    one, ten, many = ot.flops(32, 24, torch.tensor([1, 11, 101])).tolist()
    matvecs = 4 * 32 * 24
    assert 10 * matvecs < ten - one < 15 * matvecs
    assert 90 * matvecs < many - ten < 100 * matvecs * 1.2


@pytest.mark.parametrize(
    "bad",
    [{"lam": 0.0}, {"lam": float("nan")}, {"tolerance": 0.0}, {"max_iterations": 0}, {"rho_b": -1.0}],
    ids=str,
)
def test_values_out_of_range(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ot.sinkhorn(torch.zeros(2, 2), torch.zeros(2), torch.zeros(2), **{"lam": 0.1, **bad})


def test_columns_are_not_both_capped_and_relaxed():
    with pytest.raises(ValueError, match="either capped"):
        ot.sinkhorn(torch.zeros(2, 2), torch.zeros(2), torch.zeros(2), 0.1, cap_b=True, rho_b=1.0)


def log_domain(cost, log_a, log_b, lam, steps) -> torch.Tensor:
    """Sinkhorn's textbook iteration in float64."""
    f, g = torch.zeros_like(log_a), torch.zeros_like(log_b)
    for _ in range(steps):
        f = log_a - torch.logsumexp(g - cost / lam, -1)
        g = log_b - torch.logsumexp(f[:, None] - cost / lam, -2)
    return (f[:, None] + g - cost / lam).exp()


@pytest.mark.parametrize("steps", [1, 2, 11, 57])
def test_iterates_are_those_of_the_log_domain_even_where_scalings_overflow(steps):
    """Columns with masses down to e^-70 make the potentials jump by more than a float32 scaling can hold."""
    unsafe = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        cost = torch.tensor(5 * rng.random((19, 22)))
        log_a = torch.tensor(np.log(rng.dirichlet(np.ones(19))))
        log_b = torch.log_softmax(torch.tensor(-70 * rng.random(22)), -1)
        expected = log_domain(cost, log_a, log_b, 0.005, steps)
        found = ot.sinkhorn(
            cost.float(), log_a.float(), log_b.float(), 0.005, tolerance=1e-12, max_iterations=steps
        )
        assert found.iterations == steps
        assert (found.plan - expected).abs().sum() < 5e-3
        unsafe += int(expected.sum(0).log().min() < -60)
    assert unsafe > 6


def test_a_cap_that_is_priced_too_low_keeps_the_iteration_going():
    """No row exceeds its cap after one step, but the plan is far from optimal: the error must show it."""
    wrong = 0
    for seed in range(360, 372):
        rng = np.random.default_rng(seed)
        rows, columns = rng.integers(2, 8), rng.integers(1, 4)
        cost = torch.tensor(rng.random((rows, columns)))
        log_a = torch.tensor(np.log(rng.dirichlet(np.ones(rows))))
        log_b = torch.tensor(np.log(rng.uniform(0.3, 0.95) * rng.dirichlet(np.ones(columns))))
        first, found, best = (
            ot.sinkhorn(cost, log_a, log_b, 0.05, cap_a=True, tolerance=tolerance, max_iterations=steps)
            for tolerance, steps in ((1e-6, 1), (1e-6, 5000), (1e-12, 50_000))
        )
        assert (found.plan - best.plan).abs().sum() < 1e-4
        excess = (first.plan.sum(-1) - log_a.exp()).clamp_min(0).sum()
        wrong += int(excess < 1e-6 and (first.plan - best.plan).abs().sum() > 0.01)
    assert wrong > 0
