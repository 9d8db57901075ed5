"""Integer tables of images per client and class, and the assignment of single images by such a table.

Every table is made by a fixed number of draws and integer arithmetic, so that it always ends. Only
`deal_images` assigns single images.

Shapes: K clients, C classes, N images; `counts_KC` images of each class for each client, `totals_C` images of
each class in all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def deal_images(labels: Ints, counts_KC: Ints, rng: np.random.Generator) -> list[Ints]:
    """Assign single images to clients at random so that every client gets its row of the table.

    Args:
        labels: Class of each image, 0..C-1. [N]
        counts_KC: Images of each class for each client; images beyond its sum are assigned to no client.
            [K, C]
        rng: Generator of the assignment.

    Returns:
        For each client the sorted indices of its images.
    """
    clients, classes = counts_KC.shape
    left_C = np.bincount(labels, minlength=classes) - counts_KC.sum(axis=0)
    takers_SC = np.vstack([counts_KC, left_C])  # the last row: images without a client
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    owner = np.empty(len(labels), dtype=np.int64)
    owner[by_class] = np.repeat(np.tile(np.arange(clients + 1), classes), takers_SC.T.ravel())
    by_owner = np.argsort(owner, kind="stable")  # stable: ascending indices within a client
    return np.split(by_owner, np.cumsum(takers_SC.sum(axis=1))[:-1])[:clients]


def smallest(load: Ints, number: int, rng: np.random.Generator) -> Ints:
    """Return the indices of the `number` smallest entries of `load`, ties at random."""
    return np.lexsort((rng.random(len(load)), load))[:number]


def even_table(totals_C: Ints, clients: int, rng: np.random.Generator) -> Ints:
    """Split every class evenly; the remainder goes to the clients with the fewest images.

    Sizes, and the counts of any one class, differ by at most one between clients.

    Args:
        totals_C: Images per class. [C]
        clients: Number of clients K.
        rng: Breaks ties.

    Returns:
        The table. [K, C]
    """
    counts_KC = np.repeat((totals_C // clients)[None], clients, axis=0)
    load_K = counts_KC.sum(axis=1)
    for label in rng.permutation(len(totals_C)):
        lucky = smallest(load_K, int(totals_C[label] % clients), rng)
        counts_KC[lucky, label] += 1
        load_K[lucky] += 1
    return counts_KC


def dirichlet_table(
    totals_C: Ints, clients: int, alpha: float, min_images: int, rng: np.random.Generator
) -> Ints:
    """Split each class by Dir(alpha) over the clients that hold less than their fair share N / K.

    Published code draws p over all clients, multiplies it by (size_k < N / K), divides by the sum (which can
    be zero) and draws everything again until no client is too small (which may never end). A part of a
    Dirichlet vector, renormalised, is Dirichlet itself. So a draw over the clients below their share only has
    the same distribution, never divides by zero, and is needed once per class. Clients below `min_images` are
    then filled by `top_up`.

    Args:
        totals_C: Images per class. [C]
        clients: Number of clients K.
        alpha: Concentration > 0: towards 0 a class is held by one client, large values are even.
        min_images: Fewest images of a client; K * min_images <= N.
        rng: Generator of the draws.

    Returns:
        The table. [K, C]

    Reference:
        Hsu et al., "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
        Classification", 2019; the cap as in FedOTP and PFLlib.
    """
    counts_KC = np.zeros((clients, len(totals_C)), dtype=np.int64)
    size_K = np.zeros(clients, dtype=np.int64)
    total = int(totals_C.sum())
    # classes in random order, because the last ones find the fewest open clients
    for label in rng.permutation(len(totals_C)):
        open_clients = rng.permutation(np.flatnonzero(size_K * clients < total))
        if not len(open_clients):
            break  # no image is left
        share = round_systematically(
            rng.dirichlet(np.full(len(open_clients), alpha)), int(totals_C[label]), rng
        )
        counts_KC[open_clients, label] = share
        size_K[open_clients] += share
    return top_up(counts_KC, min_images)


def round_systematically(share: Floats, total: int, rng: np.random.Generator) -> Ints:
    """Round `share * total` up or down to integers of sum `total`, without bias (systematic sampling)."""
    edges = np.floor(np.cumsum(share) * total + rng.random()).astype(np.int64)
    edges = np.minimum(edges, total)
    edges[-1] = total
    return np.diff(edges, prepend=0)


def top_up(counts_KC: Ints, min_images: int) -> Ints:
    """Fill clients below `min_images` with as few moved images as are missing.

    The images are of the receiver's largest class, from the client with the most of them to spare, so that
    the receiver's label distribution is kept. Where no client can spare that class, they are of the largest
    class of the client with the most images to spare. No donor falls below `min_images`.

    Args:
        counts_KC: Table of sum K * min_images or more. [K, C]
        min_images: Fewest images of a client.

    Returns:
        Table with the same sum per class. [K, C]
    """
    counts_KC = counts_KC.copy()
    spare_K = counts_KC.sum(axis=1) - min_images
    for client in np.flatnonzero(spare_K < 0):
        while spare_K[client] < 0:
            label = int(counts_KC[client].argmax())
            available_K = (
                np.minimum(spare_K, counts_KC[:, label])
                if counts_KC[client, label]
                else np.zeros_like(spare_K)
            )
            donor = int(available_K.argmax())
            if available_K[donor] <= 0:
                donor = int(spare_K.argmax())
                label = int(counts_KC[donor].argmax())
            moved = int(min(-spare_K[client], spare_K[donor], counts_KC[donor, label]))
            counts_KC[donor, label] -= moved
            counts_KC[client, label] += moved
            spare_K[donor] -= moved
            spare_K[client] += moved
    return counts_KC


def apportion(weights: Floats, total: int, low: Ints, high: Ints) -> Ints:
    """Apportion `total` in proportion to `weights` within bounds.

    The real-valued solution clip(t * weights, low, high) is rounded by the largest-remainder rule.

    Args:
        weights: Positive weights. [n]
        total: Sum of the result, from sum(low) to sum(high).
        low: Least values. [n]
        high: Greatest values. [n]

    Returns:
        The integers. [n]
    """
    small, large = 0.0, float(np.max(high / weights))
    for _ in range(200):  # bisection for t, to the precision of a float64
        middle = (small + large) / 2
        small, large = (
            (middle, large) if np.clip(middle * weights, low, high).sum() <= total else (small, middle)
        )
    ideal = np.clip(small * weights, low, high)
    whole = np.floor(ideal).astype(np.int64)
    fraction = np.where(whole < high, ideal - whole, -1.0)
    whole[np.argsort(-fraction, kind="stable")[: total - int(whole.sum())]] += 1
    return whole


def block_table(totals_C: Ints, size_K: Ints, rng: np.random.Generator) -> Ints:
    """Give clients of given sizes the label distribution of all: each count within about two of its share.

    The images of every class are spread evenly, with a random phase, over one sequence; clients take
    consecutive blocks of it.

    Args:
        totals_C: Images per class. [C]
        size_K: Images per client, of sum N. [K]
        rng: Generator of the phases.

    Returns:
        The table. [K, C]
    """
    classes, clients = len(totals_C), len(size_K)
    labels = np.repeat(np.arange(classes), totals_C)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(totals_C) - totals_C, totals_C)
    place = (rank + rng.random(classes)[labels]) / totals_C[labels]
    sequence = labels[np.argsort(place, kind="stable")]
    cell = np.repeat(np.arange(clients), size_K) * classes + sequence
    return np.bincount(cell, minlength=clients * classes).reshape(clients, classes)


def draw_owners(quota_C: Ints, clients: int, per_client: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw `per_client` classes for every client and `quota_C` owners for every class.

    Clients are served one after the other. A class that needs as many owners as there are clients left must
    be drawn; the others are drawn in proportion to the owners that they still need. This always succeeds when
    quota_C <= K and sum(quota_C) = K * per_client.

    Args:
        quota_C: Owners per class. [C]
        clients: Number of clients K.
        per_client: Classes per client.
        rng: Generator of the draws.

    Returns:
        Whether a client owns a class. [K, C]
    """
    owns_KC = np.zeros((clients, len(quota_C)), dtype=bool)
    need_C = quota_C.copy()
    for client in range(clients):
        race = np.divide(
            rng.exponential(size=len(need_C)), need_C, out=np.full(len(need_C), np.inf), where=need_C > 0
        )
        race[need_C == clients - client] = -1.0
        drawn = np.argsort(race, kind="stable")[:per_client]
        owns_KC[client, drawn] = True
        need_C[drawn] -= 1
    return owns_KC


