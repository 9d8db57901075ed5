"""Results of runs and sweeps as tables of pandas, finished or not, read from their folders."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa

from raysim.api.running import plain_summary
from raysim.core.columns import RESULT_COLUMNS
from raysim.core.errors import UserError
from raysim.core.words import percent
from raysim.experiment.records import Experiment, from_dict
from raysim.storage.config_file import read_experiment, read_id
from raysim.storage.files import read_record
from raysim.storage.report import analysis_module, refuse_unreadable
from raysim.storage.run_tables import REMEDY, read_part

if TYPE_CHECKING:
    from raysim.prediction.model import Model

FEW = 20  # rows of a table that a notebook shows


class Result:
    """What a run and a sweep have in common.

    Attributes:
        out: The result folder.
    """

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out).expanduser()

    @property
    def record(self) -> dict[str, Any]:
        """What `run.json` says: status, versions, hardware, the command that does the same."""
        return read_record(self.out)

    @property
    def status(self) -> str:
        """`done`, `interrupted`, `failed`; or `running`, which a killed process leaves behind, too."""
        return str(self.record.get("status", "not started"))

    @property
    def finished(self) -> bool:
        """Whether everything that was asked for is done."""
        return self.status == "done"

    @property
    def report(self) -> Path:
        """The page of the report, `report/index.html`; `raysim report DIR` writes it again."""
        return self.out / "report" / "index.html"

    def _link(self) -> str:
        """Return a line with a link to the report, relative to the folder of a notebook."""
        if not self.report.exists():
            return f"<p>no report yet: <code>raysim report {html.escape(str(self.out))}</code></p>"
        place = quote(os.path.relpath(self.report))
        return f'<p><a href="{place}" target="_blank">report</a> in {html.escape(str(self.out))}</p>'


class RunResult(Result):
    """A run: its tables, its numbers, and what it has learned."""

    @cached_property
    def experiment(self) -> Experiment:
        """What was run; `raysim.run(result.experiment)` runs it again."""
        return read_experiment(self.out)

    @property
    def record(self) -> dict[str, Any]:
        """What `run.json` says.

        Raises:
            UserError: It is of another run than config.json.
        """
        record, run = super().record, read_id(self.out)
        if record.get("id", run) != run:
            raise UserError(
                f"{self.out}: run.json is of run {record['id']}, config.json of run {run}; {REMEDY}"
            )
        return record

    @property
    def rounds(self) -> pd.DataFrame:
        """A row per round (0: before training) and split; a round without evaluation has no accuracies."""
        return self._table("rounds")

    @property
    def clients(self) -> pd.DataFrame:
        """A row per evaluated round, split and client."""
        return self._table("clients")

    @property
    def classes(self) -> pd.DataFrame:
        """A row per evaluated round, split, class, domain and scope."""
        return self._table("classes")

    @property
    def summary(self) -> dict[str, Any]:
        """The object that `raysim run --json` prints; empty where the run is not finished."""
        record = self.record
        return plain_summary({**record["result"], "test": record.get("test")}) if "result" in record else {}

    @cached_property
    def model(self) -> Model:
        """What was learned, as a model that names the class of an image."""
        from raysim.prediction.model import open_model  # torch, which the tables do not need

        return open_model(self.out)

    def predict(self, images: Any, client: int | str | None = None, **options: Any) -> pd.DataFrame:
        """Return the classes of images: see `Model.predict` for the arguments."""
        return self.model.predict(images, client=client, **options).to_pandas()

    def _table(self, name: str) -> pd.DataFrame:
        """Return a table of this run; the runs of a sweep share theirs."""
        own = self.out / "tables"
        folder = own if own.exists() else self.out.absolute().parents[1] / "tables"
        run = read_id(self.out)
        return read_parts(sorted((folder / name).glob(f"{run}-*.parquet")))

    def _progress(self) -> str:
        """Return in words how far the run is."""
        if self.finished:
            return "done"
        last = self.rounds["round"].max() if len(self.rounds) else None
        return f"{self.status}, " + ("no round finished" if last is None else f"{last} rounds finished")

    def __repr__(self) -> str:
        """One line: the folder, how far it is, the first accuracy."""
        accuracy = self.summary.get("acc_personal_own")
        said = "" if accuracy is None else f", acc_personal_own {percent(accuracy)}"
        return f"<raysim run {self.out}: {self._progress()}{said}>"

    def _repr_html_(self) -> str:
        """A small table for notebooks: the accuracies, and the test's where it was opened."""
        summary = self.summary
        test = summary.get("test") or {}
        rows = [
            [name, percent(summary.get(name)), *([percent(test.get(name))] if test else [])]
            for name in RESULT_COLUMNS
        ]
        head = ["", "validation", *(["test"] if test else [])]
        table = html_table(head, rows) if summary else ""
        return f"<p><b>raysim run</b>: {html.escape(self._progress())}</p>{table}{self._link()}"


