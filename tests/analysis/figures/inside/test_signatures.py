"""Names of the failure signatures of SAFE."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures.inside import (
    signature_figures,
    signatures,
)
from analysis.look.style import svg
from tests.fakes.signatures import signature_row, signature_sweep


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cr_inverse", "CR favours frequent classes"),
        ("cr_erratic", "CR erratic"),
        ("d_cka_zero", "D_CKA stuck at 0"),
        ("d_cka_one", "D_CKA stuck at 1"),
        ("mask_empty", "Masks all zero"),
        ("mask_full", "Masks all one"),
    ],
)
def test_signatures_of_safe_have_words(tmp_path: Path, name: str, words: str) -> None:
    results = signature_sweep(
        tmp_path,
        [signature_row("confirm-fedrsclip (tuned)-skewed-1", name, 0.9, 0.5, "so it is")],
        {name: "meaning"},
    )
    assert signature_figures.sentences(results) == [
        f"{words} in 1 of 5 runs of fedrsclip (tuned) under skewed: so it is (seed 1)."
    ]
    found = signature_figures.exhibit(results)
    assert found is not None and f">{signatures.words(name)}</text>" in svg(found.panels[0].figure, "x")
