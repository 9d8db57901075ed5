"""The options: complete help that loads nothing heavy, and a function behind every command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from raysim.cli.main import main
from raysim.cli.options import COMMANDS

HEAVY = {
    "matplotlib",
    "numpy",
    "open_clip",
    "optuna",
    "pandas",
    "PIL",
    "pyarrow",
    "pydantic",
    "ray",
    "rich",
    "scipy",
    "sklearn",
    "timm",
    "torch",
    "torchvision",
}
LIST_NEEDS = {"numpy", "PIL", "pydantic", "rich"}  # what the catalogue of the datasets may load
PROGRAM = """
import sys
from raysim.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *sys.modules)
"""


def loaded(words: list[str]) -> set[str]:
    """The modules that a command has loaded when it is done, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.splitlines()[-1].removeprefix("loaded: ").split())


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in COMMANDS),
        ["run", "--engin", "serial"],
        ["run", "--engine", "cuda"],
        ["compare", "results"],
    ],
    ids=" ".join,
)
def test_help_and_mistyped_options_load_nothing_heavy(words: list[str]) -> None:
    assert not loaded(words) & HEAVY


def test_a_mistyped_command_loads_nothing_heavy() -> None:
    assert not loaded(["rnu"]) & (HEAVY - {"pydantic"})


def test_the_list_of_datasets_loads_no_framework() -> None:
    assert not loaded(["data", "list"]) & (HEAVY - LIST_NEEDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_function_and_a_complete_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(COMMANDS[name].load())
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    printed = capsys.readouterr().out
    assert stopped.value.code == 0 and printed.startswith(f"usage: raysim {name}")
    assert COMMANDS[name].summary in printed and "default: None" not in printed


@pytest.mark.parametrize("name", ["run", "plan"])
def test_help_says_that_an_earlier_run_may_stand_for_a_space(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert "DIR/config.json of an earlier run, or a search space" in " ".join(capsys.readouterr().out.split())
