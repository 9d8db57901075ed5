"""`raysim data`: the list of the datasets, which opens none of them, and the check of one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.table import Table

from raysim.core.config import parse, unused_fields
from raysim.core.console import output
from raysim.core.errors import UserError
from raysim.data.dataset import DatasetInfo
from raysim.data.registry import catalogue, is_drawn, needs_path, segments

BUNDLED = "scenes-clip"  # the backbone whose words are compared where none is named
COLUMNS = ("name", "dataset", "classifies", "classes", "images", "here")
NUMBERS = ("classes", "images")


def datasets(arguments: argparse.Namespace) -> None:
    """List the datasets, or check one."""
    if arguments.action == "list":
        _print_catalogue()
        return
    if not arguments.name:
        raise UserError("raysim data check needs a name; `raysim data list` shows them")
    from raysim.cli.inspection import check_dataset  # torch and the backbones, which the list does not need
    from raysim.experiment.task import Task

    settings = {"bands": arguments.bands, "stretch": arguments.stretch}
    task = parse(Task, {"dataset": arguments.name, "path": arguments.path, **settings}, "task")
    for field, needed in unused_fields(task).items():
        if settings.get(field) is not None:
            raise UserError(
                f"--{field} {settings[field]} has no effect here: it needs {needed}; leave it out"
            )
    backbone = arguments.backbone or BUNDLED
    check_dataset(
        arguments.name, arguments.path, backbone, arguments.backbone_path, arguments.sheet, task.reading
    )
    if arguments.backbone is not None:
        from raysim.cli.zeroshot import check_zeroshot

        check_zeroshot(task, backbone, arguments.backbone_path)


def _print_catalogue() -> None:
    """Print the datasets as a table, and where to get those that are not on this machine."""
    table = Table(box=None)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    missing = []
    for info, folder in catalogue():
        table.add_row(
            info.name,
            info.title,
            "pixels" if segments(info.name) else "images",
            str(len(info.classes) or ""),
            f"{info.images:,}" if info.images else "",
            _place(info, folder),
        )
        if folder is None and info.archive:
            missing.append(
                f"  {info.name}: {info.archive} ({info.size}), {info.page}; unpack to "
                f"$RAYSIM_DATA/{info.name}. {info.terms}"
            )
    output().print(table)
    print(f"RAYSIM_DATA is {os.environ.get('RAYSIM_DATA') or 'not set'}")
    if missing:
        print("Not here:\n" + "\n".join(missing))


def _place(info: DatasetInfo, folder: Path | None) -> str:
    """Return in words where the images of a dataset are."""
    if is_drawn(info.name):
        return "drawn on demand"
    if needs_path(info.name):
        return "give task.path"
    return str(folder or "no")
