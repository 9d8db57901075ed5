"""The client's optimiser beside the classes of `torch.optim`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from raysim.experiment.training import Training
from raysim.simulation.optimiser import Optimiser

Reference = Callable[[list[dict[str, object]], Training], torch.optim.Optimizer]


def of_sgd(groups: list[dict[str, object]], training: Training) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        groups, lr=1.0, momentum=training.momentum, weight_decay=training.weight_decay, fused=True
    )


def of_adam(groups: list[dict[str, object]], training: Training) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=1.0, weight_decay=training.weight_decay)


def leaves(seed: int) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(size, generator=rng).requires_grad_() for size in ((3, 4, 5), (3, 7), (3, 1))]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize(("name", "reference"), [("sgd", of_sgd), ("adam", of_adam)])
def test_equals_the_classes_of_pytorch(
    name: str, reference: Reference, weight_decay: float, momentum: float
) -> None:
    training = Training(optimiser=name, weight_decay=weight_decay, momentum=momentum)  # type: ignore[arg-type]
    ours, theirs = leaves(0), leaves(0)
    still = torch.ones(2, requires_grad=True)
    optimiser = Optimiser(training, [(0.1, [*ours[:2], still]), (0.003, ours[2:])])
    expected = reference([{"params": theirs[:2], "lr": 0.1}, {"params": theirs[2:], "lr": 0.003}], training)
    for step in range(5):
        for rows in (ours, theirs):
            part = 3 - step // 2  # rows at the end of a stack have no more steps
            (sum((row[:part] ** 2).sum() * 3 - row[:part].sum() for row in rows)).backward()  # type: ignore[union-attr]
        optimiser.step()
        expected.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        optimiser.clear()
        expected.zero_grad()
        assert all(row.grad is None for row in ours)
    assert not torch.equal(ours[0], leaves(0)[0])
    assert torch.equal(still, torch.ones(2))  # it had no gradient
