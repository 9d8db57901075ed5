"""Overrides by dotted path, and errors that name path, value and what is allowed."""

from __future__ import annotations

import pytest

from raysim.core.config import parse_assignment
from raysim.core.errors import UserError
from raysim.experiment import Experiment, difference, override, to_dict


def test_a_kind_keeps_the_number_of_clients_but_not_alpha() -> None:
    first = override(Experiment(), {"scenario": "dirichlet", "scenario.alpha": 0.05, "scenario.clients": 40})
    second = override(first, {"scenario": "long_tail"})
    assert second.scenario.clients == 40
    assert to_dict(second)["scenario"]["alpha"] == 0.5


def test_a_method_keeps_the_hyperparameters_it_shares() -> None:
    base = override(Experiment(), {"method.h": 8, "method.shared_init": "a photo of a"})
    other = override(base, {"method": "promptfl"})
    assert to_dict(other)["method"] == {"name": "promptfl", "h": 8, "shared_init": "a photo of a"}


def test_a_method_does_not_keep_the_defaults_of_another() -> None:
    """Both have a lambda and a limit of iterations; only what was chosen is carried over."""
    fedotp = override(Experiment(), {"method.h": 8, "method": "fedotp"}).method
    assert (fedotp.h, fedotp.lam, fedotp.ot_iterations) == (8, 0.1, 100)
    assert override(Experiment(), {"method.lam": 0.05, "method": "fedotp"}).method.lam == 0.05


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("method.lamb=0.1", ["unknown path 'method.lamb'", "did you mean 'method.lam'?", "method.w_ot"]),
        ("method.lam=-1", ["method.lam = -1", "greater than or equal to 0.001"]),
        ("method.fusion=cat", ["method.fusion = 'cat'", "'concat', 'pair' or 'mix'"]),
        ("scenario=dirichlets", ["unknown scenario 'dirichlets'", "did you mean 'dirichlet'?"]),
        ("method=fedrclip", ["unknown method 'fedrclip'", "did you mean 'fedrsclip'?"]),
        ("method.name=safe2", ["unknown method 'safe2'", "Known:"]),
        ("training=1", ["'training' is a group", "training.lr"]),
        ("rounds=0", ["rounds = 0 is not allowed"]),
        ("participation=0", ["participation = 0", "greater than 0"]),
        ("scenario.clients=0", ["scenario.clients = 0", "greater than or equal to 1"]),
        ("training.lr=abc", ["training.lr = 'abc'", "valid number"]),
        ("method.shared_init=", ["method.shared_init = ''", "'random' or some words"]),
        ("nonsense=1", ["unknown path 'nonsense'", "Known:"]),
    ],
)
def test_a_mistake_is_one_message_that_names_path_value_and_what_is_allowed(
    assignment: str, words: list[str]
) -> None:
    with pytest.raises(UserError) as error:
        override(Experiment(), dict([parse_assignment(assignment)]))
    for word in words:
        assert word in str(error.value)


def test_difference_is_the_way_back() -> None:
    base = Experiment()
    other = override(
        base,
        {
            "method": "promptfl",
            "scenario": "dirichlet",
            "scenario.alpha": 0.05,
            "training.lr": 0.1,
            "seed": 3,
        },
    )
    assert override(base, difference(other, base)) == other
