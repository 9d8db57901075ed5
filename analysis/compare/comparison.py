"""The paired comparison of two results: the verdict in words, tables, JSON, and warnings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ..look.words import TITLES, VERBS, bracket, count, listing, percent, points, shown, size
from ..read.results import Row
from ..stats import comparisons as stats
from ..stats.pools import NO_WIDTH
from ..verdicts.samples import FLOORS, PERSONAL, Side, paired_samples
from ..verdicts.tables import verdict_rows
from .pairs import Pair, differences, doubts, match, origins, other_images, split_of
from .sides import MEASURED, Argument, Entry, Mistake, open_argument

METRICS = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global", MEASURED[4])
CONFIDENCE = 0.9
MAX_FULL_PAIRS = 4  # with more, the tables show the metric of the verdict, and which side is below a floor
COSTS = {"bytes": ("bytes_up", "bytes_down"), "FLOPs": ("flops",), "server FLOPs": ("flops_server",)}
FACTS = ("metric", "split", "sentence", "floors", "differs", "warnings")  # of a comparison in JSON


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
    a, b = open_argument("A", first.rstrip("/")), open_argument("B", second.rstrip("/"))
    pairs, of_a, of_b = match(a, b, metric)
    return Comparison((a, b), (of_a, of_b), metric, split_of(pairs, metric), pairs)


@dataclass(frozen=True)
class Comparison:
    """A compared with B."""

    sides: tuple[Argument, Argument]  # A and B
    entries: tuple[Sequence[Entry], Sequence[Entry]]  # of A and of B, paired or not
    metric: str  # the column on which the verdict is given
    split: str  # `test` where both opened it for every paired seed, else `validation`
    pairs: Sequence[Pair]  # the entries that could be paired by scenario

    @cached_property
    def rows(self) -> dict[str, list[Row]]:
        """Metric -> a row for each pair, with the columns of the table of verdicts.

        Two entries of one sweep have the row of its table, so that its pages say the same. Other pairs are
        judged together, metric by metric.
        """
        found = {}
        for metric in dict.fromkeys([self.metric, *METRICS]):
            sides = [(p, self._side(p.both[0], metric), self._side(p.both[1], metric)) for p in self.pairs]
            found[metric] = [
                _identical(row, pair)
                | self._table.get((row["trial_a"], row["trial_b"], metric, self.split), {})
                for row, pair in zip(self._judge(sides, metric), self.pairs, strict=True)
            ]
        return found

    def _side(self, entry: Entry, metric: str) -> Side:
        return entry.samples.side("", entry.trial, metric, self.split) or Side("")

    @cached_property
    def _table(self) -> dict[tuple[Any, ...], Row]:
        """The table of verdicts of the sweep that both sides are entries of, by trials, metric and split."""
        a, b = (side.sweep for side in self.sides)
        if a is None or b is None or a.folder.resolve() != b.folder.resolve():
            return {}
        table = verdict_rows(a)
        rows = [(_named(row), row["level"] if row["kind"] == "floor" else row["trial_b"]) for row in table]
        rows += [(turned(_named(r, "B", "A")), r["trial_a"]) for r in table if r["kind"] != "floor"]
        return {(row["trial_a"], other, row["metric"], row["split"]): row for row, other in rows}

    def _judge(self, compared: Sequence[tuple[Pair, Side, Side]], metric: str) -> list[Row]:
        pools, comparisons, test = {}, [], self.split == "test"
        for pair, a, b in compared:
            members = {tuple(trial["runs"] or ()): (e, trial) for e in pair.both for trial in e.peers}
            peers = [e.samples.side("", trial, metric, self.split) for e, trial in members.values()]
            pools[pair.title] = stats.Pool.of([peer.sample for peer in peers if peer])
            first, second = paired_samples(a, b)
            planned = max(len(first.outcomes), len(second.outcomes))
            c = stats.Comparison(a=first, b=second, pool=pair.title, seeds_planned=planned, other_images=test)
            comparisons.append(c)
        judged = stats.judge(comparisons, pools, confidence=CONFIDENCE)
        rows: list[Row] = []
        for (pair, a, b), judgement in zip(compared, judged, strict=True):
            row: Row = {"title": pair.title, "trial_a": a.trial, "trial_b": b.trial, "a": "", "b": ""}
            rows.append(_named({**row, **asdict(judgement), "seeds": list(judgement.seeds)}))
        return rows

    @cached_property
    def floors(self) -> list[Row]:
        """A row for each rule without training that was measured beside A or B, with `side` and `rule`.

        It is that of the sweep's table where that has one, else judged here, `alone`.
        """
        compared, names = [], []
        for pair in self.pairs if self.metric in PERSONAL else ():
            for side, entry in zip("AB", pair.both, strict=True):
                for floor, rule in FLOORS.items():
                    b = entry.samples.side(rule, entry.trial, self.metric, self.split, floor)
                    if b:
                        compared.append((pair, self._side(entry, self.metric), b))
                        names.append({"side": side, "rule": rule})
        rows = []
        for row, name in zip(self._judge(compared, self.metric), names, strict=True):
            known = self._table.get((row["trial_a"], name["rule"], self.metric, self.split), {})
            rows.append(row | known | name | {"alone": not known})
        return [row for row in rows if len(self.pairs) <= MAX_FULL_PAIRS or row["verdict"] != "ahead"]

    @property
    def names(self) -> tuple[str, str]:
        """Names of A and B: their labels where these differ, else the arguments."""
        sides = zip(self.sides, self.entries, strict=True)
        a, b = (str(entries[0].trial["label"]) if side.label else side.text for side, entries in sides)
        return (a, b) if a != b else (self.sides[0].text, self.sides[1].text)

    @property
    def sentence(self) -> str:
        """The verdict on the metric, in words."""
        (a, b), found = self.names, self.rows[self.metric]
        by_verdict = {v: rows for v in VERBS if (rows := [row for row in found if row["verdict"] == v])}
        if self.sides[0].whole:
            numbers = ", ".join(f"{verdict} in {len(rows)}" for verdict, rows in by_verdict.items())
            number = count(len(found), "pair")
            return f"Over {number} of equal configuration and scenario, {a} against {b}: {numbers}."
        clauses = []
        for verdict, rows in by_verdict.items():
            places = [f" under {row['title']}" * (len(found) > 1) for row in rows]
            details = [f"{place}: {self._details(row)}" for place, row in zip(places, rows, strict=True)]
            clauses.append(VERBS[verdict].format(b) + ";".join(details))
        return f"{a} {'; it '.join(clauses)}."

    def _details(self, row: Row) -> str:
        """Say by how much A and B differ and on which seeds, or why that is not known."""
        if row["verdict"] == "missing":
            pair = next(pair for pair in self.pairs if pair.title == row["title"])
            a, b = (seed_range(entry.seeds(self.metric, self.split)) for entry in pair.both)
            return f"no seed is shared (A: {a}; B: {b}), and an unpaired difference gets no verdict"
        if row["verdict"] == "diverges" or row["estimate"] is None:
            return str(row["reason"])
        interval = bracket(row["adjusted_low"], row["adjusted_high"])
        return f"{points(shown(row))} points {interval}".strip() + f", {row['reason']}"

    @property
    def basis(self) -> list[str]:
        """Lines on the basis of the verdict: metric, split, intervals, and what A and B are."""
        what = f"{TITLES.get(self.metric, 'tenth percentile of clients')} ({self.metric})"
        most = max(row["family_size"] for row in self.rows[self.metric])
        adjusted = f", adjusted for {most} comparisons that are shown together" if most > 1 else ""
        paired = f"A minus B, paired by seed; {CONFIDENCE:.0%} interval{adjusted}"
        lines = [f"{what}, {self.split} split: {paired}"]
        if any(row["worst_case"] is not None for row in self.rows[self.metric]):
            lines.append(
                "a seed that one side lost counts as 0 in the difference, and is left out of the mean"
            )
        for name, side, entries in zip("AB", self.sides, self.entries, strict=True):
            labels = list(dict.fromkeys(str(e.trial["label"]) for e in entries))
            seeds = {seed for e in entries for seed in e.seeds(self.metric, self.split)}
            number = count(len(seeds), "seed")
            lines.append(f"{name} = {side.text} ({listing(labels)}; {number}: {seed_range(seeds)})")
        return lines

    def tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Yield title, head and rows of each table: the metrics pair by pair, floors, the cost of a run."""
        head = ["", "A, %", "B, %", "A \u2212 B, points", "interval", "seeds and images", "seeds", "verdict"]
        few = len(self.pairs) <= MAX_FULL_PAIRS
        for place, pair in enumerate(self.pairs if few else ()):
            yield pair.title, head, [_line(metric, rows[place]) for metric, rows in self.rows.items()]
        if not few:
            yield self.metric, head, [_line(row["title"], row) for row in self.rows[self.metric]]
        if self.floors:
            title = "rules without training" + ("" if few else "; only where a side is not ahead of them")
            alone = sorted({row["side"] for row in self.floors if row["alone"]})
            if self._table and alone:  # the page of the sweep has the other rows
                title += f"; rows of {listing(alone)} are adjusted for this comparison alone"
            names = ["", "side, %", "rule, %", "difference, points", *head[4:]]
            body = [_line(f"{row['title']}: {row['side']} and {row['rule']}", row) for row in self.floors]
            yield title, names, body
        costs = {what: of for what, of in COSTS.items() if any(any(pair.cost(*of)) for pair in self.pairs)}
        names = [f"{what}{side}" for what in costs for side in (" A", " B", " A / B")]
        body = [[pair.title, *(text for what in costs for text in _cost(pair, what))] for pair in self.pairs]
        yield "cost of a run, mean over seeds", ["", *names], body

    @cached_property
    def differs(self) -> list[Row]:
        """Differences between the configurations (see `pairs.differences`)."""
        return differences(self.pairs)

    @property
    def differing(self) -> list[str]:
        """`differs` as lines; the fields that only one side has are listed in one line."""
        lines: dict[str, list[str]] = {"": [], "A": [], "B": []}
        for row in self.differs:
            a, b = ("null" if row[side] is None else str(row[side]) for side in "ab")
            where = f" ({'; '.join(row['where'])})" if row["where"] else ""
            text = {"": f"{row['path']}: {a} | {b}", "A": f"{row['path']}={a}", "B": f"{row['path']}={b}"}
            lines[row["only"]].append(text[row["only"]] + where)
        only = [f"only in {side}: {', '.join(lines[side])}" for side in "AB" if lines[side]]
        return [*lines[""], *only]

    @cached_property
    def warnings(self) -> list[str]:
        """Limits of the comparison that a reader must know before using the verdict."""
        notes = [note for side in self.sides for note in side.notes]
        known = doubts(self.pairs, self.differs, self.metric, self.split)
        images = other_images(self.pairs, self.differs)
        return [*notes, *known, *images, *origins(*self.sides), *self._left_out()]

    def _left_out(self) -> Iterator[str]:
        """Say which entries and seeds only one side has."""
        used = {id(entry) for pair in self.pairs for entry in pair.both}
        for name, entries in zip("AB", self.entries, strict=True):
            left: dict[str, list[str]] = {}
            for trial in (entry.trial for entry in entries if id(entry) not in used):
                left.setdefault(str(trial["label"]), []).append(str(trial["scenario"]))
            texts = [f"{label} under {listing(scenarios)}" for label, scenarios in left.items()]
            if texts:
                yield f"only in {name}: {'; '.join(texts)}"
        for pair in self.pairs:
            where = "" if len(self.pairs) == 1 else f" ({pair.title})"
            a, b = (entry.seeds(self.metric, self.split) for entry in pair.both)
            for name, seeds in (("A", a - b), ("B", b - a)):
                if seeds and a & b:
                    yield f"seeds only in {name}: {seed_range(seeds)}{where}"
            tests = [len(entry.seeds(self.metric, "test")) for entry in pair.both]
            if self.split == "validation" and any(tests):
                opened = f"{count(tests[0], 'seed')} of A and {tests[1]} of B"
                yield f"the test split was opened for {opened}: compared on validation{where}"

    def json(self) -> Row:
        """Return the whole comparison as plain data; a row has the columns of the table of verdicts."""
        rows = []
        for row, pair in zip(self.rows[self.metric], self.pairs, strict=True):
            costs = {f"{names[0].partition('_up')[0]}_ratio": pair.cost(*names) for names in COSTS.values()}
            ratios = {name: a / b if b else None for name, (a, b) in costs.items()}
            names = {f"{key}{side}": entry.trial[key] for key in ("scenario", "label")
                     for side, entry in zip(("", "_b"), pair.both, strict=True)}  # fmt: skip
            rows.append({**row, **names, **ratios})
        facts = {name: getattr(self, name) for name in FACTS}
        sides = {name: side.text for name, side in zip("ab", self.sides, strict=True)}
        return {"confidence": CONFIDENCE, **facts, **sides, "pairs": rows}


