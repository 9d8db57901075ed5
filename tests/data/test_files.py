"""Image files: every mode becomes RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from raysim.data.files import read_image


def test_images_of_every_mode_become_rgb(tmp_path: Path) -> None:
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8)
    files = {
        "gray": Image.fromarray((ramp * 4).astype(np.uint8)),
        "gray16": Image.fromarray((ramp * 30 + 1000).astype(np.uint16)),
        "float": Image.fromarray((ramp / 64).astype(np.float32)),
        "rgba": Image.fromarray(
            np.dstack([np.full((8, 8, 3), 200), np.where(ramp < 32, 0, 255)]).astype(np.uint8)
        ),
        "palette": Image.fromarray((ramp * 4).astype(np.uint8)).convert("P"),
        "bit": Image.fromarray((ramp * 4).astype(np.uint8)).convert("1"),
    }
    read = {}
    for name, image in files.items():
        image.save(tmp_path / f"{name}.tif")
        read[name] = read_image(tmp_path / f"{name}.tif")
        assert read[name].shape == (8, 8, 3) and read[name].dtype == np.uint8 and read[name].flags.writeable
    assert (read["gray"][..., 0] == ramp * 4).all() and (read["gray"][..., 2] == ramp * 4).all()
    for name in ("gray16", "float"):  # stretched over the whole range, order kept
        assert (
            read[name].min() == 0
            and read[name].max() == 255
            and (np.diff(read[name][..., 1].ravel().astype(int)) >= 0).all()
        )
    assert (read["rgba"][:4] == 0).all() and (read["rgba"][4:] == 200).all()
