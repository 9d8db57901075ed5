"""The two derived tables: every difference is judged in its family, every accuracy is estimated, once.

They are written to `tables/verdicts/verdicts.parquet` and `tables/estimates/estimates.parquet`, each whole or
not at all, and made again when the trials changed.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..read.columns import TABLES
from ..read.files import BLANK, KEY, DamagedFile, read_bytes, sealed
from ..read.results import Results, Row
from ..stats.comparisons import Comparison, Judgement, Pool, judge
from .choices import choices, leads, pairs
from .confirmed import alone, confirmed, transfers
from .estimates import estimates
from .recipes import recipes
from .samples import Difference, Group, Samples, paired_samples
from .stresses import stresses
from .study import TEST, Study, all_trials, group_of

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
        rows, by_values = list[Row](), dict[tuple[object, ...], Row]()
        for _, members in itertools.groupby(self._differences(), key=lambda d: d.family):
            family = list(members)
            earlier = [by_values.get(_values_of(d)) for d in family]
            judged = iter(self._judged([d for d, row in zip(family, earlier, strict=True) if row is None]))
            for d, row in zip(family, earlier, strict=True):
                rows.append(next(judged) if row is None else {**row, **_names_of(d)})
                by_values.setdefault(_values_of(d), rows[-1])
        return [{"number": number, **row} for number, row in enumerate(rows)]

    def estimates(self) -> list[Row]:
        """Return the rows of the table of estimates, numbered."""
        rows = estimates(self.results, self.samples, self.pool)
        return [{"number": number, **row} for number, row in enumerate(rows)]

    def _judged(self, family: Sequence[Difference]) -> Iterator[Row]:
        """Yield the rows of differences that are shown together."""
        pools, comparisons = {}, []
        for d in family:
            a, b = paired_samples(d.a, d.b)
            key = " | ".join((*d.group, d.metric, d.split, str(d.parts)))
            pools[key] = scaled(self.pool(d.group, d.metric, d.split), d.parts)
            home = d.split == TEST  # what a reader takes home holds for other images too
            c = Comparison(a=a, b=b, pool=key, seeds_planned=d.planned, other_images=home, parts=d.parts)
            comparisons.append(c)
        judged = judge(comparisons, pools, confidence=self.results.confidence)
        return map(row_of, family, judged)

    def _differences(self) -> Iterator[Difference]:
        """Yield every difference, each pair of sides once."""
        seen: set[tuple[object, ...]] = set()
        for d in self._listed():
            key = (frozenset((d.a.words, d.b.words)), d.metric, d.split, d.scenario)
            if key not in seen:
                seen.add(key)
                yield d

    def _listed(self) -> Iterator[Difference]:
        if self.results.kind == "run":
            yield from alone(self.results, self.samples)
        if self.results.kind == "stress":
            yield from stresses(self.results, self.samples)
        if self.results.kind == "sweep":
            for study in [Study(view, self.samples) for view in self.results.views()]:
                for kind in (choices, pairs, leads, confirmed, recipes, transfers):
                    yield from kind(study)

    def _pool(self, group: Group, metric: str, split: str) -> Pool | None:
        """Return the pooled noise of a group of trials; None without one."""
        sides = [self.samples.side("", trial, metric, split) for trial in self._groups.get(group, [])]
        return Pool.of([side.sample for side in sides if side])


def scaled(pool: Pool | None, parts: int) -> Pool | None:
    """Return the noise of a sum of several configurations."""
    if pool is None or parts == 1:
        return pool
    names = ("variance", "prior_variance", "total")
    return replace(pool, **{name: parts * getattr(pool, name) for name in names})


def _values_of(d: Difference) -> tuple[object, ...]:
    """Return what makes two differences one: of what was not split, two metrics can be the same numbers.

    The accuracies of a model that all clients share are one on the global split, shared or personal.
    """
    sides = frozenset((side.words, _rounded(side.sample.kept), *side.sample.lost) for side in (d.a, d.b))
    return (sides, d.split, d.scenario, d.planned)


def _rounded(values: Mapping[int, float]) -> tuple[tuple[int, float], ...]:
    return tuple((seed, round(value, 9)) for seed, value in sorted(values.items()))


def _names_of(d: Difference) -> Row:
    """Return the columns of a row that say where it is shown, without those that its judgement decides."""
    return {name: getattr(d, name) for name in ("kind", "subject", "level", "metric", "strongest")}


def row_of(difference: Difference, judgement: Judgement) -> Row:
    """Return a row of the table of verdicts."""
    d, names = difference, ("space", "scenario", "family", "kind", "subject", "level", "metric", "split")
    row = {name: getattr(d, name) for name in (*names, "strongest")} | asdict(judgement)
    row |= {"a": d.a.words, "b": d.b.words, "trial_a": d.a.trial, "trial_b": d.b.trial}
    row["seeds"] = list(judgement.seeds)
    return row | ({"reason": d.reason} if judgement.verdict == "missing" and d.reason else {})


def write_rows(file: Path, rows: Sequence[Row], made_from: str) -> None:
    """Write a table whole or not at all."""
    columns = TABLES[file.stem]
    table = pa.table({c: pa.array([row.get(c) for row in rows], TYPES[kind]) for c, kind in columns.items()})
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(_sealed(table, made_from))
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _sealed(table: pa.Table, made_from: str) -> bytes:
    """Return a table as a Parquet file that names what it was made from, and carries its own digest."""
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata({MADE_FROM: made_from})
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: BLANK})
    return sealed(sink.getvalue().to_pybytes())


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
