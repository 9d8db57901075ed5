"""Synthetic sweeps with every kind of trial, for the sensitivity page: invented numbers, nothing measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.fakes import tables as fake_tables

SEEDS, FRESH, RACE = [0, 1, 2, 3], [1000, 1001, 1002, 1003], [500, 501, 502, 503]
SCENARIOS = ("even", "dirichlet alpha=0.1")
OFFSETS = {
    seed: 0.02 * ((seed * 7) % 5 - 2) for seed in (*SEEDS, *FRESH, *RACE)
}  # what a seed does to every trial alike
LEVELS: dict[str, tuple[Any, list[Any]]] = {
    "lam": (0.02, [0.005, 0.1, 0.5]),
    "h": (4, [1, 16]),
    "fusion": ("concat", ["mix"]),
}
EFFECTS = {("lam", "0.5"): -0.06, ("lam", "0.1"): -0.02, ("h", "16"): 0.03}
KINDS = ("contrast", "rival", "search", "design", "interaction", "race", "confirm", "transfer")
LISTS = (
    "acc_personal_own",
    "acc_personal_global",
    "acc_shared_own",
    "acc_shared_global",
    "worst_client_accuracy",
)
EXTRA: dict[str, pa.DataType] = {
    "factor2": pa.string(),
    "level2": pa.string(),
    "point": pa.int32(),
    "unit": pa.list_(pa.float64()),
}


class Sheet:
    """Trials of one space; every value is the mean plus the seed's offset plus a little noise."""

    def __init__(self, space: str = "m", method: str = "m", noise: float = 0.002, seed: int = 0) -> None:
        self.space, self.method, self.noise = space, method, noise
        self.rng = np.random.default_rng(seed)
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        scenario: str,
        kind: str,
        label: str,
        mean: float | None,
        seeds: Sequence[int] = SEEDS,
        *,
        rival: str = "",
        params: dict[str, Any] | None = None,
        **extra: Any,
    ) -> None:
        """One trial; without a mean it failed. `rival`: in the study of that rival's own search."""
        values = (
            None
            if mean is None
            else [mean + OFFSETS[s] + float(self.rng.normal(0, self.noise)) for s in seeds]
        )
        tested = kind in ("confirm", "transfer") and values is not None
        number = len(self.rows)
        self.rows.append(
            {
                "finished": float(number),
                "trial": number,
                "number": number,
                "key": f"{self.space}{number}",
                "study": f"{self.space}{' ' + rival if rival else ''} | {scenario}",
                "method": extra.pop("method", rival or self.method),
                "scenario": scenario,
                "kind": kind,
                "label": label,
                "factor": extra.pop("factor", None),
                "level": extra.pop("level", None),
                "state": "COMPLETE" if values else "FAIL",
                "reason": "" if values else "diverged: loss is NaN",
                "params": json.dumps(params or {}),
                "experiment": "{}",
                "runs": [f"{self.space}{number}s{s}" for s in seeds],
                "seeds": list(seeds),
                "rounds": 4,
                "objective": float(np.mean(values)) if values else None,
                **dict.fromkeys(LISTS, values),
                **{f"test_{name}": values if tested else None for name in LISTS},
                "bytes_up": extra.pop("bytes_up", 1000),
                "bytes_down": 1000,
                "seconds": 1.0,
                "wall_seconds": 1.0,
                "curve": "[]",
                **extra,
            }
        )

    def contrasts(self, scenario: str, base: float, scale: float = 1.0) -> None:
        """The anchor, the rivals beside it and every level of every choice."""
        self.add(scenario, "contrast", "anchor", base)
        self.add(scenario, "rival", "near", base - 0.04, method="near")
        self.add(scenario, "rival", "far", base - 0.2, method="far")
        for name, (_, levels) in LEVELS.items():
            for level in levels:
                mean = base + scale * EFFECTS.get((name, str(level)), 0.0)
                self.add(
                    scenario,
                    "contrast",
                    f"method.{name}={level}",
                    mean,
                    params={f"method.{name}": level},
                    factor=f"method.{name}",
                    level=str(level),
                )

    def pairs(self, scenario: str, base: float) -> None:
        """lam=0.5 with h=16 gives 5 points beyond the sum; h=16 with fusion=mix adds up."""
        both = {"method.lam": 0.5, "method.h": 16}
        self.add(
            scenario,
            "interaction",
            "lam=0.5, h=16",
            base + 0.02,
            params=both,
            factor="method.lam",
            level="0.5",
            factor2="method.h",
            level2="16",
        )
        self.add(
            scenario,
            "interaction",
            "h=16, fusion=mix",
            base + 0.03,
            params={"method.h": 16, "method.fusion": "mix"},
            factor="method.h",
            level="16",
            factor2="method.fusion",
            level2="mix",
        )

    def search(self, scenario: str, base: float) -> None:
        """Add six trials and the search of a rival.

        Bytes grow with accuracy, but for the last trial, which is beaten.
        """
        for i in range(6):
            mean, sent = (base + 0.01 * i, 1000 * (i + 1)) if i < 5 else (base, 9000)
            self.add(
                scenario, "search", f"tpe {i}", mean, params={"method.lam": 0.01 * (i + 1)}, bytes_up=sent
            )
        for i, gain in enumerate((0.0, 0.06)):
            self.add(
                scenario,
                "search",
                f"tpe {i}",
                base - 0.04 + gain,
                rival="near",
                params={"training.lr": 0.1 * (i + 1)},
            )

    def race(self, scenario: str, base: float) -> None:
        """Add a race: `tpe 3` and `tpe 4` stay, `anchor` leaves after two seeds, `tpe 2` fails."""
        for label, means in {
            "tpe 4": [0.05] * 4,
            "tpe 3": [0.03] * 4,
            "anchor": [0.0] * 2,
            "tpe 2": [0.02, None],
        }.items():
            index = -1 if label == "anchor" else int(label[-1])
            for seed, gain in zip(RACE, means, strict=False):
                self.add(
                    scenario,
                    "race",
                    label,
                    None if gain is None else base + gain,
                    [seed],
                    params={"method.lam": 0.01 * (index + 1)} if index >= 0 else {},
                )

    def confirm(self, scenario: str, base: float) -> None:
        """Add the tuned winner twice (the second has an extension's seeds), the anchor and two rivals."""
        best = {"method.lam": 0.05}
        self.add(scenario, "confirm", f"{self.method} (tuned)", base + 0.3, FRESH[:2], params=best)
        self.add(scenario, "confirm", f"{self.method} (tuned)", base + 0.04, FRESH, params=best)
        self.add(scenario, "confirm", f"{self.method} (untuned)", base, FRESH)
        self.add(
            scenario,
            "confirm",
            "near (tuned)",
            base + 0.02,
            FRESH,
            params={"training.lr": 0.2},
            method="near",
        )
        self.add(scenario, "confirm", "far (untuned)", base - 0.2, FRESH, method="far")

    def transfer(self, scenario: str, base: float, other: str, cost: float) -> None:
        """The other scenario's winner here."""
        self.add(
            scenario, "transfer", f"{self.method} tuned on {other}", base + 0.04 - cost, FRESH, level=other
        )

    def design(
        self,
        scenario: str,
        unit: np.ndarray,
        respond: Callable[[np.ndarray], float],
        failed: Sequence[int] = (),
        seeds: Sequence[int] = SEEDS[:1],
    ) -> None:
        """Add points of a design over lam, h and theta; theta is active where h's coordinate is above 0.5."""
        for point, u in enumerate(unit):
            params = {"method.lam": float(0.005 * 100 ** u[0]), "method.h": int(1 + 15 * u[1])}
            params |= {"method.theta": float(u[2])} if u[1] > 0.5 else {}
            self.add(
                scenario,
                "design",
                f"point {point}",
                None if point in failed else float(respond(u)),
                seeds,
                params=params,
                point=point,
                unit=[float(v) for v in u],
            )


