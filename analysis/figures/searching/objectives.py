"""Objectives of a search: their values in SQL, in words and as text; and what a trial set."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ...look.page import Cell
from ...look.words import TITLES, percent, size
from ...read.metric import Metric
from ...read.results import OBJECTIVE, Results

OBJECTIVE_NAMES = {"bytes_up": "bytes sent up", "bytes_down": "bytes sent down", "flops": "FLOPs"}


@dataclass(frozen=True)
class Objective:
    """An objective by the name of its column; `direction` is `maximize` or `minimize`."""

    name: str
    direction: str

    @property
    def is_fraction(self) -> bool:
        """Whether its values are fractions, one of each seed."""
        return self.name.startswith(("acc_", "worst_client_", "p10_", "test_acc_"))

    @property
    def value(self) -> str:
        """The SQL of a trial's value, the mean over its seeds, where a lost seed counts as 0."""
        if not self.is_fraction:
            return self.name
        lost = "outcomes[i] IN ('diverged', 'failed')"
        return f"list_avg([if({lost}, 0, value) FOR value, i IN {self.name}])"

    @property
    def order(self) -> str:
        """The SQL order with the best value first."""
        return "ASC" if self.direction == "minimize" else "DESC"

    def form(self, value: float | None) -> str:
        """Write a value."""
        if self.is_fraction or value is None:
            return percent(value)
        return size(value) if self.name.startswith("bytes") else f"{value:.4g}"

    def said(self, value: float | None) -> str:
        """Write a value in a sentence, with its unit."""
        return self.form(value) + ("%" if self.is_fraction else "")

    def words(self, metric: Metric) -> str:
        """Name it in words, without its unit."""
        if self.name in TITLES:
            return f"{metric} ({TITLES[self.name]})"
        return OBJECTIVE_NAMES.get(self.name, self.name.replace("_", " "))

    def axis(self, metric: Metric) -> str:
        """Name it in words, with its unit."""
        return self.words(metric) + (", %" if self.is_fraction else "")


def objectives(results: Results) -> list[Objective]:
    """Return the objectives of the search, the leading one first; by default the accuracy of all sweeps."""
    declared = (results.meta.get("search") or {}).get("objectives") or []
    aims = [Objective(aim["name"], aim["direction"]) for aim in declared]
    return aims or [Objective(OBJECTIVE, "maximize")]


def settings_cell(params: str | None) -> Cell:
    """Return the settings that a trial changed (JSON text), as one cell."""
    text = " ".join(f"{path}={value}" for path, value in json.loads(params or "{}").items())
    return Cell(text or "nothing: the anchor", "code")
