"""Failure signatures of methods with a shared and a private part: how a federation that goes wrong shows it.

The papers name the failures; the limits are ours, chosen so that noise of one evaluation does not pass them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raysim.types import Signature

Rounds = Sequence[Mapping[str, Any]]

FALL = 0.01  # accuracy: a point
RISE = 0.05  # share by which an alignment loss rises
UNCONVERGED = 0.05  # share of a round's transport problems
UNUSED = 0.005  # accuracy: half a point

WATCHED = {
    "semantic_drift": "private prompts leave the shared one: the alignment loss rises while acc_shared_global falls",
    "ot_not_converged": "Sinkhorn stops at its last iteration with marginals off by more than the tolerance",
    "private_unused": "each client does about as well, and no better or worse, without its private part",
}


def watched(*names: str) -> dict[str, str]:
    """Some of the signatures, with what each means."""
    return {name: WATCHED[name] for name in names}


def semantic_drift(rounds: Rounds) -> list[Signature]:
    """Since the shared model's best evaluation its accuracy fell by a point or more while the alignment loss rose by 5 % or more."""
    rows = [row for row in rounds if row["round"] > 0 and None not in (row.get("alignment_loss"), row.get("acc_shared_global"))]
    if not rows:
        return []
    best, last = max(rows, key=lambda row: float(row["acc_shared_global"])), rows[-1]
    fall = best["acc_shared_global"] - last["acc_shared_global"]
    rise = last["alignment_loss"] / best["alignment_loss"] - 1 if best["alignment_loss"] > 0 else 0.0
    if fall < FALL or rise < RISE:
        return []
    detail = (
        f"since round {best['round']} the alignment loss rose from {best['alignment_loss']:.3g} to {last['alignment_loss']:.3g} "
        f"while acc_shared_global fell from {best['acc_shared_global']:.3f} to {last['acc_shared_global']:.3f}"
    )
    return [Signature("semantic_drift", last["round"], fall, FALL, detail)]


def ot_not_converged(rounds: Rounds, tolerance: float, iterations: int) -> list[Signature]:
    """In some round more than 5 % of the transport problems ended above the tolerance, or with costs that are not finite."""
    rows = [row for row in rounds if row.get("ot_unconverged") is not None]
    worst = max(rows, key=lambda row: float(row["ot_unconverged"]), default=None)
    if worst is None or worst["ot_unconverged"] <= UNCONVERGED:
        return []
    detail = (
        f"in round {worst['round']} {100 * worst['ot_unconverged']:.0f} % of the transport problems had a marginal error above "
        f"{tolerance:g} after {iterations:,} iterations (mean error {worst['ot_marginal_error']:.2g})"
    )
    return [Signature("ot_not_converged", worst["round"], worst["ot_unconverged"], UNCONVERGED, detail)]


def private_unused(rounds: Rounds) -> list[Signature]:
    """At the last evaluation the private part moves a client's accuracies, own and global, by less than half a point on average."""
    rows = [row for row in rounds if row["round"] > 0 and row.get("private_effect") is not None]
    if not rows or rows[-1]["private_effect"] >= UNUSED:
        return []
    last, effect = rows[-1], rows[-1]["private_effect"]
    detail = f"in round {last['round']} the private part moves a client's accuracies by {100 * effect:.2f} points on average"
    return [Signature("private_unused", last["round"], effect, UNUSED, detail)]
