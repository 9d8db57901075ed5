"""SAFE and every other method that trains a network, on one seed: a check that they run, rough results."""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 1

GRID: dict[str, dict[str, Any]] = {
    "safe": {},
    "fedavg": {"method": "fedavg"},
    "fedavg, server momentum": {"method": "fedavg", "server.optimiser": "momentum", "server.lr": 0.5},
    "fedavg, server adam": {"method": "fedavg", "server.optimiser": "adam", "server.lr": 0.01},
    "fedprox": {"method": "fedprox", "method.mu": 0.01},
    "fedema": {"method": "fedema"},
    "ratio_loss": {"method": "ratio_loss"},
    "scaffold": {"method": "scaffold"},
    "moon": {"method": "moon"},
    "fedcac": {"method": "fedcac"},
    "local_network": {"method": "local_network"},
    "centralized_network": {"method": "centralized_network"},
}

FIGURES: list[dict[str, Any]] = [{"kind": "convergence"}]


def base() -> Experiment:
    """Return the space's anchor with larger images."""
    return override(
        SPACE.base,
        {"rounds": 20, "task.image_size": 64, "task.shots": 100, "task.ses": 10, "evaluation.every": 10},
    )
