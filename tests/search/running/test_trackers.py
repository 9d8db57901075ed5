"""Trackers: what TensorBoard and Weights & Biases find, and what a missing package says."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from raysim.cli.main import main
from raysim.core.errors import UserError
from raysim.core.types import RoundRecord
from raysim.search.running.trackers import RunTracking, trackers


def events(file: Path) -> list[Any]:
    """A TFRecord file: length, its check sum, an event, its check sum."""
    from tensorboardX.proto.event_pb2 import Event

    content, place, found = file.read_bytes(), 0, []
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        found.append(Event.FromString(content[place + 12 : place + 12 + length]))
        place += 16 + length
    return found


def test_tensorboard_gets_flat_numbers_and_no_experiments(tmp_path: Path) -> None:
    (tracker,) = trackers(["tensorboard", "tensorboard"], tmp_path)
    config = {"experiments": [{"seed": 0}], "tracked": {"label": "tpe 3", "method.lam": 0.1}}
    trial: Any = SimpleNamespace(
        config=config,
        evaluated_params={"experiments": []},
        local_path="/scratch/000003",
        init_local_path=bool,
    )
    trial = type("Trial", (SimpleNamespace,), {"__hash__": lambda self: 1})(**vars(trial))
    tracker.log_trial_start(trial)
    for step in (2, 4):
        tracker.log_trial_result(
            step,
            trial,
            {"row": "{}", "objective": step / 10, "timesteps_total": step, "training_iteration": 1},
        )
    tracker.log_trial_end(trial)
    assert trial.config is config
    (file,) = (tmp_path / "track/tensorboard/000003").iterdir()
    values = [
        (event.step, value.tag, round(value.simple_value, 3), str(value))
        for event in events(file)
        for value in event.summary.value
    ]
    assert [(step, value) for step, tag, value, _ in values if tag == "ray/tune/objective"] == [
        (2, 0.2),
        (4, 0.4),
    ]
    settings = next(text for _, tag, _, text in values if tag == "_hparams_/session_start_info")
    assert "method.lam" in settings and "tpe 3" in settings and "experiments" not in settings


def test_a_missing_package_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(
        UserError, match=r"--track mlflow: the package 'mlflow' is missing; in .*: pip .* '.\[mlflow\]'"
    ):
        trackers(["mlflow"], tmp_path)
    assert not (tmp_path / "track").exists()


def test_a_run_writes_each_round_and_its_result(tmp_path: Path) -> None:
    words = ["scenario.clients=3", "task.shots=4", "rounds=2", "evaluation.every=1", "--quiet"]
    words += ["--engine", "serial", "--track", "tensorboard", "--out", str(tmp_path / "out")]
    assert main(["run", *words]) == 0
    (file,) = (tmp_path / "out/track/tensorboard/run").iterdir()
    steps = {
        (value.tag, event.step): value.simple_value for event in events(file) for value in event.summary.value
    }
    logged = {step for tag, step in steps if tag == "ray/tune/acc_personal_own"}
    assert logged - {0} == {1, 2}  # the table of settings repeats the last values as step 0
    assert steps["ray/tune/final/acc_personal_own", 2] == steps["ray/tune/acc_personal_own", 2]


class FakeWandb(SimpleNamespace):
    """What raysim uses of the package; keeps what it gets."""

    def __init__(self) -> None:
        super().__init__(Settings=dict, opened=[], logged=[], ended=[])

    def init(self, **options: Any) -> SimpleNamespace:
        self.opened.append(options)
        return SimpleNamespace(log=self.logged.append, finish=lambda exit_code: self.ended.append(exit_code))


@pytest.fixture
def fake_wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_wandb_gets_settings_rounds_and_the_result_offline(fake_wandb: FakeWandb, tmp_path: Path) -> None:
    tracking = RunTracking(["wandb"], tmp_path, "mine", {"method.lam": 0.1})
    for round_ in (1, 2):
        tracking.log(cast(RoundRecord, SimpleNamespace(round=round_, row={"loss": 1.0 / round_, "x": None})))
    tracking.end({"acc_personal_own": 0.5, "id": "abc"})
    (options,) = fake_wandb.opened
    assert options["config"] == {"label": "mine", "method.lam": 0.1} and options["mode"] == "offline"
    assert options["dir"] == str(tmp_path / "track") and fake_wandb.ended == [0]
    assert [(entry["round"], entry.get("loss")) for entry in fake_wandb.logged] == [
        (1, 1),
        (2, 0.5),
        (2, None),
    ]
    assert fake_wandb.logged[-1]["final/acc_personal_own"] == 0.5


def test_wandb_online_without_a_login_is_one_message(
    fake_wandb: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="nobody is logged in; run `wandb login`"):
        trackers(["wandb"], tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "key")
    assert len(trackers(["wandb"], tmp_path)) == 1


def test_a_run_refuses_a_tracker_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main(["run", "--track", "wandb", "--out", str(tmp_path / "out")]) == 2
    assert "pip install -c constraints.txt '.[wandb]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
