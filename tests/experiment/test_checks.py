"""Checks between the groups of an experiment: one message that names setting, value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from raysim.core.errors import UserError
from tests.experiments import small


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "rounds = 0 is not allowed: 'fedrsclip' trains, so at least 1 round is needed"),
        (
            {"task__dataset": "scene_masks"},
            "method = 'fedrsclip' cannot classify the pixels of 'scene_masks'; methods that can: safe, ",
        ),
        (
            {"method": "fedavg", "method__network": "cnn+small_resnet", "scenario__clients": 1},
            r"method.network = 'cnn\+small_resnet' is not allowed: 1 clients cannot be of 2 architectures",
        ),
        (
            {"method": "centralized_network", "method__network": "cnn+small_resnet"},
            "one network in one place cannot be of 2 architectures",
        ),
        ({"method": "ratio_loss", "task__ses": 0}, "task.ses = 0 is not allowed: 'ratio_loss' needs samples"),
        (
            {"scenario__label_noise": 0.1, "task__dataset": "scene_masks", "method": "fedavg"},
            "scenario.label_noise = 0.1 is not allowed: 'scene_masks' has masks for labels; it should be 0",
        ),
        (
            {"evaluation__newcomers": 0.2, "scenario__clients": 1},
            "evaluation.newcomers = 0.2 is not allowed with a single client; it should be 0",
        ),
        (
            {"method": "fedavg", "task__novel": 2},
            "'fedavg' trains a head for the classes it is shown and cannot name others; "
            "methods that can: fedrsclip, .* and any with method.network=image_tower",
        ),
        (
            {"method": "local", "server__aggregation": "clip"},
            "server.aggregation = 'clip' is not allowed: 'local' averages nothing; it should be 'mean'",
        ),
        (
            {"method": "fedcac", "faults__stale": "keep"},
            "faults.stale = 'keep' is not allowed: 'fedcac' reads more than tensors to average",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_groups_that_cannot_work_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        small(**changes)


def test_groups_that_can_work_together_are_accepted() -> None:
    assert small(method="zeroshot", rounds=0).total_rounds == 0
    assert small(method="fedavg", task__novel=2, method__network="image_tower").task.novel == 2
    assert small(method="fedavg", method__network="cnn+small_resnet").method.architectures == (
        "cnn",
        "small_resnet",
    )
    assert small(method="safe", task__ses=None).samples_per_class == 10
    assert small(method="fedavg", task__ses=None).samples_per_class == 0
    assert not small(method="centralized", faults__dropout=0.5).clocked
    assert small(method="promptfl", faults__dropout=0.5).clocked
