"""Trials."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from raysim.core.types import MEASURED, TRAFFIC, Row
from raysim.storage.files import write_table

LISTS = (*MEASURED, *(f"test_{name}" for name in MEASURED))


TRIAL_COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(
        ("key", "study", "method", "scenario", "kind", "label", "state", "reason", "space"), pa.string()
    ),
    **dict.fromkeys(("factor", "level", "factor2", "level2", "params", "experiment", "curve"), pa.string()),
    "point": pa.int32(),
    "unit": pa.list_(pa.float64()),
    "finished": pa.float64(),
    "trial": pa.int32(),
    "number": pa.int32(),
    "rounds": pa.int32(),
    "patches": pa.int32(),
    "runs": pa.list_(pa.string()),
    "seeds": pa.list_(pa.int64()),
    "objective": pa.float64(),
    **dict.fromkeys(LISTS, pa.list_(pa.float64())),
    **dict.fromkeys(TRAFFIC, pa.int64()),
    "bytes_setup": pa.int64(),
    "shared_parameters": pa.int64(),
    **dict.fromkeys(("flops", "seconds", "wall_seconds"), pa.float64()),
}


def write_trial(folder: Path, row: Row) -> None:
    """One Parquet part per trial."""
    table = pa.table({name: pa.array([row.get(name)], kind) for name, kind in TRIAL_COLUMNS.items()})
    write_table(folder / "tables" / "trials" / f"{row['trial']:06d}-{row['key']}.parquet", table)


def read_trials(folder: Path) -> list[Row]:
    """All finished trials, in their order."""
    path = folder / "tables" / "trials"
    if not path.exists() or not any(path.glob("*.parquet")):
        return []
    return sorted(
        ds.dataset(path, format="parquet").to_table().to_pylist(), key=lambda row: int(row["trial"])
    )