def full(
    space: str = "m", method: str = "m", kinds: Sequence[str] = KINDS, scenarios: Sequence[str] = SCENARIOS
) -> Sheet:
    """Every kind of trial, or only these, in the order in which a sweep runs them."""
    sheet = Sheet(space, method)
    for scenario in scenarios:
        sheet.contrasts(scenario, 0.6, 1.0 if scenario == SCENARIOS[0] else 0.8)
        sheet.search(scenario, 0.6)
        sheet.pairs(scenario, 0.6)
        sheet.race(scenario, 0.6)
        sheet.confirm(scenario, 0.6)
        sheet.transfer(
            scenario,
            0.6,
            next(s for s in (*SCENARIOS, "other") if s != scenario),
            0.03 if scenario == SCENARIOS[0] else 0.0,
        )
    sheet.rows = [row for row in sheet.rows if row["kind"] in kinds]
    return sheet


def factors() -> list[dict[str, Any]]:
    """The declared choices, as in run.json."""
    return [
        {
            "path": f"method.{name}",
            "symbol": name,
            "levels": [str(v) for v in levels],
            "anchor": anchor,
            "basis": "guess",
            "doc": "",
            "source": "",
            "search": "log-U [0.005, 0.5]" if name == "lam" else "",
        }
        for name, (anchor, levels) in LEVELS.items()
    ]


def write(folder: Path, *sheets: Sheet, status: str = "done", **meta: Any) -> Path:
    """The folder of a sweep with these trials; `meta` is laid over its run.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in (row for sheet in sheets for row in sheet.rows):
        schema = pa.schema([pa.field(key, EXTRA.get(key) or fake_tables.trial_type(key)) for key in row])
        fake_tables.write(folder / "tables" / "trials" / f"{row['key']}.parquet", [row], schema)
    first = sheets[0] if sheets else Sheet()
    described = {
        "kind": "sweep",
        "status": status,
        "space": first.space,
        "spaces": [s.space for s in sheets] or [first.space],
        "command": f"raysim sweep {first.space}",
        "factors": factors(),
        "confidence": 0.9,
        "scenarios": [{"label": s} for s in SCENARIOS],
        "planned": dict.fromkeys(KINDS, 1),
        "selection_seeds": SEEDS,
        "fresh_seeds": FRESH,
        "title": "",
        "spaces_declared": {
            s.space: {"factors": factors(), "rivals": {"near": "tuned"}, "method": s.method} for s in sheets
        },
        "interactions": [["method.lam", "method.h"], ["method.h", "method.fusion"]],
        "race": {"candidates": 4, "seeds": 4, "error": 0.1, "rule": "The best 4 race."},
        "search": {
            "sampler": "tpe",
            "objectives": [
                {"name": "acc_personal_own", "direction": "maximize"},
                {"name": "bytes_up", "direction": "minimize"},
            ],
        },
    }
    (folder / "run.json").write_text(json.dumps(described | meta))
    return folder