class SweepResult(Result):
    """A sweep, a recipe or a stress run: its trials, and the verdicts on their differences."""

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial that has ended; a measure is a list with one value per seed."""
        return read_parts(sorted((self.out / "tables/trials").glob("*.parquet")), ["number"])

    @property
    def rounds(self) -> pd.DataFrame:
        """A row per run, round and split, of all runs; the column `run` is in the lists `runs` of trials."""
        return read_parts(sorted((self.out / "tables/rounds").glob("*.parquet")), ["run", "round"])

    @property
    def verdicts(self) -> pd.DataFrame:
        """A row per difference that the report judges: `a` minus `b`, its interval, and the verdict."""
        columns = list(analysis_module("read.columns").TABLES["verdicts"])
        rows = analysis_module("verdicts.tables").verdict_rows(self._results())
        return pd.DataFrame(rows, columns=columns)

    def run(self, id_: str) -> RunResult:
        """Return one run of the sweep by its id (the column `run`)."""
        folder = self.out / "runs" / id_
        if not (folder / "config.json").exists():
            raise UserError(f"run = {id_!r} is not in {self.out}; the ids are in the column runs of trials")
        return RunResult(folder)

    def best(self, scenario: str | None = None) -> dict[str, Any]:
        """Return the best configuration under a scenario, as the report names it.

        Args:
            scenario: The name of the scenario; None: the only one.

        Returns:
            `scenario`, `label`, `mean`, `low`, `high`, `split`, `confirmed` (on fresh seeds), `trial`,
            `overrides` of the space, and the `experiment` on its first seed.

        Raises:
            UserError: There is no such scenario, several and none is named, nothing is measured yet, or
                parts of the tables cannot be read.
        """
        results = self._results()
        rows = {row["scenario"]: row for row in results.sql(analysis_module("pages.headline").BEST)}
        refuse_unreadable(results)
        if not rows:
            raise UserError(f"{self.out}: no configuration is measured yet")
        if scenario is None and len(rows) == 1:
            scenario = next(iter(rows))
        if scenario not in rows:
            raise UserError(f"scenario = {scenario!r} is not allowed: it should be one of {', '.join(rows)}")
        row = rows[scenario]
        trial = next(trial for trial in self._results().trials if trial["trial"] == row["trial"])
        names = ("scenario", "label", "method", "mean", "low", "high", "split", "confirmed", "trial")
        return {
            **{name: row.get(name) for name in names},
            "overrides": json.loads(trial["params"]),
            "experiment": from_dict(json.loads(trial["experiment"])),
        }

    def _results(self) -> Any:
        """Return the folder as the report reads it, with its tables of verdicts and estimates up to date."""
        results = analysis_module("read.results").open_results(self.out)
        analysis_module("verdicts").verdict_tables(results)
        return results

    def __repr__(self) -> str:
        """One line: the folder, how far it is."""
        record = self.record
        return f"<raysim {record.get('kind', 'sweep')} {self.out}: {self.status}, {len(self.trials)} trials>"

    def _repr_html_(self) -> str:
        """A small table for notebooks: the best configurations."""
        rows = self._results().sql(analysis_module("pages.headline").BEST)
        body = [[row["scenario"], row["label"], percent(row["mean"]), row["split"]] for row in rows[:FEW]]
        head = ["scenario", "best configuration", "acc_personal_own", "split"]
        table = html_table(head, body) if body else "<p>nothing is measured yet</p>"
        return f"<p><b>raysim sweep</b>: {self.status}, {len(self.trials)} trials</p>{table}{self._link()}"


def read_parts(parts: Sequence[Path], order: Sequence[str] = ("round",)) -> pd.DataFrame:
    """Return the parts of a table as one, in order; an empty table where there are none.

    Raises:
        DamagedFile: A part is not what was written.
    """
    tables = []
    for part in parts:
        try:
            tables.append(read_part(part))
        except FileNotFoundError:  # joined with others by the run that writes it
            continue
    if not tables:
        return pd.DataFrame()
    table = pa.concat_tables(tables, promote_options="default").to_pandas()
    return table.sort_values(list(order), kind="stable", ignore_index=True)


def html_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in HTML; all text is escaped."""
    cells = "".join(f"<th>{html.escape(str(name))}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"
