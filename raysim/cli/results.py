"""Commands that read result files: `raysim compare` and `raysim export`."""

from __future__ import annotations

import argparse
import json
import sys

from rich.markup import escape
from rich.table import Table

from raysim.core.console import output
from raysim.core.errors import UserError
from raysim.storage.report import compare as compare_results

ENDINGS = {"torchscript": "pt", "onnx": "onnx"}  # formats of a model -> ending of its file
TABLE_WIDTH = 160  # columns that a table may take where it is not printed to a terminal


def compare(arguments: argparse.Namespace) -> None:
    """Print the verdict between two results, the tables behind it, and what else differs between them."""
    comparison = compare_results(arguments.a, arguments.b, arguments.metric)
    if arguments.json:
        print(json.dumps(comparison.json()))
        return
    print("\n".join([comparison.sentence, *comparison.basis]))
    console = output()
    console.width = max(console.width, TABLE_WIDTH)
    for title, head, rows in comparison.tables():
        table = Table(
            box=None, pad_edge=False, title=f"\n{escape(title)}", title_justify="left", title_style="bold"
        )
        for name in head:
            table.add_column(name, justify="right" if name else "left", no_wrap=True)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
    differences = (
        ["The configurations differ in (A | B)", *comparison.differing]
        if comparison.differing
        else ["The configurations do not differ."]
    )
    print("\n" + "\n  ".join(differences))
    for warning in comparison.warnings:
        print(f"warning: {warning}")


def export(arguments: argparse.Namespace) -> None:
    """Write a sweep's trials, or the model of a run, in another format; print the file."""
    if arguments.to in ENDINGS:
        _export_model(arguments)
        return
    if arguments.client is not None or arguments.architecture is not None:
        raise UserError(f"--to {arguments.to} writes trials, so --client and --architecture are not possible")
    from raysim.storage.export import export as export_trials  # Optuna, which a report does not need

    exported = export_trials(arguments.folder, arguments.to, arguments.out)
    for part in exported.damaged_parts:
        print(f"raysim: left out: {part}", file=sys.stderr)
    for note in exported.notes:
        print(f"raysim: {note}", file=sys.stderr)
    print("\n".join(map(str, (exported.path, *exported.beside))))


def _export_model(arguments: argparse.Namespace) -> None:
    """Write the model of a run as one file; print it, and the file beside it."""
    from raysim.prediction.model import open_model  # torch, which a table of trials does not need

    model = open_model(arguments.folder)
    path = arguments.out or model.folder / f"model.{ENDINGS[arguments.to]}"
    for note in (model.note, model.client_note(arguments.client)):
        if note:
            print(f"raysim: {note}", file=sys.stderr)
    model.export(path, arguments.to, arguments.client, arguments.architecture)
    print(f"{path}\n{path}.json")
