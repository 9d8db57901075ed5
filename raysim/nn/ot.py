"""Entropic optimal transport for many small problems at once, by Sinkhorn's iteration.

    Pi* = argmin <Pi, C> + lam * sum_nm Pi_nm (log Pi_nm - 1)      over plans with the marginals a and b

The iteration works in the log domain, Pi = exp(f + g - C / lam), and absorbs the plan of the last check into
the kernel: ten iterations are matrix-vector products with exp(f + g - C / lam) itself, whose scalings u, v
stay near 1; then f += log u, g += log v. These are the log-domain iterates at a fifth of their cost. A
problem whose scalings leave a safe range takes the same steps by log-sum-exp instead.

Shapes: any leading dimensions (flattened to B problems), N rows, M columns.

Reference: Cuturi, Sinkhorn Distances, NeurIPS 2013; Schmitzer, Stabilized Sparse Scaling Algorithms, SIAM J.
    Sci. Comput. 2019 (absorption); Benamou et al., Iterative Bregman Projections, SIAM J. Sci. Comput. 2015
    (caps); Chizat et al., Scaling Algorithms for Unbalanced Optimal Transport, Math. Comp. 2018 (relaxed
    marginals).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

CHECK_EVERY = 10  # iterations between two checks of the marginal error
SAFE_LOG = 30.0  # e^30: two such scalings and a kernel entry still fit float32


class Transport(NamedTuple):
    """Result of a solver, one entry for each problem."""

    plan: Tensor
    marginal_error: Tensor
    iterations: Tensor
    flops: Tensor  # int64


class _Side(NamedTuple):
    """One marginal: its masses, and whether they are exact, capped or relaxed."""

    mass_BN: Tensor
    log_BN: Tensor
    cap: bool
    power: float  # 1, or rho / (rho + lam) for a relaxed marginal

    def at(self, which: Tensor) -> _Side:
        """Return this side of some of the problems."""
        return self._replace(mass_BN=self.mass_BN[which], log_BN=self.log_BN[which])

    def potential(self, log_sum_BN: Tensor) -> Tensor:
        """Return the optimal log scaling, given the log of the kernel's sums under the other scaling."""
        new = self.power * (self.log_BN - log_sum_BN)
        if self.cap:
            new = new.clamp(max=0.0)
        # a row without mass, or with mass only where the other side has none, gets no transport
        return torch.where(torch.isneginf(self.log_BN) | torch.isneginf(log_sum_BN), -math.inf, new)

    def scaling(self, sum_BN: Tensor, potential_BN: Tensor) -> Tensor:
        """Return the factor by which a step changes `exp(potential_BN)`, given the row sums under it."""
        if self.power != 1.0:
            log_sum = sum_BN.log() - potential_BN
            return (self.potential(log_sum) - potential_BN).exp().nan_to_num(0.0)
        factor = self.mass_BN / sum_BN.clamp_min(torch.finfo(sum_BN.dtype).tiny)
        return torch.minimum(factor, (-potential_BN).exp()) if self.cap else factor

    def error(self, sum_BN: Tensor, potential_BN: Tensor) -> Tensor:
        """Return the L1 distance of the row sums from those after the next step, [B]."""
        target_BN = self.mass_BN
        if self.cap:
            target_BN = torch.fmin(target_BN, sum_BN * (-potential_BN).exp())
        return (target_BN - sum_BN).abs().sum(-1)


