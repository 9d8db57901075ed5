"""`raysim predict`: classify images with what a run learned."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from raysim.core.console import bar
from raysim.core.errors import UserError
from raysim.data.unreadable import all_unreadable
from raysim.prediction.model import Model, open_model
from raysim.storage.files import make_folder


def predict(arguments: argparse.Namespace) -> None:
    """Print the classes of images, and write them as CSV or masks where that is asked for.

    Raises:
        UserError: A wrong argument; or, after all others are predicted, images that cannot be read.
    """
    model = open_model(arguments.folder)
    segments = model.card["kind"] == "segmentation"
    if segments and arguments.out is None:
        raise UserError("--out DIR is needed: this model classifies pixels, and its masks are written there")
    if not segments and arguments.out is not None:
        raise UserError(
            "--out is not possible: this model classifies whole images; --csv FILE writes a table"
        )
    for folder in (arguments.out, arguments.csv and arguments.csv.parent):
        if folder is not None:
            make_folder(folder)
    for note in (model.note, model.client_note(arguments.client)):
        if note:
            print(f"raysim: {note}", file=sys.stderr)
    with bar("images", arguments.quiet) as progress:
        table = model.predict(
            arguments.images,
            arguments.client,
            top=arguments.top,
            architecture=arguments.architecture,
            masks=arguments.out,
            progress=progress,
        )
    if arguments.csv is not None:
        _write_csv(table, arguments.csv)
    _print(model, table, arguments)
    lines = [line for line in table["problem"].to_pylist() if line]
    if lines:
        raise UserError(f"{all_unreadable('the others are predicted', lines, len(table))}")


def _write_csv(table: pa.Table, path: Path) -> None:
    """Write the table as CSV."""
    try:
        pyarrow.csv.write_csv(table, path)
    except OSError as error:
        raise UserError(f"--csv {path}: cannot be written ({error.strerror or error})") from None


def _print(model: Model, table: pa.Table, arguments: argparse.Namespace) -> None:
    """Print the predictions: as one JSON object, as the file that was written, or as a table."""
    if arguments.json:
        print(
            json.dumps(
                {
                    "model": model.card["name"],
                    "run": str(model.folder),
                    "client": arguments.client,
                    "classes": list(model.classes),
                    "predictions": table.to_pylist(),
                }
            )
        )
    elif arguments.csv is not None:
        print(f"{len(table):,} images: {arguments.csv}")
    else:
        print("\n".join(_lines([row for row in table.to_pylist() if row["problem"] is None])))
        if arguments.out is not None:
            values = ", ".join(f"{number} {name}" for number, name in enumerate(model.classes))
            print(f"values of the masks: {values}, 255 not looked at")


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a table as lines: a column as wide as its longest text, numbers as percent."""
    texts = [
        [
            f"{100 * value:5.1f} %" if isinstance(value, float) else str(value)
            for name, value in row.items()
            if name != "problem"
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]
