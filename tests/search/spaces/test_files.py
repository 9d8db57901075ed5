"""Space files: loading, overrides of the command line, mistakes with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysim.core.config import parse_assignment
from raysim.core.errors import UserError
from raysim.search.options import SweepOptions
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.spaces.files import load_space, space_names
from tests.fakes.sweeps import (
    SPACE_FILE,
    write_space,
)


@pytest.mark.parametrize("name", space_names())
def test_shipped_spaces_load_and_sample(name: str) -> None:
    loaded = load_space(name)
    assert len(loaded.experiments()) == len(loaded.scenarios)
    assert (loaded.sample is None) == bool(loaded.grid)
    plan = SweepPlan([loaded], SweepOptions(trials=2, seeds=1, minutes=None, contrasts=True, slots=1))
    assert plan.next() is not None


def test_the_command_line_has_the_last_word() -> None:
    loaded = load_space("fedrsclip", {"scenario": "dirichlet", "scenario.alpha": 0.05, "method.lam": 0.1})
    assert list(loaded.experiments()) == ["dirichlet alpha=0.05"]
    assert "method.lam" not in loaded.contrasts


def test_a_list_replaces_the_levels_that_a_recipe_tunes(tmp_path: Path) -> None:
    text = SPACE_FILE + "GRID = {'a': {}}\nTUNE = {'training.lr': [0.1, 0.2]}\n"
    levels = [
        dict(parse_assignment(word) for word in words)
        for words in (["training.lr=[0.001, 0.002, 0.5]"], ["training.lr=0.3"], [])
    ]
    spaces = [load_space(write_space(tmp_path, text), changes) for changes in levels]
    assert [dict(found.tune) for found in spaces] == [
        {"training.lr": (0.001, 0.002, 0.5)},
        {},
        {"training.lr": (0.1, 0.2)},
    ]
    assert [found.base.training.lr for found in spaces] == [0.002, 0.3, 0.002]
    with pytest.raises(UserError, match=r"TUNE\['training\.lr'\]: training\.lr = -1"):
        load_space(write_space(tmp_path, text), {"training.lr": [-1]})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "GRID = [{}]",
            r"mine\.py:4: GRID should be overrides by label, \{label: \{path: value\}\}, it is \[\{\}\]",
        ),
        ("TUNE = {'training.lr': 0.1}", r"TUNE should be lists of levels by path"),
        ("SCENARIOS = ['even']", r"SCENARIOS should be a list of overrides"),
        ("FIGURES = ['cost']", r"FIGURES should be a list of figures"),
        ("SEEDS = 0", r"SEEDS = 0 is not allowed"),
    ],
)
def test_a_declaration_of_the_wrong_shape(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_space(write_space(tmp_path, SPACE_FILE + line + "\n"))


def test_a_mistake_in_the_sampler_names_file_and_line(tmp_path: Path) -> None:
    text = SPACE_FILE + "def space(trial):\n    return {'method.lam': trial.suggest_flot('a', 0, 1)}\n"
    with pytest.raises(UserError, match=r"mine.py:5: AttributeError: .* in: return .*suggest_flot"):
        load_space(write_space(tmp_path, text))
