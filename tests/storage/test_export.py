"""Sweeps for other programs: what Optuna, its dashboard and a CSV reader find."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from raysim.cli.main import main
from raysim.storage.export import export

STUDY = "fedrsclip | even"
Row = dict[str, Any]


def row(number: int, kind: str, params: Row, objective: float = 0.5, **more: Any) -> Row:
    """A row of tables/trials; its experiment holds the parameters and an anchor's others."""
    method = {"name": "fedrsclip", "lam": 0.02, "h": 4} | {
        path.removeprefix("method."): value for path, value in params.items()
    }
    experiment = {
        "seed": 0,
        "method": {"name": params["method"]} if "method" in params else method,
        "training": {"lr": 0.05},
    }
    common = {
        "study": STUDY,
        "scenario": "even",
        "method": "fedrsclip",
        "factor": None,
        "level": None,
        "state": "COMPLETE",
        "reason": "",
    }
    curve = json.dumps([[2, objective - 0.1], [4, objective]])
    return {
        "key": f"key{number}",
        "trial": number,
        "kind": kind,
        "label": f"{kind} {number}",
        **common,
        "params": json.dumps(params),
        "experiment": json.dumps(experiment),
        "curve": curve,
        "seeds": [0, 1],
        "runs": [f"run{number}"],
        "objective": objective,
        "acc_personal_own": [objective - 0.1, objective + 0.1],
        "bytes_up": 100 * number,
        "wall_seconds": 5.0,
        "finished": 1.7e9 + number,
        **more,
    }


ROWS = [
    row(0, "contrast", {}, 0.5, label="anchor"),
    row(1, "contrast", {"method.lam": 5.0}, 0.4, factor="method.lam", level="5.0"),
    row(2, "rival", {"method": "zeroshot"}, 0.9, label="zeroshot"),
    row(3, "search", {"method.lam": 0.1, "method.h": 8, "fusion": "mix"}, 0.6),
    row(4, "search", {"method.lam": 0.3, "method.h": 2}, 0.2, state="PRUNED"),
    row(
        5,
        "search",
        {"method.lam": 0.2, "method.h": 2},
        float("nan"),
        state="FAIL",
        reason="diverged: round 1",
        curve="[]",
    ),
    row(6, "confirm", {"method.lam": 0.1}, 0.7, label="fedrsclip (tuned)"),
    row(7, "confirm", {"method.lam": 0.1}, 0.8, label="fedrsclip (tuned)"),
]


def write(folder: Path, rows: list[Row], **described: Any) -> Path:
    (folder / "tables/trials").mkdir(parents=True)
    for one in rows:
        pq.write_table(
            pa.Table.from_pylist([one]), folder / f"tables/trials/{one['trial']:06d}-{one['key']}.parquet"
        )
    (folder / "run.json").write_text(
        json.dumps({"id": "abc", "kind": "sweep", "status": "running", "title": "T", **described})
    )
    return folder


def opened(file: Path) -> dict[str, optuna.Study]:
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
    return {
        name: optuna.load_study(study_name=name, storage=storage)
        for name in optuna.get_all_study_names(storage)
    }


def test_optuna_loads_what_the_rows_say(tmp_path: Path) -> None:
    file = export(write(tmp_path / "sweep", ROWS), "optuna").path
    assert file == tmp_path / "sweep/optuna.journal" and sorted(
        path.name for path in file.parent.iterdir() if path.is_file()
    ) == [
        "optuna.journal",
        "run.json",
    ]
    studies = opened(file)
    assert list(studies) == [STUDY, f"{STUDY} | beside the search"]
    study = studies[STUDY]
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3 + [
        TrialState.PRUNED,
        TrialState.FAIL,
    ]
    assert (
        study.best_value == 0.6 and study.best_trial.user_attrs["label"] == "search 3"
    )  # no rival, no fresh seeds
    anchor, contrast, best, pruned, failed = study.trials
    assert (
        anchor.params == {"method.lam": 0.02, "method.h": 4}
        and best.params["fusion"] == "mix"
        and "fusion" not in pruned.params
    )
    assert contrast.distributions["method.lam"] == FloatDistribution(0.02, 5.0, log=True)
    assert best.distributions["method.h"] == IntDistribution(2, 8) and best.distributions[
        "fusion"
    ] == CategoricalDistribution(("mix",))
    assert (
        best.intermediate_values == {2: 0.5, 4: 0.6}
        and best.user_attrs["seeds"] == [0, 1]
        and best.user_attrs["kind"] == "search"
    )
    assert failed.user_attrs["reason"] == "diverged: round 1" and failed.values is None
    assert best.duration is not None and best.duration.total_seconds() == 5.0
    rival, confirmed = studies[f"{STUDY} | beside the search"].trials
    assert (
        rival.params == {"method": "zeroshot"} and confirmed.value == 0.8
    )  # the later of two rows of one label


