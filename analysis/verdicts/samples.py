"""What each configuration measured on each seed, from the trials and from the images that it got right."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..read.columns import GROUPS
from ..read.results import Results, Row
from ..stats.comparisons import Sample

OWN, GLOBAL = "acc_personal_own", "acc_personal_global"
PERSONAL = (OWN, GLOBAL)
FLOORS = {"majority": "most frequent class", "zeroshot": "zero-shot"}
NOTHING = Sample(values={}, outcomes={})  # of what never ran
Group = tuple[str, str, str]  # trials whose noise is pooled: space, scenario (or stress case), stage
ALONE: Group = ("", "", "")  # of a difference within one run or across scenarios: no trials have its noise
Images = tuple[str, np.ndarray, np.ndarray]  # digest of the images, and [N] cell and contribution of each
WORST = ("complete", "pruned", "failed", "diverged")  # outcomes of a seed, the worst last


@dataclass(frozen=True)
class Side:
    """One side of a difference: its name, what it measured, and the number of its trial.

    `digest` is that of the images of its split; empty where they were not kept.
    """

    words: str
    sample: Sample = NOTHING
    trial: int | None = None
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two configurations that are compared: a minus b.

    Attributes:
        family: Differences that are judged together; they follow one another.
        kind: `choice`, `pair`, `lead`, `rival`, `floor`, `tuning`, `transfer`, `recipe` or `stress`.
        subject: What is changed, or what it is compared with, at the `level`.
        a: The one that is judged; `b` is the one that it is compared with.
        planned: Number of seeds that were planned.
        group: The trials whose noise it shares.
        parts: Number of configurations on each side.
        reason: Why it never ran, where that is known.
        strongest: Of a rival: whether it is the strongest.
    """

    space: str
    scenario: str
    family: str
    kind: str
    subject: str
    level: str
    a: Side
    b: Side
    metric: str
    split: str
    planned: int
    group: Group
    parts: int = 1
    reason: str = ""
    strongest: bool | None = None


def paired_samples(a: Side, b: Side) -> tuple[Sample, Sample]:
    """Return the samples of two sides; without images where they were not evaluated on the same ones."""
    if a.digest and a.digest == b.digest:
        return a.sample, b.sample
    return replace(a.sample, images={}, cell=None), replace(b.sample, images={}, cell=None)


class Samples:
    """Reads samples of the trials of one or several result folders."""

    def __init__(self, *results: Results) -> None:
        self.results, self._images = results, functools.cache(self._images_of)

    def side(self, words: str, trial: Row | None, metric: str, split: str, floor: str = "") -> Side | None:
        """Return one side of a difference; None where its trial ran and this was not measured.

        The metric is the column on validation. The trial is None where it never ran. `floor` is a key of
        `FLOORS`, for the rule without training that was measured beside the trial.
        """
        if trial is None:
            return Side(words)
        outcomes = outcomes_of(trial)
        column = metric.replace("personal", floor) if floor else metric
        values = self._values(trial, column, split)
        finite = {seed: value for seed, value in values.items() if math.isfinite(value)}
        if floor:
            values, outcomes = finite, dict.fromkeys(finite, "complete")
        if not finite and (floor or "complete" in outcomes.values()):
            return None
        zeroshot = (floor or trial.get("method")) == "zeroshot"
        # on the global split all clients have the same accuracy, on every seed; a stress may change images
        fixed = zeroshot and metric.endswith("_global") and trial.get("kind") != "stress"
        sample = Sample(values=values, outcomes=outcomes, rule=zeroshot or bool(floor), fixed=fixed)
        side = Side(words, sample, trial.get("trial"))
        return self._with_images(side, trial, metric, split, floor) if metric in PERSONAL else side

    def _values(self, trial: Row, column: str, split: str) -> dict[int, float]:
        """Return seed -> value, NaN where there is none."""
        seeds = trial.get("seeds") or []
        listed = trial.get(f"test_{column}" if split == "test" else column)
        if listed is None and column in GROUPS:
            listed = [self._groups.get((run, split), {}).get(column) for run in trial.get("runs") or []]
        pairs = zip(seeds, listed or [None] * len(seeds), strict=False)
        return {int(seed): math.nan if value is None else float(value) for seed, value in pairs}

    @functools.cached_property
    def _groups(self) -> dict[tuple[str, str], Row]:
        """Run and split -> the accuracies on groups of classes, which the trials do not have."""
        text = f"""SELECT run, split, {", ".join(GROUPS)} FROM rounds
WHERE coalesce(acc_shared_class_mean, acc_personal_class_mean) IS NOT NULL
QUALIFY round = max(round) OVER (PARTITION BY run, split)"""
        return {(row["run"], row["split"]): row for folder in self.results for row in folder.sql(text)}

    def _with_images(self, side: Side, trial: Row, metric: str, split: str, floor: str) -> Side:
        """Return the side with what each image adds, where all its seeds have the same images."""
        of_run, kept = self._images(floor or "personal", metric.rpartition("_")[2]), side.sample.kept
        found = {
            int(seed): of_run[run, split]
            for seed, run in zip(trial.get("seeds") or [], trial.get("runs") or [], strict=False)
            if (run, split) in of_run and int(seed) in kept
        }
        digests = {digest for digest, _, _ in found.values()}
        if len(digests) != 1 or len(found) < len(kept):
            return side
        cell = next(iter(found.values()))[1]
        images = {seed: parts for seed, (_, _, parts) in found.items()}
        return replace(side, sample=replace(side.sample, images=images, cell=cell), digest=digests.pop())

    def _images_of(self, scope: str, place: str) -> dict[tuple[str, str], Images]:
        """Return (run, split) -> what was kept of its images."""
        text = f'SELECT run, split, images, cell, "{place}" FROM images WHERE scope = $scope'
        found, cells = dict[tuple[str, str], Images](), dict[str, np.ndarray]()
        for folder in self.results:
            columns = folder.arrays(text, scope=scope).values()
            for run, split, digest, cell, parts in zip(*columns, strict=True):
                cells.setdefault(digest, cell)  # one array for all runs on the same images
                found[run, split] = (digest, cells[digest], parts)
        return found


def outcomes_of(trial: Row) -> dict[int, str]:
    """Return seed -> how the run ended; of a trial without this column, as the trial ended."""
    seeds = [int(seed) for seed in trial.get("seeds") or []]
    listed = trial.get("outcomes")
    failed = "diverged" if str(trial.get("reason") or "").startswith("diverged") else "failed"
    ended = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(str(trial.get("state")), failed)
    return dict(zip(seeds, listed or [ended] * len(seeds), strict=False))


def added(words: str, sides: Sequence[Side]) -> Side:
    """Return the sum of several sides seed by seed; a seed has the worst outcome of its parts."""
    samples = [side.sample for side in sides]
    if any(not sample.outcomes for sample in samples):
        return Side(words)
    seeds = sorted(set.intersection(*(set(sample.outcomes) for sample in samples)))
    same = len({side.digest for side in sides}) == 1 and sides[0].digest
    kept = [seed for seed in seeds if same and all(seed in sample.images for sample in samples)]
    sample = Sample(
        values={seed: sum(s.values.get(seed, math.nan) for s in samples) for seed in seeds},
        outcomes={seed: max((s.outcomes[seed] for s in samples), key=WORST.index) for seed in seeds},
        images={seed: np.sum([s.images[seed] for s in samples], axis=0) for seed in kept},
        cell=samples[0].cell if same else None,
    )
    return Side(words, sample, None, same or "")
