"""Commands that repeat a run or a sweep."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from analysis.pages import commands
from analysis.read.results import Results
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
    script = 'raysim() { printf "%s\\0" "$@"; printf "\\n\\0"; }\n' + commands.commands(results).code
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
        commands.run_command(Results(tmp_path, meta))
        == "raysim run my_space.py --open-test method=m seed=3 method.h=4"
    )
