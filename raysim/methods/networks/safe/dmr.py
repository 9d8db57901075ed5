"""DMR, SAFE's dynamic modulation over rounds: how local a client may be, from global (0) to local (beta_max).

    beta(t) = beta_max s((t - warmup) / (1 - warmup)),    s(t) = (1 - cos(pi t)) / 2

t is the share of finished rounds.

Stated by the paper: the cosine. The warm-up and the other shapes of s are open choices.
"""

from __future__ import annotations

from math import cos, pi
from typing import Literal

from raysim.core.config import knob
from raysim.methods.networks.base import NetworkMethod


class DynamicModulation(NetworkMethod):
    """The schedule of FAU's merge, and where it is wanted of CRO's class ratios."""

    dmr: Literal["cosine", "linear", "constant", "reversed"] = knob(
        "cosine",
        "DMR: beta over rounds; constant = a fixed EMA",
        basis="paper",
        search="{cosine,linear,constant,reversed}",
    )
    beta_max: float = knob(
        1.0,
        "DMR: largest beta; 0 = always the global network",
        basis="guess",
        search="U [0.2, 1]",
        ge=0,
        le=1,
    )
    warmup: float = knob(
        0.0,
        "DMR: share of the rounds before beta leaves 0",
        basis="guess",
        search="{0,0.1,0.2}",
        ge=0,
        lt=1,
    )
    dmr_on_cro: bool = knob(
        False,
        "DMR: fade class ratios to 1 as beta rises",
        basis="guess",
        search="{false,true}",
    )

    def beta(self, progress: float) -> float:
        """Return the local factor in [0, beta_max] after a share `progress` of the rounds."""
        if progress < self.warmup:
            return 0.0
        return self.beta_max * self.shape((progress - self.warmup) / (1 - self.warmup))

    def shape(self, progress: float) -> float:
        """Return the schedule in [0, 1], before warm-up and scale."""
        cosine = 0.5 * (1 - cos(pi * progress))
        shapes = {"cosine": cosine, "linear": progress, "constant": 1.0, "reversed": 1 - cosine}
        return shapes[self.dmr]
