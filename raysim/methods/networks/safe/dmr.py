"""DMR, SAFE's dynamic modulation over rounds: how local a client may be, from global (0) to local (beta_max).

    beta(t) = beta_max s((t - warmup) / (1 - warmup)),    s(t) = (1 - cos(pi t)) / 2
    CR(t)   = (1 - beta(t)) CR + beta(t)                  class ratios as they are sent, with `dmr_on_cro`

t is the share of finished rounds. One beta moves the merge and the class ratios: what makes clients more
local also fades what the server says about classes.

Stated by the paper: the cosine. The warm-up, the other shapes of s, a largest beta below 1, and whether DMR
acts on the class ratios are open choices.
"""

from __future__ import annotations

from math import cos, pi
from typing import Literal

import torch

from raysim.core.config import knob
from raysim.methods.networks.base import NetworkMethod


class DynamicModulation(NetworkMethod):
    """The schedule of FAU's merge, and where it is wanted of CRO's class ratios."""

    dmr: Literal["cosine", "linear", "constant", "reversed"] = knob(
        "cosine",
        "DMR: beta over rounds; constant = a fixed EMA",
        basis="paper",
        search="{cosine,linear,constant,reversed}",
        used_when=(
            "fau=true, or cro=true and dmr_on_cro=true, and beta_max above 0",
            lambda self: self.modulates and self.beta_max > 0,
        ),
    )
    beta_max: float = knob(
        1.0,
        "DMR: largest beta; 0 = always the global network",
        basis="guess",
        search="U [0.2, 1]",
        ge=0,
        le=1,
        used_when=("fau=true, or cro=true and dmr_on_cro=true", lambda self: self.modulates),
    )
    warmup: float = knob(
        0.0,
        "DMR: share of the rounds before beta leaves 0",
        basis="guess",
        search="{0,0.1,0.2}",
        ge=0,
        lt=1,
        used_when=(
            "fau=true, or cro=true and dmr_on_cro=true, and beta_max above 0",
            lambda self: self.modulates and self.beta_max > 0,
        ),
    )
    dmr_on_cro: bool = knob(
        False,
        "DMR: class ratios fade to 1 by beta, too",
        basis="guess",
        search="{false,true}",
        used_when=("cro=true and beta_max above 0", lambda self: self.has_ratios and self.beta_max > 0),
    )

    @property
    def has_ratios(self) -> bool:
        """Whether there are class ratios to fade."""
        return True

    @property
    def modulates(self) -> bool:
        """Whether any mechanism follows the schedule."""
        return True

    def fade(self, ratios_C: torch.Tensor, progress: float) -> torch.Tensor:
        """Return class ratios [C] moved towards 1 by beta after a share `progress` of the rounds."""
        beta = self.beta(progress) if self.dmr_on_cro else 0.0
        return (1 - beta) * ratios_C + beta

    def beta(self, progress: float) -> float:
        """Return the local factor in [0, beta_max] after a share `progress` of the rounds."""
        if progress < self.warmup:
            return 0.0
        return self.beta_max * self.shape((progress - self.warmup) / (1 - self.warmup))

    def shape(self, progress: float) -> float:
        """Return the schedule in [0, 1] after a share of the rounds that follow the warm-up."""
        cosine = 0.5 * (1 - cos(pi * progress))
        shapes = {"cosine": cosine, "linear": progress, "constant": 1.0, "reversed": 1 - cosine}
        return shapes[self.dmr]
