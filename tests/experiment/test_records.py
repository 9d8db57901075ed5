"""Experiments as data: the way to plain data and back, identity, and where every default comes from."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from raysim.core.errors import UserError
from raysim.experiment import REGISTRIES, Experiment, from_dict, override, paths, records, to_dict
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


def test_a_copy_computes_an_id_of_its_own() -> None:
    experiment, same = Experiment(), Experiment()
    expected = experiment.id
    assert experiment == same and hash(experiment) == hash(same), "an id that is known makes no difference"
    assert to_dict(experiment) == to_dict(same) and pickle.loads(pickle.dumps(experiment)).id == expected
    changed = experiment.model_copy(update={"seed": 1})
    assert changed.id == override(same, {"seed": 1}).id != expected
    assert copy.deepcopy(experiment).id == experiment.model_copy(deep=True).id == expected == experiment.id


def test_an_id_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan of a sweep asks for the ids of its trials thousands of times."""
    calls = []
    monkeypatch.setattr(records, "digest", lambda values: calls.append(values) or "0123456789ab")
    experiment = Experiment()
    assert experiment.id == experiment.id == "0123456789ab" and len(calls) == 1


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


def test_ids_of_older_results_stay() -> None:
    """Fields that came later (`late`) are part of an id only where they are set."""
    known: dict[str, dict[str, Any]] = {
        "40c092d61c16": {},
        "b59d463ba5eb": {"method": "safe"},
        "44539b15ec45": {
            "task.dataset": "ucmerced",
            "scenario": "dirichlet",
            "scenario.alpha": 0.1,
            "scenario.clients": 40,
        },
        "fb846e58da1c": {"task.dataset": "folder", "task.path": "/x", "method": "promptfl"},
        "5f34d3791783": {
            "method": "fedavg",
            "task.dataset": "image_masks",
            "task.path": "/y",
            "task.crop": 64,
        },
    }
    assert {override(Experiment(), changes).id: changes for changes in known.values()} == known


def test_bands_and_stretch_are_part_of_an_id_in_one_form() -> None:
    folder = override(Experiment(), {"task.dataset": "folder", "task.path": "/x"})
    bands = [override(folder, {"task.bands": value}).id for value in ("4,3,2", [4, 3, 2], " 4, 3,2 ")]
    stretches = [override(folder, {"task.stretch": value}).id for value in ("p2-p98", "P02-p98.0", "minmax")]
    assert len(set(bands)) == 1 and stretches[0] == stretches[1] != stretches[2]
    assert len({folder.id, bands[0], *stretches}) == 4
    assert override(Experiment(), {"task.bands": "3,2,1"}).id == Experiment().id  # scenes are drawn


def test_the_number_of_drawn_scenes_is_part_of_an_id_where_scenes_are_drawn() -> None:
    plain, more = Experiment(), override(Experiment(), {"task.per_cell": 120})
    assert plain.id != more.id and to_dict(more)["task"]["per_cell"] == 120
    folder = {"task.dataset": "folder", "task.path": "/x"}
    assert override(plain, folder).id == override(plain, {**folder, "task.per_cell": 120}).id


def test_paths_are_those_of_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker and a trial's process stand in other folders than the command."""
    monkeypatch.chdir(tmp_path)
    task = override(Experiment(), {"task.path": "tiles", "task.backbone_path": "../clip.pt"}).task
    assert task.path == str(tmp_path / "tiles")
    assert task.backbone_path == str(tmp_path / "../clip.pt")
