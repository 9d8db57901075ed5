"""Addressed randomness: a draw is named by (seed, purpose, address), never taken from a shared stream.

So a client's batches do not depend on which worker serves it, on how many clients came before it, or on a
resume.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derive(seed: int, purpose: str, *address: int | str) -> int:
    """A 63-bit integer that depends on every argument and on nothing else.

    Args:
        seed: The experiment's seed.
        purpose: What the randomness is for, e.g. `"cohort"`, `"batches"`.
        *address: Where it is used, e.g. round and client.
    """
    text = "\x1f".join([str(seed), purpose, *map(str, address)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_rng(seed: int, purpose: str, *address: int | str) -> np.random.Generator:
    """A NumPy generator at this address."""
    return np.random.Generator(np.random.Philox(derive(seed, purpose, *address)))


def torch_rng(seed: int, purpose: str, *address: int | str) -> torch.Generator:
    """A torch CPU generator at this address; draw on the CPU and move, so that devices agree."""
    return torch.Generator().manual_seed(derive(seed, purpose, *address))
