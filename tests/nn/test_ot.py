"""Batched Sinkhorn against POT, linear programming and the optimality conditions."""

from __future__ import annotations

import numpy as np
import ot as pot
import pytest
import torch
from scipy.optimize import linprog

from raysim.nn import ot

LAMBDAS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.5]


def cosines(problems: int, rows: int, columns: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Costs 1 - cosine as CLIP gives them: 0.26 for an image and its class, 0.19 for another, deviation 0.025; and the classes."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(columns, (problems, rows), generator=rng)
    mean = 0.19 + 0.07 * torch.nn.functional.one_hot(labels, columns)
    return 1 - (mean + 0.025 * torch.randn(problems, rows, columns, generator=rng)).double(), labels


def uniform(*shape: int) -> torch.Tensor:
    return torch.full(shape, -float(np.log(shape[-1])), dtype=torch.float64)


def reference(cost, a, b, lam) -> np.ndarray:
    return pot.sinkhorn(a, b, cost, lam, method="sinkhorn_log", stopThr=1e-12, numItermax=200_000)


@pytest.mark.parametrize("lam", LAMBDAS)
def test_equals_pot(lam):
    cost, _ = cosines(3, 32, 24)
    found = ot.sinkhorn(cost, uniform(3, 32), uniform(3, 24), lam, tolerance=1e-10, max_iterations=20_000)
    assert (found.marginal_error <= 1e-10).all()
    for plan, problem in zip(found.plan, cost, strict=True):
        np.testing.assert_allclose(
            plan, reference(problem.numpy(), np.full(32, 1 / 32), np.full(24, 1 / 24), lam), atol=1e-9
        )


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
    """Where exp(-C / lam) is 0 in every precision; here scalings overflow and the log-sum-exp steps take over."""
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


@pytest.mark.parametrize("options", [{}, {"rho_b": 0.05}, {"cap_a": True}], ids=str)
def test_label_histograms_padded_equal_those_with_zeros_removed(options):
    """Classes absent from the batch and rows beyond a short batch have no mass: the result is that without them."""
    cost, labels = cosines(4, 32, 24)
    for problem, classes, size in zip(cost, labels, (32, 20, 9, 1), strict=True):
        histogram = torch.bincount(classes[:size] % 7, minlength=24).double() / size
        log_a = torch.full((32,), -torch.inf, dtype=torch.float64)
        log_a[:size] = -np.log(size)
        padded = ot.sinkhorn(
            problem, log_a, histogram.log(), 0.01, tolerance=1e-10, max_iterations=50_000, **options
        )
        present = histogram > 0
        inner = ot.sinkhorn(
            problem[:size, present],
            log_a[:size],
            histogram[present].log(),
            0.01,
            tolerance=1e-10,
            max_iterations=50_000,
            **options,
        )
        assert padded.plan.isfinite().all() and padded.marginal_error <= 1e-10
        torch.testing.assert_close(padded.plan[:size, present], inner.plan, rtol=1e-9, atol=1e-12)
        assert padded.plan[size:].abs().sum() == 0 and padded.plan[:, ~present].abs().sum() == 0
        if not options:
            exact = reference(
                problem[:size, present].numpy(), np.full(size, 1 / size), histogram[present].numpy(), 0.01
            )
            np.testing.assert_allclose(inner.plan, exact, atol=1e-8)


def test_an_empty_problem_in_the_batch_is_left_alone():
    cost, _ = cosines(2, 6, 5)
    log_a, log_b = uniform(2, 6), uniform(2, 5)
    log_a[0], log_b[0] = -torch.inf, -torch.inf
    found = ot.sinkhorn(cost, log_a, log_b, 0.02)
    assert found.plan[0].abs().sum() == 0 and found.marginal_error[0] == 0
    assert found.plan[1].sum() == pytest.approx(1)


@pytest.mark.parametrize("lam", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("rho", [0.01, 0.1, 1.0])
def test_relaxed_columns_equal_pot(lam, rho):
    cost, _ = cosines(1, 20, 12)
    weights = np.random.default_rng(0).dirichlet(np.ones(12))
    found = ot.sinkhorn(
        cost[0],
        uniform(20),
        torch.tensor(weights).log(),
        lam,
        rho_b=rho,
        tolerance=1e-10,
        max_iterations=100_000,
    )
    exact = pot.unbalanced.sinkhorn_unbalanced(
        np.full(20, 1 / 20),
        weights,
        cost[0].numpy(),
        lam,
        (np.inf, rho),
        method="sinkhorn_stabilized",
        reg_type="entropy",
        stopThr=1e-14,
        numItermax=200_000,
    )
    assert found.marginal_error <= 1e-10
    np.testing.assert_allclose(found.plan, exact, atol=1e-8)
    single = ot.sinkhorn(cost[0].float(), uniform(20), torch.tensor(weights).log(), lam, rho_b=rho)
    assert (single.plan - found.plan).abs().sum() < 0.02


def test_a_high_price_of_relaxation_gives_the_exact_marginals_as_fast():
    cost, _ = cosines(4, 20, 12)
    exact = ot.sinkhorn(cost, uniform(4, 20), uniform(4, 12), 0.02, tolerance=1e-8)
    priced = ot.sinkhorn(cost, uniform(4, 20), uniform(4, 12), 0.02, rho_b=1e4, tolerance=1e-8)
    assert (priced.marginal_error <= 1e-8).all() and (priced.iterations <= exact.iterations + 20).all()
    torch.testing.assert_close(priced.plan, exact.plan, rtol=0, atol=1e-6)


@pytest.mark.parametrize("lam", [0.005, 0.05])
@pytest.mark.parametrize("caps", [{"cap_a": True}, {"cap_b": True}, {"cap_a": True, "cap_b": True}], ids=str)
def test_caps_meet_the_optimality_conditions(lam, caps):
    """Pi = exp(f + g - C / lam) with f <= 0 on a capped side, below 0 only where the cap is reached."""
    cost, _ = cosines(1, 32, 6, seed=1)
    cost = cost[0]
    cost[:9] -= 0.03  # rows and a column that everyone wants: their caps are reached
    cost[:, 0] -= 0.05
    log_a, log_b = uniform(32), uniform(6)
    log_a, log_b = (log_a, log_b + np.log(0.8)) if "cap_a" in caps else (log_a + np.log(0.8), log_b)
    found = ot.sinkhorn(cost, log_a, log_b, lam, tolerance=1e-11, max_iterations=100_000, **caps)
    assert found.marginal_error <= 1e-11
    scaled = found.plan.log() + cost / lam
    f = scaled.mean(1) - scaled.mean(1).mean()
    g = scaled.mean(0)
    torch.testing.assert_close(scaled, f[:, None] + g[None], rtol=0, atol=1e-8)
    slack_a, slack_b = log_a.exp() - found.plan.sum(1), log_b.exp() - found.plan.sum(0)
    if len(caps) == 1:  # f and g are known up to a constant, which the slack rows of the capped side fix
        slack, potential = (slack_a, f) if "cap_a" in caps else (slack_b, g)
        exact = slack_b if "cap_a" in caps else slack_a
        assert exact.abs().max() < 1e-10 and slack.min() > -1e-10
        loose = slack > 1e-9
        assert loose.any() and not loose.all()
        assert (potential[loose] - potential[loose][0]).abs().max() < 1e-7  # all of them 0
        assert (potential[~loose] <= potential[loose][0] + 1e-7).all()
    else:
        assert slack_a.min() > -1e-10 and slack_b.min() > -1e-10


def test_capped_rows_approach_the_linear_programme():
    cost, _ = cosines(1, 16, 5, seed=2)
    cost = cost[0]
    b = np.full(5, 0.8 / 5)
    solved = linprog(
        cost.numpy().ravel(),
        A_ub=np.kron(np.eye(16), np.ones(5)),
        b_ub=np.full(16, 1 / 16),
        A_eq=np.kron(np.ones(16), np.eye(5)),
        b_eq=b,
    )
    found = ot.sinkhorn(
        cost, uniform(16), torch.tensor(b).log(), 2e-4, cap_a=True, tolerance=1e-8, max_iterations=200_000
    )
    assert found.marginal_error <= 1e-8
    assert float(ot.transport_cost(found.plan, cost)) == pytest.approx(solved.fun, abs=1e-4)
    np.testing.assert_allclose(found.plan, solved.x.reshape(16, 5), atol=2e-3)


@pytest.mark.parametrize("options", [{}, {"cap_a": True}], ids=str)
def test_gradient_of_the_value_is_the_plan(options):
    """Envelope theorem for <Pi, C> + lam sum Pi (log Pi - 1), with central differences."""
    cost, _ = cosines(1, 6, 4, seed=3)
    cost, lam, step = cost[0], 0.05, 1e-5
    log_b = uniform(4) + np.log(0.7 if options else 1.0)

    def solve(c):
        return ot.sinkhorn(c, uniform(6), log_b, lam, tolerance=1e-13, max_iterations=100_000, **options).plan

    def value(c):
        plan = solve(c)
        return float(ot.transport_cost(plan, c) + lam * (plan * (plan.log() - 1)).sum())

    numeric = torch.zeros(6, 4, dtype=torch.float64)
    for i in range(24):
        shift = torch.zeros(24, dtype=torch.float64)
        shift[i] = step
        shift = shift.reshape(6, 4)
        numeric.view(-1)[i] = (value(cost + shift) - value(cost - shift)) / (2 * step)
    torch.testing.assert_close(numeric, solve(cost), rtol=0, atol=1e-8)


def test_mass_on_true_pairs_falls_with_lam():
    """The check that sets the search range of lam: at 0.1 the plan is nearly uniform, at 0.005 it finds half of the pairs."""
    cost, labels = cosines(64, 32, 31)
    expected = {0.005: 0.475, 0.01: 0.42, 0.02: 0.297, 0.05: 0.112, 0.1: 0.062, 0.5: 0.037}
    for lam, mass in expected.items():
        plan = ot.sinkhorn(cost.float(), uniform(64, 32), uniform(64, 31), lam).plan
        assert float(plan.gather(2, labels[..., None]).sum((1, 2)).mean()) == pytest.approx(mass, rel=0.1)


def test_label_histogram_beats_uniform_masses_under_skew():
    cost, _ = cosines(32, 32, 31)
    labels = torch.randint(3, (32, 32), generator=torch.Generator().manual_seed(5))
    mean = 0.19 + 0.07 * torch.nn.functional.one_hot(labels, 31)
    cost = 1 - (mean + 0.025 * torch.randn(cost.shape, generator=torch.Generator().manual_seed(6)))
    histogram = torch.stack([torch.bincount(row, minlength=31) for row in labels]) / 32
    mass = {}
    for name, log_b in (("uniform", uniform(32, 31)), ("histogram", histogram.log())):
        mass[name] = float(
            ot.sinkhorn(cost, uniform(32, 32), log_b, 0.01)
            .plan.gather(2, labels[..., None])
            .sum((1, 2))
            .mean()
        )
    assert mass["uniform"] == pytest.approx(0.09, abs=0.02)
    assert mass["histogram"] > 0.9


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


def test_transport_cost_sends_the_plan_as_gradient():
    cost, _ = cosines(2, 8, 4)
    cost.requires_grad_()
    plan = ot.sinkhorn(cost, uniform(2, 8), uniform(2, 4), 0.02).plan
    (gradient,) = torch.autograd.grad(ot.transport_cost(plan, cost).sum(), cost)
    assert torch.equal(gradient, plan)


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
    """No row exceeds its cap after the first step here, yet the plan is far from optimal: the error has to say so."""
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
