"""What pages share: progress against the plan, and commands that repeat a run or a sweep."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from analysis.pages import shared
from analysis.read.results import Results
from raysim.cli.arguments import one_experiment
from raysim.cli.main import _command, _parser
from raysim.experiment.overrides import override
from raysim.experiment.records import to_dict
from raysim.search.spaces.files import load_space
from tests.fakes.trials import sweep_of


def test_commands_repeat_each_trial_exactly() -> None:
    def experiment(name: str, lam: float) -> str:
        return json.dumps(
            {
                "seed": 1,
                "rounds": 9,
                "task": {"dataset": "it's; $(touch x)", "shots": None},
                "scenario": {"name": "even"},
                "method": {"name": name, "lam": lam, "sizes": [1, 2]},
                "resources": {"workers": 4},
            }
        )

    trials = [
        {
            "trial": 0,
            "kind": "search",
            "label": "a\nb",
            "scenario": "A",
            "rounds": 5,
            "seeds": [3, 4],
            "experiment": experiment("m", 0.5),
        },
        {
            "trial": 1,
            "kind": "confirm",
            "label": "c",
            "scenario": "A",
            "rounds": 5,
            "seeds": [7],
            "experiment": experiment("n", 0.1),
        },
    ]
    results = sweep_of(trials, command="raysim sweep ../spaces/m.py --out x")
    script = 'raysim() { printf "%s\\0" "$@"; printf "\\n\\0"; }\n' + shared.commands(results).code
    ran = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, check=True).stdout
    calls = [call.strip("\0").split("\0") for call in ran.split("\n\0") if call]
    common = {
        "rounds=9",
        "task.dataset=it's; $(touch x)",
        "task.shots=null",
        "method.sizes=[1, 2]",
        "scenario=even",
    }
    assert [set(c) for c in calls] == [
        {"run", "../spaces/m.py", "method=m", "method.lam=0.5", "seed=3", *common},
        {"run", "../spaces/m.py", "method=m", "method.lam=0.5", "seed=4", *common},
        {"run", "../spaces/m.py", "--open-test", "method=n", "method.lam=0.1", "seed=7", *common},
    ]


def test_command_of_a_run_keeps_its_space(tmp_path: Path) -> None:
    meta = {
        "kind": "run",
        "command": "raysim run my_space.py scenario=even",
        "experiment": {"seed": 3, "method": {"name": "m", "h": 4}, "resources": {"workers": 2}},
        "test": {"acc_personal_own": 0.5},
    }
    assert (
        shared.run_command(Results(tmp_path, meta))
        == "raysim run my_space.py --open-test method=m seed=3 method.h=4"
    )


def test_a_value_of_an_option_is_not_taken_for_the_space(tmp_path: Path) -> None:
    meta: dict[str, Any] = {"kind": "run", "experiment": {"method": {"name": "m"}}}
    meta["command"] = "raysim run --out results/x --quiet promptfl rounds=1"
    assert shared.run_command(Results(tmp_path, meta)).startswith("raysim run promptfl ")
    meta = {"kind": "sweep", "space": "safe", "command": "raysim sweep --out results/safe ./spaces/safe.py"}
    trial = {"experiment": json.dumps({"seed": 1}), "seeds": [1], "kind": "search"}
    assert "raysim run ./spaces/safe.py " in shared.trial_command(Results(tmp_path, meta), trial)


def test_the_options_without_a_value_are_those_of_the_commands() -> None:
    flags = {
        option
        for command in ("run", "sweep", "stress")
        for action in _parser(command, _command(command))._actions
        if action.nargs == 0 and action.dest != "help"
        for option in action.option_strings
    }
    assert flags == set(shared.SWITCHES)


CHANGES: list[dict[str, Any]] = [
    {},
    {"rounds": 7, "training.lr": 0.02, "task.path": None},
    {"scenario": "dirichlet", "scenario.alpha": 0.3},
    {"method": "promptfl", "method.h": 2},
]


@pytest.mark.parametrize("fixed", CHANGES, ids=str)
@pytest.mark.parametrize("space", ["fedrsclip", "fedrsclip_rivals", "safe"])
def test_a_command_says_what_differs_from_its_space_and_gives_the_same_experiment(
    space: str, fixed: dict[str, Any]
) -> None:
    loaded = load_space(space, fixed, base_only=True)
    for settings in CHANGES[1:] if space != "safe" else CHANGES[1:3]:
        for scenario, seed in ((loaded.scenarios[0], 5), (loaded.scenarios[-1], 6)):
            made = override(loaded.base, {**scenario, **settings, "seed": seed})
            trial = {
                "study": f"{space} | x", "kind": "confirm", "label": "a", "scenario": "x", "trial": 0,
                "seeds": [seed], "experiment": json.dumps(to_dict(made)),
            }  # fmt: skip
            about = {"space": space, "spaces": [space], "spaces_declared": {space: loaded.record()}}
            command = shared.trial_command(sweep_of([trial], **about), trial)
            said = command.removeprefix(f"for seed in {seed}; do raysim ").removesuffix("; done")
            name, *words = shlex.split(said.replace("$seed", str(seed)))
            arguments = _parser(name, _command(name)).parse_intermixed_args(words)
            assert one_experiment(arguments)[1].id == made.id and arguments.open_test
            assert "faults." not in said and "evaluation." not in said and "server." not in said


def test_a_search_until_its_time_is_over_has_no_plan_to_count_against() -> None:
    results = sweep_of([], planned={"contrast": 3, "search": None, "confirm": 2})
    assert shared.progress(results) == "0 trials finished"
