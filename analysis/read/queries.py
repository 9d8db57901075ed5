"""Queries in SQL (DuckDB): the tables of a result folder as views, and a query as a page prints it.

`Database.sql` runs a query. `Database.shown` gives the same query with the statements that make its views:
that text runs in plain DuckDB in the result folder.
"""

from __future__ import annotations

import glob
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .columns import PARTITION, RUNS, TABLES
from .files import DamagedFile, read_bytes, read_object, read_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = dict[str, Any]
T = TypeVar("T")
ATTEMPTS = 6  # times that a table is read while a running sweep compacts its parts
# Small tables that every page reads: they are kept in memory, so that one page has one state of a sweep.
PATTERNS = {"partition": "runs/*/partition.parquet", "runs": "runs/*/run.json"}
KEPT = ("trials", "rounds", "signatures", "verdicts", "estimates")
# What identifies a row: a resume writes some again, and parts that are being joined hold the same rows twice.
UNIQUE = {
    "trials": "study, kind, label, level, if(kind IN ('confirm', 'transfer'), 0, trial)\n"
    "    ORDER BY state = 'COMPLETE' DESC, finished DESC",
    "rounds": "run, round, split",
    "images": "run, split, scope",
}


def literal(value: Any) -> str:
    """Return a value as SQL: a number, a text, a truth value, None, or a list of these."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value) if value == value else "'nan'::DOUBLE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"[{', '.join(literal(item) for item in value)}]"


def with_values(text: str, parameters: Mapping[str, Any]) -> str:
    """Return a query with the values of its parameters `$name`; a KeyError where these are not the same."""
    names = set(re.findall(r"\$([a-z_]\w*)", text))
    if names != set(parameters):
        raise KeyError(f"parameters of the query: {sorted(names)}; values: {sorted(parameters)}")
    return re.sub(r"\$([a-z_]\w*)", lambda found: literal(parameters[found[1]]), text)


class Database:
    """The tables of one result folder in DuckDB.

    Attributes:
        folder: The result folder.
        unreadable: Damaged files that were left out, each with the reason; it grows while files are read.
        limits: Table -> condition in SQL on its rows.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unreadable: list[str] = []
        self.limits: dict[str, str] = {}
        self._defined: set[str] = set()
        self._damaged: dict[str, set[Path]] = {}
        self._looked_at: set[tuple[Path, int]] = set()
        self._lacking: dict[tuple[object, ...], dict[str, str]] = {}
        self._lock = threading.RLock()

    @cached_property
    def listed(self) -> Mapping[str, tuple[Mapping[str, str], Sequence[Sequence[Any]]]]:
        """Constant tables: name -> columns with their types, and rows."""
        return {}

    @cached_property
    def _connection(self) -> DuckDBPyConnection:
        import duckdb  # takes a tenth of a second, which only a report needs

        # One thread: several add in another order each time, and a mean of 61.75 is 61.7 or 61.8 then.
        return duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": False})

    def sql(self, text: str, **parameters: Any) -> list[Row]:
        """Run a query in DuckDB.

        Its tables are views: those of `columns.TABLES`, `meta` (run.json), `scenarios` (place, scenario) and
        `factors` (a row per declared level). A table that the folder lacks is empty; a damaged part is left
        out and named in `unreadable`. Parameters `$name` are numbers, texts, truth values, None, or lists.
        """
        return self._run(with_values(text, parameters), _rows)

    def arrays(self, text: str, **parameters: Any) -> dict[str, np.ndarray]:
        """Run a query (see `sql`) and return its columns as arrays: quicker, where there are many numbers."""
        return self._run(with_values(text, parameters), lambda found: found.fetchnumpy())

    def _run(self, text: str, fetch: Callable[[DuckDBPyConnection], T]) -> T:
        import duckdb

        with self._lock:
            for attempt in range(1, ATTEMPTS + 1):
                names = self.tables_of(text)
                try:
                    for name in sorted(names - self._defined, key=lambda name: name in VIEWS):
                        self._find_changed(name)
                        self._connection.execute(self.definition(name))
                        self._defined.add(name)
                    return fetch(self._connection.execute(text))
                except duckdb.Error as error:
                    vanished = isinstance(error, duckdb.IOException)
                    if attempt == ATTEMPTS or not (self._find_damaged(names) or vanished):
                        raise
                    time.sleep(0.025 * 2**attempt)
        raise AssertionError("unreachable")

    def tables_of(self, text: str) -> set[str]:
        """Return the tables of the folder that a query reads."""
        with self._lock:
            found = self._connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [text]).fetchall()
        tree = found[0][0]
        names = set(re.findall(r'"table_name":"(\w+)"', tree))
        if json.loads(tree).get("error"):  # DuckDB writes no tree of it (PIVOT): every word may be a table
            names = set(re.findall(r"\w+", text))
        names |= {"verdicts"} if "differences" in names else set()
        return names & {*TABLES, *self.listed, *VIEWS}

    def forget(self, *names: str) -> None:
        """Read these tables again the next time that a query names them."""
        with self._lock:
            self._defined -= set(names)
            self._lacking = {key: found for key, found in self._lacking.items() if key[0] not in names}

    def shown(self, text: str, **parameters: Any) -> str:
        """Return a query as a page prints it: with its views, so it runs in plain DuckDB in the folder."""
        text = with_values(text, parameters).strip()
        names = sorted(self.tables_of(text), key=lambda name: (name in VIEWS, name))
        needed = set(re.findall(r"\w+", " ".join([text, *UNIQUE.values()])))
        return ";\n".join([*(self.definition(name, needed) for name in names), text])

    def definition(self, name: str, words: set[str] | None = None) -> str:
        """Return the statement that makes the view of a table.

        Args:
            name: The table.
            words: None for a view that is made here. For one that is printed, the words of the query: of the
                columns that the folder lacks, those are given, and paths are relative to the folder.
        """
        place = f"{glob.escape(str(self.folder))}/" if words is None else ""
        kind = "TEMP VIEW" if words is not None else "TABLE" if name in KEPT else "VIEW"
        start = f"CREATE OR REPLACE {kind} {name} AS"
        if name in VIEWS:
            return f"{start} {VIEWS[name](self, place)}"
        if name in self.listed:
            return f"{start} {constant(*self.listed[name])}"
        files = self.files(name)
        if not files:
            return f"{start} {constant(TABLES[name])}"
        missing = self._missing(name, files).items()
        columns = [f"NULL::{kind} AS {quoted(c)}" for c, kind in missing if words is None or c in words]
        text = f"{start} SELECT {', '.join(['*', *columns])}\n  FROM read_parquet("
        text += f"{self.source(name, place)}, union_by_name = true)"
        text += f" WHERE {self.limits[name]}" if name in self.limits else ""
        if name in UNIQUE:
            text += f"\n  QUALIFY row_number() OVER (PARTITION BY {UNIQUE[name]}) = 1"
        return text

    def files(self, name: str) -> list[Path]:
        """Return the files of a table that can be read, sorted."""
        listed = sorted(self.folder.glob(pattern(name)))
        return [f for f in listed if f.name[0] not in "._" and f not in self._damaged.get(name, ())]

    def source(self, name: str, place: str) -> str:
        """Return the files of a table as SQL: a pattern, or a list where some are left out."""
        files = self.files(name)
        if len(files) == len(list(self.folder.glob(pattern(name)))):
            return literal(f"{place}{pattern(name)}")
        return literal([f"{place}{file.relative_to(self.folder)}" for file in files])

    def _missing(self, name: str, files: Sequence[Path]) -> dict[str, str]:
        """Return the declared columns that no part has; of the same parts asked once."""
        key = (name, *files)
        if key not in self._lacking:
            paths = literal([glob.escape(str(file)) for file in files])
            found = self._connection.execute(f"SELECT DISTINCT name FROM parquet_schema({paths})").fetchall()
            there = {name for (name,) in found}
            self._lacking[key] = {c: kind for c, kind in TABLES[name].items() if c not in there}
        return self._lacking[key]

    def _find_changed(self, name: str) -> None:
        """Find the parts of a table that are not what was written, among those not looked at before."""
        for file in self.files(name) if name in {*TABLES, *PATTERNS} else ():
            try:
                version = (file, file.stat().st_mtime_ns)
            except FileNotFoundError:  # a link that leads nowhere, or it was joined meanwhile
                version = (file, 0)
            if version not in self._looked_at and not self.is_whole(file, read_bytes):
                self._damaged.setdefault(name, set()).add(file)
            self._looked_at.add(version)

    def _find_damaged(self, names: set[str]) -> bool:
        """Find the parts of these tables that cannot be read; return whether there are new ones."""
        tables = names - set(self.listed) - {"meta", "differences"}
        damaged = [(name, file) for name in tables for file in self.files(name) if not self.is_whole(file)]
        for name, file in damaged:
            self._damaged.setdefault(name, set()).add(file)
        self.forget(*tables - set(KEPT))
        return bool(damaged)

    def is_whole(self, path: Path, read: Callable[[Path], object] | None = None) -> bool:
        """Return whether a file can be read, or is gone, joined with others; a damaged one is named."""
        read = read or (read_table if path.suffix == ".parquet" else read_object)
        try:
            return self._read(path, read) is not None
        except FileNotFoundError:
            return True

    def _read(self, path: Path, read: Callable[[Path], T]) -> T | None:
        """Return what is in a file; None where it is damaged, and then it is named."""
        try:
            return read(path)
        except DamagedFile as error:
            text = f"{path.relative_to(self.folder)} ({error})"
            if text not in self.unreadable:
                self.unreadable.append(text)
            return None