def _identical(row: Row, pair: Pair) -> Row:
    """Return the row; runs that ended in the same state and measured the same are the same runs."""
    differ = not row["seeds"] or abs(row["estimate"]) > NO_WIDTH or row["worst_case"] is not None
    if differ or not pair.is_same(row["seeds"]):
        return row
    reason = f"the same final state on {count(len(row['seeds']), 'seed')}"
    nothing = dict.fromkeys(("adjusted_low", "adjusted_high", "p", "seeds_needed"))
    return {**row, **nothing, "verdict": "no effect", "reason": reason}


def _cost(pair: Pair, what: str) -> list[str]:
    """Return the cells of a cost: that of A, of B, and their ratio."""
    a, b = pair.cost(*COSTS[what])
    form = size if what == "bytes" else "{:.3g}".format
    return [form(a), form(b), f"{a / b:.3g}" if b else "\u2013"]


def _named(row: Row, first: str = "A", second: str = "B") -> Row:
    """Return the row; where its reason speaks of a side, it names it."""
    reason = (row["reason"] or "").replace("the other side ", f"{second} ")
    return {**row, "reason": f"{first} {reason}" if reason.startswith(("diverged", "never ran")) else reason}


def turned(row: Row) -> Row:
    """Return a row of the table of verdicts in the other direction: b minus a."""
    found = dict(row)
    for x, y in (("a", "b"), *((f"{name}_a", f"{name}_b") for name in ("mean", "diverged", "trial"))):
        found[x], found[y] = row[y], row[x]
    ends = [("low", "high"), ("low_both", "high_both"), ("adjusted_low", "adjusted_high")]
    for x, y in (*ends, ("estimate", "estimate"), ("worst_case", "worst_case")):
        found[x], found[y] = (None if value is None else -value for value in (row[y], row[x]))
    return found | {"verdict": {"ahead": "behind", "behind": "ahead"}.get(row["verdict"], row["verdict"])}


def seed_range(seeds: Collection[int]) -> str:
    """Write seeds as `0 to 4`, or as a list."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered)) or "none"


def _line(name: str, row: Row) -> list[str]:
    lost = row["worst_case"] is not None  # then no interval over images counts the lost seeds
    intervals = [bracket(row["adjusted_low"], row["adjusted_high"]),
                 "" if lost else bracket(row["low_both"], row["high_both"])]  # fmt: skip
    means = [percent(row["mean_a"]), percent(row["mean_b"]), points(shown(row))]
    return [name, *means, *(text or "\u2013" for text in intervals), str(len(row["seeds"])), row["verdict"]]
