"""Synthetic result folders for the tests of `analysis/`: plausible shapes, invented numbers. Nothing here was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    ("fusion", ["concat", "pair", "mix"], "concat", "paper", "how the two prompts meet"),
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
VERSIONS = {"python": "3.12.0", "torch": "2.15.0", "ray": "2.60.0", "raysim": "0.1.0"}
HARDWARE = {"cpu": "invented CPU", "cores": 2, "memory_gb": 8}
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


class FakeSweep:
    """Writes a synthetic sweep; `stop` leaves it unfinished after that many trials."""

    def __init__(
        self,
        folder: Path,
        *,
        search: int = 6,
        seeds: int = 3,
        rounds: int = 10,
        stop: int | None = None,
        effects: bool = True,
        seed: int = 0,
        recipe: bool = False,
        contrasts: bool = True,
        figures: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.folder, self.search, self.rounds, self.stop, self.effects = folder, search, rounds, stop, effects
        self.recipe, self.contrasts, self.figures = recipe, contrasts, figures
        self.rng = np.random.default_rng(seed)
        self.selection, self.fresh = [1 + i for i in range(seeds)], [101 + i for i in range(seeds + 2)]
        self.trials: list[dict[str, Any]] = []
        self.round_parts: list[list[dict[str, Any]]] = []
        self.client_parts: list[list[dict[str, Any]]] = []
        self.signatures: list[dict[str, Any]] = []
        self.base = {label: 0.70 + 0.1 * info["js"] for label, info in SCENARIOS.items()}
        self.offsets = {seed: self.rng.normal(0, 0.015) for seed in self.selection + self.fresh}

    def trial(
        self,
        label: str,
        method: str,
        kind: str,
        name: str,
        params: dict[str, Any],
        effect: float,
        **extra: Any,
    ) -> None:
        """One trial: its row, and the rounds and folders of its runs."""
        if self.stop is not None and len(self.trials) >= self.stop:
            return
        seeds = self.fresh if kind == "confirm" else self.selection
        number = len(self.trials)
        state = extra.pop("state", "COMPLETE")
        values = [
            self.base[label] + METHODS[method] + effect + self.offsets[s] + self.rng.normal(0, 0.006)
            for s in seeds
        ]
        runs = [f"r{number:04d}s{s}" for s in seeds]
        if state != "FAIL":
            self.write_runs(runs, seeds, label, method, params, values)
        if kind == "confirm" and state == "COMPLETE":
            self.client_parts += [client_rows(run, self.rounds, 12, self.rng, "test") for run in runs]
        if method == "fedrsclip" and label == "dirichlet alpha=0.1" and state == "COMPLETE":
            self.signatures.append(signature(runs[0], self.rounds))
        lists = {key: [v - 0.02 * i for v in values] for i, key in enumerate(reversed(METRICS[:4]))}
        lists["worst_client_accuracy"] = [v - 0.2 for v in values]
        test = {
            f"test_{k}": [x - 0.01 + self.rng.normal(0, 0.004) for x in v] if kind == "confirm" else None
            for k, v in lists.items()
        }
        experiment = experiment_of(method, label, params, seeds[0], self.rounds)
        self.trials.append(
            {
                "key": f"{number:012x}",
                "curve": json.dumps([[self.rounds, float(np.mean(values))]]),
                "wall_seconds": 5.0,
                "finished": float(number),
                "trial": number,
                "study": f"fedrsclip{f' {name}' if self.recipe else ''} | {label}",
                "method": method,
                "scenario": label,
                "kind": kind,
                "label": name,
                "factor": extra.get("factor"),
                "level": extra.get("level"),
                "number": number,
                "state": state,
                "reason": {
                    "PRUNED": "halving at round 5",
                    "FAIL": "diverged: loss is NaN in round 3, client 7",
                }.get(state, ""),
                "params": json.dumps(params),
                "experiment": json.dumps(experiment),
                "runs": runs,
                "seeds": seeds,
                "rounds": self.rounds,
                "objective": None
                if state == "FAIL"
                else float(np.mean(values)) - (0.03 if state == "PRUNED" else 0),
                **({k: None for k in lists} if state == "FAIL" else lists),
                **test,
                "bytes_up": sent(method) * 12 * self.rounds,
                "bytes_down": sent(method) * 12 * self.rounds,
                "shared_parameters": sent(method) // 4,
                "flops": 1e10,
                "seconds": 4.2,
            }
        )

    def write_runs(
        self,
        runs: list[str],
        seeds: list[int],
        label: str,
        method: str,
        params: dict[str, Any],
        values: list[float],
    ) -> None:
        """Rounds, partition and config of the runs of a trial."""
        rows: list[dict[str, Any]] = []
        for run, seed, value in zip(runs, seeds, values, strict=True):
            rows += round_rows(run, method, value, self.rounds, self.rng)
            home = self.folder / "runs" / run
            write(home / "partition.parquet", partition_rows(label, np.random.default_rng(seed)))
            experiment = experiment_of(method, label, params, seed, self.rounds)
            (home / "config.json").write_text(json.dumps(experiment))
            (home / "run.json").write_text(
                json.dumps({"id": run, "kind": "run", "class_names": CLASSES, "domain_names": DOMAINS})
            )
        self.round_parts.append(rows)

    def fill(self) -> None:
        """Contrasts, then the search, then confirmation on fresh seeds; or a recipe's declared set."""
        if self.recipe:
            for label in SCENARIOS:
                for method in GRID:
                    self.trial(label, method, "confirm", method, {}, 0.0)
            return
        if self.contrasts:
            self.contrast()
        for label in SCENARIOS:
            for i in range(self.search):
                state = {2: "PRUNED", 4: "FAIL"}.get(i % 6, "COMPLETE")
                params = {"method.lam": round(float(self.rng.uniform(0.005, 0.5)), 4), "method.h_p": 8}
                self.trial(
                    label,
                    "fedrsclip",
                    "search",
                    f"tpe {i}",
                    params,
                    float(self.rng.normal(0.005, 0.02)),
                    state=state,
                )
        for label in SCENARIOS:
            done = [
                t
                for t in self.trials
                if t["scenario"] == label and t["state"] == "COMPLETE" and t["kind"] != "confirm"
            ]
            best = max(done, key=lambda t: t["objective"]) if done else None
            if best:
                self.trial(
                    label,
                    "fedrsclip",
                    "confirm",
                    "fedrsclip (tuned)",
                    json.loads(best["params"]),
                    0.02 * self.effects,
                )
            self.trial(label, "fedrsclip", "confirm", "fedrsclip (untuned)", {}, 0.0)
            for method in ("promptfl", "promptfl_ft", "local", "zeroshot"):
                self.trial(label, method, "confirm", f"{method} (untuned)", {}, 0.0)

    def contrast(self) -> None:
        """The anchors, the rivals beside them, and every level of every factor."""
        for label in SCENARIOS:
            self.trial(label, "fedrsclip", "contrast", "anchor", {}, 0.0)
        for label in SCENARIOS:
            for method in GRID[1:]:
                self.trial(label, method, "rival", method, {}, 0.0)
        for label in SCENARIOS:
            for name, levels, anchor, _, _ in FACTORS:
                for level in levels:
                    if level != anchor:
                        effect = (
                            EFFECTS.get((name, str(level)), 0.0)
                            * self.effects
                            * (1.5 if label != "even" else 0.6)
                        )
                        self.trial(
                            label,
                            "fedrsclip",
                            "contrast",
                            f"method.{name}={level}",
                            {f"method.{name}": level},
                            effect,
                            factor=f"method.{name}",
                            level=str(level),
                        )

    def save(self, status: str = "done") -> Path:
        """Write everything; returns the folder."""
        self.fill()
        keys = ("symbol", "levels", "anchor", "basis", "doc")
        factors = [
            {"path": f"method.{f[0]}", **dict(zip(keys, f, strict=True))}
            for f in (() if self.recipe else FACTORS)
        ]
        planned = {"contrast": 60, "rival": 12, "search": 3 * self.search, "confirm": 18}
        planned |= {} if self.contrasts else {"contrast": 0, "rival": 0}
        planned = {"contrast": 0, "rival": 0, "search": 0, "confirm": 15} if self.recipe else planned
        scenarios = [
            {"label": k, "values": v["values"], "heterogeneity": heterogeneity(k)}
            for k, v in SCENARIOS.items()
        ]
        meta = {
            "id": "fake",
            "kind": "sweep",
            "status": status,
            "command": "raysim sweep fedrsclip",
            "commit": "0000000",
            "versions": VERSIONS,
            "hardware": HARDWARE,
            "started": "2026-01-01T00:00:00",
            "seconds": 512.3,
            "space": "fedrsclip",
            "spaces": ["fedrsclip"],
            "anchor": {f["path"]: f["anchor"] for f in factors},
            "factors": factors,
            "scenarios": scenarios,
            "planned": planned,
            "confidence": 0.9,
            "figures": list(self.figures),
            "grid": list(GRID) if self.recipe else [],
            "selection_seeds": self.selection,
            "fresh_seeds": self.fresh,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "run.json").write_text(json.dumps(meta))
        for number, rows in enumerate(self.round_parts):
            write(self.folder / "tables" / "rounds" / f"{number:05d}.parquet", rows)
        for name, parts in (
            ("clients", self.client_parts),
            ("signatures", [self.signatures] if self.signatures else []),
        ):
            for number, rows in enumerate(parts):
                write(self.folder / "tables" / name / f"{number:05d}.parquet", rows)
        for number, row in enumerate(self.trials):
            schema = pa.schema([pa.field(k, trial_type(k)) for k in row])
            write(self.folder / "tables" / "trials" / f"{number:05d}.parquet", [row], schema)
        return self.folder


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
    if column == "runs":
        return pa.list_(pa.string())
    return pa.list_(pa.float64()) if column.startswith(("acc_", "worst_", "test_")) else pa.string()


