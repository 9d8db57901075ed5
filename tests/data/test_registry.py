"""The registry of datasets and its catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.data.features import masks
from raysim.data.registry import (
    DATASETS,
    SEGMENTATION,
    catalogue,
    load_dataset,
)
from raysim.data.scenes import SceneDataset
from tests.fakes.archives import (
    build,
)


def test_catalogue_finds_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "eurosat", "eurosat")
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    found = {info.name: folder for info, folder in catalogue()}
    assert list(found) == list(DATASETS)
    assert found["eurosat"] == (tmp_path / "eurosat/EuroSAT_RGB").resolve()
    assert [name for name, folder in found.items() if folder is not None] == ["eurosat"]


def test_registry_knows_which_classify_pixels() -> None:
    assert {name for name in DATASETS if DATASETS[name].segments} == SEGMENTATION


def test_only_some_datasets_have_masks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'scenes' has no masks"):
        masks(SceneDataset(per_cell=1), image_size=32, cache_dir=tmp_path)
    with pytest.raises(UserError, match="'scenes' has no masks"):
        SceneDataset(per_cell=1).mask(0)
    with pytest.raises(UserError, match=r"task\.crop = 32 is not allowed.*'scenes' has no masks"):
        load_dataset("scenes", crop=32)
    for mixture in ("scenes+scene_masks", "loveda+image_masks"):
        with pytest.raises(UserError, match="cannot be part of a mixture"):
            load_dataset(mixture)


def test_scenes_are_drawn_in_any_number() -> None:
    few = load_dataset("scenes", per_cell=2)
    assert len(few) == 2 * 24 * 6 and len(load_dataset("scenes")) == 60 * 24 * 6
    assert few.fingerprint != load_dataset("scenes", per_cell=3).fingerprint
    assert len(load_dataset("scene_masks", per_cell=1, crop=32)) == 4 * 24 * 6
