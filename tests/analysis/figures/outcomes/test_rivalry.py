"""The main configuration against its rivals: paired differences, and sentences that follow from them."""

from __future__ import annotations

import pytest

from analysis.figures.outcomes import methods, methods_table, rivalry
from analysis.pages import sweep_page
from analysis.read.metric import Metric
from tests.fakes.trials import SCENARIOS, confirm, sweep_of


def test_methods_are_compared_by_seed_and_named_untuned() -> None:
    results = sweep_of(
        [
            confirm("m (tuned)", "A", [0.80, 0.82, 0.84], [11, 12, 13]),
            confirm("promptfl (untuned)", "A", [0.803, 0.770, 0.785], [13, 11, 12]),  # seeds in another order
            confirm("local (untuned)", "A", [0.80, 0.83, 0.83], [11, 12, 13]),
        ],
        scenarios=SCENARIOS,
    )
    rows = methods.table_methods(results)
    pairs = rivalry.rivalry(results, rows)
    assert {p["label"]: p["interval"].verdict for p in pairs} == {
        "promptfl (untuned)": "helps",
        "local (untuned)": "undecided",
    }
    assert next(p["interval"].mean for p in pairs if p["label"] == "promptfl (untuned)") == pytest.approx(
        (0.03 + 0.035 + 0.037) / 3
    )
    said = rivalry.sentences(pairs, 0.9)
    assert said[0].startswith(
        "Under A, on the clients' own distributions, m (tuned) beats promptfl (untuned) (+3.4 points, 90% "
        "interval +2.8 to +4.0); it is undecided against local (untuned) ("
    )
    lead = rivalry.headline(pairs, 0.9, Metric())
    assert lead.startswith(
        "On fresh seeds and the test split, on the clients' own distributions, m (tuned) is undecided "
        "against local "
        "(untuned) under A (0.0 points, 90% "
    )
    assert lead.endswith(
        "local (untuned) is the strongest of 2 rivals by validation accuracy on these seeds."
    )
    table = methods_table.table_of_methods(results, rows)
    assert table is not None
    assert [line[7].text for line in table.rows] == [
        "0.0 \u00b1 1.7 undecided",
        "reference",
        "\u22123.4 \u00b1 0.6 behind",
    ]
    assert (
        rivalry.opposite(pairs[-1]["interval"]).verdict == "hurts"
        and pairs[-1]["label"] == "promptfl (untuned)"
    )
    trust = " ".join(sweep_page.trust(results, rows, []))
    assert "m (tuned) had a search behind it, local (untuned) and promptfl (untuned) did not" in trust


def test_the_strongest_rival_is_chosen_on_validation_not_on_test() -> None:
    trials = [
        confirm("m (tuned)", "A", [0.80, 0.82, 0.84], [1, 2, 3]),
        confirm("a (untuned)", "A", [0.79, 0.80, 0.84], [1, 2, 3]),
        {**confirm("b (untuned)", "A", [0.70, 0.71, 0.72], [1, 2, 3]), "acc_personal_own": [0.9, 0.9, 0.9]},
    ]
    results = sweep_of(trials, scenarios=SCENARIOS)
    lead = rivalry.headline(rivalry.rivalry(results, methods.table_methods(results)), 0.9, Metric())
    assert "beats b (untuned) under A (+11.0 points, " in lead and lead.endswith(
        "b (untuned) is the strongest of 2 rivals by validation accuracy on these seeds."
    )


def test_where_the_global_split_decides_otherwise_it_is_said() -> None:
    other = [0.90, 0.915, 0.94]
    trials = [
        confirm("m (tuned)", "A", [0.80, 0.82, 0.84], [1, 2, 3]),
        {**confirm("a (untuned)", "A", [0.77, 0.795, 0.81], [1, 2, 3]), "test_acc_personal_global": other},
        confirm("b (untuned)", "A", [0.71, 0.725, 0.74], [1, 2, 3]),
    ]
    results = sweep_of(trials, scenarios=SCENARIOS)
    pairs = rivalry.rivalry(results, methods.table_methods(results))
    assert rivalry.headline(pairs, 0.9, Metric()).startswith(
        "On fresh seeds and the test split, on the clients' own distributions, m (tuned) beats a (untuned) "
        "under A (+2.8 points, 90% "
        "interval +2.3 to +3.3). On the global split it loses to a (untuned) under A "
        "(\u22129.8 points, \u221210.3 to \u22129.3)."
    )
    (said,) = rivalry.sentences(pairs, 0.9)
    assert "beats a (untuned) (" in said and " and b (untuned) (" in said
    assert said.endswith(
        ". On the global split it loses to a (untuned) (\u22129.8 points, \u221210.3 to \u22129.3)."
    )


def test_a_difference_that_does_not_stand_adjusted_is_said_with_may() -> None:
    base, wide = [0.80, 0.82, 0.84], [0.06, -0.07, 0.01]
    trials = [
        confirm("m (tuned)", "A", base, [1, 2, 3]),
        confirm("a (untuned)", "A", [0.79, 0.797, 0.83], [1, 2, 3]),
    ]
    alone = sweep_of(trials, scenarios=SCENARIOS)
    (pair,) = rivalry.rivalry(alone, methods.table_methods(alone))
    assert (
        pair["interval"].verdict == "helps"
        and pair["firm"]
        and "m (tuned) beats a" in rivalry.sentences([pair], 0.9)[0]
    )
    more = [
        confirm(f"{name} (untuned)", "A", [v + w for v, w in zip(base, wide, strict=True)], [1, 2, 3])
        for name in "bcd"
    ]
    results = sweep_of([*trials, *more], scenarios=SCENARIOS)
    rows = methods.table_methods(results)
    (said,) = rivalry.sentences(rivalry.rivalry(results, rows), 0.9)
    assert "m (tuned) may beat a (untuned) (" in said and "it is undecided against b (untuned) (" in said
    table, exhibit = methods_table.table_of_methods(results, rows), methods.exhibit_methods(results, rows)
    assert table is not None and any(line[7].text.endswith("may be behind") for line in table.rows)
    assert (
        "of 8 intervals of 90% shown, 2 exclude zero" in exhibit.caption
        and "none of them stands" in exhibit.caption
    )
    assert "of 8 intervals of 90% shown" in table.caption and "patches" not in exhibit.caption
    for row in rows[:2]:
        row["trial"]["patches"] = 4
    assert f"{rows[0]['label']} works on M = 4 patches." in methods.exhibit_methods(results, rows).caption
