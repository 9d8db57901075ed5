"""Queries in SQL (DuckDB): the tables of a result folder as views, and a query as a page prints it.

`Results.sql` runs a query. `Results.shown` gives the same query with the statements that make its views: that
text runs in plain DuckDB in the result folder.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .columns import PARTITION, RUNS, TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = dict[str, Any]
T = TypeVar("T")
Check = Callable[[Path], bool]
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


def unglobbed(path: Path) -> str:
    """Return a path as DuckDB reads it, which takes `[`, `*` and `?` in a name for a pattern."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


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

    Args:
        folder: The result folder.
        listed: Constant tables: name -> columns with their types, and rows.
        limits: Table -> condition in SQL on its rows; a view of one space has some.
        usable: Whether a part can be read; called where DuckDB fails. It names a damaged part.
        intact: Whether a part is what was written; called before a table is read. It names a changed part.
    """

    def __init__(
        self,
        folder: Path,
        listed: Mapping[str, tuple[Mapping[str, str], Sequence[Sequence[Any]]]],
        limits: Mapping[str, str],
        usable: Check,
        intact: Check,
    ) -> None:
        self.folder, self.listed, self.limits = folder, listed, limits
        self.usable, self.intact = usable, intact
        self._defined: set[str] = set()
        self._damaged: dict[str, set[Path]] = {}
        self._looked_at: set[tuple[Path, int]] = set()
        self._lacking: dict[tuple[object, ...], dict[str, str]] = {}
        self._lock = threading.RLock()

    @cached_property
    def _connection(self) -> DuckDBPyConnection:
        import duckdb  # takes a tenth of a second, which only a report needs

        return duckdb.connect(":memory:", config={"threads": 4, "autoinstall_known_extensions": False})

    def rows(self, text: str) -> list[Row]:
        """Run a query without parameters and return its rows."""
        return self._run(text, _rows)

    def arrays(self, text: str) -> dict[str, np.ndarray]:
        """Run a query without parameters and return its columns."""
        return self._run(text, lambda found: found.fetchnumpy())

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
        tree = json.loads(found[0][0])
        # of a statement that DuckDB does not write as a tree (PIVOT), every word may be a table
        names = set(re.findall(r"\w+", text)) if tree.get("error") else set(_base_tables(tree))
        names |= {"verdicts"} if "differences" in names else set()
        return names & {*TABLES, *self.listed, *VIEWS}

    def forget(self, *names: str) -> None:
        """Read these tables again the next time that a query names them."""
        with self._lock:
            self._defined -= set(names)
            self._lacking = {key: found for key, found in self._lacking.items() if key[0] not in names}

    def shown(self, text: str) -> str:
        """Return a query after the statements that make its views: it runs in the result folder."""
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
        place = f"{unglobbed(self.folder)}/" if words is None else ""
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
            text = f"SELECT DISTINCT name FROM parquet_schema({literal([unglobbed(file) for file in files])})"
            there = {row[0] for row in self._connection.execute(text).fetchall()}
            self._lacking[key] = {c: kind for c, kind in TABLES[name].items() if c not in there}
        return self._lacking[key]

    def _find_changed(self, name: str) -> None:
        """Find the parts of a table that are not what was written, among those not looked at before."""
        for file in self.files(name) if name in {*TABLES, *PATTERNS} else ():
            try:
                version = (file, file.stat().st_mtime_ns)
            except FileNotFoundError:  # joined meanwhile, or a link that leads nowhere
                if not file.is_symlink():
                    continue
                version = (file, 0)
            if version not in self._looked_at and not self.intact(file):
                self._damaged.setdefault(name, set()).add(file)
            self._looked_at.add(version)

    def _find_damaged(self, names: set[str]) -> bool:
        """Find the parts of these tables that cannot be read; return whether there are new ones."""
        new = False
        for name in names - set(self.listed) - {"meta", "differences"}:
            for file in self.files(name):
                if file.exists() and not self.usable(file):
                    self._damaged.setdefault(name, set()).add(file)
                    new = True
            if name not in KEPT:
                self.forget(name)
        return new


def _partition(database: Database, place: str) -> str:
    """Return the SQL of client, label and domain of each training image of each run."""
    alone, parts = "partition.parquet", database.source("partition", place)
    if (database.folder / alone).is_file():
        if not database.usable(database.folder / alone):
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


def _base_tables(tree: Any) -> Iterator[str]:
    """Yield the tables that a query names, from its tree."""
    for value in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(value, dict | list):
            yield from _base_tables(value)
    if isinstance(tree, dict) and tree.get("type") == "BASE_TABLE":
        yield tree["table_name"]


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
