"""Single trials and sweeps of them, for tests that need a few numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.read.results import Results, open_results
from tests.fakes.tables import trial_type, write


def contrast(
    scenario: str, factor: str | None, level: str | None, values: list[float], **more: Any
) -> dict[str, Any]:
    """A complete contrast trial of method m."""
    return {
        "study": f"m | {scenario}",
        "method": "m",
        "scenario": scenario,
        "kind": "contrast",
        "state": "COMPLETE",
        "factor": factor,
        "level": level,
        "label": "anchor" if factor is None else f"{factor}={level}",
        "seeds": [1, 2, 3][: len(values)],
        "acc_personal_own": values,
        **more,
    }


def confirm(label: str, scenario: str, values: list[float], seeds: list[int]) -> dict[str, Any]:
    """A complete confirm trial."""
    return {
        "study": f"{label.split()[0]} | {scenario}",
        "method": label.split()[0],
        "scenario": scenario,
        "kind": "confirm",
        "state": "COMPLETE",
        "label": label,
        "seeds": seeds,
        "test_acc_personal_own": values,
        "test_acc_personal_global": values,
        "acc_personal_own": values,
        "params": "{}",
        "bytes_up": 10,
        "bytes_down": 10,
        "runs": [f"{label}{s}" for s in seeds],
    }


def sweep_of(trials: list[dict[str, Any]], **meta: Any) -> Results:
    """A sweep that holds these trials."""
    results = Results(Path("nowhere"), {"kind": "sweep", "confidence": 0.9, "space": "m", **meta})
    results.__dict__["trials"] = trials
    return results


def written(folder: Path, trials: list[dict[str, Any]], **meta: Any) -> Results:
    """A sweep folder that holds these trials, numbered in order."""
    about = {"kind": "sweep", "status": "done", "confidence": 0.9, "space": "m", "spaces": ["m"], **meta}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(about))
    for number, trial in enumerate(trials):
        row = {"finished": float(number), "reason": "", **trial, "trial": number, "number": number}
        schema = pa.schema([pa.field(name, trial_type(name)) for name in row])
        write(folder / "tables" / "trials" / f"{number}.parquet", [row], schema)
    return open_results(folder)


FACTORS = [
    {"path": f"method.{s}", "symbol": s, "levels": [1, 2, 3], "anchor": 1, "basis": "guess", "doc": ""}
    for s in ("lam", "h", "w")
]


SCENARIOS = [{"label": "A"}, {"label": "B"}]
