"""The device comes from `Resources` alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu as gpu_benchmark
from raysim.core import warm
from raysim.engines.serial import Serial
from raysim.experiment.records import identity
from raysim.experiment.resources import Resources
from raysim.simulation import images
from raysim.simulation.device import CPU, device_of, only_workers_have_gpu
from raysim.simulation.images import frozen_of, prepare
from raysim.simulation.worker import try_method
from tests.experiments import small


@pytest.fixture(params=[True, False], ids=["a GPU here", "no GPU here"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this process sees a GPU, as far as torch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)
    return bool(request.param)


def test_a_gpu_is_used_where_it_is_asked_for_and_seen(gpu: bool) -> None:
    assert device_of(Resources(gpus=0)) == device_of(Resources()) == CPU
    assert device_of(Resources(gpus=0.25)) == (torch.device("cuda") if gpu else CPU)
    assert only_workers_have_gpu(Resources(gpus=0.25)) != gpu and not only_workers_have_gpu(Resources(gpus=0))


def test_the_process_keeps_its_environment_and_computes_on_the_cpu(
    gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    warm.clear()
    before = dict(os.environ)
    prepare([small()], lambda done, total: None)
    try_method(small())
    assert dict(os.environ) == before
    assert frozen_of(small(), CPU).context.device == CPU
    engine = Serial(small().resources)
    engine.initial(identity(small()))
    assert engine.worker(identity(small())).device == CPU


def test_features_for_gpus_that_only_workers_have_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(images, "frozen_of", lambda *_: pytest.fail("computed here"))
    prepare([small(resources__gpus=0.5)], lambda done, total: None)
    try_method(small(resources__gpus=0.5))


def test_the_serial_engine_hands_its_device_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from raysim.engines import serial

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(serial, "worker_of", lambda experiment, device: device)
    found: Any = [Serial(Resources(gpus=gpus)).worker("") for gpus in (0, 0.5)]
    assert found == [CPU, torch.device("cuda")] and Serial().worker("") == CPU


def test_the_device_is_no_part_of_the_experiment(simulate: Any, tmp_path: Path) -> None:
    """A GPU that is asked for and not there: the serial engine computes on the CPU, with the same bits."""
    asked, plain = small(rounds=1, resources__gpus=0.5), small(rounds=1)
    assert asked.id == plain.id
    one, other = simulate(asked, engine=Serial(asked.resources)), simulate(plain)
    assert torch.cuda.is_available() or one.result()["state_sha256"] == other.result()["state_sha256"]


def test_the_gpu_benchmark_runs_and_its_sides_agree(tmp_path: Path) -> None:
    """On the CPU, because that is what is here; the numbers are another matter."""
    words = ["--device", "cpu", "--rounds", "1", "--towers", "--only", "B1s", "B2", "B3"]
    words += ["--out", str(tmp_path / "gpu.json"), "task.shots=8", "scenario.clients=4"]
    result = gpu_benchmark.main(words)
    assert json.loads((tmp_path / "gpu.json").read_text()) == result
    prompts, networks, method = result["rounds"]
    assert prompts["max_rel_diff"] < 1e-5 and networks["max_rel_diff"] < 1e-5
    assert method["max_rel_diff"] is None and method["waits"] is None
    assert all(row["ratio"] > 0 for row in result["rounds"])
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="no CUDA device is seen"):
            gpu_benchmark.main([])
