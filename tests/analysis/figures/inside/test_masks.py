"""Masks of a gated model: pictures by hand, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import write_report
from analysis.figures.inside import masks
from analysis.look.style import svg
from analysis.read.results import Results, open_results
from analysis.stats.intervals import t_interval
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import query, with_numbers


def test_pictures_of_masks_by_hand() -> None:
    image = np.full((4, 4, 3), 200, np.uint8)
    arrays: dict[str, Any] = {
        "image": image[None],
        "foreground": np.eye(4, dtype=np.uint8)[None],
        "soft": np.array([[[0.0, 0.5], [1.0, 0.2]]]),
        "hard": np.array([[[1, 0], [0, 1]]], np.uint8),
    }
    assert (masks.picture(arrays, 0, "image") == 200).all()
    hard = masks.picture(arrays, 0, "hard")[..., 0]
    assert hard.tolist() == [[200, 200, 44, 44]] * 2 + [[44, 44, 200, 200]] * 2
    assert masks.picture(arrays, 0, "foreground")[..., 0].diagonal().tolist() == [200] * 4
    assert (
        masks.picture(arrays, 0, "soft")[..., 1].tolist() == [[0, 0, 128, 128]] * 2 + [[255, 255, 51, 51]] * 2
    )
    assert (
        masks.enlarged(np.arange(3)[None], 4).tolist() == [[0, 0, 1, 2]] * 4
    )  # as where overlaps are measured
    wide = masks.reduced(np.arange(300 * 300 * 3).reshape(300, 300, 3))
    assert wide.shape == (100, 100, 3) and wide[0, 0, 0] == np.mean(
        [900 * i + 3 * j for i in range(3) for j in range(3)]
    )


def test_masks_of_a_run(safe_run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, pictures, overlap = (with_numbers(e) for e in masks.exhibits_masks(safe_run))
    assert [len(p.figure.axes) for p in pictures.panels] == [
        20,
        20,
    ]  # of twelve images eight, five pictures of each
    first = pictures.panels[0].figure
    assert "airport: IoU 60.0, untrained 30.4, random 20.0" in [t.get_text() for t in first.texts]
    assert '"data:image/png;base64,' in svg(first, "x").replace("\n", "")
    assert len(query(pictures.source, safe_run.folder, monkeypatch)) == 12
    level = t_interval([0.6 + 0.01 * (k % 5) for k in range(12)])
    gain = t_interval([0.2963 + 0.01 * (k % 5) - 0.02 * (k % 3) for k in range(12)])
    assert level and level.low and level.high and gain and gain.low and gain.high
    for words in (
        f"overlaps the foreground by {100 * level.mean:.1f} [{100 * level.low:.1f}, {100 * level.high:.1f}]%",
        f"+{100 * gain.mean:.1f} [+{100 * gain.low:.1f}, +{100 * gain.high:.1f}] points against the "
        "untrained gate",
        "90% intervals over images, of this one model",
    ):
        assert words in overlap.says
    found = query(overlap.source, safe_run.folder, monkeypatch)
    assert np.mean([row["iou"] for row in found]) == pytest.approx(level.mean)
    assert [r["mask_ratio"] for r in query(gate.source, safe_run.folder, monkeypatch)] == [
        r["mask_ratio"] for r in safe_run.sql("FROM rounds WHERE split = 'validation' ORDER BY round")[1:]
    ]


def test_masks_without_a_known_foreground_or_before_the_end(tmp_path: Path) -> None:
    blind = open_results(fake_safe.safe_run(tmp_path / "blind", known=False))
    _, pictures = masks.exhibits_masks(blind)
    assert [len(p.figure.axes) for p in pictures.panels] == [
        16,
        16,
    ] and "the foreground of these images is not known" in pictures.says
    assert (
        "From left to right: the input; the soft" in pictures.caption
        and "intersection over union" not in pictures.caption
    )
    assert pictures.panels[0].figure.texts[0].get_text() == "airport"
    running = open_results(fake_safe.safe_run(tmp_path / "running", ended=False))
    gate, missing = masks.exhibits_masks(running)
    assert gate.panels and missing.missing == "Masks are drawn when the run has ended."


def test_a_damaged_gallery_is_left_out_and_named(tmp_path: Path) -> None:
    folder = fake_safe.safe_run(tmp_path)
    (folder / "gallery.safetensors").write_bytes(b"cut off")
    text = write_report(folder).read_text(encoding="utf-8")
    assert "Masks are drawn when the run has ended." in text
    results = open_results(folder)
    assert results.gallery() is None and results.unreadable[0].startswith("gallery.safetensors (")
