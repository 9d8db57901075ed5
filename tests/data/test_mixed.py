"""Mixtures of datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.data.archives.rsscn7 import Rsscn7
from raysim.data.archives.ucmerced import UCMerced
from raysim.data.mixed import MixedDataset
from raysim.data.splits import split
from tests.fakes.archives import build, mini
from tests.fakes.datasets import error_of
from tests.fakes.encoders import Noise


def test_mixture_joins_equal_words(tmp_path: Path) -> None:
    build(tmp_path / "a", "ucmerced", each=3)
    build(tmp_path / "b", "rsscn7", each=2)
    first, second = mini(UCMerced, 3)(str(tmp_path / "a")), mini(Rsscn7)(str(tmp_path / "b"))
    mixed = MixedDataset([first, second])
    assert mixed.name == "ucmerced+rsscn7" and mixed.domains == ("ucmerced", "rsscn7")
    assert (
        mixed.classes[:21] == first.classes and len(mixed.classes) == 26
    )  # forest and parking lot are in both
    assert set(mixed.classes) == {*first.classes, *second.classes}
    assert len(mixed) == 63 + 14 and np.bincount(mixed.attributes).tolist() == [63, 14]
    for index in (0, 40, 62, 63, 76, -1):
        part, place = (first, index) if 0 <= index < 63 else (second, index % 77 - 63)
        assert mixed.classes[mixed.labels[index]] == part.classes[part.labels[place]]
        assert np.array_equal(mixed.image(index), part.image(place))
    assert mixed.fingerprint not in (first.fingerprint, second.fingerprint)
    with pytest.raises(UserError, match="each named once"):
        MixedDataset([first, first])
    assert "cannot be part of a mixture" in error_of("ucmerced+folder", str(tmp_path))
    assert "unknown dataset 'nonsense'" in error_of("ucmerced+nonsense")


class Official(Noise):
    """A dataset with an official split: every other image is for testing."""

    name = "official"

    def predefined_split(self, split_seed: int) -> np.ndarray:
        return np.tile(np.array([0, 2], dtype=np.int8), len(self) // 2)


def test_a_split_that_a_part_defines_is_kept() -> None:
    own, other = Official(images=40), Noise(images=24)
    mixed = MixedDataset([own, other])
    assert split(mixed, 0).tolist() == [*own.predefined_split(0), *split(other, 0)]
    another = Noise(images=24)
    another.name = "another"
    usual = MixedDataset([other, another])
    assert usual.predefined_split(0) is None and set(split(usual, 0)) == {0, 1, 2}
