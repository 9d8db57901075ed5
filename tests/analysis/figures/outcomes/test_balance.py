"""Head, medium and tail classes of a run."""

from __future__ import annotations

import pytest

from analysis.figures.outcomes import balance
from analysis.read.results import Results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import query, with_numbers
from tests.fakes.safe import IMAGES


def test_head_medium_and_tail_of_a_run(safe_run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = with_numbers(balance.exhibit_balance(safe_run, safe_run.rounds()))
    rows = balance.table_balance(safe_run, safe_run.rounds())
    assert [r["images"] for r in rows] == [*IMAGES, None, None, None]
    last = safe_run.rounds()[-1]
    assert rows[-1] == {
        "name": "tail classes",
        "images": None,
        "shared": last["acc_shared_tail"],
        "personal": last["acc_personal_tail"],
    }
    left, right = exhibit.panels[0].figure.axes
    assert left.get_xscale() == "log" and sorted(left.lines[0].get_xdata()) == sorted(IMAGES)
    assert list(right.lines[1].get_ydata()) == [last[f"acc_personal_{g}"] for g in fake_safe.GROUPS]
    found = {r["name"]: r for r in query(exhibit.source, safe_run.folder, monkeypatch)}
    for row in rows:
        assert (
            found[row["name"]]["shared"] == pytest.approx(row["shared"])
            and found[row["name"]]["images"] == row["images"]
        )
