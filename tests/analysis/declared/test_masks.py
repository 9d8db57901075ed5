"""Masks of a recipe over seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.declared import masks as of_masks
from analysis.stats.intervals import t_interval
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import NOISE, SEEDS, drawn, query


def test_masks_of_a_recipe_over_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}]).open()
    _, (pictures, table), said = drawn(results)
    assert len(pictures.panels) == 2 and pictures.caption.startswith(
        "safe under imbalance 10, seed 1000, after the last round."
    )
    steps = (("iou", 0.6, 0.01, 5), ("iou_untrained", 0.3037, 0.02, 3), ("iou_random", 0.2, 0.01, 4))
    mean = {what: np.mean([start + step * (k % n) for k in range(12)]) for what, start, step, n in steps}
    rows = {(r["scenario"], r["label"]): r for r in of_masks.table_masks(results)}
    assert list(rows) == [(f"imbalance {n}", label) for n in (10, 100) for label in ("safe", "without CRO")]
    own = rows["imbalance 10", "safe"]
    assert own["values"]["iou"] == pytest.approx({s: mean["iou"] + NOISE[s] for s in SEEDS})
    gain = t_interval([mean["iou"] - mean["iou_untrained"] + NOISE[s] for s in SEEDS])
    assert gain and gain.low and gain.high
    assert said[0].startswith(
        "Of masks under imbalance 10, those of safe overlap the foreground more than those of the "
        "untrained gate "
        f"(+{100 * gain.mean:.1f} points of IoU, 90% interval +{100 * gain.low:.1f} to "
        f"+{100 * gain.high:.1f}) and overlap the foreground "
        "more than random masks of equal area ("
    )
    found = {(r["scenario"], r["label"]): r for r in query(table.source, tmp_path, monkeypatch)}
    assert found["imbalance 100", "without CRO"]["minus_iou_untrained"] == pytest.approx(gain.mean)
    assert (
        table.rows[0][-2].text == f"+{100 * gain.mean:.1f} \u00b1 {100 * (gain.mean - gain.low):.1f} better *"
    )
    assert "of 8 intervals of 90% shown, 8 exclude zero" in table.caption


def test_masks_of_a_recipe_without_a_known_foreground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}], known=False).open()
    _, (pictures, table), said = drawn(results)
    assert said == [] and "is not known" in table.caption and pictures.panels
    assert [cell.text for cell in table.rows[0][3:]] == ["\u2013"] * 3 + [""] * 2
    assert {tuple(r) for r in query(table.source, tmp_path, monkeypatch)} == {
        ("scenario", "label", "open", "sd_open", "seeds")
    }
