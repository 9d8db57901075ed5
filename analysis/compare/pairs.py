"""Entries of two results, matched by scenario and paired by seed; their differences, and doubts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ..look.words import listing
from ..read.files import DamagedFile, read_table
from ..read.results import Row, tuning_of
from ..stats.intervals import Interval, paired
from .sides import Entry, Mistake, Side, differing

CONFIDENCE = 0.9
PARTITION_SETTINGS = (
    "scenario.",
    "task.dataset",
    "task.path",
    "task.shots",
    "task.classes",
    "task.split_seed",
)  # settings that decide which client holds which image
Match = tuple[list["Pair"], Sequence[Entry], Sequence[Entry]]


@dataclass(frozen=True)
class Pair:
    """A configuration of A and one of B in one scenario; `title` distinguishes it from other pairs."""

    first: Entry
    second: Entry
    title: str

    def seeds(self, column: str) -> list[int]:
        """Return the seeds that both have."""
        return sorted(set(self.first.values[column]) & set(self.second.values[column]))

    def interval(self, column: str) -> Interval | None:
        """Compute the interval of A minus B over the shared seeds; None where there are none."""
        return paired(self.first.values[column], self.second.values[column], CONFIDENCE)

    def verdict(self, column: str) -> str:
        """Return the verdict of `Interval` on A minus B; `unpaired` without a shared seed."""
        interval = self.interval(column)
        return interval.verdict if interval else "unpaired"

    def mean(self, entry: Entry, column: str) -> float | None:
        """Compute the mean of one entry over the shared seeds; over its own seeds where none is shared."""
        values = entry.values[column]
        chosen = self.seeds(column) or list(values)
        return sum(values[seed] for seed in chosen) / len(chosen) if chosen else None

    def ratio(self, name: str) -> float | None:
        """Return the cost of A divided by that of B; None where B costs nothing."""
        return self.first.cost[name] / self.second.cost[name] if self.second.cost[name] else None


def match(first: Side, second: Side, metric: str) -> Match:
    """Pair the entries of two sides.

    Where a label names several entries (for example an anchor on selection seeds and a configuration on fresh
    seeds), the first entries that share a seed are taken.

    Args:
        first: A.
        second: B.
        metric: Only seeds with a value of this column count.

    Returns:
        The pairs, and the entries of A and of B from which they come.

    Raises:
        Mistake: A and B have nothing in common.
    """
    for which, side, other in (("A", first, second), ("B", second, first)):
        if side.whole and not other.whole:
            names = dict.fromkeys(e.label for e in side.groups[0])
            raise Mistake(
                f"{which} = {side.argument}: a sweep of several configurations against one; name one "
                "of them: " + ", ".join(f"'{side.argument}:{name}'" for name in names)
            )
    indices = itertools.product(range(len(first.groups)), range(len(second.groups)))
    groups = [(first.groups[i], second.groups[j]) for i, j in sorted(indices, key=sum)]
    alone = not first.whole and all(len(side.groups) == len(side.groups[0]) == 1 for side in (first, second))
    matches = [
        (pairs, a, b) for a, b in groups if (pairs := _alone(a, b) if alone else _pairs(a, b, first.whole))
    ]
    if not matches:
        a, b = ("; ".join(_title(e, first.whole) for e in side.groups[0]) for side in (first, second))
        raise Mistake(
            f"A = {first.argument} and B = {second.argument} have nothing in common: A has {a}, B has {b}"
        )
    return next((m for m in matches if any(pair.seeds(metric) for pair in m[0])), matches[0])


def _title(entry: Entry, whole: bool) -> str:
    return f"{entry.label}, {entry.scenario}" if whole else entry.scenario


def _alone(first: Sequence[Entry], second: Sequence[Entry]) -> list[Pair]:
    """Pair two entries of one scenario each, also where their scenarios differ."""
    return [Pair(first[0], second[0], " | ".join(dict.fromkeys((first[0].scenario, second[0].scenario))))]


def _pairs(first: Sequence[Entry], second: Sequence[Entry], whole: bool) -> list[Pair]:
    by_title = {_title(entry, whole): entry for entry in second}
    titles = [(entry, _title(entry, whole)) for entry in first]
    return [Pair(entry, by_title[title], title) for entry, title in titles if title in by_title]


def split_of(pairs: Sequence[Pair], metric: str) -> str:
    """Return `test` where both sides opened it for every paired seed, else `validation`."""
    seeds_of_pairs = [(pair.seeds(metric), pair.seeds(f"test_{metric}")) for pair in pairs]
    shared = [(seeds, tests) for seeds, tests in seeds_of_pairs if seeds or tests]
    if not shared:  # no seed is paired: test is shown where all entries have it
        opened = all(entry.values[f"test_{metric}"] for pair in pairs for entry in (pair.first, pair.second))
        return "test" if opened else "validation"
    return "test" if all(set(seeds) <= set(tests) for seeds, tests in shared) else "validation"


def differences(pairs: Sequence[Pair]) -> list[Row]:
    """List the dotted paths in which the configurations of the pairs differ.

    Returns:
        Rows with path, a and b (the values), only (`A` or `B` where the other has no such field, else empty)
        and where (titles of the pairs that differ so; empty when all do).
    """
    unique: dict[str, Row] = {}
    for pair in pairs:
        a, b = pair.first.config, pair.second.config
        for path in differing(a, b):
            only = "" if path in a and path in b else "A" if path in a else "B"
            row = {"path": path, "a": a.get(path), "b": b.get(path), "only": only}
            unique.setdefault(repr(row), {**row, "where": []})["where"].append(pair.title)
    order = list(dict.fromkeys(row["path"] for row in unique.values()))
    rows = sorted(unique.values(), key=lambda row: order.index(row["path"]))
    return [{**row, "where": row["where"] if len(row["where"]) < len(pairs) else []} for row in rows]


def same_images(pair: Pair, seeds: Sequence[int]) -> bool | None:
    """Compare the partitions on disk: whether clients hold the same images on both sides.

    Args:
        pair: The two entries.
        seeds: The shared seeds.

    Returns:
        Whether all partitions are equal; None where no two files can be compared.

    Raises:
        DamagedFile: A file cannot be read; the message names it.
    """
    files = [(pair.first.partitions.get(seed), pair.second.partitions.get(seed)) for seed in seeds]
    present = [(a, b) for a, b in files if a and b and a.is_file() and b.is_file()]
    if not present:
        return None
    return all(a.read_bytes() == b.read_bytes() or _partition(a).equals(_partition(b)) for a, b in present)


def _partition(path: Path) -> pa.Table:
    try:
        return read_table(path)
    except DamagedFile as error:
        raise DamagedFile(f"{path} ({error})") from error


def doubts(pairs: Sequence[Pair], differs: Sequence[Row], column: str) -> Iterator[str]:
    """Say what weakens the pairing, or explains a verdict by something else than the methods."""
    paths = {row["path"] for row in differs}
    moved = sorted(path for path in paths if path.startswith(PARTITION_SETTINGS))
    same: set[bool | None] = set()
    for pair in pairs:
        try:
            same.add(same_images(pair, pair.seeds(column)))
        except DamagedFile as error:
            same.add(None)
            yield f"left out because it cannot be read: {error}"
    if False in same or "task.dataset" in paths or (moved and None in same):
        why = f"A and B differ in {listing(moved)}" if moved else "the partitions on disk differ"
        yield f"{why}: clients hold other images in A than in B, so pairing by seed is only nominal"
    if "rounds" in paths:
        yield "A and B were trained for different numbers of rounds: the difference includes that"
    kinds = {(tuning_of(pair.first.label), tuning_of(pair.second.label)) for pair in pairs}
    for a, b in sorted(kinds & {("tuned", "untuned"), ("untuned", "tuned")}):
        yield f"A is {a}, B is {b}: the difference includes the tuning"


def origins(first: Side, second: Side) -> Iterator[str]:
    """Say which commits and versions differ."""
    commits = [
        sorted({str(o["commit"]) for o in side.origins if o.get("commit")}) for side in (first, second)
    ]
    if len({*commits[0], *commits[1]}) > 1:
        yield (
            f"different commits: A {listing(commits[0]) or 'not recorded'}, B "
            f"{listing(commits[1]) or 'not recorded'}"
        )
    by_library: dict[str, tuple[set[str], set[str]]] = {}
    for place, side in enumerate((first, second)):
        for name, version in ((n, v) for o in side.origins for n, v in (o.get("versions") or {}).items()):
            by_library.setdefault(name, (set(), set()))[place].add(str(version))
    mixed = {name: sides for name, sides in by_library.items() if all(sides) and len(sides[0] | sides[1]) > 1}
    texts = [f"{name} {listing(sorted(a))} in A, {listing(sorted(b))} in B" for name, (a, b) in mixed.items()]
    if texts:
        yield f"different versions: {'; '.join(texts)}"
