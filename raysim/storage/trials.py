"""Results table of the trials of a sweep or stress run: `tables/trials`, one Parquet part per trial.

The columns are declared once: those with a name of their own in `TrialRow`, those that hold a measure in
`raysim.core.columns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, cast, get_type_hints

import numpy as np
import pyarrow as pa

from raysim.core.columns import MEASURED_COLUMNS, TRAFFIC_COLUMNS
from raysim.core.errors import DamagedFile, UserError
from raysim.storage.files import read_table, write_table

TRIAL_REMEDY = "remove this file, and --resume runs its trial again"

TrialKind = Literal[
    "contrast", "rival", "interaction", "design", "search", "race", "confirm", "transfer", "stress"
]
TrialState = Literal["COMPLETE", "PRUNED", "FAIL"]
SeedOutcome = Literal["complete", "diverged", "pruned", "failed"]
LOST: tuple[SeedOutcome, ...] = ("diverged", "failed")  # seeds without a finite number at their end

Text = Annotated[str, pa.string()]
OptionalText = Annotated[str | None, pa.string()]
Number = Annotated[int, pa.int32()]
OptionalNumber = Annotated[int | None, pa.int32()]
LargeNumber = Annotated[int | None, pa.int64()]
Real = Annotated[float, pa.float64()]
OptionalReal = Annotated[float | None, pa.float64()]


class TrialOutcome(TypedDict, total=False):
    """Columns that the trial's process fills.

    Attributes:
        state: COMPLETE, PRUNED (stopped at a rung) or FAIL (at least half of the seeds are lost).
        reason: Why it failed; empty where it did not.
        outcomes: How each seed ended, in the order of `seeds`: complete, diverged, pruned, or failed (it
            ended without a finite number for another reason). Diverged and failed seeds are lost: their
            measures are NaN, and the other seeds run on.
        rounds: Rounds that were run.
        objective: Validation accuracy at the last evaluation, the mean over the seeds, where a lost seed
            counts as 0; NaN without an evaluation.
        curve: JSON list of [round, objective].
        patches: Patches per image, where the method uses them.
        shared_parameters: Number of shared parameters.
        bytes_setup: Bytes that a client gets once; the mean over the seeds.
        flops: FLOPs of a run's clients; the mean over the seeds.
        flops_server: FLOPs of the server's own work on its samples; the mean over the seeds.
        seconds: Seconds of a run; the mean over the seeds.
        wall_seconds: Seconds from the start of the trial to its end.
        startup_seconds: Those of them until the first evaluation, where the trial was the first of its
            process, which loads features and models; else 0.
    """

    state: Annotated[TrialState, pa.string()]
    reason: Text
    outcomes: Annotated[list[SeedOutcome], pa.list_(pa.string())]
    rounds: Number
    objective: Real
    curve: Text
    patches: OptionalNumber
    shared_parameters: LargeNumber
    bytes_setup: LargeNumber
    flops: OptionalReal
    flops_server: OptionalReal
    seconds: OptionalReal
    wall_seconds: Real
    startup_seconds: Real


class TrialRow(TrialOutcome):
    """One row of the table: a trial that has ended. A column without a value is None.

    Beside these columns the row holds a list with one value per seed for each measure (`acc_...` on
    validation, `test_acc_...` on the test split), and the traffic as means over the seeds; `mean_of` reads
    them by name.

    Attributes:
        key: Digest that names the same trial in a resumed sweep.
        trial: Number of the trial in the order of the plan.
        number: The same number.
        study: `SPACE | SCENARIO`, `SPACE ENTRY | SCENARIO`, or of a stress run `SPACE | CASE | LEVEL`.
        scenario: Label of the scenario.
        method: Name of the method.
        kind: Why the trial was run.
        label: Name of the configuration in its study.
        factor: Path of the factor that a contrast moves; name of the case of a stress trial.
        level: Level of that factor; the scenario of the winner that a transfer trial uses.
        factor2: Second factor of an interaction.
        level2: Its level.
        point: Number of the point of a design.
        unit: Coordinates of that point in [0, 1].
        space: Signature of the search space that a search trial was drawn from; name of the space of a stress
            trial.
        tuning: What stands behind the configuration of a confirm or transfer trial: `tuned`, `best of N
            trials` or `untuned`; the label ends with the same words. Empty for other kinds.
        violated: Constraints of the search that a complete trial breaks on its seeds, separated by commas;
            empty where it meets all. None without constraints, or where it is not complete.
        params: JSON object of the overrides that make the configuration.
        experiment: JSON object of the experiment on the first seed.
        runs: Ids of the runs, one per seed.
        seeds: Seeds of the runs.
        finished: Time at which the trial ended, in seconds since 1970.
    """

    key: Text
    trial: Number
    number: Number
    study: Text
    scenario: Text
    method: Text
    kind: Annotated[TrialKind, pa.string()]
    label: Text
    factor: OptionalText
    level: OptionalText
    factor2: OptionalText
    level2: OptionalText
    point: OptionalNumber
    unit: Annotated[list[float] | None, pa.list_(pa.float64())]
    space: OptionalText
    tuning: Text
    violated: OptionalText
    params: Text
    experiment: Text
    runs: Annotated[list[str], pa.list_(pa.string())]
    seeds: Annotated[list[int], pa.list_(pa.int64())]
    finished: OptionalReal


TRIAL_COLUMNS: dict[str, pa.DataType] = {
    **{
        name: annotation.__metadata__[0]
        for name, annotation in get_type_hints(TrialRow, include_extras=True).items()
    },
    **dict.fromkeys(
        (*MEASURED_COLUMNS, *(f"test_{name}" for name in MEASURED_COLUMNS)), pa.list_(pa.float64())
    ),
    **dict.fromkeys(TRAFFIC_COLUMNS, pa.int64()),
}


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """The rows of `tables/trials` and the parts that cannot be read.

    Attributes:
        rows: One row per trial, in the order of the plan.
        damaged_parts: For each damaged part one sentence: the file, what is wrong, what to do.
    """

    rows: list[TrialRow]
    damaged_parts: list[str]


def complete_row(columns: Mapping[str, Any]) -> TrialRow:
    """Return a row that has every column; those that are not given are None."""
    return cast(TrialRow, {**dict.fromkeys(TRIAL_COLUMNS), **columns})


def mean_of(row: TrialRow, column: str) -> float | None:
    """Return a number of a row, or the mean of a column with one value per seed; None without a value."""
    value = cast(Mapping[str, Any], row).get(column)
    if isinstance(value, list):
        return float(np.mean(value)) if value else None
    return None if value is None else float(value)


def trials_folder(folder: Path) -> Path:
    """Return the folder of the table's parts."""
    return folder / "tables" / "trials"


