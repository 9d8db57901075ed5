"""Checks of a space before anything runs: overrides, levels, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysim.core.errors import UserError
from raysim.search.spaces.checks import check_figures
from raysim.search.spaces.files import load_space
from tests.fakes.sweeps import (
    SPACE_FILE,
    toy_space,
    write_space,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", ["has no function base()"]),
        ("def base(:\n", ["mine.py:1", "SyntaxError"]),
        ("import nothing_like_this\n", ["mine.py:1", "nothing_like_this"]),
        ("def base():\n    return 3\n", ["base() returned int"]),
        (
            SPACE_FILE + "CONTRASTS = {'method.lamb': [1]}\n",
            ["mine.py:4: CONTRASTS['method.lamb']", "did you mean 'method.lam'?"],
        ),
        (
            SPACE_FILE + "CONTRASTS = {\n 'method.s': [1],\n 'method.lam': [-1],\n}\n",
            ["mine.py:6: CONTRASTS['method.lam']", "method.lam = -1"],
        ),
        (
            SPACE_FILE + "SCENARIOS = [\n {},\n {'scenario': 'evn'}]\n",
            ["mine.py:6: SCENARIOS[1]", "did you mean 'even'?"],
        ),
        (SPACE_FILE + "RIVALS = {\n 'x': {'method.h': 0}}\n", ["mine.py:5: RIVALS['x']", "method.h = 0"]),
        (
            SPACE_FILE + "CONTRASTS = {'method.s': [1]}\nINTERACTIONS = [('method.s', 'method.h')]\n",
            ["mine.py:5", "'method.h' is no path of CONTRASTS"],
        ),
        (
            SPACE_FILE + "RIVAL_SPACES = {'x': print}\n",
            ["mine.py:4", "RIVAL_SPACES['x'] is no label of RIVALS"],
        ),
        (SPACE_FILE + "MINUTES = 0\n", ["mine.py:4: MINUTES = 0", "above 0"]),
        (
            SPACE_FILE + "def space(trial):\n    return {\n     'method.h': 4,\n     'method.lam': "
            "trial.suggest_float('method.lam', -2, -1)}\n",
            ["mine.py:7: space(trial)", "method.lam = -"],
        ),
        (
            SPACE_FILE + "def space(trial):\n    lam = trial.suggest_float('method.lam', 2, 1)\n",
            ["mine.py:5", "'method.lam', 2, 1"],
        ),
    ],
)
def test_a_mistake_in_a_space_is_one_message(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        load_space(write_space(tmp_path, text))
    for word in words:
        assert word in str(error.value)


def test_a_level_must_set_its_factor(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not set method\.lam"):
        load_space(write_space(tmp_path, SPACE_FILE + "CONTRASTS = {'method.lam': [{'method.s': 1.0}]}\n"))


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"kind": "difference", "to": "a"}, r"space 'toy': FIGURES\[0\]: the kind 'difference' is unknown"),
        ({"kind": "differences", "to": "c"}, r"to = 'c' is no entry of GRID; these are a, b"),
        ({"kind": "against", "x": ["training.lr"]}, r"x = \['training.lr'\] should be text"),
        (
            {"kind": "cost", "reference": "a", "x": "training.lr"},
            r"x = 'training.lr' should be a list of paths",
        ),
        ({"kind": "against", "x": "training.rate"}, r"x = 'training.rate' is no path"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused_before_the_sweep(
    figure: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_figures(
            toy_space(
                sample=None, contrasts={}, grid={"a": {}, "b": {"method": "promptfl"}}, figures=(figure,)
            )
        )
