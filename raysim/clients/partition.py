"""The scenarios: seven ways to assign the training images to clients, clients that exist, and their registry.

A drawn assignment is a fixed number of draws and then integer arithmetic, so it always ends, for any number
of clients and any skew. `requested()` returns the settings; `raysim.clients.heterogeneity` measures the
result. Impossible settings raise a `UserError` that says what is possible.

Shapes: K clients, C classes, G groups of classes, D domains.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from raysim.clients import counts
from raysim.clients.counts import Ints
from raysim.clients.given import Given
from raysim.clients.scenario import Scenario, UnequalSizes, not_allowed
from raysim.core.config import knob
from raysim.core.errors import UserError
from raysim.core.registry import Registry, class_check


class Even(Scenario):
    """Even split: images per client, and per client and class, differ by at most one; the paper's setting."""

    name: ClassVar[str] = "even"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Even shares of every class. [K, C]."""
        return counts.even_table(totals_C, self.clients, rng)


class Dirichlet(UnequalSizes):
    """Label skew: every class is split over the clients by Dir(alpha) (see `counts.dirichlet_table`)."""

    name: ClassVar[str] = "dirichlet"

    alpha: float = knob(
        0.1,
        "concentration: small values give each class to one client, large values split it evenly",
        basis="guess",
        search="0.01 to 10, log",
        ge=0.001,
        le=1e6,
    )

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        return f"dirichlet alpha={self.alpha:g}"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Dirichlet shares of every class. [K, C]."""
        return counts.dirichlet_table(totals_C, self.clients, self.alpha, self.min_images, rng)


class ClassesPerClient(Scenario):
    """Label skew: every client holds exactly `classes` classes, whose images their owners share evenly.

    Frequent classes have more owners, so that sizes are similar. Where clients * classes is less than the
    number of classes, some classes, drawn at random, have no owner; their images are counted in
    `dropped_images`.
    """

    name: ClassVar[str] = "classes_per_client"

    classes: int = knob(
        2,
        "classes of each client",
        basis="relative",
        search="1, 2, 5",
        source="McMahan et al. 2017: two shards per client",
        ge=1,
    )

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        return f"{self.classes} class{'es' if self.classes > 1 else ''} per client"

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse settings that are impossible with these totals."""
        super().check(n_images, n_classes, n_domains)
        if self.classes > n_classes:
            raise not_allowed(
                "classes", self.classes, f"at most {n_classes}, the number of classes that occur"
            )

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Even shares among the owners of every class. [K, C]."""
        room_C = np.minimum(totals_C, self.clients)
        slots = self.clients * self.classes
        if slots > room_C.sum():
            most = int(room_C.sum()) // self.clients
            raise not_allowed(
                "classes",
                self.classes,
                f"at most {most}: more classes for each of {self.clients} clients need more images",
            )
        if slots < len(totals_C):
            quota_C = np.zeros_like(totals_C)
            quota_C[rng.permutation(len(totals_C))[:slots]] = 1
        else:
            quota_C = counts.apportion(totals_C.astype(np.float64), slots, np.ones_like(totals_C), room_C)
        return counts.split_among_owners(
            totals_C, counts.draw_owners(quota_C, self.clients, self.classes, rng), rng
        )


class Disjoint(Scenario):
    """Label skew: min(clients, C) groups of classes of similar size, each held by one client.

    With more clients than classes a group is a single class and is held by several clients, which share its
    images evenly.
    """

    name: ClassVar[str] = "disjoint"

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        return "disjoint classes"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """All images of a group of classes to its clients. [K, C]."""
        groups = min(self.clients, len(totals_C))
        group_C = np.zeros_like(totals_C)
        load_G = np.zeros(groups, dtype=np.int64)
        shuffled = rng.permutation(len(totals_C))
        largest_first = shuffled[np.argsort(-totals_C[shuffled], kind="stable")]
        for label in largest_first:  # to the group with the fewest images
            group_C[label] = counts.smallest(load_G, 1, rng)[0]
            load_G[group_C[label]] += totals_C[label]
        clients_G = counts.apportion(load_G.astype(np.float64), self.clients, np.ones_like(load_G), load_G)
        return np.vstack(
            [
                counts.even_table(np.where(group_C == g, totals_C, 0), int(clients_G[g]), rng)
                for g in range(groups)
            ]
        )


