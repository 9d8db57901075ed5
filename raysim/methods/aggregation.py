"""The server's aggregation of a round's updates and its optimiser, for any method.

Aggregation (`aggregation`) of n updates whose tensors are all finite:
    mean      weighted by images (FedAvg)
    median    coordinate-wise
    trimmed   coordinate-wise mean without the floor(trim n) smallest and largest
    clip      each update's change is cut to `clip` x the median norm of the changes, then the weighted mean

The mean takes every update, NaN too. The others leave out updates that are not finite, with what was sent
beside them. Median and trimmed mean give each update one vote, whatever its images; a stale update counts
like the others. BatchNorm's scale, shift and statistics are treated like all other tensors (in the norm too).

MEMORY: all but the mean read the clients' own tensors, so the server holds all updates of a round at once.
For the mean it holds a sum.

The aggregated tensors, minus those that the clients started from, are a pseudo-gradient Delta (`optimiser`):
    momentum (FedAvgM)   m <- beta1 m + Delta;                x <- x + lr m
    adam (FedAdam)       m <- beta1 m + (1 - beta1) Delta;    v <- beta2 v + (1 - beta2) Delta^2;
                         x <- x + lr m / (sqrt(v) + tau),   v = tau^2 at the start
With "none" the aggregated tensors are the new state.

Reference: Hsu et al., "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification", 2019 (FedAvgM); Reddi et al., "Adaptive Federated Optimization", ICLR 2021 (FedAdam; no
    bias correction, as there); Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal
    Statistical Rates", ICML 2018 (median, trimmed mean); Sun et al., "Can You Really Backdoor Federated
    Learning?", 2019 (clipped norms; the median norm as their unit is ours).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from typing import Literal

import torch

from raysim.core.config import Config, knob
from raysim.core.types import ServerState, Tensors, Update


class ServerOptimiser(Config):
    """The aggregation of the clients' updates, and the server's optimiser."""

    aggregation: Literal["mean", "median", "trimmed", "clip"] = knob(
        "mean",
        "aggregation of updates; mean = by numbers of images",
        basis="paper",
        source="FedAvg weighting",
        search="{mean,median,trimmed,clip}",
    )
    trim: float = knob(
        0.2,
        "trimmed: share of the updates left out at either end of every coordinate; 0 = unweighted mean",
        basis="relative",
        source="Yin et al.: at least the share of corrupt clients",
        search="{0.1,0.2,0.4}",
        ge=0,
        lt=0.5,
        used_when=("aggregation=trimmed", lambda self: self.aggregation == "trimmed"),
    )
    clip: float = knob(
        1.0,
        "clip: longest change of a client, in median norms of the round's changes",
        basis="guess",
        search="{0.5,1,2}",
        gt=0,
        le=1e6,
        used_when=("aggregation=clip", lambda self: self.aggregation == "clip"),
    )
    optimiser: Literal["none", "momentum", "adam"] = knob(
        "none",
        "server optimiser; none = plain averaging",
        basis="paper",
        source="FedAvg weighting",
        search="{none,momentum,adam}",
    )
    lr: float = knob(
        1.0,
        "server learning rate",
        basis="relative",
        source="FedAvgM 1; FedAdam 0.01 to 0.1",
        search="log-U [1e-2, 1]",
        gt=0,
        le=100,
        used_when=("optimiser=momentum or adam", lambda self: self.optimiser != "none"),
    )
    beta1: float = knob(
        0.9,
        "decay of the first moment",
        basis="relative",
        source="Reddi et al.",
        search="{0.5,0.9}",
        ge=0,
        lt=1,
        used_when=("optimiser=momentum or adam", lambda self: self.optimiser != "none"),
    )
    beta2: float = knob(
        0.99,
        "decay of the second moment (adam)",
        basis="relative",
        source="Reddi et al.",
        ge=0,
        lt=1,
        used_when=("optimiser=adam", lambda self: self.optimiser == "adam"),
    )
    tau: float = knob(
        1e-3,
        "adaptivity of adam: large is like momentum",
        basis="relative",
        source="Reddi et al.",
        gt=0,
        le=1,
        used_when=("optimiser=adam", lambda self: self.optimiser == "adam"),
    )

    @property
    def robust(self) -> bool:
        """Whether aggregation needs the tensors of single clients."""
        return self.aggregation != "mean"


def robust_updates(
    config: ServerOptimiser, shared: Tensors, updates: Iterable[Update]
) -> tuple[list[Update], int]:
    """Return updates whose plain mean is the robust aggregate, for a method's own `aggregate`.

    Args:
        config: The aggregation (not "mean").
        shared: The server's tensors; changes are measured from them.
        updates: Updates with their clients' own tensors (`client_tensors`).

    Returns:
        The updates without the clients that sent something infinite or NaN, whose `sums` carry the aggregate
        of each tensor once; and how many clients were left out. A tensor that no finite update brought is in
        none of them.
    """
    received = list(updates)
    finite = [update for update in map(_finite_part, received) if update.clients]
    factors = _clip_factors(config.clip, shared, finite) if config.aggregation == "clip" else iter(())
    votes: dict[str, list[tuple[torch.Tensor, float]]] = {}
    for update in finite:
        for images, sent in zip(update.examples, update.client_tensors, strict=True):
            factor = next(factors, 1.0)
            for name, tensor in sent.items():
                if factor != 1:
                    before = shared[name].double()
                    tensor = before + factor * (tensor.double() - before)
                votes.setdefault(name, []).append((tensor, float(images)))
    aggregate = {name: _aggregate(config, pairs) for name, pairs in votes.items()}
    return list(_with_sums(finite, aggregate)), _client_count(received) - _client_count(finite)


def _client_count(updates: Sequence[Update]) -> int:
    return sum(len(update.clients) for update in updates)


def _finite_part(update: Update) -> Update:
    """An update without the clients that sent something that is not finite."""
    finite = [
        k
        for k, sent in enumerate(update.client_tensors)
        if all(bool(tensor.isfinite().all()) for tensor in sent.values())
    ]
    return replace(
        update,
        clients=tuple(update.clients[k] for k in finite),
        examples=update.examples[finite],
        aside=tuple(update.aside[k] for k in finite),
        client_tensors=tuple(update.client_tensors[k] for k in finite),
        private=tuple(update.private[k] for k in finite),
        sums={},
    )


def _clip_factors(clip: float, shared: Tensors, updates: Sequence[Update]) -> Iterator[float]:
    """Factors of the clients' changes, in their order.

    Norms are compared among clients that send the same tensors (one architecture).
    """
    sent = [tensors for update in updates for tensors in update.client_tensors]
    norms = [
        float(sum((tensor.double() - shared[name]).square().sum() for name, tensor in tensors.items())) ** 0.5
        for tensors in sent
    ]
    norms_by_names: dict[frozenset[str], list[float]] = {}
    for tensors, norm in zip(sent, norms, strict=True):
        norms_by_names.setdefault(frozenset(tensors), []).append(norm)
    limits = {
        names: clip * float(_median(torch.tensor(values, dtype=torch.float64)))
        for names, values in norms_by_names.items()
    }
    for tensors, norm in zip(sent, norms, strict=True):
        limit = limits[frozenset(tensors)]
        yield limit / norm if norm > limit else 1.0


def _aggregate(config: ServerOptimiser, votes: Sequence[tuple[torch.Tensor, float]]) -> torch.Tensor:
    """The aggregate of one tensor's (value, images) pairs, float64."""
    if config.aggregation == "clip":
        total = sum(
            (images * tensor.double() for tensor, images in votes), start=torch.zeros((), dtype=torch.float64)
        )
        return total / sum(images for _, images in votes)
    stacked = torch.stack([tensor.double() for tensor, _ in votes])
    return _median(stacked) if config.aggregation == "median" else _trimmed_mean(stacked, config.trim)


