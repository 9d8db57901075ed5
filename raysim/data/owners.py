"""Tables that say who holds which image: reading them from CSV or Parquet, and finding the images they name.

A table has a row for an image: its file, the client that holds it and, where the table has a column `split`,
what the image is for. The order of the rows, the form of the file and its other columns mean nothing.

Shapes: R rows, F files of a dataset.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from raysim.core.config import digest, suggest
from raysim.core.errors import UserError
from raysim.core.warm import kept
from raysim.data.files import shorten_list
from raysim.data.image_names import ImageNames, comparable_path
from raysim.data.splits import TEST, TRAIN, VALIDATION

FILE, CLIENT, SPLIT = "file", "client", "split"
SHOWN = 3  # examples in a message
DELIMITERS = (",", ";", "\t", "|")
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
Cells = dict[str, str]


class OwnerRow(NamedTuple):
    """A row of a table of owners.

    Attributes:
        line: Its line in a CSV file, its number in a Parquet file.
        file: The file that it names, with slashes.
        client: Name of the client; empty where an image for validation or test has none.
        split: 0 train, 1 validation, 2 test; None where the table has no such column.
    """

    line: int
    file: str
    client: str
    split: int | None


@dataclass(frozen=True)
class OwnersTable:
    """A table of owners.

    Attributes:
        path: The file.
        rows: Its rows. R
    """

    path: Path
    rows: tuple[OwnerRow, ...]

    @cached_property
    def content(self) -> str:
        """Sixteen hex digits: equal for tables that say the same, whatever their form and order."""
        return digest(sorted({(row.file, row.client, row.split) for row in self.rows}), 16)

    @property
    def has_splits(self) -> bool:
        """Whether the table says what images are for."""
        return self.rows[0].split is not None


def read_owners(path: Path, column: str = CLIENT) -> OwnersTable:
    """Read a table of owners; an unchanged file is read once per process.

    Args:
        path: A CSV file in UTF-8 (with or without a byte order mark) or UTF-16, its columns divided by comma,
            semicolon, tab or bar; or a Parquet file. Columns are found by name, whatever their case.
        column: The column that names the client.

    Raises:
        UserError: The file cannot be read, or a row is wrong; says which, and what is allowed.
    """
    try:
        stat = path.stat()
        return _read(path, column, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(f"scenario.file = '{path}' cannot be read: {reason}") from None


@kept("tables of owners", maxsize=4)
def _read(path: Path, column: str, _size: int, _changed: int) -> OwnersTable:
    content = path.read_bytes()
    read = _parquet if content[:4] == b"PAR1" else _csv
    rows = [_row(path, line, cells, column) for line, cells in read(path, content, column)]
    if not rows:
        raise UserError(
            f"{path} has no rows: it should have one for each image, with its file and its client"
        )
    _refuse_contradictions(path, [(row, row.file) for row in rows])
    return OwnersTable(path, tuple(rows))


def _csv(path: Path, content: bytes, column: str) -> Iterator[tuple[int, Cells]]:
    """Yield line and cells of each row of a CSV file; lines without any text are passed over."""
    if content[:4] == b"PK\x03\x04":
        raise UserError(f"{path} is an Excel workbook or a ZIP archive; save the table as CSV in UTF-8")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: the bytes are not UTF-8; save the table as CSV in UTF-8"
        ) from None
    if text[:4].lower() == "sep=":  # a line for Excel
        text = "\n" + "".join(text.splitlines(keepends=True)[1:])
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: dict[str, int] = {}
    width = 0
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if not names:
                names, width = _columns(path, fields, column), len(fields)
                continue
            if len(fields) != width:
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(fields)} cells where the first line names {width} "
                    f"columns; a name with the delimiter '{delimiter}' in it needs double quotes around it"
                )
            yield reader.line_num, {name: fields[place] for name, place in names.items()}
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: no CSV: {error}") from None


def _parquet(path: Path, content: bytes, column: str) -> Iterator[tuple[int, Cells]]:
    """Yield number and cells of each row of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        names = _columns(path, file.schema_arrow.names, column)
        table = file.read(columns=[file.schema_arrow.names[place] for place in names.values()])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: no Parquet file that can be read: {error}") from None
    columns = {name: table[file.schema_arrow.names[place]].to_pylist() for name, place in names.items()}
    for number in range(len(table)):
        yield number + 1, {name: _text(values[number]) for name, values in columns.items()}