def fake_sweep(folder: Path, *, status: str = "done", **options: Any) -> Path:
    """A synthetic sweep (see `FakeSweep`)."""
    return FakeSweep(folder, **options).save(status)


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


def fake_run(
    folder: Path,
    *,
    status: str = "done",
    rounds: int = 20,
    clients: int = 40,
    label: str = "dirichlet alpha=0.1",
    tables: tuple[str, ...] = ("rounds", "clients", "classes", "signatures"),
) -> Path:
    """A synthetic single run; `tables` says which tables are there already."""
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True, exist_ok=True)
    experiment = experiment_of("fedrsclip", label, {}, 7, rounds)
    result = {key: 0.76 - 0.03 * i for i, key in enumerate(reversed(METRICS[:4]))}
    result |= {
        "worst_client_accuracy": 0.51,
        "bytes_up": 1024 * 40 * rounds,
        "bytes_down": 1024 * 40 * rounds,
        "bytes_setup": 4096,
        "flops": 3.2e12,
        "seconds": 31.0,
        "state_sha256": "ab" * 32,
    }
    meta = {
        "id": "0123456789ab",
        "kind": "run",
        "status": status,
        "command": "raysim run fedrsclip scenario=dirichlet scenario.alpha=0.1",
        "commit": "0000000",
        "versions": VERSIONS,
        "hardware": HARDWARE,
        "started": "2026-01-01T00:00:00",
        "seconds": 31.0,
        "experiment": experiment,
        "label": "fedrsclip",
        "scenario_label": label,
        "class_names": CLASSES,
        "domain_names": DOMAINS,
        "heterogeneity": heterogeneity(label),
        "shared_parameters": 256,
        "result": result if status == "done" else None,
        "test": None,
        "signatures": ["semantic_drift"] if "signatures" in tables else [],
    }
    (folder / "run.json").write_text(json.dumps(meta))
    (folder / "config.json").write_text(json.dumps(experiment))
    if tables:
        write(folder / "partition.parquet", partition_rows(label, rng, clients))
    if "rounds" in tables:
        for row in round_rows("0123456789ab", "fedrsclip", 0.76, rounds, rng):
            write(folder / "tables" / "rounds" / f"{row['round']:05d}.parquet", [row])
    if "clients" in tables:
        write(folder / "tables" / "clients" / "0.parquet", client_rows("0123456789ab", rounds, clients, rng))
    if "classes" in tables:
        write(folder / "tables" / "classes" / "0.parquet", class_rows("0123456789ab", rounds, rng))
    if "signatures" in tables:
        write(folder / "tables" / "signatures" / "0.parquet", [signature("0123456789ab", rounds)])
    return folder
