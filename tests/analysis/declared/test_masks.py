"""Masks of a recipe over seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.declared import masks as of_masks
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import drawn


def test_masks_of_a_recipe_over_seeds(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}]).open()
    (pictures, table), said = drawn(results)
    assert len(pictures.panels) == 2
    assert pictures.caption.startswith("safe under imbalance 10, seed 1000, after the last round.")
    steps = (("iou", 0.6, 0.01, 5), ("iou_untrained", 0.3037, 0.02, 3), ("iou_random", 0.2, 0.01, 4))
    mean = {what: np.mean([start + step * (k % n) for k in range(12)]) for what, start, step, n in steps}
    levels = {(row["scenario"], row["label"]): row for row in results.sql(of_masks.LEVELS)}
    assert len(levels) == 4 and levels["imbalance 10", "safe"]["iou"] == pytest.approx(mean["iou"], abs=1e-3)
    gain = 100 * (mean["iou"] - mean["iou_untrained"])
    assert "the trained gate: that of safe is ahead of random masks of equal area (+" in said[0]
    assert f"the untrained gate (+{gain:.1f} points [" in said[0]
    assert table.rows[0][-2].text.startswith(f"+{gain:.1f} [") and table.rows[0][-2].text.endswith("] ahead")


def test_masks_of_a_recipe_without_a_known_foreground(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}], known=False).open()
    (pictures, table), said = drawn(results)
    assert said == [] and "is not known" in table.caption and pictures.panels
    assert [cell.text for cell in table.rows[0][3:]] == [""] * 5
