"""`raysim sweep --dry-run`: what would run, and settings that a space does not have."""

from __future__ import annotations

import pytest

from raysim.cli.main import main


def test_a_dry_run_says_what_would_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("; 1,152 of 5,520 training images of 8,640; task.shots is the reason\n") == 3
    stages = ["1. anchors, 3", "2. contrasts, 63", "3. rivals", "4. interactions", "5. search", "6. race"]
    places = [printed.index(stage) for stage in [*stages, "7. confirmation"]]
    assert places == sorted(places) and "at most 8 minutes from start to report" in printed


def test_a_space_does_not_fit_another_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "fedrsclip", "method=promptfl", "--dry-run"]) == 2
    assert "unknown path 'method.lam'" in capsys.readouterr().err


def test_a_design_runs_two_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """One seed would not say how much of an effect is noise."""
    words = ["sweep", "fedrsclip", "--design", "morris", "--budget", "100", "--dry-run"]
    for more, seeds in ([], 2), (["--seeds", "1"], 1):
        assert main([*words, *more]) == 0
        assert f"{seeds} seeds each" in capsys.readouterr().out
