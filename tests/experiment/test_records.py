"""Experiments as data: the way to plain data and back, identity, and where every default comes from."""

from __future__ import annotations

import pytest

from raysim.core.errors import UserError
from raysim.experiment import REGISTRIES, Experiment, from_dict, override, paths, to_dict
from raysim.methods import METHODS


def test_an_experiment_survives_its_dict() -> None:
    for method in METHODS:
        experiment = override(Experiment(), {"method": method, "scenario": "dirichlet"})
        assert from_dict(to_dict(experiment)) == experiment
        assert from_dict(to_dict(experiment)).id == experiment.id


def test_resources_are_no_part_of_the_identity() -> None:
    experiment = Experiment()
    assert override(experiment, {"resources.workers": 7, "resources.gpus": 0.25}).id == experiment.id
    assert override(experiment, {"seed": 1}).id != experiment.id


def test_contradicting_choices_are_refused() -> None:
    with pytest.raises(UserError, match="h_p = 8 must equal h = 4"):
        override(Experiment(), {"method.dpa_form": "token", "method.h_p": 8})
    with pytest.raises(UserError, match="needs a private prompt"):
        override(Experiment(), {"method.h_p": 0, "method.fusion": "pair"})


def test_every_choice_says_where_its_default_comes_from() -> None:
    for block, registry in REGISTRIES.items():
        for cls in registry.values():
            for name, field in cls.model_fields.items():
                assert field.description, f"{block} {cls.__name__}.{name}"
                assert isinstance(field.json_schema_extra, dict)
                assert field.json_schema_extra["basis"] in ("paper", "relative", "computed", "guess")
    assert "method.lam" in paths(to_dict(Experiment()))


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, "40c092d61c16"),
        ({"scenario": "dirichlet", "scenario.alpha": 0.1}, "23670ff59edd"),
        ({"method": "safe", "scenario": "long_tail"}, "81cbb790dddf"),
        ({"scenario": "quantity", "scenario.clients": 7, "task.shots": 5}, None),
    ],
)
def test_ids_stay_what_they_were(changes: dict[str, object], known: str | None) -> None:
    """Results on disk are found by their id: a new setting enters it only away from its default."""
    experiment = override(Experiment(), changes)
    assert known is None or experiment.id == known
    assert not {"file", "content", "attribute"} & to_dict(experiment)["scenario"].keys()
