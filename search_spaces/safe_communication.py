"""All that SAFE sends, compared with methods that send weights only.

SAFE sends weights, activations, class ratios and embeddings every round, and the server's samples once.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 3

GRID: dict[str, dict[str, Any]] = {
    "safe": {},
    "safe, 2 samples per class": {"task.ses": 2},
    "without FAU": {"method.fau": False},
    "without ACE": {"method.ace": False},
    "CRO alone": {"method.fau": False, "method.ace": False},
    "fedavg": {"method": "fedavg"},
    "scaffold": {"method": "scaffold"},
    "local_network": {"method": "local_network"},
}

FIGURES: list[dict[str, Any]] = [{"kind": "traffic", "reference": "fedavg"}]


def base() -> Experiment:
    """Return ten rounds, because the traffic is the same in every round."""
    return override(SPACE.base, {"rounds": 10, "evaluation.every": 10})
