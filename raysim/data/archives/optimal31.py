"""OPTIMAL-31: 31 classes x 60 images of 256 px from Google Earth.

Reference: Wang, Liu, Chanussot and Li, "Scene classification with recurrent attention of VHR remote sensing
    images", IEEE TGRS 2019.
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
    "parking lot",
    "railway",
    "rectangular farmland",
    "roundabout",
    "runway",
)


class Optimal31(ClassFolders):
    """Unpacked archive, laid out as `OPTIMAL-31/Images/airplane/airplane1.jpg`."""

    info = DatasetInfo(
        name="optimal31",
        title="OPTIMAL-31",
        counts=dict.fromkeys(CLASSES, 60),
        templates=(
            "a satellite photo of a {}.",
            "an aerial photo of a {}.",
            "a satellite photo of {}.",
            "an aerial photo of {}.",
        ),
        aliases=("OPTIMAL-31",),
        layouts=("OPTIMAL-31/Images", "OPTIMAL-31", "Images"),
        example="OPTIMAL-31/Images/airplane/airplane1.jpg",
        archive="OPTIMAL-31.zip",
        size="about 25 MB",
        page="https://crabwq.github.io (copies: "
        "https://drive.google.com/file/d/1Fk9a0DW8UyyQsR8dP2Qdakmr69NVBhq9, and as tables "
        "https://huggingface.co/datasets/jonathan-roberts1/Optimal-31)",
        terms="no licence stated; from Google Earth, for research",
    )