class Quantity(UnequalSizes):
    """Quantity skew: client k holds a share proportional to (k + 1)^-beta of the images.

    Every client has the label distribution of all images; client 0 is the largest.
    """

    name: ClassVar[str] = "quantity"

    beta: float = knob(
        1.0,
        "exponent of the power law of sizes; 0 is equal sizes",
        basis="guess",
        search="0.5 to 2",
        ge=0,
        le=5,
    )

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        return f"quantity beta={self.beta:g}"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Blocks of power-law sizes. [K, C]."""
        weights = np.arange(1, self.clients + 1, dtype=np.float64) ** -self.beta
        total = int(totals_C.sum())
        size_K = counts.apportion(
            weights, total, np.full(self.clients, self.min_images), np.full(self.clients, total)
        )
        return counts.block_table(totals_C, size_K, rng)


class LongTail(UnequalSizes):
    """Class imbalance: frequent and rare classes, each split over the clients by Dir(alpha).

    Images above a class's place in the profile are dropped (see `counts.long_tail_totals`).
    """

    name: ClassVar[str] = "long_tail"

    imbalance: float = knob(
        10.0,
        "images of the most frequent class over those of the rarest (IR)",
        basis="guess",
        search="1 to 100",
        ge=1,
        le=1e6,
    )
    profile: Literal["exponential", "step"] = knob(
        "exponential",
        "decrease of the counts with the rank of the class",
        basis="guess",
        used_when=("imbalance above 1", lambda self: self.imbalance > 1),
    )
    alpha: float | None = knob(
        0.5,
        "Dirichlet concentration over clients; null is an even split",
        basis="guess",
        search="0.05 to 1, log",
        ge=0.001,
        le=1e6,
    )

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        step = " step" if self.profile == "step" else ""
        return f"long tail IR={self.imbalance:g}{step} " + (
            "even" if self.alpha is None else f"alpha={self.alpha:g}"
        )

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse settings that are impossible with these totals."""
        super().check(n_images, n_classes, n_domains)
        if self.imbalance > 1 and n_classes < 2:
            raise not_allowed("imbalance", self.imbalance, "1 with a single class")

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Dirichlet or even shares of the images that every class keeps. [K, C]."""
        kept_C = counts.long_tail_totals(totals_C, self.imbalance, self.profile, rng)
        if kept_C.min() < 1:
            raise not_allowed(
                "imbalance",
                self.imbalance,
                f"at most {kept_C.max()}, the images that the most frequent class can keep",
            )
        left = int(kept_C.sum())
        if self.clients > left:
            raise not_allowed(
                "clients",
                self.clients,
                f"at most {left}, the images that are left at imbalance {self.imbalance:g}",
            )
        if self.clients * self.min_images > left:
            raise not_allowed(
                "min_images",
                self.min_images,
                f"at most {left // self.clients}: {left} images for {self.clients} clients",
            )
        return counts.dirichlet_or_even_table(kept_C, self.clients, self.alpha, self.min_images, rng)


class Domain(UnequalSizes):
    """Domain shift: every client holds images of one domain (an attribute, or the dataset of origin).

    Clients are divided among the domains in proportion to the domains' images, at least one each, and are
    numbered domain by domain. Within a domain the split is even, or Dirichlet where `alpha` is given.
    """

    name: ClassVar[str] = "domain"

    alpha: float | None = knob(
        None,
        "Dirichlet concentration within a domain; null is an even split",
        basis="guess",
        search="null, 0.1, 1",
        ge=0.001,
        le=1e6,
    )

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        return "domain per client" if self.alpha is None else f"domain per client alpha={self.alpha:g}"

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse settings that are impossible with these totals."""
        super().check(n_images, n_classes, n_domains)
        if n_domains < 2:
            raise UserError(
                "scenario = 'domain' is not allowed: the training images have a single domain. Datasets "
                "with domains: scenes, "
                "rsscn7, scene_masks, loveda, or datasets mixed with a plus, for example "
                "task.dataset=ucmerced+rsscn7"
            )
        if self.clients < n_domains:
            raise not_allowed("clients", self.clients, f"at least {n_domains}, one for each domain")

    def assign(self, labels: Ints, attributes: Ints, rng: np.random.Generator) -> list[Ints]:
        """Assign each domain's images to its clients."""
        domains, images_D = np.unique(attributes, return_counts=True)
        self.check(len(labels), len(np.unique(labels)), len(domains))
        room_D = images_D // self.min_images
        if room_D.min() < 1:
            raise not_allowed(
                "min_images", self.min_images, f"at most {images_D.min()}, the images of the smallest domain"
            )
        if room_D.sum() < self.clients:
            raise not_allowed(
                "clients",
                self.clients,
                f"at most {room_D.sum()} with min_images = {self.min_images} in every domain",
            )
        clients_D = counts.apportion(
            images_D.astype(np.float64), self.clients, np.ones_like(images_D), room_D
        )
        parts: list[Ints] = []
        for domain, clients in zip(domains, clients_D, strict=True):
            rows = np.flatnonzero(attributes == domain)
            _, compact = np.unique(labels[rows], return_inverse=True)
            table = self.replace(clients=int(clients)).table(np.bincount(compact), rng)
            parts += [rows[part] for part in counts.deal_images(compact, table, rng)]
        return parts

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Even or Dirichlet shares of one domain's classes among its clients. [K, C]."""
        return counts.dirichlet_or_even_table(totals_C, self.clients, self.alpha, self.min_images, rng)


SCENARIOS: Registry[type[Scenario]] = Registry(
    "scenario",
    {
        scenario.name: scenario
        for scenario in (Even, Dirichlet, ClassesPerClient, Disjoint, Quantity, LongTail, Domain, Given)
    },
    class_check(Scenario),
)
