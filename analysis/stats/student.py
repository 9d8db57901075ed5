"""Student's t from an estimate, its standard error and its degrees of freedom."""

from __future__ import annotations

import numpy as np

from .pools import NO_WIDTH


def interval(
    centre: float, se: float | None, df: float | None, confidence: float
) -> tuple[float, float] | tuple[None, None]:
    """Ends of the interval of an estimate; none without a standard error, or with one of no width."""
    if se is None or df is None or se <= NO_WIDTH:
        return None, None
    half = float(quantile(df, confidence)) * se
    return centre - half, centre + half


def quantile(df: float | np.ndarray, confidence: float) -> np.ndarray:
    """Half width of a t interval, in standard errors."""
    from scipy.special import stdtrit

    return stdtrit(np.minimum(df, 1e6), 0.5 + confidence / 2)


def p_value(centre: float, se: float | None, df: float | None) -> float | None:
    """Two-sided p value of zero; None without a standard error."""
    from scipy.special import stdtr

    if se is None or df is None or se <= NO_WIDTH:
        return None
    return float(2 * stdtr(min(df, 1e6), -abs(centre) / se))
