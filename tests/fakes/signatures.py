"""A sweep in which failure signatures fired, for the tests of what the report says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analysis.read.results import open_results
from tests.fakes import tables as fake_tables

WATCHED = {
    "semantic_drift": "private prompts leave the shared one",
    "ot_not_converged": "Sinkhorn stops early",
}
TRIALS: list[tuple[str, str, str, str, int]] = [  # kind, method, label, scenario, seeds
    ("contrast", "fedrsclip", "anchor", "even", 2),
    ("contrast", "fedrsclip", "method.lam=0.005", "even", 2),
    ("rival", "fedrsclip", "other", "even", 2),
    ("search", "fedrsclip", "tpe 0", "even", 2),
    ("search", "fedrsclip", "tpe 1", "even", 2),
    ("confirm", "fedrsclip", "fedrsclip (tuned)", "even", 5),
    ("confirm", "fedrsclip", "fedrsclip (tuned)", "skewed", 5),
    ("confirm", "zeroshot", "zeroshot (untuned)", "even", 5),
]
DRIFT = (
    "since round 10 the alignment loss rose from 0.10 to 0.31 while acc_shared_global fell from 0.710 "
    "to 0.630"
)


def signature_sweep(
    folder: Path, fired: list[dict[str, Any]], watched: dict[str, str] | None = WATCHED
) -> Any:
    """A sweep in which these signatures fired; runs are called KIND-LABEL-SCENARIO-SEED."""
    for number, (kind, method, label, scenario, seeds) in enumerate(TRIALS):
        names = [f"{kind}-{label}-{scenario}-{seed}" for seed in range(seeds)]
        row = {
            "trial": number,
            "number": number,
            "study": f"fedrsclip | {scenario}",
            "kind": kind,
            "method": method,
            "label": label,
            "scenario": scenario,
            "state": "COMPLETE",
            "runs": names,
            "seeds": list(range(seeds)),
        }
        fake_tables.write(folder / "tables" / "trials" / f"{number}.parquet", [row])
        for name in names:
            (folder / "runs" / name).mkdir(parents=True)
            own = [row["name"] for row in fired if row["run"] == name]
            told = watched if method != "zeroshot" else {}
            meta = {"kind": "run", "status": "done"} | (
                {} if watched is None else {"signatures": own, "signatures_watched": told}
            )
            (folder / "runs" / name / "run.json").write_text(json.dumps(meta))
    if fired:
        fake_tables.write(folder / "tables" / "signatures" / "0.parquet", fired)
    scenarios = [{"label": "skewed"}, {"label": "even"}]
    (folder / "run.json").write_text(json.dumps({"kind": "sweep", "status": "done", "scenarios": scenarios}))
    return open_results(folder)


def signature_row(
    run: str, name: str = "semantic_drift", value: float = 0.08, limit: float = 0.01, detail: str = DRIFT
) -> dict[str, Any]:
    """A row of the signatures table."""
    return {
        "run": run,
        "round": 30,
        "split": "validation",
        "name": name,
        "value": value,
        "limit": limit,
        "detail": detail,
    }
