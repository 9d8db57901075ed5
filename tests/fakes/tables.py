"""Rows of every table of a result folder: plausible shapes, invented numbers. Nothing here was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = (
    "airport",
    "beach",
    "bridge",
    "circular farmland",
    "dense residential",
    "desert",
    "forest",
    "harbour",
    "lake",
    "meadow",
    "mountain",
    "parking lot",
    "river",
    "runway",
    "solar farm",
    "storage tanks",
)


DOMAINS = ("summer", "winter", "infrared", "haze")


SCENARIOS: dict[str, dict[str, Any]] = {
    "even": {"values": {"scenario": "even", "scenario.clients": 12}, "alpha": 100.0, "js": 0.012},
    "dirichlet alpha=0.1": {
        "values": {"scenario": "dirichlet", "scenario.alpha": 0.1, "scenario.clients": 12},
        "alpha": 0.1,
        "js": 0.55,
    },
    "domain per client": {
        "values": {"scenario": "domains", "scenario.clients": 12},
        "alpha": 1.0,
        "js": 0.21,
    },
}


FACTORS: tuple[tuple[str, list[Any], Any, str, str], ...] = (
    ("lam", [0.005, 0.02, 0.05, 0.5], 0.05, "guess", "entropic regularisation of the optimal transport"),
    ("s", [1.0, 4.0, 16.0], 4.0, "guess", "scale of the alignment constraint"),
    ("w_dpa", [0.0, 0.1, 1.0], 0.1, "guess", "weight of the alignment constraint"),
    ("w_ot", [0.0, 0.1, 1.0], 0.1, "guess", "weight of the transport term"),
    ("h", [2, 4, 8], 4, "computed", "length of the shared prompt, tokens"),
    ("h_p", [2, 4, 8], 4, "relative", "length of the private prompt, tokens"),
    ("fusion", ["concat", "pair", "mix"], "concat", "paper", "how the two prompts are combined"),
    ("granularity", ["batch", "patch"], "batch", "guess", "what the transport moves"),
    (
        "marginals",
        ["uniform", "labels", "semi-relaxed"],
        "uniform",
        "relative",
        "marginals of the transport plan",
    ),
)


EFFECTS = {
    ("lam", "0.5"): -0.05,
    ("w_dpa", "0.0"): -0.02,
    ("h_p", "8"): 0.022,
    ("granularity", "patch"): 0.015,
    ("fusion", "mix"): -0.03,
}


METHODS = {"zeroshot": -0.15, "local": -0.08, "promptfl": -0.04, "promptfl_ft": -0.015, "fedrsclip": 0.0}


GRID = ("fedrsclip", "promptfl_ft", "promptfl", "local", "zeroshot")


METRICS = (
    "acc_shared_own",
    "acc_shared_global",
    "acc_personal_own",
    "acc_personal_global",
    "worst_client_accuracy",
)


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    """One Parquet part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(
        name for row in rows for name in row
    )  # of all rows: pyarrow looks at the first alone
    pq.write_table(
        pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=schema), path
    )


def heterogeneity(label: str) -> dict[str, Any]:
    """What a scenario asked for and what came out."""
    js = SCENARIOS[label]["js"]
    achieved = {
        "js_divergence": js,
        "effective_classes": 16 * (1 - js),
        "size_gini": 0.1 + js / 2,
        "clients": 12,
        "min_size": 9,
        "max_size": 90,
    }
    return {"requested": SCENARIOS[label]["values"], "achieved": achieved}


def partition_rows(label: str, rng: np.random.Generator, clients: int = 12) -> list[dict[str, Any]]:
    """Train images of each client."""
    rows: list[dict[str, Any]] = []
    for client in range(clients):
        mix = rng.dirichlet(np.full(len(CLASSES), SCENARIOS[label]["alpha"]))
        for class_, count in enumerate(rng.multinomial(60, mix)):
            domain = (
                client % len(DOMAINS) if label == "domain per client" else int(rng.integers(len(DOMAINS)))
            )
            rows += [
                {"client": client, "image": len(rows) + i, "label": class_, "domain": domain}
                for i in range(count)
            ]
    return rows


