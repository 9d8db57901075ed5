"""`raysim sweep --dry-run`: what would run, and settings that a space does not have."""

from __future__ import annotations

import pytest

from raysim.cli.main import main


def test_a_dry_run_says_what_would_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--dry-run"]) == 0
    assert "contrast trials" in capsys.readouterr().out


def test_a_space_does_not_fit_another_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "fedrsclip", "method=promptfl", "--dry-run"]) == 2
    assert "unknown path 'method.lam'" in capsys.readouterr().err
