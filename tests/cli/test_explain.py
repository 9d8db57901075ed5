"""`raysim explain`: every setting from its declaration; a wrong path is led to the right one."""

from __future__ import annotations

import pytest

from raysim.cli.explain import explained, overview, settings
from raysim.cli.main import main
from raysim.core.errors import UserError
from raysim.experiment import REGISTRIES, Experiment, override


@pytest.mark.parametrize("path", settings())
def test_every_setting_is_explained(path: str) -> None:
    text = explained(path)
    assert text.splitlines()[0] == path and "  default: " in text and "  allowed: " in text
    assert "  default from: " in text and max(map(len, text.splitlines())) <= 100


def test_what_is_said_is_what_is_declared() -> None:
    lam = explained("method.lam")
    assert lam.count("method.lam") == 3, "of FedRSCLIP, FedOTP and FedEMA, which declare it differently"
    assert "of: fedrsclip\n  default: 0.02\n  allowed: a number, at least 0.001, at most 10" in lam
    assert "has an effect with: w_ot above 0" in lam and "default: null" in lam
    assert "of: promptfl_prox" in explained("method.mu") and "one of symmetric, pairs" in explained(
        "scenario.noise_kind"
    )
    assert "has an effect with: a method that trains" in explained("rounds")


@pytest.mark.parametrize(
    "word", [*REGISTRIES, *(name for r in REGISTRIES.values() for name in r), "task", "server"]
)
def test_methods_scenarios_and_groups_are_explained(word: str) -> None:
    assert len(explained(word).splitlines()) >= 2


def test_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert capsys.readouterr().out.strip() == overview()
    assert all(name in overview() for registry in REGISTRIES.values() for name in registry)


def test_an_unknown_word_leads_to_a_known_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "method.lamda"]) == 2
    assert "did you mean 'method.lam'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("scenario.alpha", r"=even has none; dirichlet, long_tail, domain have, for example scenario="),
        ("method.keep_bn", r"unknown path 'method\.keep_bn'"),
        ("method.cro", r"method=fedrsclip has none; safe has, for example method=safe method\.cro=VALUE"),
    ],
)  # fmt: skip
def test_a_path_that_exists_elsewhere_is_led_there(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(Experiment(), {path: 1})
