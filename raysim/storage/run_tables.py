"""The tables of a run: parts in Parquet that are never changed, joined when the run is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from raysim.core.columns import TableRow
from raysim.core.types import RoundRecord
from raysim.storage.files import damaged, flush, read_table, refuse_odd, table_of, write_table

REMEDY = "put a copy of it back, or run again in another folder (--out)"

COMMON = {"run": pa.string(), "round": pa.int32(), "split": pa.string()}  # in every table
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "rounds": {
        **COMMON,
        "clients": pa.int32(),
        "clients_measured": pa.int32(),
        "clients_evaluated": pa.int32(),
        "bytes_up": pa.int64(),
        "bytes_down": pa.int64(),
        "bytes_weights_up": pa.int64(),
        "bytes_weights_down": pa.int64(),
    },
    "clients": {
        **COMMON,
        "client": pa.int32(),
        "examples": pa.int32(),
        "reason": pa.string(),
    },
    "classes": {
        **COMMON,
        "label": pa.int16(),
        "class_name": pa.string(),
        "domain": pa.int16(),
        "domain_name": pa.string(),
        "scope": pa.string(),
    },
    "ratios": {
        **COMMON,
        "label": pa.int16(),
        "class_name": pa.string(),
        "images": pa.int64(),
    },
    "images": {
        **COMMON,
        "seed": pa.int64(),
        "scope": pa.string(),
        "images": pa.string(),
        "cell": pa.list_(pa.int32()),
        "own": pa.list_(pa.float32()),
        "global": pa.list_(pa.float32()),
    },
    "masks": {
        **COMMON,
        "image": pa.int32(),
        "label": pa.int16(),
        "class_name": pa.string(),
    },
    "signatures": {
        **COMMON,
        "name": pa.string(),
        "detail": pa.string(),
    },
}


class RunTables:
    """Writes and reads the parts of one run; a folder may hold those of many runs."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, self.run = folder, run
        self.counts: dict[str, int] = {}  # table -> rounds of which it has rows on validation
        self._unflushed: set[Path] = set()

    def write(self, name: str, rows: Sequence[Mapping[str, Any]], round_: int, split: str) -> None:
        """Write the rows of one table, round and split as a part; nothing where there are none."""
        if rows:
            common = {"run": self.run, "round": round_, "split": split}
            table = table_of([{**common, **row} for row in rows], COLUMNS[name])
            path = self.folder / name / f"{self.run}-{round_:06d}-{split}.parquet"
            write_table(path, table, lasting=False)
            self._unflushed.add(path)
            self.counts[name] = self.counts.get(name, 0) + (split == "validation")

    def flush(self) -> None:
        """Return when the disk has stored every part that was written."""
        for path in {*self._unflushed, *(part.parent for part in self._unflushed)}:
            flush(path)
        self._unflushed.clear()

    def parts(self, name: str = "*", split: str = "*") -> list[Path]:
        """The parts of this run in one table or in all, in the order of the rounds."""
        return sorted(self.folder.glob(f"{name}/{self.run}-*-{split}.parquet"))

    def rows(self, name: str) -> Iterator[TableRow]:
        """Read the rows of one table on validation, part by part."""
        for part in self.parts(name, "validation"):
            yield from read_part(part).to_pylist()

    def check(self, counts: Mapping[str, int], last: int) -> None:
        """Check the parts of the finished rounds before a run goes on.

        Args:
            counts: Table -> number of rounds of which it has rows on validation.
            last: The last finished round; later parts are not looked at.

        Raises:
            DamagedFile: A part is damaged, or parts are missing.
        """
        for name in COLUMNS:
            present: set[int] = set()
            for part in self.parts(name):
                if _round_of(part) <= last:
                    rounds = set(read_part(part)["round"].to_pylist())
                    present |= rounds if part.stem.endswith("-validation") else set()
            if len(present) < counts.get(name, 0):
                lost = counts[name] - len(present)
                raise damaged(
                    self.folder / name,
                    f"parts of {lost} of {counts[name]} rounds of {self.run} are missing",
                    REMEDY,
                )

    def records(self) -> list[RoundRecord]:
        """Read the records of the rounds on validation, in order; a missing value has no key."""
        rounds: dict[int, dict[str, list[TableRow]]] = {}
        for name in ("rounds", "clients", "classes", "ratios", "images"):
            for row in self.rows(name):
                values = {key: value for key, value in row.items() if key not in COMMON and value is not None}
                rounds.setdefault(row["round"], {}).setdefault(name, []).append(values)
        return [
            RoundRecord(
                round=round_,
                row=tables["rounds"][0],
                clients=tables.get("clients", []),
                classes=tables.get("classes", []),
                ratios=tables.get("ratios", []),
                images=tables.get("images", []),
            )
            for round_, tables in sorted(rounds.items())
        ]

    def refuse_odd(self) -> None:
        """Refuse parts that are no files, before anything is removed.

        Raises:
            DamagedFile: One is a folder, a pipe or a link that leads nowhere.
        """
        for part in self.parts():
            refuse_odd(part, REMEDY)

    def last_round(self) -> int:
        """Return the last round of which there is a part on validation; -1 without any."""
        return max((_round_of(part) for part in self.parts(split="validation")), default=-1)

    def drop_after(self, round_: int) -> None:
        """Remove the parts of all rounds after this one."""
        for part in self.parts():
            if _round_of(part) > round_:
                part.unlink()

    def compact(self) -> None:
        """Join the parts of each table on validation."""
        for name in COLUMNS:
            parts = self.parts(name, "validation")
            if len(parts) > 1:
                last = read_part(parts[-1])
                inside = set(last["round"].to_pylist())  # more than one if a compaction was killed
                rest = [read_part(part) for part in parts[:-1] if _round_of(part) not in inside]
                write_table(parts[-1], pa.concat_tables([*rest, last], promote_options="default"))
                for part in parts[:-1]:
                    part.unlink()


def read_part(part: Path) -> pa.Table:
    """Read a part of a table; one of a run is named after the run of its rows.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It is damaged, no file, or its rows are of another run.
    """
    table, run = read_table(part, REMEDY), part.name.split("-")[0]
    if "run" in table.column_names and set(table["run"].to_pylist()) - {run}:
        raise damaged(part, f"its rows are of another run than {run}", REMEDY)
    return table


def _round_of(part: Path) -> int:
    return int(part.stem.split("-")[1])
