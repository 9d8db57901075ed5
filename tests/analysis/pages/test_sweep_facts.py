"""Facts on a sweep: progress against the plan."""

from __future__ import annotations

from pathlib import Path

from analysis.pages import shared, sweep_facts
from tests.fakes.trials import contrast, sweep_of, written


def test_a_search_until_its_time_is_over_has_no_plan_to_count_against() -> None:
    results = sweep_of([], planned={"contrast": 3, "search": None, "confirm": 2})
    assert shared.progress(results) == "0 trials finished"


def test_what_can_be_trusted_says_how_many_seeds_ran_of_how_many_planned(tmp_path: Path) -> None:
    trials = [contrast("A", None, None, [0.5, 0.6]), contrast("A", "method.lam", "0.1", [0.5, 0.6])]
    meta = {"selection_seeds": [1, 2, 3], "fresh_seeds": [4, 5]}
    first = sweep_facts.trust(written(tmp_path / "a", trials, **meta))[0]
    assert first.startswith("Contrasts ran on 2 of 3 seeds. ") and "onfirm" not in first
    whole = sweep_facts.trust(written(tmp_path / "b", trials, **meta | {"selection_seeds": [1, 2]}))[0]
    assert whole.startswith("Contrasts ran on 2 seeds. ")
    alone = sweep_facts.trust(written(tmp_path / "c", trials[:1], **meta))[0]
    assert alone.startswith("Anchors ran on 2 of 3 seeds. ")
