"""Who gets how many images of which class: integer tables, made constructively in bounded time.

Shapes: K clients, C classes, N images. A table `counts_KC` says how many images of each class every client
holds; `totals_C` says how many there are. Only `deal` touches single images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def deal(labels: Ints, counts_KC: Ints, rng: np.random.Generator) -> list[Ints]:
    """Hand out single images at random so that every client gets its row of the table.

    Args:
        labels: Class of each image, 0..C-1. [N]
        counts_KC: Images of each class for each client; a class may keep a remainder, which nobody gets. [K,
            C]
        rng: Decides which images.

    Returns:
        For each client the sorted indices of its images.
    """
    clients, classes = counts_KC.shape
    left_C = np.bincount(labels, minlength=classes) - counts_KC.sum(axis=0)
    takers_SC = np.vstack([counts_KC, left_C])  # one more row: nobody
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    owner = np.empty(len(labels), dtype=np.int64)
    owner[by_class] = np.repeat(np.tile(np.arange(clients + 1), classes), takers_SC.T.ravel())
    by_owner = np.argsort(owner, kind="stable")  # stable: ascending indices within a client
    return np.split(by_owner, np.cumsum(takers_SC.sum(axis=1))[:-1])[:clients]


def emptiest(load: Ints, number: int, rng: np.random.Generator) -> Ints:
    """Indices of the `number` smallest entries of `load`, ties at random."""
    return np.lexsort((rng.random(len(load)), load))[:number]


def even(totals_C: Ints, clients: int, rng: np.random.Generator) -> Ints:
    """Every class split evenly; what is left over goes to the emptiest clients.

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
        lucky = emptiest(load_K, int(totals_C[label] % clients), rng)
        counts_KC[lucky, label] += 1
        load_K[lucky] += 1
    return counts_KC


def dirichlet(totals_C: Ints, clients: int, alpha: float, min_images: int, rng: np.random.Generator) -> Ints:
    """Per class Dir(alpha) over the clients, a client being closed once it holds its fair share N / K.

    The relatives draw p over all clients, multiply by (size_k < N / K), divide by the sum (which can be zero)
    and draw everything again until nobody is too small (which can take for ever). A part of a Dirichlet
    vector, renormalised, is Dirichlet itself: so drawing over the open clients only has the same
    distribution, never divides by zero, and needs one draw per class. Clients below `min_images` are then
    filled by `top_up`.

    Args:
        totals_C: Images per class. [C]
        clients: Number of clients K.
        alpha: Concentration: towards 0 a class lives on one client, large is even.
        min_images: The least a client may hold; K * min_images <= N.
        rng: The draws.

    Returns:
        The table. [K, C]

    Reference:
        Hsu et al., "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
        Classification", 2019; the cap as in FedOTP and PFLlib.
    """
    counts_KC = np.zeros((clients, len(totals_C)), dtype=np.int64)
    size_K = np.zeros(clients, dtype=np.int64)
    total = int(totals_C.sum())
    for label in rng.permutation(
        len(totals_C)
    ):  # in random order: the last classes meet the fewest open clients
        open_clients = rng.permutation(np.flatnonzero(size_K * clients < total))
        if not len(open_clients):
            break  # nothing is left to hand out
        taken = systematic(rng.dirichlet(np.full(len(open_clients), alpha)), int(totals_C[label]), rng)
        counts_KC[open_clients, label] = taken
        size_K[open_clients] += taken
    return top_up(counts_KC, min_images)


def systematic(share: Floats, total: int, rng: np.random.Generator) -> Ints:
    """Round `share * total` to integers of sum `total`, each up or down, and right on average (systematic sampling)."""
    edges = np.floor(np.cumsum(share) * total + rng.random()).astype(np.int64)
    edges = np.minimum(edges, total)
    edges[-1] = total
    return np.diff(edges, prepend=0)


def top_up(counts_KC: Ints, min_images: int) -> Ints:
    """Fill clients below `min_images` with as few moves as there are missing images.

    An image comes from the client with the most to spare of the class that the receiver already holds most
    of, so that the receiver's label mix is kept; where nobody can spare that class, from the client with the
    most to spare, and there from its largest class. No donor falls below `min_images`.

    Args:
        counts_KC: The table; its sum is at least K * min_images. [K, C]
        min_images: The least a client may hold.

    Returns:
        A table with the same sum per class. [K, C]
    """
    counts_KC = counts_KC.copy()
    spare_K = counts_KC.sum(axis=1) - min_images
    for client in np.flatnonzero(spare_K < 0):
        while spare_K[client] < 0:
            label = int(counts_KC[client].argmax())
            can_K = (
                np.minimum(spare_K, counts_KC[:, label])
                if counts_KC[client, label]
                else np.zeros_like(spare_K)
            )
            donor = int(can_K.argmax())
            if can_K[donor] <= 0:
                donor = int(spare_K.argmax())
                label = int(counts_KC[donor].argmax())
            moved = int(min(-spare_K[client], spare_K[donor], counts_KC[donor, label]))
            counts_KC[donor, label] -= moved
            counts_KC[client, label] += moved
            spare_K[donor] -= moved
            spare_K[client] += moved
    return counts_KC


