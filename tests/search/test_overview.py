"""The panel of a sweep: an accuracy says of how many clients it is the mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from raysim.experiment.records import to_dict
from raysim.search import overview
from tests.experiments import small
from tests.fakes.sweeps import toy_space


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ([4.0, 6.0], "50.0 % (10 of 12 clients measured)"),
        ([float("nan"), 5.0], "50.0 % (5 of 6 clients measured)"),  # the first seed was lost
        ([6.0, 6.0], "50.0 %"),
        (None, "50.0 %"),  # the row of a sweep that did not count them
    ],
)
def test_the_best_accuracy_says_how_many_clients_it_holds(
    measured: list[float] | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "status_line", lambda plan: "")
    evaluated = measured and [value and 0 * value + 6 for value in measured]
    best = {"objective": 0.5, "label": "anchor", "clients_measured": measured, "clients_evaluated": evaluated}
    study = SimpleNamespace(name="s", rows=[], best=lambda: best)
    plan = SimpleNamespace(running={}, studies=[study])
    table = overview.panel(cast(Any, plan))
    assert list(table.columns[3].cells) == [shown]


def test_the_record_of_a_space_has_the_base_from_which_commands_of_a_report_start() -> None:
    space = toy_space(fixed={"rounds": 20})
    in_scenario = small(rounds=20, evaluation__every=5, scenario="even")
    study, plan = SimpleNamespace(space=space, base=in_scenario), SimpleNamespace(studies=[])
    record = overview._space_record(cast(Any, plan), cast(Any, study))
    assert (record["base"], record["fixed"]) == (to_dict(space.base), {"rounds": 20})
    assert record["anchor"] == to_dict(in_scenario)
