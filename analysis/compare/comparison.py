"""The paired comparison of two results: verdict in words, tables, JSON, and warnings about the pairing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..look.words import TITLES, WITHIN, count, listing, percent, points, size, span
from ..read.results import Row
from ..stats.intervals import NO_WIDTH, multiplicity
from .pairs import CONFIDENCE, Pair, differences, doubts, match, origins, split_of
from .sides import METRICS, Entry, Mistake, Side, open_side

MAX_FULL_PAIRS = 4  # with more pairs, the tables show only the metric of the verdict
VERDICT_VERBS = {
    "helps": "is ahead of {}",
    "hurts": "is behind {}",
    "level": f"is level with {{}} ({WITHIN})",
    "undecided": "is undecided against {}",
    "unpaired": "cannot be paired with {}",
}
VERDICT_WORDS = {
    "helps": "ahead",
    "hurts": "behind",
    "level": "level",
    "undecided": "undecided",
    "unpaired": "not paired",
}


def compare(first: str, second: str, metric: str = METRICS[0]) -> Comparison:
    """Compare two results, from their files alone.

    Args:
        first: A: the folder of a run, a folder of runs that differ in their seed, the folder of a sweep, or
            SWEEP:LABEL.
        second: B, likewise.
        metric: The column on which the verdict is given.

    Raises:
        Mistake: An argument names no result, or A and B have nothing in common.
    """
    if first.rstrip("/") == second.rstrip("/"):
        raise Mistake(f"A and B are the same: {first}")
    a, b = open_side("A", first.rstrip("/")), open_side("B", second.rstrip("/"))
    pairs, of_a, of_b = match(a, b, metric)
    return Comparison(a, b, (of_a, of_b), metric, split_of(pairs, metric), pairs)


@dataclass(frozen=True)
class Comparison:
    """A compared with B.

    Attributes:
        first: A.
        second: B.
        entries: The entries of A and of B, paired or not.
        metric: The column on which the verdict is given.
        split: `test` where both opened it for every paired seed, else `validation`.
        pairs: The entries that could be paired by scenario.
    """

    first: Side
    second: Side
    entries: tuple[Sequence[Entry], Sequence[Entry]]
    metric: str
    split: str
    pairs: Sequence[Pair]

    @property
    def names(self) -> tuple[str, str]:
        """Names of A and B: their labels where these differ, else the arguments."""
        sides = (self.first, self.second)
        a, b = (
            entries[0].label if side.label else side.argument
            for side, entries in zip(sides, self.entries, strict=True)
        )
        return (a, b) if a != b else (self.first.argument, self.second.argument)

    def column(self, metric: str = "") -> str:
        """Return the column of a metric on the compared split."""
        return ("test_" if self.split == "test" else "") + (metric or self.metric)

    @property
    def sentence(self) -> str:
        """The verdict on the metric, in words."""
        (a, b), column = self.names, self.column()
        by_verdict = {v: [p for p in self.pairs if p.verdict(column) == v] for v in VERDICT_VERBS}
        by_verdict = {verdict: pairs for verdict, pairs in by_verdict.items() if pairs}
        if self.first.whole:
            numbers = ", ".join(f"{VERDICT_WORDS[v]} in {len(pairs)}" for v, pairs in by_verdict.items())
            return (
                f"Over {count(len(self.pairs), 'pair')} of equal configuration and scenario, {a} "
                f"against {b}: {numbers}."
            )
        clauses = []
        for verdict, pairs in by_verdict.items():
            text = listing(
                [(f"under {p.title}" if len(self.pairs) > 1 else "") + details(p, column) for p in pairs]
            ).lstrip()
            clauses.append(VERDICT_VERBS[verdict].format(b) + ("" if text.startswith(":") else " ") + text)
        return f"{a} {'; it '.join(clauses)}."

    @property
    def basis(self) -> list[str]:
        """Lines on the basis of the verdict: metric, split, and what A and B are."""
        what = f"{TITLES.get(self.metric, 'tenth percentile of clients')} ({self.metric})"
        lines = [f"{what}, {self.split} split: A minus B, {CONFIDENCE:.0%} t interval over paired seeds"]
        for name, side, entries in zip("AB", (self.first, self.second), self.entries, strict=True):
            labels = list(dict.fromkeys(e.label for e in entries))
            seeds = sorted({seed for e in entries for seed in e.values[self.column()]})
            lines.append(
                f"{name} = {side.argument} ({listing(labels)}; {count(len(seeds), 'seed')}: "
                f"{seed_range(seeds)})"
            )
        return lines

    def tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Yield title, head and rows of each table: the metrics pair by pair, then the cost of a run."""
        head = ["A, %", "B, %", "A \u2212 B, points", f"{CONFIDENCE:.0%} interval", "seeds", "verdict"]
        if len(self.pairs) <= MAX_FULL_PAIRS:
            metrics = dict.fromkeys([self.metric, *METRICS])
            for pair in self.pairs:
                yield pair.title, ["", *head], [[metric, *self._line(pair, metric)] for metric in metrics]
        else:
            yield (
                self.metric,
                ["", *head],
                [[pair.title, *self._line(pair, self.metric)] for pair in self.pairs],
            )
        costs = [f"{name}{side}" for name in ("bytes", "FLOPs") for side in (" A", " B", " A / B")]
        yield (
            "cost of a run, mean over seeds",
            ["", *costs],
            [[p.title, *_cost(p, "bytes"), *_cost(p, "flops")] for p in self.pairs],
        )

    def _line(self, pair: Pair, metric: str) -> list[str]:
        column = self.column(metric)
        interval = pair.interval(column)
        shown = span(interval) if interval and interval.low is not None else "\u2013"
        return [
            percent(pair.mean(pair.first, column)),
            percent(pair.mean(pair.second, column)),
            points(interval.mean if interval else None),
            shown,
            str(interval.n if interval else 0),
            VERDICT_WORDS[pair.verdict(column)],
        ]

    @cached_property
    def differs(self) -> list[Row]:
        """Differences between the configurations (see `pairs.differences`)."""
        return differences(self.pairs)

    @property
    def differing(self) -> list[str]:
        """`differs` as lines; the fields that only one side has are listed in one line."""
        lines = [
            f"{r['path']}: {_value(r['a'])} | {_value(r['b'])}{_where(r)}"
            for r in self.differs
            if not r["only"]
        ]
        for side in "AB":
            fields = [
                f"{r['path']}={_value(r[side.lower()])}{_where(r)}" for r in self.differs if r["only"] == side
            ]
            lines += [f"only in {side}: {', '.join(fields)}"] if fields else []
        return lines

    @cached_property
    def warnings(self) -> list[str]:
        """Limits of the comparison that a reader must know before using the verdict."""
        texts = [
            *self.first.notes,
            *self.second.notes,
            *doubts(self.pairs, self.differs, self.column()),
            *origins(self.first, self.second),
            *self._left_out(),
        ]
        m = multiplicity([i for p in self.pairs if (i := p.interval(self.column()))], CONFIDENCE)
        if m.shown > 2:
            texts.append(
                f"of {m.shown} intervals of {CONFIDENCE:.0%}, about {m.by_chance:.1f} would exclude zero "
                "by chance alone"
            )
        return texts

    def _left_out(self) -> Iterator[str]:
        """Say which entries and seeds only one side has."""
        sides = list(zip(*((pair.first, pair.second) for pair in self.pairs), strict=True))
        for name, entries, used in zip("AB", self.entries, sides, strict=True):
            left: dict[str, list[str]] = {}
            for entry in (e for e in entries if all(e is not other for other in used)):
                left.setdefault(entry.label, []).append(entry.scenario)
            if left:
                yield f"only in {name}: " + "; ".join(
                    f"{label} under {listing(scenarios)}" for label, scenarios in left.items()
                )
        titles: dict[str, list[str]] = {}
        for pair in self.pairs:
            for text in self._unpaired_seeds(pair):
                titles.setdefault(text, []).append(pair.title)
        yield from (
            text + ("" if len(of_text) == len(self.pairs) else f" ({'; '.join(of_text)})")
            for text, of_text in titles.items()
        )

    def _unpaired_seeds(self, pair: Pair) -> Iterator[str]:
        a, b = (set(e.values[self.column()]) for e in (pair.first, pair.second))
        for name, seeds in (("A", a - b), ("B", b - a)):
            if seeds and a & b:
                yield f"seeds only in {name}: {seed_range(sorted(seeds))}"
        tests = [len(e.values[f"test_{self.metric}"]) for e in (pair.first, pair.second)]
        if self.split == "validation" and any(tests):
            yield (
                f"the test split was opened for {count(tests[0], 'seed')} of A and {tests[1]} of B: "
                "compared on validation"
            )

    def json(self) -> Row:
        """Return the whole comparison as plain data."""
        return {
            "metric": self.metric,
            "split": self.split,
            "confidence": CONFIDENCE,
            "sentence": self.sentence,
            "a": self.first.argument,
            "b": self.second.argument,
            "pairs": [self._row(pair) for pair in self.pairs],
            "differs": self.differs,
            "warnings": self.warnings,
        }

    def _row(self, pair: Pair) -> Row:
        column = self.column()
        interval = pair.interval(column)
        numbers = {name: getattr(interval, name, None) for name in ("mean", "low", "high")}
        return {
            "scenario": pair.first.scenario,
            "scenario_b": pair.second.scenario,
            "label": pair.first.label,
            "label_b": pair.second.label,
            "a": pair.mean(pair.first, column),
            "b": pair.mean(pair.second, column),
            **numbers,
            "n": interval.n if interval else 0,
            "verdict": pair.verdict(column),
            **{f"{name}_ratio": pair.ratio(name) for name in ("bytes", "flops")},
        }


