"""Export of a sweep as an Optuna journal or as CSV files, made from run.json and the tables.

The CSV files are those of the trials, of the verdicts and of the estimates. The last two are what the report
wrote: they are not computed here.
"""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from raysim.core.errors import UserError
from raysim.storage.files import read_record, read_table, temporary_path
from raysim.storage.trials import TrialKind, TrialRow, mean_of, read_trials, trials_folder

Settings = dict[str, Any]  # values by dotted path
FORMATS = {"optuna": "optuna.journal", "csv": "trials.csv"}
JUDGED = ("verdicts", "estimates")  # tables that a report writes
# kinds of trials that run on the selection seeds, so that the values of one study can be compared
COMPARABLE_KINDS: tuple[TrialKind, ...] = ("contrast", "interaction", "search", "design", "stress")
OTHER_TRIALS = "beside the search"  # ending of the Optuna study of trials on other seeds or of other methods
LOG_RATIO = 100.0  # a positive parameter whose values span at least this ratio is taken to be logarithmic
USER_ATTRIBUTES = (
    "key",
    "kind",
    "label",
    "scenario",
    "method",
    "factor",
    "level",
    "factor2",
    "level2",
    "reason",
    "seeds",
    "runs",
    "trial",
    "point",
)


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """What was written.

    Attributes:
        path: The file.
        beside: Other files that were written beside it.
        damaged_parts: For each damaged part of the sweep that is not in it one sentence.
        notes: Sentences on what is missing or old.
    """

    path: Path
    beside: list[Path]
    damaged_parts: list[str]
    notes: list[str]


def export(folder: Path, file_format: str, out: Path | None = None) -> ExportedFile:
    """Write a sweep, finished or not, as a file of another program.

    Args:
        folder: The folder of the sweep.
        file_format: One of `FORMATS`.
        out: The file; by default it is in the folder of the sweep.

    Raises:
        UserError: The folder holds no trials, or the file exists already.
    """
    file = out or folder / FORMATS[file_format]
    judged, notes = _judged_files(folder, file) if file_format == "csv" else ({}, [])
    for path in (file, *judged):
        if path.exists():
            raise UserError(f"--out {path}: exists already; remove it or name another file")
    record, table = _run_record(folder), read_trials(folder, damaged="leave out")
    rows = _current_rows(table.rows)
    if not rows:
        raise UserError(
            "\n".join(
                [f"{folder}: holds no trial that has ended; give the folder of a sweep", *table.damaged_parts]
            )
        )
    if file_format == "optuna":
        _write_whole(file, lambda path: _write_optuna(path, record, rows))
    else:
        settings = _settings_of(rows)
        lines = [{**row, **{f"params.{name}": value for name, value in params.items()}}
                 for row, params in zip(rows, settings, strict=True)]  # fmt: skip
        _write_whole(file, lambda path: _write_csv(path, lines))
    for path, source in judged.items():
        _write_whole(path, partial(_write_table_as_csv, source))
    return ExportedFile(path=file, beside=list(judged), damaged_parts=table.damaged_parts, notes=notes)


def _judged_files(folder: Path, file: Path) -> tuple[dict[Path, Path], list[str]]:
    """Return CSV file -> the table that a report wrote, and sentences on tables that are missing or old."""
    sources = {name: folder / "tables" / name / f"{name}.parquet" for name in JUDGED}
    command = f"raysim report {folder} writes them"
    if missing := [name for name, source in sources.items() if not source.is_file()]:
        sources = {name: source for name, source in sources.items() if name not in missing}
        note = [f"without {' and '.join(missing)}: {command}"]
    else:
        parts = [part.stat().st_mtime for part in trials_folder(folder).glob("*.parquet")]
        old = max(parts, default=0.0) > min(source.stat().st_mtime for source in sources.values())
        note = [f"verdicts and estimates are older than the last trial: {command} again"] if old else []
    return {file.with_name(f"{file.stem}-{name}.csv"): source for name, source in sources.items()}, note


def _write_whole(file: Path, write: Callable[[Path], None]) -> None:
    """Write a file whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    temporary = temporary_path(file)
    try:
        temporary.unlink(missing_ok=True)
        write(temporary)
        os.replace(temporary, file)
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)


def _current_rows(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the rows without winners from before an extension: of one label on fresh seeds, the last row."""
    in_time = sorted(rows, key=lambda row: (row["finished"] or 0.0, row["trial"]))
    last = {(row["study"], row["label"]) if row["kind"] == "confirm" else row["key"]: row for row in in_time}
    return sorted(last.values(), key=lambda row: row["trial"])


def _run_record(folder: Path) -> dict[str, Any]:
    """Return run.json.

    Raises:
        UserError: There is none, or it cannot be read.
    """
    record = read_record(folder)
    if not record:
        raise UserError(
            f"{folder} is no result folder: it holds no readable run.json (give what --out named)"
        )
    return record


