"""`raysim doctor`: what raysim finds on this machine."""

from __future__ import annotations

import pytest

from raysim.cli.main import main


def test_the_doctor_names_the_machine_and_tries_the_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "cores" in lines[0] and "torch" in lines[1] and "RAYSIM_DATA" in lines[2]
    assert "GPUs: " in lines[-2] and lines[-1].startswith("  bundled backbone: scenes-clip")
    assert lines[-1].endswith(": good")
