"""TITLE: a figure of my own, for the page of a sweep.

raysim check FILE                        is it a figure that can be declared?
A space declares it, FIGURES = [{"kind": "NAME"}], and is swept with --plugin FILE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from raysim import REPORT_FIGURES, ReportFigure


@REPORT_FIGURES.add
class CLASS(ReportFigure):
    """The worst client of each configuration beside the mean of all clients."""

    name = "NAME"
    caption = "A mark is a confirmed configuration under one scenario: test accuracy, mean over its seeds."
    # DuckDB; the tables are those of docs/tables.md. The page prints it, with the numbers that it gives.
    sql = """SELECT scenario, label, list_avg(test_acc_personal_own) AS mean,
  list_avg(test_worst_client_accuracy) AS worst
FROM trials WHERE kind = 'confirm' AND state = 'COMPLETE' ORDER BY scenario, label"""

    def draw(self, rows: Sequence[Mapping[str, Any]], declared: Mapping[str, Any]) -> Figure:
        """Draw one mark per configuration."""
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        for row in rows:
            axes.plot(100 * row["mean"], 100 * row["worst"], "o", color="#1f6feb")
            axes.annotate(row["label"], (100 * row["mean"], 100 * row["worst"]))
        axes.set_xlabel("mean over clients, %")
        axes.set_ylabel("worst client, %")
        return figure

    def says(self, rows: Sequence[Mapping[str, Any]], declared: Mapping[str, Any]) -> str:
        """Return the sentence above the figure."""
        best = max(rows, key=lambda row: row["worst"])
        place = f"{best['label']} under {best['scenario']}"
        return f"The worst client is best off with {place}: {100 * best['worst']:.1f}%."