def _write_optuna(path: Path, record: Mapping[str, Any], rows: Sequence[TrialRow]) -> None:
    """Write an Optuna study per study of the sweep, and another one for its rivals and its fresh seeds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    objectives = (record.get("search") or {}).get("objectives") or [
        {"name": "objective", "direction": "maximize"}
    ]
    names = [objective["name"] for objective in objectives]
    searched = {row["study"] for row in rows if row["kind"] in COMPARABLE_KINDS}
    groups: dict[str, list[TrialRow]] = {}
    for row in rows:
        other = row["study"] in searched and row["kind"] not in COMPARABLE_KINDS
        groups.setdefault(f"{row['study']} | {OTHER_TRIALS}" if other else row["study"], []).append(row)
    for name, group in groups.items():
        study = optuna.create_study(
            study_name=name, storage=storage, directions=[objective["direction"] for objective in objectives]
        )
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            study.set_metric_names(names)
        for key in ("id", "title", "command", "commit"):
            study.set_user_attr(f"raysim_{key}", record.get(key))
        settings = _settings_of(group)
        distributions = _distributions(settings, _declared_distributions(record, group[0]["study"]))
        study.add_trials(
            [
                _frozen_trial(row, params, distributions, names)
                for row, params in zip(group, settings, strict=True)
            ]
        )


def _frozen_trial(
    row: TrialRow,
    params: Settings,
    distributions: Mapping[str, BaseDistribution],
    objectives: Sequence[str],
) -> FrozenTrial:
    values = [
        row["objective"] if name in ("acc_personal_own", "objective") else mean_of(row, name)
        for name in objectives
    ]
    complete = row["state"] == "COMPLETE" and all(value is not None and value == value for value in values)
    columns = cast(Mapping[str, Any], row)
    trial = optuna.trial.create_trial(
        state=TrialState.COMPLETE
        if complete
        else TrialState.PRUNED
        if row["state"] == "PRUNED"
        else TrialState.FAIL,
        values=[float(value) for value in values if value is not None] if complete else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs={name: columns[name] for name in USER_ATTRIBUTES if columns[name] not in (None, "", [])},
        intermediate_values={int(round_): float(value) for round_, value in json.loads(row["curve"] or "[]")},
    )
    if row["finished"]:
        trial.datetime_complete = datetime.fromtimestamp(row["finished"])
        trial.datetime_start = datetime.fromtimestamp(row["finished"] - (row["wall_seconds"] or 0.0))
    return trial


def _settings_of(rows: Sequence[TrialRow]) -> list[Settings]:
    """Return for each trial the values of all parameters that any of the trials sets.

    A parameter that the trial itself does not set has the value of its experiment: a contrast, for example,
    has the learning rate of the anchor. A parameter that the trial's method does not have is left out.
    """
    overrides = [
        {name: _scalar(value) for name, value in json.loads(row["params"] or "{}").items()} for row in rows
    ]
    names = dict.fromkeys(name for params in overrides for name in params)
    settings = []
    for row, params in zip(rows, overrides, strict=True):
        values = {**_flat(json.loads(row["experiment"] or "{}")), **params}
        settings.append({name: values[name] for name in names if name in values})
    return settings


def _scalar(value: Any) -> Any:
    """Return a value that Optuna can store: lists and mappings become text."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Settings:
    """Return values by dotted path; a block that has a name, such as `method`, is there by its name too."""
    flat: Settings = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.") | (
                {f"{prefix}{key}": value["name"]} if "name" in value else {}
            )
        else:
            flat[f"{prefix}{key}"] = _scalar(value)
    return flat


def _declared_distributions(record: Mapping[str, Any], study: str) -> dict[str, BaseDistribution]:
    """Return the distributions that run.json declares for a study, by parameter."""
    factors = ((record.get("design") or {}).get("factors") or {}).get(study, [])
    kinds: dict[str, type[FloatDistribution] | type[IntDistribution]] = {
        "float": FloatDistribution,
        "int": IntDistribution,
    }
    return {
        factor["path"]: kinds[factor["kind"]](factor["low"], factor["high"], log=bool(factor["log"]))
        if factor["kind"] in kinds
        else CategoricalDistribution([_scalar(choice) for choice in factor["choices"]])
        for factor in factors
    }


def _distributions(
    settings: Sequence[Settings], declared: Mapping[str, BaseDistribution]
) -> dict[str, BaseDistribution]:
    """Return for each parameter a distribution that holds its values: the declared one, or the narrowest."""
    distributions: dict[str, BaseDistribution] = {}
    for name in dict.fromkeys(name for params in settings for name in params):
        values = [params[name] for params in settings if name in params]
        stated = declared.get(name)
        fits = stated is not None and all(_contains(stated, value) for value in values)
        distributions[name] = stated if stated is not None and fits else _narrowest_distribution(values)
    return distributions


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except ValueError:
        return False


def _narrowest_distribution(values: Sequence[Any]) -> BaseDistribution:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return CategoricalDistribution(list(dict.fromkeys(values)))
    low, high = min(values), max(values)
    log = low > 0 and high / low >= LOG_RATIO
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _write_table_as_csv(source: Path, path: Path) -> None:
    """Write a Parquet file as CSV."""
    table = read_table(source, "the other tables can be exported when this file is moved away")
    _write_csv(path, table.to_pylist(), table.column_names)


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> None:
    """Write a line per row; lists (with a value per seed) are JSON.

    Args:
        path: The file.
        rows: The rows.
        names: The columns, by default those that any row has.
    """
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, names or list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows({name: _scalar(value) for name, value in row.items()} for row in rows)
