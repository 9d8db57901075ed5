"""The two derived tables: every difference is judged in its family, every accuracy is estimated, once.

They are written to `tables/verdicts/verdicts.parquet` and `tables/estimates/estimates.parquet`, each whole or
not at all, and made again when the trials changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..read.columns import TABLES
from ..read.results import Results, Row
from ..stats.comparisons import Comparison, Judgement, Pool, judge
from .choices import choices, leads, pairs
from .confirmed import alone, confirmed, strongest_rival, transfers
from .estimates import all_trials, estimates, pool_of
from .recipes import recipes
from .samples import Difference, Samples, paired_samples
from .stresses import stresses
from .study import Study

POOLED = (
    "contrast",
    "rival",
    "interaction",
    "confirm",
    "transfer",
    "stress",
)  # kinds that ran on common seeds
MADE_FROM = b"made_from"  # key of the digest in the file
TYPES = {
    "VARCHAR": pa.string(), "INTEGER": pa.int32(), "BIGINT[]": pa.list_(pa.int64()), "DOUBLE": pa.float64(),
    "DOUBLE[]": pa.list_(pa.float64()), "BOOLEAN": pa.bool_(),
}  # fmt: skip


def verdict_tables(results: Results) -> None:
    """Write the tables `verdicts` and `estimates` of a result folder, unless they are up to date.

    Args:
        results: The whole result folder, finished or not; no view of one space.
    """
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
    """Makes the rows of both tables.

    Args:
        results: The whole result folder.
    """

    def __init__(self, results: Results) -> None:
        self.results, self.samples = results, Samples(results)
        self._pools: dict[str, Pool | None] = {}
        kinds = [t for t in all_trials(results) if t["kind"] in POOLED]
        self._groups: dict[str, list[Row]] = {}  # without metric and split
        for trial in kinds:
            self._groups.setdefault(pool_of(results, trial, "", ""), []).append(trial)

    def verdicts(self) -> list[Row]:
        """Return the rows of the table of verdicts, numbered."""
        differences = list(self.differences())
        families: dict[str, list[int]] = {}
        for place, difference in enumerate(differences):
            families.setdefault(difference.family, []).append(place)
        judged: dict[int, Judgement] = {}
        for places in families.values():
            found = self.judge([differences[place] for place in places])
            judged |= dict(zip(places, found, strict=True))
        strongest = self._strongest()
        return [
            {"number": place, **row_of(d, judged[place]), "strongest": _is_strongest(d, strongest)}
            for place, d in enumerate(differences)
        ]

    def judge(self, family: Sequence[Difference]) -> list[Judgement]:
        """Judge differences that are shown together."""
        pools = {}
        comparisons = []
        for d in family:
            key = f"{d.pool} | {d.parts}"
            pools[key] = scaled(self.pool(d.pool), d.parts)
            a, b = paired_samples(d.a, d.b)
            home = d.split == "test"  # what a reader takes home holds for other images too
            comparisons.append(Comparison(a=a, b=b, pool=key, seeds_planned=d.planned, other_images=home))
        return judge(comparisons, pools, confidence=self.results.confidence)

    def estimates(self) -> list[Row]:
        """Return the rows of the table of estimates, numbered."""
        rows = estimates(self.results, self.samples, self.pool)
        return [{"number": number, **row} for number, row in enumerate(rows)]

    def differences(self) -> Iterator[Difference]:
        """Yield every difference, each pair of sides once."""
        seen: set[tuple[object, ...]] = set()
        for d in self._differences():
            key = (frozenset((d.a.words, d.b.words)), d.metric, d.split, d.scenario)
            if key not in seen:
                seen.add(key)
                yield d

    def _differences(self) -> Iterator[Difference]:
        if self.results.kind == "run":
            yield from alone(self.results, self.samples)
        if self.results.kind == "stress":
            yield from stresses(self.results, self.samples)
        if self.results.kind == "sweep":
            for study in self._studies():
                for kind in (choices, pairs, leads, confirmed, recipes, transfers):
                    yield from kind(study)

    def _studies(self) -> list[Study]:
        return [Study(view, self.samples) for view in self.results.views()]

    def _strongest(self) -> dict[tuple[str, str], str]:
        """Return (space, scenario) -> the strongest rival, as the sides are named."""
        studies = self._studies() if self.results.kind == "sweep" else []
        return {
            (study.space, scenario): f"{study.prefix}{label}"
            for study in studies
            for scenario in study.scenarios
            if (label := strongest_rival(study, scenario))
        }

    def pool(self, name: str) -> Pool | None:
        """Return the pooled noise of a group of trials (see `estimates.pool_of`); None without a group."""
        if not name:
            return None
        if name not in self._pools:
            group, metric, split = name.rsplit(" | ", 2)
            trials = self._groups.get(f"{group} |  | ", [])
            sides = [self.samples.side("", trial, metric, split) for trial in trials]
            self._pools[name] = Pool.of([side.sample for side in sides if side])
        return self._pools[name]


def scaled(pool: Pool | None, parts: int) -> Pool | None:
    """Return the noise of a sum of several configurations."""
    if pool is None or parts == 1:
        return pool
    return replace(
        pool,
        variance=parts * pool.variance,
        prior_variance=parts * pool.prior_variance,
        total=parts * pool.total,
    )


def row_of(difference: Difference, judgement: Judgement) -> Row:
    """Return a row of the table of verdicts."""
    found = asdict(judgement)
    reason = difference.reason if judgement.verdict == "missing" and difference.reason else judgement.reason
    names = ("space", "scenario", "family", "kind", "subject", "level", "metric", "split")
    return {
        **{name: getattr(difference, name) for name in names},
        **found,
        "a": difference.a.words,
        "b": difference.b.words,
        "trial_a": difference.a.trial,
        "trial_b": difference.b.trial,
        "seeds": list(judgement.seeds),
        "reason": reason,
    }


def _is_strongest(d: Difference, strongest: Mapping[tuple[str, str], str]) -> bool | None:
    """Return whether b is the strongest rival; None where that was not asked."""
    if d.kind != "rival":
        return None
    return strongest.get((d.space, d.scenario)) == d.b.words


def write_rows(file: Path, rows: Sequence[Row], made_from: str) -> None:
    """Write a table whole or not at all."""
    columns = TABLES[file.stem]
    table = pa.table({c: pa.array([row.get(c) for row in rows], TYPES[kind]) for c, kind in columns.items()})
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        pq.write_table(table.replace_schema_metadata({MADE_FROM: made_from}), temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _made_from(file: Path) -> str:
    """Return the digest of what a table was made from; empty where there is no such table."""
    try:
        return (pq.read_schema(file).metadata or {}).get(MADE_FROM, b"").decode()
    except (OSError, pa.ArrowInvalid):
        return ""


def digest_of(folder: Path) -> str:
    """Return a digest of the files that both tables are made from, and of the code that makes them."""
    code = [file for room in ("verdicts", "stats") for file in Path(__file__).parents[1].glob(f"{room}/*.py")]
    tables = [
        file for name in ("trials", "images", "rounds") for file in folder.glob(f"tables/{name}/*.parquet")
    ]
    digest = hashlib.sha256()
    for file in sorted([folder / "run.json", *tables, *code]):
        try:
            stat = file.stat()
        except FileNotFoundError:  # parts are being joined
            continue
        digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
