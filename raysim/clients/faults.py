"""Faults of a federation on a virtual clock: who drops out, who is late, whose update is corrupt. Seconds are counted, never slept.

    seconds_i = (down_i + up_i) / link_i + steps_i * step_seconds * speed_i         from the round's start to the update's arrival
    speed_i   = exp(speed_sigma * z),  link_i = bytes_per_second * exp(link_sigma * z)        z ~ N(0, 1) of a client, for the run

A round draws ceil(over_selection * cohort) clients. Some drop out: they got the model, then died; they keep
the private state of before. Of the others the first `cohort` that arrive until the deadline are averaged. The
server goes on with the last of these, or at the deadline where they were too few; without a deadline when it
has enough or nobody is left (so it does notice who is gone). All others of that round are late: they finish
their work and keep its private state, for they do not know. Their updates are lost (`stale = "drop"`) or
added to the round in which they arrive (`"keep"`), as long as the run lasts, with the weight

    images * (1 + staleness)^(-1/2)                                                 staleness: rounds since the one of its training

Where nothing arrives the shared tensors stay as they are. Every draw is addressed by (seed, purpose, round,
client): it depends on no order and on no other client.

Simplified: a client that is still on its way may be drawn again and then does both; connections do not share
bandwidth; a client that dropped out cost its download and nothing else. A corrupt client corrupts what is
averaged: what it sends beside that, and what it keeps, is true.

References:
    Bonawitz et al., "Towards Federated Learning at Scale: System Design", MLSys 2019 (over-selection,
    reporting deadline). Xie et al., "Asynchronous Federated Optimization" (FedAsync), 2019 (polynomial weight
    of a stale model, a = 1/2). Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant
    Gradient Descent", NeurIPS 2017 (workers that send anything).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, exp
from typing import Literal

import numpy as np
import torch

from raysim.core.config import Config, knob
from raysim.core.seeds import numpy_rng
from raysim.core.types import Payload, Tensors, Update

# before "ROUND/CLIENT" (float64: seconds until it arrives, images) and "ROUND/CLIENT/NAME" (what was sent)
HELD = "late/"
ROUNDING = 1e-9  # 0.1 * 30 is 3, not 3.0000000000000004


class Faults(Config):
    """What goes wrong. By default nothing does, and no clock runs."""

    dropout: float = knob(
        0.0,
        "probability that a client drawn for a round dies after it got the model; its private state stays "
        "as before",
        basis="guess",
        search="{0,0.1,0.3,0.5}",
        ge=0,
        le=1,
    )
    corrupt: float = knob(
        0.0,
        "share of the clients, rounded up and fixed for the run, whose updates are corrupt in every round",
        basis="guess",
        search="{0,0.1,0.2,0.4}",
        ge=0,
        lt=1,
    )
    corruption: Literal["nan", "sign_flip", "scaled"] = knob(
        "sign_flip",
        "what a corrupt client sends: NaN; its change with the opposite sign; its change times `scale`",
        basis="relative",
        source="Blanchard et al.; Yin et al., ICML 2018",
        search="{nan,sign_flip,scaled}",
    )
    scale: float = knob(10.0, "factor of a scaled update", basis="guess", search="{10,100}", ge=-1e6, le=1e6)
    step_seconds: float = knob(
        1.0,
        "virtual seconds of a local step on the median device",
        basis="guess",
        search="measure it",
        ge=0,
        le=1e6,
    )
    speed_sigma: float = knob(
        0.5,
        "sigma of the log-normal factor on a client's step time; 0 = all devices alike",
        basis="guess",
        search="{0,0.5,1}",
        ge=0,
        le=5,
    )
    bytes_per_second: float = knob(
        1e6,
        "bytes per second of the median link, up and down alike",
        basis="guess",
        gt=0,
        le=1e12,
    )
    link_sigma: float = knob(
        0.5,
        "sigma of the log-normal factor on a client's bytes per second; 0 = all links alike",
        basis="guess",
        search="{0,0.5,1}",
        ge=0,
        le=5,
    )
    deadline: float | None = knob(
        None,
        "virtual seconds after which the server goes on without the rest; null = it waits for all that "
        "are left",
        basis="guess",
        search="quantiles of virtual_seconds",
        gt=0,
        le=1e9,
    )
    over_selection: float = knob(
        1.0,
        "clients drawn over clients wanted, never more than there are; the first to arrive count",
        basis="relative",
        source="Bonawitz et al.: 1.3",
        search="{1,1.3}",
        ge=1,
        le=10,
    )
    stale: Literal["drop", "keep"] = knob(
        "drop",
        "late updates: lost, or added to the round in which they arrive with weight (1 + staleness)^(-1/2)",
        basis="relative",
        source="drop: Bonawitz et al.; keep: FedAsync",
        search="{drop,keep}",
    )

    @property
    def active(self) -> bool:
        """Whether any field is not its default: then the clock runs."""
        return self != Faults()


@dataclass(frozen=True)
class Turn:
    """How a round went: who arrived in time, who is late by how many seconds after the server went on, who dropped out, its seconds."""

    arrived: tuple[int, ...]
    late: Mapping[int, float] = field(default_factory=dict)
    dropped: tuple[int, ...] = ()
    seconds: float = 0.0


def drawn(faults: Faults, wanted: int, clients: int) -> int:
    """How many clients are drawn so that `wanted` arrive, of so many that there are."""
    return min(clients, ceil(wanted * faults.over_selection - ROUNDING))


def client_seconds(faults: Faults, seed: int, client: int, steps: int, payload: Payload) -> float:
    """Virtual seconds from the round's start to the arrival of a client's update."""
    speed, link = (
        exp(sigma * numpy_rng(seed, purpose, client).standard_normal())
        for purpose, sigma in (("speed", faults.speed_sigma), ("link", faults.link_sigma))
    )
    return (payload.down + payload.up) / (
        faults.bytes_per_second * link
    ) + steps * faults.step_seconds * speed


def drops_out(faults: Faults, seed: int, round_: int, client: int) -> bool:
    """Whether a client that was drawn for the round dies in it."""
    return bool(numpy_rng(seed, "dropout", round_, client).random() < faults.dropout)


def turn(faults: Faults, seed: int, round_: int, seconds: Mapping[int, float], wanted: int) -> Turn:
    """Decide a round.

    Args:
        faults: What may go wrong.
        seed: The experiment's.
        round_: From 0.
        seconds: When each drawn client's update would arrive (`client_seconds`).
        wanted: Updates that the server waits for.

    Returns:
        Clients in ascending order. Equal times: the lower number is first. An update that arrives at the
        deadline is in time.
    """
    dropped = tuple(client for client in sorted(seconds) if drops_out(faults, seed, round_, client))
    order = sorted((second, client) for client, second in seconds.items() if client not in dropped)
    first = [
        (second, client)
        for second, client in order[:wanted]
        if faults.deadline is None or second <= faults.deadline
    ]
    end = max(first, default=(0.0, 0))[0]
    if faults.deadline is not None and len(first) < wanted:
        end = faults.deadline
    arrived = {client for _, client in first}
    late = {client: second - end for second, client in order if client not in arrived}
    return Turn(tuple(sorted(arrived)), dict(sorted(late.items())), dropped, end)


def corrupt_clients(faults: Faults, seed: int, trainers: np.ndarray) -> frozenset[int]:
    """The clients whose updates are corrupt, the same in every round: ceil(corrupt * n) of the n that take part in training."""
    count = ceil(faults.corrupt * len(trainers) - ROUNDING)
    return frozenset(numpy_rng(seed, "corrupt").permutation(trainers)[:count].tolist())


def corrupted(faults: Faults, received: Tensors, up: Tensors) -> Tensors:
    """What a corrupt client sends in place of `up` to be averaged: all of it, BatchNorm's statistics too. Its own copies stay true."""
    if faults.corruption == "nan":
        return {name: torch.full_like(tensor, torch.nan) for name, tensor in up.items()}
    factor = -1.0 if faults.corruption == "sign_flip" else faults.scale
    return {name: received[name] + factor * (tensor - received[name]) for name, tensor in up.items()}


