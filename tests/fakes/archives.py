"""Miniatures of the published archives, with their true folder names and layouts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from PIL import Image

from raysim.data.archives.aid import Aid
from raysim.data.archives.eurosat import EuroSat
from raysim.data.archives.optimal31 import Optimal31
from raysim.data.archives.patternnet import PatternNet
from raysim.data.archives.resisc45 import Resisc45
from raysim.data.archives.rsscn7 import Rsscn7
from raysim.data.archives.ucmerced import UCMerced
from raysim.data.folder import ClassFolders


def names_in(text: str) -> list[str]:
    return text.split()


UCM_FOLDERS = names_in(
    "agricultural airplane baseballdiamond beach buildings chaparral denseresidential forest freeway "
    "golfcourse harbor "
    "intersection mediumresidential mobilehomepark overpass parkinglot river runway sparseresidential "
    "storagetanks "
    "tenniscourt"
)


RESISC_FOLDERS = names_in(
    "airplane airport baseball_diamond basketball_court beach bridge chaparral church circular_farmland "
    "cloud commercial_area "
    "dense_residential desert forest freeway golf_course ground_track_field harbor industrial_area "
    "intersection island lake "
    "meadow medium_residential mobile_home_park mountain overpass palace parking_lot railway railway_station "
    "rectangular_farmland river roundabout runway sea_ice ship snowberg sparse_residential stadium "
    "storage_tank tennis_court "
    "terrace thermal_power_station wetland"
)


NOT_IN_OPTIMAL = names_in(
    "cloud palace railway_station river sea_ice ship snowberg sparse_residential stadium storage_tank "
    "tennis_court terrace "
    "thermal_power_station wetland"
)


PATTERNNET_FOLDERS = names_in(
    "airplane baseball_field basketball_court beach bridge cemetery chaparral christmas_tree_farm "
    "closed_road coastal_mansion "
    "crosswalk dense_residential ferry_terminal football_field forest freeway golf_course harbor "
    "intersection "
    "mobile_home_park nursing_home oil_gas_field oil_well overpass parking_lot parking_space railway "
    "river runway "
    "runway_marking shipping_yard solar_panel sparse_residential storage_tank swimming_pool tennis_court "
    "transformer_station "
    "wastewater_treatment_plant"
)


AID_FOLDERS = names_in(
    "Airport BareLand BaseballField Beach Bridge Center Church Commercial DenseResidential Desert Farmland "
    "Forest Industrial "
    "Meadow MediumResidential Mountain Park Parking Playground Pond Port RailwayStation Resort River "
    "School SparseResidential "
    "Square Stadium StorageTanks Viaduct"
)


EUROSAT_FOLDERS = names_in(
    "AnnualCrop Forest HerbaceousVegetation Highway Industrial Pasture PermanentCrop Residential "
    "River SeaLake"
)


RSSCN7_FOLDERS = names_in("aGrass bField cIndustry dRiverLake eForest fResident gParking")


ARCHIVES = {
    "ucmerced": (UCMerced, "UCMerced_LandUse/Images", UCM_FOLDERS, lambda f, k: f"{f}{k:02d}.tif"),
    "optimal31": (
        Optimal31,
        "OPTIMAL-31/Images",
        [f for f in RESISC_FOLDERS if f not in NOT_IN_OPTIMAL],
        lambda f, k: f"{f}{k + 1}.jpg",
    ),
    "resisc45": (Resisc45, "NWPU-RESISC45", RESISC_FOLDERS, lambda f, k: f"{f}_{k + 1:03d}.jpg"),
    "aid": (Aid, "AID", AID_FOLDERS, lambda f, k: f"{f.lower()}_{k + 1}.jpg"),
    "patternnet": (
        PatternNet,
        "PatternNet/images",
        PATTERNNET_FOLDERS,
        lambda f, k: f"{f.replace('_', '')}{k + 1:03d}.jpg",
    ),
    "eurosat": (EuroSat, "EuroSAT_RGB", EUROSAT_FOLDERS, lambda f, k: f"{f}_{k + 1}.jpg"),
    "eurosat 2750": (EuroSat, "2750", EUROSAT_FOLDERS, lambda f, k: f"{f}_{k + 1}.jpg"),
    "rsscn7": (Rsscn7, "RSSCN7", RSSCN7_FOLDERS, lambda f, k: f"{f[0]}{k * 199 + 2:03d}.jpg"),
}


def paint(file: Path, value: int = 100, size: int = 6) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (value, value // 2, 10)).save(file)


def build(root: Path, key: str, each: int = 2) -> None:
    """A miniature of an archive: `each` images per class; red encodes the place of the folder's name."""
    _, layout, folders, name = ARCHIVES[key]
    for place, folder in enumerate(folders):
        for k in range(each):
            paint(root / layout / folder / name(folder, k), value=5 * place + 10)


def mini(cls: type[ClassFolders], each: int = 2) -> type[ClassFolders]:
    """The same dataset with `each` images in every class."""
    return type(
        "Mini", (cls,), {"info": dataclasses.replace(cls.info, counts=dict.fromkeys(cls.info.counts, each))}
    )
