"""Faults of a federation on a virtual clock: dropouts, late updates and corrupt updates.

Seconds are counted, nothing sleeps. From the round's start to the arrival of client i's update it takes

    seconds_i = (down_i + up_i) / link_i + steps_i * step_seconds * speed_i
    speed_i   = exp(speed_sigma * z),  link_i = bytes_per_second * exp(link_sigma * z)

where each z ~ N(0, 1) is drawn once per client and run.

A round draws ceil(over_selection * cohort) clients. Some drop out: they receive the model and then fail, and
their private state stays as before. Of the others the first `cohort` that arrive before the deadline are
aggregated. The server goes on when the last of these arrives, or at the deadline where they are too few;
without a deadline it goes on when it has enough updates or no client is left. All other clients of the round
are late. They are not told, so they finish and keep the new private state. Their updates are lost
(`stale = "drop"`) or aggregated in the round in which they arrive (`"keep"`), until the run ends, with weight

    images * (1 + staleness)^(-1/2)

where staleness is the number of rounds since the round of the training. If nothing arrives, the shared
tensors stay the same. Every draw is addressed by (seed, purpose, round, client), so that it depends on no
order and on no other client.

Simplifications: a client whose update is still on its way can be drawn again and then does both; connections
do not share bandwidth; a client that drops out costs its download only. A corrupt client corrupts only the
tensors that are aggregated; what it sends aside from them, and what it keeps, is correct.

References:
    Bonawitz et al., "Towards Federated Learning at Scale: System Design", MLSys 2019 (over-selection,
    reporting deadline). Xie et al., "Asynchronous Federated Optimization" (FedAsync), 2019 (polynomial weight
    of a stale model, a = 1/2). Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant
    Gradient Descent", NeurIPS 2017 (workers that send arbitrary vectors).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, exp
from typing import Literal

import numpy as np
import torch

from raysim.core.config import Config, knob, with_unused_at_default
from raysim.core.seeds import numpy_rng
from raysim.core.types import Payload, Tensors, Update

# late updates in a checkpoint: "late/ROUND/CLIENT" holds float64 [seconds until the arrival, images],
# "late/ROUND/CLIENT/NAME" the tensor that was sent
LATE_PREFIX = "late/"
ROUNDING = 1e-9  # 0.1 * 30 is 3, not 3.0000000000000004


class Faults(Config):
    """Settings of the faults. By default there are none, and no virtual clock runs."""

    dropout: float = knob(
        0.0,
        "probability that a client drawn for a round fails after it received the model; its private state "
        "stays as before",
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
        "update of a corrupt client: NaN; its change with the opposite sign; its change times `scale`",
        basis="relative",
        source="Blanchard et al.; Yin et al., ICML 2018",
        search="{nan,sign_flip,scaled}",
        used_when=("corrupt above 0", lambda self: self.corrupt > 0),
    )
    scale: float = knob(
        10.0,
        "factor of a scaled update",
        basis="guess",
        search="{10,100}",
        ge=-1e6,
        le=1e6,
        used_when=(
            "corrupt above 0 and corruption=scaled",
            lambda self: self.corrupt > 0 and self.corruption == "scaled",
        ),
    )
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
        "virtual seconds after which the server goes on without the late clients; null = it waits for all "
        "that are left",
        basis="guess",
        search="quantiles of virtual_seconds",
        gt=0,
        le=1e9,
    )
    over_selection: float = knob(
        1.0,
        "clients drawn over clients wanted, at most all; the first to arrive are aggregated",
        basis="relative",
        source="Bonawitz et al.: 1.3",
        search="{1,1.3}",
        ge=1,
        le=10,
    )
    stale: Literal["drop", "keep"] = knob(
        "drop",
        "late updates: lost, or aggregated in the round of their arrival with weight (1 + staleness)^(-1/2)",
        basis="relative",
        source="drop: Bonawitz et al.; keep: FedAsync",
        search="{drop,keep}",
        used_when=(
            "a deadline, or over_selection above 1: else no update is late",
            lambda self: self.deadline is not None or self.over_selection > 1,
        ),
    )

    @property
    def active(self) -> bool:
        """Whether any field that has an effect differs from its default: then the clock runs."""
        return with_unused_at_default(self) != Faults()


@dataclass(frozen=True)
class RoundOutcome:
    """Clients of a round by what happened to them, and the round's length.

    Attributes:
        arrived: Clients whose updates arrived in time.
        late: Late clients: virtual seconds from the end of the round to the arrival.
        dropped: Clients that dropped out.
        seconds: Virtual seconds of the round.
    """

    arrived: tuple[int, ...]
    late: Mapping[int, float] = field(default_factory=dict)
    dropped: tuple[int, ...] = ()
    seconds: float = 0.0


def draw_count(faults: Faults, wanted: int, clients: int) -> int:
    """Return how many of the `clients` are drawn in a round that waits for `wanted` updates."""
    return min(clients, ceil(wanted * faults.over_selection - ROUNDING))


def client_seconds(faults: Faults, seed: int, client: int, steps: int, payload: Payload) -> float:
    """Return the virtual seconds from the round's start to the arrival of a client's update."""
    speed, link = (
        exp(sigma * numpy_rng(seed, purpose, client).standard_normal())
        for purpose, sigma in (("speed", faults.speed_sigma), ("link", faults.link_sigma))
    )
    transfer = (payload.down + payload.up) / (faults.bytes_per_second * link)
    return transfer + steps * faults.step_seconds * speed


def drops_out(faults: Faults, seed: int, round_: int, client: int) -> bool:
    """Return whether a client that is drawn for the round drops out of it."""
    return bool(numpy_rng(seed, "dropout", round_, client).random() < faults.dropout)


def decide_round(
    faults: Faults, seed: int, round_: int, seconds: Mapping[int, float], wanted: int
) -> RoundOutcome:
    """Decide which clients of a round arrive in time, are late or drop out.

    Args:
        faults: Settings of the faults.
        seed: Seed of the experiment.
        round_: Number of the round, from 0.
        seconds: Virtual seconds to the arrival of each drawn client's update (`client_seconds`).
        wanted: Updates that the server waits for.

    Returns:
        The clients in ascending order. At equal times the lower number comes first. An update that
        arrives exactly at the deadline is in time.
    """
    dropped = tuple(client for client in sorted(seconds) if drops_out(faults, seed, round_, client))
    arrivals = sorted((arrival, client) for client, arrival in seconds.items() if client not in dropped)
    in_time = [
        (arrival, client)
        for arrival, client in arrivals[:wanted]
        if faults.deadline is None or arrival <= faults.deadline
    ]
    end = max(in_time, default=(0.0, 0))[0]
    if faults.deadline is not None and len(in_time) < wanted:
        end = faults.deadline
    arrived = {client for _, client in in_time}
    late = {client: arrival - end for arrival, client in arrivals if client not in arrived}
    return RoundOutcome(tuple(sorted(arrived)), dict(sorted(late.items())), dropped, end)


def corrupt_clients(faults: Faults, seed: int, trainers: np.ndarray) -> frozenset[int]:
    """Return the clients that are corrupt in every round: ceil(corrupt * n) of the n that train."""
    count = ceil(faults.corrupt * len(trainers) - ROUNDING)
    return frozenset(numpy_rng(seed, "corrupt").permutation(trainers)[:count].tolist())


def corrupt_update(faults: Faults, received: Tensors, sent: Tensors) -> Tensors:
    """Return the tensors that a corrupt client sends in place of `sent`.

    All of them are corrupt, BatchNorm's statistics too; the client's own copies stay correct.
    """
    if faults.corruption == "nan":
        return {name: torch.full_like(tensor, torch.nan) for name, tensor in sent.items()}
    factor = -1.0 if faults.corruption == "sign_flip" else faults.scale
    return {name: received[name] + factor * (tensor - received[name]) for name, tensor in sent.items()}


def pack_late_update(update: Update, late: Mapping[int, float], round_: int) -> Tensors:
    """Return a late update as tensors for the checkpoint.

    Memory grows with the number of late clients: each needs a copy of the shared tensors.
    """
    tensors: Tensors = {}
    for client, images, sent in zip(update.clients, update.examples, update.client_tensors, strict=True):
        key = f"{LATE_PREFIX}{round_}/{client}"
        tensors[key] = torch.tensor([late[client], float(images)], dtype=torch.float64)
        tensors |= {f"{key}/{name}": tensor.clone() for name, tensor in sent.items()}
    return tensors


def unpack_arrived(late: Tensors, round_: int, seconds: float) -> tuple[list[Update], Tensors]:
    """Return the late updates that arrive within a round, oldest first, and the tensors of the others.

    Args:
        late: Late updates as `pack_late_update` packs them.
        round_: Number of the round.
        seconds: Virtual seconds of the round.
    """
    updates: list[Update] = []
    waiting: Tensors = {}
    for training_round, client in sorted(
        (int(training_round), int(client))
        for training_round, client, *name in map(_key_parts, late)
        if not name
    ):
        key = f"{LATE_PREFIX}{training_round}/{client}"
        seconds_left, images = late[key].tolist()
        sent = {
            name.removeprefix(f"{key}/"): tensor
            for name, tensor in late.items()
            if name.startswith(f"{key}/")
        }
        if seconds_left > seconds:
            waiting |= {
                key: torch.tensor([seconds_left - seconds, images], dtype=torch.float64),
                **{f"{key}/{name}": sent[name] for name in sent},
            }
        else:
            updates.append(_stale_update(client, images * (1 + round_ - training_round) ** -0.5, sent))
    return updates, waiting


def _key_parts(key: str) -> list[str]:
    """Split a key into round, client and, for a tensor, its name."""
    return key.removeprefix(LATE_PREFIX).split("/", 2)


def _stale_update(client: int, weight: float, sent: Tensors) -> Update:
    """Return a late client's update with its weight.

    It has no metrics, private state or bytes: these were recorded in the round of its training.
    """
    sums = {name: weight * tensor.double() for name, tensor in sent.items()}
    return Update(
        index=-1,
        clients=(client,),
        examples=np.array([weight]),
        sums=sums,
        aside=({},),
        client_tensors=(sent,),
        private=({},),
        metrics={},
    )
