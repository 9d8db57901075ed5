"""The base of all methods: exact numbers on two clients, a method of three hooks, a small contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from raysim.core.config import Config
from raysim.core.types import Batch, ServerState
from raysim.experiment import Experiment
from raysim.methods import METHODS, Method
from raysim.methods.base import cross_entropy
from raysim.methods.diagnosis import Diagnosis
from raysim.simulation.rounds import Simulation
from tests.experiments import small
from tests.fakes.updates import update

HOOKS = {"build", "init_shared", "init_private", "receive", "loss", "finish", "aggregate", "predict"}
RARE_HOOKS = {
    "init_server",
    "server_step",
    "broadcast",
    "adjust",
    "rate_factor",  # weight decay and Adam's moments are the optimiser's: no change of a gradient scales them
    "buffers",
    "server_models",
}
DESCRIPTIONS = {"traits", "diagnosis", "architectures", "architecture"}


def test_two_clients_average_by_their_images() -> None:
    state = METHODS["promptfl"]().aggregate(
        ServerState(0, {"p": torch.zeros(2)}), [update(1, [0.0, 4.0]), update(3, [4.0, 0.0])]
    )
    assert state.round == 1
    assert state.shared["p"].tolist() == [3.0, 1.0]


def test_cross_entropy_counts_real_images_only() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[0, 2, 0] = 100.0
    batch = Batch(torch.zeros(1, 3, 1), torch.tensor([[0, 1, 3]]), torch.tensor([[1.0, 1.0, 0.0]]))
    assert cross_entropy(logits, batch).item() == pytest.approx(np.log(4.0))


def test_the_contract_does_not_grow() -> None:
    """19 public members; one more needs a reason why it is neither a trait nor an answer to the analyst."""
    members = {
        name for name in vars(Method) if not name.startswith(("_", "model_")) and name not in dir(Config)
    }
    assert members == HOOKS | RARE_HOOKS | DESCRIPTIONS
    answers = {name for name in vars(Diagnosis) if not name.startswith("_")}
    assert answers == {"watched", "class_ratios", "observe", "gallery", "failures"}


class LinearProbe(Method):
    """One matrix [d, C] on frozen features: three hooks."""

    name: ClassVar[str] = "linear_probe"

    def init_shared(self, model: Any, rng: torch.Generator) -> Any:
        return {"matrix": torch.zeros(model.backbone.embed_dim, len(model.classes))}

    def loss(self, model: Any, params: Any, received: Any, batch: Batch) -> Any:
        return cross_entropy(10 * batch.x @ params["matrix"], batch), {}

    def predict(self, model: Any, params: Any, x: torch.Tensor, scope: str) -> torch.Tensor:
        return x @ params["matrix"]


def test_a_method_of_three_hooks_trains(
    monkeypatch: pytest.MonkeyPatch, simulate: Callable[[Experiment], Simulation]
) -> None:
    monkeypatch.setitem(METHODS._things, LinearProbe.name, LinearProbe)
    experiment = small(method="linear_probe", rounds=5, evaluation__every=5, training__lr=1.0)
    run = simulate(experiment)
    first, last = run.store.rounds()[0], run.store.rounds()[-1]
    assert last["acc_shared_global"] > first["acc_shared_global"] + 0.2
    assert last["loss"] < run.store.rounds()[1]["loss"]
    assert not run.initial.personal and not any(run.privates.values())
    assert run.totals["bytes_up"] == 5 * 5 * run.state.shared["matrix"].numel() * 4
