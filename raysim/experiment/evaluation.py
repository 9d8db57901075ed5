"""Evaluation: when accuracies are measured, and on which clients."""

from __future__ import annotations

from raysim.core.config import Config, knob


class Evaluation(Config):
    """Settings of the evaluation: in which rounds and on how many clients accuracies are measured."""

    every: int = knob(
        5,
        "rounds between evaluations; the last round is always evaluated",
        basis="guess",
        ge=1,
    )
    clients: int = knob(200, "most clients evaluated: a fixed seeded sample beyond", basis="guess", ge=2)
    newcomers: float = knob(
        0.0,
        "share of the clients that never take part in training and are measured apart; above 0 at least "
        "one, and one is left to train",
        basis="guess",
        search="0 to 0.5",
        ge=0,
        le=0.9,
    )
