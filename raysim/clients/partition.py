"""Scenarios: how the training images meet the clients.

A scenario is a frozen record. Its `assign` is constructive: a fixed number of draws, then integer arithmetic,
so it always ends, whatever the number of clients and however extreme the skew. What was asked for is in
`requested()`; what came out is measured by `raysim.clients.heterogeneity`. Asking for the impossible raises a
`UserError` that says what is possible.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np

from raysim.clients import counts
from raysim.clients.counts import Ints
from raysim.core.config import Config, knob
from raysim.core.errors import UserError


class Scenario(Config, ABC):
    """How data meets clients. Every image has one client and no client is empty, unless the scenario's own text says otherwise."""

    name: ClassVar[str]

    clients: int = knob(
        20,
        "number of clients",
        basis="guess",
        search="5 to 40 as in the paper; more to stress",
        ge=1,
        le=100_000,
    )
    label_noise: float = knob(
        0.0,
        "share of each client's training images whose label is wrong; the server's samples, validation and "
        "test stay right",
        basis="guess",
        search="0 to 0.6",
        ge=0,
        lt=1,
    )
    noise_kind: Literal["symmetric", "pairs"] = knob(
        "symmetric",
        "a wrong label is any other class, all alike, or the class that looks most alike (mean thumbnails, "
        "8 x 8 pixels)",
        basis="guess",
        search="{symmetric,pairs}",
    )

    @property
    def label(self) -> str:
        """Short text for tables."""
        wrong = f", {100 * self.label_noise:g} % noisy {'pairs' if self.noise_kind == 'pairs' else 'labels'}"
        return f"{self.skew}{wrong if self.label_noise else ''}"

    @property
    def skew(self) -> str:
        """The label without noise: how images are dealt."""
        return self.name.replace("_", " ")

    def requested(self) -> dict[str, Any]:
        """What was asked for: the scenario's name and its knobs."""
        return {"name": self.name, **self.model_dump()}

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse what these totals already rule out, before any work.

        Args:
            n_images: Training images to hand out.
            n_classes: Classes that occur among them.
            n_domains: Domains that occur among them.

        Raises:
            UserError: Naming the field, its value and what is allowed.
        """
        if self.clients > n_images:
            raise _refuse(
                "clients",
                self.clients,
                f"at most {n_images}: there are {n_images} training images, one for each client",
            )

    def assign(self, labels: Ints, attributes: Ints, rng: np.random.Generator) -> list[Ints]:
        """Hand out the images.

        Args:
            labels: Class of each training image. [N]
            attributes: Domain of each training image. [N]
            rng: All randomness.

        Returns:
            For each client the sorted indices of its images.

        Raises:
            UserError: When the scenario cannot be met with these images.
        """
        classes, compact = np.unique(labels, return_inverse=True)
        self.check(len(labels), len(classes), len(np.unique(attributes)))
        return counts.deal(compact, self.table(np.bincount(compact), rng), rng)

    @abstractmethod
    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """How many images of each class every client gets.

        Args:
            totals_C: Images of each class that occurs. [C]
            rng: All randomness.

        Returns:
            The table. [K, C]
        """


class _Floored(Scenario):
    """A scenario of unequal sizes, with a floor."""

    min_images: int = knob(
        1,
        "least number of images of a client; surplus images of others fill it up",
        basis="guess",
        search="1 to 10",
        ge=1,
    )

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        super().check(n_images, n_classes, n_domains)
        if self.clients * self.min_images > n_images:
            fair = n_images // self.clients
            raise _refuse(
                "min_images",
                self.min_images,
                f"at most {fair}: {n_images} training images for {self.clients} clients",
            )


class Even(Scenario):
    """Stratified: sizes, and the counts of each class, differ by at most one between clients. The paper's setting."""

    name: ClassVar[str] = "even"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Even shares of every class. [K, C]."""
        return counts.even(totals_C, self.clients, rng)


class Dirichlet(_Floored):
    """Label skew: every class is spread over the clients by Dir(alpha), capped at the fair share (see `counts.dirichlet`)."""

    name: ClassVar[str] = "dirichlet"

    alpha: float = knob(
        0.1,
        "concentration: small is one client per class, large is even",
        basis="guess",
        search="0.01 to 10, log",
        ge=0.001,
        le=1e6,
    )

    @property
    def skew(self) -> str:
        """How images are dealt."""
        return f"dirichlet alpha={self.alpha:g}"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Dirichlet shares of every class. [K, C]."""
        return counts.dirichlet(totals_C, self.clients, self.alpha, self.min_images, rng)


