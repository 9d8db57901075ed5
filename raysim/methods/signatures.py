"""Failure signatures: what the measurements of a federation look like when it goes wrong.

The papers name the failures. The limits are ours: the noise of one evaluation stays below them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raysim.core.types import Signature

Rounds = Sequence[Mapping[str, Any]]

FALL = 0.01  # accuracy: a point
RISE = 0.05  # share by which an alignment loss rises
UNCONVERGED = 0.05  # share of a round's transport problems
UNUSED = 0.005  # accuracy: half a point
JUMP = 0.3  # mean change of a class ratio from round to round; ratios have a mean of 1
STUCK = 0.01  # distance of a divergence from 0 or 1
COLLAPSED = 0.5  # share of images
FEWEST_ROUNDS = 4  # measured rounds, below which their second half is not judged

MEANINGS = {
    "semantic_drift": "private prompts leave the shared one: the alignment loss rises while "
    "acc_shared_global falls",
    "ot_not_converged": "Sinkhorn stops at its last iteration with marginals off by more than the tolerance",
    "private_unused": "each client does about as well, and no better or worse, without its private part",
    "cr_inverse": "class ratios rank against the true inverse class frequencies: frequent classes get the "
    "larger weights",
    "cr_erratic": "class ratios jump from round to round",
    "d_cka_zero": "the divergence of clients and server is stuck at 0: nothing local is kept",
    "d_cka_one": "the divergence of clients and server is stuck at 1: what the server sends is not taken",
    "mask_empty": "the gate closes every position of most images",
    "mask_full": "the gate leaves every position of most images open: it chooses nothing",
}


def meanings(*names: str) -> dict[str, str]:
    """Return some of the signatures, with what each means."""
    return {name: MEANINGS[name] for name in names}


def semantic_drift(rounds: Rounds) -> list[Signature]:
    """Find a shared model that got worse while private prompts left the shared one.

    Since the shared model's best evaluation its accuracy fell by a point or more, and the alignment loss rose
    by 5 % or more.
    """
    rows = [
        row
        for row in rounds
        if row["round"] > 0 and None not in (row.get("alignment_loss"), row.get("acc_shared_global"))
    ]
    if not rows:
        return []
    best, last = max(rows, key=lambda row: float(row["acc_shared_global"])), rows[-1]
    fall = best["acc_shared_global"] - last["acc_shared_global"]
    rise = last["alignment_loss"] / best["alignment_loss"] - 1 if best["alignment_loss"] > 0 else 0.0
    if fall < FALL or rise < RISE:
        return []
    detail = (
        f"since round {best['round']} the alignment loss rose from {best['alignment_loss']:.3g} to "
        f"{last['alignment_loss']:.3g} while acc_shared_global fell from {best['acc_shared_global']:.3f} to "
        f"{last['acc_shared_global']:.3f}"
    )
    return [Signature("semantic_drift", last["round"], fall, FALL, detail)]


def ot_not_converged(rounds: Rounds, tolerance: float, iterations: int) -> list[Signature]:
    """Find a round in which over 5 % of the transport problems ended above the tolerance, or not finite."""
    rows = [row for row in rounds if row.get("ot_unconverged") is not None]
    worst = max(rows, key=lambda row: float(row["ot_unconverged"]), default=None)
    if worst is None or worst["ot_unconverged"] <= UNCONVERGED:
        return []
    detail = (
        f"in round {worst['round']} {100 * worst['ot_unconverged']:.0f} % of the transport problems had a "
        f"marginal error above {tolerance:g} after {iterations:,} iterations "
        f"(mean error {worst['ot_marginal_error']:.2g})"
    )
    return [Signature("ot_not_converged", worst["round"], worst["ot_unconverged"], UNCONVERGED, detail)]


def private_unused(rounds: Rounds) -> list[Signature]:
    """Find a private part that moves a client's accuracies by less than half a point at the last evaluation.

    The mean is over clients, of the larger change of the own and the global accuracy.
    """
    rows = [row for row in rounds if row["round"] > 0 and row.get("private_effect") is not None]
    if not rows or rows[-1]["private_effect"] >= UNUSED:
        return []
    last, effect = rows[-1], rows[-1]["private_effect"]
    detail = (
        f"in round {last['round']} the private part moves a client's accuracies by {100 * effect:.2f} "
        "points on average"
    )
    return [Signature("private_unused", last["round"], effect, UNUSED, detail)]


def class_ratios(rounds: Rounds) -> list[Signature]:
    """Find class ratios that rank against the inverse frequencies, or jump, in the second half of rounds."""
    signatures = []
    rank, jump = _second_half(rounds, "cr_spearman"), _second_half(rounds, "cr_jump")
    if rank is not None and rank[1] < 0:
        detail = (
            f"over rounds {rank[2]} to {rank[0]} the rank correlation of CR with the inverse class "
            f"frequencies is {rank[1]:.2f} on average"
        )
        signatures.append(Signature("cr_inverse", rank[0], rank[1], 0.0, detail))
    if jump is not None and jump[1] > JUMP:
        detail = (
            f"over rounds {jump[2]} to {jump[0]} a class ratio changes by {jump[1]:.2f} from round to "
            "round on average"
        )
        signatures.append(Signature("cr_erratic", jump[0], jump[1], JUMP, detail))
    return signatures


def divergence(rounds: Rounds) -> list[Signature]:
    """Find a divergence that is within 0.01 of 0 or of 1 on average in the second half of the rounds."""
    half = _second_half(rounds, "d_cka")
    if half is None or STUCK <= half[1] <= 1 - STUCK:
        return []
    last, mean, first = half
    name, limit = ("d_cka_zero", STUCK) if mean < STUCK else ("d_cka_one", 1 - STUCK)
    detail = f"over rounds {first} to {last} D_CKA is {mean:.3f} on average"
    return [Signature(name, last, mean, limit, detail)]


def masks(rounds: Rounds) -> list[Signature]:
    """Find masks that are all closed, or all open, for most images in the second half of the rounds."""
    signatures = []
    for name, state in (("mask_empty", "closed"), ("mask_full", "open")):
        half = _second_half(rounds, name)
        if half is not None and half[1] > COLLAPSED:
            last, mean, first = half
            detail = (
                f"over rounds {first} to {last} every position is {state} in {100 * mean:.0f} "
                "% of the training images"
            )
            signatures.append(Signature(name, last, mean, COLLAPSED, detail))
    return signatures


def _second_half(rounds: Rounds, name: str) -> tuple[int, float, int] | None:
    """Last round, mean and first round of the later half of the rounds with `name`; None if too few."""
    rows = [row for row in rounds if row["round"] > 0 and row.get(name) is not None]
    if len(rows) < FEWEST_ROUNDS:
        return None
    rows = rows[len(rows) // 2 :]
    return rows[-1]["round"], sum(float(row[name]) for row in rows) / len(rows), rows[0]["round"]
