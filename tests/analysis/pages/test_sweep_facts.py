"""Facts on a sweep: progress against the plan."""

from __future__ import annotations

from analysis.pages import sweep_facts
from tests.fakes.trials import contrast, sweep_of


def test_a_search_until_its_time_is_over_has_no_plan_to_count_against() -> None:
    results = sweep_of([], planned={"contrast": 3, "search": None, "confirm": 2}, dropped_contrasts=2)
    assert sweep_facts.progress(results) == "0 trials finished"
    results.trials.append(contrast("A", None, None, [0.5]))
    table = sweep_facts.trial_counts(results)
    assert table.caption == "2 contrasts were left out because the time limit was near."  # type: ignore[union-attr]
