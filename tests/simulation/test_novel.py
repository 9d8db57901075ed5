"""Classes that nobody trains on: the shared model tells their images apart by their names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import (
    MicroCohort,
)
from raysim.experiment import Experiment
from raysim.methods import METHODS
from raysim.methods.prompts.base import PromptMethod, PromptModel
from raysim.simulation.federation import Federation
from raysim.simulation.images import images_of
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker, try_method
from tests.experiments import small, smallest

Run = Callable[..., Simulation]
NAMING = [name for name, cls in METHODS.items() if issubclass(cls, PromptMethod)]


def test_novel_names_never_reach_what_trains(simulate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, set[str]] = {"loss": set(), "receive": set(), "predict": set()}
    for name, found in seen.items():
        plain = getattr(METHODS["fedpgp"], name)

        def spy(
            self: Any, model: PromptModel, *rest: Any, _plain: Any = plain, _found: set[str] = found
        ) -> Any:
            _found |= set(model.context.classes)
            assert len(model.class_tokens) == len(model.zero_shot) == len(model.context.classes)
            return _plain(self, model, *rest)

        monkeypatch.setattr(METHODS["fedpgp"], name, spy)
    experiment = small(method="fedpgp", rounds=1, task__novel=8)
    simulate(experiment)
    base, novel = (set(images_of(experiment, novel=which).class_names) for which in (False, True))
    assert seen["loss"] == seen["receive"] == base and seen["predict"] == base | novel


@pytest.mark.parametrize("name", NAMING)
def test_base_and_novel_images_are_told_apart_among_their_own_names(
    name: str, simulate: Run, tmp_path: Path
) -> None:
    """The reference knows all names at once; what it says of each group of classes alone must agree."""
    experiment = small(method=name, rounds=1, task__classes=6, task__novel=2)
    simulation = simulate(experiment, folder=tmp_path / "run")
    result = simulation.result()
    if name == "local":
        assert [result[f"acc_{part}"] for part in ("base", "novel", "harmonic")] == [None] * 3
        return
    worker = Worker(Federation.of(experiment))
    groups = [images_of(experiment, novel=which) for which in (False, True)]
    everything = worker.method.build(
        replace(worker.frozen.context, classes=groups[0].class_names + groups[1].class_names)
    )
    params = {key: tensor[None] for key, tensor in simulation.state.shared.items()}
    accuracies = []
    for images, columns in zip(groups, (slice(0, 4), slice(4, 6)), strict=True):
        where = images.indices("validation")
        with torch.no_grad():
            logits = worker.method.predict(
                everything, params, torch.from_numpy(np.array(worker.frozen.x[where, 0])), "shared"
            )
        accuracies.append((logits[0][:, columns].argmax(1).numpy() == images.labels[where]).mean())
    assert [result["acc_base"], result["acc_novel"]] == pytest.approx(accuracies)
    assert result["acc_base"] == pytest.approx(result["acc_shared_global"])
    assert result["acc_harmonic"] == pytest.approx(2 / sum(1 / value for value in accuracies))
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert tuple(described["class_names"] + described["novel_class_names"]) == everything.context.classes
    assert {
        row["class_name"] for row in ds.dataset(tmp_path / "run/tables/classes").to_table().to_pylist()
    } == set(groups[0].class_names)


def test_zero_shot_of_novel_classes_is_open_clips() -> None:
    experiment = small(method="zeroshot", task__novel=8)
    worker = Worker(Federation.of(experiment))
    score = worker.evaluate(worker.initial().state, MicroCohort(-1, (), ()), "test")
    novel, context = images_of(experiment, novel=True), worker.frozen.context
    before = context.templates[0].split("{")[0].strip()
    with torch.no_grad():
        text = context.backbone.clip.encode_text(
            context.backbone.tokenize([f"{before} {name}." for name in novel.class_names]), normalize=True
        )
    x = torch.from_numpy(np.array(worker.frozen.x[novel.indices("test"), 0]))
    right = ((x @ text.T).argmax(1).numpy() == novel.labels[novel.indices("test")]).mean()
    assert (
        score is not None and score.novel == pytest.approx(right) and len(x) == (novel.parts == 2).sum() > 500
    )


def test_the_image_tower_names_novel_classes(simulate: Run) -> None:
    result = simulate(
        small(
            method="fedavg",
            method__network="image_tower",
            rounds=1,
            task__classes=6,
            task__novel=3,
            task__shots=2,
        )
    ).result()
    assert 0 < result["acc_novel"] <= 1 and result["acc_base"] == pytest.approx(result["acc_shared_global"])


def refused(**changes: Any) -> Experiment:
    """Checked as far as `raysim run` does before work."""
    experiment = small(**changes)
    Federation.of(experiment)
    try_method(experiment)
    return experiment


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(NAMING)))
def test_a_trained_head_cannot_name_unseen_classes(name: str) -> None:
    with pytest.raises(
        UserError,
        match=f"task.novel = 2 is not allowed: '{name}' trains a head .* methods that can: fedrsclip, "
        "promptfl",
    ):
        smallest(name, task__novel=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task__novel": 1}, "novel = 1 is not allowed: a single name is always right"),
        ({"task__novel": 23}, r"task\.novel = 23 is not allowed: .* of the 24 classes .* at most 22"),
        ({"task__novel": 5, "task__classes": 6}, "novel = 5 is not allowed: at least 2 of the 6 classes"),
        ({"scenario__label_noise": 1.0}, r"scenario\.label_noise = 1\.0 is not allowed"),
        ({"scenario__noise_kind": "pair"}, r"scenario\.noise_kind = 'pair' is not allowed"),
        ({"evaluation__newcomers": 0.95}, r"evaluation\.newcomers = 0\.95 is not allowed"),
        (
            {"evaluation__newcomers": 0.2, "scenario__clients": 1},
            r"evaluation\.newcomers = 0\.2 is not allowed with a single client",
        ),
        (
            {"method": "safe", "task__dataset": "scene_masks", "scenario__label_noise": 0.2},
            r"scenario\.label_noise = 0\.2 .* masks",
        ),
        (
            {"method": "safe", "task__dataset": "scene_masks", "task__novel": 2},
            "novel = 2 is not allowed: 'scene_masks' classifies pixels",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        refused(**changes)
