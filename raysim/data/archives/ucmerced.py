"""UC Merced Land Use: 21 classes x 100 aerial images of 256 px, 0.3 m per pixel, cities of the United States.

Reference: Yang and Newsam, "Bag-of-visual-words and spatial extensions for land-use classification", ACM
    SIGSPATIAL 2010.
"""

from __future__ import annotations

from raysim.data.dataset import DatasetInfo
from raysim.data.folder import ClassFolders

CLASSES = (
    "agricultural",
    "airplane",
    "baseball diamond",
    "beach",
    "buildings",
    "chaparral",
    "dense residential",
    "forest",
    "freeway",
    "golf course",
    "harbor",
    "intersection",
    "medium residential",
    "mobile home park",
    "overpass",
    "parking lot",
    "river",
    "runway",
    "sparse residential",
    "storage tanks",
    "tennis court",
)


class UCMerced(ClassFolders):
    """Unpacked archive, laid out as `UCMerced_LandUse/Images/agricultural/agricultural00.tif`."""

    info = DatasetInfo(
        name="ucmerced",
        title="UC Merced Land Use",
        counts=dict.fromkeys(CLASSES, 100),
        templates=(
            "a satellite photo of a {}.",
            "an aerial photo of a {}.",
            "a satellite photo of {}.",
            "an aerial photo of {}.",
        ),
        aliases=("UCMerced_LandUse", "UC_Merced", "UCM"),
        layouts=("UCMerced_LandUse/Images", "Images"),
        example="UCMerced_LandUse/Images/agricultural/agricultural00.tif",
        archive="UCMerced_LandUse.zip",
        size="about 330 MB",
        page="http://weegee.vision.ucmerced.edu/datasets/landuse.html (a copy: "
        "https://huggingface.co/datasets/torchgeo/ucmerced)",
        terms="USGS National Map, public-domain imagery; the authors: for research",
    )
