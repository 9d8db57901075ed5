"""Designs over three parameters, as run.json describes them, and their points."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.fakes import sensitivity as fake


def saltelli(blocks: int, k: int) -> np.ndarray:
    """Rows A, AB_1 .. AB_k, B of each block."""
    a, b = np.random.default_rng(0).random((2, blocks, k))
    return np.array(
        [
            row
            for x, y in zip(a, b, strict=True)
            for row in (x, *(np.where(np.arange(k) == i, y, x) for i in range(k)), y)
        ]
    )


def design_meta(kind: str, n: int) -> dict[str, Any]:
    """What run.json says of a design over three parameters."""
    ranges = {"lam": (0.005, 0.5, True), "h": (1, 16, False), "theta": (0.0, 1.0, False)}
    names = [
        {
            "path": f"method.{name}",
            "kind": "int" if name == "h" else "float",
            "low": low,
            "high": high,
            "log": log,
            "choices": None,
        }
        for name, (low, high, log) in ranges.items()
    ]
    return {
        "kind": kind,
        "budget": 1000,
        "seed": 0,
        "N": {f"m | {s}": n for s in fake.SCENARIOS},
        "levels": 4,
        "second_order": False,
        "factors": {f"m | {s}": names for s in fake.SCENARIOS},
    }