def hold(update: Update, late: Mapping[int, float], round_: int) -> Tensors:
    """A late update as tensors that go into the checkpoint: MEMORY GROWS WITH THE CLIENTS ON THEIR WAY, by their shared tensors each."""
    held: Tensors = {}
    for client, images, sent in zip(update.clients, update.examples, update.each, strict=True):
        key = f"{HELD}{round_}/{client}"
        held[key] = torch.tensor([late[client], float(images)], dtype=torch.float64)
        held |= {f"{key}/{name}": tensor.clone() for name, tensor in sent.items()}
    return held


def arriving(held: Tensors, round_: int, seconds: float) -> tuple[list[Update], Tensors]:
    """The late updates that arrive within the `seconds` of a round, oldest first, and what is still on its way."""
    updates: list[Update] = []
    waiting: Tensors = {}
    for born, client in sorted(
        (int(born), int(client)) for born, client, *rest in map(_parts, held) if not rest
    ):
        key = f"{HELD}{born}/{client}"
        left, images = held[key].tolist()
        sent = {
            name.removeprefix(f"{key}/"): tensor
            for name, tensor in held.items()
            if name.startswith(f"{key}/")
        }
        if left > seconds:
            waiting |= {
                key: torch.tensor([left - seconds, images], dtype=torch.float64),
                **{f"{key}/{name}": sent[name] for name in sent},
            }
        else:
            updates.append(_stale(client, images * (1 + round_ - born) ** -0.5, sent))
    return updates, waiting


def _parts(key: str) -> list[str]:
    return key.removeprefix(HELD).split("/", 2)


def _stale(client: int, weight: float, sent: Tensors) -> Update:
    """An update of one client as the server adds it; what it measured, kept and cost was written down when it was trained."""
    sums = {name: weight * tensor.double() for name, tensor in sent.items()}
    return Update(-1, (client,), np.array([weight]), sums, ({},), (sent,), ({},), {}, 0, 0, 0, 0, 0.0)
