"""Options of the commands for files of one's own, and the option that loads them in every command."""

from __future__ import annotations

import argparse

from raysim.cli.shared_options import user_path
from raysim.core.plugins import VARIABLE


def plugin_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--plugin`, which every command has."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE",
        help="Python file with methods, scenarios, datasets, networks, backbones or figures of your own; can "
        f"be repeated (also: the environment variable {VARIABLE})",
    )


def new_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `raysim new`."""
    parser.add_argument(
        "kind",
        choices=["method", "scenario", "dataset", "space", "backbone", "figure"],
        help="what the file is for",
    )
    parser.add_argument("name", metavar="NAME", help="its name on the command line; NAME.py is written")
    parser.add_argument("--out", type=user_path, metavar="DIR", help="folder of the file (default: this one)")


def check_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `raysim check`."""
    parser.add_argument("file", metavar="FILE", help="a Python file that adds to raysim, or a space")
    parser.add_argument(
        "--path", metavar="DIR", help="place of the images of a dataset, or of the weights of a backbone"
    )


def explain_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `raysim explain`."""
    parser.add_argument(
        "word", nargs="?", metavar="WORD", help="a setting (method.lam), a method, a scenario, or a group"
    )
