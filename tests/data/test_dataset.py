"""Defaults of every dataset."""

from __future__ import annotations

import numpy as np

from raysim.data.dataset import Dataset


class Blank(Dataset):
    """A dataset as other tests make them: without masks."""

    name = "blank"

    @property
    def fingerprint(self) -> str:
        return "0"

    def image(self, index: int) -> np.ndarray:
        raise NotImplementedError


def test_any_dataset_has_the_defaults() -> None:
    assert Blank().segments is False and Blank().foreground(0) is None and Blank().predefined_split(0) is None
