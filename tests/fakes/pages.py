"""Result folders of every kind of page, and what a test reads of one with a report."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import duckdb

from analysis.read.results import Results, open_results
from analysis.verdicts import verdict_tables
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe


def page_text(folder: Path, name: str = "sensitivity") -> str:
    """A page without its tags."""
    page = (folder / "report" / f"{name}.html").read_text(encoding="utf-8")
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.split("<body>")[1])).split())


def accuracies(folder: Path, **wanted: Any) -> list[float]:
    """The accuracies of the last trial with these columns, from the Parquet parts alone."""
    where = " AND ".join(f"{k} IS NULL" if v is None else f"{k} = '{v}'" for k, v in wanted.items())
    query = f"SELECT acc_personal_own FROM '{folder}/tables/trials/*.parquet' WHERE {where} ORDER BY trial"
    return list(duckdb.sql(query).fetchall()[-1][0])


FIGURES = [{"kind": "differences", "to": "fedrsclip"}, {"kind": "domains"}]
OF_SAFE = [
    {"kind": "groups", "to": "fedavg"},
    {"kind": "masks"},
    {"kind": "traffic"},
    {
        "kind": "differences",
        "to": "safe",
        "metrics": ["acc_shared_global", "acc_shared_class_mean", "acc_shared_tail"],
    },
]
PAGE_KINDS = [
    "sweep",
    "recipe",
    "run",
    "safe run",
    "segmentation run",
    "safe recipe",
    "safe recipe, nothing declared",
]


def _judged(folder: Path) -> Results:
    """The results with their verdicts."""
    results = open_results(folder)
    verdict_tables(results)
    return results


def results_of_kind(kind: str, folder: Path) -> Results:
    """A result folder of this kind with its verdicts."""
    if kind == "run":
        return _judged(fake_results.fake_run(folder, rounds=6))
    if kind in ("safe run", "segmentation run"):
        options = {"known": False, "metric": "mIoU"} if kind == "segmentation run" else {}
        return _judged(fake_safe.safe_run(folder, **options))
    if kind in ("safe recipe", "safe recipe, nothing declared"):
        declared = OF_SAFE if kind == "safe recipe" else []
        return _judged(fake_safe.safe_recipe(folder, declared, setup_in_trials=bool(declared)).folder)
    recipe = {"recipe": True, "figures": FIGURES} if kind == "recipe" else {}
    return _judged(fake_results.fake_sweep(folder, rounds=4, search=6, **recipe))
