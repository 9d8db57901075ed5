"""Newton's method for the problems of `nn.ot`: a few steps where Sinkhorn's iteration takes hundreds.

The plan is Pi = exp(f + g - C / lam). For each g the best f is known (a step of Sinkhorn's iteration), so the
dual is a concave function of g alone:

    D(g) = sum_n a_n f_n(g) + sum_m b_m g_m - sum_nm Pi_nm,        dD/dg = b - c,        c_m = sum_n Pi_nm
    - d2D/dg2 = diag(c) - Pi^T diag(1 / a) Pi

With caps, rows at f = 0 leave the second term, and columns at g = 0 that may stay there leave the system
(projected Newton). With relaxed columns, b_m g_m becomes -(rho / lam) b_m exp(-g_m lam / rho).

A step is at most as long as its radius, which grows after each step that raises D and shrinks after one that
does not; that step is tried again at a quarter. So every kind of problem converges from g = 0. Dual and
system are float64: the differences of D near the optimum are below float32.

Nothing is read back from the device: a problem that has converged keeps its g. On a CPU, where looking costs
nothing, the loop ends when all have converged.

Shapes: B problems, N rows, M columns.

Reference: Brauer, Clason, Lorenz, Wirth, A Sinkhorn-Newton method for entropic optimal transport, 2017
    (arXiv 1710.06635); Tang, Shavlovsky, Rahmanian, et al., Accelerating Sinkhorn Algorithm with Sparse
    Newton Iterations, ICLR 2024; Bertsekas, Projected Newton methods, SIAM J. Control 1982 (caps).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from raysim.nn.ot import Transport, check_options, looks

STEPS = 60  # most steps; the hardest problem of the tests takes 30
RADIUS = 2.0  # longest first step, in units of lam
FEWER, SHORTER = 2.0, 0.25  # factors of the radius after a good step, and of it and the step after a bad one
NOISE = 1e-12  # relative change of D that is rounding
RIDGE = 1e-10  # added to the system, relative to its diagonal: problems that fall apart have no other inverse
NOTHING = -1e30  # log kernel of a column without mass: its exponential is 0, and no difference is NaN


class _Point(NamedTuple):
    """The dual at some g: the plan's rows are optimal there."""

    plan_BNM: Tensor
    share_BNM: Tensor  # rows of the plan with sum 1, and 0 for rows whose cap is not reached
    sum_BM: Tensor
    f_BN: Tensor
    value_B: Tensor


