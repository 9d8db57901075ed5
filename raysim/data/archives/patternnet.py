"""PatternNet: 38 classes x 800 images of 256 px from Google Earth and Google Map, 0.06 to 4.7 m per pixel.

The images are from cities of the United States.

Reference: Zhou, Newsam, Li and Shao, "PatternNet: a benchmark dataset for performance evaluation of remote
    sensing image retrieval", ISPRS Journal 2018.
"""

from __future__ import annotations

from raysim.data.dataset import DatasetInfo
from raysim.data.folder import ClassFolders

CLASSES = (
    "airplane",
    "baseball field",
    "basketball court",
    "beach",
    "bridge",
    "cemetery",
    "chaparral",
    "christmas tree farm",
    "closed road",
    "coastal mansion",
    "crosswalk",
    "dense residential",
    "ferry terminal",
    "football field",
    "forest",
    "freeway",
    "golf course",
    "harbor",
    "intersection",
    "mobile home park",
    "nursing home",
    "oil gas field",
    "oil well",
    "overpass",
    "parking lot",
    "parking space",
    "railway",
    "river",
    "runway",
    "runway marking",
    "shipping yard",
    "solar panel",
    "sparse residential",
    "storage tanks",
    "swimming pool",
    "tennis court",
    "transformer station",
    "wastewater treatment plant",
)


class PatternNet(ClassFolders):
    """Unpacked archive, laid out as `PatternNet/images/airplane/airplane001.jpg`."""

    info = DatasetInfo(
        name="patternnet",
        title="PatternNet",
        counts=dict.fromkeys(CLASSES, 800),
        templates=(
            "a satellite photo of a {}.",
            "an aerial photo of a {}.",
            "a satellite photo of {}.",
            "an aerial photo of {}.",
        ),
        folders={"storage_tank": "storage tanks"},
        layouts=("PatternNet/images", "images"),
        example="PatternNet/images/airplane/airplane001.jpg",
        archive="PatternNet.zip",
        size="1.43 GB",
        page="https://sites.google.com/view/zhouwx/dataset (a copy: "
        "https://huggingface.co/datasets/torchgeo/PatternNet)",
        terms="the authors: for research; the imagery is Google's",
    )
