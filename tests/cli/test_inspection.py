"""`raysim plan`: what an experiment costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysim.cli.main import main
from raysim.core.errors import Diverged
from raysim.data.scenes import SceneDataset
from tests.experiments import QUICK_UNTRAINED_WORDS, QUICK_WORDS


def test_a_plan_says_what_is_sent_and_what_a_round_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *QUICK_WORDS]) == 0
    printed = capsys.readouterr().out
    assert "256 parameters, 1,024 bytes per client and direction" in printed and "heterogeneity" in printed
    assert "one client's round" in printed and "2 rounds of 3 clients" in printed


def test_a_method_without_training_costs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "method=zeroshot", *QUICK_UNTRAINED_WORDS]) == 0
    assert "nothing is trained" in capsys.readouterr().out


def test_a_plan_encodes_a_sample_and_leaves_the_cache_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "cache"))
    drawn = set[int]()
    image = SceneDataset.image
    monkeypatch.setattr(SceneDataset, "image", lambda self, index: drawn.add(index) or image(self, index))
    assert main(["plan", *QUICK_WORDS]) == 0
    assert "predicted from a sample of 64 of 8,640 images" in capsys.readouterr().out
    assert len(drawn) == 64 and not list(tmp_path.rglob("*.arrow"))


def test_rounds_that_diverge_on_the_sample_are_not_predicted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*_: object) -> None:
        raise Diverged("round 2: the loss of client 0 became infinite or NaN")

    monkeypatch.setattr("raysim.cli.plan.measure", diverge)
    assert main(["plan", *QUICK_WORDS]) == 0
    printed = capsys.readouterr().out
    assert "its rounds are not predicted, because they diverged on the sample: round 2: " in printed
    assert "nodes of" not in printed