@dataclass(frozen=True)
class _Dual:
    """The dual of a batch of problems, float64."""

    kernel_BNM: Tensor
    log_a_BN: Tensor
    a_BN: Tensor
    b_BM: Tensor
    empty_BM: Tensor  # 1 for a column without mass, else 0
    cap_a: bool
    cap_b: bool
    price: float | None  # lam / rho_b of relaxed columns

    @classmethod
    def of(
        cls,
        kernel_BNM: Tensor,
        log_a_BN: Tensor,
        log_b_BM: Tensor,
        cap_a: bool,
        cap_b: bool,
        price: float | None,
    ) -> _Dual:
        """Return the dual; a column without mass gets no transport."""
        b_BM = log_b_BM.exp()
        empty_BM = (b_BM == 0).to(b_BM.dtype)
        kernel_BNM = kernel_BNM + NOTHING * empty_BM.unsqueeze(-2)
        return cls(kernel_BNM, log_a_BN, log_a_BN.exp(), b_BM, empty_BM, cap_a, cap_b, price)

    def at(self, g_BM: Tensor) -> _Point:
        """Return plan, sums and value at g."""
        logits_BNM = self.kernel_BNM + g_BM.unsqueeze(-2)
        largest_BN1 = logits_BNM.amax(-1, keepdim=True)
        share_BNM = (logits_BNM - largest_BN1).exp_()
        sum_BN1 = share_BNM.sum(-1, keepdim=True)
        share_BNM.div_(sum_BN1)
        log_sum_BN = (sum_BN1.log() + largest_BN1).squeeze(-1)
        f_BN, mass_BN = self.log_a_BN - log_sum_BN, self.a_BN
        value_B = -torch.linalg.vecdot(self.a_BN, log_sum_BN)
        if self.cap_a:
            open_BN = f_BN > 0
            f_BN = f_BN.clamp(max=0.0)
            mass_BN = torch.where(open_BN, log_sum_BN.exp(), self.a_BN)
            value_B = (torch.where(self.a_BN > 0, self.a_BN * f_BN, 0.0) - mass_BN).sum(-1)
        plan_BNM = share_BNM * mass_BN.unsqueeze(-1)
        if self.cap_a:
            share_BNM = share_BNM * ~open_BN.unsqueeze(-1)
        if self.price is None:
            value_B = value_B + torch.linalg.vecdot(self.b_BM, g_BM)
        else:
            value_B = value_B - (self.b_BM * (-self.price * g_BM).exp()).sum(-1) / self.price
        return _Point(plan_BNM, share_BNM, plan_BNM.sum(-2), f_BN, value_B)

    def sinkhorn_step(self, point: _Point, g_BM: Tensor) -> Tensor:
        """Return the change of g by a step of Sinkhorn's iteration, [B, M]."""
        step_BM = ((self.b_BM + self.empty_BM) / (point.sum_BM + self.empty_BM)).log()
        if self.price is not None:
            step_BM = (step_BM - self.price * g_BM) / (1 + self.price)
        return torch.minimum(step_BM, -g_BM) if self.cap_b else step_BM

    def newton_step(self, point: _Point, g_BM: Tensor, radius_B1: Tensor, instead_BM: Tensor) -> Tensor:
        """Return Newton's step, no entry longer than the radius; another one where the system is singular."""
        target_BM = self.b_BM if self.price is None else self.b_BM * (-self.price * g_BM).exp()
        rest_BM = target_BM - point.sum_BM
        diagonal_BM = (point.sum_BM + self.empty_BM) * (1 + RIDGE)
        if self.price is not None:
            diagonal_BM = diagonal_BM + self.price * target_BM
        if self.cap_a or self.cap_b or self.price is not None:
            system_BMM = -torch.bmm(point.share_BNM.mT, point.plan_BNM)
        else:  # a constant added to g changes nothing: the term fixes it
            system_BMM = torch.baddbmm(
                self.b_BM.unsqueeze(-1) * self.b_BM.unsqueeze(-2),
                point.share_BNM.mT,
                point.plan_BNM,
                alpha=-1,
            )
        if self.cap_b:
            fixed_BM = (g_BM >= 0) & (rest_BM > 0)
            rest_BM = rest_BM.masked_fill(fixed_BM, 0.0)
            system_BMM = system_BMM.masked_fill(fixed_BM.unsqueeze(-1) | fixed_BM.unsqueeze(-2), 0.0)
        system_BMM.diagonal(dim1=-2, dim2=-1).add_(diagonal_BM)
        factor_BMM, _ = torch.linalg.cholesky_ex(system_BMM)
        step_BM = torch.cholesky_solve(rest_BM.unsqueeze(-1), factor_BMM).squeeze(-1)
        longest_B1 = step_BM.abs().amax(-1, keepdim=True)
        step_BM = step_BM * (radius_B1 / longest_B1.clamp_min(1e-300)).clamp(max=1.0)
        return torch.where(longest_B1.isfinite(), step_BM, instead_BM)

    def start(self) -> Tensor:
        """Return the first g: 0, or where rows are capped the best one for f = 0 (0 may leave no mass)."""
        if not self.cap_a:
            return torch.zeros_like(self.b_BM)
        rows_BNM = torch.where(self.a_BN.unsqueeze(-1) > 0, self.kernel_BNM, -torch.inf)
        g_BM = (self.b_BM + self.empty_BM).log() - rows_BNM.logsumexp(-2)
        return torch.where(
            (self.empty_BM > 0) | ~g_BM.isfinite(), 0.0, g_BM.clamp(max=0.0) if self.cap_b else g_BM
        )

    def plan(self, g_BM: Tensor) -> tuple[Tensor, Tensor]:
        """Return the plan after one more step of Sinkhorn's iteration, and its marginal error."""
        point = self.at(g_BM)
        change_BM = self.sinkhorn_step(point, g_BM)
        plan_BNM = point.plan_BNM * (1 - self.empty_BM).unsqueeze(-2)
        plan_BNM = plan_BNM * change_BM.exp().unsqueeze(-2)
        sum_BN = plan_BNM.sum(-1)
        target_BN = torch.fmin(self.a_BN, sum_BN * (-point.f_BN).exp()) if self.cap_a else self.a_BN
        return plan_BNM, (target_BN - sum_BN).abs().sum(-1)

    def solve(self, tolerance: float, steps: int) -> tuple[Tensor, Tensor]:
        """Return the optimal g [B, M], and how many plans it took, [B]."""
        base_BM = g_BM = self.start()
        step_BM = torch.zeros_like(g_BM)
        best_B = torch.full_like(g_BM[:, 0], -torch.inf)
        radius_B1 = torch.full_like(g_BM[:, :1], RADIUS / FEWER)
        closed_B = torch.zeros_like(best_B, dtype=torch.bool)
        count_B = torch.ones_like(best_B, dtype=torch.int64)
        for taken in range(1, steps + 1):
            point = self.at(g_BM)
            instead_BM = self.sinkhorn_step(point, g_BM)
            error_B = (point.sum_BM * instead_BM.expm1()).abs().sum(-1)
            rises_B1 = (point.value_B >= best_B - NOISE * (1 + best_B.abs())).unsqueeze(-1)
            if taken == 1:
                rises_B1 = torch.ones_like(rises_B1)
            closed_B = closed_B | ~(error_B > tolerance)  # NaN, which no step can change, too
            base_BM = torch.where(rises_B1 | closed_B.unsqueeze(-1), g_BM, base_BM)
            if taken == steps or (looks(closed_B) and closed_B.all()):
                break
            best_B = torch.where(rises_B1.squeeze(-1), point.value_B, best_B)
            radius_B1 = radius_B1 * torch.where(rises_B1, FEWER, SHORTER)
            # the first step is Sinkhorn's: it takes the scale out of the costs
            new_BM = instead_BM if taken == 1 else self.newton_step(point, g_BM, radius_B1, instead_BM)
            step_BM = torch.where(rises_B1, new_BM, SHORTER * step_BM)
            g_BM = base_BM + step_BM.masked_fill(closed_B.unsqueeze(-1), 0.0)
            if self.cap_b:
                g_BM = g_BM.clamp(max=0.0)
            count_B = count_B + ~closed_B
        return base_BM, count_B


