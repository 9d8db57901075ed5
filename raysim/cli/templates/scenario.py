"""TITLE: who holds which image, by a rule of my own.

    raysim check FILE                                      does it keep the contract?
    raysim run scenario=NAME --plugin FILE                 one run
    raysim plan scenario=NAME --plugin FILE                sizes and skew of the clients

This one gives a share of all images to client 0, and the rest evenly to the others. Where clients exist
already (a table of owners), no code is needed: scenario=given scenario.file=owners.csv.

Shapes: K clients, C classes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from raysim import SCENARIOS, Scenario, UserError, knob
from raysim.clients import counts
from raysim.clients.counts import Ints


@SCENARIOS.add
class CLASS(Scenario):
    """TITLE."""

    name: ClassVar[str] = "NAME"  # the word on the command line: scenario=NAME

    # A setting: its default, what it is, where the default comes from, and its range. It is set by
    # scenario.share=0.5; `clients` and `label_noise` come from the base class.
    share: float = knob(
        0.5, "share of all images at client 0", basis="guess", search="0.1 to 0.9", gt=0, lt=1
    )

    @property
    def skew(self) -> str:
        """Return a short name for tables and figures."""
        return f"one large client, {100 * self.share:g} %"

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse, before any work, what is not possible with so many images."""
        super().check(n_images, n_classes, n_domains)
        if self.clients < 2:
            raise UserError(f"scenario.clients = {self.clients} is not allowed: it should be at least 2")

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Return how many images of each class every client gets, [K, C].

        Args:
            totals_C: Images of each class. [C]
            rng: Generator of all draws; the same seed must give the same table.
        """
        images = int(totals_C.sum())
        large = min(max(1, round(self.share * images)), images - (self.clients - 1))
        rest = counts.apportion(
            np.ones(self.clients - 1),
            images - large,
            np.ones(self.clients - 1, dtype=np.int64),
            np.full(self.clients - 1, images, dtype=np.int64),
        )
        return counts.block_table(totals_C, np.concatenate([[large], rest]), rng)
