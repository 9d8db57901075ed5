"""Sensitivity of the outcome to the parameters of a space.

From the points of a design, with intervals and verdicts; from the trials of a search, without verdicts.
Arrays go in, records come out. `docs/sensitivity.md` says what the numbers mean and how well intervals cover.
"""

from .importances import Importances, importances
from .index import MIN_BLOCKS_PER_BRANCH, MU_LIMIT, TOTAL_LIMIT, Index, active_shares, rarely_active, verdict
from .morris import Morris, elementary_effects, morris_effects
from .run_noise import lost_ranges, mean_and_noise
from .sobol import Sobol, sobol_indices

__all__ = [
    "MIN_BLOCKS_PER_BRANCH", "MU_LIMIT", "TOTAL_LIMIT", "Importances", "Index", "Morris", "Sobol",
    "active_shares", "elementary_effects", "importances", "lost_ranges", "mean_and_noise", "morris_effects",
    "rarely_active", "sobol_indices", "verdict",
]  # fmt: skip
