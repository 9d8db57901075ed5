"""Local training: what a client does in a round."""

from __future__ import annotations

from math import cos, pi
from typing import Literal

from raysim.core.config import Config, knob


class Training(Config):
    """A client's optimiser, its learning rate over rounds, its batches."""

    optimiser: Literal["sgd", "adam"] = knob(
        "sgd",
        "local optimiser; its state starts afresh every round",
        basis="relative",
        source="CoOp",
        search="{sgd,adam}",
    )
    lr: float = knob(
        0.002,
        "learning rate",
        basis="relative",
        source="CoOp",
        search="log-U [3e-4, 5e-2]",
        gt=0,
        le=100,
    )
    momentum: float = knob(
        0.9,
        "momentum of SGD",
        basis="relative",
        source="CoOp",
        ge=0,
        lt=1,
        used_when=("optimiser=sgd", lambda self: self.optimiser == "sgd"),
    )
    weight_decay: float = knob(5e-4, "L2 weight decay", basis="relative", source="CoOp", ge=0, le=1)
    schedule: Literal["constant", "cosine"] = knob(
        "cosine",
        "learning rate over rounds",
        basis="relative",
        source="CoOp",
        search="{constant,cosine}",
    )
    batch: int = knob(
        32,
        "images per step",
        basis="relative",
        source="CoOp, FedOTP",
        search="{8,16,32,64}",
        ge=1,
        le=4096,
    )
    epochs: int = knob(
        1,
        "local epochs per round",
        basis="relative",
        source="FedOTP",
        search="{1,2,5}",
        ge=1,
        le=1000,
    )
    micro_cohort: int = knob(
        8,
        "clients that train stacked; part of the experiment, never of the machine",
        basis="computed",
        ge=1,
        le=256,
    )

    def rate(self, round_: int, rounds: int) -> float:
        """Return the learning rate in round `round_` of `rounds`, counted from 0."""
        return self.lr if self.schedule == "constant" else self.lr * 0.5 * (1 + cos(pi * round_ / rounds))
