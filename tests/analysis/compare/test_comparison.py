"""`raysim compare`: verdicts on paper, and the command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from analysis.compare import Comparison, compare
from analysis.compare.comparison import VERBS, turned
from analysis.stats.judgements import Verdict
from analysis.verdicts.tables import verdict_rows, verdict_tables
from raysim.cli.main import main
from raysim.simulation.rounds import Simulation
from tests.experiments import small
from tests.fakes import results as fake_results
from tests.fakes.comparisons import HALF, OURS, THEIRS, run, runs, study
from tests.fakes.whole import SCENARIOS, whole_sweep


def test_every_verdict_has_a_word() -> None:
    assert set(VERBS) == set(get_args(Verdict))


def test_folders_of_runs_are_paired_by_seed_as_on_paper(tmp_path: Path) -> None:
    a = runs(tmp_path / "a", OURS)
    b = runs(tmp_path / "b", [*THEIRS, 0.1], method__name="n", method__lam=0.02, training__lr=0.1, rounds=20)
    found = compare(a, b)
    assert found.sentence == f"{a} is ahead of {b}: +3.4 points [+2.8, +4.0], 3 of 4 seeds."
    (pair,) = found.json()["pairs"]
    assert pair["estimate"] == pytest.approx(0.034)
    assert pair["adjusted_low"] == pytest.approx(0.034 - HALF, abs=1e-6)
    assert pair["adjusted_high"] == pytest.approx(0.034 + HALF, abs=1e-6)
    assert (pair["seeds"], pair["verdict"]) == ([0, 1, 2], "ahead")
    assert pair["mean_a"] == pytest.approx(0.82)
    assert pair["mean_b"] == pytest.approx(0.786)  # over the paired seeds: not 0.1
    assert (pair["bytes_ratio"], pair["flops_ratio"]) == (1.0, 0.5)
    fields = ["rounds: 10 | 20", "training.lr: 0.05 | 0.1", "method.name: m | n"]
    assert found.differing == [*fields, "only in B: method.lam=0.02"]
    assert any("different numbers of rounds" in w for w in found.warnings)
    assert "seeds only in B: 3" in found.warnings
    assert not any("nominal" in w or "commits" in w for w in found.warnings)  # the same images and program
    assert (
        compare(b, a).sentence == f"{b} is behind {a}: \u22123.4 points [\u22124.0, \u22122.8], 3 of 4 seeds."
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (
            (0.5, 0.6, 0.7),
            (0.501, 0.599, 0.7005),
            "A is level with B (within 1 point): 0.0 points [\u22120.2, +0.2], 3 seeds.",
        ),
        ((0.5, 0.6, 0.7), (0.52, 0.58, 0.7), "A is undecided against B: 0.0 points [\u22123.4, +3.4], needs"),
        ((0.5, 0.6), (0.5, 0.6), "A gives the same as B: 0.0 points, identical on 2 seeds."),
        ((0.5,), (0.469,), "A is undecided against B: +3.1 points, one seed,"),
        (
            (0.5002, 0.60025, 0.7003),
            (0.5, 0.6, 0.7),
            "A is all but equal to B: 0.0 points [0.0, 0.0], 3 seeds.",
        ),
    ],
)
def test_verdicts_in_words(ours: Sequence[float], theirs: Sequence[float], said: str, tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", ours), runs(tmp_path / "b", theirs)
    assert compare(a, b).sentence.replace(a, "A").replace(b, "B").startswith(said)


def test_runs_that_ended_in_the_same_state_are_the_same_in_every_metric(tmp_path: Path) -> None:
    def verdicts(name: str, value: float, state: str) -> set[str]:
        found = compare(a, str(run(tmp_path / name, 1, value, state=state)))
        return {row["verdict"] for rows in found.rows.values() for row in rows}

    a = str(run(tmp_path / "a", 1, 0.5, state="5d1"))
    assert verdicts("b", 0.5, "5d1") == {"no effect"}
    assert verdicts("other", 0.5, "777") == verdicts("silent", 0.5, "") == {"undecided"}
    assert verdicts("moved", 0.4, "5d1") == {"undecided"}  # measured on other images
    said = compare(a, str(tmp_path / "b"))
    assert said.sentence.endswith("b: 0.0 points, the same final state on 1 seed.")
    assert said.sentence.startswith(f"{a} gives the same as ")


def test_the_cost_of_the_server_is_compared(tmp_path: Path) -> None:
    found = compare(runs(tmp_path / "a", OURS), runs(tmp_path / "b", THEIRS))
    (_, head, rows) = list(found.tables())[-1]
    assert head[-3:] == ["server FLOPs A", "server FLOPs B", "server FLOPs A / B"]
    assert rows[0][-3:] == ["2e+06", "2e+06", "1"]
    assert found.json()["pairs"][0]["flops_server_ratio"] == 1.0


def test_a_run_that_failed_is_a_lost_seed_of_its_side(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS), runs(tmp_path / "b", THEIRS)
    run(tmp_path / "a" / "seed2", 2, 0.0, status="failed")
    (row,) = compare(a, b).rows["acc_personal_own"]
    assert (row["seeds"], row["diverged_a"], row["diverged_b"]) == ([0, 1], 1, 0)
    assert row["worst_case"] < 0 < row["estimate"] and row["reason"].startswith("A diverged on 1 of 3 seeds")
    (other,) = compare(b, a).rows["acc_personal_own"]
    assert other["worst_case"] == pytest.approx(-row["worst_case"])
    assert other["reason"].startswith("B diverged on 1 of 3 seeds")
    run(tmp_path / "a" / "seed1", 1, 0.0, status="failed")
    assert compare(a, b).sentence == f"{a} cannot be compared with {b}: A diverged on 2 of 3 seeds."


def test_entries_of_a_sweep_are_compared_scenario_by_scenario(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    found = compare(f"{folder}:m", f"{folder}:promptfl")  # brackets may be left out; the tuned one is meant
    assert found.sentence.startswith(
        "m (tuned) is behind promptfl (untuned) under skewed: \u22123.4 points ["
    )
    assert "; it is undecided against promptfl (untuned) under even: 0.0 points [" in found.sentence
    assert found.split == "test" and [p["scenario"] for p in found.json()["pairs"]] == ["even", "skewed"]
    assert "A is tuned, B is untuned: the difference includes the tuning" in found.warnings
    untuned = compare(f"{folder}:m (untuned)", f"{folder}:promptfl")
    assert untuned.pairs[0].seeds("acc_personal_own", "test") == {1000, 1001}
    assert "only in B: promptfl (untuned) under skewed" in untuned.warnings
    assert "seeds only in B: 1002" in untuned.warnings


def test_entries_of_one_sweep_have_the_rows_of_its_table(tmp_path: Path) -> None:
    folder = whole_sweep(tmp_path / "w")
    found = compare(f"{folder}:local", f"{folder}:fedrsclip")
    assert found.sides[0].sweep is not None
    table = verdict_rows(found.sides[0].sweep)
    wanted = {
        row["scenario"]: turned(row)
        for row in table
        if row["b"] == "local (untuned)" and row["kind"] == "rival" and row["metric"] == found.metric
    }
    rows = found.rows[found.metric]
    assert len(rows) == len(SCENARIOS) and {"behind", "undecided"} >= {row["verdict"] for row in rows}
    for row in rows:
        known = wanted[row["title"]]
        known["reason"] = re.sub("^diverged", "B diverged", known["reason"])  # the row was turned
        assert {name: row[name] for name in known} == known
    assert not (folder / "tables" / "verdicts").exists()
    floors = {
        (row["trial_a"], row["b"]): (row["verdict"], row["mean_a"], row["mean_b"])
        for row in table
        if row["kind"] == "floor" and row["metric"] == found.metric
    }
    ours = [row for row in found.floors if row["side"] == "B"]  # the main configuration
    assert ours and all(row["family_size"] > len(found.floors) for row in ours)
    for row in ours:
        found_floor = row["verdict"], row["mean_a"], row["mean_b"]
        assert found_floor == floors[row["trial_a"], row["rule"]]
    verdict_tables(found.sides[0].sweep)  # as a report does: the stored table says the same
    again = compare(f"{folder}:local", f"{folder}:fedrsclip")
    assert again.json()["pairs"] == found.json()["pairs"]
    alone = compare(f"{folder}:method.lam=0.005", f"{folder}:method.h=8")  # a difference that no page shows
    assert [row["family_size"] for row in alone.rows["acc_personal_own"]] == [2, 2]


def test_rules_without_training_and_images_are_rows(tmp_path: Path) -> None:
    sides = [
        whole_sweep(tmp_path / name, seed=seed, lost={}, search=0) for name, seed in (("a", 0), ("b", 1))
    ]
    found = compare(*(f"{side}:local" for side in sides))
    rules = {(row["side"], row["rule"]) for row in found.floors}
    assert rules == {(side, rule) for side in "AB" for rule in ("most frequent class", "zero-shot")}
    assert all(row["low_both"] < row["estimate"] < row["high_both"] for row in found.floors)
    for row in found.rows["acc_personal_own"]:  # the same images, in the digest
        assert row["low_both"] < row["estimate"] < row["high_both"]
    assert [row["low_both"] for row in found.rows["worst_client_accuracy"]] == [None, None]
    titles = [title for title, _, _ in found.tables()]
    assert titles == [*SCENARIOS, "rules without training", "cost of a run, mean over seeds"]


def test_many_pairs_table_the_metric_alone(tmp_path: Path) -> None:
    sides = [
        fake_results.fake_sweep(tmp_path / name, recipe=True, rounds=2, seed=seed)
        for name, seed in (("a", 0), ("b", 1))
    ]
    found = compare(str(sides[0]), str(sides[1]), "worst_client_accuracy")
    tables = list(found.tables())
    assert [title for title, _, _ in tables] == ["worst_client_accuracy", "cost of a run, mean over seeds"]
    many = len(found.pairs)
    assert len(tables[0][2]) == len(tables[1][2]) == many > 4
    first = found.pairs[0]
    column = [np.array(entry.trial["test_worst_client_accuracy"]) for entry in first.both]
    assert found.json()["pairs"][0]["estimate"] == pytest.approx(float((column[0] - column[1]).mean()))
    assert f"adjusted for {many} comparisons" in found.basis[0]


def test_the_command_says_the_verdict_first_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (
        runs(tmp_path / name, values, training__lr=lr, scenario_label="own [of one]")
        for name, values, lr in (("a", OURS, 0.05), ("b", THEIRS, 0.1))
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(["compare", a, b, "--metric", "worst_client_accuracy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{a} is ahead of {b}: +3.4 points [+2.8, +4.0], 3 seeds."
    assert "worst_client_accuracy" in lines[1]
    text = "\n".join(lines)
    assert "own [of one]" in lines and "  training.lr: 0.05 | 0.1" in lines
    assert "82.0  78.6" in text and "400 B" in text
    rows = [line.split()[0] for line in lines if line.endswith("ahead")]
    places = ("personal_own", "personal_global", "shared_own", "shared_global")
    assert rows == ["worst_client_accuracy", *(f"acc_{place}" for place in places)]
    assert main(["compare", a, b, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"metric", "split", "pairs", "floors", "differs"} <= set(found)
    assert found["differs"][0]["path"] == "training.lr"
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_real_runs(tmp_path: Path, simulate: Callable[..., Simulation]) -> None:
    done: dict[str, list[Simulation]] = {"m": [], "n": []}
    for name, method in (("m", "fedrsclip"), ("n", "promptfl")):
        for seed in (3, 4):
            folder = tmp_path / name / f"run{seed}"
            done[name].append(simulate(small(method=method, seed=seed, rounds=2), folder=folder))
    found: Comparison = compare(str(tmp_path / "m"), str(tmp_path / "n"))
    values = [[simulation.result()["acc_personal_own"] for simulation in own] for own in done.values()]
    (pair,) = found.json()["pairs"]
    assert pair["estimate"] == pytest.approx(sum(a - b for a, b in zip(*values, strict=True)) / 2)
    assert pair["seeds"] == [3, 4]
    changed = {"path": "method.name", "a": "fedrsclip", "b": "promptfl", "only": "", "where": []}
    assert changed in found.differs
    assert not any("nominal" in warning for warning in found.warnings)
    assert {row["rule"] for row in found.floors} == {"most frequent class", "zero-shot"}
    assert pair["bytes_ratio"] == 1.0 and pair["flops_ratio"] > 1.0
    simulate(small(method="promptfl", seed=3, rounds=2, scenario__alpha=100.0), folder=tmp_path / "other")
    warnings = compare(str(tmp_path / "m"), str(tmp_path / "other")).warnings
    assert any("scenario.alpha" in w and "only nominal" in w for w in warnings)
