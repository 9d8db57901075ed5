"""`raysim.run`: what goes in, what comes back, and that it is the command line's run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import raysim
from raysim.cli.main import main
from raysim.core.types import RoundRecord
from tests.experiments import QUICK_WORDS, small
from tests.fakes.rasters import class_folders, colours, put, saved

QUICK = {"scenario.clients": 3, "task.shots": 4, "evaluation.every": 1}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> raysim.api.results.RunResult:
    return raysim.run("fedrsclip", QUICK, rounds=2, out=tmp_path_factory.mktemp("r") / "run", progress=False)


def test_it_is_the_run_of_the_command_line(
    result: raysim.api.results.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", *QUICK_WORDS, "--engine", "serial", "--json", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {**printed, "seconds": 0} == {**result.summary, "seconds": 0}
    command = result.record["command"]
    assert (
        command
        == f"raysim run fedrsclip {' '.join(f'{k}={v}' for k, v in QUICK.items())} rounds=2 --engine serial"
    )


def test_tables(result: raysim.api.results.RunResult) -> None:
    assert list(result.rounds["round"]) == [0, 1, 2]
    assert result.rounds["acc_personal_own"].iloc[-1] == result.summary["acc_personal_own"]
    assert sorted(result.clients["client"].unique()) == [0, 1, 2] and len(result.classes) > 0
    assert result.finished and "done" in repr(result) and result.report.exists()
    assert "<table>" in result._repr_html_() and "index.html" in result._repr_html_()


def test_tables_and_settings_are_what_was_written(
    result: raysim.api.results.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(result.out, tmp_path / "run")
    [part] = (folder / "tables/rounds").glob("*.parquet")
    part.write_bytes(part.read_bytes().replace(b"PAR1", b"PAR2", 1))
    with pytest.raises(raysim.UserError, match=rf"{part.name} is damaged .*in it differs.*; put a"):
        _ = raysim.load(folder).rounds
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"rounds": 2', '"rounds": 3'))
    for read in (lambda: raysim.load(folder).experiment, lambda: raysim.load(folder).rounds):
        with pytest.raises(raysim.UserError, match=r"config.json is damaged .*digest in it differs.*; undo"):
            read()
    lines = [line for line in config.read_text().splitlines() if "raysim_sha256" not in line]
    config.write_text("\n".join(lines).replace('"schema": 2,', '"schema": 2'))
    assert raysim.load(folder).experiment.rounds == 3  # changed on purpose
    shutil.rmtree(folder / "tables")
    monkeypatch.chdir(tmp_path)
    assert raysim.load("run").rounds.empty  # killed before its first round


def test_a_refusal_leaves_run_json_as_it_was(result: raysim.api.results.RunResult, tmp_path: Path) -> None:
    folder = shutil.copytree(result.out, tmp_path / "run")
    part = next((folder / "tables/clients").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-9])
    before = (folder / "run.json").read_bytes()
    with pytest.raises(raysim.UserError, match="is damaged"):
        raysim.run(result.experiment, out=folder, resume=True, rounds=None, progress=False)
    (folder / "checkpoints/flushed.json").unlink(missing_ok=True)
    assert main(["run", str(folder), "--engine", "serial", "--quiet", "--resume", "--out", str(folder)]) == 2
    assert (folder / "run.json").read_bytes() == before


def test_a_finished_run_is_read_and_its_rounds_are_told(result: raysim.api.results.RunResult) -> None:
    before = result.record["started"]
    told: list[RoundRecord] = []
    again = raysim.run(result.experiment, out=result.out, on_round=told.append, progress=False)
    assert [record.round for record in told] == [0, 1, 2]
    assert again.summary == result.summary and again.record["started"] == before


def test_a_runs_config_goes_back_in(
    result: raysim.api.results.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, word in enumerate([result.out, result.out / "config.json"]):
        out = tmp_path / str(number)
        words = ["run", str(word), "--engine", "serial", "--quiet", "--out", str(out)]
        assert main([*words, *["seed=1"] * number]) == 0
        same = raysim.load(out).summary["state_sha256"] == result.summary["state_sha256"]
        assert same == (number == 0)
    assert main(["sweep", str(result.out), "--dry-run"]) == 2
    assert "is one run, and a space is needed here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged (it is no JSON, at line 1, column 2)"),
        ("[1]", "is damaged (it is no JSON object)"),
        ('{"model": 1}', "its fields are model"),
        ('{"experiment": {"method": 5}}', "method = 5 is not allowed"),
        ('{"experiment": {"method": {"name": "fedrsclip", "lam": 99}}}', "method.lam = 99"),
        ('{"experiment": {"rouns": 5}}', "unknown key 'rouns'; did you mean 'rounds'?"),
        ('{"experiment": {"task": [1]}}', "task = [1] is not allowed"),
    ],
)
def test_a_damaged_or_foreign_config_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(raysim.UserError) as error:
        raysim.run(path)
    assert message in str(error.value) and str(path) in str(error.value)


def test_images_that_are_added_between_two_runs_are_in_the_second(tmp_path: Path) -> None:
    folder, words = class_folders(tmp_path / "tiles"), {"task.dataset": "folder", "method": "zeroshot"}
    changes = {**words, "task.path": str(folder), "scenario.clients": 2}
    for images in (12, 13):
        done = raysim.run(changes, out=tmp_path / str(images), progress=False)
        assert done.record["dataset"]["images"] == images
        put(folder / "forest/999.png", saved(Image.fromarray(colours(seed=7)), "PNG"))


def test_mistakes_are_user_errors(tmp_path: Path) -> None:
    for what, options, message in [
        ("fedrsclp", {}, "did you mean 'fedrsclip'"),
        ({"method.lam": 99}, {}, "method.lam = 99"),
        (small(), {"engine": "cuda"}, "engine = 'cuda' is not allowed"),
        (small(), {"resume": True}, "--resume: there is no results"),
    ]:
        with pytest.raises(raysim.UserError, match=message):
            raysim.run(what, **options)
    with pytest.raises(raysim.UserError):
        raysim.load(tmp_path)


def test_an_interrupt_leaves_what_is_finished(tmp_path: Path, result: raysim.api.results.RunResult) -> None:
    def stop(record: RoundRecord) -> None:
        if record.round == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        raysim.run(QUICK, rounds=2, out=tmp_path / "run", on_round=stop, progress=False)
    half = raysim.load(tmp_path / "run")
    assert half.status == "interrupted" and "1 rounds finished" in repr(half) and half.summary == {}
    assert list(half.rounds["round"]) == [0, 1] and half._repr_html_()
    with pytest.raises(raysim.UserError, match="use --resume"):
        raysim.run(QUICK, rounds=2, out=tmp_path / "run")
    done = raysim.run(QUICK, rounds=2, out=tmp_path / "run", resume=True, progress=False)
    assert done.summary["state_sha256"] == result.summary["state_sha256"]


def test_compare_is_a_table(result: raysim.api.results.RunResult, tmp_path: Path) -> None:
    rival = raysim.run(result.experiment, {"method": "zeroshot"}, out=tmp_path / "z", progress=False)
    table = raysim.compare(result, rival)
    assert table["label_b"].tolist() == ["zeroshot"] and "undecided against" in table.attrs["sentence"]


def test_a_plain_script_on_ray_needs_no_guard(tmp_path: Path, result: raysim.api.results.RunResult) -> None:
    """Ray was started by the user here: it is used, and it stays."""
    script = tmp_path / "script.py"
    script.write_text(
        "import ray, raysim\n"
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)\n"
        f"done = raysim.run({QUICK!r}, rounds=2, workers=2, out='run', progress=False)\n"
        "print(done.summary['state_sha256'], ray.is_initialized())\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.stdout.split() == [result.summary["state_sha256"], "True"], done.stderr
    assert raysim.load(tmp_path / "run").record["command"].endswith("--engine ray")
