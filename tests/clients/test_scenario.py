"""Records of scenarios: their fields, names, refusals without data and values out of range."""

from __future__ import annotations

import json

import pytest

from raysim.clients.partition import (
    SCENARIOS,
    Dirichlet,
    Disjoint,
    Domain,
    Even,
    LongTail,
)
from raysim.core.config import parse
from raysim.core.errors import UserError


@pytest.mark.parametrize("name", SCENARIOS)
def test_contract_of_a_record(name: str):
    cls = SCENARIOS[name]
    scenario = parse(cls, {} if cls.given else {"clients": 7}, "scenario")
    assert cls.name == name
    assert scenario.label and "_" not in scenario.label
    requested = json.loads(json.dumps(scenario.requested()))
    assert requested.pop("name") == name
    assert cls.model_validate(requested) == scenario
    for field in cls.model_fields.values():
        assert field.description
        assert field.json_schema_extra["basis"] in ("paper", "relative", "computed", "guess")
    with pytest.raises(UserError, match=r"unknown key 'scenario\.client'; did you mean 'clients'\?"):
        parse(cls, {"client": 3}, "scenario")
    for wrong in (0, 100_001):
        with pytest.raises(UserError, match=rf"scenario\.clients = {wrong}(?: is not allowed|: the clients)"):
            parse(cls, {"clients": wrong}, "scenario")


def test_check_runs_without_data():
    for cls in SCENARIOS.values():
        if cls.given:
            continue
        cls(clients=40).check(1344, 21, 4)
        with pytest.raises(UserError, match=r"scenario\.clients = 41"):
            cls(clients=41).check(40, 21, 4)


@pytest.mark.parametrize(
    ("name", "knob", "value"),
    [("dirichlet", "alpha", 0), ("quantity", "beta", -1), ("long_tail", "profile", "steep")],
)
def test_values_out_of_range(name: str, knob: str, value: object):
    with pytest.raises(UserError, match=rf"scenario\.{knob} = {value!r} is not allowed"):
        parse(SCENARIOS[name], {knob: value}, "scenario")


def test_labels_for_tables():
    assert [SCENARIOS["classes_per_client"](classes=k).label for k in (1, 2)] == [
        "1 class per client",
        "2 classes per client",
    ]
    assert (
        Even().label == "even"
        and Dirichlet(alpha=0.1).label == "dirichlet alpha=0.1"
        and Disjoint().label == "disjoint classes"
    )
    assert LongTail(imbalance=50, profile="step", alpha=None).label == "long tail IR=50 step even"
    assert Domain().label == "domain per client" and Domain(alpha=0.3).label == "domain per client alpha=0.3"
