"""The code in docs/tables.md, run on a small folder that raysim wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.read.columns import TABLES
from analysis.read.results import open_results
from analysis.verdicts import verdict_tables
from raysim.core.types import Signature
from raysim.engines.serial import Serial
from raysim.storage.run_tables import COLUMNS
from tests.experiments import small, smallest

JUDGED = ("verdicts", "estimates")
DOC = Path(__file__).parents[2] / "docs" / "tables.md"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trials by the sweep's own code, on the serial engine."""
    from raysim.search.running.trial import SeedGroup
    from raysim.storage.trials import write_trial

    folder = tmp_path_factory.mktemp("sweep")
    trials = [smallest("safe", rounds=1, evaluation__every=1), small(method="zeroshot", scenario__clients=2)]
    for number, experiment in enumerate(trials):
        group = SeedGroup([experiment], folder, Serial(), {}, test=True)
        state, round_ = group.advance()
        row: dict[str, Any] = {
            "key": f"key{number}",
            "trial": number,
            "study": "safe | s",
            "scenario": "s",
            "method": experiment.method.name,
            "kind": "confirm",
            "label": f"{experiment.method.name} (untuned)",
        }
        row |= {
            "state": state,
            "rounds": round_,
            "runs": [experiment.id],
            "seeds": [0],
            "params": "{}",
            "objective": group.curve[-1][1],
        }
        write_trial(folder, row | group.measure_columns(state))
        group.close()
    group.simulations[0].store.write_signatures([Signature("collapse", 0, 1.0, 0.5, "invented")], 0)
    described = {"kind": "sweep", "space": "safe", "spaces": ["safe"], "status": "running"}
    (folder / "run.json").write_text(json.dumps({**described, "planned": {"confirm": 3}}))
    verdict_tables(open_results(folder))
    return folder


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", DOC.read_text(), re.MULTILINE | re.DOTALL)


def test_the_blocks_run_and_find_rows(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    names: dict[str, Any] = {}
    answers: list[Any] = []
    first, *others = blocks()
    exec(first, names)
    ask = names["sql"]
    names["sql"] = lambda query: answers.append(ask(query))
    for number, block in enumerate(others):
        exec(compile(block, f"{DOC.name}, block {number + 2}", "exec"), names)
    assert len(answers) >= len(COLUMNS) and all(len(answer) for answer in answers)
    for name in (
        "best",
        "seeds",
        "curve",
        "owner",
        "worst",
        "accuracy",
        "last",
        "masks",
        "signatures",
        "own",
    ):
        assert len(names[name]), name
    assert names["under_way"] == set() and names["meta"]["status"] == "running"


def test_both_ways_give_the_same_numbers(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    names: dict[str, Any] = {}
    exec(blocks()[0], names)
    for name in ("trials", *COLUMNS):
        joined = names["sql"](f"FROM read_parquet('tables/{name}/*.parquet', union_by_name = true)")
        assert len(joined) == len(names["table"](name)) and set(joined.columns) == set(
            names["table"](name).columns
        )


def test_the_warning_is_true(written: Path) -> None:
    parts = sorted((written / "tables/rounds").glob("*.parquet"))
    every = {name for part in parts for name in pd.read_parquet(part).columns}
    assert set(pd.read_parquet(written / "tables/rounds").columns) < every


def test_every_table_is_there() -> None:
    headings = set(re.findall(r"^## (\w+):", DOC.read_text(), re.MULTILINE))
    assert headings == {"trials", *COLUMNS, *JUDGED}


@pytest.mark.parametrize("name", JUDGED)
def test_every_column_of_a_judged_table_is_described(name: str, written: Path) -> None:
    section = DOC.read_text().split(f"## {name}: ")[1].split("\n## ")[0].split("| verdict | when")[0]
    cells = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    described = [column for cell in cells for column in re.findall(r"`(\w+)`", cell)]
    assert sorted(described) == sorted(TABLES[name])
    assert set(pd.read_parquet(written / "tables" / name).columns) == set(described)
