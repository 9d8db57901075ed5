"""Base of all scenarios: a frozen record that assigns the training images to clients.

Shapes: K clients, C classes, N images.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar, Literal

import numpy as np

from raysim.clients import counts
from raysim.clients.counts import Ints
from raysim.core.config import Config, knob
from raysim.core.errors import UserError


class Scenario(Config, ABC):
    """Assignment of the training images to clients.

    Every image has exactly one client and every client has an image, unless the scenario's docstring says
    otherwise.
    """

    name: ClassVar[str]
    given: ClassVar[bool] = False  # whether the clients exist, instead of being drawn

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
        "share of each client's training images whose label is wrong; the labels of the server's samples, of "
        "validation and of test stay correct",
        basis="guess",
        search="0 to 0.6",
        ge=0,
        lt=1,
    )
    noise_kind: Literal["symmetric", "pairs"] = knob(
        "symmetric",
        "a wrong label is any other class with equal probability, or the most similar class (by mean "
        "thumbnails of 8 x 8 pixels)",
        basis="guess",
        search="{symmetric,pairs}",
        used_when=("label_noise above 0", lambda self: self.label_noise > 0),
    )

    @property
    def label(self) -> str:
        """Short name for tables and figures: the distribution, and the noise where there is any."""
        wrong = f", {100 * self.label_noise:g} % noisy {'pairs' if self.noise_kind == 'pairs' else 'labels'}"
        return f"{self.skew}{wrong if self.label_noise else ''}"

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        return self.name.replace("_", " ")

    @property
    def source(self) -> Hashable:
        """What decides who holds an image and what it is for, besides the task; None where that is drawn."""
        return None

    @property
    def places(self) -> tuple[str, ...]:
        """Fields that only say where something lies, so that they are no part of an experiment's id."""
        return ()

    def requested(self) -> dict[str, Any]:
        """Return the scenario's name and its settings, for `run.json`."""
        return {"name": self.name, **self.model_dump()}

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse settings that are impossible with these totals, before any work.

        Args:
            n_images: Training images to assign.
            n_classes: Classes that occur among them.
            n_domains: Domains that occur among them.

        Raises:
            UserError: A setting is not allowed; the message names it, its value and what is allowed.
        """
        if self.clients > n_images:
            raise not_allowed(
                "clients",
                self.clients,
                f"at most {n_images}: there are {n_images} training images, one for each client",
            )

    def assign(self, labels: Ints, attributes: Ints, rng: np.random.Generator) -> list[Ints]:
        """Assign the images to clients.

        Args:
            labels: Class of each training image. [N]
            attributes: Domain of each training image. [N]
            rng: Generator of all draws.

        Returns:
            For each client the sorted indices of its images.

        Raises:
            UserError: The settings are impossible with these images.
        """
        classes, compact = np.unique(labels, return_inverse=True)
        self.check(len(labels), len(classes), len(np.unique(attributes)))
        return counts.deal_images(compact, self.table(np.bincount(compact), rng), rng)

    @abstractmethod
    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Return how many images of each class every client gets.

        Args:
            totals_C: Images of each class that occurs. [C]
            rng: Generator of all draws.

        Returns:
            The table. [K, C]
        """


class UnequalSizes(Scenario):
    """Scenario whose clients have unequal numbers of images, with a least number."""

    min_images: int = knob(
        1,
        "fewest images of a client; those with more give images to it",
        basis="guess",
        search="1 to 10",
        ge=1,
    )

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse settings that are impossible with these totals."""
        super().check(n_images, n_classes, n_domains)
        if self.clients * self.min_images > n_images:
            fair = n_images // self.clients
            raise not_allowed(
                "min_images",
                self.min_images,
                f"at most {fair}: {n_images} training images for {self.clients} clients",
            )


def not_allowed(field: str, value: float, allowed: str) -> UserError:
    """Return the error for a value of `scenario.FIELD` that is not allowed."""
    return UserError(f"scenario.{field} = {value:g} is not allowed: it should be {allowed}")
