"""A small sweep with every kind of trial, floors and images, written as raysim writes it. Invented numbers.

folder = whole_sweep(tmp_path)                          a finished sweep, in which some seeds diverged
folder = whole_sweep(tmp_path, search=0)                no search trial
folder = whole_sweep(tmp_path, stop=20)                 killed after that many trials
folder = whole_sweep(tmp_path, lost={})                 nothing diverged
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raysim.storage.run_tables import COLUMNS, COMMON
from raysim.storage.trials import TRIAL_COLUMNS
from tests.fakes.tables import (
    CLASSES,
    DOMAINS,
    client_rows,
    heterogeneity,
    partition_rows,
    round_rows,
    signature,
    write,
)

SPACE = "fedrsclip"
SCENARIOS = ("even", "dirichlet alpha=0.1")
LEVELS = {"method.lam": ("0.05", ("0.005", "0.05", "0.5")), "method.h": ("4", ("4", "8"))}
SELECTION, FRESH, RACE = [1, 2, 3], [101, 102, 103, 104, 105], [51, 52]
RIVALS = {"promptfl": "tuned", "fedavg": "untuned", "local": "untuned"}
# Label (without its brackets) -> accuracy beyond that of the anchor.
EFFECTS = {
    "method.lam=0.005": -0.04,
    "method.lam=0.5": -0.06,
    "method.h=8": 0.03,
    "method.lam=0.5 & method.h=8": 0.02,
    "promptfl": -0.04,
    "fedavg": -0.01,
    "local": -0.12,
}
# (kind, label) -> number of lost seeds
LOST = {("contrast", "method.lam=0.5"): 3, ("rival", "fedavg"): 2, ("confirm", "fedrsclip (tuned)"): 1}
IMAGES = {"validation": 300, "test": 400}


class Whole:
    """Makes the rows of a sweep.

    Args:
        search: Number of search trials of each study.
        lost: See `LOST`; the seeds that diverge, the first ones.
        seed: Of all random numbers.
    """

    def __init__(self, search: int, lost: Mapping[tuple[str, str], int], seed: int) -> None:
        self.search, self.lost, self.rng = search, lost, np.random.default_rng(seed)
        self.trials: list[dict[str, Any]] = []
        self.tables: dict[str, list[list[dict[str, Any]]]] = {"rounds": [], "clients": [], "images": []}
        self.signatures: list[dict[str, Any]] = []
        self.base = {"even": 0.7, "dirichlet alpha=0.1": 0.76}
        self.shift = {s: self.rng.normal(0, 0.02) for s in (*SELECTION, *FRESH, *RACE)}
        images = np.random.default_rng(7)  # the same in all sweeps
        self.hardness = {split: images.uniform(0, 1, n) for split, n in IMAGES.items()}
        self.cell = {split: images.integers(0, 16, n) for split, n in IMAGES.items()}

    def fill(self) -> None:
        """Add the trials in the order in which a sweep runs them."""
        for scenario in SCENARIOS:
            self.add(scenario, "contrast", "anchor")
        for scenario in SCENARIOS:
            for rival in RIVALS:
                self.add(scenario, "rival", rival, method=rival)
        for path, (anchor, levels) in LEVELS.items():
            for level in (level for level in levels if level != anchor):
                for scenario in SCENARIOS:
                    label, params = f"{path}={level}", {path: float(level)}
                    self.add(scenario, "contrast", label, params=params, factor=path, level=level)
        for scenario in SCENARIOS:
            names = dict(factor="method.lam", level="0.5", factor2="method.h", level2="8")
            params = {"method.lam": 0.5, "method.h": 8}
            self.add(scenario, "interaction", "method.lam=0.5 & method.h=8", params=params, **names)
        best = {scenario: self._searched(scenario) for scenario in SCENARIOS}
        for scenario in SCENARIOS:
            self._confirm(scenario, best[scenario])
        for scenario, other in zip(SCENARIOS, SCENARIOS[::-1], strict=True):
            if self.search:
                words = {"level": other, "tuning": "tuned", "params": best[other]}
                self.add(scenario, "transfer", f"fedrsclip from {other} (tuned)", effect=0.02, **words)

    def _searched(self, scenario: str) -> dict[str, Any]:
        """Add the searches and the race of a scenario; return what was found."""
        found: dict[str, Any] = {}
        for entry, method in (("", SPACE), (" promptfl", "promptfl")):
            for i in range(self.search):
                params = {"method.lam": round(0.01 + 0.04 * i, 4)}
                state = {2: "PRUNED", 3: "FAIL"}.get(i % 6, "COMPLETE")
                effect = 0.03 if i == 1 else -0.01 * i
                study = f"{SPACE}{entry} | {scenario}"
                self.add(scenario, "search", f"tpe {i}", method, params, effect, state, study=study)
                found = params if i == 1 and not entry else found
        if self.search:
            self.add(scenario, "race", "tpe 1", params=found, effect=0.03)
        return found

    def _confirm(self, scenario: str, params: dict[str, Any]) -> None:
        if params:
            word = "tuned" if self.search >= 6 else f"best of {self.search} trials"
            self.add(scenario, "confirm", f"fedrsclip ({word})", params=params, effect=0.03, tuning=word)
        self.add(scenario, "confirm", "fedrsclip (untuned)", tuning="untuned")
        for rival, tuning in RIVALS.items():
            word = tuning if self.search else "untuned"
            self.add(scenario, "confirm", f"{rival} ({word})", rival, tuning=word)

    def add(
        self, scenario: str, kind: str, label: str, method: str = SPACE,
        params: Mapping[str, Any] | None = None, effect: float | None = None,
        state: str = "COMPLETE", **columns: Any,
    ) -> None:  # fmt: skip
        """Add a trial with its runs; its objective counts a lost seed as accuracy 0."""
        name = label.partition(" (")[0]
        effect = EFFECTS.get(name, EFFECTS.get(method, 0.0)) if effect is None else effect
        seeds = FRESH if kind in ("confirm", "transfer") else RACE if kind == "race" else SELECTION
        number = len(self.trials)
        lost = len(seeds) if state == "FAIL" else self.lost.get((kind, label), 0)
        word = "pruned" if state == "PRUNED" else "complete"
        outcomes = ["diverged"] * lost + [word] * (len(seeds) - lost)
        runs = [f"t{number:04d}s{s}" for s in seeds]
        measured = [
            self._run(run, s, how, scenario, method, effect, kind in ("confirm", "transfer"))
            for run, s, how in zip(runs, seeds, outcomes, strict=True)
        ]
        lists = {column: [values[column] for values in measured] for column in measured[0]}
        own = np.nan_to_num(lists["acc_personal_own"])
        failed = 2 * lost >= len(seeds)
        self.trials.append(
            {
                "key": f"{number:012x}", "trial": number, "number": number, "kind": kind,
                "scenario": scenario,
                "study": f"{SPACE} | {scenario}", "method": method, "label": label, "tuning": "",
                "state": "FAIL" if failed else state, "outcomes": outcomes, "seeds": seeds, "runs": runs,
                "reason": f"diverged: {lost} of {len(seeds)} seeds: loss is NaN in round 3" if failed else "",
                "params": json.dumps(params or {}),
                "experiment": json.dumps(_experiment(method, scenario, params)),
                "objective": float(own.mean()), "curve": json.dumps([[4, float(own.mean())]]), "rounds": 4,
                "finished": float(number), "wall_seconds": 4.0, "seconds": 3.0, "flops": 1e9,
                "bytes_up": 48_000, "bytes_down": 48_000, "shared_parameters": 256,
                **lists, **columns,
            }
        )  # fmt: skip

    def _run(
        self, run: str, seed: int, outcome: str, scenario: str, method: str, effect: float, opened: bool
    ) -> dict[str, float]:
        """Add the tables of a run; return its measures, NaN where it diverged."""
        values: dict[str, float] = {}
        noise = self.rng.normal(0, 0.004)
        for split in ("validation", "test") if opened else ("validation",):
            found = self._evaluate(run, seed, split, self.base[scenario] + effect + self.shift[seed] + noise)
            if outcome == "diverged":
                found = {
                    name: v if name.startswith(("acc_m", "acc_z")) else np.nan for name, v in found.items()
                }
            prefix = "test_" if split == "test" else ""
            values |= {f"{prefix}{name}": value for name, value in found.items()}
        if outcome != "diverged":
            final = values["acc_personal_own"]
            self.tables["rounds"].append(round_rows(run, method, final, 4, self.rng))
            for split in ("validation", "test") if opened else ():
                self.tables["clients"].append(client_rows(run, 4, 12, self.rng, split))
            if opened:
                tested = {k.removeprefix("test_"): v for k, v in values.items() if k.startswith("test_")}
                self.tables["rounds"].append([{"run": run, "round": 4, "split": "test", **tested}])
        if method == SPACE and seed == FRESH[0]:
            self.signatures.append(signature(run, 4))
        return values

    def _evaluate(self, run: str, seed: int, split: str, accuracy: float) -> dict[str, float]:
        """Return the measures of one evaluation, which are the sums of what its images add."""
        n, values = IMAGES[split], {"clients_measured": 11.0, "clients_evaluated": 12.0}
        goals = {"personal": accuracy, "shared": accuracy - 0.03, "majority": 0.4, "zeroshot": 0.55}
        weights = np.random.default_rng(seed).dirichlet(np.full(n, 50.0))  # the clients of a seed
        rows = []
        for scope, goal in goals.items():
            luck = 0.0 if scope in ("majority", "zeroshot") else self.rng.normal(0, 0.03, n)
            right = self.hardness[split] + luck < goal
            parts = {"own": right * weights, "global": right / n - 0.02 / n}
            for place, part in parts.items():
                values[f"acc_{scope}_{place}"] = float(np.float32(part).sum())
            rows.append(
                {
                    "run": run, "round": 4, "split": split, "seed": seed, "scope": scope,
                    "images": f"{split} {n}", "cell": self.cell[split].tolist(),
                    **{p: v.tolist() for p, v in parts.items()},
                }
            )  # fmt: skip
        self.tables["images"].append(rows)
        own = values["acc_personal_own"]
        return values | {"worst_client_accuracy": own - 0.2, "p10_client_accuracy": own - 0.1}


def _experiment(method: str, scenario: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
    own = {"name": method, **({"lam": 0.05, "h": 4} if method == SPACE else {})}
    own |= {path.removeprefix("method."): value for path, value in (params or {}).items()}
    return {
        "seed": 1, "rounds": 4, "cohort": 1.0, "method": own, "scenario": {"name": scenario.split()[0]},
        "task": {"dataset": "scenes", "backbone": "scenes-clip", "shots": None}, "resources": {"workers": 2},
    }  # fmt: skip


def whole_sweep(
    folder: Path, *, search: int = 6, stop: int | None = None,
    lost: Mapping[tuple[str, str], int] | None = None,
    status: str = "", seed: int = 0, without: Sequence[str] = (), **meta: Any,
) -> Path:  # fmt: skip
    """Write the folder of a sweep.

    Args:
        folder: The result folder; it is made.
        search: Number of search trials of each study.
        stop: The sweep was killed after so many trials; None: it is finished.
        lost: (kind, label) -> number of seeds that diverged; by default `LOST`.
        status: In run.json; by default `done`, or `interrupted` where it was killed.
        seed: Of all random numbers.
        without: Tables that are not written.
        meta: Laid over run.json.
    """
    made = Whole(search, LOST if lost is None else lost, seed)
    made.fill()
    trials = made.trials[:stop]
    runs = {run for row in trials for run in row["runs"]}
    folder.mkdir(parents=True, exist_ok=True)
    for row in trials:
        schema = pa.schema(TRIAL_COLUMNS.items())
        values = {**dict.fromkeys(schema.names), **row}
        write(folder / "tables" / "trials" / f"{row['trial']:06d}-{row['key']}.parquet", [values], schema)
    parts = {**made.tables, "signatures": [made.signatures]}
    for name in (name for name in parts if name not in without):
        kept = [[row for row in part if row["run"] in runs] for part in parts[name]]
        for number, part in enumerate(part for part in kept if part):
            schema = pa.schema({**COMMON, **COLUMNS["images"]}.items()) if name == "images" else None
            write(folder / "tables" / name / f"{part[0]['run']}-{number:06d}.parquet", part, schema)
    for run in runs:
        home, scenario = folder / "runs" / run, next(t["scenario"] for t in trials if run in t["runs"])
        write(
            home / "partition.parquet",
            partition_rows(scenario, np.random.default_rng(int(run.split("s")[1]))),
        )
        (home / "run.json").write_text(
            json.dumps({"id": run, "kind": "run", "class_names": CLASSES, "domain_names": DOMAINS})
        )
    (folder / "run.json").write_text(json.dumps(_meta(made, trials, status, stop) | meta))
    return folder


def _meta(made: Whole, trials: Sequence[Mapping[str, Any]], status: str, stop: int | None) -> dict[str, Any]:
    kinds = [row["kind"] for row in made.trials]
    rest = made.trials[len(trials) :]
    factors = [
        {"path": path, "symbol": path.removeprefix("method."), "levels": list(levels), "anchor": anchor,
         "basis": "guess", "doc": "", "source": "", "search": ""}
        for path, (anchor, levels) in LEVELS.items()
    ]  # fmt: skip
    left = [{**{k: r[k] for k in ("study", "kind", "label")}, "stage": r["kind"], "count": 1} for r in rest]
    left_out = {"counts": {}, "comparisons": {}, "trials": left, "untried": [], "minutes": 9}
    return {
        "id": "whole", "kind": "sweep", "status": status or ("interrupted" if stop else "done"), "title": "",
        "command": "raysim sweep fedrsclip", "commit": "0000000", "versions": {"python": "3.12.0"},
        "hardware": {"cpu": "invented CPU", "cores": 2, "memory_gb": 8}, "started": "2026-01-01T00:00:00",
        "seconds": 300.0, "minutes": 5, "space": SPACE, "spaces": [SPACE], "anchor": {}, "factors": factors,
        "spaces_declared": {SPACE: {"method": SPACE, "factors": factors, "rivals": RIVALS}},
        "scenarios": [{"label": s, "values": {}, "heterogeneity": heterogeneity(s)} for s in SCENARIOS],
        "planned": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} | {"search": made.search * 4},
        "left_out": left_out if left else None,
        "confidence": 0.9, "figures": [], "grid": [], "interactions": [["method.lam", "method.h"]],
        "selection_seeds": SELECTION, "fresh_seeds": FRESH, "design": None, "extended": {},
        "trials": made.search,
        "race": {"candidates": 1, "seeds": 2, "error": 0.1, "rule": "The best 1 race."},
        "search": {"sampler": "tpe", "objectives": [{"name": "acc_personal_own", "direction": "maximize"}]},
    }  # fmt: skip
