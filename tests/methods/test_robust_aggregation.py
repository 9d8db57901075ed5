"""Robust aggregation: two clients on paper, NumPy and SciPy as references, and values that are not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import trim_mean

from raysim.core.types import ServerState, Update
from raysim.methods import METHODS
from raysim.methods.aggregation import ServerOptimiser, robust_updates
from tests.fakes.updates import aggregate, sent

NAN = float("nan")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"aggregation": "mean"}, [3.25, 1.0]),
        ({"aggregation": "median"}, [2.5, 2.0]),  # the middle of two, one vote each
        ({"aggregation": "trimmed", "trim": 0.4}, [2.5, 2.0]),  # floor(0.4 * 2) = 0 are cut
        (
            {"aggregation": "clip", "clip": 1.0},
            [3.25, 0.875],
        ),  # of norms 4 and 3 the median is 3.5: (0, 4) becomes (0, 3.5)
    ],
)
def test_two_clients_on_paper(config: dict[str, Any], expected: list[float]) -> None:
    """The server has (1, 0); client 0 with 1 image sends (1, 4), client 1 with 3 images (4, 0)."""
    found, rejected = aggregate([sent([0, 1], [1, 3], [[1.0, 4.0], [4.0, 0.0]])], [1.0, 0.0], **config)
    assert found == pytest.approx(expected, rel=1e-6) and rejected == 0


@pytest.mark.parametrize("count", [4, 5, 9])
def test_robust_aggregates_are_their_references(count: int) -> None:
    """numpy and scipy; cut into micro-cohorts in any way; each client has its own number of images."""
    rng = np.random.default_rng(count)
    values, images, start = (
        rng.normal(size=(count, 6)).astype(np.float32),
        rng.integers(1, 50, count),
        np.ones(6, np.float32),
    )
    change = values - start
    norms = np.linalg.norm(change, axis=1)
    cut = start + change * np.minimum(1, 0.8 * np.median(norms) / norms)[:, None]
    expected = {
        "median": np.median(values, axis=0),
        "trimmed": trim_mean(values, 0.25, axis=0),
        "clip": np.average(cut, axis=0, weights=images),
    }
    for size in (1, 2, count):
        parts = [slice(first, first + size) for first in range(0, count, size)]
        updates = [
            sent(list(range(count))[part], images[part].tolist(), values[part].tolist()) for part in parts
        ]
        for rule, wanted in expected.items():
            found, _ = aggregate(updates, start.tolist(), aggregation=rule, trim=0.25, clip=0.8)
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", ["median", "trimmed", "clip"])
def test_what_is_not_finite_is_left_out_and_counted(rule: str) -> None:
    good = [[1.0, 5.0], [2.0, 4.0], [3.0, 3.0]]
    bad = sent([3, 4], [100, 100], [[NAN, 0.0], [float("inf"), 1.0]])
    clean, none = aggregate([sent([0, 1, 2], [1, 2, 3], good)], [0.0, 0.0], aggregation=rule)
    mixed, two = aggregate([bad, sent([0, 1, 2], [1, 2, 3], good)], [0.0, 0.0], aggregation=rule)
    assert clean == mixed and (none, two) == (0, 2) and np.isfinite(clean).all()
    assert aggregate([bad], [7.0, 8.0], aggregation=rule) == ([7.0, 8.0], 2)


def test_a_far_client_moves_the_mean_but_not_the_rest() -> None:
    updates = [sent([0, 1, 2, 3, 4], [1] * 5, [[0.9], [1.0], [1.1], [1.2], [-1e6]])]
    assert aggregate(updates, [0.0], aggregation="mean")[0][0] < -1e5
    assert aggregate(updates, [0.0], aggregation="median")[0] == [1.0]
    assert aggregate(updates, [0.0], aggregation="trimmed", trim=0.2)[0] == pytest.approx([1.0], rel=1e-6)
    assert aggregate(updates, [0.0], aggregation="clip")[0] == pytest.approx(
        [(0.9 + 1 + 1.1 + 1.1 - 1.1) / 5], rel=1e-6
    )


def test_architectures_are_clipped_among_themselves() -> None:
    one, other = sent([0], [1], [[3.0]]), sent([1], [1], [[400.0]])
    other = Update(
        **{
            **vars(other),
            "client_tensors": ({"q": other.client_tensors[0]["p"]},),
            "sums": {"q": other.sums["p"]},
        }
    )
    state = ServerState(0, {"p": torch.zeros(1), "q": torch.zeros(1), "r": torch.ones(1)})
    updates, _ = robust_updates(ServerOptimiser(aggregation="clip"), state.shared, [one, other])
    after = METHODS["promptfl"]().aggregate(state, updates)
    assert {name: tensor.item() for name, tensor in after.shared.items()} == {"p": 3.0, "q": 400.0, "r": 1.0}
