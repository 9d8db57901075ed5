"""The two derived tables: every difference is judged in its family, every accuracy is estimated, once.

They are written to `tables/verdicts/verdicts.parquet` and `tables/estimates/estimates.parquet`, each whole or
not at all, and made again when the trials changed.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..read.columns import ACCURACIES, COUNTS, GROUPS, SPECIAL, TABLES
from ..read.files import BLANK, KEY, DamagedFile, read_bytes, sealed
from ..read.results import Results, Row
from ..stats.comparisons import Comparison, Judgement, Pool, estimate, judge
from .differences import alone, choices, confirmed, leads, pairs, stresses, transfers
from .recipes import recipes
from .samples import FLOORS, OWN, PERSONAL, Difference, Group, Samples, paired_samples
from .study import TEST, VALIDATION, Study, all_trials, group_of, space_of_trial

OF_SWEEP = (choices, pairs, leads, confirmed, recipes, transfers)  # differences of a space, in their order
# Metrics of the table of estimates, each with the rule without training that was measured, if it is one.
ESTIMATED = (
    *((metric, "") for metric in (*ACCURACIES, "worst_client_accuracy", *SPECIAL, *GROUPS)),
    *((metric, floor) for floor in FLOORS for metric in PERSONAL),
)
POOLED = ("contrast", "rival", "interaction", "confirm", "transfer", "stress")  # ran on common seeds
MADE_FROM = b"made_from"  # key of the digest in the file
TYPES = {
    "VARCHAR": pa.string(), "INTEGER": pa.int32(), "BIGINT[]": pa.list_(pa.int64()), "DOUBLE": pa.float64(),
    "DOUBLE[]": pa.list_(pa.float64()), "BOOLEAN": pa.bool_(),
}  # fmt: skip


def verdict_tables(results: Results) -> None:
    """Write the tables `verdicts` and `estimates` of a whole result folder, unless they are up to date."""
    made_from = digest_of(results.folder)
    files = [file_of(results.folder, name) for name in ("verdicts", "estimates")]
    if all(_made_from(file) == made_from for file in files):
        return
    maker = Maker(results)
    for file, rows in zip(files, (maker.verdicts(), maker.estimates()), strict=True):
        write_rows(file, rows, made_from)
        results.forget(file.stem)


def verdict_rows(results: Results) -> list[Row]:
    """Return the table of verdicts without writing anything: as it is stored, where it is up to date."""
    if _made_from(file_of(results.folder, "verdicts")) == digest_of(results.folder):
        return results.sql("FROM verdicts ORDER BY number")
    return Maker(results).verdicts()


def file_of(folder: Path, name: str) -> Path:
    """Return the file of a table."""
    return folder / "tables" / name / f"{name}.parquet"


class Maker:
    """Makes the rows of both tables of a whole result folder."""

    def __init__(self, results: Results) -> None:
        self.results, self.samples = results, Samples(results)
        self.pool = functools.cache(self._pool)
        self._groups: dict[Group, list[Row]] = {}
        for trial in all_trials(results):
            if trial["kind"] in POOLED:
                self._groups.setdefault(group_of(results, trial), []).append(trial)

    def verdicts(self) -> list[Row]:
        """Return the rows of the table of verdicts, numbered."""
        rows, by_values = list[Row](), dict[object, Row]()
        for _, members in itertools.groupby(self._differences(), key=lambda d: d.family):
            family = [(d, by_values.get(_values_of(d))) for d in members]
            judged = iter(self._judged([d for d, earlier in family if earlier is None]))
            for d, earlier in family:
                names = ("kind", "subject", "level", "metric", "strongest")  # of where it is shown
                rows.append({**(earlier or next(judged)), **{name: getattr(d, name) for name in names}})
                by_values.setdefault(_values_of(d), rows[-1])
        return [{"number": number, **row} for number, row in enumerate(rows)]

    def estimates(self) -> list[Row]:
        """Return the rows of the table of estimates, numbered, without the points of a design."""
        rows = list[Row]()
        for trial in (trial for trial in all_trials(self.results) if trial["kind"] != "design"):
            about = {
                "space": space_of_trial(self.results, trial),
                **{key: trial.get(key) for key in ("study", "scenario", "method", "kind", "label", "trial")},
                "seeds_planned": len(trial.get("seeds") or []),
            }
            for split in (VALIDATION, TEST) if trial.get(f"test_{OWN}") else (VALIDATION,):
                before = "test_" if split == TEST else ""
                about |= {name: _mean(trial.get(f"{before}{name}")) for name in COUNTS}
                for metric, floor in ESTIMATED:
                    words = FLOORS.get(floor, str(trial["label"]))
                    side = self.samples.side(words, trial, metric, split, floor)
                    if side and (side.sample.kept or metric in PERSONAL or trial["kind"] == "stress"):
                        named = {"kind": "floor", "label": words} if floor else {}
                        noise = self.pool(group_of(self.results, trial), metric, split)
                        numbers = asdict(estimate(side.sample, noise, self.results.confidence))
                        numbers["no_noise"] = side.sample.rule and side.sample.deterministic
                        about["number"] = len(rows)
                        rows.append({**about, **named, "metric": metric, "split": split, **numbers})
        return rows

    def _judged(self, family: Sequence[Difference]) -> Iterator[Row]:
        """Yield the rows of differences that are shown together, without the columns of where they are."""
        pools, comparisons = {}, []
        for d in family:
            a, b = paired_samples(d.a, d.b)
            key = " | ".join((*d.group, d.metric, d.split, str(d.parts)))
            pools[key] = self.pool(d.group, d.metric, d.split, d.parts)
            home = d.split == TEST  # what a reader takes home holds for other images too
            c = Comparison(a=a, b=b, pool=key, seeds_planned=d.planned, other_images=home, parts=d.parts)
            comparisons.append(c)
        return map(_row_of, family, judge(comparisons, pools, self.results.confidence))

    def _differences(self) -> Iterable[Difference]:
        """Return every difference, each pair of sides once."""
        if self.results.kind == "sweep":
            studies = [Study(view, self.samples) for view in self.results.views()]
            listed: Iterable[Difference] = (d for study in studies for kind in OF_SWEEP for d in kind(study))
        else:
            listed = (alone if self.results.kind == "run" else stresses)(self.results, self.samples)
        first = dict[object, Difference]()
        for d in listed:
            first.setdefault((frozenset((d.a.words, d.b.words)), d.metric, d.split, d.scenario), d)
        return first.values()

    def _pool(self, group: Group, metric: str, split: str, parts: int = 1) -> Pool | None:
        """Return the pooled noise of a group of trials, or of sums of several of them; None without one."""
        sides = [self.samples.side("", trial, metric, split) for trial in self._groups.get(group, [])]
        pool = Pool.of([side.sample for side in sides if side])
        if pool is None or parts == 1:
            return pool
        names = ("variance", "prior_variance", "total")
        return replace(pool, **{name: parts * getattr(pool, name) for name in names})


def _mean(listed: list[float] | None) -> float | None:
    """Return the mean of a count over the seeds that have one."""
    values = [value for value in listed or [] if value is not None and value == value]
    return sum(values) / len(values) if values else None


def _values_of(d: Difference) -> object:
    """Return what makes two differences one: of what was not split, two metrics can be the same numbers.

    The accuracies of a model that all clients share are one on the global split, shared or personal.
    """
    sides = (
        (side.words, frozenset((s, round(v, 9)) for s, v in side.sample.kept.items()), *side.sample.lost)
        for side in (d.a, d.b)
    )
    return (frozenset(sides), d.split, d.scenario, d.planned)


def _row_of(d: Difference, judgement: Judgement) -> Row:
    row = {name: getattr(d, name) for name in ("space", "scenario", "family", "split")} | asdict(judgement)
    row |= {"a": d.a.words, "b": d.b.words, "trial_a": d.a.trial, "trial_b": d.b.trial}
    row["seeds"] = list(judgement.seeds)
    return row | ({"reason": d.reason} if judgement.verdict == "missing" and d.reason else {})


def write_rows(file: Path, rows: Sequence[Row], made_from: str) -> None:
    """Write a table whole or not at all; it names what it was made from, and carries its own digest."""
    columns = TABLES[file.stem]
    table = pa.table({c: pa.array([row.get(c) for row in rows], TYPES[kind]) for c, kind in columns.items()})
    table = table.replace_schema_metadata({MADE_FROM: made_from})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: BLANK})
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(sealed(sink.getvalue().to_pybytes()))
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _made_from(file: Path) -> str:
    """Return the digest of what a table was made from; empty where there is no whole table."""
    try:
        return (pq.read_schema(pa.BufferReader(read_bytes(file))).metadata or {}).get(MADE_FROM, b"").decode()
    except (OSError, DamagedFile, pa.ArrowInvalid):
        return ""


def digest_of(folder: Path) -> str:
    """Return a digest of the files that both tables are made from, and of the code that makes them."""
    patterns = [f"tables/{name}/*.parquet" for name in ("trials", "images", "rounds")]
    code = [f"{room}/*.py" for room in ("verdicts", "stats")]
    homes = [(folder, ("run.json", *patterns)), (Path(__file__).parents[1], code)]
    digest = hashlib.sha256()
    for file in sorted(file for home, names in homes for name in names for file in home.glob(name)):
        try:
            stat = file.stat()
        except FileNotFoundError:  # parts are being joined
            continue
        digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
