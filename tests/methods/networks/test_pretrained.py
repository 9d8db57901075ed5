"""Methods from ImageNet weights: one answer on every engine, image size, pixels, private norms."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from raysim.core.errors import UserError
from raysim.engines.ray_pool import RayPool
from raysim.experiment import Experiment
from raysim.methods.networks.model import NetworkModel
from raysim.nn import efficientnet
from raysim.nn.networks import Network
from raysim.simulation.device import device_of
from raysim.simulation.images import address_of, frozen_of
from raysim.simulation.rounds import Simulation
from tests.experiments import four_clients, small

Run = Callable[..., Simulation]
PoolOf = Callable[[int], RayPool]
installed = pytest.mark.skipif(find_spec(efficientnet.PACKAGE) is None, reason=f"needs {efficientnet.EXTRA}")


def lite(method: str = "fedavg", **changes: Any) -> Experiment:
    """Three clients of few small images that fine-tune EfficientNet-Lite0."""
    settings: dict[str, Any] = {
        "method__network": efficientnet.NAME,
        "method__pretrained": True,
        "method__width": 16,
        "task__shots": 6,
        "task__ses": 2,
        "scenario__clients": 3,
        "training__lr": 0.01,
        "training__batch": 4,
        "rounds": 2,
        "evaluation__every": 2,
    }
    return four_clients(method, **{**settings, **changes})


@installed
@pytest.mark.slow
def test_one_answer_on_both_engines(simulate: Run, pool_of: PoolOf) -> None:
    """Clients alone or in one micro-cohort, serially or by two workers: the same bits."""
    few = {"task__shots": 4, "evaluation__clients": 2}
    experiment = lite("safe", **few)
    expected = simulate(experiment).result()
    alone = lite("safe", **few, training__micro_cohort=1)
    for other in (simulate(alone), simulate(experiment, pool_of(2))):
        result = other.result()
        assert result["state_sha256"] == expected["state_sha256"]
        assert result["acc_personal_own"] == expected["acc_personal_own"]


@installed
@pytest.mark.slow
def test_pretrained_weights_start_better(simulate: Run) -> None:
    """After one round the classes are told apart; from random weights they are not yet."""
    changes = {"rounds": 1, "evaluation__every": 1, "task__shots": 12}
    pretrained, random = (
        simulate(lite(**changes, method__pretrained=value)).result() for value in (True, False)
    )
    assert pretrained["acc_shared_global"] > random["acc_shared_global"]


def test_the_image_size_is_that_of_the_weights_training() -> None:
    cases = {
        224: lite(task__image_size=None),
        96: lite(task__image_size=96),
        None: lite(task__image_size=None, method__pretrained=False),
    }
    for size, experiment in cases.items():
        assert address_of(experiment)[0].image_size == size
    torchvisions = four_clients(
        "fedavg", task__image_size=None, method__network="resnet18", method__pretrained=True
    )
    assert address_of(torchvisions)[0].image_size is None  # as it was: 64
    assert frozen_of(cases[None], device_of(cases[None].resources)).x.shape[2:] == (64, 64, 3)


def model_of(experiment: Experiment) -> NetworkModel:
    frozen = frozen_of(experiment, device_of(experiment.resources))
    model = experiment.method.build(frozen.context)
    assert isinstance(model, NetworkModel)
    return model


@installed
def test_each_architecture_has_its_own_pixels() -> None:
    both = lite(method__network=f"small_resnet+{efficientnet.NAME}", method__pretrained=False)
    model = model_of(both)
    assert model.pixels[efficientnet.NAME] == efficientnet.PIXELS
    assert model.pixels["small_resnet"][0] == (0.485, 0.456, 0.406)
    seen = {}
    for name, module in model.modules.items():
        assert isinstance(module, Network)
        row = {
            k: v for k, v in both.method.init_shared(model, torch.Generator()).items() if k.startswith(name)
        }
        handle = module.backbone.register_forward_pre_hook(
            lambda _, args, name=name: seen.update({name: args[0]})
        )
        both.method.forward(model, row, torch.full((1, 32, 32, 3), 127, dtype=torch.uint8))
        handle.remove()
    assert np.allclose(seen[efficientnet.NAME], 0, atol=1e-6)
    assert not np.allclose(seen["small_resnet"], 0, atol=1e-2)


@installed
def test_private_norms_start_from_the_weights_own() -> None:
    experiment = lite(method__batchnorm="local")
    model = model_of(experiment)
    first = experiment.method.init_private(model, torch.Generator(), 0)
    name = f"{efficientnet.NAME}/backbone.stages.0.1.running_var"
    assert not torch.equal(first[name], torch.ones_like(first[name]))
    assert name not in experiment.method.init_shared(model, torch.Generator())


@installed
def test_frozen_statistics_stay_and_the_rest_is_trained(simulate: Run) -> None:
    run = simulate(lite(method__batchnorm="frozen", rounds=1))
    first = run.experiment.method.init_shared(model_of(run.experiment), torch.Generator())
    changed = {name for name, tensor in run.state.shared.items() if not torch.equal(tensor, first[name])}
    statistics = {name for name in first if "running_" in name}
    assert statistics and not changed & statistics
    assert {name.rpartition(".")[2] for name in changed} >= {"weight", "bias"}
    assert any("bn" in name or ".1.weight" in name for name in changed)  # scale and shift are trained


@installed
def test_frozen_statistics_normalise_a_batch_as_they_do_in_evaluation() -> None:
    experiment = lite(method__batchnorm="frozen")
    model, method = model_of(experiment), experiment.method
    row = method.init_shared(model, torch.Generator())
    x = torch.randint(0, 256, (4, 2, 2, 3), dtype=torch.uint8)
    x = x.repeat_interleave(16, 1).repeat_interleave(16, 2)
    trained = method.forward(model, row, x, rng=torch.Generator())
    assert torch.equal(trained.features, method.forward(model, row, x).features) and trained.features.any()
    own = lite().method.forward(model_of(lite()), row, x, rng=torch.Generator())
    assert not torch.equal(own.features, trained.features)


def test_a_network_from_scratch_has_no_statistics_that_could_stay() -> None:
    with pytest.raises(UserError, match="batchnorm = 'frozen' is not allowed without pretrained"):
        small(method="fedavg", method__batchnorm="frozen")


def test_the_missing_package_is_named_when_the_network_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'.\[imagenet\]'"):
        model_of(lite())


def test_small_networks_have_none() -> None:
    with pytest.raises(
        UserError, match=r"there are no pretrained weights of 'small_resnet'; .*efficientnet_lite0"
    ):
        model_of(small(method="fedavg", method__pretrained=True))
