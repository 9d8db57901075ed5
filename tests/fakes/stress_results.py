"""A stress run of one case with known accuracies at three levels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.tables import write

SEEDS = [0, 1, 2]


LEVELS = [("10 %", 10.0), ("20 %", 20.0), ("40 %", 40.0)]


# Mean accuracies at the three levels; seeds spread by a point around them.
MEANS = {
    "fedrsclip": (0.80, 0.62, 0.40),
    "zeroshot": (0.60, 0.60, 0.60),
    "local": (0.70, 0.70, 0.70),
    "fedrsclip, median": (0.80, 0.79, 0.78),
}


SPREAD = {
    "fedrsclip": (-0.01, 0.0, 0.01),
    "fedrsclip, median": (0.0, 0.01, -0.01),
    "zeroshot": (0.0, 0.0, 0.0),
    "local": (0.0, 0.0, 0.0),
}


def folder(
    path: Path,
    keep: Any = lambda label, level: True,
    state: Mapping[tuple[str, str], str] | None = None,
    seeds: Sequence[int] = SEEDS,
    **meta: Any,
) -> Path:
    """Write a run of one case for one space.

    It has the trials that `keep` keeps; `state` gives the reasons of failed ones.
    """
    case = {
        "name": "corrupt_nan",
        "title": "Updates that are not numbers",
        "axis": "corrupt clients",
        "unit": "%",
        "log": False,
        "note": "",
        "skipped": "",
        "levels": [{"label": label, "x": x} for label, x in LEVELS],
        "entries": {"fedrsclip": list(MEANS)},
        "seconds": 100,
        "metrics": {"fedrsclip": dict.fromkeys(MEANS, "acc_personal_own")},
        "not_run": [],
    }
    skipped = {
        **case,
        "name": "mixed",
        "title": "Two datasets",
        "skipped": "there is no second dataset",
        "entries": {},
        "metrics": {},
    }
    path.mkdir(parents=True)
    found = {
        "kind": "stress",
        "status": "done",
        "title": "Where does it break?",
        "space": "fedrsclip",
        "spaces": ["fedrsclip"],
        "confidence": 0.9,
        "margin": 0.05,
        "quick": True,
        "seeds": list(seeds),
        "planned": {"stress": 12},
        "seconds": 60.0,
        "command": "raysim stress fedrsclip --quick",
        "cases": [case, skipped],
        **meta,
    }
    (path / "run.json").write_text(json.dumps(found))
    number = 0
    for i, (level, _) in enumerate(LEVELS):
        for label, means in MEANS.items():
            number += 1
            if not keep(label, level):
                continue
            reason = (state or {}).get((label, level), "")
            row = {
                "trial": number,
                "number": number,
                "study": f"fedrsclip | corrupt_nan | {level}",
                "kind": "stress",
                "label": label,
                "factor": "corrupt_nan",
                "level": level,
                "method": label.split(",")[0],
                "scenario": "dirichlet alpha=0.5",
                "state": "FAIL" if reason else "COMPLETE",
                "reason": reason,
                "seeds": list(seeds),
                "runs": [f"{label}-{level}-{s}" for s in seeds],
                "acc_personal_own": None if reason else [means[i] + s for s in SPREAD[label]],
                "params": "{}",
                "experiment": "{}",
                "wall_seconds": 1.0,
                "rounds": 6,
            }
            write(path / "tables" / "trials" / f"{number}.parquet", [row])
    return path
