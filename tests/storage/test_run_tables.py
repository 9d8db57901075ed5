"""The parts of a run's tables: written once, read back, joined at the end, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from raysim.core.types import RoundRecord
from raysim.storage.run_tables import RunTables


def record(round_: int) -> RoundRecord:
    """A round with one client; only the second was evaluated."""
    row: dict[str, Any] = {"clients": 1, "loss": round_ + 0.5}
    clients: list[dict[str, Any]] = [{"client": 7, "examples": 3, "loss": 0.1 * round_}]
    classes: list[dict[str, Any]] = [{"label": 0, "class_name": "a", "correct": 2.0}] if round_ == 1 else []
    return RoundRecord(round=round_, row=row, clients=clients, classes=classes)


def write(tables: RunTables, rounds: range) -> list[RoundRecord]:
    records = [record(round_) for round_ in rounds]
    for each in records:
        for name, rows in {"rounds": [each.row], "clients": each.clients, "classes": each.classes}.items():
            tables.write(name, rows, each.round, "validation")
    return records


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    tables, other = RunTables(tmp_path, "one"), RunTables(tmp_path, "two")
    records = write(tables, range(3))
    write(other, range(2))
    tables.write("rounds", [{"clients": 1}], 2, "test")  # kept apart from validation
    assert tables.records() == records
    tables.compact()
    assert tables.records() == records and len(tables.parts("rounds", "validation")) == 1
    assert len(other.parts("rounds")) == 2 and ds.dataset(tmp_path / "rounds").count_rows() == 3 + 2 + 1


def test_parts_after_a_round_are_dropped(tmp_path: Path) -> None:
    tables, other = RunTables(tmp_path, "one"), RunTables(tmp_path, "two")
    records = write(tables, range(3))
    write(other, range(3))
    tables.drop_after(1)
    assert tables.records() == records[:2] and len(other.records()) == 3
    tables.drop_after(-1)
    assert tables.parts() == [] and len(other.records()) == 3