def apportion(weights: Floats, total: int, low: Ints, high: Ints) -> Ints:
    """Integers of sum `total`, as proportional to `weights` as bounds allow: clip(t * weights, low, high), largest remainder.

    Args:
        weights: Positive. [n]
        total: From sum(low) to sum(high).
        low: Least values. [n]
        high: Greatest values. [n]

    Returns:
        The integers. [n]
    """
    small, large = 0.0, float(np.max(high / weights))
    for _ in range(200):  # bisection for t; more halvings than a float64 has values between the ends
        middle = (small + large) / 2
        small, large = (
            (middle, large) if np.clip(middle * weights, low, high).sum() <= total else (small, middle)
        )
    ideal = np.clip(small * weights, low, high)
    whole = np.floor(ideal).astype(np.int64)
    fraction = np.where(whole < high, ideal - whole, -1.0)
    whole[np.argsort(-fraction, kind="stable")[: total - int(whole.sum())]] += 1
    return whole


def blocks(totals_C: Ints, size_K: Ints, rng: np.random.Generator) -> Ints:
    """Clients of given sizes with the class mix kept: each count is within about two of its proportional value.

    Every class is spread evenly, with a random phase, over one sequence; clients take consecutive blocks of
    it.

    Args:
        totals_C: Images per class. [C]
        size_K: Images per client, of sum N. [K]
        rng: The phases.

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


def owners(quota_C: Ints, clients: int, per_client: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Exactly `per_client` classes for every client and `quota_C` owners for every class, at random.

    A class with as many owners to find as there are clients left must be taken; the others are drawn in
    proportion to the owners they still need. This never runs into a dead end when quota_C <= K and
    sum(quota_C) = K * per_client.

    Args:
        quota_C: Owners per class. [C]
        clients: Number of clients K.
        per_client: Classes per client.
        rng: The draws.

    Returns:
        Who owns what. [K, C]
    """
    owns_KC = np.zeros((clients, len(quota_C)), dtype=bool)
    need_C = quota_C.copy()
    for client in range(clients):
        race = np.divide(
            rng.exponential(size=len(need_C)), need_C, out=np.full(len(need_C), np.inf), where=need_C > 0
        )
        race[need_C == clients - client] = -1.0
        taken = np.argsort(race, kind="stable")[:per_client]
        owns_KC[client, taken] = True
        need_C[taken] -= 1
    return owns_KC


def among_owners(totals_C: Ints, owns_KC: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """Each class split evenly among its owners; what is left over goes to the emptiest of them.

    Args:
        totals_C: Images per class. [C]
        owns_KC: Who owns what. [K, C]
        rng: Breaks ties.

    Returns:
        The table; a class without an owner stays with nobody. [K, C]
    """
    counts_KC = np.zeros(owns_KC.shape, dtype=np.int64)
    load_K = np.zeros(len(owns_KC), dtype=np.int64)
    for label in rng.permutation(len(totals_C)):
        holders = np.flatnonzero(owns_KC[:, label])
        if not len(holders):
            continue
        each, over = divmod(int(totals_C[label]), len(holders))
        counts_KC[holders, label] = each
        counts_KC[holders[emptiest(load_K[holders], over, rng)], label] += 1
        load_K += counts_KC[:, label]
    return counts_KC


def spread(
    totals_C: Ints, clients: int, alpha: float | None, min_images: int, rng: np.random.Generator
) -> Ints:
    """`dirichlet`, or `even` where `alpha` is None (then `min_images` holds by itself)."""
    return (
        even(totals_C, clients, rng)
        if alpha is None
        else dirichlet(totals_C, clients, alpha, min_images, rng)
    )


def long_tail(totals_C: Ints, imbalance: float, profile: str, rng: np.random.Generator) -> Ints:
    """How many images each class keeps so that frequent and rare classes stand in a given ratio.

    kept_c = floor(n_max * w_c); exponential: w_c = imbalance^(-rank_c / (C - 1)); step: w_c = 1 for the
    frequent half of the classes, 1 / imbalance for the rare one. Ranks are drawn at random; n_max is the
    greatest that every class can follow.

    Args:
        totals_C: Images per class. [C]
        imbalance: Most frequent to rarest class, at least 1.
        profile: "exponential" or "step".
        rng: Draws the ranks.

    Returns:
        Images kept per class; 0 where the ratio asks for less than one image. [C]

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