def _partition(database: Database, place: str) -> str:
    """Return the SQL of client, label and domain of each training image of each run."""
    alone, parts = "partition.parquet", database.source("partition", place)
    if (database.folder / alone).is_file():
        if not database.is_whole(database.folder / alone):
            return constant(PARTITION)
        parts, run = literal(f"{place}{alone}"), "NULL::VARCHAR"
    elif database.files("partition"):
        parts, run = f"{parts}, filename = true, union_by_name = true", "parse_path(filename)[-2]"
    else:
        return constant(PARTITION)
    return f"SELECT {run} AS run, client, label, domain\n  FROM read_parquet({parts})"


def _runs(database: Database, place: str) -> str:
    """Return the SQL of run.json of each run."""
    parts, run = literal(f"{place}run.json"), "id"
    if database.files("runs"):
        parts, run = database.source("runs", place), "parse_path(filename)[-2]"
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in RUNS.items() if name != "run")
    source = f"read_json({parts}, filename = true, columns = {{{columns}}})"
    return f"SELECT {run} AS run, * EXCLUDE (filename)\n  FROM {source}"


# The reason of a verdict, with the words of both sides exchanged: `diverged on 1 of 3 seeds`, `never ran`.
_SAID, _OTHER = "(diverged on [0-9]+ of [0-9]+ seeds|never ran)", "the other side "
_TURNED = f"""CASE WHEN regexp_matches(reason, '^{_SAID} and {_OTHER}')
    THEN regexp_replace(reason, '^{_SAID} and {_OTHER}{_SAID}', '\\2 and {_OTHER}\\1')
    WHEN starts_with(reason, '{_OTHER}') THEN substr(reason, {len(_OTHER) + 1})
    WHEN regexp_matches(reason, '^{_SAID}') THEN '{_OTHER}' || reason ELSE reason END"""


