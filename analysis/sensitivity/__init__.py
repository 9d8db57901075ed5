"""Which parameters of a space matter: from designed points, with intervals; and, without verdicts, from trials of a search.

Arrays in, records out; `docs/sensitivity.md` says what the numbers mean and how well the intervals cover.
"""

from .importances import Importances, importances
from .index import LEAST_BLOCKS, LEAST_TRAJECTORIES, LOST, MU_LIMIT, TOTAL_LIMIT, Index, Verdict, active_shares, too_seldom, verdict
from .morris import Morris, elementary_effects, morris_effects
from .response import Response, independent_rows, response
from .sobol import Sobol, sobol_indices

__all__ = [
    "LEAST_BLOCKS", "LEAST_TRAJECTORIES", "LOST", "MU_LIMIT", "TOTAL_LIMIT", "Importances", "Index", "Morris", "Response", "Sobol",
    "Verdict", "active_shares", "elementary_effects", "importances", "independent_rows", "morris_effects", "response", "sobol_indices",
    "too_seldom", "verdict",
]  # fmt: skip