def _text(value: Any) -> str:
    """Return a value as text: nothing for a missing one, `3` for the number 3.0."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _columns(path: Path, header: Sequence[str], column: str) -> dict[str, int]:
    """Return the places of the columns that are needed.

    Raises:
        UserError: A column is missing, or is there twice.
    """
    known = [name.strip().lower() for name in header]
    names = {FILE: FILE, CLIENT: column.strip().lower(), **({SPLIT: SPLIT} if SPLIT in known else {})}
    for name in names.values():
        if known.count(name) != 1:
            problem = "no column" if name not in known else f"{known.count(name)} columns"
            shown = shorten_list([repr(word.strip()) for word in header], 12)
            raise UserError(
                f"{path} has {problem} '{name}'; its first line names {shown}{suggest(name, known) or '.'} "
                f"Needed are '{FILE}' and '{CLIENT}' (or the column that scenario.attribute names), and "
                f"'{SPLIT}' where the table says what images are for"
            )
    return {name: known.index(heading) for name, heading in names.items()}


def _row(path: Path, line: int, cells: Cells, column: str) -> OwnerRow:
    """Return a row of a table.

    Raises:
        UserError: A cell is empty, or its split is unknown.
    """
    where = f"{path}, line {line}"
    file = comparable_path(cells[FILE].strip())
    client = unicodedata.normalize("NFC", cells[CLIENT].strip())
    split = None
    if SPLIT in cells:
        word = cells[SPLIT].strip()
        split = SPLIT_WORDS.get(word.lower())
        if split is None:
            raise UserError(
                f"{where}: {SPLIT} = '{word}' is not allowed: it should be train, validation or test"
            )
    if not file:
        raise UserError(f"{where}: no {FILE} is named")
    if not client and split in (None, TRAIN):
        raise UserError(
            f"{where}: '{file}' has no {column}; leave the row out where nobody holds the image for training"
        )
    return OwnerRow(line, file, client, split)


def find_images(table: OwnersTable, paths: Sequence[str]) -> dict[int, OwnerRow]:
    """Find the images that a table names.

    Args:
        table: The table.
        paths: Name of each image of the dataset (`Dataset.paths`). F

    Returns:
        Row by place of the image in `paths`, for the images that are named.

    Raises:
        UserError: A name fits no image, or several, or two rows contradict each other.
    """
    names = ImageNames(paths)
    found: list[tuple[OwnerRow, int]] = []
    absent: list[OwnerRow] = []
    for row in table.rows:
        fits = names.find(row.file)
        if len(fits) > 1:
            raise UserError(
                f"{table.path}, line {row.line}: '{row.file}' fits {len(fits)} images, "
                f"{shorten_list([paths[place] for place in fits], SHOWN)}; write the path of one"
            )
        if fits:
            found.append((row, fits[0]))
        else:
            absent.append(row)
    if absent:
        raise _absent(table, absent, names)
    _refuse_contradictions(table.path, found)
    return {place: row for row, place in found}


def _refuse_contradictions(path: Path, rows: Sequence[tuple[OwnerRow, Any]]) -> None:
    """Raise `UserError` where two rows speak of one image and say different things.

    Args:
        path: The table.
        rows: Its rows, each with what tells its image from others.
    """
    first: dict[Any, OwnerRow] = {}
    for row, image in rows:
        other = first.setdefault(image, row)
        if (other.client, other.split) != (row.client, row.split):
            words = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}
            said = " and ".join(
                f"line {r.line} says client '{r.client}'"
                + (f", {words[r.split]}" if r.split is not None else "")
                for r in (other, row)
            )
            raise UserError(f"{path}: '{row.file}' is named twice: {said}; keep one row for each image")


def _absent(table: OwnersTable, absent: Sequence[OwnerRow], names: ImageNames) -> UserError:
    """Return the error for files that the dataset does not have."""
    shown = shorten_list([f"'{row.file}' (line {row.line})" for row in absent], SHOWN)
    similar = names.similar(absent[0].file)
    hint = f"the most similar one is '{similar}'" if similar else f"they are called '{names.paths[0]}'"
    return UserError(
        f"{table.path}: {len(absent):,} of {len(table.rows):,} rows name a file that is not among the "
        f"dataset's {len(names.paths):,} images: {shown}; {hint}. Correct these rows or leave them out"
    )
