"""The options of `raysim data`. Nothing heavy is imported, so that help and errors come at once."""

from __future__ import annotations

import argparse

from raysim.cli.shared_options import user_path


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `raysim data` on a parser."""
    parser.add_argument(
        "action",
        choices=["list", "check"],
        help="list: every dataset, and whether it is on this machine; check: open every image of one dataset",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="check: a dataset, or several joined by '+'")
    parser.add_argument(
        "--path", metavar="DIR", help="check: folder of the dataset (default: $RAYSIM_DATA/NAME)"
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help="check: measure the zero-shot accuracy of this backbone for each prompt template (by default "
        "only the class names are compared with the words of scenes-clip)",
    )
    parser.add_argument("--backbone-path", metavar="FILE", help="check: local weights of the backbone")
    parser.add_argument(
        "--sheet",
        type=user_path,
        metavar="PNG",
        help="check: write a contact sheet of the images to this file",
    )
    parser.add_argument(
        "--bands",
        metavar="R,G,B",
        help="check: bands of the image files to take, one or three, counted from 1, the same as task.bands",
    )
    parser.add_argument(
        "--stretch",
        metavar="RULE",
        help="check: values that become black and white: p2-p98, minmax or 0-10000, the same as task.stretch",
    )
