"""A sweep for other programs: an Optuna journal, or one CSV file. Rebuilt from the rows of `tables/trials` and run.json alone."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from raysim.core.errors import UserError

Row = dict[str, Any]
FORMATS = {"optuna": "optuna.journal", "csv": "trials.csv"}
COMPARED = (
    "contrast",
    "interaction",
    "search",
    "design",
    "stress",
)  # on the selection seeds and validation: values of one study compare
ASIDE = "beside the search"  # the study of what was run on other seeds, or by other methods
# highest over lowest value from which a positive number is taken to have been drawn on a logarithmic scale
WIDE = 100.0
ABOUT = (
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


def export(folder: Path, form: str, out: Path | None = None) -> Path:
    """Write a sweep, finished or not, as a file of another program; returns the file.

    Args:
        folder: The sweep's folder.
        form: One of `FORMATS`.
        out: The file; by default in the sweep's folder.

    Raises:
        UserError: the folder holds no trials, or the file exists.
    """
    file = out or folder / FORMATS[form]
    if file.exists():
        raise UserError(f"--out {file}: exists already; remove it or name another file")
    described, rows = _described(folder), read_rows(folder)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.unlink(missing_ok=True)
        if form == "optuna":
            _write_optuna(beside, described, rows)
        else:
            _write_csv(beside, rows)
        os.replace(beside, file)
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror})") from None
    finally:
        beside.unlink(missing_ok=True)
    return file


def read_rows(folder: Path) -> list[Row]:
    """The trials that have ended, in order; of two rows of one label on fresh seeds the later counts, a damaged part does not.

    Raises:
        UserError: there are none.
    """
    rows: list[Row] = []
    for part in sorted((folder / "tables" / "trials").glob("*.parquet")):
        try:
            rows += pq.ParquetFile(part).read().to_pylist()
        except (pa.ArrowInvalid, OSError):
            continue
    if not rows:
        raise UserError(f"{folder}: holds no trial that has ended; give the folder of a sweep")
    rows.sort(key=lambda row: (row.get("finished") or 0.0, row["trial"]))
    counted = {(row["study"], row["label"]) if row["kind"] == "confirm" else row["key"]: row for row in rows}
    return sorted(counted.values(), key=lambda row: int(row["trial"]))


def _described(folder: Path) -> Row:
    try:
        return dict(json.loads((folder / "run.json").read_text()))
    except (OSError, ValueError):
        raise UserError(
            f"{folder} is no result folder: it holds no readable run.json (give the folder that --out named)"
        ) from None


def _write_optuna(path: Path, described: Row, rows: Sequence[Row]) -> None:
    """One Optuna study per study of the sweep, and one beside it for rivals and fresh seeds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    objectives = (described.get("search") or {}).get("objectives") or [
        {"name": "objective", "direction": "maximize"}
    ]
    names = [objective["name"] for objective in objectives]
    searching = {row["study"] for row in rows if row["kind"] in COMPARED}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        aside = row["study"] in searching and row["kind"] not in COMPARED
        groups.setdefault(f"{row['study']} | {ASIDE}" if aside else row["study"], []).append(row)
    for name, group in groups.items():
        study = optuna.create_study(
            study_name=name, storage=storage, directions=[objective["direction"] for objective in objectives]
        )
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            study.set_metric_names(names)
        for key in ("id", "title", "command", "commit"):
            study.set_user_attr(f"raysim_{key}", described.get(key))
        params = _params(group)
        known = _distributions(params, _declared(described, group[0]["study"]))
        study.add_trials([_trial(row, given, known, names) for row, given in zip(group, params, strict=True)])


def _trial(
    row: Row, params: Row, known: Mapping[str, BaseDistribution], objectives: Sequence[str]
) -> FrozenTrial:
    values = [
        row["objective"] if name in ("acc_personal_own", "objective") else _mean(row.get(name))
        for name in objectives
    ]
    whole = row["state"] == "COMPLETE" and all(value is not None and value == value for value in values)
    trial = optuna.trial.create_trial(
        state=TrialState.COMPLETE
        if whole
        else TrialState.PRUNED
        if row["state"] == "PRUNED"
        else TrialState.FAIL,
        values=[float(value) for value in values if value is not None] if whole else None,
        params=params,
        distributions={name: known[name] for name in params},
        user_attrs={name: row[name] for name in ABOUT if row.get(name) not in (None, "", [])},
        intermediate_values={int(round_): float(value) for round_, value in json.loads(row["curve"] or "[]")},
    )
    if row.get("finished"):
        trial.datetime_complete = datetime.fromtimestamp(row["finished"])
        trial.datetime_start = datetime.fromtimestamp(row["finished"] - (row["wall_seconds"] or 0.0))
    return trial


def _mean(value: Any) -> float | None:
    """A number as it is, a list as its mean."""
    return (sum(value) / len(value) if value else None) if isinstance(value, list) else value


def _params(rows: Sequence[Row]) -> list[Row]:
    """What each trial set, and what the others set at the value that it had there: a contrast has the anchor's learning rate.

    A parameter that a trial's method does not have is left out.
    """
    given = [
        {name: _scalar(value) for name, value in json.loads(row["params"] or "{}").items()} for row in rows
    ]
    names = dict.fromkeys(name for params in given for name in params)
    whole = []
    for row, params in zip(rows, given, strict=True):
        flat = _flat(json.loads(row["experiment"] or "{}"))
        whole.append(
            {
                name: params[name] if name in params else flat[name]
                for name in names
                if name in params or name in flat
            }
        )
    return whole


def _scalar(value: Any) -> Any:
    """A value that Optuna takes: lists and records as text."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Row:
    """Values by dotted path; a block with a name, such as `method`, is also its name."""
    found: Row = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.") | (
                {f"{prefix}{key}": value["name"]} if "name" in value else {}
            )
        else:
            found[f"{prefix}{key}"] = _scalar(value)
    return found


def _declared(described: Row, study: str) -> dict[str, BaseDistribution]:
    """The distributions that run.json declares for a study, by parameter."""
    factors = ((described.get("design") or {}).get("factors") or {}).get(study, [])
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
    params: Sequence[Row], declared: Mapping[str, BaseDistribution]
) -> dict[str, BaseDistribution]:
    """A distribution per parameter that holds all its values: as declared, else as narrow as the values are."""
    found: dict[str, BaseDistribution] = {}
    for name in dict.fromkeys(name for given in params for name in given):
        values = [given[name] for given in params if name in given]
        stated = declared.get(name)
        found[name] = (
            stated
            if stated is not None and all(_inside(stated, value) for value in values)
            else _inferred(values)
        )
    return found


def _inside(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except ValueError:
        return False


def _inferred(values: Sequence[Any]) -> BaseDistribution:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return CategoricalDistribution(list(dict.fromkeys(values)))
    low, high = min(values), max(values)
    wide = low > 0 and high / low >= WIDE
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=wide)
    return FloatDistribution(float(low), float(high), log=wide)


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    """A row per trial; lists (a value per seed) as JSON, a column per parameter."""
    params = _params(rows)
    names = [
        *dict.fromkeys(name for row in rows for name in row),
        *dict.fromkeys(f"params.{name}" for given in params for name in given),
    ]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row, given in zip(rows, params, strict=True):
            writer.writerow(
                {name: _scalar(value) for name, value in row.items()}
                | {f"params.{name}": value for name, value in given.items()}
            )
