"""Importances over the trials of a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import stats as sensitivity
from analysis.figures.choices import (
    importances,
)
from analysis.read.results import open_results
from analysis.stats import Index


@pytest.mark.parametrize(
    ("r2", "reason"), [(0.9, ""), (0.5, "the surrogate's held-out R2 is 0.50, under 0.8")]
)
def test_importances_are_labelled_diagnostics_or_withheld(
    full_sweep: Path, monkeypatch: pytest.MonkeyPatch, r2: float, reason: str
) -> None:
    columns = (
        {"fANOVA": (Index("method.lam", 0.9),), "permutation": (Index("method.lam", 0.7, 0.6, 0.8),)}
        if not reason
        else {}
    )
    made = sensitivity.Importances(columns, r2, 30, {}, {"method.lam": 1.0}, reason)
    monkeypatch.setattr(sensitivity, "importances", lambda *_, **__: made)
    results = open_results(full_sweep)
    found = importances.diagnoses(results)
    shown = importances.exhibit(results, found)
    assert shown is not None and "no verdict" in shown.title
    if reason:
        assert f"withheld, {reason}" in shown.missing
    else:
        assert (
            "diagnostics of an adaptive search" in shown.caption
            and "held-out R2 0.90" in shown.caption
            and shown.panels
            and shown.numbers is not None
        )
    results.meta["status"] = "running"
    assert importances.diagnoses(results) is None
