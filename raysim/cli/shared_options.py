"""Options that several commands have."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def experiment_options(parser: argparse.ArgumentParser, spaces: str) -> None:
    """The words that name experiments; `spaces` says how many search spaces may be named."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SPACE|path=value",
        help=f"{spaces}, by name or as a path to a Python file; and settings, such as scenario.clients=40 "
        "(`raysim explain` lists them)",
    )
    parser.add_argument(
        "--rounds", type=int, metavar="R", help="number of communication rounds, the same as rounds=R"
    )
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")


def workers_of_all_trials(parser: argparse.ArgumentParser) -> None:
    """Add --workers of a command that runs several trials."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="W",
        help="number of client actors of all simultaneous trials together (default: one per core)",
    )


def user_path(text: str) -> Path:
    """Return a path that a user typed; a shell leaves the `~` of `--out=~/x` as it is."""
    return Path(os.path.expanduser(text))


def folder_options(parser: argparse.ArgumentParser, kind: str) -> None:
    """Add --out and --resume; `kind` says of what."""
    parser.add_argument(
        "--out",
        type=user_path,
        metavar="DIR",
        help="result folder, or an address to which one in results/ is copied while it is written "
        "(s3://BUCKET/..., gs://, abfs://) (default: a new folder in results/)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help=f"continue the {kind} in --out where it stopped (default: the newest folder in results/)",
    )


def track_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --track; `what` says what is logged."""
    parser.add_argument(
        "--track",
        action="append",
        choices=["mlflow", "tensorboard", "wandb"],
        default=[],
        help=f"also log the {what} to DIR/track/ for this tracker; can be repeated",
    )


def dry_run_option(parser: argparse.ArgumentParser) -> None:
    """Add --dry-run."""
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and print what would run; run nothing"
    )


def add_node_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `raysim plan` about the nodes of a cluster."""
    here = "(default: as this machine)"
    parser.add_argument("--node-cpus", type=float, metavar="N", help=f"CPUs of a node {here}")
    parser.add_argument("--node-gpus", type=float, metavar="N", help=f"GPUs of a node {here}")
    parser.add_argument("--node-memory", type=float, metavar="GIB", help=f"memory of a node in GiB {here}")
    parser.add_argument(
        "--price-per-hour", type=float, metavar="P", help="price of a node per hour, in dollars"
    )
    parser.add_argument(
        "--runs",
        type=int,
        metavar="N",
        default=1,
        help="number of such runs, e.g. trials times seeds (default: 1)",
    )
    parser.add_argument(
        "--clients",
        type=int,
        metavar="N",
        help="also say what N clients like the planned ones take, and what runs out first",
    )