def _median(values: torch.Tensor) -> torch.Tensor:
    """Median along the first axis; of an even number the mean of the middle two."""
    ordered, n = values.sort(0).values, len(values)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _trimmed_mean(values: torch.Tensor, share: float) -> torch.Tensor:
    """Mean along the first axis without floor(share n) values at either end."""
    cut = int(share * len(values) + 1e-9)  # 0.29 * 100 is 28.999999999999996
    return values.sort(0).values[cut : len(values) - cut].mean(0)


def _with_sums(updates: Sequence[Update], aggregate: Tensors) -> Iterator[Update]:
    """The updates with each tensor's aggregate in the sums of one of them: it is then their weighted mean."""
    remaining = dict(aggregate)
    for update in updates:
        names = [name for name in update.client_tensors[0] if name in remaining]
        yield replace(update, sums={name: remaining.pop(name) * update.images for name in names})


def server_update(
    config: ServerOptimiser, before: ServerState, after: ServerState, buffers: Set[str]
) -> ServerState:
    """Return the state after the server's optimiser.

    Args:
        config: The optimiser and its settings.
        before: The state that was sent.
        after: The state that averaging gave.
        buffers: Shared names that are no trained weights (running statistics): they stay as averaged.

    Returns:
        `after` itself for "none"; else with moved weights, and the moments in `extra` under "moment1/" and
        "moment2/".
    """
    if config.optimiser == "none":
        return after
    shared, moments = dict(after.shared), Tensors()
    for name in after.shared.keys() - buffers:
        delta = after.shared[name] - before.shared[name]
        first = before.extra.get(f"moment1/{name}", torch.zeros_like(delta))
        if config.optimiser == "momentum":
            first = config.beta1 * first + delta
            step = first
        else:
            first = config.beta1 * first + (1 - config.beta1) * delta
            second = before.extra.get(f"moment2/{name}", torch.full_like(delta, config.tau**2))
            second = config.beta2 * second + (1 - config.beta2) * delta.square()
            moments[f"moment2/{name}"] = second
            step = first / (second.sqrt() + config.tau)
        moments[f"moment1/{name}"] = first
        shared[name] = before.shared[name] + config.lr * step
    return ServerState(after.round, shared, {**after.extra, **dict(sorted(moments.items()))})
