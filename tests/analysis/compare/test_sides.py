"""Sides of a comparison: arguments as people type them, and what is left out or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.compare import Mistake, compare
from raysim.cli.main import main
from tests.fakes.comparisons import OURS, THEIRS, run, runs, study, sweep, trial


def test_a_damaged_part_of_a_sweep_is_named_and_the_rest_is_compared(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    (tmp_path / "s" / "tables" / "trials" / "2.parquet").write_bytes(b"PAR1 cut off")  # a search trial
    found = compare(f"{folder}:anchor", f"{folder}:promptfl")
    assert found.sentence == "anchor is ahead of promptfl: +3.4 points [+2.8, +4.0], 3 seeds."
    assert any("cannot be read: tables/trials/2.parquet (" in warning for warning in found.warnings)


def test_runs_that_failed_are_not_called_unfinished(tmp_path: Path) -> None:
    a = runs(tmp_path / "a", OURS)
    run(tmp_path / "b" / "seed3", 3, 0.1, status="failed")
    meta = tmp_path / "b" / "seed3" / "run.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "result": None}))
    with pytest.raises(Mistake, match=r"every run failed, so there is nothing to compare: seed3$"):
        compare(a, str(tmp_path / "b"))


def test_unfinished_runs_are_left_out_and_named(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS), runs(tmp_path / "b", THEIRS)
    run(tmp_path / "b" / "seed3", 3, 0.1, status="interrupted")
    found = compare(a, b)
    assert found.json()["pairs"][0]["seeds"] == [0, 1, 2]
    assert found.warnings == [f"{b}: 1 of 4 runs unfinished, left out: seed3 (interrupted)"]
    with pytest.raises(Mistake, match=r"B = .*seed3: no run is finished yet: seed3 \(interrupted\)"):
        compare(a, str(tmp_path / "b" / "seed3"))


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    a = runs(tmp_path / "a", OURS)
    mixed = runs(tmp_path / "b", THEIRS)
    run(tmp_path / "b" / "seed2", 2, 0.5, training__lr=0.1)
    with pytest.raises(
        Mistake, match=r"^B = .*differ in more than the seed: training.lr \(0.05 in seed0, 0.1 in seed2\)"
    ):
        compare(a, mixed)
    run(tmp_path / "b" / "seed2", 1, 0.5)
    with pytest.raises(Mistake, match=r"^A = .*two runs have seed 1: seed1 and seed2"):
        compare(mixed, a)


def test_a_label_of_several_kinds_means_the_one_that_can_be_paired(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    found = compare(
        f"{folder}:anchor", f"{folder}:promptfl"
    )  # selection seeds: the rival, not the confirmed configuration
    assert found.split == "validation" and found.pairs[0].both[1].trial["label"] == "promptfl"
    assert found.sentence == "anchor is ahead of promptfl: +3.4 points [+2.8, +4.0], 3 seeds."


def test_a_folder_of_runs_against_an_entry(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    found = compare(
        runs(tmp_path / "a", OURS, first=1000, test=0.9, scenario_label="even"), f"{folder}:promptfl"
    )
    assert (
        [p.title for p in found.pairs] == ["even"]
        and found.split == "test"
        and found.json()["pairs"][0]["seeds"] == [1000, 1001, 1002]
    )
    assert "only in B: promptfl (untuned) under skewed" in found.warnings
    with pytest.raises(
        Mistake, match=r"have nothing in common: A has dirichlet alpha=0.1, B has even; skewed"
    ):
        compare(runs(tmp_path / "b", OURS, first=1000), f"{folder}:promptfl")


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("nope", "runs", "A = {}/nope: there is no folder"),
        ("run", "study", "A = {0}/run: there is no folder {0}/run; did you mean {0}/runs?"),
        (
            "runs",
            "study",
            "B = {0}/study: a sweep of several configurations against one; name one of them: '{0}/study:m "
            "(tuned)'",
        ),
        ("runs", "study:promptf", "no finished entry 'promptf'; did you mean 'promptfl (untuned)'? It has"),
        ("runs", "study:x", "no finished entry 'x'"),
        ("runs:m", "study", "A = {}/runs:m: only a sweep has entries to pick; leave out ':m'"),
        (
            "runs",
            "open",
            "no configuration of this sweep is confirmed on fresh seeds yet: name an entry, such as "
            "{0}/open:anchor",
        ),
        ("runs", "twins:anchor", "'anchor' is not one entry: s | even and t | even"),
        ("study", "other", "have nothing in common: A has m (tuned), even; "),
        ("runs", "runs/", "A and B are the same"),
        ("runs", ".", "B = {0}/.: holds sweeps; name one of"),
        ("runs", "empty", "holds no run.json"),
        ("runs", "deep/er/odd", "run.json is damaged (it is not a file)"),
    ],
)
def test_mistakes_name_the_argument(
    a: str, b: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs(tmp_path / "runs", OURS)
    study(tmp_path / "study")
    sweep(tmp_path / "open", [trial("contrast", "anchor", "even", (0, 1), (0.5, 0.6))])
    sweep(
        tmp_path / "twins",
        [trial("contrast", "anchor", "even", (0,), (0.5,), space=space, runs=[space]) for space in "st"],
    )
    sweep(tmp_path / "other", [trial("confirm", f"{name} (tuned)", "odd", (0,), (0.5,)) for name in "xy"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "deep" / "er" / "odd" / "run.json").mkdir(parents=True)
    assert main(["compare", f"{tmp_path}/{a}", f"{tmp_path}/{b}"]) == 2
    said = capsys.readouterr().err
    assert message.format(tmp_path) in said and "Traceback" not in said


def test_zero_shot_runs_have_no_noise_where_clients_do_not_matter(tmp_path: Path) -> None:
    sides = [runs(tmp_path / name, THEIRS, method__name=name) for name in ("zeroshot", "m")]
    metric = "acc_personal_global"
    entries = compare(*sides, metric).pairs[0].both
    samples = [e.samples.side("", e.trial, metric, "validation").sample for e in entries]  # type: ignore[union-attr]
    assert [(sample.rule, sample.fixed) for sample in samples] == [(True, True), (False, False)]
