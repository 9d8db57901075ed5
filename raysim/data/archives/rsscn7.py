"""RSSCN7: 7 classes x 400 images of 400 px from Google Earth, 100 a class at each of four scales.

Reference: Zou, Ni, Zhang and Wang, "Deep learning based feature selection for remote sensing scene
    classification", IEEE GRSL 2015.

The four scales are the domains. The archive does not name them: the running numbers 1-100, 101-200, 201-300
and 301-400 go from the finest to the coarsest ground resolution (as the images show), so the domains are
called "scale 1" (finest) to "scale 4".
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from raysim.core.errors import UserError
from raysim.data.dataset import DatasetInfo
from raysim.data.folder import ClassFolders

CLASSES = (
    "grassland",
    "farmland",
    "industrial area",
    "river or lake",
    "forest",
    "residential area",
    "parking lot",
)
IMAGES_PER_SCALE = 100


class Rsscn7(ClassFolders):
    """Unpacked archive, laid out as `RSSCN7/aGrass/a001.jpg`; the domains are the four scales."""

    domain_kind = "scale"
    info = DatasetInfo(
        name="rsscn7",
        title="RSSCN7",
        counts=dict.fromkeys(CLASSES, 400),
        templates=(
            "a satellite photo of a {}.",
            "an aerial photo of a {}.",
            "a satellite photo of {}.",
            "an aerial photo of {}.",
        ),
        folders={
            "aGrass": "grassland",
            "grass": "grassland",
            "bField": "farmland",
            "field": "farmland",
            "cIndustry": "industrial area",
            "industry": "industrial area",
            "dRiverLake": "river or lake",
            "river_lake": "river or lake",
            "eForest": "forest",
            "fResident": "residential area",
            "resident": "residential area",
            "residential": "residential area",
            "gParking": "parking lot",
            "parking": "parking lot",
        },
        aliases=("RSSCN7-master", "RSSCN7-main"),
        layouts=("RSSCN7", "RSSCN7-master"),
        example="RSSCN7/aGrass/a001.jpg",
        archive="RSSCN7.zip",
        size="about 350 MB",
        page="https://sites.google.com/site/qinzoucn/documents (a copy: "
        "https://huggingface.co/datasets/blanchon/RSSCN7)",
        terms="no licence stated; from Google Earth, for research",
    )

    def _read_domains(self, files: list[Path]) -> tuple[tuple[str, ...], np.ndarray]:
        return tuple(f"scale {k}" for k in range(1, 5)), np.array(
            [_scale(file) for file in files], dtype=np.int64
        )


def _scale(file: Path) -> int:
    """Return the scale, 0 to 3, from the running number at the end of the file's name."""
    number = re.search(r"(\d+)$", file.stem)
    if number is None or not 1 <= int(number[1]) <= 4 * IMAGES_PER_SCALE:
        raise UserError(
            f"RSSCN7: {file} must end in its running number, 001 to 400, which gives its scale; expected "
            "names like a001.jpg"
        )
    return (int(number[1]) - 1) // IMAGES_PER_SCALE
