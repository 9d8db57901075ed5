"""Studies of one method and its rivals with known winners; their verdicts computed again by scipy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import false_discovery_control, ttest_rel

from analysis import write_report
from tests.fakes import tables as fake_tables

SEEDS = [3, 1, 2]


Values = Sequence[float]


Study = Mapping[
    str, Mapping[str, Values]
]  # scenario -> "anchor", "lam=2" or "rival:local" -> accuracy by seed


SYMBOLS = ("lam", "h", "w")


def write_study(
    folder: Path,
    study: Study,
    failed: Sequence[tuple[str, str]] = (),
    status: str = "done",
    world: Study | None = None,
) -> Path:
    """Write a sweep's folder with these contrast and rival trials.

    `failed` adds levels that diverged; `world` has the values on the global split.
    """
    rows: list[dict[str, Any]] = []
    for scenario, trials in study.items():
        for name, values in [*trials.items(), *((name, None) for place, name in failed if place == scenario)]:
            rival, factor = name.removeprefix("rival:"), name.partition("=")
            kind = "rival" if rival != name else "contrast"
            path = (factor[0] if "." in factor[0] else f"method.{factor[0]}") if factor[1] else None
            rows.append(
                {
                    "trial": len(rows),
                    "number": len(rows),
                    "study": f"m | {scenario}",
                    "method": rival if kind == "rival" else "m",
                    "scenario": scenario,
                    "kind": kind,
                    "label": rival if kind == "rival" else f"{path}={factor[2]}" if path else name,
                    "factor": path,
                    "level": factor[2] if path else None,
                    "state": "COMPLETE" if values else "FAIL",
                    "reason": "",
                    "params": "{}",
                    "experiment": "{}",
                    "runs": [f"{len(rows)}s{seed}" for seed in SEEDS],
                    "seeds": SEEDS,
                    "rounds": 4,
                    "objective": float(np.mean(values)) if values else None,
                    "acc_personal_own": list(values) if values else None,
                    "acc_personal_global": list(world[scenario][name]) if world else None,
                    "test_acc_personal_own": None,
                    "seconds": 1.0,
                }
            )
    for number, row in enumerate(rows):
        schema = pa.schema([pa.field(key, fake_tables.trial_type(key)) for key in row])
        fake_tables.write(folder / "tables" / "trials" / f"{number}.parquet", [row], schema)
    factors = [
        {"path": f"method.{s}", "symbol": s, "levels": [1, 2, 3], "anchor": 1, "basis": "guess", "doc": ""}
        for s in SYMBOLS
    ]
    meta = {
        "kind": "sweep",
        "status": status,
        "space": "m",
        "command": "raysim sweep m",
        "factors": factors,
        "confidence": 0.9,
        "scenarios": [{"label": s} for s in study],
        "planned": {"contrast": len(rows), "rival": 2},
    }
    (folder / "run.json").write_text(json.dumps(meta))
    return folder


def first_sentence(folder: Path) -> str:
    """What the page says first."""
    page = write_report(folder).read_text(encoding="utf-8")
    return unescape(re.search(r'<p class="first">(.*?)</p>', page)[1])  # type: ignore[index]


def around(values: Values, by: float, noise: Values = (0.001, -0.001, 0.0)) -> list[float]:
    """The same seeds, `by` better, with a little noise."""
    return [v + by + e for v, e in zip(values, noise, strict=True)]


BASE = [0.60, 0.50, 0.70]


NOISE = (0.0005, -0.001, 0.0008)


WIDE = (0.06, -0.07, 0.01)


FLIP: Study = {
    "A": {
        "anchor": BASE,
        "rival:local": around(BASE, -0.03),
        "rival:other": around(BASE, -0.10),
        "lam=2": around(BASE, 0.01, NOISE),
        "lam=3": around(BASE, -0.06, NOISE),
        "h=2": around(BASE, 0.02, NOISE),
        "h=3": around(BASE, -0.01, NOISE),
        "w=2": around(BASE, 0.0, WIDE),
        "w=3": around(BASE, 0.0, NOISE),
    },
    "B": {
        "anchor": BASE,
        "rival:local": around(BASE, 0.04),
        "rival:other": around(BASE, -0.02),
        "lam=2": around(BASE, 0.01, NOISE),
        "lam=3": around(BASE, -0.06, NOISE),
        "h=2": around(BASE, 0.01, NOISE),
        "h=3": around(BASE, 0.0, WIDE),
        "w=2": around(BASE, -0.02, NOISE),
        "w=3": around(BASE, -0.03, NOISE),
    },
}


SAME: Study = {
    scenario: {
        "anchor": BASE,
        "rival:local": around(BASE, rival),
        "lam=2": around(BASE, 0.05, NOISE),
        "lam=3": around(BASE, -0.06, NOISE),
        "h=2": around(BASE, 0.02, NOISE),
        "h=3": around(BASE, 0.04, NOISE),
        "w=2": around(BASE, -0.03, NOISE),
        "w=3": around(BASE, -0.02, NOISE),
    }
    for scenario, rival in (("A", -0.10), ("B", 0.10))
}


OPEN: Study = {
    scenario: {
        "anchor": BASE,
        "rival:local": around(BASE, 0.01, WIDE),
        "lam=3": around(BASE, -0.01, (0.04, -0.05, 0.02)),
        "h=2": around(BASE, 0.01, (-0.04, 0.05, -0.02)),
    }
    for scenario in ("A", "B")
}


def recomputed(folder: Path) -> dict[str, dict[str, str]]:
    """Scenario -> choice -> what it does to the winner, from the Parquet parts with scipy alone."""
    rows = [
        row
        for part in (folder / "tables" / "trials").glob("*.parquet")
        for row in pq.read_table(part).to_pylist()
    ]
    tests: dict[tuple[str, str], tuple[str, float]] = {}
    for row in (r for r in rows if r["kind"] == "contrast" and r["state"] == "COMPLETE"):
        rivals = {
            r["label"]: r["acc_personal_own"]
            for r in rows
            if r["kind"] == "rival" and r["scenario"] == row["scenario"]
        }
        tests[row["scenario"], row["label"]] = verdict_on(row["acc_personal_own"], rivals)
    firm = dict(zip(tests, false_discovery_control([p for _, p in tests.values()]) <= 0.1, strict=True))
    found: dict[str, dict[str, str]] = {}
    for scenario in {s for s, _ in tests}:
        here = {label: winner for (s, label), (winner, _) in tests.items() if s == scenario}
        for symbol in SYMBOLS:
            levels = {
                label: winner for label, winner in here.items() if label.startswith(f"method.{symbol}=")
            }
            failed = any(
                r["state"] == "FAIL" and r["scenario"] == scenario and r["factor"] == f"method.{symbol}"
                for r in rows
            )
            others = [
                label
                for label, winner in levels.items()
                if winner and here["anchor"] and winner != here["anchor"]
            ]
            sure = [label for label in others if firm[scenario, label] and firm[scenario, "anchor"]]
            keeps = (
                len(levels) == 2
                and not failed
                and bool(here["anchor"])
                and set(levels.values()) == {here["anchor"]}
            )
            kept = "keeps" if all(firm[scenario, label] for label in ("anchor", *levels)) else "may keep"
            effect = "changes" if sure else "may change" if others else kept if keeps else "undecided"
            if levels:
                found.setdefault(scenario, {})[symbol] = effect
    return found


def verdict_on(ours: Values, rivals: Mapping[str, Values]) -> tuple[str, float]:
    """The winner, if any, and its p: the method over every rival, or the strongest rival (Holm)."""
    best = max(rivals, key=lambda name: np.mean(rivals[name]))
    if np.mean(ours) > np.mean(rivals[best]):
        p = max(float(ttest_rel(ours, values).pvalue) for values in rivals.values())
        return ("m" if p < 0.1 else "", p)
    tails = {
        name: float(ttest_rel(ours, values, alternative="less").pvalue) for name, values in rivals.items()
    }
    ranked = sorted(tails, key=lambda name: tails[name])
    steps = [tails[name] * (len(ranked) - k) for k, name in enumerate(ranked)]
    p = min(1.0, 2 * max(steps[: ranked.index(best) + 1]))
    return (best if p < 0.1 else "", p)


def random_study(rng: np.random.Generator) -> Study:
    """Effects and noise of any size."""
    study: dict[str, dict[str, list[float]]] = {}
    for scenario in ("A", "B", "C"):
        base = rng.uniform(0.5, 0.7, 3)
        noise = rng.choice([0.001, 0.004, 0.03])
        names = [
            "anchor",
            "rival:local",
            "rival:other",
            *(f"{s}={level}" for s in SYMBOLS for level in (2, 3)[: rng.integers(1, 3)]),
        ]
        effects = {n: 0.0 if n == "anchor" else rng.choice([-0.05, -0.02, 0.0, 0.02, 0.05]) for n in names}
        study[scenario] = {n: list(base + effect + rng.normal(0, noise, 3)) for n, effect in effects.items()}
    return study
