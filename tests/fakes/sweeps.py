"""A toy space, made-up outcomes of its trials, and plans that are run to their end without Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from raysim.experiment import to_dict
from raysim.search.options import SweepOptions
from raysim.search.plans.protocol import Plan
from raysim.search.spaces.record import Space
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow, complete_row
from tests.experiments import small

SPACE_FILE = "from raysim.experiment import Experiment\ndef base():\n    return Experiment()\n"
TEMPORARY, PERMANENT = "OutOfMemoryError: 3 GB", "diverged: loss is NaN in round 3"  # reasons of failures
ONE_STUDY: dict[str, Any] = {"scenarios": ({"scenario": "even"},), "contrasts": {}, "rivals": {}}


def sample(trial: Any) -> dict[str, Any]:
    return {
        "method.lam": trial.suggest_float("method.lam", 0.005, 0.5, log=True),
        "method.h": trial.suggest_categorical("method.h", [1, 2, 4]),
    }


def wider_sample(trial: Any) -> dict[str, Any]:
    return {
        "method.lam": trial.suggest_float("method.lam", 0.001, 0.9, log=True),
        "method.h": trial.suggest_categorical("method.h", [1, 2, 4, 8]),
    }


def conditional_sample(trial: Any) -> dict[str, Any]:
    chosen = {"method.fusion": trial.suggest_categorical("method.fusion", ["concat", "mix"])}
    if chosen["method.fusion"] == "mix":
        chosen["method.theta"] = trial.suggest_float("method.theta", 0.0, 1.0)
    return chosen


def toy_space(**changes: Any) -> Space:
    fields: dict[str, Any] = {
        "name": "toy",
        "title": "Toy.",
        "base": small(rounds=20, evaluation__every=5),
        "scenarios": ({"scenario": "even"}, {"scenario": "dirichlet", "scenario.alpha": 0.1}),
        "contrasts": {"method.lam": (0.1,), "method.w_dpa": (0.0,)},
        "sample": sample,
        "rivals": {"zeroshot": {"method": "zeroshot"}},
    }
    return Space(**{**fields, **changes})


def toy_options(trials: int | None, **changes: Any) -> SweepOptions:
    """A search of so many trials with one seed, without contrasts."""
    return SweepOptions(**{"trials": trials, "seeds": 1, "contrasts": False, "slots": 2, **changes})


def toy_value(spec: TrialSpec) -> float:
    """A made-up outcome: best at lam = 0.05."""
    lam = to_dict(spec.experiments[0])["method"].get("lam", 0.02)
    return 0.8 - 0.1 * abs(np.log(lam / 0.05))


def toy_row(spec: TrialSpec, state: str = "COMPLETE", **more: Any) -> TrialRow:
    value = toy_value(spec)
    return complete_row(
        {
            "key": spec.key,
            "study": spec.study,
            "scenario": spec.scenario,
            "method": spec.method,
            "factor": spec.factor,
            "state": state,
            "reason": "",
            "outcomes": ["complete"] * len(spec.experiments),
            "objective": value,
            "curve": json.dumps([[5, value - 0.1], [10, value - 0.05], [20, value]]),
            "kind": spec.kind,
            "label": spec.label,
            "params": json.dumps(dict(spec.params)),
            "wall_seconds": 10.0,
            "startup_seconds": 0.0,
            "tuning": spec.tuning,
            "runs": [experiment.id for experiment in spec.experiments],
            "trial": spec.number,
            "space": spec.space,
            "seeds": [experiment.seed for experiment in spec.experiments],
            "bytes_up": to_dict(spec.experiments[0])["method"].get("h", 4) * 100,
            **more,
        }
    )


def ended_row(kind: str, label: str, finished: float, reason: str | None = None, **more: Any) -> TrialRow:
    """A row of the study `toy | even`; with a reason the trial failed."""
    return complete_row(
        {
            "key": f"{kind} {label} {more.get('seeds')}",
            "study": "toy | even",
            "kind": kind,
            "label": label,
            "state": "COMPLETE" if reason is None else "FAIL",
            "reason": reason or "",
            "finished": finished,
            "trial": int(finished),
            "space": "s" if kind == "search" else "",
            "seeds": [0],
            **more,
        }
    )


def run_to_end(plan: Plan, width: int = 2) -> list[TrialSpec]:
    """Run a plan with `width` trials at once, finishing the newest first, and return what was run."""
    done, running = [], []
    while True:
        spec = plan.next()
        if isinstance(spec, TrialSpec) and spec.key in plan.stored:
            plan.tell(spec, plan.stored[spec.key])
            continue
        if isinstance(spec, TrialSpec):
            done.append(spec)
            running.append(spec)
        if len(running) == width or (not isinstance(spec, TrialSpec) and running):
            last = running.pop()
            plan.tell(last, toy_row(last))
        elif spec is None:
            return done


def rows_by_key(plan: Plan) -> dict[str, TrialRow]:
    return {row["key"]: row for row in plan.finished}


def write_space(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)
