"""Newton's method against Sinkhorn's iteration, which is tested against POT, and against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import ot as pot
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from raysim.nn import ot, ot_newton, ot_solvers
from tests.nn.test_ot import cosines, reference, uniform

KINDS: dict[str, dict[str, Any]] = {
    "exact": {},
    "rows capped": {"cap_a": True},
    "columns capped": {"cap_b": True},
    "relaxed": {"rho_b": 0.05},
}


def problem(kind: str, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Costs and log masses: a row and a column have no mass, a capped side has more than the other."""
    cost, _ = cosines(4, rows, columns, seed=rows)
    rng = torch.Generator().manual_seed(columns)
    log_a = torch.rand(4, rows, generator=rng).double().log()
    log_b = torch.rand(4, columns, generator=rng).double().log()
    log_a[:, 2], log_b[:, 1] = -torch.inf, -torch.inf
    log_a, log_b = log_a.log_softmax(-1), log_b.log_softmax(-1)
    return (
        cost,
        log_a + np.log(0.7) * (kind == "columns capped"),
        log_b + np.log(0.7) * (kind == "rows capped"),
    )


@pytest.mark.parametrize("shape", [(26, 24), (9, 15), (12, 12)], ids=str)
@pytest.mark.parametrize("lam", [0.005, 0.05, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_plans_are_those_of_sinkhorns_iteration(kind: str, lam: float, shape: tuple[int, int]) -> None:
    cost, log_a, log_b = problem(kind, *shape)
    options = KINDS[kind]
    exact = ot.sinkhorn(cost, log_a, log_b, lam, tolerance=1e-11, max_iterations=50_000, **options)
    found = ot_newton.newton(cost, log_a, log_b, lam, tolerance=1e-11, **options)
    assert (found.marginal_error <= 2e-11).all() and (found.iterations < 40).all()
    assert (found.plan - exact.plan).abs().sum((-2, -1)).max() < 1e-7
    assert found.plan[:, 2].abs().sum() == 0 and found.plan[:, :, 1].abs().sum() == 0
    single = ot_newton.newton(cost.float(), log_a.float(), log_b.float(), lam, **options)
    assert single.plan.dtype == torch.float32 and (single.marginal_error <= 1e-3).all()
    assert (single.plan - exact.plan).abs().sum((-2, -1)).max() < 0.01


@pytest.mark.parametrize("lam", [0.005, 0.05])
def test_every_system_is_charged_once(lam: float, monkeypatch: pytest.MonkeyPatch) -> None:
    solved, step = [], ot_newton._Dual.newton_step
    monkeypatch.setattr(ot_newton._Dual, "newton_step", lambda *values: solved.append(1) or step(*values))
    cost, _ = cosines(1, 32, 24)
    found = ot_newton.newton(cost, uniform(1, 32), uniform(1, 24), lam, tolerance=1e-6)
    with_one_plan = ot_newton.flops(32, 24, torch.tensor([1, 2]))
    plan = int(with_one_plan[1] - with_one_plan[0])
    system = int(ot_newton.flops(32, 24, torch.tensor(3)) - with_one_plan[1]) - plan
    assert len(solved) > 1 and int(found.flops) == (int(found.iterations) + 1) * plan + len(solved) * system


@pytest.mark.parametrize("lam", [0.005, 0.02, 0.5])
def test_equals_pot(lam: float) -> None:
    cost, _ = cosines(3, 32, 24)
    found = ot_newton.newton(cost, uniform(3, 32), uniform(3, 24), lam, tolerance=1e-10)
    for plan, costs in zip(found.plan, cost, strict=True):
        exact = reference(costs.numpy(), np.full(32, 1 / 32), np.full(24, 1 / 24), lam)
        np.testing.assert_allclose(plan, exact, atol=1e-9)


def test_relaxed_columns_equal_pot() -> None:
    cost, _ = cosines(1, 20, 12)
    b = np.random.default_rng(0).dirichlet(np.ones(12))
    found = ot_newton.newton(cost[0], uniform(20), torch.tensor(b).log(), 0.05, rho_b=0.1, tolerance=1e-11)
    exact = pot.unbalanced.sinkhorn_unbalanced(
        np.full(20, 1 / 20),
        b,
        cost[0].numpy(),
        0.05,
        (np.inf, 0.1),
        method="sinkhorn_stabilized",
        reg_type="entropy",
        stopThr=1e-14,
        numItermax=200_000,
    )
    np.testing.assert_allclose(found.plan, exact, atol=1e-8)


@pytest.mark.parametrize("kind", ["exact", "rows capped"])
def test_gradient_of_the_value_is_the_plan(kind: str) -> None:
    """Envelope theorem for <Pi, C> + lam sum Pi (log Pi - 1), with central differences."""
    cost, _ = cosines(1, 6, 4, seed=3)
    lam, step, options = 0.05, 1e-5, KINDS[kind]
    log_b = uniform(4) + np.log(0.7 if options else 1.0)

    def value(shifted: torch.Tensor) -> float:
        plan = ot_newton.newton(shifted, uniform(6), log_b, lam, tolerance=1e-13, **options).plan
        return float(ot.transport_cost(plan, shifted) + lam * (plan * (plan.log() - 1)).sum())

    shifts = step * torch.eye(24, dtype=torch.float64).reshape(24, 6, 4)
    numeric = torch.tensor([(value(cost[0] + s) - value(cost[0] - s)) / (2 * step) for s in shifts])
    plan = ot_newton.newton(cost[0], uniform(6), log_b, lam, tolerance=1e-13, **options).plan
    torch.testing.assert_close(numeric.reshape(6, 4).double(), plan, rtol=0, atol=1e-6)


def test_few_steps_where_sinkhorn_takes_hundreds_down_to_the_smallest_lambda() -> None:
    cost, labels = cosines(16, 32, 24)
    histogram = torch.stack([torch.bincount(row, minlength=24) for row in labels]) / 32
    for lam, most in ((0.001, 30), (0.005, 12), (0.02, 6), (10.0, 3)):
        found = ot_newton.newton(cost.float(), uniform(16, 32), histogram.log(), lam)
        assert (found.marginal_error <= 1e-3).all() and found.iterations.max() <= most


def test_bits_do_not_depend_on_the_batch() -> None:
    cost, _ = cosines(16, 32, 24)
    cost = (cost * torch.linspace(0.3, 3, 16).double()[:, None, None]).float()
    together = ot_newton.newton(cost, uniform(32), uniform(24), 0.005)
    assert len(together.iterations.unique()) > 2  # they stop at different times
    for i in range(16):
        alone = ot_newton.newton(cost[i], uniform(32), uniform(24), 0.005)
        assert all(torch.equal(one, many[i]) for one, many in zip(alone, together, strict=True))


def test_padding_of_a_short_batch_changes_nothing() -> None:
    """A client with 3 images, alone and stacked with one of 26: the same plan to rounding."""
    cost, _ = cosines(1, 26, 24, seed=4)
    cost = (9 * cost[0]).float()
    log_a = torch.full((26,), -torch.inf)
    log_a[:3] = -np.log(3)
    padded = ot_solvers.solve("auto", cost, log_a, uniform(24).float(), 0.02)
    alone = ot_solvers.solve("auto", cost[:3], log_a[:3], uniform(24).float(), 0.02)
    assert padded.iterations == alone.iterations > 3
    torch.testing.assert_close(padded.plan[:3], alone.plan, rtol=1e-5, atol=1e-8)


def test_what_cannot_be_solved_is_reported() -> None:
    cost, _ = cosines(4, 8, 6)
    log_a, log_b = uniform(4, 8), uniform(4, 6)
    cost[1, 2, 3] = torch.nan
    log_a[2], log_b[2] = -torch.inf, -torch.inf  # an empty problem
    log_b[3] += np.log(0.5)  # the masses differ
    found = ot_newton.newton(cost, log_a, log_b, 0.02)
    assert found.marginal_error[1].isnan() and found.plan[1].isnan().any()
    assert found.plan[2].abs().sum() == 0 and found.marginal_error[2] == 0
    assert found.marginal_error[3] > 0.4 and found.plan[3].isfinite().all()
    alone = ot_newton.newton(cost[0], log_a[0], log_b[0], 0.02)
    assert torch.equal(alone.plan, found.plan[0]) and found.marginal_error[0] <= 1e-3
    hasty = ot_newton.newton(cost[0], log_a[0], log_b[0], 0.005, tolerance=1e-9, max_iterations=2)
    assert hasty.iterations == 2 and hasty.marginal_error > 1e-9
    with pytest.raises(ValueError, match="lam"):
        ot_newton.newton(cost, log_a, log_b, 0.0)


class _NoLook(TorchDispatchMode):
    """Refuse what would make a host wait for a GPU: a value read back, or a shape that depends on values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in ("_local_scalar_dense", "nonzero", "masked_select"), func
        if func.overloadpacket.__name__ in ("index", "index_put_"):
            assert not any(i is not None and i.dtype == torch.bool for i in args[1]), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("solver", [ot.sinkhorn, ot_newton.newton])
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu_nothing_is_read_back_and_the_plans_are_the_same(
    kind: str, solver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost, log_a, log_b = (part.float() for part in problem(kind, 26, 24))
    cost = cost * torch.tensor([0.01, 1.0, 3.0, 10.0])[:, None, None]
    seen = solver(cost, log_a, log_b, 0.02, max_iterations=60, **KINDS[kind])
    assert len(seen.iterations.unique()) > 1
    with pytest.raises(AssertionError), _NoLook():
        solver(cost, log_a, log_b, 0.02, max_iterations=60, **KINDS[kind])
    for module in (ot, ot_newton):
        monkeypatch.setattr(module, "looks", lambda tensor: False)
    with _NoLook():
        blind = solver(cost, log_a, log_b, 0.02, max_iterations=60, **KINDS[kind])
    for mine, other in zip(seen, blind, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-8)
    assert torch.equal(seen.iterations, blind.iterations)


def test_the_three_solvers_agree() -> None:
    cost, labels = cosines(3, 32, 24)
    log_b = (torch.stack([torch.bincount(row, minlength=24) for row in labels]) / 32).double().log()
    plans = {
        solver: ot_solvers.solve(
            solver, cost, uniform(32), log_b, 0.02, tolerance=1e-9, max_iterations=20_000
        )
        for solver in ("auto", "sinkhorn", "pot")
    }
    for solved in plans.values():
        assert (solved.marginal_error <= 1e-9).all() and (solved.flops > 0).all()
        torch.testing.assert_close(solved.plan, plans["sinkhorn"].plan, rtol=0, atol=1e-8)
    assert plans["auto"].iterations.max() < 15 < plans["sinkhorn"].iterations.min()
    assert len(plans["pot"].iterations.unique()) == 1 and plans["pot"].iterations.min() > 15
    tiny = cosines(3, 9, 2)[0]
    auto, plain = (ot_solvers.solve(s, tiny, uniform(9), uniform(2), 0.02) for s in ("auto", "sinkhorn"))
    assert torch.equal(auto.plan, plain.plan)
