"""FedOTP and FedPGP: their published formulas in float64, cases solved by hand, what they send, and that they learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import ot as pot
import pytest
import torch

from raysim.core.types import Batch, MicroCohort, Tensors
from raysim.engines.serial import Serial
from raysim.methods.prompts import transport
from raysim.methods.prompts.base import PRIVATE, SHARED
from raysim.methods.prompts.fedotp import FedOTP
from raysim.methods.prompts.fedpgp import FedPGP, U, V
from raysim.methods.prompts.promptfl import PromptFL
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from tests.experiments import small

SCALE = 50.0


def unit(*shape: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=rng, dtype=torch.float64), dim=-1)


def images(patches: torch.Tensor) -> torch.Tensor:
    """Patch inputs [K, B, 1 + M, d]; the pooled feature must not matter, so it is NaN."""
    return torch.cat([torch.full_like(patches[:, :, :1], torch.nan), patches], dim=2)


def logits(method: FedOTP, patches: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
    return transport.patch_logits(SCALE, images(patches), texts, method._solve)[0]


def table(method: FedOTP, sim: list[list[float]]) -> float:
    """The logit of one image and one class with the given similarities of patches (rows) and prompts (columns)."""
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
    """Equal at the fixed point; to 0.2 % of the logits' spread where the default tolerance is met, in float32."""
    patches, shared, private = unit(2, 6, 9, 24, seed=0), unit(2, 5, 24, seed=1), unit(2, 5, 24, seed=2)
    sim = np.stack([np.einsum("kbmd,kcd->kbcm", patches, text) for text in (shared, private)], axis=-1)
    plan = published_plan(sim, lam, gamma)
    capped = (plan.sum(-1) > 1 / 9 - 1e-9).mean()
    assert capped == 1 if gamma == 1 else 0 < capped < 1  # caps are reached, and not everywhere
    expected = SCALE * (plan * sim).sum((-2, -1))
    exact = FedOTP(lam=lam, gamma=gamma, ot_tolerance=1e-11, ot_iterations=100_000)
    np.testing.assert_allclose(logits(exact, patches, shared, private), expected, rtol=1e-9)
    hasty = FedOTP(lam=lam, gamma=gamma)
    found, (_, error, _) = transport.patch_logits(
        SCALE, images(patches).float(), [shared.float(), private.float()], hasty._solve
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
    plan, _, iterations = FedOTP(lam=0.05, ot_tolerance=1e-14, ot_iterations=11)._solve(torch.tensor(1 - sim))
    assert (iterations == 11).all()
    np.testing.assert_allclose(plan, u[..., None] * kernel * v[..., None, :], rtol=1e-9)


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
    found, (plan, _, _) = transport.patch_logits(SCALE, images(patches), [shared, private], method._solve)
    found.sum().backward()
    torch.testing.assert_close(shared.grad[0, 0], SCALE * plan[0, 0, 0, :, 0] @ patches[0, 0])


@pytest.fixture(scope="module")
def otp() -> Worker:
    return Worker(Federation.of(small(method="fedotp")))


@pytest.fixture(scope="module")
def pgp() -> Worker:
    return Worker(Federation.of(small(method="fedpgp")))


def batch_of(worker: Worker) -> Batch:
    return worker._batch([worker._plan(client, 0, 1, "batches")[0] for client in range(2)])


def parameters(worker: Worker, **scaled: float) -> Tensors:
    """Both clients' first tensors, those of one name multiplied."""
    shared = worker.initial().state.shared
    rows = [{**shared, **worker._first_private(client)} for client in range(2)]
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
        monkeypatch.setattr(transport, "ENTRIES", 1)
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


def test_fedpgps_zero_shot_text_is_clips_own(pgp: Worker) -> None:
    backbone = pgp.frozen.context.backbone
    before = pgp.frozen.context.templates[0].split("{")[0].strip()
    with torch.no_grad():
        expected = backbone.clip.encode_text(
            backbone.tokenize([f"{before} {name}." for name in pgp.images.class_names]), normalize=True
        )
    torch.testing.assert_close(pgp.model.zero_shot, expected, rtol=1e-4, atol=1e-5)


def test_fedpgps_loss_is_its_formula(pgp: Worker) -> None:
    params, batch = parameters(pgp, **{U: 20.0, V: 20.0}), batch_of(pgp)
    text = {
        name: pgp.model.text(prompt).double().numpy()
        for name, prompt in (("g", params[SHARED]), ("p", params[SHARED] + params[U] @ params[V]))
    }
    zero_shot, x, y = pgp.model.zero_shot.double().numpy(), batch.x.double().numpy(), batch.y.numpy()
    loss, metrics = FedPGP(mu=0.7, temp=0.3).loss(pgp.model, params, {}, batch)
    for k in range(2):
        scores = pgp.model.logit_scale * x[k] @ text["p"][k].T
        ce = (
            np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1))
            + scores.max(1)
            - scores[np.arange(len(x[k])), y[k]]
        )
        ce = np.average(ce, weights=batch.weight[k].numpy())
        near, away = (
            np.exp((text["g"][k] * zero_shot).sum(1) / 0.3),
            np.exp((text["g"][k] * text["p"][k]).sum(1) / 0.3),
        )
        contrast = -np.log(near / (near + away)).mean()
        assert metrics["loss_ce"][k].item() == pytest.approx(ce, rel=2e-5)
        assert metrics["loss_contrast"][k].item() == pytest.approx(contrast, rel=2e-5)
        assert loss[k].item() == pytest.approx(ce + 0.7 * contrast, rel=2e-5)


