"""Predictions for a run's validation images, through files, give the run's own validation accuracy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raysim.core.errors import UserError
from raysim.experiment.records import Experiment
from raysim.prediction.model import Model, open_model
from raysim.simulation.datasets import dataset_of
from raysim.simulation.rounds import Simulation
from tests.experiments import four_clients, small

Simulate = Callable[..., Simulation]
FEW = {"task__classes": 3, "scenario__clients": 3, "rounds": 2}
SAFE_ALL = {"method__fau": True, "method__cro": True, "method__ace": True}


def validation_files(simulation: Simulation, folder: Path) -> tuple[list[Path], np.ndarray]:
    """The validation images of a run as PNG files, and their indices."""
    images, dataset = simulation.federation.images, dataset_of(simulation.experiment.task)
    indices = images.indices("validation")
    folder.mkdir()
    files = [folder / f"{place}.png" for place in range(len(indices))]
    for file, index in zip(files, indices, strict=True):
        Image.fromarray(dataset.image(int(index))).save(file)
    return files, indices


def share_right(model: Model, files: list[Path], names: np.ndarray, client: int | None = None) -> float:
    table = model.predict(files, client)
    assert table["file"].to_pylist() == list(map(str, files)) and table["problem"].null_count == len(files)
    return float(np.mean(np.array(table["class"].to_pylist()) == names))


@pytest.mark.parametrize(
    "experiment",
    [
        small(**FEW, participation=0.6),  # some clients train in earlier rounds only, and one may never
        small(**FEW, method__fusion="mix"),
        small(**FEW, method="promptfl_ft", method__epochs_ft=1),
        small(**FEW, method="zeroshot"),
        small(**FEW, method="local"),
        four_clients("fedavg", **FEW, task__ses=None, method__network="small_resnet+cnn"),
        four_clients("fedavg", **FEW, task__ses=None, method__batchnorm="local"),
        four_clients("safe", **FEW, **SAFE_ALL),
    ],
    ids=lambda experiment: experiment.method.name,
)
def test_the_validation_accuracy_comes_back(
    experiment: Experiment, simulate: Simulate, tmp_path: Path
) -> None:
    simulation = simulate(experiment)
    files, indices = validation_files(simulation, tmp_path / "images")
    images, result = simulation.federation.images, simulation.result()
    names = np.array(images.class_names)[images.labels[indices]]
    model = open_model(simulation.store.folder)
    assert model.classes == images.class_names and model.clients == simulation.federation.clients
    architectures: tuple[Any, ...] = (None,)
    if len(experiment.method.architectures) > 1:
        architectures = experiment.method.architectures
        with pytest.raises(UserError, match=r"small_resnet, cnn; name one \(--architecture\)"):
            model.predict(files)
    if result["acc_shared_global"] is None:
        with pytest.raises(UserError, match="the server has no model of its own here; name a client"):
            model.predict(files)
    else:
        shared = [
            np.mean(np.array(model.predict(files, architecture=name)["class"].to_pylist()) == names)
            for name in architectures
        ]
        assert np.mean(shared) == pytest.approx(result["acc_shared_global"], abs=1e-12)
    own = [share_right(model, files, names, client) for client in range(model.clients)]
    assert np.mean(own) == pytest.approx(result["acc_personal_global"], abs=1e-12)