def test_objectives_and_distributions_as_declared(tmp_path: Path) -> None:
    factors = [
        {"path": "method.lam", "kind": "float", "low": 0.001, "high": 10.0, "log": True, "choices": None},
        {
            "path": "method.h",
            "kind": "categorical",
            "low": None,
            "high": None,
            "log": False,
            "choices": [2, 4, 8],
        },
        {
            "path": "fusion",
            "kind": "categorical",
            "low": None,
            "high": None,
            "log": False,
            "choices": ["concat", "pair"],
        },
    ]
    objectives = [
        {"name": name, "direction": way}
        for name, way in (("acc_personal_own", "maximize"), ("bytes_up", "minimize"))
    ]
    search = {"sampler": "tpe", "objectives": objectives}
    folder = write(tmp_path / "sweep", ROWS, search=search, design={"factors": {STUDY: factors}})
    study = opened(export(folder, "optuna", tmp_path / "out.log").path)[STUDY]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["acc_personal_own", "bytes_up"] and study.trials[3 - 1].values == [
        0.6,
        300.0,
    ]
    assert {trial.user_attrs["label"] for trial in study.best_trials} == {"anchor", "search 3"}
    found = study.trials[2].distributions
    assert found["method.lam"] == FloatDistribution(0.001, 10.0, log=True) and found[
        "method.h"
    ] == CategoricalDistribution((2, 4, 8))
    assert found["fusion"] == CategoricalDistribution(
        ("mix",)
    )  # a declaration that does not hold the values is not used


def test_a_recipe_and_an_unfinished_sweep(tmp_path: Path) -> None:
    folder = write(tmp_path / "sweep", [one for one in ROWS if one["kind"] == "confirm"])
    (folder / "tables/trials/.000009-key9.parquet.123").write_bytes(b"half")
    (folder / "tables/trials/000009-key9.parquet").write_bytes(b"damaged")
    exported = export(folder, "optuna")
    assert list(opened(exported.path)) == [STUDY]
    [damaged] = exported.damaged_parts
    assert str(folder / "tables/trials/000009-key9.parquet") in damaged and "--resume" in damaged


def test_the_command_names_a_damaged_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "sweep", ROWS)
    (folder / "tables/trials/000009-key9.parquet").write_bytes(b"damaged")
    assert main(["export", str(folder), "--to", "csv"]) == 0
    output = capsys.readouterr()
    assert output.out.strip() == str(folder / "trials.csv")
    assert "left out" in output.err and "000009-key9.parquet is damaged" in output.err


def test_csv_has_every_row_and_parameter(tmp_path: Path) -> None:
    found = pd.read_csv(export(write(tmp_path / "sweep", ROWS), "csv").path)
    assert found.trial.tolist() == [0, 1, 2, 3, 4, 5, 7] and found["params.method.lam"][1] == 5.0
    assert (
        json.loads(found.seeds[0]) == [0, 1]
        and found.state[4] == "PRUNED"
        and pd.isna(found["params.method.lam"][2])
    )


def test_nothing_is_overwritten_and_mistakes_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "sweep", ROWS)
    assert main(["export", str(folder), "--to", "csv"]) == 0 and capsys.readouterr().out.strip() == str(
        folder / "trials.csv"
    )
    before = (folder / "trials.csv").read_bytes()
    assert main(["export", str(folder), "--to", "csv"]) == 2 and "exists already" in capsys.readouterr().err
    assert (folder / "trials.csv").read_bytes() == before
    assert (
        main(["export", str(tmp_path), "--to", "csv"]) == 2
        and "no readable run.json" in capsys.readouterr().err
    )
    assert (
        main(["export", str(write(tmp_path / "empty", [])), "--to", "optuna"]) == 2
        and "no trial" in capsys.readouterr().err
    )
    assert main(["export", str(folder), "--to", "csv", "--out", str(tmp_path / "no/x.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_dashboard_opens_it(tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    file = export(write(tmp_path / "sweep", ROWS), "optuna").path
    app = dashboard.wsgi(optuna.storages.JournalStorage(JournalFileBackend(str(file))))
    said: list[str] = []
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/studies",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    answer = json.loads(b"".join(app(request, lambda status, headers, *rest: said.append(status))))
    assert said[0].startswith("200") and answer["study_summaries"][0]["study_name"] == STUDY


def test_csv_has_the_verdicts_and_estimates_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "sweep", ROWS)
    assert main(["export", str(folder), "--to", "csv", "--out", str(tmp_path / "first.csv")]) == 0
    said = capsys.readouterr()
    assert said.out.split() == [str(tmp_path / "first.csv")]
    assert f"without verdicts and estimates: raysim report {folder} writes them" in said.err
    for name in ("verdicts", "estimates"):
        table = pa.Table.from_pylist([{"number": 0, "a": "x", "seeds": [1, 2], "low": None}])
        (folder / "tables" / name).mkdir()
        pq.write_table(table, folder / "tables" / name / f"{name}.parquet")
    assert main(["export", str(folder), "--to", "csv"]) == 0
    said = capsys.readouterr()
    files = [str(folder / f"trials{end}.csv") for end in ("", "-verdicts", "-estimates")]
    assert said.out.split() == files and said.err == ""
    (row_of_verdicts,) = pd.read_csv(files[1]).to_dict("records")
    assert (row_of_verdicts["a"], json.loads(row_of_verdicts["seeds"])) == ("x", [1, 2])
    os.utime(next((folder / "tables/trials").iterdir()), (4e9, 4e9))
    assert main(["export", str(folder), "--to", "csv", "--out", str(tmp_path / "late.csv")]) == 0
    assert "are older than the last trial" in capsys.readouterr().err
    Path(files[0]).unlink()
    assert main(["export", str(folder), "--to", "csv"]) == 2  # the verdicts are there already
    assert not Path(files[0]).exists() and "exists already" in capsys.readouterr().err
