"""The network in a row that carries more, and CLIP's image tower."""

from __future__ import annotations

import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import MicroCohort
from raysim.methods.networks import scaffold
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import four_clients, small
from tests.fakes.networks import row, toy


def test_names_of_variates_cannot_be_taken_for_the_networks() -> None:
    """A row may carry more than the network; the network must still be found in it."""
    model = toy()
    extended = {
        f"{kind}{name}": tensor
        for kind in ("own/", scaffold.CLIENT_VARIATE, scaffold.GRADIENT_SUM, "")
        for name, tensor in row(1.0, 2.0).items()
    }
    architecture, weights = model.weights(extended)
    assert architecture == "small_resnet" and weights.keys() == {"weight", "bias"}


def test_the_image_tower_stays_as_it_is() -> None:
    """All clients and runs of a process share CLIP's tower: training must not write into its statistics."""
    worker = Worker(
        Federation.of(small(method="fedavg", method__network="image_tower", task__shots=2, task__classes=4))
    )
    visual = worker.frozen.context.backbone.clip.visual
    before = {name: tensor.clone() for name, tensor in visual.state_dict().items()}
    worker.train(worker.initial().state, MicroCohort(0, (0,), (None,)))
    assert any("running_mean" in name for name in before) and not visual.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in visual.state_dict().items())


def test_what_the_image_tower_cannot_do_is_refused() -> None:
    for changes in ({"method__ace": False}, {}):
        with pytest.raises(UserError, match="'image_tower' is not allowed here"):
            Worker(
                Federation.of(four_clients(method__network="image_tower", task__image_size=None, **changes))
            ).initial()
