"""What a user names, in Python and on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import raysim
from raysim.api.experiments import experiment_of, result_folder
from raysim.cli.main import _parser
from raysim.cli.new import write_new
from raysim.cli.options import COMMANDS
from raysim.core.errors import UserError
from raysim.experiment import to_dict
from raysim.storage.store import Store
from tests.experiments import small


def test_a_tilde_is_the_home_folder_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = result_folder("~/results/run", "run", goes_on=False)
    assert made == tmp_path / "results/run"
    Store(made, small()).open()
    assert raysim.load("~/results/run").out == made
    with pytest.raises(raysim.UserError) as error:
        raysim.compare("~/results/run", "~/results/run:a")
    assert "~" not in str(error.value) and str(made) in str(error.value)
    assert experiment_of("~/results/run", {})[1] == small()
    write_new("space", "mine", tmp_path)
    assert experiment_of("~/mine.py", {})[0] == "mine"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run", []),
        ("sweep", []),
        ("stress", []),
        ("new", ["method", "mine"]),
        ("predict", ["run", "image"]),
        ("export", ["run", "--to", "csv"]),
        ("doctor", []),
    ],
)
def test_a_tilde_behind_an_equals_sign_is_the_home_folder(
    command: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    arguments = _parser(command, COMMANDS[command]).parse_args([*words, "--out=~/there"])
    assert arguments.out == Path("/home/me/there")


@pytest.mark.parametrize("what", ["fedrsclip", "experiment"])
def test_the_order_of_a_users_words_says_nothing(what: str) -> None:
    base = experiment_of("fedrsclip", {})[1] if what == "experiment" else what
    words = [("method.lam", 0.02), ("method", "fedotp"), ("scenario.alpha", 0.05), ("scenario", "dirichlet")]
    there, back = (experiment_of(base, dict(pairs))[1] for pairs in (words, reversed(words)))
    assert there.id == back.id and to_dict(there)["method"]["lam"] == 0.02
    words = [("method.lam", 0.3), ("method", "fedavg")]
    for pairs in (words, words[::-1]):
        with pytest.raises(UserError, match=r"unknown path 'method\.lam'"):
            experiment_of(base, dict(pairs))
