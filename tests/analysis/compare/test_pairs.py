"""Pairs of entries: shared seeds, the split, and doubts about the pairing."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.compare import compare
from tests.fakes.comparisons import OURS, THEIRS, run, runs, study, sweep, trial


def test_no_shared_seed_is_no_verdict(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS), runs(tmp_path / "b", THEIRS, first=5)
    found = compare(a, b)
    assert found.sentence == (
        f"{a} cannot be paired with {b}: no seed is shared (A: 0 to 2; B: 5 to 7), and an unpaired "
        "difference gets no verdict."
    )
    (pair,) = found.json()["pairs"]
    assert (pair["seeds"], pair["estimate"], pair["verdict"]) == ([], None, "missing")
    assert next(found.tables())[2][0][-1] == "missing"


def test_test_is_compared_only_where_both_opened_it(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS, test=0.6), runs(tmp_path / "b", THEIRS, test=0.5)
    assert compare(a, b).split == "test" and compare(a, b).json()["pairs"][0]["estimate"] == pytest.approx(
        0.1
    )
    run(tmp_path / "b" / "seed1", 1, THEIRS[1])
    found = compare(a, b)
    assert found.split == "validation" and found.json()["pairs"][0]["estimate"] == pytest.approx(0.034)
    assert "the test split was opened for 3 seeds of A and 2 of B: compared on validation" in found.warnings


def test_what_weakens_the_pairing_is_said(tmp_path: Path) -> None:
    a = runs(tmp_path / "a", OURS)
    moved = compare(
        a, runs(tmp_path / "b", THEIRS, scenario__alpha=10.0, clients=(0, 1, 1), commit="bbb", torch="2.16")
    ).warnings
    assert (
        moved[0].startswith("A and B differ in scenario.alpha: clients hold other images")
        and "only nominal" in moved[0]
    )
    assert moved[1:] == ["different programs: commit aaa in A, bbb in B; torch 2.15 in A, 2.16 in B"]
    silent = compare(a, runs(tmp_path / "c", THEIRS, clients=(0, 1, 1))).warnings
    assert (
        len(silent) == 1
        and silent[0].startswith("the partitions on disk differ")
        and "only nominal" in silent[0]
    )
    assert (
        compare(a, runs(tmp_path / "d", THEIRS, scenario__alpha=10.0)).warnings == []
    )  # the files say: the same images
    assert "only nominal" in compare(a, runs(tmp_path / "e", THEIRS, task__dataset="ucmerced")).warnings[0]


def test_a_damaged_partition_is_named_and_the_rest_is_compared(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS), runs(tmp_path / "b", THEIRS, scenario__alpha=10.0)
    damaged = tmp_path / "b" / "seed1" / "partition.parquet"
    damaged.write_bytes(b"PAR1 cut off")
    found = compare(a, b)
    assert found.json()["pairs"][0]["seeds"] == [0, 1, 2]
    assert found.warnings[0].startswith(f"left out because it cannot be read: {damaged} (")
    assert found.warnings[1].startswith("A and B differ in scenario.alpha: clients hold other images")


def test_two_whole_sweeps(tmp_path: Path) -> None:
    a, b = study(tmp_path / "a"), tmp_path / "b"
    rows = [
        trial("confirm", "m (tuned)", "even", (1000, 1001, 1002), THEIRS),
        trial("confirm", "x (tuned)", "even", (1000,), (0.5,)),
        trial("confirm", "promptfl (untuned)", "even", (1000, 1001, 1002), (0.801, 0.819, 0.8405)),
    ]
    found = compare(a, sweep(b, rows, status="running"))
    assert (
        found.sentence
        == f"Over 2 pairs of equal configuration and scenario, {a} against {b}: ahead in 1, no effect in 1."
    )
    assert [p.title for p in found.pairs] == ["m (tuned), even", "promptfl (untuned), even"]
    assert f"{b}: this sweep is running; only what is on disk is compared" in found.warnings
    (only_a,) = [text for text in found.warnings if text.startswith("only in A: ")]
    assert set(only_a.removeprefix("only in A: ").split("; ")) == {
        *(f"{label} under skewed" for label in ("m (tuned)", "promptfl (untuned)")),
        *(f"{label} under even" for label in ("m (untuned)", "local (untuned)")),
    }
    assert "only in B: x (tuned) under even" in found.warnings
