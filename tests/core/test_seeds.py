"""Addressed randomness: equal addresses give equal draws, different addresses different ones."""

from __future__ import annotations

import itertools

import torch

from raysim.core.seeds import derive, numpy_rng, torch_rng

ADDRESSES = [
    (0, "batches", 0, 1),
    (0, "batches", 1, 0),
    (0, "batches", 10),
    (0, "cohort", 0, 1),
    (1, "batches", 0, 1),
]


def test_seeds_are_pinned() -> None:
    """Every result on disk depends on these numbers."""
    assert derive(0, "cohort", 3) == 2636396714720290920


def test_every_part_of_an_address_matters() -> None:
    for one, other in itertools.combinations(ADDRESSES, 2):
        assert derive(*one) != derive(*other)
        assert numpy_rng(*one).random() != numpy_rng(*other).random()
        assert torch_rng(*one).initial_seed() != torch_rng(*other).initial_seed()


def test_equal_addresses_draw_the_same() -> None:
    for address in ADDRESSES:
        assert 0 <= derive(*address) < 2**63
        assert (numpy_rng(*address).random(4) == numpy_rng(*address).random(4)).all()
        assert torch.equal(*(torch.rand(4, generator=torch_rng(*address)) for _ in range(2)))
