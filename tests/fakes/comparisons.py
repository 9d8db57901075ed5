"""Runs and sweeps on disk for the tests of `raysim compare`. Nothing here was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.fakes import tables as fake_tables

MEASURED = (
    "acc_personal_own",
    "acc_personal_global",
    "acc_shared_own",
    "acc_shared_global",
    "worst_client_accuracy",
    "p10_client_accuracy",
)
OURS, THEIRS = (0.80, 0.82, 0.84), (0.770, 0.785, 0.803)
# differences 0.030, 0.035, 0.037: mean 0.034, deviation 0.0036056; t quantile 0.95 with 2 degrees of freedom
# 2.919986
HALF = 2.919986 * 0.0036056 / 3**0.5


def run(
    folder: Path,
    seed: int,
    value: float,
    *,
    test: float | None = None,
    status: str = "done",
    commit: str = "aaa",
    clients: tuple[int, ...] = (0, 0, 1),
    torch: str = "2.15",
    scenario_label: str = "dirichlet alpha=0.1",
    state: str = "",
    **settings: Any,
) -> Path:
    """A run's folder; all its accuracies are `value`."""
    experiment = {
        "seed": seed,
        "rounds": 10,
        "task": {"dataset": "scenes", "shots": None},
        "training": {"lr": 0.05},
        "scenario": {"name": "dirichlet", "alpha": 0.1},
        "method": {"name": "m"},
        "resources": {"workers": seed + 1},
    }
    for path, changed in settings.items():
        block, _, key = path.partition("__")
        experiment |= {block: {**experiment[block], key: changed}} if key else {block: changed}  # type: ignore[dict-item]
    result = {
        **dict.fromkeys(MEASURED, value),
        "bytes_up": 300,
        "bytes_down": 100,
        "flops": 1e6 * experiment["rounds"],
        "flops_server": 2e6,
        "state_sha256": state,
    }  # type: ignore[operator]
    meta = {
        "id": "x",
        "kind": "run",
        "status": status,
        "label": experiment["method"]["name"],
        "scenario_label": scenario_label,  # type: ignore[index]
        "experiment": experiment,
        "commit": commit,
        "versions": {"torch": torch},
        "result": result if status == "done" else None,
        "test": None if test is None else dict.fromkeys(MEASURED, test),
    }
    fake_tables.write(
        folder / "partition.parquet",
        [{"client": client, "image": image, "label": 0, "domain": 0} for image, client in enumerate(clients)],
    )
    (folder / "run.json").write_text(json.dumps(meta))
    return folder


def runs(folder: Path, values: Sequence[float], first: int = 0, **more: Any) -> str:
    """A folder of runs of one configuration."""
    for seed, value in enumerate(values, first):
        run(folder / f"seed{seed}", seed, value, **more)
    return str(folder)


def trial(
    kind: str, label: str, scenario: str, seeds: Sequence[int], values: Sequence[float], **more: Any
) -> dict[str, Any]:
    """A complete row of the trials table."""
    experiment = {
        "seed": seeds[0],
        "rounds": 10,
        "scenario": {"name": scenario},
        "method": {"name": label.split()[0]},
    }
    opened = {f"test_{name}": [v - 0.1 for v in values] if kind == "confirm" else None for name in MEASURED}
    return {
        "key": f"{kind} {label} {scenario}",
        "trial": 0,
        "number": 0,
        "study": f"{more.get('space', 's')} | {scenario}",
        "method": "m",
        "kind": kind,
        "label": label,
        "scenario": scenario,
        "state": "COMPLETE",
        "seeds": list(seeds),
        "runs": [f"{kind}{label}{scenario}{s}" for s in seeds],
        **{name: list(values) for name in MEASURED},
        **opened,
        "bytes_up": 10,
        "bytes_down": 10,
        "flops": 2.0,
        "experiment": json.dumps(experiment),
        **{k: v for k, v in more.items() if k != "space"},
    }


def sweep(folder: Path, rows: Sequence[dict[str, Any]], status: str = "done") -> str:
    """A sweep's folder that holds these trials."""
    types = {name: pa.list_(pa.float64()) for name in rows[0] if name.startswith("test_")}
    for number, row in enumerate(rows):
        row = {**row, "runs": [f"{folder.name} {run}" for run in row["runs"]]}
        schema = pa.schema([(name, types.get(name) or pa.array([value]).type) for name, value in row.items()])
        fake_tables.write(
            folder / "tables" / "trials" / f"{number}.parquet", [{**row, "trial": number}], schema
        )
    (folder / "run.json").write_text(
        json.dumps({"id": "y", "kind": "sweep", "status": status, "commit": "aaa"})
    )
    return str(folder)


def study(folder: Path) -> str:
    """A study: contrasts and a rival on selection seeds, chosen configurations on fresh ones."""
    return sweep(
        folder,
        [
            trial("contrast", "anchor", "even", (0, 1, 2), OURS),
            trial("rival", "promptfl", "even", (0, 1, 2), THEIRS),
            trial("search", "tpe 0", "even", (0, 1, 2), (0.9, 0.9, 0.9)),
            trial("confirm", "m (tuned)", "even", (1000, 1001, 1002), OURS),
            trial("confirm", "m (untuned)", "even", (1000, 1001), (0.5, 0.6)),
            trial("confirm", "promptfl (untuned)", "even", (1000, 1001, 1002), (0.801, 0.819, 0.8405)),
            trial("confirm", "m (tuned)", "skewed", (1000, 1001, 1002), THEIRS),
            trial("confirm", "promptfl (untuned)", "skewed", (1000, 1001, 1002), OURS),
            trial("confirm", "local (untuned)", "even", (1000, 1001, 1002), (0.1, 0.2, 0.3), state="FAIL"),
        ],
    )
