"""The task of an experiment: images, their classes, and the frozen backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import field_validator, model_validator

from raysim.core.config import Config, knob
from raysim.core.types import TaskKind
from raysim.data.reading import Reading, checked_bands, checked_stretch
from raysim.data.registry import DRAWN, is_drawn, segments

SCENES = ("a dataset that raysim draws", lambda task: not DRAWN.isdisjoint(task.dataset.split("+")))
FILES = ("a dataset of image files", lambda task: not all(map(is_drawn, task.dataset.split("+"))))


class Task(Config):
    """Settings of the task: the dataset, its use, and the frozen backbone."""

    dataset: str = knob(
        "scenes",
        "a dataset's name (`raysim data list`), or several joined by '+'",
        basis="guess",
    )
    path: str | None = knob(None, "folder of the dataset; otherwise $RAYSIM_DATA/NAME", basis="guess")
    backbone: str = knob(
        "scenes-clip",
        "CLIP weights: 'scenes-clip' is bundled, 'ViT-B-16/openai' is the paper's",
        basis="paper",
    )
    backbone_path: str | None = knob(None, "a local weight file or folder for the backbone", basis="guess")
    image_size: int | None = knob(
        None,
        "pixels; by default the backbone's, 64 for a network from scratch, 224 for efficientnet_lite0 with "
        "ImageNet weights",
        basis="guess",
        ge=16,
        le=1024,
    )
    shots: int | None = knob(
        None,
        "training images per class over all clients; all by default",
        basis="guess",
        ge=1,
    )
    classes: int | None = knob(
        None,
        "only so many classes, evenly spaced in the dataset's order; all by default",
        basis="guess",
        ge=2,
    )
    novel: int = knob(
        0,
        "so many of the classes are left out of training altogether and evaluated beside the others (base "
        "to novel); 0, or 2 and more",
        basis="guess",
        source="CoCoOp: half of the classes",
        ge=0,
    )
    crop: int | None = knob(
        None,
        "segmentation: pixels a side of the squares that images are cut into before resizing; whole images "
        "by default",
        basis="guess",
        search="{128,256,512}",
        ge=16,
        le=4096,
    )
    ses: int | None = knob(
        None,
        "training images per class that the server keeps for itself (SES); by default 10 where the method "
        "needs them, else 0",
        basis="guess",
        search="{1,2,5,10,20,50}",
        ge=0,
        le=1000,
    )
    ses_imbalance: float = knob(
        1.0,
        "skew of the server's samples: most to fewest per class, falling along a random order of the "
        "classes; 1 = balanced",
        basis="guess",
        search="{1,10}",
        ge=1,
        le=1000,
    )
    views: int = knob(
        1,
        "augmented views cached per image; 1 = the plain image only",
        basis="guess",
        search="{1,4,8}",
        ge=1,
        le=64,
    )
    bands: str | None = knob(
        None,
        "bands of the image files to take, one or three (red, green, blue), counted from 1, such as 4,3,2; "
        "by default those that the file calls so",
        basis="guess",
        used_when=FILES,
        late=True,
    )
    stretch: str | None = knob(
        None,
        "values of the image files that become 0 and 255: p2-p98 (percentiles of each image), minmax, or "
        "0-10000 (the same for all); by default values of 8 bits are kept, others stretched p0.5-p99.5",
        basis="guess",
        used_when=FILES,
        late=True,
    )
    per_cell: int | None = knob(
        None,
        "scenes of each class in each domain that are drawn, for federations of many clients; by default 60, "
        "which is 8,640 scenes in all",
        basis="guess",
        used_when=SCENES,
        late=True,
        ge=1,
        le=100_000,
    )
    split_seed: int = knob(0, "seed of the frozen train / validation / test split", basis="guess", ge=0)

    @property
    def kind(self) -> TaskKind:
        """Whether images or pixels are classified; the dataset decides."""
        return "segmentation" if segments(self.dataset) else "classification"

    @property
    def reading(self) -> Reading:
        """How image files are read."""
        return Reading(self.bands, self.stretch)

    @field_validator("path", "backbone_path")
    @classmethod
    def make_absolute(cls, value: str | None) -> str | None:
        """Make a path absolute, because workers run elsewhere."""
        return None if value is None else str(Path(value).expanduser().absolute())

    @field_validator("bands", mode="before")
    @classmethod
    def check_bands(cls, value: Any) -> str | None:
        """Check the bands, and return them in their one form."""
        return checked_bands(value)

    @field_validator("stretch", mode="before")
    @classmethod
    def check_stretch(cls, value: Any) -> str | None:
        """Check the stretch, and return it in its one form."""
        return checked_stretch(value)

    @model_validator(mode="after")
    def check_novel(self) -> Self:
        """Check that base classes and novel classes are at least two each."""
        if self.novel and self.kind == "segmentation":
            raise ValueError(
                f"novel = {self.novel} is not allowed: '{self.dataset}' classifies pixels; it should be 0"
            )
        if self.novel == 1:
            raise ValueError(
                "novel = 1 is not allowed: a single name is always right; it should be 0, or 2 and more"
            )
        if self.classes is not None and self.novel and self.novel > self.classes - 2:
            raise ValueError(
                f"novel = {self.novel} is not allowed: at least 2 of the {self.classes} classes must be "
                "left to train on"
            )
        return self

    @model_validator(mode="after")
    def check_kind(self) -> Self:
        """Check that the task has no setting of the other kind of task."""
        if self.kind == "segmentation":
            if self.classes is not None:
                raise ValueError(
                    f"classes = {self.classes} is not allowed: '{self.dataset}' classifies pixels, all "
                    "classes are used"
                )
            if self.views > 1:
                raise ValueError(
                    f"views = {self.views} is not allowed: '{self.dataset}' classifies pixels, and views "
                    "would move them"
                )
        elif self.crop is not None:
            raise ValueError(f"crop = {self.crop} is not allowed: '{self.dataset}' classifies whole images")
        return self
