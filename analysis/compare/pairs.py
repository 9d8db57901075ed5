"""Entries of two results, matched by scenario and paired by seed; what differs between them, and how far the pairing can be trusted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq

from ..look.words import listing
from ..read.results import Row, standing
from ..stats.intervals import Interval, paired
from .sides import Entry, Mistake, Side, differing

CONFIDENCE = 0.9
IMAGES = (
    "scenario.",
    "task.dataset",
    "task.path",
    "task.shots",
    "task.classes",
    "task.split_seed",
)  # what decides who holds what
Match = tuple[list["Pair"], Sequence[Entry], Sequence[Entry]]


@dataclass(frozen=True)
class Pair:
    """A configuration of A and one of B, in one scenario; `title` tells it from the other pairs."""

    first: Entry
    second: Entry
    title: str

    def seeds(self, column: str) -> list[int]:
        """The seeds that both have."""
        return sorted(set(self.first.values[column]) & set(self.second.values[column]))

    def interval(self, column: str) -> Interval | None:
        """Of A minus B over the shared seeds; None where there are none."""
        return paired(self.first.values[column], self.second.values[column], CONFIDENCE)

    def verdict(self, column: str) -> str:
        """As in `Interval`, from A's side; `unpaired` without a shared seed."""
        interval = self.interval(column)
        return interval.verdict if interval else "unpaired"

    def mean(self, entry: Entry, column: str) -> float | None:
        """Of one of the two over the shared seeds; over its own where none is shared."""
        values = entry.values[column]
        chosen = self.seeds(column) or list(values)
        return sum(values[seed] for seed in chosen) / len(chosen) if chosen else None

    def ratio(self, name: str) -> float | None:
        """Of A's cost to B's."""
        return self.first.cost[name] / self.second.cost[name] if self.second.cost[name] else None


def match(first: Side, second: Side, metric: str) -> Match:
    """Pair the entries of two sides.

    Where a label names several entries (an anchor on selection seeds and a configuration on fresh ones, say),
    the first that share a seed are taken.

    Args:
        first: A.
        second: B.
        metric: The seeds that have it count.

    Returns:
        The pairs, and the entries of A and of B that they come from.

    Raises:
        Mistake: They have nothing in common.
    """
    for which, side, other in (("A", first, second), ("B", second, first)):
        if side.whole and not other.whole:
            names = dict.fromkeys(e.label for e in side.groups[0])
            raise Mistake(
                f"{which} = {side.argument}: a sweep of several configurations against one; name one "
                "of them: " + ", ".join(f"'{side.argument}:{name}'" for name in names)
            )
    places = itertools.product(range(len(first.groups)), range(len(second.groups)))
    groups = [(first.groups[i], second.groups[j]) for i, j in sorted(places, key=sum)]
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
    """Two entries of one scenario each are paired whatever their scenarios."""
    return [Pair(first[0], second[0], " | ".join(dict.fromkeys((first[0].scenario, second[0].scenario))))]


def _pairs(first: Sequence[Entry], second: Sequence[Entry], whole: bool) -> list[Pair]:
    there = {_title(entry, whole): entry for entry in second}
    return [Pair(entry, there[title], title) for entry in first if (title := _title(entry, whole)) in there]


def split_of(pairs: Sequence[Pair], metric: str) -> str:
    """`test` where both sides opened it for every paired seed, else `validation`."""
    able = [(pair.seeds(metric), pair.seeds(f"test_{metric}")) for pair in pairs]
    shared = [(seeds, tests) for seeds, tests in able if seeds or tests]
    if not shared:  # nothing is paired: what can be shown is the best there is
        opened = all(entry.values[f"test_{metric}"] for pair in pairs for entry in (pair.first, pair.second))
        return "test" if opened else "validation"
    return "test" if all(set(seeds) <= set(tests) for seeds, tests in shared) else "validation"


def differences(pairs: Sequence[Pair]) -> list[Row]:
    """The dotted paths in which the configurations of the pairs differ.

    Returns:
        Rows with path, a and b (its values), only (`A` or `B` where the other has no such field, else empty)
        and where (titles of the pairs of which this holds; empty when it does of all).
    """
    found: dict[str, Row] = {}
    for pair in pairs:
        a, b = pair.first.config, pair.second.config
        for path in differing(a, b):
            only = "" if path in a and path in b else "A" if path in a else "B"
            row = {"path": path, "a": a.get(path), "b": b.get(path), "only": only}
            found.setdefault(repr(row), {**row, "where": []})["where"].append(pair.title)
    order = list(dict.fromkeys(row["path"] for row in found.values()))
    rows = sorted(found.values(), key=lambda row: order.index(row["path"]))
    return [{**row, "where": row["where"] if len(row["where"]) < len(pairs) else []} for row in rows]


def same_images(pair: Pair, seeds: Sequence[int]) -> bool | None:
    """Whether clients hold the same images on both sides, by the files of the shared seeds; None where there is no file to ask."""
    files = [(pair.first.partitions.get(seed), pair.second.partitions.get(seed)) for seed in seeds]
    known = [(a, b) for a, b in files if a and b and a.is_file() and b.is_file()]
    if not known:
        return None
    return all(
        a.read_bytes() == b.read_bytes() or pq.read_table(a).equals(pq.read_table(b)) for a, b in known
    )


def doubts(pairs: Sequence[Pair], differs: Sequence[Row], column: str) -> Iterator[str]:
    """What weakens the pairing, or explains a verdict otherwise than by the methods."""
    paths = {row["path"] for row in differs}
    moved = sorted(path for path in paths if path.startswith(IMAGES))
    same = {same_images(pair, pair.seeds(column)) for pair in pairs}
    if False in same or "task.dataset" in paths or (moved and None in same):
        why = f"A and B differ in {listing(moved)}" if moved else "the partitions on disk differ"
        yield f"{why}: clients hold other images in A than in B, so pairing by seed is only nominal"
    if "rounds" in paths:
        yield "A and B were trained for different numbers of rounds: the difference includes that"
    kinds = {(standing(pair.first.label), standing(pair.second.label)) for pair in pairs}
    for a, b in sorted(kinds & {("tuned", "untuned"), ("untuned", "tuned")}):
        yield f"A is {a}, B is {b}: the difference includes the tuning"


def origins(first: Side, second: Side) -> Iterator[str]:
    """Different commits or versions."""
    commits = [
        sorted({str(o["commit"]) for o in side.origins if o.get("commit")}) for side in (first, second)
    ]
    if len({*commits[0], *commits[1]}) > 1:
        yield (
            f"different commits: A {listing(commits[0]) or 'not recorded'}, B "
            f"{listing(commits[1]) or 'not recorded'}"
        )
    found: dict[str, tuple[set[str], set[str]]] = {}
    for place, side in enumerate((first, second)):
        for name, version in ((n, v) for o in side.origins for n, v in (o.get("versions") or {}).items()):
            found.setdefault(name, (set(), set()))[place].add(str(version))
    mixed = {name: sides for name, sides in found.items() if all(sides) and len(sides[0] | sides[1]) > 1}
    apart = [f"{name} {listing(sorted(a))} in A, {listing(sorted(b))} in B" for name, (a, b) in mixed.items()]
    if apart:
        yield f"different versions: {'; '.join(apart)}"
