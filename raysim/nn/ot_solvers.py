"""The solvers of entropic transport under one name: raysim's own, plain Sinkhorn, and the public library POT.

Shapes: any leading dimensions, N rows, M columns.

Reference: Flamary et al., POT: Python Optimal Transport, JMLR 2021.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from raysim.nn import ot, ot_newton
from raysim.nn.flops import reports_itself

Solver = Literal["auto", "sinkhorn", "pot"]
# columns up to which Sinkhorn's iteration is faster: its about 11 iterations cost less. Rows decide nothing:
# they are images, and those of a short batch are padded in a stack of clients
FEW = 4


def solve(
    solver: Solver, cost: Tensor, log_a: Tensor, log_b: Tensor, lam: float, **options: Any
) -> ot.Transport:
    """Compute the entropic transport plans of a batch of problems, without gradient.

    Args:
        solver: "auto" takes Newton's method (`ot_newton`), or Sinkhorn's iteration where columns are few;
            "sinkhorn" always takes that; "pot" calls `ot.batch.solve_batch` of POT, which knows exact
            marginals only.
        cost: [..., N, M], as for `ot.sinkhorn`.
        log_a: [..., N] log masses of the rows.
        log_b: [..., M] log masses of the columns.
        lam: Entropic regularisation > 0.
        options: The keywords of `ot.sinkhorn`.
    """
    own = ot.sinkhorn if solver == "sinkhorn" or cost.shape[-1] <= FEW else ot_newton.newton
    with reports_itself():
        return (by_pot if solver == "pot" else own)(cost, log_a, log_b, lam, **options)


@torch.no_grad()
def by_pot(
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    lam: float,
    *,
    tolerance: float = 1e-3,
    max_iterations: int = 1000,
) -> ot.Transport:
    """Compute the plans with POT's log-domain Sinkhorn; both marginals are exact.

    POT stops all problems together, when the largest L2 error of a marginal is small enough. The tolerance is
    converted, so that the L1 error is at most `tolerance` then.
    """
    from ot.batch import solve_batch

    batch, (rows, columns) = cost.shape[:-2], cost.shape[-2:]
    dtype = cost.dtype if cost.dtype == torch.float64 else torch.float32
    a = log_a.to(dtype).exp().expand(*batch, rows).reshape(-1, rows)
    b = log_b.to(dtype).exp().expand(*batch, columns).reshape(-1, columns)
    solved = solve_batch(
        cost.to(dtype).reshape(-1, rows, columns),
        reg=lam,
        a=a,
        b=b,
        max_iter=max_iterations,
        tol=tolerance / math.sqrt(rows),
        method="log_sinkhorn",
        grad="detach",
    )
    error = (a - solved.plan.sum(-1)).abs().sum(-1)
    count = min(solved.log["n_iter"] + 1, max_iterations)
    iterations = torch.full(batch, count, dtype=torch.int64, device=cost.device)
    return ot.Transport(
        solved.plan.reshape(cost.shape),
        error.reshape(batch),
        iterations,
        ot.flops(rows, columns, iterations),
    )