def split_among_owners(totals_C: Ints, owns_KC: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """Split each class evenly among its owners; the remainder goes to those with the fewest images.

    Args:
        totals_C: Images per class. [C]
        owns_KC: Whether a client owns a class. [K, C]
        rng: Breaks ties.

    Returns:
        The table; images of a class without an owner are assigned to no client. [K, C]
    """
    counts_KC = np.zeros(owns_KC.shape, dtype=np.int64)
    load_K = np.zeros(len(owns_KC), dtype=np.int64)
    for label in rng.permutation(len(totals_C)):
        holders = np.flatnonzero(owns_KC[:, label])
        if not len(holders):
            continue
        each, over = divmod(int(totals_C[label]), len(holders))
        counts_KC[holders, label] = each
        counts_KC[holders[smallest(load_K[holders], over, rng)], label] += 1
        load_K += counts_KC[:, label]
    return counts_KC


def dirichlet_or_even_table(
    totals_C: Ints, clients: int, alpha: float | None, min_images: int, rng: np.random.Generator
) -> Ints:
    """Split by `dirichlet_table`, or by `even_table` where `alpha` is None; both meet `min_images`."""
    return (
        even_table(totals_C, clients, rng)
        if alpha is None
        else dirichlet_table(totals_C, clients, alpha, min_images, rng)
    )


def long_tail_totals(totals_C: Ints, imbalance: float, profile: str, rng: np.random.Generator) -> Ints:
    """Return the images that each class keeps so that frequent and rare classes have a given ratio.

    kept_c = floor(n_max * w_c); exponential: w_c = imbalance^(-rank_c / (C - 1)); step: w_c = 1 for the
    frequent half of the classes, 1 / imbalance for the rare half. Ranks are drawn at random; n_max is the
    greatest value for which every class has enough images.

    Args:
        totals_C: Images per class. [C]
        imbalance: Images of the most frequent class over those of the rarest, at least 1.
        profile: "exponential" or "step".
        rng: Generator of the ranks.

    Returns:
        Images kept per class; 0 where the ratio requires less than one image. [C]

    Reference:
        Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", 2019 (exponential); Buda et
        al., "A systematic study of the class imbalance problem in convolutional neural networks", 2018
        (step).
    """
    classes = len(totals_C)
    rank_C = rng.permutation(classes)
    step_C = rank_C >= classes - classes // 2
    weight_C = imbalance ** -(
        step_C.astype(np.float64) if profile == "step" else rank_C / max(classes - 1, 1)
    )
    largest = np.floor(np.min(totals_C / weight_C) + 1e-9)  # 1e-9: 640 / 10 is 64 and not 63.99...
    return np.floor(largest * weight_C + 1e-9).astype(np.int64)