@torch.no_grad()
def sinkhorn(
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    lam: float,
    *,
    cap_a: bool = False,
    cap_b: bool = False,
    rho_b: float | None = None,
    tolerance: float = 1e-3,
    max_iterations: int = 1000,
) -> Transport:
    """Compute the entropic transport plans of a batch of problems, without gradient.

    A problem's numbers do not depend on the other problems of the batch: once it has converged it leaves the
    batch. On a GPU, where looking would wait for all work, it stays unchanged instead, and all iterations are
    queued. Masses of zero (`-inf`) give rows and columns of zeros, so problems of different sizes can be
    padded.

    Args:
        cost: [..., N, M] finite costs; half precision is computed in float32, and the plan is at least
            float32.
        log_a: [..., N] log masses of the rows, `-inf` for none.
        log_b: [..., M] log masses of the columns.
        lam: Entropic regularisation > 0, in units of the cost. Near 0 the plan is the unregularised one and
            needs more iterations; large values give the product of the marginals.
        cap_a: Whether row sums may be below a (FedOTP's partial transport), or must be equal to it.
        cap_b: The same for columns.
        rho_b: Column sums may differ from b at the price rho_b * KL(column sums | b) (semi-relaxed); None for
            exactly b.
        tolerance: Largest marginal error of a converged problem.
        max_iterations: Largest number of iterations; a problem that has not converged stops there.

    Returns:
        plan [..., N, M]; marginal_error [...]: the L1 distance between the row sums and those after the next
        step (column sums are exact then). For an exact marginal that is the L1 marginal error; for a cap the
        excess over it plus the missing mass where the cap binds; with `rho_b` the rows' L1 marginal error.
        Above `tolerance` the problem has not converged; NaN means that its costs were not finite.
        iterations [...] int64: the iterations used; flops [...]: see `flops`.

    Raises:
        ValueError: lam, rho_b, tolerance or max_iterations out of range, or columns both capped and relaxed.
    """
    check_options(lam, tolerance, max_iterations, cap_b, rho_b)
    dtype = cost.dtype if cost.dtype == torch.float64 else torch.float32
    batch, (rows, columns) = cost.shape[:-2], cost.shape[-2:]
    kernel_BNM = (cost.to(dtype) / -lam).reshape(-1, rows, columns)
    log_a = log_a.to(dtype).expand(*batch, rows).reshape(-1, rows)
    log_b = log_b.to(dtype).expand(*batch, columns).reshape(-1, columns)
    row = _Side(log_a.exp(), log_a, cap_a, 1.0)
    column = _Side(log_b.exp(), log_b, cap_b, 1.0 if rho_b is None else rho_b / (rho_b + lam))
    start = torch.where(torch.isneginf(log_b), -math.inf, torch.zeros_like(log_b))
    f_BN, g_BM = _log_steps(kernel_BNM, row, column, start, 1)
    # the problems that have not converged: from here on B counts these
    at_B = torch.arange(len(kernel_BNM), device=cost.device)
    plans, errors = torch.empty_like(kernel_BNM), kernel_BNM.new_empty(len(at_B))
    counts, open_B = torch.empty_like(at_B), torch.ones_like(at_B, dtype=torch.bool)
    iterations = 1
    while True:
        plan_BNM = (kernel_BNM + f_BN.unsqueeze(-1) + g_BM.unsqueeze(-2)).exp_()
        sum_BN = plan_BNM.sum(-1)
        error_B = row.error(sum_BN, f_BN)
        for all_values, values in (
            (plans, plan_BNM),
            (errors, error_B),
            (counts, torch.full_like(at_B, iterations)),
        ):
            was_open = open_B.reshape(-1, *[1] * (values.dim() - 1))
            all_values[at_B] = torch.where(was_open, values, all_values[at_B])
        steps = min(CHECK_EVERY, max_iterations - iterations)
        open_B = open_B & (error_B > tolerance)  # without NaN, which no step can change
        if steps == 0 or (looks(cost) and not open_B.any()):
            break
        if looks(cost) and not open_B.all():
            at_B, kernel_BNM, plan_BNM, sum_BN, f_BN, g_BM = (
                part[open_B] for part in (at_B, kernel_BNM, plan_BNM, sum_BN, f_BN, g_BM)
            )
            row, column, open_B = row.at(open_B), column.at(open_B), open_B[open_B]
        f_BN, g_BM = _safe_steps(kernel_BNM, plan_BNM, sum_BN, row, column, f_BN, g_BM, steps)
        if rho_b is not None:
            shift = _best_shift(row.mass_BN, column.log_BN, g_BM, rho_b / lam)
            f_BN, g_BM = f_BN - shift, g_BM + shift
        iterations += steps
    counts = counts.reshape(batch)
    return Transport(plans.reshape(cost.shape), errors.reshape(batch), counts, flops(rows, columns, counts))


def check_options(
    lam: float, tolerance: float, max_iterations: int, cap_b: bool, rho_b: float | None
) -> None:
    """Check the options of a solver.

    Raises:
        ValueError: One is out of range, or columns are both capped and relaxed.
    """
    if not lam > 0 or not tolerance > 0 or max_iterations < 1 or not (rho_b is None or rho_b > 0):
        raise ValueError(
            f"{lam=}, {rho_b=} and {tolerance=} must be above 0 and {max_iterations=} at least 1"
        )
    if cap_b and rho_b is not None:
        raise ValueError("columns are either capped (cap_b) or relaxed (rho_b)")