def details(pair: Pair, column: str) -> str:
    """Say by how much A and B differ, or why that is not known."""
    interval = pair.interval(column)
    if interval is None:
        seeds_of = [
            f"{side}: {seed_range(sorted(e.values[column]))}"
            for side, e in (("A", pair.first), ("B", pair.second))
        ]
        return f": no seed is shared ({'; '.join(seeds_of)}), and an unpaired difference gets no verdict"
    mean, seeds = f"{points(interval.mean)} points", count(interval.n, "paired seed")
    if interval.low is None or interval.high is None:
        return f": one seed gives no interval ({mean}, seed {pair.seeds(column)[0]})"
    if interval.high - interval.low <= NO_WIDTH:
        return f": {mean} in each of {seeds}, which measures no spread"
    if not interval.excludes_zero:
        return f": {mean} ({span(interval)}, {seeds})"
    digits = 1 if abs(interval.mean) >= 0.001 else 2
    least, most = sorted((abs(interval.low), abs(interval.high)))
    return (
        f" by {percent(abs(interval.mean), digits)} points ({percent(least, digits)} to "
        f"{percent(most, digits)}, {seeds})"
    )


def seed_range(seeds: Sequence[int]) -> str:
    """Write seeds as `0 to 4`, or as a list."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) or "none"


def _cost(pair: Pair, name: str) -> list[str]:
    a, b = pair.first.cost[name], pair.second.cost[name]
    ratio = pair.ratio(name)
    return [
        *((size(v) if name == "bytes" else f"{v:.3g}") for v in (a, b)),
        "\u2013" if ratio is None else f"{ratio:.3g}",
    ]


def _value(value: Any) -> str:
    return "null" if value is None else str(value)


def _where(row: Row) -> str:
    return f" ({'; '.join(row['where'])})" if row["where"] else ""
