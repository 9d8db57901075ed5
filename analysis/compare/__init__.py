"""`raysim compare A B`: the paired verdict between two results, from their files alone."""

from .comparison import Comparison, compare
from .sides import Mistake

__all__ = ["Comparison", "Mistake", "compare"]
