"""`raysim doctor`: what raysim finds on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysim.cli import doctor
from raysim.cli.main import main
from raysim.engines import survey


def test_the_doctor_names_the_machine_and_tries_the_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "cores" in lines[0] and "torch" in lines[1] and "RAYSIM_DATA" in lines[2]
    assert "GPUs: " in lines[-2] and lines[-1].startswith("  bundled backbone: scenes-clip")
    assert lines[-1].endswith(": good")


NODE: dict[str, Any] = {
    "address": "10.0.0.5", "host": "a", "problem": "", "python": "3.12.1", "ray": "2.60.0", "torch": "2.14",
    "raysim": "0.1.0", "source": "0a1b", "cpu": "EPYC", "cores": 8, "memory_gib": 31.5,
    "folder": "/data", "data": "77aa",
    "gpus": ["NVIDIA A10G, 23028 MiB"], "cache": "/cache", "cache_free": 12.5,
    "sees_out": False, "out_free": None, "token": "/t, yours alone", "listens": ["10.0.0.5", "127.0.0.1"],
    "clock": (-1.25, 0.01),
}  # fmt: skip


def test_a_node_is_described_in_five_lines() -> None:
    assert doctor.node_lines(NODE, Path("results")) == [
        "10.0.0.5 (a): Python 3.12.1, ray 2.60.0, torch 2.14, raysim 0.1.0 (files 0a1b)",
        "  EPYC, 8 cores, 31.5 GiB memory; GPUs: NVIDIA A10G, 23028 MiB",
        "  RAYSIM_DATA: /data (names and sizes 77aa); cache: /cache (12.5 GiB free)",
        "  --out results: not seen here, which is fine, ? free; clock -1.25 s (to 0.01 s)",
        "  token: /t, yours alone; Ray listens on: 10.0.0.5, 127.0.0.1",
    ]


@pytest.mark.parametrize(
    ("differences", "status"), [([], 0), (["torch: 2.14 on 10.0.0.5; 2.13 on 10.0.0.6"], 2)]
)
def test_nodes_that_differ_are_a_status(
    differences: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    monkeypatch.setattr(doctor, "_bundled_backbone", lambda: "good")
    monkeypatch.setattr(survey, "survey", lambda out: ([NODE, {**NODE, "address": "10.0.0.6"}], differences))
    assert main(["doctor"]) == status
    printed = capsys.readouterr()
    assert "10.0.0.6 (a): Python" in printed.out
    assert ("2 nodes agree" in printed.out) == (not differences)
    assert [line.strip() for line in printed.err.splitlines()[1:]] == differences
