"""Trackers: what TensorBoard finds, and what a missing package says."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raysim.core.errors import UserError
from raysim.search.running.trackers import trackers


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
        UserError, match=r"--track mlflow: the package 'mlflow' is missing; pip install 'raysim\[mlflow\]'"
    ):
        trackers(["mlflow"], tmp_path)
    assert not (tmp_path / "track").exists()
