"""Failure signatures: how a federation that goes wrong shows it.

The papers name the failures; the limits are ours, chosen so that noise of one evaluation does not pass them.
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
STUCK = 0.01  # of a divergence from 0 or 1
COLLAPSED = 0.5  # share of images
LEAST = 4  # rounds, before anything is said of their second half

WATCHED = {
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


def watched(*names: str) -> dict[str, str]:
    """Some of the signatures, with what each means."""
    return {name: WATCHED[name] for name in names}


def semantic_drift(rounds: Rounds) -> list[Signature]:
    """Since the shared model's best evaluation its accuracy fell by a point or more while the alignment loss rose by 5 % or more."""
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
        f"{last['alignment_loss']:.3g} "
        f"while acc_shared_global fell from {best['acc_shared_global']:.3f} to "
        f"{last['acc_shared_global']:.3f}"
    )
    return [Signature("semantic_drift", last["round"], fall, FALL, detail)]


def ot_not_converged(rounds: Rounds, tolerance: float, iterations: int) -> list[Signature]:
    """In some round more than 5 % of the transport problems ended above the tolerance, or with costs that are not finite."""
    rows = [row for row in rounds if row.get("ot_unconverged") is not None]
    worst = max(rows, key=lambda row: float(row["ot_unconverged"]), default=None)
    if worst is None or worst["ot_unconverged"] <= UNCONVERGED:
        return []
    detail = (
        f"in round {worst['round']} {100 * worst['ot_unconverged']:.0f} % of the transport problems had a "
        "marginal error above "
        f"{tolerance:g} after {iterations:,} iterations (mean error {worst['ot_marginal_error']:.2g})"
    )
    return [Signature("ot_not_converged", worst["round"], worst["ot_unconverged"], UNCONVERGED, detail)]


def private_unused(rounds: Rounds) -> list[Signature]:
    """At the last evaluation the private part moves a client's accuracies, own and global, by less than half a point on average."""
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
    """In the second half of the rounds class ratios rank against the inverse frequencies, or change by more than 0.3 a round."""
    found = []
    rank, jump = _late(rounds, "cr_spearman"), _late(rounds, "cr_jump")
    if rank is not None and rank[1] < 0:
        detail = (
            f"over rounds {rank[2]} to {rank[0]} the rank correlation of CR with the inverse class "
            f"frequencies is {rank[1]:.2f} on average"
        )
        found.append(Signature("cr_inverse", rank[0], rank[1], 0.0, detail))
    if jump is not None and jump[1] > JUMP:
        detail = (
            f"over rounds {jump[2]} to {jump[0]} a class ratio changes by {jump[1]:.2f} from round to "
            "round on average"
        )
        found.append(Signature("cr_erratic", jump[0], jump[1], JUMP, detail))
    return found


def divergence(rounds: Rounds) -> list[Signature]:
    """In the second half of the rounds D is within 0.01 of 0 or of 1 on average."""
    late = _late(rounds, "d_cka")
    if late is None or STUCK <= late[1] <= 1 - STUCK:
        return []
    name, limit = ("d_cka_zero", STUCK) if late[1] < STUCK else ("d_cka_one", 1 - STUCK)
    return [
        Signature(
            name,
            late[0],
            late[1],
            limit,
            f"over rounds {late[2]} to {late[0]} D_CKA is {late[1]:.3f} on average",
        )
    ]


def masks(rounds: Rounds) -> list[Signature]:
    """In the second half of the rounds the masks of most images are all closed, or all open."""
    found = []
    for name, state in (("mask_empty", "closed"), ("mask_full", "open")):
        late = _late(rounds, name)
        if late is not None and late[1] > COLLAPSED:
            detail = (
                f"over rounds {late[2]} to {late[0]} every position is {state} in {100 * late[1]:.0f} "
                "% of the training images"
            )
            found.append(Signature(name, late[0], late[1], COLLAPSED, detail))
    return found


def _late(rounds: Rounds, name: str) -> tuple[int, float, int] | None:
    """Last round, mean and first round of the second half of the rounds in which something was measured; None of fewer than 4."""
    rows = [row for row in rounds if row["round"] > 0 and row.get(name) is not None]
    if len(rows) < LEAST:
        return None
    rows = rows[len(rows) // 2 :]
    return rows[-1]["round"], sum(float(row[name]) for row in rows) / len(rows), rows[0]["round"]
