"""Which rival is the strongest: chosen by the same rule everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .pools import Sample


def strongest(rivals: Mapping[str, Sequence[Sample]]) -> str:
    """Return the rival whose best configuration has the highest mean; empty where none has one.

    A lost seed counts as accuracy 0, and a configuration that lost at least half of its seeds has no mean.
    Choose on other seeds than those of the comparison: on the same ones the difference is biased.

    Args:
        rivals: Name -> its configurations on the seeds that choose.
    """
    best = {name: max(map(_score, samples), default=-1.0) for name, samples in rivals.items()}
    return max((name for name in best if best[name] >= 0), key=best.__getitem__, default="")


def _score(sample: Sample) -> float:
    kept, lost = sample.kept, len(sample.lost)
    return sum(kept.values()) / (len(kept) + lost) if len(kept) > lost else -1.0