class ClassesPerClient(Scenario):
    """Every client holds exactly `classes` classes; a class's images are split evenly among its owners.

    Frequent classes have more owners, so that sizes are similar. Every class has an owner where clients *
    classes suffices; otherwise the classes without an owner, drawn at random, stay unused and are counted in
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
        """How images are dealt."""
        return f"{self.classes} class{'es' if self.classes > 1 else ''} per client"

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse what these totals already rule out."""
        super().check(n_images, n_classes, n_domains)
        if self.classes > n_classes:
            raise _refuse("classes", self.classes, f"at most {n_classes}, the number of classes that occur")

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Even shares among the owners of every class. [K, C]."""
        room_C = np.minimum(totals_C, self.clients)
        slots = self.clients * self.classes
        if slots > room_C.sum():
            most = int(room_C.sum()) // self.clients
            raise _refuse(
                "classes",
                self.classes,
                f"at most {most}: more classes for each of {self.clients} clients need more images",
            )
        if slots < len(totals_C):
            quota_C = np.zeros_like(totals_C)
            quota_C[rng.permutation(len(totals_C))[:slots]] = 1
        else:
            quota_C = counts.apportion(totals_C.astype(np.float64), slots, np.ones_like(totals_C), room_C)
        return counts.among_owners(totals_C, counts.owners(quota_C, self.clients, self.classes, rng), rng)


class Disjoint(Scenario):
    """Classes are split into min(clients, C) groups of similar size; a group belongs to one client.

    With more clients than classes a group belongs to several clients, which share its images evenly;
    different groups still have no class in common.
    """

    name: ClassVar[str] = "disjoint"

    @property
    def skew(self) -> str:
        """How images are dealt."""
        return "disjoint classes"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """All images of a group of classes to its clients. [K, C]."""
        groups = min(self.clients, len(totals_C))
        group_C = np.zeros_like(totals_C)
        load_G = np.zeros(groups, dtype=np.int64)
        shuffled = rng.permutation(len(totals_C))
        for label in shuffled[
            np.argsort(-totals_C[shuffled], kind="stable")
        ]:  # largest class first, to the lightest group
            group_C[label] = counts.emptiest(load_G, 1, rng)[0]
            load_G[group_C[label]] += totals_C[label]
        clients_G = counts.apportion(load_G.astype(np.float64), self.clients, np.ones_like(load_G), load_G)
        return np.vstack(
            [counts.even(np.where(group_C == g, totals_C, 0), int(clients_G[g]), rng) for g in range(groups)]
        )


class Quantity(_Floored):
    """Quantity skew: client k holds a share proportional to (k + 1)^-beta, each with the class mix of all (client 0 is the largest)."""

    name: ClassVar[str] = "quantity"

    beta: float = knob(
        1.0,
        "exponent of the power law of sizes; 0 is even",
        basis="guess",
        search="0.5 to 2",
        ge=0,
        le=5,
    )

    @property
    def skew(self) -> str:
        """How images are dealt."""
        return f"quantity beta={self.beta:g}"

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Blocks of power-law sizes. [K, C]."""
        weights = np.arange(1, self.clients + 1, dtype=np.float64) ** -self.beta
        total = int(totals_C.sum())
        size_K = counts.apportion(
            weights, total, np.full(self.clients, self.min_images), np.full(self.clients, total)
        )
        return counts.blocks(totals_C, size_K, rng)


