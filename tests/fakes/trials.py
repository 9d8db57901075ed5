"""Single trials and sweeps of them, for tests that need a few numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.read.results import Results


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


FACTORS = [
    {"path": f"method.{s}", "symbol": s, "levels": [1, 2, 3], "anchor": 1, "basis": "guess", "doc": ""}
    for s in ("lam", "h", "w")
]


SCENARIOS = [{"label": "A"}, {"label": "B"}]
