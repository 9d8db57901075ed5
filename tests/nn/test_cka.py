"""CKA against its definitions in NumPy: the centring matrix, and the U-statistic over all quadruples."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from raysim.nn.cka import linear_cka


def features(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def related(n: int, p: int, q: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two sides that share a part of what they see, away from the origin."""
    x = features(n, p, seed)
    return x + 3, x @ features(p, q, seed + 1) / p**0.5 + features(n, q, seed + 2) - 1


def biased(x: np.ndarray, y: np.ndarray) -> float:
    """Kornblith et al. 2019, equations 2 to 4: tr(K H L H) with the centring matrix H."""
    centring = np.eye(len(x)) - 1 / len(x)

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        return float(np.trace(k @ centring @ m @ centring))

    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / (hsic(k, k) * hsic(m, m)) ** 0.5


def unbiased_hsic(k: np.ndarray, m: np.ndarray) -> float:
    """Song et al. 2012, the U-statistic: mean of k_st (m_st + m_uv - 2 m_su) over quadruples of samples."""
    terms = [k[s, t] * (m[s, t] + m[u, v] - 2 * m[s, u]) for s, t, u, v in permutations(range(len(k)), 4)]
    return float(np.mean(terms))


def unbiased(x: np.ndarray, y: np.ndarray) -> float:
    k, m = x @ x.T, y @ y.T
    return unbiased_hsic(k, m) / (unbiased_hsic(k, k) * unbiased_hsic(m, m)) ** 0.5


@pytest.mark.parametrize(("n", "p", "q"), [(20, 5, 7), (9, 30, 40), (16, 4, 50), (16, 50, 4), (10, 10, 10)])
def test_biased_equals_the_definition(n, p, q):
    x, y = related(n, p, q)
    assert float(linear_cka(x, y, debiased=False)) == pytest.approx(biased(x.numpy(), y.numpy()), rel=1e-12)


@pytest.mark.parametrize(("n", "p", "q"), [(4, 3, 2), (7, 5, 3), (8, 20, 30), (9, 2, 12)])
def test_debiased_equals_the_mean_over_quadruples(n, p, q):
    x, y = related(n, p, q, seed=5)
    expected = unbiased(x.numpy(), y.numpy())
    assert 0 < expected < 1  # else the clipping would be all that is tested
    assert float(linear_cka(x, y)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("debiased", [False, True])
def test_what_it_ignores(debiased):
    """Rotation, scale, shift, the sides' order, and the samples' order where both sides take it."""
    x, y = related(30, 12, 20)
    value = float(linear_cka(x, y, debiased))
    rotation = torch.linalg.qr(features(20, 20, 9)).Q
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    assert float(linear_cka(x, 1e-9 * y @ rotation + 5e-9, debiased)) == pytest.approx(value, rel=1e-6)
    assert float(linear_cka(y, x, debiased)) == pytest.approx(value, rel=1e-12)
    assert float(linear_cka(x[order], y[order], debiased)) == pytest.approx(value, rel=1e-10)
    assert float(linear_cka(x, x @ torch.linalg.qr(features(12, 12, 3)).Q, debiased)) == pytest.approx(
        1, abs=1e-12
    )
    assert float(linear_cka(1e30 * x.float(), 1e-30 * y.float(), debiased)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(("n", "saturated"), [(16, 0.967), (64, 0.894), (256, 0.669)])
def test_the_bias_that_is_removed(n, saturated):
    """Unrelated features of width 512: near 1 by the plain estimator at few samples, near 0 by the other."""
    pairs = [(features(n, 512, 2 * seed), features(n, 512, 2 * seed + 1)) for seed in range(20)]
    assert np.mean([float(linear_cka(x, y, debiased=False)) for x, y in pairs]) == pytest.approx(
        saturated, abs=0.005
    )
    assert np.mean([float(linear_cka(x, y)) for x, y in pairs]) < 0.05


def test_samples_must_be_paired():
    x = features(64, 10)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert float(linear_cka(x, x)) == pytest.approx(1, abs=1e-12)
    assert float(linear_cka(x, x[order])) < 0.1


@pytest.mark.parametrize("debiased", [False, True])
def test_a_side_without_variation_says_nothing(debiased):
    x = features(12, 6).float()
    constant = torch.full((12, 8), 0.1)
    rounding = constant * (1 + 1e-7 * features(12, 8, 1).float())  # what batching does to equal outputs
    for dead in (constant, rounding, torch.zeros(12, 8)):
        assert float(linear_cka(x, dead, debiased)) == 0
        assert float(linear_cka(dead, x, debiased)) == 0
        assert float(linear_cka(dead, dead, debiased)) == 0
    small = 1 + 1e-4 * features(12, 8, 1).float()  # a variation that float32 can hold counts
    assert float(linear_cka(small, small, debiased)) == pytest.approx(1, abs=1e-12)


def test_float32_loses_nothing_and_comes_back():
    x, y = related(40, 100, 30)
    value = linear_cka(x.float(), y.float())
    assert value.dtype == torch.float32 and value.shape == ()
    assert float(value) == pytest.approx(float(linear_cka(x, y)), abs=1e-6)


def test_a_diverged_side_is_not_hidden():
    x = features(8, 4)
    assert torch.isnan(linear_cka(x, x * torch.nan))


def test_refuses_what_cannot_be_compared():
    with pytest.raises(ValueError, match=r"\[8, 4\] and \[7, 4\]"):
        linear_cka(features(8, 4), features(7, 4))
    with pytest.raises(ValueError, match="at least 4"):
        linear_cka(features(3, 4), features(3, 4))
    assert 0 <= float(linear_cka(features(3, 4), features(3, 4, 1), debiased=False)) <= 1
