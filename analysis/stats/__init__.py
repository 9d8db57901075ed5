"""Which parameters of a space matter: from designed points, with intervals; and, without verdicts, from trials of a search.

Arrays in, records out; `docs/sensitivity.md` says what the numbers mean and how well the intervals cover.
"""

from .importances import Importances, importances
from .index import (
    LEAST_BLOCKS,
    LEAST_TRAJECTORIES,
    LOST,
    MU_LIMIT,
    SELDOM,
    TOTAL_LIMIT,
    Index,
    Verdict,
    active_shares,
    too_seldom,
    verdict,
)
from .morris import Morris, elementary_effects, morris_effects
from .sobol import Sobol, sobol_indices

__all__ = [
    "LEAST_BLOCKS",
    "LEAST_TRAJECTORIES",
    "LOST",
    "MU_LIMIT",
    "SELDOM",
    "TOTAL_LIMIT",
    "Importances",
    "Index",
    "Morris",
    "Sobol",
    "Verdict",
    "active_shares",
    "elementary_effects",
    "importances",
    "morris_effects",
    "sobol_indices",
    "too_seldom",
    "verdict",
]
