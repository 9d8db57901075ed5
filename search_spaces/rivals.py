"""FedRSCLIP beside its rivals at the paper's largest number of clients: 40, even and under severe label skew.

A declared set of runs: nothing is selected here. Each method's learning rate was chosen on validation with other seeds by
`python -m raysim.sweep rivals_lr` and is written below.
"""

from __future__ import annotations

from typing import Any

from raysim.experiment import Experiment, override

SEEDS = 5

SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}, {"scenario": "dirichlet", "scenario.alpha": 0.1}]

GRID: dict[str, dict[str, Any]] = {
    "fedrsclip": {},
    "promptfl": {"method": "promptfl"},
    "promptfl_ft": {"method": "promptfl_ft"},
    "local": {"method": "local"},
    "centralized": {"method": "centralized"},
    "zeroshot": {"method": "zeroshot"},
}


def base() -> Experiment:
    """40 clients that hold all training images of the bundled scenes between them."""
    return override(
        Experiment(),
        {
            "rounds": 30,
            "scenario.clients": 40,
            "evaluation.every": 10,
            "training.lr": 0.02,
            "method.shared_init": "a photo of a",
            "method.private_init": "satellite image seen from",
            "resources.workers": 1,
        },
    )
