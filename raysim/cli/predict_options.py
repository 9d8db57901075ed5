"""Options of `raysim predict`, and those of a model that `raysim export` shares."""

from __future__ import annotations

import argparse

from raysim.cli.shared_options import user_path


def predict_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `raysim predict`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = """examples:
  raysim predict results/mine tiles/ --csv classes.csv      all images in a folder and below, as CSV
  raysim predict results/mine a.tif b.tif --top 3           the three most probable classes of each
  raysim predict results/mine tiles/ --client 4             with the own model of client 4
  raysim predict results/mine tiles/ --out masks/           of a run that classifies pixels"""
    parser.add_argument(
        "folder",
        type=user_path,
        metavar="RUN",
        help="folder of a finished run, or of a sweep for its best run",
    )
    parser.add_argument(
        "images", nargs="+", type=user_path, metavar="IMAGES", help="image files, or folders with images"
    )
    client_options(parser)
    parser.add_argument(
        "--top", type=int, default=1, metavar="N", help="number of classes for each image (default: 1)"
    )
    parser.add_argument(
        "--csv", type=user_path, metavar="FILE", help="write the table as CSV instead of printing it"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of the table")
    parser.add_argument(
        "--out", type=user_path, metavar="DIR", help="folder for the masks, of a run that classifies pixels"
    )
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")


def client_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which of a run's models is meant."""
    parser.add_argument(
        "--client",
        metavar="K",
        help="number or name of the client whose own model is used; number:2 or name:2 where 2 is both "
        "(default: the server's model)",
    )
    parser.add_argument(
        "--architecture", metavar="NAME", help="which of the server's networks, where clients have several"
    )


def export_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `raysim export`."""
    parser.add_argument(
        "folder", type=user_path, metavar="DIR", help="folder of a sweep, or of a finished run for its model"
    )
    parser.add_argument(
        "--to",
        choices=["optuna", "csv", "torchscript", "onnx"],
        required=True,
        help="optuna: an Optuna journal (JournalStorage); csv: tables of trials, verdicts and estimates; "
        "torchscript, onnx: the model of a run as one file that runs without raysim",
    )
    default = "(default: DIR/optuna.journal, DIR/trials.csv, DIR/model.pt or DIR/model.onnx)"
    parser.add_argument("--out", type=user_path, metavar="FILE", help=f"file to write {default}")
    client_options(parser)
