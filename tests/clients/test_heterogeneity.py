"""Measures of heterogeneity on paper and against SciPy, and the table of all images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from raysim.clients.heterogeneity import heterogeneity, partition_table
from raysim.clients.partition import (
    Dirichlet,
)
from raysim.core.seeds import numpy_rng

UC_MERCED = np.repeat(np.arange(21), 64)


ONE_DOMAIN = np.zeros(len(UC_MERCED), dtype=np.int64)


def rng(seed: int = 0) -> np.random.Generator:
    return numpy_rng(seed, "partition")


def histogram(parts: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(values[part], minlength=values.max() + 1) for part in parts])


@pytest.mark.parametrize("clients", [10, 50])
def test_smaller_alpha_is_more_skew(clients: int):
    js = [
        np.mean([heterogeneity(parts, UC_MERCED, ONE_DOMAIN)["js_divergence"] for parts in draws])
        for draws in (
            [
                Dirichlet(clients=clients, alpha=alpha).assign(UC_MERCED, ONE_DOMAIN, rng(seed))
                for seed in range(5)
            ]
            for alpha in (0.01, 0.1, 1.0, 10.0)
        )
    ]
    assert js[0] > js[1] > js[2] > js[3]
    assert js[0] - js[3] > 0.5


def test_measures_on_paper():
    labels = np.array([0, 0, 1, 1, 1])
    achieved = heterogeneity([np.array([0, 1]), np.array([2, 3])], labels, np.array([5, 7, 5, 7, 7]))
    # JS((1, 0), (1/2, 1/2)) = H(3/4, 1/4) - 1/2 = 0.811278 - 0.5
    assert achieved == {
        "js_divergence": pytest.approx(0.3112781245),
        "js_divergence_weighted": pytest.approx(0.3112781245),
        "domain_js": pytest.approx(0.0, abs=1e-12),
        "effective_classes": pytest.approx(1.0),
        "size_gini": 0.0,
        "imbalance": 1.0,
        "clients": 2,
        "min_size": 2,
        "max_size": 2,
        "dropped_images": 1,
    }
    uneven = heterogeneity([np.array([0]), np.array([1, 2, 3])], labels, labels)
    assert uneven["size_gini"] == pytest.approx(0.25)  # (|1 - 3| + |3 - 1|) / (2 * 2 * 4)
    assert uneven["effective_classes"] == pytest.approx(
        (1 + 3 / 4 ** (1 / 3)) / 2
    )  # exp H(1/3, 2/3) = 3 / 4^(1/3)


def test_js_agrees_with_scipy():
    parts = Dirichlet(clients=30, alpha=0.3).assign(UC_MERCED, ONE_DOMAIN, rng())
    table = histogram(parts, UC_MERCED)
    reference = [jensenshannon(row, table.sum(axis=0), base=2) ** 2 for row in table]
    achieved = heterogeneity(parts, UC_MERCED, ONE_DOMAIN)
    assert achieved["js_divergence"] == pytest.approx(np.mean(reference), rel=1e-9)
    assert achieved["js_divergence_weighted"] == pytest.approx(
        np.average(reference, weights=table.sum(axis=1)), rel=1e-9
    )


def test_partition_table():
    table = partition_table(
        [np.array([2]), np.array([0, 1])], np.array([4, 5, 6]), np.array([0, 1, 0]), np.array([10, 20, 30])
    )
    assert table.to_pydict() == {
        "client": [0, 1, 1],
        "image": [30, 10, 20],
        "label": [6, 4, 5],
        "domain": [0, 0, 1],
    }
    assert [str(column.type) for column in table.columns] == ["int32", "int64", "int16", "int16"]
