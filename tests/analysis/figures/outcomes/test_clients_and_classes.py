"""Partitions and accuracies by class, on paper."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from analysis.figures.outcomes import classes, partition
from analysis.read.results import Results
from tests.fakes import tables as fake_tables


def test_partition_table_on_paper() -> None:
    made = pa.table({"client": [0, 0, 2, 2, 2], "label": [0, 1, 1, 1, 1], "domain": [0, 0, 1, 1, 0]})
    table = partition.table_partition(made, 3, 2)
    assert table["clients"].tolist() == [0, 2] and table["counts"].tolist() == [[1, 1, 0], [0, 3, 0]]
    assert table["domains"].tolist() == [[2, 0], [1, 2]]
    many = partition.table_partition(pa.table({"client": list(range(500)), "label": [0] * 500}), 1, 1)
    assert (
        len(many["clients"]) == partition.SHOWN_CLIENTS
        and many["total"] == 500
        and many["clients"][-1] == 499
    )


def test_accuracy_by_class_sums_domains(tmp_path: Path) -> None:
    rows = [
        {
            "run": "r",
            "round": n,
            "split": "validation",
            "label": 0,
            "class_name": "river",
            "domain": d,
            "domain_name": str(d),
            "scope": "shared",
            "correct": c,
            "total": t,
        }
        for n, d, c, t in ((1, 0, 0.0, 9.0), (2, 0, 1.0, 2.0), (2, 1, 2.0, 4.0))
    ]
    fake_tables.write(tmp_path / "tables" / "classes" / "0.parquet", rows)
    assert classes.table_classes(Results(tmp_path, {"kind": "run"})) == [
        {"name": "river", "round": 2, "shared": 0.5}
    ]
