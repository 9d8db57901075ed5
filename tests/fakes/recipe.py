"""Synthetic folders of recipes, for the tests of their figures: nothing was measured."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from analysis import declared as recipes
from analysis.figures.choices.verdicts import with_basis
from analysis.look.page import Exhibit
from analysis.look.style import svg
from analysis.read.results import Results, open_results
from analysis.verdicts import verdict_tables
from tests.fakes.tables import trial_type, write

SEEDS = [1000, 1001, 1002, 1003]
NOISE = {1000: -0.004, 1001: 0.002, 1002: 0.003, 1003: -0.001}  # its mean is zero
Row = dict[str, Any]
Rounds = Callable[[int], list[Row]]


class Recipe:
    """Folder of a recipe: trials, rounds, clients and partitions, with whatever numbers a test wants."""

    def __init__(
        self,
        folder: Path,
        scenarios: dict[str, Row],
        figures: list[Row],
        grid: Sequence[str],
        seeds: Sequence[int] = SEEDS,
    ) -> None:
        self.folder, self.seeds, self.count = folder, list(seeds), 0
        meta = {
            "id": "recipe",
            "kind": "sweep",
            "status": "done",
            "command": "raysim sweep recipe",
            "space": "recipe",
            "spaces": ["recipe"],
            "confidence": 0.9,
            "fresh_seeds": self.seeds,
            "selection_seeds": [0],
            "figures": figures,
            "grid": list(grid),
            "factors": [],
            "planned": {"contrast": 0, "search": 0, "confirm": len(scenarios) * len(grid)},
            "anchor": {"method": {"name": "fedrsclip", "lam": 0.02}},
            "scenarios": [
                {
                    "label": label,
                    "values": {"scenario": "even"},
                    "heterogeneity": {"achieved": {"js_divergence": 0.1 * i}},
                }
                for i, label in enumerate(scenarios)
            ],
        }
        self.scenarios = scenarios
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(json.dumps(meta))

    def trial(
        self,
        label: str,
        scenario: str,
        value: Callable[[int], float],
        *,
        method: str = "fedrsclip",
        shift: float = -0.05,
        settings: Row | None = None,
        parameters: int = 256,
        rounds: Rounds | None = None,
        clients: Rounds | None = None,
        validated: float = 0.0,
        patches: int | None = None,
        setup: int | None = None,
        floor: float | None = None,
    ) -> None:
        """Add a confirmed trial.

        Args:
            label: Of the entry.
            scenario: Its scenario.
            value: Seed -> test accuracy on the own distributions.
            method: Its method.
            shift: Added to that on the global split.
            settings: Of the method.
            parameters: Shared ones.
            rounds: Seed -> rows of the rounds table.
            clients: Seed -> rows of the clients table.
            validated: Added to that on validation.
            patches: Of an image.
            setup: Bytes sent once.
            floor: Accuracy of always naming the most frequent class, on both.
        """
        number, self.count = self.count, self.count + 1
        own = [value(seed) for seed in self.seeds]
        lists = {
            "acc_personal_own": own,
            "acc_personal_global": [v + shift for v in own],
            "acc_shared_own": [v - 0.03 for v in own],
            "acc_shared_global": [v - 0.04 for v in own],
            "worst_client_accuracy": [v - 0.2 for v in own],
        }
        if floor is not None:
            lists |= {f"acc_majority_{place}": [floor] * len(own) for place in ("own", "global")}
        experiment = {
            "seed": self.seeds[0],
            "rounds": 4,
            **{k: dict(v) for k, v in self.scenarios[scenario].items()},
            "method": {"name": method, **(settings or {})},
        }
        runs = [f"r{number:03d}s{seed}" for seed in self.seeds]
        row: Row = {
            "trial": number,
            "number": number,
            "study": f"{label} | {scenario}",
            "method": method,
            "scenario": scenario,
            "kind": "confirm",
            "finished": float(number),
            "label": label,
            "factor": None,
            "level": None,
            "state": "COMPLETE",
            "reason": "",
            "params": "{}",
            "runs": runs,
            "experiment": json.dumps(experiment),
            "seeds": self.seeds,
            "rounds": 4,
            "objective": sum(own) / len(own),
            **{key: [v + validated for v in values] for key, values in lists.items()},
            "patches": patches,
            **{f"test_{key}": values for key, values in lists.items()},
            "bytes_up": 16 * parameters * 4,
            "bytes_down": 16 * parameters * 4,
            "shared_parameters": parameters,
            "flops": 1e10,
            "seconds": 2.0,
            **({} if setup is None else {"bytes_setup": setup}),
        }
        write(
            self.folder / "tables" / "trials" / f"{number:03d}.parquet",
            [row],
            pa.schema([pa.field(k, pa.int32() if k == "patches" else trial_type(k)) for k in row]),
        )
        for seed, run in zip(self.seeds, runs, strict=True):
            measured = rounds(seed) if rounds else plain_rounds(value(seed), parameters)
            common = {"run": run, "split": "validation", "clients": 4}
            write(
                self.folder / "tables" / "rounds" / f"{run}.parquet", [{**common, **row} for row in measured]
            )
            home = self.folder / "runs" / run
            home.mkdir(parents=True)
            about = {"id": run, "kind": "run", "class_names": ["a", "b"], "domain_names": ["summer", "haze"]}
            (home / "run.json").write_text(json.dumps(about))
            if clients:
                write(home / "partition.parquet", partition())
                write(
                    self.folder / "tables" / "clients" / f"{run}.parquet",
                    [{"run": run, "round": 4, **row} for row in clients(seed)],
                )

    def open(self) -> Results:
        return open_results(self.folder)


def plain_rounds(value: float, parameters: int) -> list[Row]:
    """Evaluated before, in the middle and at the end; the shared parameters rise to 0.04 below `value`."""
    rows: list[Row] = []
    for number in range(5):
        sent = (
            {"bytes_up": 16 * parameters, "bytes_down": 16 * parameters}
            if number
            else {"bytes_up": 0, "bytes_down": 0}
        )
        seen = value - 0.2 + 0.05 * number if number in (0, 2, 4) else None
        shared = None if seen is None or not parameters else seen - 0.04
        rows.append(
            {
                "round": number,
                "acc_personal_own": seen,
                "acc_shared_global": shared,
                "flops": 1e9,
                "seconds": 0.1,
                **sent,
            }
        )
    return rows


def partition() -> list[Row]:
    """Partition of four clients over two domains.

    Clients 0 and 1 hold summer, client 2 haze (and a little summer), client 3 as much of each, which counts
    as summer.
    """
    held = {0: (5, 0), 1: (4, 0), 2: (1, 4), 3: (3, 3)}
    domains_of = {client: [0] * summer + [1] * haze for client, (summer, haze) in held.items()}
    return [
        {"client": c, "image": 10 * c + i, "label": i % 2, "domain": d}
        for c, many in domains_of.items()
        for i, d in enumerate(many)
    ]


def at(level: float, wobble: float = 1.0) -> Callable[[int], float]:
    """A value by seed, around `level`."""
    return lambda seed: level + wobble * NOISE[seed]


def drawn(results: Results) -> tuple[list[Any], list[str]]:
    """The parts that the recipe declares, and its sentences; the sweep is judged before."""
    verdict_tables(results)
    answers = recipes.answers(results)
    parts = [part for answer in answers for part in recipes.parts_of(results, answer)]
    return parts, [
        text for answer in answers for text in with_basis(answer.sentences, answer.rows, results.confidence)
    ]


def headlines(results: Results) -> list[str]:
    """The short sentences of the figures that the recipe declares; the sweep is judged before."""
    return recipes.headlines(results, recipes.answers(results))


def query(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What a part's SQL gives in plain DuckDB in the result folder."""
    monkeypatch.chdir(folder)
    found = duckdb.connect().execute(source)
    columns = [column[0] for column in found.description or []]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def marks(panel: Any, colour: str) -> int:
    """Filled markers of a colour in a panel's SVG, without the legend's and without bands."""
    root = ET.fromstring(svg(panel.figure, panel.key))
    styles = [e.get("style", "") for e in root.iter() if e.tag.endswith("}use")]
    handles = [handle for legend in panel.figure.legends for handle in legend.legend_handles]
    filled = [style for style in styles if f"fill: {colour.lower()}" in style and "opacity" not in style]
    return len(filled) - sum(handle.get_markerfacecolor() == colour for handle in handles)


def with_numbers(exhibit: Exhibit | None) -> Exhibit:
    """The exhibit, which must have panels and numbers."""
    assert exhibit is not None and exhibit.numbers is not None and exhibit.panels
    return exhibit


def data_lines(panel: Any, axes: int) -> list[Any]:
    """The lines of an axes that hold data in more than two places."""
    return [line for line in panel.figure.axes[axes].lines if len(line.get_xdata()) > 2]
