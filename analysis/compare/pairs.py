"""Entries of two results matched by scenario; their differences in settings, and doubts about the pairing."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ..look.words import listing
from ..read.files import DamagedFile, read_table
from ..read.results import Row, json_object, tuning_of
from .sides import Argument, Entry, Mistake, config_of, differing

# settings that decide which client holds which image
OF_TASK = ("dataset", "path", "shots", "classes", "split_seed")
PARTITION_SETTINGS = ("scenario.", *(f"task.{name}" for name in OF_TASK))


@dataclass(frozen=True)
class Pair:
    """A configuration of A and one of B in one scenario; `title` distinguishes it from other pairs."""

    both: tuple[Entry, Entry]
    title: str

    def seeds(self, metric: str, split: str) -> set[int]:
        """Return the seeds on which both have a value."""
        a, b = (entry.seeds(metric, split) for entry in self.both)
        return a & b

    def is_same(self, seeds: Collection[int]) -> bool:
        """Whether the runs of these seeds ended in the same state, as their digests say."""
        results = [[entry.meta(seed).get("result") or {} for entry in self.both] for seed in seeds]
        states = [(a.get("state_sha256"), b.get("state_sha256")) for a, b in results]
        return bool(states) and all(a and a == b for a, b in states)

    def cost(self, *names: str) -> tuple[float, float]:
        """Return the sum of some costs of a run, of A and of B, each the mean over seeds."""
        a, b = (sum(float(entry.trial.get(name) or 0) for name in names) for entry in self.both)
        return a, b


def match(
    first: Argument, second: Argument, metric: str
) -> tuple[list[Pair], Sequence[Entry], Sequence[Entry]]:
    """Return the pairs of two sides, and the entries of A and of B from which they come.

    Where a label names several entries (for example an anchor on selection seeds and a configuration on fresh
    seeds), the first entries that share a seed with a value of this metric are taken.

    Raises:
        Mistake: A and B have nothing in common.
    """
    for which, side, other in (("A", first, second), ("B", second, first)):
        if side.whole and not other.whole:
            labels = dict.fromkeys(entry.trial["label"] for entry in side.groups[0])
            names = ", ".join(f"'{side.text}:{label}'" for label in labels)
            what = f"{which} = {side.text}: a sweep of several configurations against one"
            raise Mistake(f"{what}; name one of them: {names}")
    indices = itertools.product(range(len(first.groups)), range(len(second.groups)))
    groups = [(first.groups[i], second.groups[j]) for i, j in sorted(indices, key=sum)]
    alone = not first.whole and all(len(side.groups) == len(side.groups[0]) == 1 for side in (first, second))
    matches = [(pairs, a, b) for a, b in groups if (pairs := _pairs(a, b, first.whole, alone))]
    if not matches:
        a, b = ("; ".join(_title(e, first.whole) for e in side.groups[0]) for side in (first, second))
        raise Mistake(f"A = {first.text} and B = {second.text} have nothing in common: A has {a}, B has {b}")
    return next((m for m in matches if any(pair.seeds(metric, "validation") for pair in m[0])), matches[0])


def _title(entry: Entry, whole: bool) -> str:
    return f"{entry.trial['label']}, {entry.trial['scenario']}" if whole else str(entry.trial["scenario"])


def _pairs(first: Sequence[Entry], second: Sequence[Entry], whole: bool, alone: bool) -> list[Pair]:
    """Pair entries by title; two single entries are paired also where their scenarios differ."""
    if alone:
        (a,), (b,) = first, second
        return [Pair((a, b), " | ".join(dict.fromkeys((_title(a, whole), _title(b, whole)))))]
    by_title = {_title(entry, whole): entry for entry in second}
    return [Pair((e, by_title[t]), t) for e in first if (t := _title(e, whole)) in by_title]


def split_of(pairs: Sequence[Pair], metric: str) -> str:
    """Return `test` where both sides opened it for every paired seed, else `validation`."""
    seeds = [(pair.seeds(metric, "validation"), pair.seeds(metric, "test")) for pair in pairs]
    shared = [(validation, test) for validation, test in seeds if validation or test]
    if not shared:  # no seed is paired: test is shown where all entries have it
        return "test" if all(e.seeds(metric, "test") for pair in pairs for e in pair.both) else "validation"
    return "test" if all(validation <= test for validation, test in shared) else "validation"


def differences(pairs: Sequence[Pair]) -> list[Row]:
    """List the dotted paths in which the configurations of the pairs differ, with both values as a and b.

    In a row, `only` is A or B where the other has no such field, else empty; `where` has the titles of the
    pairs that differ so, and is empty when all do.
    """
    unique: dict[str, Row] = {}
    for pair in pairs:
        a, b = (config_of(json_object(entry.trial["experiment"])) for entry in pair.both)
        for path in differing(a, b):
            only = "" if path in a and path in b else "A" if path in a else "B"
            row = {"path": path, "a": a.get(path), "b": b.get(path), "only": only}
            unique.setdefault(repr(row), {**row, "where": []})["where"].append(pair.title)
    order = list(dict.fromkeys(row["path"] for row in unique.values()))
    rows = sorted(unique.values(), key=lambda row: order.index(row["path"]))
    return [{**row, "where": row["where"] if len(row["where"]) < len(pairs) else []} for row in rows]


def doubts(pairs: Sequence[Pair], differs: Sequence[Row], metric: str, split: str) -> Iterator[str]:
    """Say what weakens the pairing, or explains a verdict by something else than the methods."""
    paths = {row["path"] for row in differs}
    moved, same = sorted(path for path in paths if path.startswith(PARTITION_SETTINGS)), set[bool | None]()
    for pair in pairs:
        for seed in pair.seeds(metric, split):
            try:
                a, b = (_partition(entry.homes.get(seed)) for entry in pair.both)
                same.add(a.equals(b) if a and b else None)
            except DamagedFile as error:
                same.add(None)
                yield f"left out because it cannot be read: {error}"
    if False in same or "task.dataset" in paths or (moved and None in same):
        why = f"A and B differ in {listing(moved)}" if moved else "the partitions on disk differ"
        yield f"{why}: clients hold other images in A than in B, so pairing by seed is only nominal"
    if "rounds" in paths:
        yield "A and B were trained for different numbers of rounds: the difference includes that"
    tunings = {tuple(tuning_of(entry.trial["label"]) for entry in pair.both) for pair in pairs}
    for a, b in sorted(tunings):
        if a and b and "untuned" in (a, b) and a != b:
            yield f"A is {a}, B is {b}: the difference includes the tuning"


def _partition(home: Path | None) -> pa.Table | None:
    """Return which client holds which image in a run; None where that is not on disk."""
    path = home / "partition.parquet" if home else None
    try:
        return read_table(path) if path and path.is_file() else None
    except DamagedFile as error:
        raise DamagedFile(f"{path} ({error})") from error


def other_images(pairs: Sequence[Pair], differs: Sequence[Row]) -> Iterator[str]:
    """Say where A and B were computed from different images of one dataset; older results do not say."""
    settings = ("task.dataset", "task.crop", "task.bands", "task.stretch")
    if any(row["path"] in settings for row in differs):
        return  # which the list of differences says
    sides: list[dict[str, str]] = [{}, {}]
    for pair in pairs:
        for side, entry in zip(sides, pair.both, strict=True):
            for seed in entry.homes:
                dataset = entry.meta(seed).get("dataset")
                if isinstance(dataset, dict) and dataset.get("fingerprint"):
                    number = f"{dataset.get('images', 0):,} images of {dataset.get('name')}"
                    side[str(dataset["fingerprint"])] = f"{number}, fingerprint {dataset['fingerprint'][:12]}"
    a, b = (sorted(side.values()) for side in sides)
    if sides[0] and sides[1] and {*sides[0]} != {*sides[1]}:
        yield f"different images: A {listing(a)}; B {listing(b)}: the difference includes that"


def origins(first: Argument, second: Argument) -> Iterator[str]:
    """Say which commits and versions differ."""
    sides = [
        [{"commit": origin.get("commit"), **(origin.get("versions") or {})} for origin in side.origins]
        for side in (first, second)
    ]
    texts = []
    for name in dict.fromkeys(name for side in sides for origin in side for name in origin):
        a, b = (sorted({str(origin.get(name)) for origin in side}) for side in sides)
        if len({*a, *b}) > 1 and ["None"] not in (a, b):
            texts.append(f"{name} {listing(a)} in A, {listing(b)} in B")
    if texts:
        yield f"different programs: {'; '.join(texts)}"
