"""FedOTP: its published loop in float64, cases solved by hand, what it sends, and that it learns."""

from __future__ import annotations

import numpy as np
import ot as pot
import pytest
import torch

from raysim.core.types import Batch, Tensors
from raysim.methods.prompts import transport
from raysim.methods.prompts.fedotp import FedOTP
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import small

SCALE = 50.0


def unit(*shape: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=rng, dtype=torch.float64), dim=-1)


def images(patches: torch.Tensor) -> torch.Tensor:
    """Patch inputs [K, B, 1 + M, d]; the pooled feature must not matter, so it is NaN."""
    return torch.cat([torch.full_like(patches[:, :, :1], torch.nan), patches], dim=2)


def logits(method: FedOTP, patches: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
    return transport.patch_logits(SCALE, images(patches), texts, method.solve)[0]


def table(method: FedOTP, sim: list[list[float]]) -> float:
    """The logit of one image and class for given similarities of patches (rows) and prompts (columns)."""
    columns = torch.tensor(sim, dtype=torch.float64).T
    patches = torch.eye(columns.shape[1], dtype=torch.float64)[None, None]
    return float(logits(method, patches, *(column[None, None] for column in columns)))


def published_plan(sim: np.ndarray, lam: float, gamma: float) -> np.ndarray:
    """FedOTP's loop on problems [..., M, N], until nothing moves any more."""
    patches, prompts = sim.shape[-2:]
    kernel = np.exp(-(1 - sim) / lam)
    v = np.ones((*sim.shape[:-2], prompts))
    for _ in range(200_000):
        before = v
        u = np.minimum(1 / patches / np.einsum("...mn,...n->...m", kernel, v), 1)
        v = gamma / prompts / np.einsum("...mn,...m->...n", kernel, u)
        if np.abs(v / before - 1).max() < 1e-13:
            return u[..., None] * kernel * v[..., None, :]
    raise AssertionError("the published loop did not converge")


@pytest.mark.parametrize("lam", [0.1, 0.05])
@pytest.mark.parametrize("gamma", [1.0, 0.8, 0.5])
def test_fedotps_logits_are_those_of_the_published_loop(lam: float, gamma: float) -> None:
    """Equal at the fixed point; in float32, where the tolerance is met, to 0.2 % of the logits' spread."""
    patches, shared, private = unit(2, 6, 9, 24, seed=0), unit(2, 5, 24, seed=1), unit(2, 5, 24, seed=2)
    sim = np.stack([np.einsum("kbmd,kcd->kbcm", patches, text) for text in (shared, private)], axis=-1)
    plan = published_plan(sim, lam, gamma)
    capped = (plan.sum(-1) > 1 / 9 - 1e-9).mean()
    assert capped == 1 if gamma == 1 else 0 < capped < 1  # caps are reached, and not everywhere
    expected = SCALE * (plan * sim).sum((-2, -1))
    exact = FedOTP(lam=lam, gamma=gamma, ot_tolerance=1e-11, ot_iterations=100_000)
    np.testing.assert_allclose(logits(exact, patches, shared, private), expected, rtol=1e-9)
    hasty = FedOTP(lam=lam, gamma=gamma)
    found, (_, error, *_) = transport.patch_logits(
        SCALE, images(patches).float(), [shared.float(), private.float()], hasty.solve
    )
    met = (error <= hasty.ot_tolerance).numpy()
    assert met.mean() > 0.85 and np.abs(found.numpy() - expected)[met].max() < 0.002 * np.ptp(expected)


def test_the_iterates_are_the_published_ones() -> None:
    """Not only the fixed point: after 11 steps both have the same plan."""
    sim = np.einsum("bmd,cd->bcm", unit(4, 9, 24, seed=3), unit(2, 24, seed=4))[..., None].repeat(2, -1) * [
        1.0,
        0.7,
    ]
    kernel, v = np.exp(-(1 - sim) / 0.05), np.ones((4, 2, 2))
    for _ in range(11):
        u = np.minimum(1 / 9 / (kernel @ v[..., None])[..., 0], 1)
        v = 0.4 / (kernel.swapaxes(-1, -2) @ u[..., None])[..., 0]
    solution = FedOTP(lam=0.05, ot_tolerance=1e-14, ot_iterations=11).solve(torch.tensor(1 - sim))
    assert (solution.iterations == 11).all()
    np.testing.assert_allclose(solution.plan, u[..., None] * kernel * v[..., None, :], rtol=1e-9)


def test_balanced_plans_are_pots() -> None:
    patches, shared, private = unit(1, 4, 16, 32, seed=5), unit(1, 3, 32, seed=6), unit(1, 3, 32, seed=7)
    found = logits(FedOTP(gamma=1.0, ot_tolerance=1e-11, ot_iterations=10_000), patches, shared, private)
    for b in range(4):
        for c in range(3):
            sim = np.stack([patches[0, b] @ shared[0, c], patches[0, b] @ private[0, c]], axis=1)
            plan = pot.sinkhorn(
                np.full(16, 1 / 16), np.full(2, 1 / 2), 1 - sim, 0.1, method="sinkhorn_log", stopThr=1e-13
            )
            assert float(found[0, b, c]) == pytest.approx(SCALE * (plan * sim).sum(), rel=1e-9)


def test_fedotp_by_hand() -> None:
    method = FedOTP(gamma=0.8, lam=0.1, ot_tolerance=1e-12)
    assert table(method, [[0.3]]) == pytest.approx(SCALE * 0.8 * 0.3)  # all of the mass
    p = 1 / (
        1 + np.exp(-(0.3 - 0.1) / 0.1)
    )  # symmetric: each prompt gives p of its mass to its own patch, no cap is reached
    assert table(method, [[0.3, 0.1], [0.1, 0.3]]) == pytest.approx(SCALE * 0.8 * (p * 0.3 + (1 - p) * 0.1))
    # one prompt wants 0.8 e / (1 + e) = 0.585 of the first patch, which has 1/2: the rest goes to the second
    assert table(method, [[0.3], [0.2]]) == pytest.approx(SCALE * (0.5 * 0.3 + 0.3 * 0.2))
    assert table(FedOTP(gamma=1.0), [[0.3], [0.2], [-0.2]]) == pytest.approx(
        SCALE * 0.1
    )  # balanced and alone: the patches' mean


def test_fedotps_plan_has_no_gradient() -> None:
    """d logit / d text is scale * sum_m T_mn patch_m, with T held."""
    patches, shared, private = (
        unit(1, 1, 9, 24, seed=8),
        unit(1, 1, 24, seed=9).requires_grad_(),
        unit(1, 1, 24, seed=10),
    )
    method = FedOTP()
    found, (plan, *_) = transport.patch_logits(SCALE, images(patches), [shared, private], method.solve)
    found.sum().backward()
    torch.testing.assert_close(shared.grad[0, 0], SCALE * plan[0, 0, 0, :, 0] @ patches[0, 0])


@pytest.fixture(scope="module")
def otp() -> Worker:
    return Worker(Federation.of(small(method="fedotp")))


def batch_of(worker: Worker) -> Batch:
    return worker.batches.stack([worker.batches.plan(client, 0, 1, "batches")[0] for client in range(2)])


def parameters(worker: Worker, **scaled: float) -> Tensors:
    """Both clients' first tensors, those of one name multiplied."""
    shared = worker.initial().state.shared
    rows = [{**shared, **worker.training.first_private(client)} for client in range(2)]
    return {name: torch.stack([row[name] for row in rows]) * scaled.get(name, 1.0) for name in rows[0]}


def test_fedotp_counts_real_images_only(otp: Worker) -> None:
    params = parameters(otp)
    batch = batch_of(otp)
    short = Batch(batch.x[:, :5], batch.y[:, :5], torch.ones(2, 5))
    padded = Batch(batch.x, batch.y, torch.ones_like(batch.weight) * (torch.arange(batch.y.shape[1]) < 5))
    for name, value in otp.method.loss(otp.model, params, {}, short)[1].items():
        if name != "flops_ot":
            torch.testing.assert_close(
                otp.method.loss(otp.model, params, {}, padded)[1][name], value, msg=name
            )
    hasty = FedOTP(ot_tolerance=1e-6, ot_iterations=1).loss(otp.model, params, {}, short)[1]
    torch.testing.assert_close(hasty["ot_iterations"], torch.ones(2))
    assert (hasty["ot_unconverged"] > 0.5).all() and (hasty["ot_marginal_error"] > 1e-6).all()


def test_fedotp_predicts_in_parts_what_it_predicts_at_once(
    otp: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, x = parameters(otp), batch_of(otp).x[0]
    for scope in ("shared", "personal"):
        whole = otp.method.predict(otp.model, params, x, scope)
        monkeypatch.setattr(transport, "COSTS_PER_CALL", 1)
        torch.testing.assert_close(otp.method.predict(otp.model, params, x, scope), whole)
        monkeypatch.undo()
        assert whole.shape == (2, len(x), len(otp.images.class_names))
    training = otp.method.loss(
        otp.model,
        params,
        {},
        Batch(x.expand(2, *x.shape), torch.zeros(2, len(x), dtype=int), torch.ones(2, len(x))),
    )
    expected = -torch.log_softmax(whole, -1)[..., 0].mean(1)
    torch.testing.assert_close(training[0], expected, rtol=1e-4, atol=1e-4)
