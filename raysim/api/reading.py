"""`raysim.load` and `raysim.compare`: results that are there already."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from raysim.api.results import Result, RunResult, SweepResult
from raysim.core.errors import UserError
from raysim.storage import report
from raysim.storage.config_file import CONFIG
from raysim.storage.files import read_record

FIRST = (
    "scenario",
    "label",
    "label_b",
    "mean_a",
    "mean_b",
    "estimate",
    "adjusted_low",
    "adjusted_high",
    "verdict",
)


def load(folder: str | Path) -> RunResult | SweepResult:
    """Open the folder of a run, a sweep or a stress run, finished or not (`result.status` says it).

    Args:
        folder: The folder that `out` or `--out` named, or that of one run of a sweep.

    Raises:
        UserError: There is no result in it.
    """
    place = Path(folder).expanduser()
    if (place / CONFIG).exists():
        return RunResult(place)
    if read_record(place).get("kind") in ("sweep", "stress"):
        return SweepResult(place)
    report.check_result_folder(place)
    raise UserError(f"{place}: holds no {CONFIG}, so it is no whole result")


def compare(a: str | Path | Result, b: str | Path | Result, metric: str = "acc_personal_own") -> pd.DataFrame:
    """Decide which of two results is better, from their files, as `raysim compare` does.

    Args:
        a: A result, its folder, a folder of runs that differ in their seed, or `"SWEEP:LABEL"` for one entry
            of a sweep.
        b: The other one, likewise.
        metric: Column that the verdict is on.

    Returns:
        A row per pair, `a` minus `b`, with the columns of the table of verdicts. `table.attrs` has the
        verdict in words (`sentence`), the `split`, the `confidence` of the intervals, what else `differs`,
        and `warnings`.

    Raises:
        UserError: One of them is no result, or the two cannot be compared.
    """
    words = (str(side.out if isinstance(side, Result) else side) for side in (a, b))
    first, second = map(os.path.expanduser, words)
    found = report.compare(first, second, metric).json()
    pairs = pd.DataFrame(found.pop("pairs"))
    table = pairs[[*FIRST, *(name for name in pairs.columns if name not in FIRST)]]
    table.attrs = found
    return table
