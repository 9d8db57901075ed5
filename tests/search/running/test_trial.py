"""Runs of a trial: a seed that is lost does not lose the others, and the row says how each ended."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysim.core.errors import DamagedFile, Diverged
from raysim.core.types import RoundRecord
from raysim.engines.serial import Serial
from raysim.search.running.trainable import failure_reason
from raysim.search.running.trial import SeedGroup, Stopped
from raysim.storage import vault
from raysim.storage.files import lock_folder
from tests.experiments import small

SEEDS = 3


def group_of(folder: Path, **more: object) -> SeedGroup:
    """Three seeds of a small experiment that is evaluated after every one of its three rounds."""
    settings = {"rounds": 3, "evaluation__every": 1, "task__classes": 4, "scenario__clients": 3}
    experiments = [small(seed=seed, **settings) for seed in range(SEEDS)]  # type: ignore[arg-type]
    return SeedGroup(experiments, folder, Serial(), **{"thresholds": {}, "test": False, **more})  # type: ignore[arg-type]


def diverge(group: SeedGroup, seed: int, at: int = 2) -> None:
    """Let a seed diverge in a round."""

    def rounds(known: Iterator[RoundRecord]) -> Iterator[RoundRecord]:
        for record in known:
            if record.round == at:
                raise Diverged(f"round {at}: the loss is NaN")
            yield record

    group._rounds[seed] = rounds(group._rounds[seed])


def run(group: SeedGroup) -> str:
    while (state := group.advance()[0]) == "RUNNING":
        pass
    group.close()
    return state


def test_a_seed_that_diverges_does_not_lose_the_others(tmp_path: Path) -> None:
    plain = group_of(tmp_path / "plain")
    assert run(plain) == "COMPLETE" and plain.outcomes("COMPLETE") == ["complete"] * SEEDS
    group = group_of(tmp_path / "lost", test=True)
    diverge(group, 1)
    state = run(group)
    assert state == "COMPLETE" and group.failure is None
    assert group.outcomes(state) == ["complete", "diverged", "complete"]
    expected, found = plain.measure_columns("COMPLETE"), group.measure_columns(state)
    values, others = found["acc_personal_own"], expected["acc_personal_own"]  # type: ignore[typeddict-item]
    assert [values[0], values[2]] == [others[0], others[2]] and math.isnan(values[1])
    tests = found["test_acc_personal_own"]  # type: ignore[typeddict-item]
    assert [math.isnan(value) for value in tests] == [False, True, False]
    assert group.curve_columns()["objective"] == pytest.approx((others[0] + others[2]) / SEEDS)
    assert group.curve[0] == plain.curve[0], "until then it counts like the others"
    assert found["flops"] == pytest.approx(expected["flops"], rel=0.1), "traffic and FLOPs of whole runs"


def test_half_of_the_seeds_lose_the_trial_and_the_rest_is_measured(tmp_path: Path) -> None:
    group = group_of(tmp_path, thresholds={2: 2.0})
    for seed in (0, 2):
        diverge(group, seed)
    state = run(group)
    assert state == "FAIL", "not pruned, although it is below the threshold"
    assert group.outcomes(state) == ["diverged", "complete", "diverged"]
    assert group.failure is not None
    assert failure_reason(group.failure) == "diverged: 2 of 3 seeds: round 2: the loss is NaN"
    values = group.measure_columns(state)["acc_personal_own"]  # type: ignore[typeddict-item]
    assert [math.isnan(value) for value in values] == [True, False, True]


def test_a_pruned_trial_says_which_seed_was_lost(tmp_path: Path) -> None:
    group = group_of(tmp_path, thresholds={2: 2.0})
    diverge(group, 0)
    assert run(group) == "PRUNED" and group.outcomes("PRUNED") == ["diverged", "pruned", "pruned"]


def test_all_seeds_lost_end_the_trial_at_once(tmp_path: Path) -> None:
    group = group_of(tmp_path)
    for seed in range(SEEDS):
        diverge(group, seed)
    assert run(group) == "FAIL" and group.round == 2
    assert group.outcomes("FAIL") == ["diverged"] * SEEDS
    values = group.measure_columns("FAIL")["acc_personal_own"]  # type: ignore[typeddict-item]
    assert all(math.isnan(value) for value in values)


def test_the_end_of_the_time_stops_a_trial_that_goes_on_later(tmp_path: Path) -> None:
    group = group_of(tmp_path, deadline=time.time() - 1)
    with pytest.raises(Stopped):
        group.advance()
    group.close()
    again = group_of(tmp_path)
    assert run(again) == "COMPLETE" and again.startup_seconds > 0


def test_runs_that_cannot_be_opened_are_unlocked_at_once(tmp_path: Path) -> None:
    """Other trials wait a day for their lock, and an error keeps what its frames hold."""
    run(group_of(tmp_path))
    configs = sorted(tmp_path.glob("runs/*/config.json"))
    configs[-1].write_text("{")
    with pytest.raises(DamagedFile) as error:
        group_of(tmp_path)
    assert error.value is not None  # its frames live
    for config in configs:
        lock_folder(config.parent).release()


@pytest.mark.parametrize("test", [False, True])
def test_a_run_whose_networks_were_dropped_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: bool
) -> None:
    """Other trials have the same run: they need its measures, and the test split where it was opened."""
    monkeypatch.setattr(vault, "LARGE", 0)
    first = group_of(tmp_path, test=test)
    assert run(first) == "COMPLETE"
    expected = first.measure_columns("COMPLETE")
    first.drop_networks()
    parts = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    with monkeypatch.context() as patch:
        patch.setattr(Serial, "train", lambda *_: pytest.fail("it is trained again"))
        again = group_of(tmp_path, test=test)
        assert run(again) == "COMPLETE" and again.curve == first.curve
        found = again.measure_columns("COMPLETE")
    assert repr({**found, "seconds": None}) == repr({**expected, "seconds": None})  # NaN is no NaN
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == parts
    opened = group_of(tmp_path, test=True)  # where nobody opened the test split, the networks are needed
    assert [simulation.finished for simulation in opened.simulations] == [test] * SEEDS
    assert run(opened) == "COMPLETE" and "test_acc_personal_own" in opened.measure_columns("COMPLETE")
