"""TITLE: images of my own, read by a rule of my own.

    raysim check FILE --path FOLDER                        does it keep the contract?
    raysim data check NAME --path FOLDER --plugin FILE     what is in it
    raysim run task.dataset=NAME task.path=FOLDER --plugin FILE

This one reads a folder of PNG files that are called by class and number, such as forest_001.png. Images in
folders by class need no code: task.dataset=folder task.path=FOLDER.

Shapes: N images of H x W pixels.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path

import numpy as np

from raysim import DATASETS, Dataset, UserError
from raysim.data.files import file_digest, read_image


@DATASETS.add
class CLASS(Dataset):
    """TITLE."""

    name = "NAME"  # the word on the command line: task.dataset=NAME

    def __init__(self, path: str) -> None:
        """List the files; an image is read when it is needed."""
        self.files = sorted(Path(path).glob("*_*.png"))
        if not self.files:
            raise UserError(f"task.path = {path}: there is no file such as forest_001.png")
        words = [file.stem.rpartition("_")[0].replace("_", " ") for file in self.files]
        self.classes = tuple(sorted(set(words)))
        self.templates = ("a satellite photo of a {}.",)  # prompts of zero-shot, {} is the class
        self.domains = ("all",)  # or one per sensor, region ..: scenario=domain uses them
        self.labels = np.array([self.classes.index(word) for word in words], np.int64)  # [N]
        self.attributes = np.zeros(len(words), np.int64)  # the domain of each image, [N]

    @cached_property
    def fingerprint(self) -> str:
        """Return a digest of all images: a result must not stand for images that have changed."""
        total = hashlib.sha256()
        for file in self.files:
            total.update(os.fsencode(file.name))
            total.update(file_digest(file))
        return total.hexdigest()

    def image(self, index: int) -> np.ndarray:
        """Return one image, [H, W, 3] uint8 RGB; it is called from several threads."""
        return read_image(self.files[index])