def looks(tensor: Tensor) -> bool:
    """Return whether the host may look at a tensor: on a GPU it would wait for all work before it."""
    return tensor.device.type == "cpu"


def _safe_steps(
    kernel_BNM: Tensor,
    plan_BNM: Tensor,
    sum_BN: Tensor,
    row: _Side,
    column: _Side,
    f_BN: Tensor,
    g_BM: Tensor,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Take Sinkhorn steps by scalings, or by log-sum-exp for the problems whose scalings are too large."""
    new_f, new_g = _scaling_steps(plan_BNM, sum_BN, row, column, f_BN, g_BM, steps)
    unsafe_B = ~(_moved_little(new_f, f_BN) & _moved_little(new_g, g_BM))
    if not looks(unsafe_B) or unsafe_B.any():
        slow_f, slow_g = _log_steps(kernel_BNM, row, column, g_BM, steps)
        new_f = torch.where(unsafe_B.unsqueeze(-1), slow_f, new_f)
        new_g = torch.where(unsafe_B.unsqueeze(-1), slow_g, new_g)
    return new_f, new_g


def _scaling_steps(
    plan_BNM: Tensor, sum_BN: Tensor, row: _Side, column: _Side, f_BN: Tensor, g_BM: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Take Sinkhorn steps as scalings of the absorbed plan; return the potentials after them."""
    product = torch.empty_like(plan_BNM)
    for step in range(steps):
        u_BN = row.scaling(sum_BN, f_BN)
        v_BM = column.scaling(torch.mul(plan_BNM, u_BN.unsqueeze(-1), out=product).sum(-2), g_BM)
        if step + 1 < steps:
            sum_BN = torch.mul(plan_BNM, v_BM.unsqueeze(-2), out=product).sum(-1)
    return f_BN + u_BN.log(), g_BM + v_BM.log()


def _log_steps(
    kernel_BNM: Tensor, row: _Side, column: _Side, g_BM: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Take the same steps by log-sum-exp."""
    for _ in range(steps):
        f_BN = row.potential(torch.logsumexp(kernel_BNM + g_BM.unsqueeze(-2), -1))
        g_BM = column.potential(torch.logsumexp(kernel_BNM + f_BN.unsqueeze(-1), -2))
    return f_BN, g_BM


def _best_shift(mass_BN: Tensor, log_b: Tensor, g_BM: Tensor, ratio: float) -> Tensor:
    """Return the constant that is best moved from f to g, [B, 1].

    It does not change the plan, and makes the total masses of both sides equal. Without it a relaxed marginal
    with rho far above lam converges at the rate rho / (rho + lam) only, even for simple problems.

    Reference: Sejourne, Vialard, Peyre, Faster Unbalanced Optimal Transport: Translation invariant Sinkhorn,
        AISTATS 2022.
    """
    mass_B1 = (log_b - g_BM / ratio).exp().nan_to_num(0.0).sum(-1, keepdim=True)
    return (ratio * (mass_B1.log() - mass_BN.sum(-1, keepdim=True).log())).nan_to_num(0.0, 0.0, 0.0)


def _moved_little(new: Tensor, old: Tensor) -> Tensor:
    """Return whether a problem's potentials moved so little that scalings can express it, [B]."""
    return (new - old).abs().nan_to_num(0.0, math.inf).amax(-1) < SAFE_LOG


def transport_cost(plan: Tensor, cost: Tensor) -> Tensor:
    """Return <Pi, C> of each problem; with a plan without gradient it is differentiable in the cost alone.

    Args:
        plan: Transport plans. [..., N, M]
        cost: Costs. [..., N, M]

    Returns:
        Costs of the plans, in the unit of the cost. [...]
    """
    return (plan * cost).sum((-2, -1))


def flops(rows: int, columns: int, iterations: Tensor) -> Tensor:
    """Floating-point operations of `sinkhorn` per problem (an exponential or logarithm counts as one).

    Args:
        rows: N.
        columns: M.
        iterations: [...] as returned by `sinkhorn`.

    Returns:
        [...] int64.
    """
    entries, sides = rows * columns, rows + columns
    first = 11 * entries + 2 * sides  # kernel, two log-sum-exps
    checks = 1 + (iterations + CHECK_EVERY - 2) // CHECK_EVERY
    return first + checks * (4 * entries + 2 * rows) + (iterations - 1) * (4 * entries + sides)
