"""Sensitivity of the outcome to the parameters of a space.

From the points of a design, with intervals and verdicts; from the trials of a search, without verdicts.
Arrays go in, records come out. `docs/sensitivity.md` says what the numbers mean and how well intervals cover.
"""

from .designs import Morris, Sobol, elementary_effects, morris_effects, sobol_indices
from .importances import Importances, importances
from .index import (
    MIN_BLOCKS_PER_BRANCH,
    MU_LIMIT,
    TOTAL_LIMIT,
    Index,
    active_shares,
    lost_ranges,
    mean_and_noise,
    rarely_active,
    verdict,
)

__all__ = [
    "MIN_BLOCKS_PER_BRANCH", "MU_LIMIT", "TOTAL_LIMIT", "Importances", "Index", "Morris", "Sobol",
    "active_shares", "elementary_effects", "importances", "lost_ranges", "mean_and_noise", "morris_effects",
    "rarely_active", "sobol_indices", "verdict",
]  # fmt: skip
