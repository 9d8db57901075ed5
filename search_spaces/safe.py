"""Which of the choices that the SAFE paper leaves open decide the outcome, and at which imbalance?

The source of every default and range is in `raysim/methods/networks/safe/`; `raysim sweep safe --dry-run`
lists what is varied.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, override


def base() -> Experiment:
    """Return the anchor: the paper's four mechanisms, and guesses where the paper gives no value.

    A small ResNet is trained from scratch on ten classes of the bundled scenes.
    """
    return override(
        Experiment(),
        {
            "method": "safe",
            "rounds": 10,
            "task.classes": 10,
            "task.shots": 60,  # enough for a tail of one image at 50:1
            "task.image_size": 32,  # 64 takes twice the time of a trial
            "task.ses": 5,  # for every method, so that all train on the same images
            "task.views": 4,
            "scenario": "long_tail",
            "scenario.imbalance": 10.0,
            "scenario.alpha": 0.5,
            "scenario.clients": 10,
            "method.d": 32,  # 128 would add a fifth to the small network's FLOPs
            "method.d_e": 32,
            "training.lr": 0.03,  # with 0.1 and more, BatchNorm and momentum make single seeds fail
            "training.batch": 16,
            "training.epochs": 2,
            "evaluation.every": 5,
            "resources.workers": 1,
        },
    )


SCENARIOS: list[dict[str, Any]] = [
    {"scenario.imbalance": 1.0},
    {"scenario.imbalance": 10.0},
    {"scenario.imbalance": 50.0},
]

CONTRASTS: dict[str, list[Any]] = {
    "method.cro": [False],
    "method.fau": [False],
    "method.ace": [False],
    "method.dmr": [{"method.dmr": "constant", "method.beta_max": 0.5}, "reversed"],
    "method.beta_max": [0.3],
    "method.kappa": [5.0],
    "method.autoscale": [0.7],
    "method.debiased": [False],
    "method.estimator": ["composition", "ratio"],
    "method.p": [2.0],
    "method.scope": ["all"],
    "method.m": [0.9],
    "method.dmr_on_cro": [True],
    "task.ses": [2, 10],
    "method.tau_g": [
        {"method.tau_g": 5.0, "method.tau_g_schedule": "constant"},
        {"method.tau_g": 0.1, "method.tau_g_end": 0.1},
    ],
    "method.gating": ["residual"],
    "method.d": [128],
    "method.gate_rate": [1.0],
    "method.open_bias": [0.0],
    "method.w_mask": [0.1],
    "method.norm": ["group"],
    "training.lr": [0.01, 0.1],
}


def space(trial: Any) -> dict[str, Any]:
    """Sample define-by-run: parameters that a choice switches off are not sampled."""
    chosen: dict[str, Any] = {
        "training.lr": trial.suggest_float("training.lr", 0.005, 0.2, log=True),
        "method.cro": trial.suggest_categorical("method.cro", [True, False]),
        "method.fau": trial.suggest_categorical("method.fau", [True, False]),
        "method.ace": trial.suggest_categorical("method.ace", [True, False]),
    }
    if chosen["method.cro"] or chosen["method.fau"]:
        chosen["task.ses"] = trial.suggest_categorical("task.ses", [2, 5, 10])
    if chosen["method.cro"]:
        chosen["method.estimator"] = trial.suggest_categorical(
            "method.estimator", ["proportion", "composition", "ratio"]
        )
        chosen["method.m"] = trial.suggest_float("method.m", 0.0, 0.9)
        chosen["method.cr_max"] = trial.suggest_categorical("method.cr_max", [3.0, 5.0, 10.0])
        if chosen["method.estimator"] == "proportion":
            chosen["method.p"] = trial.suggest_categorical("method.p", [1.0, 2.0])
            chosen["method.scope"] = trial.suggest_categorical("method.scope", ["head", "row"])
    if chosen["method.fau"]:
        chosen["method.dmr"] = trial.suggest_categorical(
            "method.dmr", ["cosine", "linear", "constant", "reversed"]
        )
        chosen["method.beta_max"] = trial.suggest_float("method.beta_max", 0.2, 1.0)
        chosen["method.warmup"] = trial.suggest_categorical("method.warmup", [0.0, 0.1, 0.2])
        chosen["method.autoscale"] = trial.suggest_categorical("method.autoscale", [None, 0.7])
        if chosen["method.autoscale"] is None:
            chosen["method.kappa"] = trial.suggest_float("method.kappa", 0.5, 5.0, log=True)
    if chosen["method.ace"]:
        chosen["method.d"] = trial.suggest_categorical("method.d", [32, 64, 128, 256])
        chosen["method.gating"] = trial.suggest_categorical("method.gating", ["hard", "residual"])
        chosen["method.tau_g"] = trial.suggest_float("method.tau_g", 0.1, 5.0, log=True)
        chosen["method.tau_g_schedule"] = trial.suggest_categorical(
            "method.tau_g_schedule", ["constant", "anneal"]
        )
        if chosen["method.tau_g_schedule"] == "anneal":
            chosen["method.tau_g_end"] = trial.suggest_float("method.tau_g_end", 0.1, 1.0, log=True)
        chosen["method.w_mask"] = trial.suggest_categorical("method.w_mask", [0.0, 0.1, 1.0])
    return chosen


ANCHORS: list[dict[str, Any]] = []

RIVALS: dict[str, dict[str, Any]] = {
    "fedavg": {"method": "fedavg"},
    "fedprox": {"method": "fedprox", "method.mu": 0.01},
    "fedema": {"method": "fedema"},
    "ratio_loss": {"method": "ratio_loss"},
}


def fedavg(trial: Any) -> dict[str, Any]:
    """Sample the same network without any mechanism."""
    return {
        "method.norm": trial.suggest_categorical("method.norm", ["batch", "group"]),
        "training.lr": trial.suggest_float("training.lr", 0.005, 0.2, log=True),
    }


RIVAL_SPACES: dict[str, Any] = {"fedavg": fedavg}

INTERACTIONS: list[tuple[str, str]] = [
    ("method.cro", "method.fau"),
    ("method.fau", "method.ace"),
    ("method.cro", "method.ace"),
]

MINUTES = 40.0  # more than the default, because networks are trained
