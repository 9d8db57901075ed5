"""CRO's estimators on paper, and their direction on a constructed imbalance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from raysim.core.types import IGNORE
from raysim.methods.networks import rectification as r
from raysim.methods.networks.safe.method import SAFE
from raysim.nn.networks import Output


def linear(
    pooled: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[Output, dict[str, torch.Tensor]]:
    return Output(F.linear(pooled, weight, bias), pooled, pooled), {"head.weight": weight, "head.bias": bias}


def test_gradients_of_the_last_layer_are_their_formula() -> None:
    rng = np.random.default_rng(0)
    z, w, b, y = (
        rng.normal(size=(9, 4)),
        rng.normal(size=(3, 4)),
        rng.normal(size=3),
        np.array([0, 0, 1, 1, 1, 2, 2, 2, 2]),
    )
    output, weights = linear(*(torch.tensor(a, dtype=torch.float64) for a in (z, w, b)))
    gradients_CCd = r.head_gradients([(output, torch.tensor(y))], weights)
    halves = [
        linear(*(torch.tensor(a, dtype=torch.float64) for a in (z[part], w, b)))[0]
        for part in (slice(4), slice(4, 9))
    ]
    torch.testing.assert_close(
        gradients_CCd,
        r.head_gradients([(halves[0], torch.tensor(y[:4])), (halves[1], torch.tensor(y[4:]))], weights),
    )
    logits = z @ w.T + b
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for label in range(3):
        expected = np.zeros((3, 5))
        for i in np.flatnonzero(y == label):  # dCE/dlogits = p - onehot
            expected += np.outer(p[i] - np.eye(3)[label], np.append(z[i], 1.0)) / (y == label).sum()
        np.testing.assert_allclose(gradients_CCd[label].numpy(), expected, atol=1e-12)
        assert r.head_norms(gradients_CCd, "head")[label] == pytest.approx(np.linalg.norm(expected))
        assert r.head_norms(gradients_CCd, "row")[label] == pytest.approx(np.linalg.norm(expected[label]))


def test_gradients_of_pixels_leave_ignored_ones_out() -> None:
    torch.manual_seed(0)
    pooled, weight, bias = (
        torch.randn(2, 4, 4, 4, dtype=torch.float64),
        torch.randn(3, 4, 1, 1, dtype=torch.float64),
        torch.zeros(3).double(),
    )
    y = torch.randint(0, 2, (2, 4, 4))
    y[0, :2] = IGNORE
    gradients_CCd = r.head_gradients(
        [(Output(F.conv2d(pooled, weight, bias), pooled, pooled), y)],
        {"head.weight": weight, "head.bias": bias},
    )
    flat, labels = pooled.permute(0, 2, 3, 1).reshape(-1, 4), y.flatten()
    known = labels != IGNORE
    output, weights = linear(flat[known], weight[:, :, 0, 0], bias)
    plain = r.head_gradients([(output, labels[known])], weights)
    torch.testing.assert_close(gradients_CCd, plain)
    assert not gradients_CCd[2].any()  # no pixel of that class


def test_gradients_of_all_weights_are_those_of_the_mean_loss() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    x, y = torch.randn(9, 4).double(), torch.tensor([0, 0, 1, 1, 1, 1, 1, 0, 0])
    parameters = list(network.parameters())
    norms = r.whole_norms(network, x, y, parameters, 3, 2)
    for label in (0, 1):
        gradients = torch.autograd.grad(F.cross_entropy(network(x[y == label]), y[y == label]), parameters)
        assert norms[label] == pytest.approx(torch.cat([g.flatten() for g in gradients]).norm().item())
    assert norms[2] == 0


def test_proportions_on_paper() -> None:
    torch.testing.assert_close(
        r.proportion(torch.tensor([1.0, 1.0, 2.0]), 1.0), torch.tensor([0.75, 0.75, 1.5]).double()
    )
    torch.testing.assert_close(
        r.proportion(torch.tensor([1.0, 1.0, 2.0]), 2.0), torch.tensor([0.5, 0.5, 2.0]).double()
    )
    assert r.proportion(torch.tensor([3.0, 0.2]), 0.0).tolist() == [1.0, 1.0]
    torch.testing.assert_close(
        r.proportion(torch.tensor([1.0, 0.0, 3.0]), 1.0), torch.tensor([0.5, 1.0, 1.5]).double()
    )  # unseen: the mean


def test_rectified_ratios_on_paper() -> None:
    """Clipped 0.5, 1 and 4.5; at the factor 4/9 they are 0.222, 0.444 and 2, of which two are below 0.5."""
    torch.testing.assert_close(
        r.rectified(torch.tensor([0.1, 1.0, 9.0]).double(), 0.5, 4.5), torch.tensor([0.5, 0.5, 2.0])
    )
    within = torch.tensor([0.5, 1.0, 1.5])
    torch.testing.assert_close(r.rectified(within, 0.2, 5.0), within)
    torch.testing.assert_close(r.rectified(2 * within, 0.2, 5.0), within)


@pytest.mark.parametrize(("low", "high"), [(0.2, 5.0), (0.2, 3.0), (1.0, 1.0), (0.01, 1.0), (0.5, 1000.0)])
def test_rectified_ratios_have_mean_one_and_keep_the_bounds(low: float, high: float) -> None:
    """Drawn over 12 powers of ten, or zeros; a division by the mean after the clip breaks the bound."""
    rng = np.random.default_rng(0)
    exceeded = 0
    for _ in range(200):
        drawn = 10.0 ** rng.uniform(-6, 6, rng.integers(1, 12)) * (rng.random() < 0.9)
        estimate = torch.from_numpy(np.asarray(drawn))
        ratios = r.rectified(estimate, low, high)
        assert float(ratios.double().mean()) == pytest.approx(1.0, abs=1e-5)
        assert low * (1 - 1e-6) <= float(ratios.min()) and float(ratios.max()) <= high * (1 + 1e-6)
        assert (ratios[estimate.argsort()].diff() >= 0).all()
        clipped = estimate.clamp(low, high)
        exceeded += float((clipped / clipped.mean()).max()) > high
    assert exceeded or (low, high) in ((1.0, 1.0), (0.5, 1000.0))


def test_classes_of_every_estimator_stay_apart() -> None:
    """Ten classes of 300 to 6 images: clipped at its own scale, R alone leaves eight of ten alike."""
    alike = []
    for seed in range(3):
        gradients = toy_gradients(seed, torch.tensor([300, 220, 150, 110, 80, 60, 40, 25, 12, 6]))
        for estimator in ("proportion", "composition", "ratio"):
            method, norm_C = SAFE(estimator=estimator), r.head_norms(gradients, "head")  # type: ignore[arg-type]
            estimates = {
                "proportion": r.proportion(norm_C, method.p),
                "composition": r.composition(norm_C, method.composition_b),
                "ratio": 1 + method.ratio_b * r.ratio(gradients),
            }
            ratios = method.next_ratios(torch.ones(10), [estimates[estimator]])
            assert most_alike(ratios) <= 4, (estimator, seed, ratios)
        alike.append(most_alike(r.ratio(gradients).clamp(0.2, 5.0)))
    assert max(alike) >= 8


def most_alike(ratios_C: torch.Tensor) -> int:
    """The largest number of classes that have one ratio."""
    return int(ratios_C.float().unique(return_counts=True)[1].max())


def test_composition_is_the_inverse_of_the_estimated_shares() -> None:
    norm = torch.tensor([0.5, 1.0]).double()
    share = torch.softmax(1.0 / torch.tensor([0.25, 1.0]).double(), dim=0)
    torch.testing.assert_close(r.composition(norm, 1.0), 2 * (1 / share) / (1 / share).sum())
    assert torch.isfinite(r.composition(torch.tensor([1e-9, 1.0]), 1.0)).all()


def test_composition_tells_classes_apart_beside_one_that_is_learned() -> None:
    """A class with a tiny gradient has next to nothing of the weight; the others keep their order."""
    norm = torch.tensor([1.0, 0.5, 0.3, 0.04])
    weight = np.exp(-0.1 / np.array([1.0, 0.25, 0.09, 0.0016]))
    np.testing.assert_allclose(r.composition(norm, 0.1), 4 * weight / weight.sum(), rtol=1e-5)


def test_a_class_that_is_learned_perfectly_is_not_one_without_samples() -> None:
    """Its gradient is so small that its square is zero in float32."""
    gradients = torch.zeros(3, 3, 2)
    gradients[0, 0, 0], gradients[1, 1, 0] = 1.0, 1e-26
    for scope in ("head", "row"):
        ratios = r.proportion(r.head_norms(gradients, scope), 1.0)  # type: ignore[arg-type]
        assert ratios[1] < 1e-20 and ratios[2] == pytest.approx(1.0)  # class 2 has no samples


def test_the_ratio_on_paper() -> None:
    own = torch.zeros(2, 2, 4)  # [samples' class, row, input and bias]
    own[0, 0] = torch.tensor([-4.0, -1.0, -2.0, 9.0])
    own[1, 0] = torch.tensor([1.0, 0.9, 1.0, 9.0])
    own[1, 1], own[0, 1] = torch.tensor([-1.0, -1.0, -1.0, 0.0]), torch.tensor([2.0, 2.0, 2.0, 0.0])
    # row 0: inputs 0 and 2 are dominated (1 < 0.8 * 4, 1 < 0.8 * 2), input 1 is not (0.9 > 0.8); row 1: none
    assert r.ratio(own).tolist() == [pytest.approx(6.0 / 2.0), 1.0]
    assert r.ratio(own, 2.5).tolist() == [2.5, 1.0]


def toy_gradients(seed: int, counts_C: torch.Tensor) -> torch.Tensor:
    """Gradients [C, C, d + 1] on 64 samples a class of a linear classifier trained on unequal classes."""
    torch.manual_seed(seed)
    classes = len(counts_C)
    centres = torch.randn(classes, 16)
    y = torch.repeat_interleave(torch.arange(classes), counts_C)
    x = centres[y] + 1.5 * torch.randn(len(y), 16)
    weight, bias = torch.zeros(classes, 16, requires_grad=True), torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.SGD([weight, bias], lr=0.3)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(F.linear(x, weight, bias), y).backward()
        optimiser.step()
    labels = torch.arange(classes).repeat_interleave(64)  # about the 63 of the ratio loss
    pooled = centres[labels] + 1.5 * torch.randn(len(labels), 16)
    output, weights = linear(pooled, weight.detach(), bias.detach())
    return r.head_gradients([(output, labels)], weights)


@pytest.mark.parametrize("estimator", ["head", "row", "composition", "ratio"])
def test_rare_classes_get_the_larger_weights(estimator: str) -> None:
    """A linear classifier trained on an imbalance of 50:1; the server's samples are balanced."""
    correlations = []
    for seed in range(5):
        counts = torch.tensor([300, 150, 70, 30, 12, 6])
        gradients = toy_gradients(seed, counts)
        if estimator == "ratio":
            cr = r.ratio(gradients)
        elif estimator == "composition":
            cr = r.composition(r.head_norms(gradients, "head"), SAFE().composition_b)
        else:
            cr = r.proportion(r.head_norms(gradients, estimator), 1.0)  # type: ignore[arg-type]
        correlations.append(float(spearmanr(cr, 1 / counts).statistic))
    assert np.mean(correlations) > 0.6, correlations