@torch.no_grad()
def newton(
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    lam: float,
    *,
    cap_a: bool = False,
    cap_b: bool = False,
    rho_b: float | None = None,
    tolerance: float = 1e-3,
    max_iterations: int = STEPS,
) -> Transport:
    """Compute the entropic transport plans of a batch of problems, without gradient.

    Arguments, result and errors are those of `ot.sinkhorn`, and so are the plans, to the tolerance. An
    iteration is a step of Newton's method here, and there are at most `STEPS`. The plan has the type that it
    has there; inside, everything is float64.
    """
    check_options(lam, tolerance, max_iterations, cap_b, rho_b)
    batch, (rows, columns) = cost.shape[:-2], cost.shape[-2:]
    kernel = (cost.double() / -lam).reshape(-1, rows, columns)
    log_a = log_a.double().expand(*batch, rows).reshape(-1, rows)
    log_b = log_b.double().expand(*batch, columns).reshape(-1, columns)
    dual = _Dual.of(kernel, log_a, log_b, cap_a, cap_b, None if rho_b is None else lam / rho_b)
    g_BM, iterations = dual.solve(tolerance, min(max_iterations, STEPS))
    plan, error = dual.plan(g_BM)
    dtype = cost.dtype if cost.dtype == torch.float64 else torch.float32
    iterations = iterations.reshape(batch)
    return Transport(
        plan.reshape(cost.shape).to(dtype),
        error.reshape(batch).to(dtype),
        iterations,
        flops(rows, columns, iterations),
    )


def flops(rows: int, columns: int, iterations: Tensor) -> Tensor:
    """Floating-point operations of `newton` per problem (an exponential or logarithm counts as one).

    Args:
        rows: N.
        columns: M.
        iterations: [...] as returned by `newton`.

    Returns:
        [...] int64.
    """
    entries = rows * columns
    plan = 8 * entries + 12 * (rows + columns)
    system = 2 * entries * columns + columns**3 // 3 + 4 * columns**2
    # there is one step less than plans, and the first one is Sinkhorn's
    return (iterations + 1) * plan + (iterations - 2).clamp_min(0) * system