def round_rows(
    run: str, method: str, final: float, rounds: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """A plausible learning curve that ends at `final`."""
    last = 0 if method == "zeroshot" else rounds
    rows = []
    for number in range(last + 1):
        value = final if last == 0 else final - 0.25 * np.exp(-4 * number / last) + rng.normal(0, 0.004)
        evaluated = number % 2 == 0 or number == last
        row: dict[str, Any] = {
            "run": run,
            "round": number,
            "split": "validation",
            "clients": 12,
            "loss": 2.0 - value,
            "loss_ce": 1.6 - value,
            **{key: (value - 0.02 * i if evaluated else None) for i, key in enumerate(reversed(METRICS[:4]))},
            "worst_client_accuracy": value - 0.2 if evaluated else None,
            "p10_client_accuracy": value - 0.12 if evaluated else None,
            "bytes_up": sent(method) * 12 if number else 0,
            "bytes_down": sent(method) * 12 if number else 0,
            "flops": 1e9,
            "seconds": 0.2,
        }
        if method == "fedrsclip":
            row |= {
                "loss_dpa": 0.3 / (number + 1),
                "loss_ot": 0.1 + 0.05 / (number + 1),
                "ot_marginal_error": 1e-5,
                "flops_ot": 2e6,
                "ot_unconverged": 0.02,
                "ot_iterations": 180.0,
                "alignment_loss": 0.1 + 0.01 * number if evaluated else None,
                "private_shift": 0.4 if evaluated else None,
            }
        rows.append(row)
    return rows


def sent(method: str) -> int:
    """Bytes per client, round and direction."""
    return {"zeroshot": 0, "local": 0, "fedavg": 4_000_000}.get(method, 1024)


def experiment_of(method: str, label: str, params: dict[str, Any], seed: int, rounds: int) -> dict[str, Any]:
    """A nested experiment, as raysim writes it."""
    knobs = {name: anchor for name, _, anchor, _, _ in FACTORS} if method == "fedrsclip" else {"h": 4}
    knobs |= {path.removeprefix("method."): value for path, value in params.items()}
    scenario = {"name": SCENARIOS[label]["values"]["scenario"]}
    scenario |= {
        key.removeprefix("scenario."): value
        for key, value in SCENARIOS[label]["values"].items()
        if key != "scenario"
    }
    return {
        "seed": seed,
        "rounds": rounds,
        "cohort": 1.0,
        "task": {"dataset": "scenes", "backbone": "scenes-clip", "shots": None},
        "scenario": scenario,
        "method": {"name": method, **knobs},
        "resources": {"workers": 2},
    }


def trial_type(column: str) -> pa.DataType:
    """The type of a column of the trials table."""
    if column in {"trial", "number", "rounds"}:
        return pa.int32()
    if column in {"bytes_up", "bytes_down", "bytes_setup", "shared_parameters"}:
        return pa.int64()
    if column in {"objective", "flops", "seconds", "wall_seconds", "finished"}:
        return pa.float64()
    if column == "seeds":
        return pa.list_(pa.int64())
    if column in {"runs", "outcomes"}:
        return pa.list_(pa.string())
    return pa.list_(pa.float64()) if column.startswith(("acc_", "worst_", "test_")) else pa.string()


def signature(run: str, rounds: int) -> dict[str, Any]:
    """A failure signature that fired in a run."""
    return {
        "run": run,
        "round": rounds,
        "split": "validation",
        "name": "semantic_drift",
        "value": 0.08,
        "limit": 0.01,
        "detail": "since round 2 the alignment loss rose from 0.1 to 0.31 while acc_shared_global fell "
        "from 0.71 to 0.63",
    }


def client_rows(
    run: str, rounds: int, clients: int, rng: np.random.Generator, split: str = "validation"
) -> list[dict[str, Any]]:
    """Accuracies of each client at the last round."""
    rows = []
    for client in range(clients):
        own = float(np.clip(rng.normal(0.76, 0.09), 0, 1))
        rows.append(
            {
                "run": run,
                "round": rounds,
                "split": split,
                "client": client,
                "examples": int(rng.integers(7, 90)),
                "acc_shared_own": max(0.0, own - abs(rng.normal(0.05, 0.03))),
                "acc_shared_global": 0.66,
                "acc_personal_own": own,
                "acc_personal_global": float(rng.normal(0.6, 0.03)),
                "loss": 0.8,
                "alignment_loss": 0.2,
                "private_shift": 0.4,
            }
        )
    return rows


def class_rows(run: str, rounds: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Correct and total by class, domain and scope at the last round."""
    rows = []
    for label, class_name in enumerate(CLASSES):
        for domain, domain_name in enumerate(DOMAINS):
            for scope in ("shared", "personal"):
                share = np.clip(
                    0.9
                    - 0.035 * label
                    - 0.05 * domain
                    + (0.06 if scope == "personal" else 0)
                    + rng.normal(0, 0.03),
                    0,
                    1,
                )
                rows.append(
                    {
                        "run": run,
                        "round": rounds,
                        "split": "validation",
                        "label": label,
                        "class_name": class_name,
                        "domain": domain,
                        "domain_name": domain_name,
                        "scope": scope,
                        "correct": float(30 * share),
                        "total": 30.0,
                    }
                )
    return rows
