"""Addressed randomness: every draw has its own generator, seeded by (seed, purpose, address).

No draws come from a shared stream. So a client's batches do not depend on the worker that serves it, on the
number of clients before it, or on a resume.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str, *address: int | str) -> int:
    """Return a 63-bit integer that depends on every argument and on nothing else.

    Args:
        seed: The experiment's seed.
        purpose: Use of the random numbers, e.g. `"cohort"`, `"batches"`.
        *address: Place of the use, e.g. round and client.
    """
    text = "\x1f".join([str(seed), purpose, *map(str, address)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_rng(seed: int, purpose: str, *address: int | str) -> np.random.Generator:
    """Return the NumPy generator of this address."""
    return np.random.Generator(np.random.Philox(derive(seed, purpose, *address)))


def torch_rng(seed: int, purpose: str, *address: int | str) -> torch.Generator:
    """Return the torch CPU generator of this address; draw on the CPU and move, so that devices agree."""
    import torch  # here: most draws need NumPy alone, and torch takes seconds to load

    return torch.Generator().manual_seed(derive(seed, purpose, *address))
