"""Optimal transport against references: POT, SciPy's linear programme, and conditions of optimality."""

from __future__ import annotations

import numpy as np
import ot as pot
import pytest
import torch
from scipy.optimize import linprog

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


def reference(cost, a, b, lam) -> np.ndarray:
    return pot.sinkhorn(a, b, cost, lam, method="sinkhorn_log", stopThr=1e-12, numItermax=200_000)


@pytest.mark.parametrize("lam", LAMBDAS)
def test_equals_pot(lam):
    cost, _ = cosines(3, 32, 24)
    transport = ot.sinkhorn(cost, uniform(3, 32), uniform(3, 24), lam, tolerance=1e-10, max_iterations=20_000)
    assert (transport.marginal_error <= 1e-10).all()
    for plan, problem in zip(transport.plan, cost, strict=True):
        np.testing.assert_allclose(
            plan, reference(problem.numpy(), np.full(32, 1 / 32), np.full(24, 1 / 24), lam), atol=1e-9
        )


@pytest.mark.parametrize("options", [{}, {"rho_b": 0.05}, {"cap_a": True}], ids=str)
def test_label_histograms_padded_equal_those_with_zeros_removed(options):
    """Classes and rows without mass change nothing: the result is the one without them."""
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


@pytest.mark.parametrize("lam", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("rho", [0.01, 0.1, 1.0])
def test_relaxed_columns_equal_pot(lam, rho):
    cost, _ = cosines(1, 20, 12)
    weights = np.random.default_rng(0).dirichlet(np.ones(12))
    transport = ot.sinkhorn(
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
    assert transport.marginal_error <= 1e-10
    np.testing.assert_allclose(transport.plan, exact, atol=1e-8)
    single = ot.sinkhorn(cost[0].float(), uniform(20), torch.tensor(weights).log(), lam, rho_b=rho)
    assert (single.plan - transport.plan).abs().sum() < 0.02


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
    transport = ot.sinkhorn(cost, log_a, log_b, lam, tolerance=1e-11, max_iterations=100_000, **caps)
    assert transport.marginal_error <= 1e-11
    scaled = transport.plan.log() + cost / lam
    f = scaled.mean(1) - scaled.mean(1).mean()
    g = scaled.mean(0)
    torch.testing.assert_close(scaled, f[:, None] + g[None], rtol=0, atol=1e-8)
    slack_a, slack_b = log_a.exp() - transport.plan.sum(1), log_b.exp() - transport.plan.sum(0)
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
    transport = ot.sinkhorn(
        cost, uniform(16), torch.tensor(b).log(), 2e-4, cap_a=True, tolerance=1e-8, max_iterations=200_000
    )
    assert transport.marginal_error <= 1e-8
    assert float(ot.transport_cost(transport.plan, cost)) == pytest.approx(solved.fun, abs=1e-4)
    np.testing.assert_allclose(transport.plan, solved.x.reshape(16, 5), atol=2e-3)


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
    """The search range of lam: at 0.1 the plan is nearly uniform, at 0.005 it has half of the pairs."""
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


def test_transport_cost_sends_the_plan_as_gradient():
    cost, _ = cosines(2, 8, 4)
    cost.requires_grad_()
    plan = ot.sinkhorn(cost, uniform(2, 8), uniform(2, 4), 0.02).plan
    (gradient,) = torch.autograd.grad(ot.transport_cost(plan, cost).sum(), cost)
    assert torch.equal(gradient, plan)
