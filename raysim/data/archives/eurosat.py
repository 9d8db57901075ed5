"""EuroSAT RGB: 10 classes, 27,000 Sentinel-2 images of 64 px, 10 m per pixel, 2,000 to 3,000 a class.

The images are from 34 European countries.

Reference: Helber, Bischke, Dengel and Borth, "EuroSAT: a novel dataset and deep learning benchmark for land
    use and land cover classification", IEEE JSTARS 2019.
"""

from __future__ import annotations

from raysim.data.dataset import DatasetInfo
from raysim.data.folder import ClassFolders

COUNTS = {
    "annual crop land": 3000,
    "forest": 3000,
    "herbaceous vegetation": 3000,
    "highway or road": 2500,
    "industrial buildings": 2500,
    "pasture land": 2000,
    "permanent crop land": 2500,
    "residential buildings": 3000,
    "river": 2500,
    "sea or lake": 3000,
}


class EuroSat(ClassFolders):
    """Unpacked archive, laid out as `EuroSAT_RGB/AnnualCrop/AnnualCrop_1.jpg`; an older one has `2750/`."""

    info = DatasetInfo(
        name="eurosat",
        title="EuroSAT RGB",
        counts=COUNTS,
        templates=(
            "a satellite photo of {}.",
            "a centered satellite photo of {}.",
            "a centered satellite photo of a {}.",
        ),
        folders={
            "AnnualCrop": "annual crop land",
            "Highway": "highway or road",
            "Industrial": "industrial buildings",
            "Pasture": "pasture land",
            "PermanentCrop": "permanent crop land",
            "Residential": "residential buildings",
            "SeaLake": "sea or lake",
        },
        aliases=("EuroSAT_RGB",),
        layouts=("EuroSAT_RGB", "EuroSAT/2750", "2750"),
        example="EuroSAT_RGB/AnnualCrop/AnnualCrop_1.jpg",
        archive="EuroSAT_RGB.zip",
        size="about 95 MB",
        page="https://zenodo.org/records/7711810 (project: https://github.com/phelber/EuroSAT)",
        terms="MIT; contains modified Copernicus Sentinel data",
    )
