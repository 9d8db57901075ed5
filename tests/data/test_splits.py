"""Splits: fixed, with exact counts, stratified, and limited shots."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from raysim.data.splits import limit_shots, split


class Labels(Dataset):
    """A dataset of labels only."""

    def __init__(self, labels: list[int], attributes: list[int], name: str = "labels") -> None:
        self.name, self.templates = name, ("{}",)
        self.labels, self.attributes = np.array(labels, dtype=np.int64), np.array(attributes, dtype=np.int64)
        self.classes = tuple(f"class {k}" for k in range(max(labels) + 1))
        self.domains = tuple(f"domain {k}" for k in range(max(attributes) + 1))

    @property
    def fingerprint(self) -> str:
        return "0"

    def image(self, index: int) -> np.ndarray:
        raise NotImplementedError


def test_split_is_frozen() -> None:
    dataset = Labels([0] * 100 + [1] * 25 + [2] * 7, [0] * 40 + [1] * 92)
    assigned = split(dataset, 0)
    assert assigned.dtype == np.int8
    # Changing the split changes every published number: this hash is never to be updated.
    assert hashlib.sha256(assigned.tobytes()).hexdigest()[:16] == "652aca6a16550016"
    assert np.array_equal(assigned, split(dataset, 0))
    assert not np.array_equal(assigned, split(dataset, 1))
    assert not np.array_equal(
        assigned, split(Labels(dataset.labels.tolist(), dataset.attributes.tolist(), "other"), 0)
    )


def test_split_has_exact_counts() -> None:
    dataset = Labels(sorted([0, 1] * 200), [k // 50 % 4 for k in range(400)])
    assigned = split(dataset, 3)
    for label in range(2):
        for domain in range(4):
            cell = assigned[(dataset.labels == label) & (dataset.attributes == domain)]
            assert np.bincount(cell, minlength=3).tolist() == [32, 8, 10]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=120), st.integers(0, 5))
def test_split_keeps_proportions_and_gives_every_class_a_test_image(
    cells: list[tuple[int, int]], seed: int
) -> None:
    dataset = Labels([label for label, _ in cells], [domain for _, domain in cells])
    assigned = split(dataset, seed)
    shares = np.array([0.64, 0.16, 0.20])
    for label in np.unique(dataset.labels):
        of_class = assigned[dataset.labels == label]
        assert (np.abs(np.bincount(of_class, minlength=3) - shares * len(of_class)) < 1).all()
        if len(of_class) >= 3:
            assert (of_class == 2).any()
        for domain in np.unique(dataset.attributes[dataset.labels == label]):
            cell = assigned[(dataset.labels == label) & (dataset.attributes == domain)]
            assert (np.abs(np.bincount(cell, minlength=3) - shares * len(cell)) <= 1 + 1e-9).all()


def test_shots_are_limited_per_class() -> None:
    labels = np.array([0] * 10 + [1] * 2 + [2] * 8)
    train = np.arange(1, 20)
    chosen = limit_shots(train, labels, 4, np.random.default_rng(0))
    assert np.bincount(labels[chosen]).tolist() == [4, 2, 4]
    assert set(chosen) <= set(train) and (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, limit_shots(train, labels, 4, np.random.default_rng(0)))
    assert not np.array_equal(chosen, limit_shots(train, labels, 4, np.random.default_rng(1)))
    with pytest.raises(UserError, match="shots = 0"):
        limit_shots(train, labels, 0, np.random.default_rng(0))
