"""Linear centred kernel alignment (CKA): the similarity of two networks' features of the same samples.

    CKA(X, Y) = HSIC(K, L) / sqrt( HSIC(K, K) HSIC(L, L) ),   K = X X^T,  L = Y Y^T

It compares the matrices of inner products between samples, so the features may differ in width, but rows must
be the same samples in the same order. With the plain (biased) HSIC it approaches 1 for unrelated features
when the samples are fewer than the features (0.97 at n = 16, d = 512). So the unbiased estimator is the
default.

Shapes: n samples, d features (p and q where the two sides differ).

Reference: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019 (linear CKA);
    Song et al., "Feature Selection via Dependence Maximization", JMLR 2012, eq. 5 (unbiased HSIC); Nguyen et
    al., "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021 (CKA from it).
"""

from __future__ import annotations

import torch
from torch import Tensor


def linear_cka(x_np: Tensor, y_nq: Tensor, debiased: bool = True) -> Tensor:
    """Return the linear CKA of two sets of features.

    Args:
        x_np: [n, p] features of n samples, any float type; computed in float64.
        y_nq: [n, q] features of the same samples in the same order.
        debiased: Whether to use the unbiased estimate of HSIC (n >= 4), or Kornblith's, which is biased
            towards 1 at small n.

    Returns:
        A scalar in [0, 1], dtype of `x_np`: 1 for features equal up to rotation, scale and shift; 0 where one
        side does not vary over the samples or its unbiased HSIC is not positive, so that CKA is undefined.

    Raises:
        ValueError: The two sides have different numbers of samples, or too few.
    """
    n, least = len(x_np), 4 if debiased else 2
    if x_np.dim() != 2 or y_nq.dim() != 2 or n != len(y_nq) or n < least:
        raise ValueError(
            f"features {list(x_np.shape)} and {list(y_nq.shape)}: two [n, d] of the same n, at least "
            f"{least}, are needed"
        )
    x, y = _centred(x_np), _centred(y_nq)
    if debiased:
        cross, self_x, self_y = _unbiased(x @ x.T, y @ y.T)
    else:
        cross, self_x, self_y = _biased(x, y)
    defined = ~((self_x <= 0) | (self_y <= 0))  # NaN counts as defined, so that a diverged network shows
    scale = torch.where(defined, self_x * self_y, torch.ones_like(self_x)).sqrt()
    return torch.where(defined, (cross / scale).clamp(0, 1), torch.zeros_like(cross)).to(x_np.dtype)


def _centred(x_nd: Tensor) -> Tensor:
    """Return the features in float64 with columns of mean 0.

    They are all zero where the samples differ by no more than the rounding of the incoming type.
    """
    x = x_nd.double()
    centred = x - x.mean(0)
    rounding = 8 * torch.finfo(x_nd.dtype).eps * x.abs().amax()
    centred = torch.where(centred.abs().amax() <= rounding, torch.zeros_like(centred), centred)
    # scaled to a largest entry of 1: CKA ignores scale, and the fourth powers below stay in range
    largest = centred.abs().amax()
    return centred / torch.where(largest == 0, torch.ones_like(largest), largest)


def _biased(x_np: Tensor, y_nq: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return HSIC times n^2 of (K, L), (K, K), (L, L), by the smaller of samples and features."""
    if len(x_np) < max(x_np.shape[1], y_nq.shape[1]):
        k, m = x_np @ x_np.T, y_nq @ y_nq.T
        return (k * m).sum(), (k * k).sum(), (m * m).sum()
    return (y_nq.T @ x_np).square().sum(), (x_np.T @ x_np).square().sum(), (y_nq.T @ y_nq).square().sum()


def _unbiased(k_nn: Tensor, l_nn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return unbiased HSIC times n (n - 3) of (K, L), (K, K), (L, L): Song, eq. 5 without its factor."""
    n = len(k_nn)
    k, m = (gram - torch.diag(gram.diagonal()) for gram in (k_nn, l_nn))

    def hsic(a: Tensor, b: Tensor) -> Tensor:
        rows_a, rows_b = a.sum(1), b.sum(1)
        return (
            (a * b).sum()
            + rows_a.sum() * rows_b.sum() / ((n - 1) * (n - 2))
            - 2 / (n - 2) * (rows_a * rows_b).sum()
        )

    return hsic(k, m), hsic(k, k), hsic(m, m)