class LongTail(_Floored):
    """Frequent and rare classes, then Dirichlet over clients. Images above the profile are dropped (see `counts.long_tail`)."""

    name: ClassVar[str] = "long_tail"

    imbalance: float = knob(
        10.0,
        "images of the most frequent class to the rarest (IR)",
        basis="guess",
        search="1 to 100",
        ge=1,
        le=1e6,
    )
    profile: Literal["exponential", "step"] = knob(
        "exponential",
        "how counts fall with the class's rank",
        basis="guess",
    )
    alpha: float | None = knob(
        0.5,
        "Dirichlet concentration over clients; null is even",
        basis="guess",
        search="0.05 to 1, log",
        ge=0.001,
        le=1e6,
    )

    @property
    def skew(self) -> str:
        """How images are dealt."""
        step = " step" if self.profile == "step" else ""
        return f"long tail IR={self.imbalance:g}{step} " + (
            "even" if self.alpha is None else f"alpha={self.alpha:g}"
        )

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse what these totals already rule out."""
        super().check(n_images, n_classes, n_domains)
        if self.imbalance > 1 and n_classes < 2:
            raise _refuse("imbalance", self.imbalance, "1 with a single class")

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Dirichlet or even shares of what every class keeps. [K, C]."""
        kept_C = counts.long_tail(totals_C, self.imbalance, self.profile, rng)
        if kept_C.min() < 1:
            raise _refuse(
                "imbalance",
                self.imbalance,
                f"at most {kept_C.max()}, the images that the most frequent class can keep",
            )
        left = int(kept_C.sum())
        if self.clients > left:
            raise _refuse(
                "clients",
                self.clients,
                f"at most {left}, the images that are left at imbalance {self.imbalance:g}",
            )
        if self.clients * self.min_images > left:
            raise _refuse(
                "min_images",
                self.min_images,
                f"at most {left // self.clients}: {left} images for {self.clients} clients",
            )
        return counts.spread(kept_C, self.clients, self.alpha, self.min_images, rng)


class Domain(_Floored):
    """Every client holds images of one domain (an attribute, or the dataset of origin).

    Clients are divided among domains in proportion to their images, at least one each, and numbered domain by
    domain; within a domain the split is even, or Dirichlet where `alpha` is given.
    """

    name: ClassVar[str] = "domain"

    alpha: float | None = knob(
        None,
        "Dirichlet concentration within a domain; null is even",
        basis="guess",
        search="null, 0.1, 1",
        ge=0.001,
        le=1e6,
    )

    @property
    def skew(self) -> str:
        """How images are dealt."""
        return "domain per client" if self.alpha is None else f"domain per client alpha={self.alpha:g}"

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse what these totals already rule out."""
        super().check(n_images, n_classes, n_domains)
        if n_domains < 2:
            raise UserError(
                "scenario = 'domain' is not allowed: the training images have a single domain. Datasets "
                "with domains: scenes, "
                "rsscn7, scene_masks, loveda, or datasets mixed with a plus, for example "
                "task.dataset=ucmerced+rsscn7"
            )
        if self.clients < n_domains:
            raise _refuse("clients", self.clients, f"at least {n_domains}, one for each domain")

    def assign(self, labels: Ints, attributes: Ints, rng: np.random.Generator) -> list[Ints]:
        """Hand out each domain's images to its clients."""
        domains, images_D = np.unique(attributes, return_counts=True)
        self.check(len(labels), len(np.unique(labels)), len(domains))
        room_D = images_D // self.min_images
        if room_D.min() < 1:
            raise _refuse(
                "min_images", self.min_images, f"at most {images_D.min()}, the images of the smallest domain"
            )
        if room_D.sum() < self.clients:
            raise _refuse(
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
            parts += [rows[part] for part in counts.deal(compact, table, rng)]
        return parts

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Even or Dirichlet shares of one domain's classes among its clients. [K, C]."""
        return counts.spread(totals_C, self.clients, self.alpha, self.min_images, rng)


def _refuse(field: str, value: float, allowed: str) -> UserError:
    return UserError(f"scenario.{field} = {value:g} is not allowed: it should be {allowed}")


SCENARIOS: dict[str, type[Scenario]] = {
    scenario.name: scenario
    for scenario in (Even, Dirichlet, ClassesPerClient, Disjoint, Quantity, LongTail, Domain)
}