def test_fedpgp_without_its_two_parts_is_promptfl(pgp: Worker) -> None:
    params, batch = parameters(pgp, **{U: 0.0}), batch_of(pgp)
    plain, _ = PromptFL().loss(pgp.model, params, {}, batch)
    assert torch.equal(FedPGP(mu=0).loss(pgp.model, params, {}, batch)[0], plain)
    assert (FedPGP(mu=1).loss(pgp.model, params, {}, batch)[0] > plain).all()


def test_fedpgp_classifies_with_the_personal_prompt_and_alone_with_the_shared(pgp: Worker) -> None:
    params, x = parameters(pgp, **{U: 20.0, V: 20.0}), batch_of(pgp).x[0]
    for scope, prompt in (("personal", params[SHARED] + params[U] @ params[V]), ("shared", params[SHARED])):
        expected = pgp.model.logit_scale * x @ pgp.model.text(prompt).transpose(1, 2)
        torch.testing.assert_close(
            pgp.method.predict(pgp.model, params, x, scope), expected, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_fedpgps_gradient_reaches_all_three(pgp: Worker, mu: float) -> None:
    params = {name: tensor.requires_grad_() for name, tensor in parameters(pgp).items()}
    FedPGP(mu=mu).loss(pgp.model, params, {}, batch_of(pgp))[0].sum().backward()
    assert set(params) == {SHARED, U, V}
    assert all((tensor.grad.abs().flatten(1).amax(1) > 1e-5).all() for tensor in params.values())


def test_clients_get_private_tensors_of_their_own(otp: Worker, pgp: Worker) -> None:
    random = Worker(Federation.of(small(method="fedotp", method__private_init="random")))
    for worker, name in ((random, PRIVATE), (pgp, U), (pgp, V)):
        first, second = (worker._first_private(client)[name] for client in (0, 1))
        assert not torch.equal(first, second) and first.std().item() == pytest.approx(0.02, rel=0.5)


@pytest.mark.parametrize(
    "name, private",
    [("fedotp", {PRIVATE: (4, 0)}), ("fedpgp", {U: (4, 3), V: (3, 0)})],
    ids=["fedotp", "fedpgp"],
)  # 0 stands for the text width
def test_only_the_shared_prompt_is_sent(name: str, private: dict[str, tuple[int, int]], otp: Worker) -> None:
    worker = Worker(
        Federation.of(small(method=name, **({"method__bottleneck": 3} if name == "fedpgp" else {})))
    )
    width = worker.model.tower.width
    sent = worker.train(worker.initial().state, MicroCohort(0, (0, 1), (None, None)))
    assert {key: tuple(tensor.shape) for key, tensor in sent.sums.items()} == {SHARED: (4, width)}
    for row in sent.private:
        assert {key: tuple(tensor.shape) for key, tensor in row.items()} == {
            key: (a, b or width) for key, (a, b) in private.items()
        }
    assert sent.bytes_up == 2 * 4 * width * 4 and sent.each == () and sent.aside == ({}, {})


@pytest.mark.parametrize("name", ["fedotp", "fedpgp"])
def test_rivals_learn(name: str, tmp_path: Path) -> None:
    experiment = small(method=name, rounds=4, evaluation__every=4, training__epochs=2)
    records = list(Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).rounds())
    start, end = records[0].row, records[-1].row
    assert end["acc_personal_own"] > start["acc_personal_own"] + 0.04
    assert end["acc_shared_global"] > start["acc_shared_global"]
