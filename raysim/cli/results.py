"""Commands that read result files: `raysim compare` and `raysim export`."""

from __future__ import annotations

import argparse
import json
import sys

from rich.markup import escape
from rich.table import Table

from raysim.core.console import output
from raysim.storage.report import compare as compare_results

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
    """Write a sweep's trials in another format; print the file."""
    from raysim.storage.export import export as export_trials  # Optuna, which a report does not need

    exported = export_trials(arguments.folder, arguments.to, arguments.out)
    for part in exported.damaged_parts:
        print(f"raysim: left out: {part}", file=sys.stderr)
    for note in exported.notes:
        print(f"raysim: {note}", file=sys.stderr)
    print("\n".join(map(str, (exported.path, *exported.beside))))
