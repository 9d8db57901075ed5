"""Synthetic sweeps and runs for the tests of `analysis/`: invented numbers, nothing was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.fakes.tables import (
    CLASSES,
    DOMAINS,
    EFFECTS,
    FACTORS,
    GRID,
    METHODS,
    METRICS,
    SCENARIOS,
    class_rows,
    client_rows,
    experiment_of,
    heterogeneity,
    partition_rows,
    round_rows,
    sent,
    signature,
    trial_type,
    write,
)

VERSIONS = {"python": "3.12.0", "torch": "2.15.0", "ray": "2.60.0", "raysim": "0.1.0"}


HARDWARE = {"cpu": "invented CPU", "cores": 2, "memory_gb": 8}


class FakeSweep:
    """Writes a synthetic sweep; `stop` leaves it unfinished after that many trials."""

    def __init__(
        self,
        folder: Path,
        *,
        search: int = 6,
        seeds: int = 3,
        fresh: int | None = None,
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
        fresh_count = seeds + 2 if fresh is None else fresh
        self.selection, self.fresh = [1 + i for i in range(seeds)], [101 + i for i in range(fresh_count)]
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
                effect = float(self.rng.normal(0.005, 0.02))
                self.trial(label, "fedrsclip", "search", f"tpe {i}", params, effect, state=state)
        for label in SCENARIOS:
            done = [
                t
                for t in self.trials
                if t["scenario"] == label and t["state"] == "COMPLETE" and t["kind"] != "confirm"
            ]
            best = max(done, key=lambda t: t["objective"]) if done else None
            if best:
                params, effect = json.loads(best["params"]), 0.02 * self.effects
                self.trial(label, "fedrsclip", "confirm", "fedrsclip (tuned)", params, effect)
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
            scale = self.effects * (1.5 if label != "even" else 0.6)
            for name, levels, anchor, _, _ in FACTORS:
                for level in (level for level in levels if level != anchor):
                    path, effect = f"method.{name}", EFFECTS.get((name, str(level)), 0.0) * scale
                    factor = {"factor": path, "level": str(level)}
                    name_of_trial = f"{path}={level}"
                    self.trial(label, "fedrsclip", "contrast", name_of_trial, {path: level}, effect, **factor)

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


def fake_sweep(folder: Path, *, status: str = "done", **options: Any) -> Path:
    """A synthetic sweep (see `FakeSweep`)."""
    return FakeSweep(folder, **options).save(status)


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
