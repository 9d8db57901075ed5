"""AID: 30 classes, 10,000 images of 600 px from Google Earth, 220 to 420 a class, 0.5 to 8 m per pixel.

Reference: Xia et al., "AID: a benchmark data set for performance evaluation of aerial scene classification",
    IEEE TGRS 2017.
"""

from __future__ import annotations

from raysim.data.dataset import DatasetInfo
from raysim.data.folder import ClassFolders

COUNTS = {
    "airport": 360,
    "bare land": 310,
    "baseball field": 220,
    "beach": 400,
    "bridge": 360,
    "center": 260,
    "church": 240,
    "commercial area": 350,
    "dense residential": 410,
    "desert": 300,
    "farmland": 370,
    "forest": 250,
    "industrial area": 390,
    "meadow": 280,
    "medium residential": 290,
    "mountain": 340,
    "park": 350,
    "parking lot": 390,
    "playground": 370,
    "pond": 420,
    "port": 380,
    "railway station": 260,
    "resort": 290,
    "river": 410,
    "school": 300,
    "sparse residential": 300,
    "square": 330,
    "stadium": 290,
    "storage tanks": 360,
    "viaduct": 420,
}


class Aid(ClassFolders):
    """Unpacked archive, laid out as `AID/Airport/airport_1.jpg`."""

    info = DatasetInfo(
        name="aid",
        title="AID",
        counts=COUNTS,
        templates=(
            "a satellite photo of a {}.",
            "an aerial photo of a {}.",
            "a satellite photo of {}.",
            "an aerial photo of {}.",
        ),
        folders={"Commercial": "commercial area", "Industrial": "industrial area", "Parking": "parking lot"},
        aliases=("AID_dataset",),
        layouts=("AID", "AID_dataset/AID"),
        example="AID/Airport/airport_1.jpg",
        archive="AID.zip",
        size="about 2.6 GB",
        page="https://captain-whu.github.io/AID/",
        terms="no licence stated; from Google Earth, for research",
    )
