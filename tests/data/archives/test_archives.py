"""Published archives: known numbers, their own layouts, and real files where there are any."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.data.archives.aid import Aid
from raysim.data.archives.eurosat import EuroSat
from raysim.data.archives.resisc45 import Resisc45
from raysim.data.archives.rsscn7 import Rsscn7
from raysim.data.archives.ucmerced import UCMerced
from raysim.data.dataset import Dataset, comparable_name
from raysim.data.registry import catalogue, load_dataset
from raysim.data.splits import split
from tests.fakes.archives import (
    ARCHIVES,
    RSSCN7_FOLDERS,
    build,
    mini,
    paint,
)

KNOWN = {  # classes and images, as their papers state them
    "ucmerced": (21, 2_100),
    "optimal31": (31, 1_860),
    "resisc45": (45, 31_500),
    "aid": (30, 10_000),
    "patternnet": (38, 30_400),
    "eurosat": (10, 27_000),
    "rsscn7": (7, 2_800),
}


REAL = pytest.mark.skipif(not os.environ.get("RAYSIM_DATA"), reason="RAYSIM_DATA is not set: no real imagery")


@pytest.mark.parametrize(("name", "classes", "images"), [(name, *numbers) for name, numbers in KNOWN.items()])
def test_known_numbers(name: str, classes: int, images: int) -> None:
    info = next(info for info, _ in catalogue() if info.name == name)
    assert (len(info.classes), info.images) == (classes, images)
    assert info.page and info.archive and info.size and info.terms
    assert all(template.count("{}") == 1 for template in info.templates)
    assert all(words == words.lower().strip() and words.replace(" ", "").isalpha() for words in info.classes)


@pytest.mark.parametrize("key", ARCHIVES)
@pytest.mark.parametrize("home", ["{name}", "."])
def test_own_layout_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, home: str
) -> None:
    cls, layout, folders, _ = ARCHIVES[key]
    build(tmp_path / home.format(name=cls.info.name), key)
    if home == "." and comparable_name(layout.split("/")[0]) not in [
        comparable_name(n) for n in (cls.info.name, *cls.info.aliases)
    ]:
        dataset: Dataset = mini(cls)(str(tmp_path))  # `2750` says nothing of its origin, so it needs the path
    else:
        monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
        dataset = mini(cls)()
    assert dataset.classes == cls.info.classes
    assert np.bincount(dataset.labels).tolist() == [2] * len(folders)
    assert dataset.labels.dtype == np.int64 and (np.diff(dataset.labels) >= 0).all()
    for index in range(len(dataset)):  # the picture is one of the folder that the class words stand for
        folder = folders[round((int(dataset.image(index)[..., 0].mean()) - 10) / 5)]
        assert cls.info.class_of(folder) == dataset.classes[dataset.labels[index]]
        assert dataset.image(index).dtype == np.uint8 and dataset.image(index).shape == (6, 6, 3)


def test_words_of_awkward_folders() -> None:
    words = {
        UCMerced: {
            "denseresidential": "dense residential",
            "storagetanks": "storage tanks",
            "mobilehomepark": "mobile home park",
        },
        Resisc45: {"storage_tank": "storage tanks", "ground_track_field": "ground track field"},
        Aid: {
            "BareLand": "bare land",
            "Parking": "parking lot",
            "StorageTanks": "storage tanks",
            "RailwayStation": "railway station",
        },
        EuroSat: {
            "SeaLake": "sea or lake",
            "Highway": "highway or road",
            "HerbaceousVegetation": "herbaceous vegetation",
        },
        Rsscn7: {
            "aGrass": "grassland",
            "dRiverLake": "river or lake",
            "river_lake": "river or lake",
            "fResident": "residential area",
        },
    }
    for cls, expected in words.items():
        assert {folder: cls.info.class_of(folder) for folder in expected} == expected
        assert cls.info.class_of("nonsense") is None


def test_rsscn7_scales_are_domains(tmp_path: Path) -> None:
    numbers = (1, 100, 101, 200, 201, 300, 301, 400)
    for folder in RSSCN7_FOLDERS:
        for number in numbers:
            paint(tmp_path / folder / f"{folder[0]}{number:03d}.jpg")
    dataset = mini(Rsscn7, each=8)(str(tmp_path))
    assert dataset.domains == ("scale 1", "scale 2", "scale 3", "scale 4")
    assert dataset.attributes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] * 7
    (tmp_path / "aGrass/a400.jpg").rename(tmp_path / "aGrass/a401.jpg")
    with pytest.raises(UserError, match=r"a401\.jpg must end in its running number, 001 to 400"):
        mini(Rsscn7, each=8)(str(tmp_path))


@REAL
@pytest.mark.parametrize(("name", "classes", "each"), [("ucmerced", 21, 100), ("rsscn7", 7, 400)])
def test_real_imagery(name: str, classes: int, each: int) -> None:
    if not any(info.name == name and folder for info, folder in catalogue()):
        pytest.skip(f"{name} is not under RAYSIM_DATA")
    dataset = load_dataset(name)
    assert np.bincount(dataset.labels).tolist() == [each] * classes
    assert dataset.image(0).ndim == 3 and dataset.image(len(dataset) - 1).std() > 0
    assigned = split(dataset, 0)
    assert np.bincount(assigned).tolist() == [
        64 * each // 100 * classes,
        16 * each // 100 * classes,
        20 * each // 100 * classes,
    ]
