"""FedPGP: its published formula in float64, its limits, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raysim.core.types import Batch, Tensors
from raysim.methods.prompts.base import SHARED
from raysim.methods.prompts.fedpgp import FedPGP, U, V
from raysim.methods.prompts.promptfl import PromptFL
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import small


def images(patches: torch.Tensor) -> torch.Tensor:
    """Patch inputs [K, B, 1 + M, d]; the pooled feature must not matter, so it is NaN."""
    return torch.cat([torch.full_like(patches[:, :, :1], torch.nan), patches], dim=2)


@pytest.fixture(scope="module")
def pgp() -> Worker:
    return Worker(Federation.of(small(method="fedpgp")))


def batch_of(worker: Worker) -> Batch:
    return worker.batches.stack([worker.batches.plan(client, 0, 1, "batches")[0] for client in range(2)])


def parameters(worker: Worker, **scaled: float) -> Tensors:
    """Both clients' first tensors, those of one name multiplied."""
    shared = worker.initial().state.shared
    rows = [{**shared, **worker.training.first_private(client)} for client in range(2)]
    return {name: torch.stack([row[name] for row in rows]) * scaled.get(name, 1.0) for name in rows[0]}


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
        name: pgp.model.class_features(prompt).double().numpy()
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
        expected = pgp.model.logit_scale * x @ pgp.model.class_features(prompt).transpose(1, 2)
        torch.testing.assert_close(
            pgp.method.predict(pgp.model, params, x, scope), expected, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_fedpgps_gradient_reaches_all_three(pgp: Worker, mu: float) -> None:
    params = {name: tensor.requires_grad_() for name, tensor in parameters(pgp).items()}
    FedPGP(mu=mu).loss(pgp.model, params, {}, batch_of(pgp))[0].sum().backward()
    assert set(params) == {SHARED, U, V}
    assert all((tensor.grad.abs().flatten(1).amax(1) > 1e-5).all() for tensor in params.values())
