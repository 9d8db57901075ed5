"""Which of the choices that the FedRSCLIP paper leaves open decide the outcome, and under which data?

The source of every default and range is in `raysim/methods/prompts/fedrsclip.py`; `raysim sweep --dry-run`
lists what is varied.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, override

WORDS = {"method.shared_init": "a photo of a", "method.private_init": "satellite image seen from"}


def base() -> Experiment:
    """Return the anchor: the paper's values, guesses where it gives none, the bundled scenes and backbone."""
    return override(
        Experiment(),
        {
            "rounds": 10,
            "scenario.clients": 16,
            # 72 images per client: so few that federating may help, as with the paper's 37 at 40 clients
            "task.shots": 48,
            "evaluation.every": 5,
            "training.lr": 0.05,  # chosen for the bundled backbone; CoOp's 0.002 is for CLIP's own
            "resources.workers": 1,
            **WORDS,
        },
    )


SCENARIOS: list[dict[str, Any]] = [
    {"scenario": "even"},
    {"scenario": "dirichlet", "scenario.alpha": 0.1},
    {"scenario": "domain"},
]

CONTRASTS: dict[str, list[Any]] = {
    "method.lam": [0.005, 0.1],
    "method.w_ot": [0.0, 2.0],
    "method.ot_b": ["uniform", "kl"],
    "method.w_dpa": [0.0, 2.0],
    "method.s": [5.0, 100.0],
    # s multiplies these two forms; with the anchor's s = 30 they would outweigh the cross-entropy
    "method.dpa_form": [
        {"method.dpa_form": "cosine", "method.s": 1.0},
        {"method.dpa_form": "token", "method.s": 1.0},
    ],
    "method.dpa_detach_shared": [True],
    "method.h_p": [0, 16],
    "method.h": [16],
    "method.fusion": ["mix"],
    "method.private_init": ["random"],
    "training.epochs": [5],
    "training.lr": [0.01, 0.2],
}


def space(trial: Any) -> dict[str, Any]:
    """Sample define-by-run: parameters that a choice switches off are not sampled."""
    fusion = trial.suggest_categorical("method.fusion", ["concat", "mix"])
    chosen: dict[str, Any] = {
        "method.fusion": fusion,
        "method.h": trial.suggest_categorical("method.h", [1, 2, 4, 8, 16]),
        "method.h_p": trial.suggest_categorical("method.h_p", [1, 2, 4, 8, 16]),
        "method.dpa_form": trial.suggest_categorical("method.dpa_form", ["softmax", "cosine"]),
        # with the form "cosine", s and w_dpa are one weight
        "method.s": trial.suggest_float("method.s", 1.0, 100.0, log=True),
        "method.w_dpa": trial.suggest_float("method.w_dpa", 0.01, 5.0, log=True),
        "method.w_ot": trial.suggest_float("method.w_ot", 0.01, 5.0, log=True),
        "method.lam": trial.suggest_float("method.lam", 0.005, 0.5, log=True),
        "method.ot_b": trial.suggest_categorical("method.ot_b", ["uniform", "label_hist", "kl"]),
        "training.lr": trial.suggest_float("training.lr", 5e-3, 3e-1, log=True),
    }
    if fusion == "mix":
        chosen["method.theta"] = trial.suggest_float("method.theta", 0.05, 0.95)
    return chosen


ANCHORS: list[dict[str, Any]] = []

RIVALS: dict[str, dict[str, Any]] = {
    "promptfl": {"method": "promptfl"},
    "promptfl_ft": {"method": "promptfl_ft"},
    "fedpgp": {"method": "fedpgp"},
    "local": {"method": "local"},
    "zeroshot": {"method": "zeroshot"},
}


def promptfl(trial: Any) -> dict[str, Any]:
    """Sample the closest plain method: a shared prompt that is averaged."""
    return {
        "method.h": trial.suggest_categorical("method.h", [1, 2, 4, 8, 16]),
        "training.lr": trial.suggest_float("training.lr", 5e-3, 3e-1, log=True),
    }


RIVAL_SPACES: dict[str, Any] = {"promptfl": promptfl}

INTERACTIONS: list[tuple[str, str]] = [
    ("method.lam", "method.w_ot"),
    ("method.w_dpa", "method.h_p"),
    ("method.w_ot", "method.w_dpa"),
]