def superseded_folder(folder: Path) -> Path:
    """Return the folder of the parts of rows that others have replaced."""
    return folder / "tables" / "superseded"


def part_name(row: TrialRow) -> str:
    """Return the name of a row's part, without its ending."""
    return f"{row['trial']:06d}-{row['key']}"


def superseded_numbers(folder: Path) -> dict[str, int]:
    """Return key -> number of the rows that others have replaced, from the names of their parts."""
    names = (path.stem.split("-", 1) for path in superseded_folder(folder).glob("*-*.parquet"))
    return {key: int(number) for number, key in names}


def write_trial(folder: Path, row: TrialRow) -> None:
    """Write the row of a trial as a part of its own."""
    values = cast(Mapping[str, Any], row)
    table = pa.table({name: pa.array([values.get(name)], kind) for name, kind in TRIAL_COLUMNS.items()})
    write_table(trials_folder(folder) / f"{part_name(row)}.parquet", table)


def read_trials(folder: Path, *, damaged: Literal["refuse", "leave out"]) -> TrialTable:
    """Read the trials that have ended.

    Args:
        folder: The result folder.
        damaged: What to do about a part that cannot be read: `refuse` where the sweep goes on,
            `leave out` where its results are only shown.

    Returns:
        The rows, of a trial that was run again only the last one, and what is said about damaged parts.

    Raises:
        UserError: There are damaged parts, and they are refused: the message names each file.
    """
    rows: list[TrialRow] = []
    damaged_parts = []
    for part in sorted(trials_folder(folder).glob("*.parquet")):
        try:
            rows += [complete_row(columns) for columns in read_table(part, TRIAL_REMEDY).to_pylist()]
        except FileNotFoundError:  # a sweep that ends moves superseded parts away
            continue
        except DamagedFile as error:
            damaged_parts.append(str(error))
    if damaged_parts and damaged == "refuse":
        raise UserError("\n".join(damaged_parts))
    return TrialTable(rows=latest_rows(rows), damaged_parts=damaged_parts)


def latest_rows(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """Return the rows in the order of the plan; of a trial that was run again, only the last one."""
    last = {row["key"]: row for row in sorted(rows, key=lambda row: (row["finished"] or 0.0, row["trial"]))}
    return sorted(last.values(), key=lambda row: row["trial"])
