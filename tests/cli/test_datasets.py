"""`raysim data list`: every dataset, and where to get those that are missing."""

from __future__ import annotations

import pytest

from raysim.cli.main import main
from raysim.data.registry import DATASETS


def test_the_list_names_every_dataset_and_where_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYSIM_DATA", "")
    assert main(["data", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in DATASETS)
    assert "RAYSIM_DATA is not set" in printed and "UCMerced_LandUse.zip" in printed
