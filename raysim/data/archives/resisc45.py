"""NWPU-RESISC45: 45 classes x 700 images of 256 px from Google Earth, 0.2 to 30 m per pixel.

Reference: Cheng, Han and Lu, "Remote sensing image scene classification: benchmark and state of the art",
    Proc. IEEE 2017.
"""

from __future__ import annotations

from raysim.data.dataset import DatasetInfo
from raysim.data.folder import ClassFolders

CLASSES = (
    "airplane",
    "airport",
    "baseball diamond",
    "basketball court",
    "beach",
    "bridge",
    "chaparral",
    "church",
    "circular farmland",
    "cloud",
    "commercial area",
    "dense residential",
    "desert",
    "forest",
    "freeway",
    "golf course",
    "ground track field",
    "harbor",
    "industrial area",
    "intersection",
    "island",
    "lake",
    "meadow",
    "medium residential",
    "mobile home park",
    "mountain",
    "overpass",
    "palace",
    "parking lot",
    "railway",
    "railway station",
    "rectangular farmland",
    "river",
    "roundabout",
    "runway",
    "sea ice",
    "ship",
    "snowberg",
    "sparse residential",
    "stadium",
    "storage tanks",
    "tennis court",
    "terrace",
    "thermal power station",
    "wetland",
)


class Resisc45(ClassFolders):
    """Unpacked archive, laid out as `NWPU-RESISC45/airplane/airplane_001.jpg`."""

    info = DatasetInfo(
        name="resisc45",
        title="NWPU-RESISC45",
        counts=dict.fromkeys(CLASSES, 700),
        templates=(
            "a satellite photo of a {}.",
            "an aerial photo of a {}.",
            "a satellite photo of {}.",
            "an aerial photo of {}.",
        ),
        folders={"storage_tank": "storage tanks"},
        aliases=("NWPU-RESISC45", "NWPU"),
        layouts=("NWPU-RESISC45",),
        example="NWPU-RESISC45/airplane/airplane_001.jpg",
        archive="NWPU-RESISC45.zip",
        size="about 430 MB",
        page="https://gcheng-nwpu.github.io (a copy: https://huggingface.co/datasets/torchgeo/resisc45)",
        terms="no licence stated; from Google Earth, for research",
    )
