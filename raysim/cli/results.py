"""Results."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from raysim.core.console import output
from raysim.core.types import RESULTS
from raysim.storage.report import compare, write_report

PAPER = 160  # columns that a table may take where it is not printed to a terminal


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="the folder of a run or a sweep, finished or not"
    )


def _report(arguments: argparse.Namespace) -> None:
    print(f"report: {write_report(arguments.folder)}")


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A and B are paired by seed, and by scenario where they are sweeps; the verdict is on A minus B: "
        "ahead, behind, level (shown to "
        "differ by less than a point) or undecided. On the test split where both opened it, else on "
        "validation. Nothing is written."
    )
    kinds = (
        "a run's folder, a folder of runs that differ in their seed, a sweep's folder, or SWEEP:LABEL "
        "for one entry of a sweep"
    )
    parser.add_argument("a", metavar="A", help=f"{kinds}, such as results/rivals:fedrsclip")
    parser.add_argument("b", metavar="B", help="likewise")
    metrics = (
        "what the verdict is on: acc_{personal,shared}_{own,global}, worst_client_accuracy or "
        "p10_client_accuracy"
    )
    parser.add_argument(
        "--metric", choices=RESULTS, default="acc_personal_own", metavar="METRIC", help=metrics
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")


def _compare(arguments: argparse.Namespace) -> None:
    found = compare(arguments.a, arguments.b, arguments.metric)
    if arguments.json:
        print(json.dumps(found.json()))
        return
    print("\n".join([found.sentence, *found.basis]))
    paper = output()
    paper.width = max(paper.width, PAPER)
    for title, head, rows in found.tables():
        table = Table(
            box=None, pad_edge=False, title=f"\n{escape(title)}", title_justify="left", title_style="bold"
        )
        for name in head:
            table.add_column(name, justify="right" if name else "left", no_wrap=True)
        for row in rows:
            table.add_row(*map(escape, row))
        paper.print(table)
    said = (
        ["The configurations differ in (A | B)", *found.differing]
        if found.differing
        else ["The configurations do not differ."]
    )
    print("\n" + "\n  ".join(said))
    for warning in found.warnings:
        print(f"warning: {warning}")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a sweep, finished or not")
    parser.add_argument(
        "--to",
        choices=["optuna", "csv"],
        required=True,
        help="an Optuna journal (JournalStorage), or one row per trial",
    )
    parser.add_argument(
        "--out", type=Path, help="the file to write; by default DIR/optuna.journal or DIR/trials.csv"
    )


def _export(arguments: argparse.Namespace) -> None:
    from raysim.storage.export import export

    print(export(arguments.folder, arguments.to, arguments.out))