def _differences(*_: Any) -> str:
    """Return the SQL of the verdicts in both directions: a minus b, and b minus a."""
    swapped = [
        *("b AS a", "a AS b", "mean_b AS mean_a", "mean_a AS mean_b", "trial_b AS trial_a"),
        *("trial_a AS trial_b", "diverged_b AS diverged_a", "diverged_a AS diverged_b"),
        *(f"-{name} AS {name}" for name in ("estimate", "worst_case")),
        *(f"-high{kind} AS low{kind}, -low{kind} AS high{kind}" for kind in ("", "_both")),
        "-adjusted_high AS adjusted_low, -adjusted_low AS adjusted_high",
        "CASE verdict WHEN 'ahead' THEN 'behind' WHEN 'behind' THEN 'ahead' ELSE verdict END AS verdict",
        f"{_TURNED} AS reason",
    ]
    return f"FROM verdicts UNION ALL BY NAME SELECT * REPLACE ({', '.join(swapped)}) FROM verdicts"


# Views of files that are no parts of a table, and of other views.
VIEWS: dict[str, Callable[[Database, str], str]] = {
    "meta": lambda _, place: f"FROM read_json({literal(f'{place}run.json')})",
    "partition": _partition,
    "runs": _runs,
    "differences": _differences,
}


def quoted(name: str) -> str:
    """Return a column's name as SQL."""
    return f'"{name}"' if name in ("global", "values", "limit", "own") else name


def pattern(name: str) -> str:
    """Return which files of a result folder hold a table."""
    return PATTERNS.get(name, f"tables/{name}/*.parquet")


def constant(columns: Mapping[str, str], rows: Sequence[Sequence[Any]] = ()) -> str:
    """Return the SQL of a table whose rows are written out."""
    names = [quoted(name) for name in columns]
    typed = [
        f"{name if rows else 'NULL'}::{kind} AS {name}"
        for name, kind in zip(names, columns.values(), strict=True)
    ]
    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    source = f"FROM (VALUES {values}) AS rows({', '.join(names)})" if rows else "WHERE false"
    return f"SELECT {', '.join(typed)} {source}"


def _rows(found: DuckDBPyConnection) -> list[Row]:
    """Return rows, with decimal numbers as float."""
    columns = [column[0] for column in found.description or []]
    return [
        {c: float(v) if isinstance(v, Decimal) else v for c, v in zip(columns, row, strict=True)}
        for row in found.fetchall()
    ]
